"""`--skip-colour` and `--nodata` of the command line and of `nircolor.colorize`."""

import numpy as np
import pytest

from nircolor import colorize
from tests.app.command_line import files, gray_png
from tests.imagery.imagery_samples import load, noise, save


@pytest.fixture
def mixed(tmp_path):
    """A folder of two gray images, one of them stored as RGB, and four colour photographs."""
    folder = tmp_path / "in"
    gray_png(folder / "a.png")
    save(folder / "b.png", np.repeat(noise(1, 20, 20), 3, axis=0), "PNG")
    for i in range(4):
        save(folder / f"colour{i}.png", noise(3, 20, 20, seed=i), "PNG")
    return folder


def test_colour_photographs_are_left_out_counted_and_named(nircolor, tmp_path, tiny, mixed):
    words = [mixed, "-o", tmp_path / "out", "-m", tiny("per_pixel"), "--skip-colour"]
    outcome = nircolor("colorize", *words, "--jobs", 2)
    assert outcome.code == 0, outcome
    assert files(tmp_path / "out") == ["a.png", "b.png"]
    (line,) = outcome.err.splitlines()
    assert line.startswith("2 images, ")
    assert "4 colour photographs skipped (" in line
    assert f"{mixed / 'colour'}" in line
    assert "…) -> " in line
    again = nircolor("colorize", *words, "--skip-existing", "--verbose")
    assert "2 skipped, 4 colour photographs skipped (" in again.err
    assert f"{mixed / 'colour0.png'}: skipped, a colour photograph" in again.err


def test_a_single_colour_photograph_is_skipped_without_an_error(nircolor, tmp_path, tiny, mixed):
    path = mixed / "colour0.png"
    outcome = nircolor("colorize", path, "-o", tmp_path / "out", "-m", tiny("per_pixel"), "--skip-colour")
    assert outcome.code == 0
    assert outcome.err.startswith("0 images, ")
    assert f"1 colour photograph skipped ({path})" in outcome.err
    assert not (tmp_path / "out").exists()
    assert "skipped, a colour photograph" in nircolor(
        "colorize", path, "-o", tmp_path / "out", "-m", tiny("per_pixel"), "--skip-colour", "--dry-run"
    ).out  # fmt: skip


def test_named_bands_are_no_colour_photograph(nircolor, tmp_path, tiny, mixed):
    words = ["-o", tmp_path / "out", "-m", tiny("three_bands"), "--bands", "780,850,940", "--skip-colour"]
    outcome = nircolor("colorize", mixed / "colour0.png", *words)
    assert outcome.code == 0, outcome
    assert files(tmp_path / "out") == ["colour0.png"]


def test_results_give_the_reason(tmp_path, tiny, mixed):
    options = {"model": tiny("per_pixel"), "skip_colour": True, "skip_existing": True}
    (tmp_path / "out").mkdir()
    save(tmp_path / "out" / "a.png", noise(3, 20, 20), "PNG")
    results = colorize(mixed, tmp_path / "out", **options)
    assert [(result.job.path.name, result.skipped, result.reason) for result in results] == [
        ("a.png", True, "output exists"),
        ("b.png", False, ""),
        *((f"colour{i}.png", True, "colour photograph") for i in range(4)),
    ]


def test_a_nodata_value_for_a_batch(nircolor, tmp_path, tiny):
    (tmp_path / "in").mkdir()
    array = noise(1, 20, 30, "uint16") | 1
    array[0, :5] = 0
    save(tmp_path / "in" / "a.tif", array)
    save(tmp_path / "in" / "b.tif", array.astype(np.uint8) | 1)
    words = ["colorize", tmp_path / "in", "-m", tiny("per_pixel")]
    assert nircolor(*words, "-o", tmp_path / "out", "--nodata", 0).code == 0
    rgb, profile = load(tmp_path / "out" / "a.tif")
    assert profile["nodata"] == 0
    np.testing.assert_array_equal((rgb > 0).all(axis=0), array[0] > 0)
    outcome = nircolor(*words, "-o", tmp_path / "more", "--nodata", 300)
    assert outcome.code == 1
    assert files(tmp_path / "more") == ["a.tif"]
    assert "b.tif: expected --nodata to be a whole number from 0 to 255, the values of uint8, got 300" in (
        outcome.err
    )


def test_a_nodata_value_that_is_no_number(nircolor, tmp_path):
    path = gray_png(tmp_path / "a.png")
    line = nircolor.refused("colorize", path, "-o", tmp_path / "out", "--nodata", "black")
    assert line == "--nodata: expected a number or none, got 'black'"


def test_info_repeats_the_nodata_value_in_its_commands(nircolor, tmp_path):
    array = noise(1, 40, 40, "int16")
    array[0, :10] = -9999
    path = save(tmp_path / "a.tif", array)
    outcome = nircolor("info", path, "--nodata", "-9999", "--scale", 30000)
    assert "75.0% of the pixels" in outcome.out
    assert "--nodata -9999" in outcome.out
