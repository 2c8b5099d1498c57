"""What needs more than the base install says which install mends it."""

from importlib.util import find_spec

from nircolor.errors import NircolorError


def require(package: str, *, extra: str, what: str) -> None:
    """Raises NircolorError with the `pip install` to run where ``package`` is missing.

    ``what`` needs it: a command (``nircolor train``), or a file and what it is.
    """
    if find_spec(package) is None:
        raise NircolorError(f"{what} needs more than the base install: pip install 'nircolor[{extra}]'")
