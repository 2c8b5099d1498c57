"""Report missing optional dependencies with the command that installs them."""

from importlib.util import find_spec

from nircolor.errors import NircolorError


def require(package: str, *, extra: str, what: str) -> None:
    """Check that an optional dependency is installed.

    Args:
        package: Name of the package to import.
        extra: Extra of nircolor that installs it.
        what: What needs it, as the start of the message: a command (``nircolor train``) or a file.

    Raises:
        NircolorError: The package is missing; the message has the ``pip install`` command.
    """
    if find_spec(package) is None:
        raise missing(what, extra)


def missing(what: str, extra: str) -> NircolorError:
    """Make the error that names the extra which ``what`` needs."""
    return NircolorError(f"{what} needs more than the base install: pip install 'nircolor[{extra}]'")
