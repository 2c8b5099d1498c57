import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nircolor.evaluation.scores import MEASURES
from nircolor.evaluation.statistics import average, bootstrap_interval, paired_difference

RNG = np.random.default_rng(0)
PSNR, ANGLE, SHARPNESS = MEASURES[0], MEASURES[2], MEASURES[5]


def test_the_interval_matches_that_of_a_normal_mean():
    values = RNG.normal(5, 2, 400)
    low, high = bootstrap_interval(values)
    half = 1.96 * values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.03)
    narrow = bootstrap_interval(values, level=0.5)
    assert low < narrow.low < narrow.high < high


def test_the_interval_covers_the_true_mean_at_the_given_level():
    samples = RNG.normal(0, 1, (300, 40))
    inside = [low <= 0 <= high for low, high in (bootstrap_interval(s, 0.8, resamples=500) for s in samples)]
    assert np.mean(inside) == pytest.approx(0.8, abs=0.08)


@given(st.lists(st.floats(-100, 100), min_size=5, max_size=20), st.integers(0, 9))
def test_intervals_are_reproducible_and_within_the_values(values, seed):
    low, high = bootstrap_interval(values, seed=seed, resamples=200)
    assert (low, high) == bootstrap_interval(values, seed=seed, resamples=200)
    assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9


def test_intervals_of_few_infinite_or_no_values():
    for count in range(1, 5):
        assert all(map(math.isnan, bootstrap_interval([3.0] * count)))
    assert bootstrap_interval([1.0, 2.0, 3.0, 4.0, math.inf]).high == math.inf
    assert not math.isnan(bootstrap_interval([1.0, 2.0, 3.0, 4.0, math.inf]).low)
    for values, level in (([], 0.95), ([1.0, 2.0], 95)):
        with pytest.raises(ValueError, match="expected"):
            bootstrap_interval(values, level)


def test_pairing_finds_a_small_difference_among_large_scores():
    b = RNG.normal(15, 4, 18)
    a = b + RNG.normal(0.5, 0.2, 18)
    difference = paired_difference(a, b, PSNR)
    assert difference.mean == pytest.approx(np.mean(a - b))
    assert 0.3 < difference.low < difference.mean < difference.high < 0.7
    # the intervals of the two methods overlap
    assert bootstrap_interval(a).low < bootstrap_interval(b).high


def test_win_rate_counts_ties_half_and_follows_the_measure():
    a, b = [1.0, 2.0, math.inf, 3.0], [0.0, 5.0, math.inf, 1.0]
    difference = paired_difference(a, b, PSNR)
    assert (difference.mean, difference.win_rate) == (0.0, 2.5 / 4)
    angles = [[1.0, 2.0, 4.0, 3.0], [0.0, 5.0, 4.0, 1.0]]
    assert paired_difference(*angles, ANGLE).win_rate == 1.5 / 4
    # each method has a perfect image
    assert paired_difference([math.inf, 20.0], [30.0, math.inf], PSNR).mean == pytest.approx(-5)
    with pytest.raises(ValueError, match="same images"):
        paired_difference([1.0], [1.0, 2.0], PSNR)


def test_ratios_nearer_to_1_are_better():
    difference = paired_difference([2.0, 0.9, 1.0, math.inf], [0.25, 3.0, 1.0, 2.0], SHARPNESS)
    distances = [1 - 2, -math.log2(0.9) - math.log2(3), 0, 10 - 1]
    assert difference.mean == pytest.approx(np.mean(distances))
    assert difference.win_rate == (1 + 1 + 0.5 + 0) / 4


def test_intervals_of_the_median():
    values = [1.0] * 70 + [100.0] * 30
    low, high = bootstrap_interval(values, centre="median")
    assert (low, high) == (1.0, 1.0)
    assert bootstrap_interval(values).low > 20


def test_ratios_are_summarized_by_their_median():
    assert average([0.5, 1.0, math.inf], SHARPNESS)[0] == 1.0
    assert average([1.0, 2.0, 6.0], PSNR)[0] == 3.0


# places


def test_images_of_one_place_count_as_one_observation():
    """The interval over 40 places of 5 equal images each is that over the 40 places, not over 200 images."""
    values = RNG.normal(15, 3, 40)
    repeated, places = np.repeat(values, 5), np.repeat(np.arange(40), 5)
    for centre in ("mean", "median"):
        expected = bootstrap_interval(values, centre=centre)
        assert bootstrap_interval(repeated, centre=centre, places=list(places)) == pytest.approx(expected)
    assert np.ptp(bootstrap_interval(repeated)) < 0.6 * np.ptp(
        bootstrap_interval(repeated, places=list(places))
    )


@pytest.mark.parametrize("centre", ["mean", "median"])
def test_places_of_different_size_match_resampling_by_hand(centre):
    places = ["a", "b", "b", "c", "c", "c", "d", "e", "e", "f"]
    values = RNG.normal(0, 1, len(places))
    values[3] = math.inf
    found = bootstrap_interval(values, places=places, centre=centre, resamples=4000)
    middle = np.mean if centre == "mean" else np.median
    rng = np.random.default_rng(1)
    by_hand = [
        middle(np.concatenate([values[np.array(places) == name] for name in rng.choice([*"abcdef"], 6)]))
        for _ in range(4000)
    ]
    expected = np.quantile(by_hand, [0.025, 0.975], method="inverted_cdf")
    assert found == pytest.approx(tuple(expected), abs=0.08)


@pytest.mark.parametrize("centre", ["mean", "median"])
def test_images_of_unknown_place_are_places_of_their_own(centre):
    values = list(RNG.normal(0, 1, 30))
    assert bootstrap_interval(values, places=range(30), centre=centre) == bootstrap_interval(
        values, centre=centre
    )


def test_the_interval_over_places_covers_the_true_mean():
    """Scores of a place share most of their deviation: the interval over images covers far too rarely."""
    places = list(np.repeat(np.arange(20), 4))
    covered = {"places": 0, "images": 0}
    for _ in range(300):
        values = np.repeat(RNG.normal(0, 1, 20), 4) + RNG.normal(0, 0.3, 80)
        for name, of in (("places", places), ("images", None)):
            low, high = bootstrap_interval(values, 0.8, resamples=500, places=of)
            covered[name] += low <= 0 <= high
    assert covered["places"] / 300 == pytest.approx(0.8, abs=0.08)
    assert covered["images"] / 300 < 0.6


def test_few_places_have_no_interval_however_many_images():
    assert math.isnan(bootstrap_interval(RNG.normal(0, 1, 40), places=[0, 1, 2, 3] * 10).low)
    assert not math.isnan(bootstrap_interval(RNG.normal(0, 1, 40), places=[0, 1, 2, 3, 4] * 8).low)
    with pytest.raises(ValueError, match="places: expected one for each of 2 values, got 3"):
        bootstrap_interval([1.0, 2.0], places=[1, 2, 3])


def test_differences_and_averages_resample_places_too():
    a, places = RNG.normal(15, 4, 30), list(np.repeat(np.arange(10), 3))
    b = a - np.repeat(RNG.normal(0.2, 0.5, 10), 3)
    assert np.ptp(average(a, PSNR, places)[1]) == np.ptp(bootstrap_interval(a, places=places))
    by_place, by_image = paired_difference(a, b, PSNR, places), paired_difference(a, b, PSNR)
    assert by_place.mean == by_image.mean
    assert by_place.high - by_place.low > 1.3 * (by_image.high - by_image.low)
