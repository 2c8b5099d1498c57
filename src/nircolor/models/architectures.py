"""Networks by name: the registry of architectures, and `build`."""

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
"""Network classes by the name that recipes and model cards use."""


def build(architecture: str, arguments: Mapping[str, Any] | None = None) -> Network:
    """Build a network by the name of its architecture, with freshly initialized weights.

    Recipes, checkpoints and model cards store a network as these two values.

    Args:
        architecture: A key of `ARCHITECTURES`.
        arguments: Keyword arguments of the network's class; its defaults where None.

    Returns:
        The network, in training mode, on the CPU.

    Raises:
        NircolorError: There is no such architecture, or its class refuses the arguments.

    Examples:
        >>> network = build("unet", {"bands": 3, "width": 8})
        >>> network.bands
        3
    """
    if architecture not in ARCHITECTURES:
        raise NircolorError(f"architecture {architecture}: expected one of {', '.join(ARCHITECTURES)}")
    try:
        return ARCHITECTURES[architecture](**(arguments or {}))
    except (TypeError, ValueError) as error:
        raise NircolorError(f"architecture {architecture}: {error}") from error


def complete_arguments(architecture: str, arguments: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Add the defaults of a network's class to ``arguments``.

    Model files store the result, so that a later change of a default does not change the network.

    Examples:
        >>> complete_arguments("unet", {"bands": 3})
        {'bands': 3, 'width': 64, 'norm': 'none'}
    """
    bound = signature(ARCHITECTURES[architecture]).bind(**(arguments or {}))
    bound.apply_defaults()
    return dict(bound.arguments)
