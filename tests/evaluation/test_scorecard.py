import math

import pytest

from nircolor.errors import NircolorError
from nircolor.evaluation.measures import MEASURES, Scores
from nircolor.evaluation.scorecard import Row, by_method, markdown_table, read_csv, summarised, write_csv

ROWS = [
    Row("a", "ridge", 0, Scores(14.0, 0.5, 6.0, 0.1, 8.0, 0.5, 0.25)),
    Row("a", "scène, new", 0, Scores(1 / 3, 0.25, 4.0, 0.2, 9.0, 1.0, 1.0)),
    Row("b", "ridge", 0, Scores(math.inf, 1.0, 0.0, 0.0, 0.0, math.inf, 0.75)),
    Row("b", "scène, new", 0, Scores(18.0, 0.75, 2.0, 0.4, 7.0, 2.0, 3.0)),
]


def test_csv_gives_back_the_same_rows(tmp_path):
    rows = [*ROWS, ROWS[0]._replace(run=1)]
    write_csv(rows, tmp_path / "scores.csv")
    assert read_csv(tmp_path / "scores.csv") == rows


@pytest.mark.parametrize(
    "content",
    ["", "a,b\n", "HEADER\na,ridge,0,1,2,3\n", "HEADER\na,ridge,x,1,2,3,4,5,6,7\n", "HEADER\n\n"],
)
def test_a_foreign_csv_is_an_error(tmp_path, content):
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


def test_runs_of_a_method_count_as_one_by_their_mean():
    second = Row("a", "ridge", 1, Scores(16.0, 0.7, 8.0, 0.3, 4.0, 0.5, 0.75))
    columns = by_method([*ROWS, second])["ridge"]
    assert columns["psnr_db"] == [15.0, math.inf]
    assert columns["colourfulness_ratio"] == [0.5, 0.75]


def test_ratios_are_summed_up_by_their_median():
    sharpness = MEASURES[5]
    assert summarised([0.5, 1.0, math.inf], sharpness)[0] == 1.0
    assert summarised([1.0, 2.0, 6.0], MEASURES[0])[0] == 3.0


def test_the_table_shows_means_and_intervals():
    header, _, ridge, scene = markdown_table(ROWS).splitlines()
    assert header.count("|") == ridge.count("|") == scene.count("|") == 3 + len(MEASURES)
    assert ridge.startswith(
        "| ridge | 2 | inf (14.00 to inf) | 0.750 (0.500 to 1.000) | 3.00 (0.00 to 6.00) |"
    )
    assert "| 3.00 (2.00 to 4.00) | 0.300 (0.200 to 0.400) |" in scene
    # one image has a score and no interval
    assert "| ridge | 1 | 14.00 | 0.500 | 6.00 | 0.100 |" in markdown_table(ROWS[:1])
