"""Messages on any terminal: escaped, in ASCII where needed, and on closed or full streams."""

import json
import os
import signal
import subprocess
import sys

import pytest

from nircolor.app.terminal import describe, printable
from nircolor.errors import NircolorError
from tests.app.command_line import gray_png

COMMAND = [sys.executable, "-m", "nircolor"]
BUG = "(a bug in nircolor; --debug shows where)"
HOSTILE = "a\x1b]0;owned\x07\x9b2J\nerror: b\r\u202egnp"


def run(*words, redirect="", env=None, **options):
    """Run `nircolor` through a shell, which can close streams."""
    command = [*COMMAND, *map(str, words)]
    shell = 'exec "$@" ' + redirect
    return subprocess.run(
        ["bash", "-c", shell, "-", *command],
        capture_output=True, timeout=60, check=False, env=os.environ | (env or {}), **options,
    )  # fmt: skip


def test_printable_keeps_text_of_any_language():
    text = "…/Fotos für 東京/été × 2 µm.png"
    assert printable(text) == text


def test_printable_escapes_what_a_terminal_acts_on():
    shown = printable(HOSTILE)
    assert shown == r"a\x1b]0;owned\x07\x9b2J\nerror: b\r\u202egnp"
    assert shown.isprintable()
    assert printable(os.fsdecode(b"caf\xe9.png")) == r"caf\xe9.png"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (NircolorError("x.png: bad"), "x.png: bad"),
        (OSError(28, "No space left on device"), "a.png: No space left on device"),
        (PermissionError(13, "Permission denied", "b.png"), "b.png: Permission denied"),
        (MemoryError(), "a.png: out of memory"),
        (ValueError("two\nlines"), f"a.png: unexpected ValueError: two lines {BUG}"),
        (RecursionError(), f"a.png: unexpected RecursionError {BUG}"),
    ],
)  # fmt: skip
def test_describe(error, line):
    assert describe(error, "a.png") == line


@pytest.mark.parametrize("command", ["colorize", "info"])
def test_names_cannot_control_the_terminal(nircolor, tmp_path, command):
    path = gray_png(tmp_path / f"{HOSTILE.replace('/', '')}.png")
    words = [command, path, *(["-o", tmp_path / "out"] if command == "colorize" else [])]
    outcome = nircolor(*words)
    assert outcome.code == 0
    for text in (outcome.out, outcome.err):
        assert all(line.isprintable() for line in text.splitlines())
        assert not any(line.startswith("error") for line in text.splitlines())
    missing = nircolor.refused(command, *(str(word).replace("gnp", "x") for word in words[1:]))
    assert missing.isprintable()


def test_names_in_tables_cannot_control_the_terminal(nircolor, tmp_path):
    for folder in ("one", "two"):
        gray_png(tmp_path / folder / f"{HOSTILE.replace('/', '')}é.png", side=200)
    outcome = nircolor("leaks", tmp_path / "one", tmp_path / "two")
    assert outcome.code == 1
    assert len(outcome.out.splitlines()) == 2
    assert all(line.isprintable() for line in outcome.out.splitlines())
    outcome = nircolor("leaks", tmp_path / "one", tmp_path / "two", "--json")
    assert outcome.out.isascii()
    assert "\x1b" not in outcome.out
    (leak,) = json.loads(outcome.out)["leaks"]
    assert leak["name"] == f"{HOSTILE}é.png"


def test_a_name_that_is_not_utf8_is_refused(tmp_path):
    name = os.fsdecode(b"caf\xe9.png")
    gray_png(tmp_path / "a.png").rename(tmp_path / name)
    gray_png(tmp_path / "b.png")
    line = rb"caf\xe9.png: cannot be opened as PNG (expected a path in UTF-8; rename it)"
    for words in (["info", tmp_path / name], ["colorize", tmp_path / name, "-o", tmp_path / "out"]):
        done = run(*words)
        assert (done.returncode, done.stdout) == (2, b"")
        assert done.stderr == b"error: " + os.fsencode(tmp_path) + b"/" + line + b"\n"
    done = run("colorize", tmp_path, "-o", tmp_path / "out")
    assert done.returncode == 1
    assert line in done.stderr
    assert [made.name for made in (tmp_path / "out").iterdir()] == ["b.png"]


def test_libraries_print_nothing(tmp_path):
    """libtiff prints a line for each block that a full disk, or here a limit, refuses."""
    gray_png(tmp_path / "a.png", side=400)
    words = [*COMMAND, "colorize", tmp_path / "a.png", "-o", tmp_path / "out"]
    done = subprocess.run(
        ["bash", "-c", 'ulimit -f 20; exec "$@"', "-", *map(str, words)],
        capture_output=True, timeout=60, check=False, text=True,
    )  # fmt: skip
    line = f"error: {tmp_path}/out/a.png: cannot be written (write error; is the disk full?)\n"
    assert (done.returncode, done.stderr) == (2, line)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_few_open_files_suffice_to_clean_up(tmp_path):
    gray_png(tmp_path / "a.png", side=400)
    words = [*COMMAND, "colorize", tmp_path / "a.png", "-o", tmp_path / "out"]
    for limit in (11, 12):
        done = subprocess.run(
            ["bash", "-c", f'ulimit -n {limit}; exec "$@"', "-", *map(str, words)],
            capture_output=True, timeout=60, check=False, text=True,
        )  # fmt: skip
        assert done.returncode in (0, 2)
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert not list(tmp_path.glob("out/.*"))
        (tmp_path / "out" / "a.png").unlink(missing_ok=True)


def test_a_terminal_in_ascii(tmp_path):
    path = gray_png(tmp_path / "a×.png")
    done = run("info", path, env={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0, done.stderr
    assert b"24 x 24 px" in done.stdout


@pytest.mark.parametrize(
    ("redirect", "line"),
    [
        (">/dev/full", b"error: standard output: No space left on device\n"),
        (">&-", b"error: standard output: Bad file descriptor\n"),
    ],
)
@pytest.mark.parametrize("words", [["models"], ["--version"], ["info", "scene"]])
def test_standard_output_that_cannot_be_written(words, redirect, line):
    done = run(*words, redirect=redirect)
    assert (done.returncode, done.stderr) == (2, line)


@pytest.mark.parametrize("redirect", ["2>/dev/full", "2>&-", ">&- 2>&-", ">/dev/full", "<&- >&- 2>&-"])
def test_images_are_written_without_streams(tmp_path, redirect):
    path = gray_png(tmp_path / "a.png")
    done = run("colorize", path, "-o", tmp_path / "out", redirect=redirect)
    assert done.returncode == 0, done.stderr
    assert done.stdout == b""
    reference = run("colorize", path, "-o", tmp_path / "reference")
    assert reference.returncode == 0
    assert (tmp_path / "out" / "a.png").read_bytes() == (tmp_path / "reference" / "a.png").read_bytes()


def test_a_reader_that_goes_away_is_no_error():
    child = subprocess.Popen([*COMMAND, "models"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    child.stdout.close()
    assert child.stderr.read() == b""
    assert child.wait(60) == 128 + signal.SIGPIPE
    child.stderr.close()
