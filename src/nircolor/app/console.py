"""Where messages go: warnings and errors to standard error, one line each."""

import warnings

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from nircolor.errors import NircolorWarning

# file names are printed as they are: no markup, no emoji codes, no line breaks
errors = Console(stderr=True, markup=False, emoji=False, highlight=False, soft_wrap=True)


def show_warnings() -> None:
    """Print each NircolorWarning as one line; call inside `warnings.catch_warnings`."""

    def show(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
        if issubclass(category, NircolorWarning):
            errors.print(f"warning: {message}", style="yellow")

    warnings.showwarning = show
    warnings.simplefilter("always", NircolorWarning)


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
