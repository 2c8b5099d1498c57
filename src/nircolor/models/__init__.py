"""Colorization networks in PyTorch, one file per architecture.

`load` gives a network with the weights of a model file, `build` one with fresh weights.
"""

from nircolor.models.architectures import ARCHITECTURES, build, complete_arguments
from nircolor.models.cnn import Cnn
from nircolor.models.convnext_unet import ConvNextUNet
from nircolor.models.loading import load
from nircolor.models.network import Network
from nircolor.models.nirgnn import NirGnn
from nircolor.models.scene import Scene
from nircolor.models.sshape import SShape
from nircolor.models.structure_aware import StructureAware
from nircolor.models.unet import UNet

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
