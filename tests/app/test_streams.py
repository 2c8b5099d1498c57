"""Tests of ``-`` as input and output, in separate processes with real pipes."""

import errno
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from tests.app.command_line import gray_png
from tests.imagery.imagery_samples import load, noise, save


def run(*words, given=b"", **options):
    command = [sys.executable, "-c", "from nircolor.__main__ import main; main()", *map(str, words)]
    return subprocess.run(command, input=given, capture_output=True, check=False, timeout=60, **options)


@pytest.fixture
def standard_input(monkeypatch):
    """Set what this process reads from standard input."""
    return lambda data: monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def pixels(data, tmp_path):
    path = tmp_path / "received"
    path.write_bytes(data)
    return load(path)[0]


def lines(done):
    return done.stderr.decode().splitlines()


def test_from_standard_input_to_standard_output(tmp_path, tiny):
    path = gray_png(tmp_path / "a.png")
    done = run("colorize", "-", "-o", "-", "-m", tiny("per_pixel"), given=path.read_bytes())
    assert done.returncode == 0, done.stderr
    # nothing but the image
    assert done.stdout.startswith(b"\x89PNG\r\n\x1a\n")
    assert done.stdout.endswith(b"IEND\xaeB`\x82")
    np.testing.assert_array_equal(pixels(done.stdout, tmp_path)[0], load(path)[0][0])
    (summary,) = lines(done)
    assert summary.startswith("1 image, ")
    assert summary.endswith("-> standard output")


@pytest.mark.parametrize(
    ("driver", "name", "options", "start"),
    [
        ("PNG", "a.png", [], b"\x89PNG"),
        ("JPEG", "a.jpg", [], b"\xff\xd8\xff"),
        ("GTiff", "a.tif", [], b"II*\x00"),
        ("GTiff", "a.tif", ["--format", "png"], b"\x89PNG"),
        ("PNG", "a.png", ["--format", "jpg", "--quality", "20"], b"\xff\xd8\xff"),
        ("PNG", "a.png", ["--format", "tif", "--depth", "16"], b"II*\x00"),
    ],
)
@pytest.mark.parametrize("piped", [True, False])
def test_the_format_is_that_of_the_input_or_the_option(
    nircolor, standard_input, tmp_path, tiny, monkeypatch, driver, name, options, start, piped
):
    path = save(tmp_path / name, noise(1, 20, 20), driver)
    standard_input(path.read_bytes() if piped else b"")
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO()))
    nircolor("colorize", "-" if piped else path, "-o", "-", "-m", tiny("per_pixel"), *options)
    assert sys.stdout.buffer.getvalue().startswith(start)


def test_standard_input_to_a_file(nircolor, standard_input, tmp_path, tiny):
    path = gray_png(tmp_path / "a.png")
    words = ["colorize", "-", "-m", tiny("per_pixel"), "-o"]
    standard_input(path.read_bytes())
    assert nircolor(*words, tmp_path / "b.jpg").code == 0
    assert load(tmp_path / "b.jpg")[0].shape == (3, 24, 24)
    for folder in (tmp_path, tmp_path / "new"):
        standard_input(path.read_bytes())
        line = nircolor.refused(*words, folder)
        assert line == f"{folder}: expected a file name, or -, for the image from standard input"


@pytest.mark.parametrize(
    ("given", "words", "message"),
    [
        (b"", ["-", "-o", "-"], "standard input: the file is empty"),
        (b"no image", ["-", "-o", "-"], "standard input: expected a "),
        (b"ENVI\nsamples = 1\n", ["-", "-o", "-"], "standard input: an ENVI header needs the data file"),
        (b"x", ["-", "a.png", "-o", "-"], "-: expected one input with standard input, got 2"),
        (b"", ["a.png", "b.png", "-o", "-"], "-: expected one input with standard output, got 2"),
        (b"", ["missing.png", "-o", "-"], "missing.png: no such file"),
        (b"", [".", "-o", "-"], "-o -: expected one image, got the folder ."),
        (b"", ["a.png", "-o", "-", "--suffix", "_x"], "--suffix: expected an output file or folder, got "),
        (b"", ["-", "-o", "-", "--overwrite"], "--overwrite: expected an output file or folder, got "),
        (b"", ["-", "-o", "-", "--skip-existing"], "--skip-existing: expected an output file or folder, "),
        (b"", ["-", "-o", "a.png", "--recursive"], "--recursive: expected a folder as input, got "),
    ],
)
def test_errors_name_the_streams(nircolor, standard_input, tmp_path, monkeypatch, given, words, message):
    gray_png(tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)
    standard_input(given)
    assert nircolor.refused("colorize", *words).startswith(message)


def test_warnings_name_the_streams(nircolor, standard_input, tmp_path, tiny):
    standard_input(save(tmp_path / "a.png", noise(3, 20, 20), "PNG").read_bytes())
    done = nircolor("colorize", "-", "-o", tmp_path / "b.png", "-m", tiny("per_pixel"))
    assert done.code == 0
    assert done.err.startswith("warning: standard input: looks like a colour photograph")


def test_a_damaged_image_writes_nothing(nircolor, standard_input, tmp_path, tiny):
    standard_input(gray_png(tmp_path / "a.png", side=100).read_bytes()[:-300])
    line = nircolor.refused("colorize", "-", "-o", "-", "-m", tiny("per_pixel"))
    assert line.startswith("standard input: ")


def test_nothing_is_left_in_the_temporary_folder(tmp_path, tiny):
    path = gray_png(tmp_path / "a.png")
    (tmp_path / "temporary").mkdir()
    environment = os.environ | {"TMPDIR": str(tmp_path / "temporary")}
    for given, code in ((path.read_bytes(), 0), (b"no image", 2)):
        done = run("colorize", "-", "-o", "-", "-m", tiny("per_pixel"), given=given, env=environment)
        assert done.returncode == code
    assert list((tmp_path / "temporary").glob(".nircolor*")) == []


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a pseudo-terminal")
def test_terminals_are_refused(tmp_path):
    path = gray_png(tmp_path / "a.png")
    main, terminal = os.openpty()
    command = [sys.executable, "-c", "from nircolor.__main__ import main; main()", "colorize"]
    for words, streams, message in [
        (["-", "-o", "x.png"], {"stdin": terminal}, "-: expected an image from standard input"),
        ([str(path), "-o", "-"], {"stdout": terminal}, "-o -: an image is not written to a terminal"),
    ]:
        done = subprocess.run(
            [*command, *words], stderr=subprocess.PIPE, check=False, timeout=60, cwd=tmp_path, **streams
        )
        assert done.returncode == 2
        assert message in done.stderr.decode()
    os.close(main)
    os.close(terminal)
    assert not (tmp_path / "x.png").exists()


def test_lists_name_the_streams(nircolor, standard_input, tmp_path, tiny, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path, model = gray_png(tmp_path / "a.png"), ("-m", tiny("per_pixel"))
    standard_input(path.read_bytes())
    done = nircolor("colorize", "-", "-o", "-", *model, "--dry-run")
    assert done.out.startswith("standard input -> standard output: ")
    assert ".nircolor-" not in done.out + done.err
    standard_input(path.read_bytes())
    done = nircolor("colorize", "-", "-o", "b.png", *model, "--verbose")
    assert done.err.startswith("standard input -> b.png: ")
    for words, status in (["--dry-run", "--overwrite"], "planned"), (["--skip-existing"], "skipped"):
        standard_input(path.read_bytes())
        (record,) = json.loads(nircolor("colorize", "-", "-o", "b.png", *model, "--json", *words).out)
        assert (record["input"], record["output"], record["status"]) == ("-", "b.png", status)


def test_a_full_temporary_folder(nircolor, standard_input, tmp_path, tiny, monkeypatch):
    def full(*_arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    path = gray_png(tmp_path / "a.png")
    standard_input(path.read_bytes())
    expected = f"{tempfile.gettempdir()}: the temporary folder cannot be written (No space left on device); "
    monkeypatch.setattr("nircolor.imagery.output.placing._move", full)
    assert nircolor.refused("colorize", path, "-o", "-", "-m", tiny("per_pixel")).startswith(expected)
    monkeypatch.setattr("shutil.copyfileobj", full)
    assert nircolor.refused("colorize", "-", "-o", "-", "-m", tiny("per_pixel")).startswith(expected)


def test_closed_standard_input(nircolor, monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    assert nircolor.refused("colorize", "-", "-o", "a.png").endswith("but standard input is closed")


def test_a_file_that_is_called_minus(nircolor, tmp_path, tiny, monkeypatch):
    monkeypatch.chdir(tmp_path)
    gray_png(tmp_path / "c.png")
    done = nircolor("colorize", "c.png", "-o", "./-", "-m", tiny("per_pixel"))
    assert (done.code, done.out) == (0, "")
    assert load(Path("./-/c.png"))[0].shape == (3, 24, 24)
    shutil.rmtree("./-")
    Path("-").write_bytes(gray_png(tmp_path / "a.png").read_bytes())
    assert nircolor("colorize", "./-", "-o", "b.png", "-m", tiny("per_pixel")).code == 0
    assert io.BytesIO(Path("b.png").read_bytes()).read(4) == b"\x89PNG"


def test_messages_of_gdal_that_are_not_utf_8_are_not_printed(tmp_path):
    jpeg = save(tmp_path / "a.jpg", noise(1, 24, 24), "JPEG").read_bytes()
    packet = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta><rdf:RDF \x80></x:xmpmeta>"
    segment = b"\xff\xe1" + (len(packet) + 2).to_bytes(2, "big") + packet
    (tmp_path / "a.jpg").write_bytes(jpeg[:2] + segment + jpeg[2:])
    done = run("info", tmp_path / "a.jpg")
    assert done.returncode == 0
    assert not done.stderr
