"""Where messages go: warnings and errors to standard error, one line each."""

import math
import sys
import threading
import traceback
import warnings
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from nircolor.errors import NircolorError, NircolorWarning

Job = TypeVar("Job", bound=Hashable)

# file names are printed as they are: no markup, no emoji codes, no line breaks
errors = Console(stderr=True, markup=False, emoji=False, highlight=False, soft_wrap=True)


def show_warnings() -> None:
    """Print each NircolorWarning as one line; call inside `warnings.catch_warnings`."""

    def show(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
        if issubclass(category, NircolorWarning):
            errors.print(f"warning: {message}", style="yellow")

    warnings.showwarning = show
    warnings.simplefilter("always", NircolorWarning)


def conclude(summary: str, failures: Sequence[tuple[Path, Exception]], *, debug: bool = False) -> None:
    """Say what became of several jobs; ``debug`` prints the traceback of each failure.

    Raises SystemExit with code 1 where some failed.
    """
    errors.print(summary)
    if not failures:
        return
    errors.print(f"{len(failures)} failed:", style="red")
    for path, error in failures:
        errors.print(f"  {_line(path, error)}", style="red")
        if debug:
            errors.print("".join(traceback.format_exception(error)))
    sys.exit(1)


def _line(path: Path, error: Exception) -> str:
    if isinstance(error, NircolorError):
        return str(error)
    return f"{path}: unexpected {type(error).__name__}: {error} (a fault of nircolor)"


class BatchBar(Generic[Job]):
    """Progress of jobs that run side by side; nothing off a terminal.

    Args:
        sizes: what share of the whole each job is, in any unit.
        what: the jobs, in a word: ``files``.
    """

    def __init__(self, sizes: Mapping[Job, float], what: str) -> None:
        self._sizes, self._shares = sizes, dict.fromkeys(sizes, 0.0)
        self._progress = Progress(
            TextColumn("{task.fields[finished]}/{task.fields[count]} {task.fields[what]}"),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f}%{task.fields[note]}"),
            TimeRemainingColumn(),
            console=errors,
            disable=not errors.is_terminal,
        )
        self._task = self._progress.add_task(
            "", total=sum(sizes.values()), finished=0, count=len(sizes), what=what, note=""
        )
        self._lock = threading.Lock()
        self._finished = 0

    def __enter__(self) -> "BatchBar[Job]":
        self._progress.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.__exit__(None, None, None)

    def advance(self, job: Job, share: float, note: str = "") -> None:
        """``share`` of a job is done since, by whichever thread; ``note`` stands after the bar."""
        with self._lock:
            self._shares[job] += share
        self._progress.update(self._task, advance=self._sizes[job] * share, note=note)

    def finish(self, job: Job) -> None:
        """A job ended, perhaps without having run."""
        self._finished += 1
        rest = self._sizes[job] * (1 - self._shares[job])
        self._progress.update(self._task, advance=rest, finished=self._finished)


class ProgressBar:
    """Progress bar for one long-running function; shown only on a terminal.

    Pass `update` as its ``on_progress``.

    Args:
        unit: What is counted: ``captures``.
    """

    def __init__(self, unit: str) -> None:
        self._progress = Progress(
            TextColumn("{task.fields[done]:.0f}/{task.total:.0f} " + unit),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeRemainingColumn(),
            console=errors,
            disable=not errors.is_terminal,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> "ProgressBar":
        self._progress.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.__exit__(None, None, None)

    def update(self, done: float, total: float) -> None:
        """Show how much is done."""
        if self._task is None:
            self._task = self._progress.add_task("", total=total, done=0)
        self._progress.update(self._task, completed=done, done=math.floor(done + 1e-6))


class WorkBar:
    """One line for each thing that takes time; nothing off a terminal."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=errors,
            disable=not errors.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> "WorkBar":
        self._progress.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.__exit__(None, None, None)

    def update(self, what: str, done: int, total: int) -> None:
        """``done`` of ``total`` are done, and the next is begun."""
        if what not in self._tasks:
            self._tasks[what] = self._progress.add_task(what)
        self._progress.update(self._tasks[what], completed=done + 1, total=total)
