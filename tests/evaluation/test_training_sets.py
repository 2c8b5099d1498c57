"""Tests of training sets without pairs or outside the table, and of the places that intervals resample."""

import json
import math

import numpy as np
import pytest

from nircolor.errors import NircolorError
from nircolor.evaluation import evaluate
from nircolor.evaluation.evaluation import SeenImage
from nircolor.evaluation.training_sets import find_places
from tests.evaluation.scored_pairs import made_pair
from tests.imagery.imagery_samples import save

NAMES = "abcdefghij"


@pytest.fixture
def data(tmp_path):
    """Folder of ten pairs."""
    folder = tmp_path / "data"
    folder.mkdir()
    for name in NAMES:
        made_pair(folder, name)
    return folder


@pytest.fixture
def outputs(tmp_path):
    """Folder of images by a method that is far better at half of the places (``a`` to ``e``)."""
    folder = tmp_path / "outputs"
    folder.mkdir()
    return folder


def write_outputs(folder, data, errors):
    import rasterio

    for name, error in zip(NAMES, errors, strict=True):
        with rasterio.open(data / f"{name}_rgb.png") as truth:
            rgb = truth.read().astype(float)
        save(folder / f"{name}.png", np.clip(rgb + error, 0, 255).astype("uint8"), "PNG")


def write_table(tmp_path, places):
    table = tmp_path / "places.csv"
    rows = zip(NAMES, places, strict=True)
    table.write_text("pair,group\n" + "".join(f"{name},{place}\n" for name, place in rows))
    return table


def width(evaluation):
    (row,) = (row for row in evaluation.summary()[:10] if row["method"] == "outputs")
    return row["psnr_db_high"] - row["psnr_db_low"]


def test_intervals_resample_the_places_of_the_table_and_the_report_says_so(data, outputs, tmp_path):
    write_outputs(outputs, data, np.repeat([5, 10, 20, 40, 80], 2))
    by_image = evaluate(outputs, data)
    table = write_table(tmp_path, np.repeat([1, 2, 3, 4, 5], 2))
    by_place = evaluate(outputs, data, table=table, output=tmp_path / "report", images=0)
    assert width(by_place) > 1.2 * width(by_image)
    assert by_image.places is None
    assert by_place.places is not None
    assert by_place.places.source == "table"
    assert str(by_image).startswith("All 10 images\n")
    assert str(by_place).startswith("All 10 images, 5 places\n")

    record = json.loads((tmp_path / "report/report.json").read_text())
    assert record["places"]["source"] == "table"
    assert record["places"]["of"]["c"] == "2"
    assert record["summary"][0]["places"] == 5
    for name in ("report.md", "report.html"):
        text = (tmp_path / "report" / name).read_text()
        assert "95% intervals over places (by the table)" in text
        assert "All 10 images, 5 places" in text
        assert "By the table, the images show 5 places." in text
    assert any("over images (10,000" in line and "unknown" in line for line in by_image.conventions)


def test_four_places_have_no_interval(data, outputs, tmp_path):
    write_outputs(outputs, data, range(10))
    table = write_table(tmp_path, [1, 2, 3, 4, 4, 4, 4, 4, 4, 4])
    assert math.isnan(width(evaluate(outputs, data, table=table)))


def test_the_leak_check_groups_images_that_match_the_same_training_images():
    pairs = [made_pair_named(name) for name in "abcde"]
    seen = [
        SeenImage("a", "x", ""),
        SeenImage("b", "y", ""),
        SeenImage("c", "x", ""),
        SeenImage("c", "y", ""),
    ]
    places = find_places(pairs, seen, searched=True)
    assert places is not None
    assert places.source == "leak check"
    assert len({places.of[name] for name in "abc"}) == 1
    assert len(set(places.of.values())) == 3
    assert find_places(pairs, [], searched=False) is None


def made_pair_named(name):
    from pathlib import Path

    from nircolor.pairs import Pair

    return Pair(name, Path(f"{name}_nir.png"), Path(f"{name}_rgb.png"))


def test_a_training_folder_of_single_images_is_searched(data, outputs, tmp_path):
    """Its images have other names and no partner; the baselines are fitted on the evaluated set."""
    write_outputs(outputs, data, [10] * 10)
    training = tmp_path / "theirs"
    training.mkdir()
    (training / "0007.png").write_bytes((data / "c_nir.png").read_bytes())
    (training / "0008.png").write_bytes((data / "d_rgb.png").read_bytes())
    evaluation = evaluate(outputs, data, training=training, table=write_table(tmp_path, range(10)))
    assert [(one.name, one.other) for one in evaluation.seen] == [("c", "0007.png"), ("d", "0008.png")]
    assert evaluation.training == f"{training}, 2 single images"
    assert any("only searched for leaks, because" in line for line in evaluation.warnings)
    assert [len(subset.names) for subset in evaluation.subsets] == [10, 8, 2]


def test_pairs_and_single_images_together(data, outputs, tmp_path):
    write_outputs(outputs, data, [10] * 10)
    singles, pairs = tmp_path / "singles", tmp_path / "pairs"
    singles.mkdir()
    pairs.mkdir()
    (singles / "1.png").write_bytes((data / "a_nir.png").read_bytes())
    made_pair(pairs, "new")
    for side in ("nir", "rgb"):
        (pairs / f"copy_{side}.png").write_bytes((data / f"b_{side}.png").read_bytes())
    steps = []
    evaluation = evaluate(
        outputs, data, training=[pairs, singles], on_progress=lambda *step: steps.append(step)
    )
    assert {(one.name, one.other) for one in evaluation.seen} == {("a", "1.png"), ("b", "copy")}
    assert steps[-1][0] == steps[-1][1]


def test_a_training_set_that_is_not_in_the_table_is_used_without_it(data, outputs, tmp_path):
    write_outputs(outputs, data, [10] * 10)
    training = tmp_path / "theirs"
    training.mkdir()
    for name in ("p", "q"):
        made_pair(training, name)
    table = write_table(tmp_path, range(10))
    evaluation = evaluate(outputs, data, training=training, table=table)
    assert "2 training pairs" in evaluation.training
    assert any("the table was not used" in line and "for p, q" in line for line in evaluation.warnings)
    # the evaluated set must be in it
    table.write_text("pair,group\na,1\n")
    with pytest.raises(NircolorError, match="expected a row for each pair"):
        evaluate(outputs, data, training=training, table=table)


def test_a_training_folder_without_images_is_refused(data, outputs, tmp_path):
    write_outputs(outputs, data, [10] * 10)
    (tmp_path / "empty").mkdir()
    for missing in ("empty", "nowhere"):
        with pytest.raises(NircolorError, match=missing):
            evaluate(outputs, data, training=tmp_path / missing)
