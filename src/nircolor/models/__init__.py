"""The networks, one file an architecture, and how a name and arguments become one."""

from collections.abc import Mapping
from typing import Any

from nircolor.errors import NircolorError
from nircolor.models.network import Network
from nircolor.models.scene import Scene

ARCHITECTURES: dict[str, type[Network]] = {
    "scene": Scene,
}


def build(architecture: str, arguments: Mapping[str, Any] | None = None) -> Network:
    """The network of a recipe, a checkpoint or a card, with weights still to be laid in.

    Raises:
        NircolorError: no such architecture, or arguments that it does not take.
    """
    if architecture not in ARCHITECTURES:
        raise NircolorError(f"architecture {architecture}: expected one of {', '.join(ARCHITECTURES)}")
    try:
        return ARCHITECTURES[architecture](**(arguments or {}))
    except (TypeError, ValueError) as error:
        raise NircolorError(f"architecture {architecture}: {error}") from error


__all__ = ["ARCHITECTURES", "Network", "build"]
