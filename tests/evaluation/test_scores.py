import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

from nircolor import metrics
from nircolor.errors import NircolorError
from nircolor.evaluation.scores import MEASURES, Row, Scores, by_method, read_csv, score, write_csv

RNG = np.random.default_rng(0)


def test_scores_are_the_metrics_with_the_mask():
    a, b = RNG.random((2, 3, 20, 20))
    valid = RNG.random((20, 20)) < 0.95
    assert score(a, b, valid) == Scores(
        metrics.psnr(a, b, valid),
        metrics.ssim(a, b, valid),
        metrics.angular_error_deg(a, b, valid),
        metrics.angular_error_whole_image_rad(a, b, valid),
        metrics.delta_e2000(a, b, valid),
        metrics.gradient_energy_ratio(a, b, valid),
        metrics.colourfulness_ratio(a, b, valid),
    )
    assert score(a, b) != score(a, b, valid)


def test_better_values_have_a_lower_cost():
    better = {"higher": (2.0, 1.0), "lower": (1.0, 2.0), "near 1": (0.8, 1.5)}
    for measure in MEASURES:
        good, bad = measure.cost(better[measure.better])
        assert good < bad
    sharpness = MEASURES[5]
    assert_allclose(sharpness.cost([0.5, 1.0, 2.0, 0.0, math.inf]), [1, 0, 1, 10, 10])


ROWS = [
    Row("a", "ridge", 0, Scores(14.0, 0.5, 6.0, 0.1, 8.0, 0.5, 0.25)),
    Row("a", "scène, new", 0, Scores(1 / 3, 0.25, 4.0, 0.2, 9.0, 1.0, 1.0)),
    Row("b", "ridge", 0, Scores(math.inf, 1.0, 0.0, 0.0, 0.0, math.inf, 0.75)),
    Row("b", "scène, new", 0, Scores(18.0, 0.75, 2.0, 0.4, 7.0, 2.0, 3.0)),
]


def test_csv_preserves_rows(tmp_path):
    rows = [*ROWS, ROWS[0]._replace(run=1)]
    write_csv(rows, tmp_path / "scores.csv")
    assert read_csv(tmp_path / "scores.csv") == rows


@pytest.mark.parametrize(
    "content",
    ["", "a,b\n", "HEADER\na,ridge,0,1,2,3\n", "HEADER\na,ridge,x,1,2,3,4,5,6,7\n", "HEADER\n\n"],
)
def test_an_invalid_csv_is_an_error(tmp_path, content):
    path = tmp_path / "scores.csv"
    write_csv([], path)
    path.write_text(content.replace("HEADER\n", path.read_text()))
    with pytest.raises(
        NircolorError, match=r"scores\.csv: expected a CSV with columns name, method, run, psnr_db"
    ):
        read_csv(path)
    with pytest.raises(NircolorError, match=r"absent\.csv"):
        read_csv(tmp_path / "absent.csv")


def test_columns_by_method():
    table = by_method(ROWS)
    assert table["ridge"]["psnr_db"] == [14.0, math.inf]
    assert table["scène, new"]["whole_image_rad"] == [0.2, 0.4]
    assert all(list(columns) == [measure.key for measure in MEASURES] for columns in table.values())


def test_runs_of_a_method_are_averaged():
    second = Row("a", "ridge", 1, Scores(16.0, 0.7, 8.0, 0.3, 4.0, 0.5, 0.75))
    columns = by_method([*ROWS, second])["ridge"]
    assert columns["psnr_db"] == [15.0, math.inf]
    assert columns["colourfulness_ratio"] == [0.5, 0.75]
