import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nircolor import metrics
from nircolor.errors import NircolorError
from nircolor.evaluation.scorecard import (
    HIGHER_IS_BETTER,
    Row,
    Scores,
    bootstrap_interval,
    by_method,
    markdown_table,
    paired_difference,
    read_csv,
    score,
    write_csv,
)

RNG = np.random.default_rng(0)
ROWS = [
    Row("a", "ridge", Scores(14.0, 0.5, 6.0, 0.1)),
    Row("a", "scène, new", Scores(1 / 3, 0.25, 4.0, 0.2)),
    Row("b", "ridge", Scores(math.inf, 1.0, 0.0, 0.0)),
    Row("b", "scène, new", Scores(18.0, 0.75, 2.0, 0.4)),
]


def test_scores_are_the_metrics_with_the_mask():
    a, b = RNG.random((2, 3, 20, 20))
    valid = RNG.random((20, 20)) < 0.5
    assert score(a, b, valid) == Scores(
        metrics.psnr_db(a, b, valid),
        metrics.ssim(a, b, valid),
        metrics.angular_error_deg(a, b, valid),
        metrics.angular_error_whole_image_rad(a, b, valid),
    )
    assert score(a, b) != score(a, b, valid)


def test_the_interval_is_that_of_a_normal_mean():
    values = RNG.normal(5, 2, 400)
    low, high = bootstrap_interval(values)
    half = 1.96 * values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.03)
    narrow = bootstrap_interval(values, level=0.5)
    assert low < narrow.low < narrow.high < high


def test_the_interval_covers_the_true_mean_as_often_as_it_says():
    samples = RNG.normal(0, 1, (300, 40))
    inside = [low <= 0 <= high for low, high in (bootstrap_interval(s, 0.8, resamples=500) for s in samples)]
    assert np.mean(inside) == pytest.approx(0.8, abs=0.08)


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=20), st.integers(0, 9))
def test_an_interval_is_repeatable_and_within_the_values(values, seed):
    low, high = bootstrap_interval(values, seed=seed, resamples=200)
    assert (low, high) == bootstrap_interval(values, seed=seed, resamples=200)
    assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9


def test_intervals_at_the_edge():
    assert all(map(math.isnan, bootstrap_interval([3.0])))
    assert bootstrap_interval([1.0, 2.0, math.inf]).high == math.inf
    assert not math.isnan(bootstrap_interval([1.0, 2.0, math.inf]).low)
    for values, level in (([], 0.95), ([1.0, 2.0], 95)):
        with pytest.raises(ValueError, match="expected"):
            bootstrap_interval(values, level)


def test_pairing_finds_a_small_difference_among_large_scores():
    b = RNG.normal(15, 4, 18)
    a = b + RNG.normal(0.5, 0.2, 18)
    difference = paired_difference(a, b)
    assert difference.mean == pytest.approx(np.mean(a - b))
    assert 0.3 < difference.low < difference.mean < difference.high < 0.7
    # unpaired, the same two methods cannot be told apart
    assert bootstrap_interval(a).low < bootstrap_interval(b).high


def test_win_rate_counts_ties_half_and_knows_the_better_side():
    a, b = [1.0, 2.0, math.inf, 3.0], [0.0, 5.0, math.inf, 1.0]
    difference = paired_difference(a, b)
    assert (difference.mean, difference.win_rate) == (0.0, 2.5 / 4)
    assert paired_difference(a, b, higher_is_better=False).win_rate == 1.5 / 4
    with pytest.raises(ValueError, match="same pictures"):
        paired_difference([1.0], [1.0, 2.0])


def test_csv_gives_back_the_same_rows(tmp_path):
    write_csv(ROWS, tmp_path / "scores.csv")
    assert read_csv(tmp_path / "scores.csv") == ROWS


@pytest.mark.parametrize(
    "content", ["", "a,b\n", "HEADER\na,ridge,1,2,3\n", "HEADER\na,ridge,1,2,3,x\n", "HEADER\n\n"]
)
def test_a_foreign_csv_is_an_error(tmp_path, content):
    path = tmp_path / "scores.csv"
    write_csv([], path)
    path.write_text(content.replace("HEADER\n", path.read_text()))
    with pytest.raises(
        NircolorError, match=r"scores\.csv: expected a CSV with columns name, method, psnr_db"
    ):
        read_csv(path)
    with pytest.raises(NircolorError, match=r"absent\.csv"):
        read_csv(tmp_path / "absent.csv")


def test_columns_by_method():
    table = by_method(ROWS)
    assert table["ridge"]["psnr_db"] == [14.0, math.inf]
    assert table["scène, new"]["whole_image_rad"] == [0.2, 0.4]
    assert all(list(columns) == list(HIGHER_IS_BETTER) for columns in table.values())


def test_the_table_shows_means_and_intervals():
    header, _, ridge, scene = markdown_table(ROWS).splitlines()
    assert header.count("|") == ridge.count("|") == scene.count("|") == 7
    assert ridge.startswith(
        "| ridge | 2 | inf (14.00 to inf) | 0.750 (0.500 to 1.000) | 3.00 (0.00 to 6.00) |"
    )
    assert scene.endswith("| 3.00 (2.00 to 4.00) | 0.300 (0.200 to 0.400) |")
    # one picture has a score and no interval
    assert "| ridge | 1 | 14.00 | 0.500 | 6.00 | 0.100 |" in markdown_table(ROWS[:1])
