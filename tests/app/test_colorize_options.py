"""Tests of `nircolor colorize`: names and formats of outputs, --dry-run, --quiet, --verbose."""

import json
import re

import numpy as np
import pytest

from nircolor.inference import engine
from tests.app.command_line import files, gray_png, truncated_png
from tests.imagery.imagery_samples import load, noise, save


@pytest.fixture
def colorize(nircolor, tiny):
    """Run `nircolor colorize` with a small model."""
    return lambda *words: nircolor("colorize", *words, "-m", tiny("per_pixel"))


# --- names and formats


@pytest.mark.parametrize("extension", ["png", "jpg", "tif"])
def test_the_format_of_a_folder(colorize, folder, tmp_path, extension):
    assert colorize(folder, "-o", tmp_path / "out", "--format", extension).code == (extension == "jpg") * 0
    assert files(tmp_path / "out") == [f"a.{extension}", f"b.{extension}"]
    driver = {"png": "PNG", "jpg": "JPEG", "tif": "GTiff"}[extension]
    assert load(tmp_path / "out" / f"b.{extension}")[1]["driver"] == driver


def test_two_inputs_with_one_output_do_not_stop_the_others(colorize, folder, tmp_path):
    for name in ("a.tif", "c.tif", "c.jpg"):
        save(folder / name, noise(1, 30, 20), "JPEG" if name == "c.jpg" else "GTiff")
    out = tmp_path / "out"
    first = f"{folder / 'a.png'} and {folder / 'a.tif'} -> {out / 'a.png'}"
    second = f"{folder / 'c.jpg'} and {folder / 'c.tif'} -> {out / 'c.png'}"
    for options in (["--dry-run"], []):
        done = colorize(folder, "-o", out, "--format", "png", *options)
        assert done.code == 1
        assert done.err.splitlines()[1:] == [
            "4 failed:",
            f"  4 files: {first}, {second}: two inputs have one output; leave out --format, colorize one of "
            "them with --suffix, or into another folder",
        ]
    assert files(out) == ["b.png"]
    # the option that is named helps
    assert colorize(folder, "-o", tmp_path / "other").code == 0


def test_a_format_that_contradicts_the_name_is_refused(nircolor, folder, tmp_path):
    line = nircolor.refused("colorize", folder / "a.png", "-o", tmp_path / "x.png", "--format", "tif")
    assert line == f"{tmp_path / 'x.png'}: expected a name that ends in .tif, as --format says"


def test_a_format_that_agrees_with_the_name(colorize, folder, tmp_path):
    assert colorize(folder / "a.png", "-o", tmp_path / "x.jpeg", "--format", "jpg").code == 0


def test_a_suffix_lets_the_outputs_go_into_the_folder_of_the_inputs(colorize, folder):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    first = colorize(folder, "-o", folder, "--suffix", "_colour")
    assert first.code == 0, first
    assert files(folder) == ["a.png", "a_colour.png", "b.tif", "b_colour.tif"]
    assert {name: (folder / name).read_bytes() for name in before} == before
    assert load(folder / "b_colour.tif")[1]["dtype"] == "uint16"
    # again: the results of the first run are no inputs
    for words in ([folder], sorted(folder.iterdir()), [f"{folder}/*"]):
        again = colorize(*words, "-o", folder, "--suffix", "_colour", "--overwrite")
        assert again.code == 0, again
        assert "left out 2 images that end in _colour: results of an earlier run" in again.err
        assert files(folder) == ["a.png", "a_colour.png", "b.tif", "b_colour.tif"]
    assert {name: (folder / name).read_bytes() for name in before} == before
    assert "2 skipped" in colorize(folder, "-o", folder, "--suffix", "_colour", "--skip-existing").err


def test_a_suffix_and_a_format_with_subfolders(colorize, folder, tmp_path):
    gray_png(folder / "sub" / "c.png")
    words = [folder, "-o", tmp_path / "out", "-r", "--suffix", ".rgb", "--format", "tif"]
    assert colorize(*words).code == 0
    assert files(tmp_path / "out") == ["a.rgb.tif", "b.rgb.tif", "sub/c.rgb.tif"]


def test_a_suffix_needs_a_folder_and_is_part_of_a_name(nircolor, folder, tmp_path):
    words = ["colorize", folder / "a.png", "-o"]
    line = nircolor.refused(*words, tmp_path / "x.png", "--suffix", "_colour")
    assert line == f"{tmp_path / 'x.png'}: expected a folder with --suffix, got a file name"
    line = nircolor.refused(*words, tmp_path, "--suffix", "../x")
    assert line.startswith("--suffix: expected a part of a file name")


@pytest.mark.parametrize("folder", [False, True])
def test_saturation(colorize, tmp_path, folder):
    path = gray_png(tmp_path / "in" / "a.png")
    target = tmp_path / "out"
    words = [path.parent if folder else path, "-o", target, "--saturation", 0.5]
    assert colorize(*words).code == 0
    nir = load(path)[0].astype(np.float32) / 255
    plain = np.concatenate([nir, nir / 2, 1 - nir])
    expected = plain.mean(0) + 0.5 * (plain - plain.mean(0))
    np.testing.assert_allclose(load(target / "a.png")[0] / 255, expected, atol=0.51 / 255)


def test_the_quality_of_a_jpeg(colorize, nircolor, tmp_path):
    path = gray_png(tmp_path / "a.png", side=200)
    sizes, errors = [], []
    for quality in (1, 50, 100):
        output = tmp_path / f"{quality}.jpg"
        assert colorize(path, "-o", output, "--quality", quality).code == 0
        sizes.append(output.stat().st_size)
        errors.append(np.abs(load(output)[0][0].astype(int) - load(path)[0][0]).mean())
    assert sizes == sorted(sizes)
    assert errors == sorted(errors, reverse=True)
    assert colorize(path, "-o", tmp_path / "default.jpg").code == 0
    assert colorize(path, "-o", tmp_path / "95.jpg", "--quality", 95).code == 0
    assert (tmp_path / "default.jpg").read_bytes() == (tmp_path / "95.jpg").read_bytes()
    for value in ("0", "101", "500", "high", "-5"):
        line = nircolor.refused("colorize", path, "-o", tmp_path / "x.jpg", f"--quality={value}")
        assert line == f"--quality: expected a whole number from 1 to 100, got '{value}'"
    line = nircolor.refused("colorize", path, "-o", tmp_path / "x.png", "--quality", 50)
    assert line == "--quality: expected JPEG outputs (--format jpg), got .png"


# --- dry run


def test_a_dry_run_lists_and_writes_nothing(colorize, folder, tmp_path, monkeypatch):
    truncated_png(folder / "bad")
    (folder / "bad" / "a.png").write_text("no image")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "b.tif").write_text("mine")
    before = files(tmp_path)

    def refuse(*_args, **_options):
        raise AssertionError("a dry run loads no network")

    monkeypatch.setattr(engine, "open_engine", refuse)
    words = [folder, "-o", tmp_path / "out", "-r", "--dry-run"]
    listed = colorize(*words)
    assert listed.code == 1
    assert [re.sub(":.*", "", line) for line in listed.out.splitlines()] == [
        f"{folder / 'a.png'} -> {tmp_path / 'out' / 'a.png'}"
    ]
    assert "band 1, 1.0 means 255" in listed.out
    summary, count, *failures = listed.err.splitlines()
    assert summary == f"1 image, nothing written (dry run) -> {tmp_path / 'out'}"
    assert count == "2 failed:"
    assert failures[0].startswith(f"  {tmp_path / 'out' / 'b.tif'}: exists already")
    assert failures[1].startswith(f"  {folder / 'bad' / 'a.png'}: expected a PNG")
    assert files(tmp_path) == before
    skipping = colorize(*words, "--skip-existing")
    assert f"{folder / 'b.tif'}: skipped, {tmp_path / 'out' / 'b.tif'} exists" in skipping.out
    assert "1 skipped" in skipping.err


@pytest.mark.parametrize(
    ("name", "count", "options"),
    [
        ("a.png", 2, []),
        ("a.tif", 1, ["--depth", "16", "--format", "jpg"]),
        ("a.tif", 1, ["--bands", "400"]),
        ("a.tif", 1, ["--scale", "-1"]),
        ("a.tif", 1, ["--model", "missing.onnx"]),
        ("a.tif", 1, ["-o", "file/x"]),
        ("a.tif", 1, []),
    ],
)
def test_a_dry_run_decides_as_the_real_run(nircolor, tmp_path, monkeypatch, name, count, options):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    path = save(tmp_path / name, noise(count, 20, 20), "PNG" if name == "a.png" else "GTiff")
    words = ["colorize", path, *([] if "-o" in options else ["-o", "out"]), *options]
    planned, real = nircolor(*words, "--dry-run"), nircolor(*words)
    assert planned.code == real.code
    if real.code:
        assert planned.err.split(" (")[0].strip() == real.err.split(" (")[0].strip()


# --- amounts of output


def test_quiet_prints_errors_only(colorize, folder, tmp_path):
    save(folder / "rgb.png", noise(3, 20, 20), "PNG")
    done = colorize(folder, "-o", tmp_path / "out", "-q")
    assert (done.code, done.out, done.err) == (0, "", "")
    (folder / "c.png").write_text("no image")
    done = colorize(folder, "-o", tmp_path / "out", "--quiet", "--overwrite")
    assert (done.code, done.out) == (1, "")
    assert [line.split(": ")[0] for line in done.err.splitlines()] == ["1 failed:", f"  {folder / 'c.png'}"]


def test_verbose_prints_a_line_per_image(nircolor, tmp_path, tiny):
    path = save(tmp_path / "a.tif", noise(3, 20, 20, "uint16"))
    model = tiny("three_bands")
    words = ["--bands", "940,780,850", "--scale", 4095]
    done = nircolor("colorize", path, "-o", tmp_path / "out", "-m", model, "-v", *words)
    assert done.code == 0
    *_, line, _summary = done.err.splitlines()
    assert line.startswith(
        f"{path} -> {tmp_path / 'out' / 'a.tif'}: {model}, bands 1, 2, 3 (940, 780, 850 nm), 1.0 means 4095"
    )
    assert re.search(r", \d+\.\d s$", line)


def test_options_that_exclude_each_other(nircolor):
    line = nircolor.refused("colorize", "a", "-o", "b", "-q", "-v")
    assert line == "expected either --quiet or --verbose, got both"
    line = nircolor.refused("colorize", "a", "-o", "b", "--overwrite", "--skip-existing")
    assert line == "expected either --skip-existing or --overwrite, got both"


@pytest.mark.parametrize("dry", [True, False])
def test_json_has_the_same_keys_for_every_result(colorize, folder, tmp_path, dry):
    (folder / "c.png").write_text("no image")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.png").touch()
    words = [folder, "-o", tmp_path / "out", "--skip-existing", "--json", *(["--dry-run"] if dry else [])]
    done = colorize(*words)
    assert done.code == 1
    one, two, three = sorted(json.loads(done.out), key=lambda result: result["input"])
    assert set(one) == set(two) == set(three)
    assert (one["status"], one["reason"], one["width"]) == ("skipped", "output exists", None)
    assert (two["input"], two["output"]) == (str(folder / "b.tif"), str(tmp_path / "out" / "b.tif"))
    assert two["status"] == ("planned" if dry else "done")
    assert (two["width"], two["height"], two["bands"]) == (20, 30, [1])
    assert (two["scale"], two["error"]) == (65535, None)
    assert three["status"] == "failed"
    assert three["error"].startswith(f"{folder / 'c.png'}: expected a PNG")


def test_json_and_standard_output_exclude_each_other(nircolor):
    line = nircolor.refused("colorize", "a", "-o", "-", "--json")
    assert line == "expected either --json or -o -, got both: each writes to standard output"
