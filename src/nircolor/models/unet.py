"""U-Net (`unet`), and the encoder and decoder that `sshape` and `structure_aware` share with it."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nircolor.models.network import Network, check_choice, check_counts

Norm = Literal["none", "batch"]
"""Normalization after the convolutions of a block."""

Block = Callable[[int, int], nn.Module]
"""Function from input channels and output channels to the convolutions of one level."""

_POOLINGS = 4
_CELL_PX = 2**_POOLINGS


def normalized_conv(channels_in: int, channels_out: int, kernel: int, norm: Norm) -> list[nn.Module]:
    """Make a convolution that keeps the size of its input, and its normalization.

    Batch normalization adds a bias, so the convolution before it has none.
    """
    conv = nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2, bias=norm == "none")
    return [conv] if norm == "none" else [conv, nn.BatchNorm2d(channels_out)]


def double_conv(channels_in: int, channels_out: int, norm: Norm = "none") -> nn.Sequential:
    """Make the block of a U-Net: two times (3×3 convolution, normalization, ReLU)."""
    return nn.Sequential(
        *normalized_conv(channels_in, channels_out, 3, norm),
        nn.ReLU(),
        *normalized_conv(channels_out, channels_out, 3, norm),
        nn.ReLU(),
    )


def level_widths(width: int) -> tuple[int, ...]:
    """Return the channels at 1, 1/2, 1/4, 1/8 and 1/16 of the resolution."""
    return tuple(width * 2**level for level in range(_POOLINGS + 1))


def unet_receptive_field_px(convs: int) -> int:
    """Return the receptive-field radius, in pixels, of a U-Net with ``convs`` 3×3 convolutions in each block.

    A 3×3 convolution adds one cell of its level: 1, 2, 4 and 8 px in the encoder and again in the decoder,
    16 px at the coarsest level. The position of a pixel in its cell of 16 px adds up to 15 px.
    """
    return convs * (3 * _CELL_PX - 2) + _CELL_PX - 1


def he_init(network: nn.Module) -> None:
    """Initialize convolutions with He's normal distribution and zero biases, last layers with zero.

    With PyTorch's default, each convolution keeps a sixth of the signal's power. Without normalization, only
    the biases are left after twenty layers. The last layer of each `Decoder` is
    initialized with zero, as the first hundreds of steps would otherwise be spent on removing random colours.

    Reference:
        He et al., "Delving Deep into Rectifiers", ICCV 2015.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    for part in network.modules():
        if isinstance(part, Decoder):
            nn.init.zeros_(part.leave.weight)


class Encoder(nn.Module):
    """A block at full resolution, then 2×2 max pooling and a block for each further level.

    Args:
        bands: Channels of the input.
        widths: Channels of each level, finest first.
        block: Makes the block of a level.
    """

    def __init__(self, bands: int, widths: Sequence[int], block: Block) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(block(a, b) for a, b in pairwise((bands, *widths)))

    def forward(self, nir: Tensor) -> list[Tensor]:
        """Compute the features of each level, finest first: (N, widths[i], h / 2ⁱ, w / 2ⁱ)."""
        features = [self.blocks[0](nir)]
        for block in self.blocks[1:]:
            features.append(block(F.max_pool2d(features[-1], 2)))
        return features


class Decoder(nn.Module):
    """2×2 transposed convolution, concatenation with the encoder's features and a block for each level.

    A 1×1 convolution without activation follows at the end.

    Args:
        widths: Channels of the encoder's levels, finest first.
        channels: Channels of the output.
        block: Makes the block of a level.
    """

    def __init__(self, widths: Sequence[int], channels: int, block: Block) -> None:
        super().__init__()
        levels = list(pairwise(reversed(widths)))
        self.up = nn.ModuleList(nn.ConvTranspose2d(a, b, 2, stride=2) for a, b in levels)
        self.blocks = nn.ModuleList(block(2 * b, b) for _, b in levels)
        self.leave = nn.Conv2d(widths[0], channels, 1)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Combine the features of an `Encoder` to (N, channels, h, w)."""
        *skips, h = features
        for up, block, skip in zip(self.up, self.blocks, reversed(skips), strict=True):
            h = block(torch.cat([skip, up(h)], 1))
        return self.leave(h)


class UNet(Network):
    """U-Net: a convolutional encoder and decoder with skip connections at five resolutions.

    The multi-band colorization paper (Park et al., see `StructureAware`) compares its network with this one.
    Differences from the original: convolutions are padded with zeros and keep the size of the image, and the
    output is linear. 31.0 M parameters at the default width.

    Args:
        bands: NIR bands of the input.
        width: Channels at full resolution; they double with each of the four poolings.
        norm: ``"batch"`` adds batch normalization after each convolution of the blocks; ``"none"`` is the
            network as published.

    Raises:
        ValueError: An argument is out of its range.

    Shapes:
        - ``nir``: (N, bands, h, w) in [0, 1]; h and w are multiples of 16.
        - Output: (N, 3, h, w), not clipped.

    Reference:
        Ronneberger, Fischer, Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation",
        MICCAI 2015.

    Example:
        >>> network = UNet(bands=3, width=8)
        >>> network(torch.rand(1, 3, 32, 48)).shape
        torch.Size([1, 3, 32, 48])
    """

    multiple_of = minimum_px = _CELL_PX
    receptive_field_px = unet_receptive_field_px(convs=2)

    def __init__(self, bands: int = 1, width: int = 64, norm: Norm = "none") -> None:
        super().__init__()
        check_counts(bands=bands, width=width)
        check_choice("norm", norm, get_args(Norm))
        self.bands = bands
        block, widths = partial(double_conv, norm=norm), level_widths(width)
        self.encoder = Encoder(bands, widths, block)
        self.decoder = Decoder(widths, 3, block)
        he_init(self)

    def forward(self, nir: Tensor) -> Tensor:
        """Compute the colour (N, 3, h, w) of ``nir`` (N, bands, h, w), not clipped.

        Raises:
            ValueError: Another number of bands, or sides that are not multiples of 16.
        """
        self.check(nir)
        return self.decoder(self.encoder(nir))
