"""Where messages go: warnings and errors to standard error, one line each."""

import warnings

from rich.console import Console

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
