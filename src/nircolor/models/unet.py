"""U-Net: the comparison of the multi-band paper, and the trunk of its own network (`structure_aware`).

Ronneberger, Fischer, Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation", MICCAI 2015, as
it is used for images today: zero padding keeps the size, and nothing is normalised.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nircolor.models.network import Network

Block = Callable[[int, int], nn.Module]
"""From channels in and channels out to the convolutions of one level."""

_POOLINGS = 4
_CELL_PX = 2**_POOLINGS


def double_conv(channels_in: int, channels_out: int) -> nn.Sequential:
    """Two times (conv 3×3, ReLU)."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(channels_out, channels_out, 3, padding=1),
        nn.ReLU(),
    )


def level_widths(width: int) -> tuple[int, ...]:
    """Channels at 1, 1/2, 1/4, 1/8 and 1/16 of the resolution."""
    return tuple(width * 2**level for level in range(_POOLINGS + 1))


def receptive_field_px(convs: int) -> int:
    """Reach of a U-Net with ``convs`` 3×3 convolutions a block.

    Each convolution sees a cell further: of 1, 2, 4, 8 px on the way down and again on the way up, of 16 px
    at the bottom. And a pixel is anywhere in its cell of 16 px.
    """
    return convs * (3 * _CELL_PX - 2) + _CELL_PX - 1


def he_init(network: nn.Module) -> None:
    """Normal weights that keep a signal's power through convolutions and ReLUs, zero biases.

    He et al., "Delving Deep into Rectifiers", ICCV 2015. With PyTorch's default each layer takes five sixths
    of the power. No normalisation makes up for it here, so after twenty layers only biases would be left.
    A decoder's last layer starts at zero: else the first hundreds of steps go into unlearning random colours.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
    for part in network.modules():
        if isinstance(part, Decoder):
            nn.init.zeros_(part.leave.weight)


class Encoder(nn.Module):
    """A block at the full resolution, then 2×2 max pooling and a block for each further level.

    Args:
        bands: channels of the input.
        widths: channels of each level, finest first.
        block: makes the block of a level.
    """

    def __init__(self, bands: int, widths: Sequence[int], block: Block) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(block(a, b) for a, b in pairwise((bands, *widths)))

    def forward(self, nir: Tensor) -> list[Tensor]:
        """Features of each level, finest first."""
        features = [self.blocks[0](nir)]
        for block in self.blocks[1:]:
            features.append(block(F.max_pool2d(features[-1], 2)))
        return features


class Decoder(nn.Module):
    """2×2 transposed convolution up, the encoder's features beside it, a block; at the end a linear 1×1.

    Args:
        widths: channels of the encoder's levels, finest first.
        channels: of the output.
        block: makes the block of a level.
    """

    def __init__(self, widths: Sequence[int], channels: int, block: Block) -> None:
        super().__init__()
        levels = list(pairwise(reversed(widths)))
        self.up = nn.ModuleList(nn.ConvTranspose2d(a, b, 2, stride=2) for a, b in levels)
        self.blocks = nn.ModuleList(block(2 * b, b) for _, b in levels)
        self.leave = nn.Conv2d(widths[0], channels, 1)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        *skips, h = features
        for up, block, skip in zip(self.up, self.blocks, reversed(skips), strict=True):
            h = block(torch.cat([skip, up(h)], 1))
        return self.leave(h)


class UNet(Network):
    """Plain U-Net, 31.0 M parameters at the default width.

    Args:
        bands: NIR bands of the input.
        width: channels at the full resolution; they double with each of the four poolings.
    """

    multiple_of = minimum_px = _CELL_PX
    receptive_field_px = receptive_field_px(convs=2)

    def __init__(self, bands: int = 1, width: int = 64) -> None:
        super().__init__()
        self.bands = bands
        widths = level_widths(width)
        self.encoder = Encoder(bands, widths, double_conv)
        self.decoder = Decoder(widths, 3, double_conv)
        he_init(self)

    def forward(self, nir: Tensor) -> Tensor:
        """Colour of ``nir`` (N, bands, h, w), values in [0, 1]: (N, 3, h, w), not clipped.

        Raises ValueError for other bands, and for sides that are not multiples of 16.
        """
        self.check(nir)
        return self.decoder(self.encoder(nir))
