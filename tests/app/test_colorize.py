"""Tests of `nircolor colorize`: output files, messages, exit codes."""

import io
import os
import shutil
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from rich.progress import Progress

from nircolor.app import console
from nircolor.app.colorize import BatchProgress
from nircolor.app.console import conclude
from nircolor.errors import NircolorError
from nircolor.imagery.output import writer
from nircolor.inference import batch
from tests.app.command_line import files, gray_png, process, truncated_png
from tests.imagery.imagery_samples import load, names, noise, png_bytes, save

# --- output files


def test_an_image_is_colorized(nircolor, tmp_path, tiny):
    path = gray_png(tmp_path / "a.png")
    outcome = nircolor("colorize", path, "-o", tmp_path / "out", "-m", tiny("per_pixel"))
    assert outcome.code == 0
    assert outcome.out == ""
    assert outcome.err.startswith("1 image, 0.0 megapixels in ")
    assert outcome.err.endswith(f"-> {tmp_path / 'out'}\n")
    assert len(outcome.err.splitlines()) == 1
    nir, rgb = load(path)[0][0], load(tmp_path / "out" / "a.png")[0]
    np.testing.assert_array_equal(rgb[0], nir)
    np.testing.assert_array_equal(rgb[2], 255 - nir)


def test_scene_is_the_default(nircolor, tmp_path):
    path = gray_png(tmp_path / "a.png", side=64)
    assert nircolor("colorize", path, "-o", tmp_path / "b.jpg").code == 0
    assert load(tmp_path / "b.jpg")[0].shape == (3, 64, 64)


def test_a_16_bit_geotiff_keeps_depth_and_georeference(nircolor, tmp_path, tiny):
    place = {"crs": "EPSG:32632", "transform": (10.0, 0, 500_000, 0, -10, 5_000_000)}
    path = save(tmp_path / "a.tif", noise(1, 70, 90, "uint16"), nodata=0, **place)
    outcome = nircolor("colorize", path, "-o", tmp_path / "out", "-m", tiny("box"), "--tile", 72)
    assert outcome.code == 0, outcome
    rgb, profile = load(tmp_path / "out" / "a.tif")
    assert rgb.shape == (3, 70, 90)
    assert profile["dtype"] == "uint16"
    assert profile["crs"].to_epsg() == 32632
    assert tuple(profile["transform"])[:6] == place["transform"]
    assert files(tmp_path / "out") == ["a.tif"]


def test_folders_recursively_and_in_parallel(nircolor, tmp_path, tiny):
    for i, name in enumerate(("a.png", "x y/b.png", "x y/деревья/c.png")):
        gray_png(tmp_path / "in" / name, seed=i)
    words = ["colorize", tmp_path / "in", "-o", tmp_path / "out", "-m", tiny("per_pixel")]
    assert nircolor(*words, "-r", "--jobs", 3).code == 0
    assert files(tmp_path / "out") == ["a.png", "x y/b.png", "x y/деревья/c.png"]
    for name in files(tmp_path / "out"):
        np.testing.assert_array_equal(load(tmp_path / "out" / name)[0][0], load(tmp_path / "in" / name)[0][0])
    again = nircolor(*words, "-r", "--skip-existing")
    assert again.code == 0
    assert "0 images" in again.err
    assert "3 skipped" in again.err


def test_a_second_run_ignores_outputs_inside_the_input_folder(nircolor, tmp_path, tiny):
    gray_png(tmp_path / "a.png")
    words = ["colorize", tmp_path, "-r", "-o", tmp_path / "colour", "-m", tiny("per_pixel")]
    assert nircolor(*words).code == 0
    assert nircolor(*words, "--overwrite").code == 0
    assert files(tmp_path) == ["a.png", "colour/a.png"]


def test_bands_scale_and_depth_are_applied(nircolor, tmp_path, tiny):
    array = noise(3, 20, 20, "uint16") // 16
    path = save(tmp_path / "a.tif", array)
    outcome = nircolor(
        "colorize", path, "-o", tmp_path / "b.png", "-m", tiny("three_bands"),
        "--bands", "940,780,850", "--scale", 4095, "--depth", 8, "--device", "cpu",
    )  # fmt: skip
    assert outcome.code == 0, outcome
    assert "warning" not in outcome.err
    np.testing.assert_allclose(load(tmp_path / "b.png")[0] / 255, array[[1, 2, 0]] / 4095, atol=0.003)


@pytest.mark.parametrize("shape", [(1, 1), (100_000, 1), (1, 100_000)])
def test_extreme_shapes(nircolor, tmp_path, tiny, shape):
    path = save(tmp_path / "a.png", noise(1, *shape), "PNG")
    outcome = nircolor("colorize", path, "-o", tmp_path / "out", "-m", tiny("per_pixel"), "--tile", 512)
    assert outcome.code == 0, outcome
    np.testing.assert_array_equal(load(tmp_path / "out" / "a.png")[0][0], load(path)[0][0])


@pytest.mark.parametrize("value", [0, np.nan, np.inf, -1])
def test_constant_images(nircolor, tmp_path, value):
    path = save(tmp_path / "a.tif", np.full((1, 40, 50), value, np.float32))
    assert nircolor("colorize", path, "-o", tmp_path / "out").code == 0
    assert load(tmp_path / "out" / "a.tif")[0].shape == (3, 40, 50)


def test_invalid_pixels_become_transparent(nircolor, tmp_path, tiny):
    array = np.full((1, 40, 50), 0.5, np.float32)
    array[0, :3], array[0, 10, 10], array[0, 20, 20] = np.nan, np.inf, -0.5
    path = save(tmp_path / "a.tif", array)
    outcome = nircolor("colorize", path, "-o", tmp_path / "a.png", "-m", tiny("per_pixel"))
    assert outcome.code == 0, outcome
    rgba = load(tmp_path / "a.png")[0]
    np.testing.assert_array_equal(rgba[3] > 0, np.isfinite(array[0]))
    assert rgba[0, 20, 20] == 0


@pytest.mark.parametrize(
    ("name", "count", "options"),
    [
        ("a.png", 3, {"driver": "PNG"}),
        ("a.jpg", 3, {"driver": "JPEG"}),
        ("a.tif", 4, {"photometric": "CMYK"}),
    ],
)
def test_a_colour_photograph_is_colorized_with_a_warning(nircolor, tmp_path, name, count, options):
    path = save(tmp_path / name, noise(count, 40, 50), **options)
    outcome = nircolor("colorize", path, "-o", tmp_path / "out")
    assert outcome.code == 0
    warning, summary = outcome.err.splitlines()
    assert warning.startswith(f"warning: {path}: looks like a colour photograph")
    assert summary.startswith("1 image")
    assert load(tmp_path / "out" / name)[0].shape[1:] == (40, 50)


def test_gray_in_three_channels_does_not_warn(nircolor, tmp_path, tiny):
    path = save(tmp_path / "a.png", np.repeat(noise(1, 40, 50), 3, 0), "PNG")
    outcome = nircolor("colorize", path, "-o", tmp_path / "out", "-m", tiny("per_pixel"))
    assert outcome.code == 0
    assert len(outcome.err.splitlines()) == 1


def test_a_palette_image(nircolor, tmp_path, tiny):
    ramp = bytes(value for i in range(256) for value in (i, i, i))
    path = tmp_path / "a.png"
    path.write_bytes(png_bytes([bytes(range(200))] * 30, 200, 8, 3, (b"PLTE", ramp)))
    assert nircolor("colorize", path, "-o", tmp_path / "out", "-m", tiny("per_pixel")).code == 0
    np.testing.assert_array_equal(load(tmp_path / "out" / "a.png")[0][0, 0], np.arange(200))


# --- batches with failures


def test_failures_for_one_reason_share_a_line_with_all_names(nircolor, tmp_path, tiny):
    folder = tmp_path / "in"
    for i in range(1, 13):
        gray_png(folder / f"f_{i}.png")
    (folder / "x.png").write_text("no image")
    (tmp_path / "out").mkdir()
    gray_png(tmp_path / "out" / "f_3.png")
    words = ["colorize", folder, "-o", tmp_path / "out", "-m", tiny("per_pixel"), "--jobs", 2]
    outcome = nircolor(*words, "--bands", "400,500")
    _, count, *lines = outcome.err.splitlines()
    assert (outcome.code, count) == (1, "13 failed:")
    same, other = sorted(lines, key=lambda line: "x.png" in line)
    assert same.startswith(f"  12 files in {folder}: f_1.png to f_12.png: 2 wavelengths were given")
    assert other.startswith(f"  {folder / 'x.png'}: expected a PNG")
    # reasons that name the outputs
    assert nircolor(*words).code == 1
    outcome = nircolor(*words)
    out = tmp_path / "out"
    assert f"  12 files in {out}: f_1.png to f_12.png: exists already; it is replaced" in outcome.err


def test_reasons_that_differ_in_a_number_share_a_line(capsys):
    failures = [
        (Path("a/1.png"), NircolorError("a/1.png: expected 3 bands, got 4")),
        (Path("b/2.png"), NircolorError("b/2.png: expected 5 bands, got 4")),
        (Path("b/2.png"), NircolorError("b/2.png: expected 5 bands, got 6")),
        # named after an option, so that their own names are added
        (Path("c.png"), NircolorError("--depth: not here")),
        (Path("d.png"), NircolorError("--depth: not here")),
        (Path("e.png"), MemoryError()),
    ]
    with pytest.raises(SystemExit):
        conclude("done", failures)
    assert capsys.readouterr().err.splitlines()[2:] == [
        "  2 files: a/1.png, b/2.png: expected 3 to 5 bands, got 4",
        "  b/2.png: expected 5 bands, got 6",
        "  2 files: c.png, d.png: --depth: not here",
        "  e.png: out of memory",
    ]


@pytest.mark.parametrize("jobs", [1, 3])
def test_failures_are_listed_at_the_end(nircolor, tmp_path, tiny, jobs):
    for i in range(5):
        gray_png(tmp_path / "in" / f"{i}.png", seed=i)
    (tmp_path / "in" / "1 [b].png").write_text("no image")
    truncated_png(tmp_path / "in")
    outcome = nircolor(
        "colorize", tmp_path / "in", "-o", tmp_path / "out", "-m", tiny("per_pixel"), "-j", jobs
    )
    assert outcome.code == 1
    summary, count, *lines = outcome.err.splitlines()
    assert summary.startswith("5 images, ")
    assert count == "2 failed:"
    assert sorted(lines)[0].startswith(f"  {tmp_path / 'in' / '1 [b].png'}: expected a PNG")
    assert sorted(lines)[1].startswith(f"  {tmp_path / 'in' / 'a.png'}: ")
    assert files(tmp_path / "out") == [f"{i}.png" for i in range(5)]


def test_jobs_run_in_parallel(nircolor, tmp_path, tiny, monkeypatch):
    for i in range(3):
        gray_png(tmp_path / "in" / f"{i}.png")
    together = threading.Barrier(3, timeout=10)
    monkeypatch.setattr(batch.Colorizer, "colorize_file", lambda *_args, **_kwargs: together.wait())
    words = ["colorize", tmp_path / "in", "-o", tmp_path / "out", "-m", tiny("per_pixel")]
    assert nircolor(*words, "-j", 3).code == 0


def test_an_unexpected_exception_is_reported_and_the_others_continue(nircolor, tmp_path, tiny, monkeypatch):
    for name in ("a.png", "b.png"):
        gray_png(tmp_path / "in" / name)
    real = batch.Colorizer.colorize_file

    def sometimes(self, path, *args, **kwargs):
        if path.name == "a.png":
            raise ZeroDivisionError("oops")
        real(self, path, *args, **kwargs)

    monkeypatch.setattr(batch.Colorizer, "colorize_file", sometimes)
    outcome = nircolor("colorize", tmp_path / "in", "-o", tmp_path / "out", "-m", tiny("per_pixel"))
    assert outcome.code == 1
    assert f"{tmp_path / 'in' / 'a.png'}: unexpected ZeroDivisionError: oops" in outcome.err
    assert files(tmp_path / "out") == ["b.png"]


def test_each_image_counts_once_in_a_warning_in_parallel(nircolor, tmp_path, tiny):
    for i in range(6):
        path = tmp_path / "in" / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        save(path, noise(3, 30, 30, seed=i), "PNG")
    outcome = nircolor("colorize", tmp_path / "in", "-o", tmp_path / "out", "-m", tiny("per_pixel"), "-j", 3)
    assert outcome.code == 0
    warning, summary = outcome.err.splitlines()
    assert warning.startswith("warning: 6 images: looks like a colour photograph")
    assert summary.startswith("6 images, ")


# --- progress bar


def test_no_progress_bar_without_a_terminal(tmp_path, tiny):
    ran = process("colorize", gray_png(tmp_path / "a.png"), "-o", tmp_path / "out", "-m", tiny("per_pixel"))
    out, err = ran.communicate(timeout=60)
    assert ran.returncode == 0
    assert out == ""
    assert len(err.splitlines()) == 1
    assert "\x1b" not in err
    assert "\r" not in err


def test_progress_bar_shows_files_and_megapixels(nircolor, tmp_path, tiny, monkeypatch):
    screen = Console(file=io.StringIO(), force_terminal=True, width=300)
    monkeypatch.setattr(console, "errors", screen)
    for i in range(3):
        gray_png(tmp_path / "in" / f"{i}.png", side=200)
    save(tmp_path / "in" / "rgb.png", noise(3, 50, 50), "PNG")
    updates = []
    real = Progress.update

    def note(self, task, **fields):
        real(self, task, **fields)
        updates.append((self.tasks[0].completed, self.tasks[0].total, self.tasks[0].description))

    monkeypatch.setattr(Progress, "update", note)
    outcome = nircolor(
        "colorize", tmp_path / "in", "-o", tmp_path / "out", "-m", tiny("per_pixel"), "--tile", 64
    )
    assert outcome.code == 0
    shown = screen.file.getvalue()
    assert "4/4 files" in shown
    assert "100%" in shown
    assert "MP/s" in shown
    assert "looks like a colour photograph" in shown
    done = [completed for completed, _, _ in updates]
    assert done == sorted(done)
    assert done[-1] == pytest.approx(updates[-1][1])
    assert updates[-1][2] == "4/4 files"


def test_missing_files_in_a_batch(nircolor, tmp_path, tiny):
    words = [tmp_path / "x.png", tmp_path / "y.png", "-o", tmp_path / "out", "-m", tiny("per_pixel")]
    outcome = nircolor("colorize", *words)
    assert outcome.code == 1
    assert "2 failed" in outcome.err


# --- a full disk


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ([], "the same command with --skip-existing continues"),
        (["--skip-existing"], "the same command continues"),
        (["--overwrite"], "the same command with --skip-existing instead of --overwrite continues"),
    ],
)
def test_a_full_disk_ends_a_batch_in_one_line(nircolor, tmp_path, tiny, monkeypatch, options, advice):
    for i in range(4):
        gray_png(tmp_path / "in" / f"{i}.png")
    # too late for the errors of GDAL: the block is missing in the finished file
    check, checked = writer.check_complete, []

    def fill(path, shown):
        checked.append(path)
        if len(checked) > 2:
            monkeypatch.setattr(shutil, "disk_usage", lambda _folder: shutil._ntuple_diskusage(1, 1, 0))
            raise NircolorError(f"{shown}: could not be written in full (is the disk full?)")
        check(path, shown)

    monkeypatch.setattr(writer, "check_complete", fill)
    words = ["colorize", tmp_path / "in", "-o", tmp_path / "out", "-m", tiny("per_pixel"), *options]
    outcome = nircolor(*words)
    assert (outcome.code, len(checked)) == (2, 3)
    path = tmp_path / "out" / "2.png"
    assert outcome.err.splitlines() == [
        f"error: {path}: cannot be written (No space left on device); finished images are kept, no image is "
        f"incomplete; {advice}"
    ]
    assert names(tmp_path / "out") == ["0.png", "1.png"]


# --- Ctrl-C


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_an_interrupt_leaves_no_incomplete_image(tmp_path, name):
    gray_png(tmp_path / "in" / "a.png", side=64)
    gray_png(tmp_path / "in" / "b.png", side=3000)
    out = tmp_path / "out"
    ran = process("colorize", tmp_path / "in", "-o", out, "--tile", 176)
    for _ in range(600):
        if out.exists() and (out / "a.png").exists() and len(names(out)) > 1:
            break
        assert ran.poll() is None, ran.communicate()
        time.sleep(0.05)
    ran.send_signal(getattr(signal, name))
    _, err = ran.communicate(timeout=30)
    assert ran.returncode == 130, err
    assert err.splitlines() == [
        "stopping…",
        "interrupted; finished images are kept, no image is incomplete; the same command with "
        "--skip-existing continues",
    ]
    assert names(out) == ["a.png"]


def test_an_interrupt_between_two_images_stops_the_running_one(nircolor, tmp_path, tiny, monkeypatch):
    gray_png(tmp_path / "in" / "a.png")
    gray_png(tmp_path / "in" / "b.png", side=1500)

    def interrupt(*_args):
        raise KeyboardInterrupt

    monkeypatch.setattr(BatchProgress, "finish", interrupt)
    words = ["colorize", tmp_path / "in", "-o", tmp_path / "out", "-m", tiny("per_pixel"), "--tile", 8]
    outcome = nircolor(*words, "-j", 2)
    assert outcome.code == 130
    assert names(tmp_path / "out") == ["a.png"]


@pytest.mark.parametrize("debug", [False, True])
def test_debug_prints_tracebacks_in_a_batch(nircolor, tmp_path, tiny, debug):
    good, bad = gray_png(tmp_path / "a.png"), tmp_path / "b.png"
    bad.write_text("no image")
    words = ["colorize", good, bad, "-o", tmp_path / "out", "-m", tiny("per_pixel")]
    outcome = nircolor(*words, *(["--debug"] if debug else []))
    assert outcome.code == 1
    assert ("Traceback" in outcome.err) is debug


def test_numpy_gets_one_thread_unless_the_user_sets_it(nircolor, tmp_path, tiny, monkeypatch):
    path = save(tmp_path / "a.png", noise(1, 8, 8), "PNG")
    # set, so that it is restored after the test
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    words = ["colorize", path, "-m", tiny("per_pixel"), "-o"]
    assert nircolor(*words, tmp_path / "b.png").code == 0
    assert os.environ["OPENBLAS_NUM_THREADS"] == "3"
    monkeypatch.delenv("OPENBLAS_NUM_THREADS")
    assert nircolor(*words, tmp_path / "c.png").code == 0
    assert os.environ["OPENBLAS_NUM_THREADS"] == "1"
