import dataclasses
import math

import numpy as np
import pytest

from nircolor.errors import NircolorError
from nircolor.evaluation import evaluate
from nircolor.evaluation.evaluation import Evaluation, Method, Subset
from nircolor.evaluation.scores import MEASURES, Row, Scores
from nircolor.evaluation.statistics import bootstrap_interval
from nircolor.inference import Colorizer
from nircolor.pairs import Folders, MultiBandFiles
from nircolor.pairs import pair as pair_module
from tests.evaluation.scored_pairs import made_pair
from tests.imagery.imagery_samples import save
from tests.pairs.images import noise, write

ROWS = [
    row
    for one, other in ("ab", "cd", "ef")
    for row in (
        Row(one, "ridge", 0, Scores(14.0, 0.5, 6.0, 0.1, 8.0, 0.5, 0.25)),
        Row(one, "scène, new", 0, Scores(1 / 3, 0.25, 4.0, 0.2, 9.0, 1.0, 1.0)),
        Row(other, "ridge", 0, Scores(math.inf, 1.0, 0.0, 0.0, 0.0, math.inf, 0.75)),
        Row(other, "scène, new", 0, Scores(18.0, 0.75, 2.0, 0.4, 7.0, 2.0, 3.0)),
    )
]

EVALUATION = Evaluation(
    data="set", training="",
    methods=tuple(Method(label, "model", ("x",)) for label in ("ridge", "scène, new")),
    rows=tuple(ROWS), subsets=(Subset("All 6 images", tuple("abcdef")),),
    command="", versions={}, conventions=(),
)  # fmt: skip


def test_the_text_shows_means_and_intervals():
    title, _, header, _, ridge, scene = str(EVALUATION).splitlines()
    assert title == "All 6 images"
    assert header.count("|") == ridge.count("|") == scene.count("|") == 3 + len(MEASURES)
    low, high = bootstrap_interval([0.5, 1.0] * 3)
    assert ridge.startswith(f"| ridge | 6 | inf (inf to inf) | 0.750 ({low:.3f} to {high:.3f}) | 3.00 (")
    low, high = bootstrap_interval([0.2, 0.4] * 3)
    assert f"| 0.300 ({low:.3f} to {high:.3f}) |" in scene
    # few images give scores without intervals
    for names in ("a", "ace", "acea"):
        few = dataclasses.replace(EVALUATION, subsets=(Subset("Few images", tuple(names)),))
        assert f"| ridge | {len(names)} | 14.00 | 0.500 | 6.00 | 0.100 |" in str(few)
    assert repr(EVALUATION) == "<Evaluation: set; ridge, scène, new>"


def test_the_summary_has_rows_of_plain_values():
    ridge, scene = EVALUATION.summary()
    assert (ridge["subset"], ridge["images"], ridge["method"]) == ("All 6 images", 6, "ridge")
    assert (ridge["psnr_db"], ridge["psnr_db_low"]) == (math.inf, math.inf)
    assert scene["angular_error_deg"] == 3.0
    assert set(scene) == {"subset", "images", "places", "method"} | {
        f"{measure.key}{end}" for measure in MEASURES for end in ("", "_low", "_high")
    }


# evaluate


@pytest.fixture
def pairs(tmp_path):
    """Folder of three pairs in ``nir/`` and ``rgb/``."""
    for name in "abc":
        pair = made_pair(tmp_path, name)
        for side, path in (("nir", pair.nir), ("rgb", pair.rgb)):
            (tmp_path / "pairs" / side).mkdir(parents=True, exist_ok=True)
            path.rename(tmp_path / "pairs" / side / f"{name}.png")
    return tmp_path / "pairs"


def psnr(evaluation, method):
    (row,) = (row for row in evaluation.summary() if row["method"] == method)
    return row["psnr_db"]


def test_methods_as_paths_colorizers_and_mappings(pairs, tiny):
    path = tiny("per_pixel")
    expected = psnr(evaluate(str(path), str(pairs)), "per_pixel")
    data = Folders(pairs / "nir", pairs / "rgb")
    for methods in ([path], Colorizer(path), f"per_pixel={path}", {"per_pixel": [path, Colorizer(path)]}):
        assert psnr(evaluate(methods, data), "per_pixel") == pytest.approx(expected)
    labels = [one.label for one in evaluate({"truth": pairs / "rgb", "model": path}, pairs).methods]
    assert labels[-2:] == ["truth", "model"]
    with pytest.raises(NircolorError, match="at least one model or folder"):
        evaluate([], pairs)


def test_a_report_is_written_only_if_asked_for(pairs, tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    calls = []
    path = tiny("per_pixel")
    evaluation = evaluate(path, pairs, training=pairs, on_progress=lambda *call: calls.append(call))
    assert "pairs, 3 pairs" in evaluation.data
    assert len(evaluation.seen) == 3
    done, totals = zip(*calls, strict=True)
    assert list(done) == sorted(done)
    assert set(totals) == {done[-1]}
    assert sorted(set(tmp_path.rglob("*")) - {path, path.parent}) == sorted(set(before) - {path.parent})
    evaluate(path, pairs, output="report", figure=["a"])
    assert (tmp_path / "report/report.html").exists()
    assert (tmp_path / "report/figure.png").exists()
    with pytest.raises(NircolorError, match="--overwrite replaces it"):
        evaluate(path, pairs, output="report")
    with pytest.raises(NircolorError, match="set `output`"):
        evaluate(path, pairs, figure=["a"])


def test_evaluating_the_split_train_gives_a_warning(pairs, tiny, tmp_path):
    table = tmp_path / "splits.csv"
    table.write_text("pair,split\na,train\nb,train\nc,val\n")
    with pytest.raises(
        NircolorError, match=r"got train \(2 pairs\), val \(1 pairs\); choose one with --split"
    ):
        evaluate(tiny("per_pixel"), pairs, table=table)
    evaluation = evaluate(tiny("per_pixel"), pairs, table=table, split="train")
    assert evaluation.data.endswith("2 train pairs")
    assert any("of the split train" in line for line in evaluation.warnings)


@pytest.mark.parametrize(("with_training", "times"), [(True, 1), (False, 2)])
def test_files_are_opened_once_or_twice(pairs, tiny, tmp_path, monkeypatch, with_training, times):
    """Once with training pairs; twice without, since the baselines are then fitted on the set itself.

    The search for leaks at any scale reads the images again.
    """
    training = tmp_path / "training"
    for side in ("nir", "rgb"):
        (training / side).mkdir(parents=True)
        for path in (pairs / side).iterdir():
            shape = (1 if side == "nir" else 3, 24, 30)
            values = np.random.default_rng(ord(path.stem)).integers(0, 255, shape)
            save(training / side / path.name, values.astype("uint8"), "PNG")
    opened = []
    original = pair_module.open_raster

    def counted(path, **options):
        opened.append(path)
        return original(path, **options)

    monkeypatch.setattr(pair_module, "open_raster", counted)
    evaluate(tiny("per_pixel"), pairs, training=training if with_training else None, same_scale=True)
    folders = [pairs, training] if with_training else [pairs]
    counts = {path: opened.count(path) for folder in folders for path in folder.glob("*/*.png")}
    assert set(counts.values()) == {times}


# Reflectance


def test_true_colour_in_reflectance_has_the_white_of_the_model(tmp_path):
    colorizer = Colorizer("satellite")
    folder = tmp_path / "patches"
    for name, level in (("a", 0.2), ("b", 0.3)):
        nir = level + 0.1 * np.random.default_rng(0).random((3, 32, 32), np.float32)
        # what the model answers, as the reflectance that it stands for
        colour = 0.3 * colorizer.colorize(nir, reflectance=True)
        stored = np.rint(10000 * np.concatenate([colour, nir]) + 1000).astype(np.uint16)
        write(folder / f"{name}.tif", stored, (665, 560, 490, 783, 842, 945), scale=0.0001, offset=-0.1)
    evaluation = evaluate(["satellite"], folder)
    assert psnr(evaluation, "satellite") > 45
    assert any("A reflectance of 0.3 or more is 1.0" in line for line in evaluation.conventions)
    # also where the data set says so
    assert psnr(evaluate(["satellite"], MultiBandFiles(folder, rgb_white=0.3)), "satellite") > 45
    assert psnr(evaluate(["satellite"], MultiBandFiles(folder, rgb_white=1)), "satellite") < 30


def test_models_of_different_white_are_evaluated_one_by_one(tmp_path):
    one = Colorizer("satellite")
    other = Colorizer("satellite")
    other._engine.card = other.card.model_copy(update={"name": "other", "white_reflectance": 0.5})
    write(tmp_path / "a.tif", noise(6, 8, 8), (665, 560, 490, 783, 842, 945))
    with pytest.raises(NircolorError, match=r"one white_reflectance, got satellite \(0.3\), other \(0.5\)"):
        evaluate([one, other], tmp_path)
