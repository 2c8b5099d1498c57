"""Output of the commands to standard error: warnings, summaries, and a progress bar."""

import json
import math
import os
import re
import sys
import threading
import time
import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from nircolor.app import stopping
from nircolor.app.terminal import describe, is_debug, print_traceback, printable
from nircolor.errors import NircolorWarning
from nircolor.texts import abbreviate, list_names

# a line about many files names this many
NAMED = 3
# warnings that may be grouped are held back for this time, then for twice this time, and so on
_FIRST_WAIT_S = 60.0
_NUMBER = re.compile(r"\b\d+(?:\.\d+)?(?:e[+-]\d+)?\b")

# between two lines of progress where there is no terminal, as in the log of a job
_SECONDS_PER_LINE = 30.0


class Screen(Console):
    """Console that prints each string as one line, escaped (`printable`), without markup and emoji codes."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def print(self, *objects: Any, **options: Any) -> None:
        shown = [printable(one) if isinstance(one, str) else one for one in objects]
        if not self.stderr and self.is_terminal:
            super().print(*shown, **options)
            return
        if not self.stderr:
            # tables are padded with blanks
            with self.capture() as captured:
                super().print(*shown, **options)
            self.file.write("\n".join(line.rstrip() for line in captured.get().split("\n")))
            return
        # messages are lost where standard error is closed or full; the work goes on
        with suppress(OSError):
            super().print(*shown, **options)


class EscapedTable(Table):
    """Table of rows whose cells are escaped (`printable`)."""

    def add_row(self, *cells: Any, **options: Any) -> None:
        super().add_row(*(printable(cell) if isinstance(cell, str) else cell for cell in cells), **options)


errors = Screen(stderr=True, soft_wrap=True)


@contextmanager
def show_warnings(
    *, unit: str = "", options: bool = True, others: bool = False, quiet: bool = False
) -> Generator["WarningPrinter", None, None]:
    """Print each `NircolorWarning` of the block as one line.

    Args:
        unit: Plural of what is counted, such as ``images``, to group the warnings of several files.
        options: Whether the command has the options that warnings advise; otherwise the advice is left out.
        others: Show the warnings of other libraries as well, in Python's format.
        quiet: Show none.

    Yields:
        The printer, whose `WarningPrinter.unit` may still be set.
    """
    printer = WarningPrinter(unit, options=options)
    with warnings.catch_warnings(), stopping.calling(printer.close):
        show_other = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *place: Any, **details: Any) -> None:
            if quiet:
                return
            if isinstance(message, NircolorWarning):
                printer.add(message)
            elif others:
                show_other(message, category, *place, **details)

        warnings.showwarning = show
        warnings.simplefilter("always", NircolorWarning)
        try:
            yield printer
        finally:
            printer.close()


class WarningPrinter:
    """Print warnings, the same problem of several files in one line. Warnings may come from any thread.

    Grouped warnings are held back for a minute, then for two, four and so on, and until the end.

    Args:
        unit: Plural of what is counted; empty to print each warning at once.
        options: Whether to print advice that names options of the command line.
    """

    def __init__(self, unit: str = "", *, options: bool = True) -> None:
        self.unit = unit
        self._options = options
        self._held: list[tuple[str, str]] = []
        self._wait_s = _FIRST_WAIT_S
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()

    def add(self, warning: NircolorWarning) -> None:
        """Print a warning, now or with others of its kind."""
        problem, _, advice = warning.problem.partition("; ")
        if advice and (self._options or "--" not in advice):
            problem = f"{problem}; {advice}"
        if warning.path is None or not self.unit:
            _print_warning(problem if warning.path is None else f"{warning.path}: {problem}")
            return
        with self._lock:
            self._held.append((problem, warning.path))
            if self._timer is None:
                self._timer = threading.Timer(self._wait_s, self._print_later)
                self._timer.daemon = True
                self._timer.start()

    def close(self) -> None:
        """Print the warnings that are held back."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            self._print_held()

    def _print_later(self) -> None:
        with self._lock:
            self._timer = None
            self._wait_s *= 2
            self._print_held()

    def _print_held(self) -> None:
        groups: dict[tuple[str, ...], list[tuple[str, str]]] = {}
        for problem, path in self._held:
            groups.setdefault(_without_first_number(problem), []).append((problem, path))
        self._held = []
        for group in groups.values():
            paths = list(dict.fromkeys(path for _, path in group))
            if len(paths) == 1:
                _print_warning(f"{paths[0]}: {group[0][0]}")
                continue
            names = abbreviate(paths, NAMED)
            _print_warning(f"{len(paths)} {self.unit}: {_merged([text for text, _ in group])}: {names}")


def _print_warning(text: str) -> None:
    errors.print(f"warning: {text}", style="yellow")


def _without_first_number(text: str) -> tuple[str, ...]:
    """Split a text around its first number, such as a largest value, which may differ within a group."""
    return tuple(_NUMBER.split(text, maxsplit=1))


def _merged(texts: Sequence[str]) -> str:
    """Return one text for texts that differ in their first number at most, of which it gives the range."""
    found = [number for number in map(_NUMBER.search, texts) if number is not None]
    numbers = sorted({number.group() for number in found}, key=float)
    if len(numbers) < 2:
        return texts[0]
    return _NUMBER.sub(f"{numbers[0]} to {numbers[-1]}", texts[0], count=1)


def conclude(summary: str, failures: Sequence[tuple[Path, Exception]], *, quiet: bool = False) -> None:
    """Print the summary of a batch and its failures, those for the same reason in one line.

    ``--debug`` adds the tracebacks.

    Args:
        summary: The summary.
        failures: The inputs that failed, with their errors.
        quiet: Leave out the summary.

    Raises:
        SystemExit: With code 1 if something failed.
    """
    if not quiet:
        errors.print(summary)
    if not failures:
        return
    errors.print(f"{len(failures)} failed:", style="red")
    for line in _failure_lines(failures):
        errors.print(f"  {line}", style="red")
    if is_debug():
        for _, error in failures:
            print_traceback(error)
    sys.exit(1)


def _failure_lines(failures: Sequence[tuple[Path, Exception]]) -> list[str]:
    """Describe failures in one line for each reason, with the names of all files.

    The reason is at the end of a line, where it can be seen below many names.
    """
    groups: dict[tuple[str, ...], list[tuple[str, str, str]]] = {}
    for path, error in failures:
        text = describe(error, path)
        name, separator, problem = text.partition(": ")
        if not separator:
            name, problem = str(path), text
        groups.setdefault(_without_first_number(problem), []).append((name, problem, str(path)))
    lines = []
    for group in groups.values():
        names = list(dict.fromkeys(name for name, _, _ in group))
        problem = _merged([text for _, text, _ in group])
        if len(group) == 1:
            lines.append(f"{names[0]}: {problem}")
            continue
        if len(names) == 1 and not all(path in names[0] for _, _, path in group):
            # not the name of each file, but of an option or a folder
            names, problem = [path for _, _, path in group], f"{names[0]}: {problem}"
        folders = {os.path.dirname(name) for name in names}  # noqa: PTH120 - a path drops ./
        folder = folders.pop() if len(names) > 1 and len(folders) == 1 else ""
        if folder:
            names = [os.path.basename(name) for name in names]  # noqa: PTH119
        place = f" in {folder}" if folder else ""
        lines.append(f"{len(group)} files{place}: {list_names(names)}: {problem}")
    return lines


def print_json(content: Any) -> None:
    """Print plain data as JSON to standard output; only JSON's own escapes keep every name intact."""
    print(json.dumps(content, indent=1, allow_nan=False))


class ProgressBar:
    """Progress of a command: a bar on a terminal, elsewhere a line now and then.

    Args:
        unit: What is counted, such as ``captures``.
        quiet: Show nothing.
    """

    def __init__(self, unit: str = "", *, quiet: bool = False) -> None:
        self._unit, self._quiet = unit, quiet
        self._due = time.monotonic() + _SECONDS_PER_LINE
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(),
            console=errors,
            disable=quiet or not errors.is_terminal,
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
        text, note = printable(text), printable(note)
        if self._progress.disable:
            self._print_now_and_then(f"{text}, {done / max(total, 1e-9):.0%} {note}".rstrip())
            return
        if stage not in self._lines:
            self._lines[stage] = self._progress.add_task(text, total=total, note=note)
        self._progress.update(self._lines[stage], completed=done, total=total, description=text, note=note)

    def _print_now_and_then(self, line: str) -> None:
        now = time.monotonic()
        if not self._quiet and now >= self._due:
            self._due = now + _SECONDS_PER_LINE
            errors.print(line)
