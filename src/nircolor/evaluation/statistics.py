"""What scores of a sample of images say of all images: intervals and paired differences."""

from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nircolor.evaluation.measures import Measure

_RESAMPLES = 10_000


class Interval(NamedTuple):
    """Where a mean or median lies, at the level asked for; NaN twice where one value gives none."""

    low: float
    high: float


class PairedDifference(NamedTuple):
    """Mean of ``a - b`` over images, its 95% interval, and the share of images on which ``a`` is better.

    Of ratios, which are best near 1, it is the difference of their distances from 1 in powers of 2: below 0
    where ``a`` is nearer.
    """

    mean: float
    low: float
    high: float
    win_rate: float


def bootstrap_interval(
    values: ArrayLike,
    level: float = 0.95,
    seed: int = 0,
    resamples: int = _RESAMPLES,
    centre: Literal["mean", "median"] = "mean",
) -> Interval:
    """Percentile bootstrap interval for the mean or median of independent values.

    Resamples images, so it says how the mean varies with the choice of images. Images of one
    place are not independent: where a set has several, the interval is optimistic.

    Raises:
        ValueError: no values, or a level outside 0 to 1.
    """
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or sample.size == 0:
        raise ValueError(f"expected a list of values, got shape {sample.shape}")
    if not 0 < level < 1:
        raise ValueError(f"level: expected a value between 0 and 1, got {level}")
    if sample.size == 1:
        return Interval(float("nan"), float("nan"))
    middle = np.mean if centre == "mean" else np.median
    # a part at a time, so that a set of thousands fits in memory
    parts = np.array_split(_resampled(sample.size, seed, resamples), max(1, resamples // 500))
    middles = np.concatenate([middle(sample[part], axis=1) for part in parts])
    # inverted_cdf interpolates nothing, so that the infinite PSNR of a perfect image gives no NaN
    low, high = np.quantile(middles, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
    return Interval(float(low), float(high))


@lru_cache(maxsize=2)
def _resampled(size: int, seed: int, resamples: int) -> NDArray[np.int32]:
    # drawn once for the many measures and methods of one set
    return np.random.default_rng(seed).integers(size, size=(resamples, size), dtype=np.int32)


def paired_difference(a: ArrayLike, b: ArrayLike, measure: Measure) -> PairedDifference:
    """How much ``a`` differs from ``b`` on the same images in the same order, with a 95% interval.

    A tie counts as half a win.

    Raises:
        ValueError: the two differ in length, or are empty.
    """
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.shape != second.shape:
        raise ValueError(f"expected scores of the same images, got {first.shape} and {second.shape}")
    first, second = measure.bounded(first), measure.bounded(second)
    difference = first - second
    low, high = bootstrap_interval(difference)
    wins = difference > 0 if measure.better == "higher" else difference < 0
    return PairedDifference(
        float(difference.mean()), low, high, float((wins + 0.5 * (difference == 0)).mean())
    )
