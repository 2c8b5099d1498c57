"""Colorization networks in PyTorch, one file per architecture.

`load` gives a network with the weights of a model file, `build` one with fresh weights.
"""

from typing import TYPE_CHECKING, Any

from nircolor.models.architectures import ARCHITECTURES, build, complete_arguments
from nircolor.models.cnn import Cnn
from nircolor.models.convnext_unet import ConvNextUNet
from nircolor.models.network import Network
from nircolor.models.nirgnn import NirGnn
from nircolor.models.scene import Scene
from nircolor.models.sshape import SShape
from nircolor.models.structure_aware import StructureAware
from nircolor.models.unet import UNet

if TYPE_CHECKING:
    from nircolor.models.loading import load

__all__ = [
    "ARCHITECTURES",
    "Cnn",
    "ConvNextUNet",
    "Network",
    "NirGnn",
    "SShape",
    "Scene",
    "StructureAware",
    "UNet",
    "build",
    "complete_arguments",
    "load",
]


def __getattr__(name: str) -> Any:
    # networks need PyTorch alone; model files need the libraries that read and check them
    if name == "load":
        from nircolor.models.loading import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
