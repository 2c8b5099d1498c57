"""Bootstrap intervals of scores, and paired differences between methods."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nircolor.evaluation.scores import Measure

_RESAMPLES = 10_000
# of fewer values, resampling says little about the variation: of three, the interval is at most their range
_MIN_FOR_INTERVAL = 5


class Interval(NamedTuple):
    """Interval of a mean or median; both ends are NaN for fewer than five values."""

    low: float
    high: float


class PairedDifference(NamedTuple):
    """Mean of ``a - b`` over images, its 95% interval, and the fraction of images on which ``a`` is better.

    For ratios, which are best near 1, it is the difference of their distances from 1 in powers of 2; a value
    below 0 means that ``a`` is nearer to 1.
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
    """Compute the percentile bootstrap interval of the mean or median of independent values.

    The interval describes how the mean varies with the choice of images. Images of one place are not
    independent: for sets with several images per place, the interval is too narrow.

    Raises:
        ValueError: There are no values, or the level is outside 0 to 1.

    Example:
        >>> low, high = bootstrap_interval([17.0, 18.0, 19.0, 20.0, 21.0])
        >>> 17 <= low < high <= 21
        True
        >>> bootstrap_interval([17.0, 18.0])
        Interval(low=nan, high=nan)
    """
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or sample.size == 0:
        raise ValueError(f"expected a list of values, got shape {sample.shape}")
    if not 0 < level < 1:
        raise ValueError(f"level: expected a value between 0 and 1, got {level}")
    if sample.size < _MIN_FOR_INTERVAL:
        return Interval(float("nan"), float("nan"))
    middle = np.mean if centre == "mean" else np.median
    # in parts, to limit the memory for sets of thousands of images
    parts = np.array_split(_resampled(sample.size, seed, resamples), max(1, resamples // 500))
    middles = np.concatenate([middle(sample[part], axis=1) for part in parts])
    # inverted_cdf does not interpolate: the infinite PSNR of a perfect image would give NaN
    low, high = np.quantile(middles, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
    return Interval(float(low), float(high))


@lru_cache(maxsize=2)
def _resampled(size: int, seed: int, resamples: int) -> NDArray[np.int32]:
    # the same for all measures and methods of one set
    return np.random.default_rng(seed).integers(size, size=(resamples, size), dtype=np.int32)


def paired_difference(a: ArrayLike, b: ArrayLike, measure: Measure) -> PairedDifference:
    """Compute the difference between the scores of two methods on the same images, in the same order.

    A tie counts as half a win.

    Raises:
        ValueError: The lists differ in length or are empty.
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


def average(values: Sequence[float], measure: Measure) -> tuple[float, Interval]:
    """Compute the mean of scores (median for ratios) and its 95% interval."""
    middle = np.mean if measure.centre == "mean" else np.median
    return float(middle(values)), bootstrap_interval(values, centre=measure.centre)
