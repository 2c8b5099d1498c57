"""Run the command line in the process of the test or in a separate one."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from nircolor.app import main as module
from tests.imagery.imagery_samples import noise, save


@dataclass(frozen=True)
class Outcome:
    """Exit code and output of a command."""

    code: int
    out: str
    err: str


class CommandLine:
    """Run commands in this process; call it with the arguments after `nircolor`."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys, self._monkeypatch = capsys, monkeypatch
        # wide enough that rich does not break lines
        monkeypatch.setenv("COLUMNS", "1000")

    def __call__(self, *words: object) -> Outcome:
        self._monkeypatch.setattr(sys, "argv", ["nircolor", *map(str, words)])
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            module.main()
        code = caught.value.code
        return Outcome(code if isinstance(code, int) else int(code is not None), *self._capsys.readouterr())

    def refused(self, *words: object) -> str:
        """Run a command that fails with exit code 2 and return its one-line error."""
        outcome = self(*words)
        assert outcome.code == 2, outcome
        assert outcome.out == ""
        lines = outcome.err.splitlines()
        assert len(lines) == 1, outcome.err
        assert lines[0].startswith("error: ")
        return lines[0].removeprefix("error: ")


def process(*words: object, **options: object) -> "subprocess.Popen[str]":
    """Start `nircolor` in a separate process."""
    return subprocess.Popen(
        [sys.executable, "-c", "from nircolor.__main__ import main; main()", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def files(folder: Path) -> list[str]:
    """List all files in a folder and its subfolders, including hidden ones."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def gray_png(path: Path, seed: int = 0, side: int = 24) -> Path:
    """Write a gray image of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return save(path, noise(1, side, side, seed=seed), "PNG")


def truncated_png(folder: Path) -> Path:
    """Write a PNG without its last bytes."""
    path = gray_png(folder / "a.png", side=100)
    path.write_bytes(path.read_bytes()[:-300])
    return path
