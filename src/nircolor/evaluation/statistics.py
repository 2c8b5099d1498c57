"""Bootstrap intervals of scores over places or images, and paired differences between methods."""

from collections.abc import Hashable, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nircolor.evaluation.scores import Measure

_RESAMPLES = 10_000
# of fewer places, resampling says little about the variation: of three, the interval is at most their range
_MIN_FOR_INTERVAL = 5


class Interval(NamedTuple):
    """Interval of a mean or median; both ends are NaN for fewer than five values, or five places."""

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
    places: Sequence[Hashable] | None = None,
) -> Interval:
    """Compute the percentile bootstrap interval of the mean or median of scores.

    The interval describes how the mean varies with the choice of images. Images of one place are alike, so
    resampling them one by one gives intervals that are too narrow. With ``places``, places are resampled,
    each with all its images (cluster bootstrap).

    Args:
        values: Scores, one per image.
        level: Level of the interval, between 0 and 1.
        seed: Seed of the resampling.
        resamples: Number of resamples.
        centre: Statistic that the interval is for.
        places: Place of each image. None = each image is a place of its own.

    Raises:
        ValueError: There are no values, the level is outside 0 to 1, or there is not one place per value.

    Example:
        >>> low, high = bootstrap_interval([17.0, 18.0, 19.0, 20.0, 21.0])
        >>> 17 <= low < high <= 21
        True
        >>> bootstrap_interval([17.0, 18.0])
        Interval(low=nan, high=nan)
        >>> bootstrap_interval([17.0, 18.0, 19.0, 20.0, 21.0], places=[1, 1, 1, 2, 2])
        Interval(low=nan, high=nan)
    """
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or sample.size == 0:
        raise ValueError(f"expected a list of values, got shape {sample.shape}")
    if not 0 < level < 1:
        raise ValueError(f"level: expected a value between 0 and 1, got {level}")
    clusters = _clusters(sample.size, places)
    count = int(clusters.max()) + 1
    if count < _MIN_FOR_INTERVAL:
        return Interval(float("nan"), float("nan"))
    # in parts, to limit the memory for sets of thousands of images
    parts = np.array_split(_resampled(count, seed, resamples), max(1, resamples // 500))
    middle = _means if centre == "mean" else _medians
    middles = np.concatenate([middle(sample, clusters, part) for part in parts])
    # inverted_cdf does not interpolate: the infinite PSNR of a perfect image would give NaN
    low, high = np.quantile(middles, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
    return Interval(float(low), float(high))


def _clusters(size: int, places: Sequence[Hashable] | None) -> NDArray[np.intp]:
    """Number the places in the order of their first images; return the number of each image's place."""
    if places is None:
        return np.arange(size)
    if len(places) != size:
        raise ValueError(f"places: expected one for each of {size} values, got {len(places)}")
    numbers = {place: number for number, place in enumerate(dict.fromkeys(places))}
    return np.array([numbers[place] for place in places])


def _means(
    sample: NDArray[np.float64], clusters: NDArray[np.intp], drawn: NDArray[np.int32]
) -> NDArray[np.float64]:
    """Compute the mean over the images of the drawn places, for each row of ``drawn``."""
    sums = np.zeros(clusters.max() + 1)
    np.add.at(sums, clusters, sample)
    means: NDArray[np.float64] = sums[drawn].sum(axis=1) / np.bincount(clusters)[drawn].sum(axis=1)
    return means


def _medians(
    sample: NDArray[np.float64], clusters: NDArray[np.intp], drawn: NDArray[np.int32]
) -> NDArray[np.float64]:
    """Compute the median over the images of the drawn places, for each row of ``drawn``."""
    order = np.argsort(sample, kind="stable")
    ordered, places = sample[order], clusters[order]
    rows = np.arange(len(drawn))
    times = np.zeros((len(drawn), clusters.max() + 1), np.int32)
    np.add.at(times, (rows[:, None], drawn), 1)
    # number of drawn images up to each one, in ascending order of their scores
    reached = np.cumsum(times[:, places], axis=1)
    total = reached[:, -1]
    lower, upper = (
        ordered[(reached <= half[:, None]).sum(axis=1)] for half in ((total - 1) // 2, total // 2)
    )
    # not (lower + upper) / 2 of equal values, which differs in the last digit
    return np.where(lower == upper, lower, (lower + upper) / 2)


@lru_cache(maxsize=2)
def _resampled(size: int, seed: int, resamples: int) -> NDArray[np.int32]:
    # the same for all measures and methods of one set
    return np.random.default_rng(seed).integers(size, size=(resamples, size), dtype=np.int32)


def paired_difference(
    a: ArrayLike, b: ArrayLike, measure: Measure, places: Sequence[Hashable] | None = None
) -> PairedDifference:
    """Compute the difference between the scores of two methods on the same images, in the same order.

    A tie counts as half a win. ``places`` are those of the images; see `bootstrap_interval`.

    Raises:
        ValueError: The lists differ in length or are empty.
    """
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.shape != second.shape:
        raise ValueError(f"expected scores of the same images, got {first.shape} and {second.shape}")
    first, second = measure.bounded(first), measure.bounded(second)
    difference = first - second
    low, high = bootstrap_interval(difference, places=places)
    wins = difference > 0 if measure.better == "higher" else difference < 0
    return PairedDifference(
        float(difference.mean()), low, high, float((wins + 0.5 * (difference == 0)).mean())
    )


def average(
    values: Sequence[float], measure: Measure, places: Sequence[Hashable] | None = None
) -> tuple[float, Interval]:
    """Compute the mean of scores (median for ratios) and its 95% interval; see `bootstrap_interval`."""
    middle = np.mean if measure.centre == "mean" else np.median
    return float(middle(values)), bootstrap_interval(values, centre=measure.centre, places=places)
