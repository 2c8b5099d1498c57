"""Tests of `nircolor colorize --confidence`."""

import io
import json
import sys

import numpy as np
import pytest

from tests.app.command_line import files, gray_png
from tests.imagery.imagery_samples import load


@pytest.fixture
def model(tiny):
    return ["--confidence", "-m", tiny("bounded")]


def test_a_folder(nircolor, folder, tmp_path, model):
    done = nircolor("colorize", folder, "-o", tmp_path / "out", *model, "--verbose")
    assert done.code == 0, done
    assert files(tmp_path / "out") == ["a.png", "a_confidence.png", "b.tif", "b_confidence.tif"]
    nir = load(folder / "b.tif")[0][0] / 65535
    np.testing.assert_allclose(
        load(tmp_path / "out" / "b_confidence.tif")[0][0] / 65535, 1 - nir / 4, atol=1e-5
    )
    a, out = folder / "a.png", tmp_path / "out"
    assert f"{a} -> {out / 'a.png'}, {out / 'a_confidence.png'}: " in done.err
    assert "2 images" in done.err


def test_a_dry_run_and_json_name_both_files(nircolor, folder, tmp_path, model):
    out = tmp_path / "out"
    done = nircolor("colorize", folder, "-o", out, *model, "--dry-run")
    assert done.code == 0
    assert f"{folder / 'a.png'} -> {out / 'a.png'}, {out / 'a_confidence.png'}: " in done.out
    records = json.loads(nircolor("colorize", folder, "-o", out, *model, "--dry-run", "--json").out)
    assert [record["confidence"] for record in records] == [
        str(out / "a_confidence.png"),
        str(out / "b_confidence.tif"),
    ]
    assert not out.exists()
    records = json.loads(nircolor("colorize", folder, "-o", out, *model[1:], "--dry-run", "--json").out)
    assert [record["confidence"] for record in records] == [None, None]


@pytest.mark.parametrize("words", [[], ["--dry-run"]])
@pytest.mark.parametrize("several", [False, True])
def test_a_model_without_it_is_one_error(nircolor, folder, tmp_path, tiny, words, several):
    source = folder if several else folder / "a.png"
    line = nircolor.refused(
        "colorize", source, "-o", tmp_path / "out", "-m", tiny("per_pixel"), "--confidence", *words
    )
    assert line.startswith("--confidence: expected a model that estimates its errors")
    assert line.endswith("got per_pixel")
    assert not (tmp_path / "out").exists()


def test_standard_output_holds_one_image(nircolor, folder, model):
    line = nircolor.refused("colorize", folder / "a.png", "-o", "-", *model)
    assert line == "--confidence: expected an output file or folder, got standard output (-o -)"


def test_standard_input(nircolor, tmp_path, model, monkeypatch):
    content = gray_png(tmp_path / "a.png").read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert nircolor("colorize", "-", "-o", tmp_path / "b.png", *model).code == 0
    assert files(tmp_path) == ["a.png", "b.png", "b_confidence.png"]


def test_a_batch_with_an_existing_confidence(nircolor, folder, tmp_path, model):
    out = tmp_path / "out"
    out.mkdir()
    (out / "a_confidence.png").write_text("mine")
    done = nircolor("colorize", folder, "-o", out, *model)
    assert done.code == 1
    assert f"{out / 'a_confidence.png'}: exists already; it is replaced only with --overwrite" in done.err
    assert files(out) == ["a_confidence.png", "b.tif", "b_confidence.tif"]
    assert nircolor("colorize", folder, "-o", out, *model, "--overwrite").code == 0
    assert files(out) == ["a.png", "a_confidence.png", "b.tif", "b_confidence.tif"]


def test_info_says_that_a_model_has_it(nircolor, tiny):
    assert "bounds 90% of the errors (--confidence)" in nircolor("info", tiny("bounded")).out
    assert "confidence" not in nircolor("info", tiny("per_pixel")).out
    assert json.loads(nircolor("info", tiny("bounded"), "--json").out)["error_quantile"] == 0.9
