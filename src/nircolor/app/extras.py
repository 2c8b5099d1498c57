"""Commands that need more than the base install say which install mends it."""

from importlib.util import find_spec

from nircolor.errors import NircolorError


def require(package: str, *, extra: str, command: str) -> None:
    """Raises NircolorError with the `pip install` to run where ``package`` is missing."""
    if find_spec(package) is None:
        raise NircolorError(
            f"nircolor {command} needs more than the base install: pip install 'nircolor[{extra}]'"
        )
