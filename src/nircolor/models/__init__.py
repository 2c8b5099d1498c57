"""The networks, one file an architecture, and how a name and arguments become one."""

from collections.abc import Mapping
from inspect import signature
from typing import Any

from nircolor.errors import NircolorError
from nircolor.models.cnn import Cnn
from nircolor.models.convnext_unet import ConvNextUNet
from nircolor.models.network import Network
from nircolor.models.nirgnn import NirGnn
from nircolor.models.scene import Scene
from nircolor.models.sshape import SShape
from nircolor.models.structure_aware import StructureAware
from nircolor.models.unet import UNet

ARCHITECTURES: dict[str, type[Network]] = {
    "cnn": Cnn,
    "convnext_unet": ConvNextUNet,
    "nirgnn": NirGnn,
    "scene": Scene,
    "sshape": SShape,
    "structure_aware": StructureAware,
    "unet": UNet,
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


def complete_arguments(architecture: str, arguments: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """All arguments of a network's constructor, defaults included: a default may change one day."""
    bound = signature(ARCHITECTURES[architecture]).bind(**(arguments or {}))
    bound.apply_defaults()
    return dict(bound.arguments)


__all__ = ["ARCHITECTURES", "Network", "build", "complete_arguments"]
