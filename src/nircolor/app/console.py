"""Output of the commands to standard error: warnings, summaries, and a progress bar."""

import math
import sys
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from nircolor.errors import NircolorError, NircolorWarning

# no markup, emoji codes or line breaks: file names are printed unchanged
errors = Console(stderr=True, markup=False, emoji=False, highlight=False, soft_wrap=True)


def show_warnings(*, others: bool = False) -> None:
    """Print each `NircolorWarning` as one line; call inside `warnings.catch_warnings`.

    Args:
        others: Show the warnings of other libraries as well, in Python's format.
    """
    show_other = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *place: Any, **options: Any) -> None:
        if issubclass(category, NircolorWarning):
            errors.print(f"warning: {message}", style="yellow")
        elif others:
            show_other(message, category, *place, **options)

    warnings.showwarning = show
    warnings.simplefilter("always", NircolorWarning)


def conclude(summary: str, failures: Sequence[tuple[Path, Exception]]) -> None:
    """Print the summary of a batch and one line per failure; ``--debug`` adds the tracebacks.

    Raises:
        SystemExit: With code 1 if something failed.
    """
    errors.print(summary)
    if not failures:
        return
    errors.print(f"{len(failures)} failed:", style="red")
    for path, error in failures:
        errors.print(f"  {_line(path, error)}", style="red")
        if "--debug" in sys.argv:
            errors.print("".join(traceback.format_exception(error)))
    sys.exit(1)


def _line(path: Path, error: Exception) -> str:
    if isinstance(error, NircolorError):
        return str(error)
    return f"{path}: unexpected {type(error).__name__}: {error} (a bug in nircolor)"


class ProgressBar:
    """Progress bar of a command, shown only on a terminal.

    Args:
        unit: What is counted, such as ``captures``.
    """

    def __init__(self, unit: str = "") -> None:
        self._unit = unit
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(),
            console=errors,
            disable=not errors.is_terminal,
        )
        self._lines: dict[str, TaskID] = {}

    def __enter__(self) -> "ProgressBar":
        self._progress.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.__exit__(None, None, None)

    def update(
        self, done: float, total: float, *, stage: str = "", text: str | None = None, note: str = ""
    ) -> None:
        """Show the progress; usable as `nircolor.parallel.Progress`.

        Args:
            done: Amount done.
            total: Total amount.
            stage: Part of the work; each stage has a line of its own.
            text: Text before the bar. Default: stage, amounts and unit.
            note: Text after the bar.
        """
        if text is None:
            text = f"{stage} {math.floor(done + 1e-6):.0f}/{total:.0f} {self._unit}".strip()
        if stage not in self._lines:
            self._lines[stage] = self._progress.add_task(text, total=total, note=note)
        self._progress.update(self._lines[stage], completed=done, total=total, description=text, note=note)
