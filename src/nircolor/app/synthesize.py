"""`nircolor synthesize`: a progress bar around `spectral.dataset`, and what to say at the end."""

import sys
import threading
import warnings
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from nircolor.app.console import errors, show_warnings
from nircolor.errors import NircolorError, NircolorWarning
from nircolor.spectral.capture import Capture, find_captures
from nircolor.spectral.dataset import Made, synthesize_all
from nircolor.spectral.synthesis import Synthesis

# of a capture's pixels; less is glints
_MUCH_CLIPPED = 0.01
_CLIPPED_WORDS = {
    "saturated": "saturated in the capture",
    "nir": "brighter than white in the near-infrared",
    "rgb": "out of the colours that the picture can hold",
}


def run(paths: Sequence[Path], output: Path, synthesis: Synthesis, *, parallel: int, overwrite: bool) -> None:
    """Make the pairs and say what became of them.

    Raises:
        NircolorError: nothing could be started, or the only capture failed.
        SystemExit: with code 1 where some of several captures failed, 130 after Ctrl-C.
    """
    captures = find_captures(paths)
    results = []
    with warnings.catch_warnings(), _Bar(captures) as bar:
        show_warnings()
        running = synthesize_all(
            captures,
            synthesis,
            output,
            parallel=min(parallel, len(captures)),
            overwrite=overwrite,
            on_progress=bar.advance,
        )
        try:
            with closing(running):
                for made in running:
                    results.append(made)
                    bar.finish(made.capture)
                    _warn_of_clipping(made)
        except KeyboardInterrupt:
            errors.print("interrupted; finished pairs are kept, the same command goes on from there")
            sys.exit(130)
    _conclude(results, output)


def _warn_of_clipping(made: Made) -> None:
    if made.record is None:
        return
    pixels = made.record["lines"] * made.record["samples"]
    for what, count in made.record["clipped_pixels"].items():
        if count > _MUCH_CLIPPED * pixels:
            warnings.warn(
                f"{made.capture.header}: {count / pixels:.0%} of the pixels are {_CLIPPED_WORDS[what]}",
                NircolorWarning,
                stacklevel=1,
            )


def _conclude(results: Sequence[Made], output: Path) -> None:
    failed = [made for made in results if made.error is not None]
    if failed and len(results) == 1:
        assert failed[0].error is not None
        raise failed[0].error
    skipped = sum(made.skipped for made in results)
    done = len(results) - len(failed) - skipped
    parts = [f"{done} pair{'s'[: done != 1]}"] + ([f"{skipped} there already"] if skipped else [])
    errors.print(f"{', '.join(parts)} -> {output}")
    if failed:
        errors.print(f"{len(failed)} failed:", style="red")
        for made in sorted(failed, key=lambda made: made.capture.name):
            errors.print(f"  {_line(made)}", style="red")
        sys.exit(1)


def _line(made: Made) -> str:
    if isinstance(made.error, NircolorError):
        return str(made.error)
    kind = type(made.error).__name__
    return f"{made.capture.header}: unexpected {kind}: {made.error} (a fault of nircolor)"


class _Bar:
    """Progress by lines, each capture with the same share; nothing off a terminal."""

    def __init__(self, captures: Sequence[Capture]) -> None:
        self._progress = Progress(
            TextColumn("{task.fields[done]}/{task.fields[count]} captures"),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeRemainingColumn(),
            console=errors,
            disable=not errors.is_terminal,
        )
        self._task = self._progress.add_task("", total=len(captures), done=0, count=len(captures))
        self._shares = dict.fromkeys(captures, 0.0)
        self._done = 0
        self._lock = threading.Lock()

    def __enter__(self) -> "_Bar":
        self._progress.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.__exit__(None, None, None)

    def advance(self, capture: Capture, done: int, total: int) -> None:
        """``done`` of a capture's ``total`` lines are done; called from the threads at work."""
        with self._lock:
            self._shares[capture] = done / total
            self._progress.update(self._task, completed=sum(self._shares.values()))

    def finish(self, capture: Capture) -> None:
        """A capture ended, perhaps without having run."""
        self._done += 1
        self.advance(capture, 1, 1)
        self._progress.update(self._task, done=self._done)
