"""Printing of warnings: one line each, the same problem of several files in one line."""

import threading
import time
import warnings

import numpy as np
import pytest

from nircolor.app import console
from nircolor.app.console import show_warnings
from nircolor.errors import NircolorWarning
from tests.imagery.imagery_samples import noise, save

COLOUR = "looks like a colour photograph; name its bands with --bands"


def _warn(problem, path=None):
    warnings.warn(NircolorWarning(problem, path=path), stacklevel=1)


def _lines(capsys):
    return capsys.readouterr().err.splitlines()


def test_the_same_problem_of_many_images_is_one_line(capsys):
    with show_warnings(unit="images"):
        for i in range(18):
            _warn(COLOUR, f"{i:02}.png")
        _warn("holds 2 pages", "b.tif")
        _warn("no file")
    assert _lines(capsys) == [
        "warning: no file",
        f"warning: 18 images: {COLOUR}: 00.png, 01.png, 02.png, …",
        "warning: b.tif: holds 2 pages",
    ]


def test_a_single_file_prints_at_once(capsys):
    with show_warnings():
        _warn(COLOUR, "a.png")
        assert _lines(capsys) == [f"warning: a.png: {COLOUR}"]
        _warn(COLOUR, "b.png")
    assert _lines(capsys) == [f"warning: b.png: {COLOUR}"]


def test_the_first_number_may_differ_and_no_other(capsys):
    with show_warnings(unit="images"):
        for largest, bits in ((4000, 12), (2100, 12), (900, 10), (3000.5, 12)):
            _warn(
                f"uint16 whose values (up to {largest}) fit {bits} bits; --scale {2**bits - 1}", f"{largest}"
            )
    assert _lines(capsys) == [
        "warning: 3 images: uint16 whose values (up to 2100 to 4000) fit 12 bits; --scale 4095: "
        "4000, 2100, 3000.5",
        "warning: 900: uint16 whose values (up to 900) fit 10 bits; --scale 1023",
    ]


def test_a_file_counts_once(capsys):
    with show_warnings(unit="images"):
        _warn(COLOUR, "a.png")
        _warn(COLOUR, "a.png")
    assert _lines(capsys) == [f"warning: a.png: {COLOUR}"]


def test_advice_on_options_that_the_command_lacks_is_left_out(capsys):
    with show_warnings(options=False):
        _warn(COLOUR, "a.png")
        _warn("holds 2 pages; save them as files", "a.tif")
        _warn("c.tif: text without a path; give --scale")
    assert _lines(capsys) == [
        "warning: a.png: looks like a colour photograph",
        "warning: a.tif: holds 2 pages; save them as files",
        "warning: c.tif: text without a path",
    ]


def test_held_warnings_are_printed_after_an_error(capsys):
    def interrupted():
        with show_warnings(unit="images"):
            _warn(COLOUR, "a.png")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(_lines(capsys)) == 1


def test_in_a_long_run_warnings_are_printed_now_and_then(capsys, monkeypatch):
    monkeypatch.setattr(console, "_FIRST_WAIT_S", 0.05)
    with show_warnings(unit="images"):
        _warn(COLOUR, "a.png")
        _warn(COLOUR, "b.png")
        deadline = time.monotonic() + 10
        shown = ""
        while not shown and time.monotonic() < deadline:
            time.sleep(0.01)
            shown = capsys.readouterr().err
        assert shown.startswith("warning: 2 images: ")
        _warn(COLOUR, "c.png")
    assert _lines(capsys) == [f"warning: c.png: {COLOUR}"]


def test_warnings_of_threads_are_counted_together(capsys):
    with show_warnings(unit="images"):
        threads = [threading.Thread(target=_warn, args=(COLOUR, f"{i}.png")) for i in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert _lines(capsys)[0].startswith("warning: 20 images: ")


def test_colorize_groups_the_warnings_of_a_folder(nircolor, tmp_path, tiny):
    (tmp_path / "in").mkdir()
    for i in range(5):
        save(tmp_path / "in" / f"{i}.png", noise(3, 20, 20, seed=i), "PNG")
    words = ["-o", tmp_path / "out", "-m", tiny("per_pixel"), "--overwrite"]
    outcome = nircolor("colorize", tmp_path / "in", *words, "--jobs", 2)
    assert outcome.code == 0
    warned = [line for line in outcome.err.splitlines() if line.startswith("warning")]
    assert len(warned) == 1
    assert warned[0].startswith("warning: 5 images: looks like a colour photograph, not near-infrared")
    assert "--bands: " in warned[0]
    alone = nircolor("colorize", tmp_path / "in" / "0.png", *words)
    assert f"warning: {tmp_path / 'in' / '0.png'}: looks like a colour photograph" in alone.err


def test_dark_images_are_one_group(nircolor, tmp_path, tiny):
    (tmp_path / "in").mkdir()
    for i in range(3):
        save(tmp_path / "in" / f"{i}.tif", noise(1, 20, 20, "uint16", seed=i) // np.uint16(16))
    outcome = nircolor("colorize", tmp_path / "in", "-o", tmp_path / "out", "-m", tiny("per_pixel"))
    assert "warning: 3 images: uint16 without a value of 16384 or more reads" in outcome.err


@pytest.mark.parametrize("kind", ["nan", "nodata", "alpha"])
def test_an_image_without_a_valid_pixel(nircolor, tmp_path, tiny, kind):
    folder, out, model = tmp_path / "in", tmp_path / "out", tiny("per_pixel")
    folder.mkdir()
    if kind == "nan":
        path = save(folder / "a.tif", np.full((1, 20, 20), np.nan, np.float32))
    elif kind == "nodata":
        path = save(folder / "a.tif", np.full((1, 20, 20), 7, np.uint8), nodata=7)
    else:
        path = save(folder / "a.png", np.stack([noise(1, 20, 20)[0], np.zeros((20, 20), np.uint8)]), "PNG")
    save(folder / "b.png", noise(1, 20, 20), "PNG")
    text = f"{path}: has no valid pixel, so that its output is empty"
    outcome = nircolor("colorize", folder, "-o", out, "-m", model)
    assert (outcome.code, outcome.err.count("no valid pixel")) == (0, 1)
    assert f"warning: {text}" in outcome.err
    assert text in nircolor("info", path).err
    if kind == "nan":
        # frames of a sequence too
        save(folder / "b.tif", noise(1, 20, 20).astype(np.float32) / 255)
        (folder / "b.png").unlink()
        done = nircolor("colorize", folder, "-o", tmp_path / "frames", "-m", model, "--sequence")
        assert (done.code, done.err.count(text)) == (0, 1)
