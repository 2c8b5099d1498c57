"""Tests of the entry point: help, version, one-line errors, imports at start."""

import subprocess
import sys

import pytest

from nircolor import __version__, extras
from tests.app.command_line import process
from tests.imagery.imagery_samples import noise, save


def test_version(nircolor):
    outcome = nircolor("--version")
    assert (outcome.code, outcome.out) == (0, f"nircolor {__version__}\n")


def test_help_lists_the_commands(nircolor):
    outcome = nircolor("--help")
    assert outcome.code == 0
    for command in ("colorize", "models", "info", "demo", "train", "export"):
        assert command in outcome.out


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from nircolor.app.main import main; sys.argv = ['nircolor', '--help']\n"
        "try: main()\n"
        "except SystemExit: print('loaded', *sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.splitlines()[-1].split()
    assert loaded[0] == "loaded"
    assert not {"numpy", "rasterio", "onnxruntime", "pydantic", "torch", "lightning"} & set(loaded)


def test_an_error_is_one_line_without_a_traceback(nircolor, tmp_path):
    line = nircolor.refused("colorize", tmp_path / "a.png", "-o", tmp_path / "out")
    assert line == f"{tmp_path / 'a.png'}: no such file"


@pytest.mark.parametrize("first", [True, False])
def test_debug_prints_the_traceback_in_any_position(nircolor, tmp_path, first):
    words = ["colorize", tmp_path / "a.png", "-o", tmp_path / "out"]
    outcome = nircolor(*(["--debug", *words] if first else [*words, "--debug"]))
    assert outcome.code == 2
    assert "Traceback" in outcome.err
    assert outcome.err.splitlines()[-1] == f"error: {tmp_path / 'a.png'}: no such file"


def test_an_error_of_the_operating_system_is_one_line(nircolor, tmp_path):
    line = nircolor.refused("colorize", "a" * 5000, "-o", tmp_path / "out")
    assert "File name too long" in line


def test_in_a_separate_process(tmp_path):
    ran = process("colorize", tmp_path / "a.png", "-o", tmp_path / "out")
    out, err = ran.communicate(timeout=60)
    assert (ran.returncode, out, err) == (2, "", f"error: {tmp_path / 'a.png'}: no such file\n")


@pytest.mark.parametrize(
    "words",
    [
        ["colorize", "a.png"],
        ["colorize", "-o", "out"],
        ["colorize", "a.png", "-o", "out", "--depth", "12"],
        ["colorize", "a.png", "-o", "out", "--jobs", "0"],
        ["colorize", "a.png", "-o", "out", "--tile", "0"],
        ["colorize", "a.png", "-o", "out", "--device", "tpu"],
        ["colorise"],
    ],
)
def test_wrong_options_exit_with_2(nircolor, words):
    outcome = nircolor(*words)
    assert outcome.code == 2
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize(
    ("option", "value", "match"),
    [
        ("--bands", "850;940", "--bands: expected numbers separated by commas, got '850;940'"),
        ("--stretch", "1", "--stretch: expected two percentiles, the lower one first, got '1'"),
        ("--stretch", "99,1", "the lower one first"),
        ("--stretch", "nan,99", "the lower one first"),
        ("--stretch", "1,101", "the lower one first"),
        ("--bands", "850,-3", "expected wavelengths in nm"),
        ("--bands", "850", "1 wavelengths were given, but the image has 2 band"),
        ("--scale", "0", "expected a positive --scale"),
        ("--scale", "nan", "expected a positive --scale"),
    ],
)
def test_invalid_values_of_options(nircolor, tmp_path, option, value, match):
    path = save(tmp_path / "a.tif", noise(2, 8, 8))
    assert match in nircolor.refused("colorize", path, "-o", tmp_path / "out", option, value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("words", [["train", "--config", "a.yaml"], ["export", "a.ckpt", "-o", "a.onnx"]])
def test_a_missing_extra_is_reported_with_the_install_command(nircolor, monkeypatch, words):
    monkeypatch.setattr(extras, "find_spec", lambda _package: None)
    line = nircolor.refused(*words)
    assert line == f"nircolor {words[0]} needs more than the base install: pip install 'nircolor[train]'"
