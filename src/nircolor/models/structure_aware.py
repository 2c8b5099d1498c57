"""The structure-aware network of the multi-band paper: one encoder, two decoders.

Park, Lee, Lee, Kim, "Multi-Band NIR Colorization Using Structure-Aware Network", section III-B. The RGB
branch learns colour; the gray branch learns structure from the same features. The gray branch and its scale
map serve training alone, through equations (1) to (3) of `losses`.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from nircolor.losses import sobel
from nircolor.models.network import Network
from nircolor.models.unet import Decoder, Encoder, double_conv, he_init, level_widths, receptive_field_px

_DENSE_CONVS = 4


class Branches(NamedTuple):
    """What training sees of the network, each (N, channels, h, w) and not clipped.

    Attributes:
        rgb: the colour, three channels.
        gray: the gray version of the colour, one channel.
        scale_map: s of equation (2), one channel: the NIR image's gradient over the gray one's.
    """

    rgb: Tensor
    gray: Tensor
    scale_map: Tensor


class _DenseBlock(nn.Module):
    """Four (conv 3×3, ReLU), each on the input and all before it, then (conv 1×1, ReLU) on all of these."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        growth = channels_out // 2
        self.convs = nn.ModuleList(
            nn.Conv2d(channels_in + i * growth, growth, 3, padding=1) for i in range(_DENSE_CONVS)
        )
        self.merge = nn.Conv2d(channels_in + _DENSE_CONVS * growth, channels_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.convs:
            x = torch.cat([x, conv(x).relu()], 1)
        return self.merge(x).relu()


class StructureAware(Network):
    """Two-branch U-Net of dense blocks; of its 77.8 M parameters at the default width, 56.3 M are for colour.

    Args:
        bands: NIR bands of the input.
        width: channels at the full resolution; they double with each of the four poolings.
        dense: the paper's dense blocks; False is its ablation, the plain U-Net's blocks.
    """

    multiple_of = minimum_px = 16

    def __init__(self, bands: int = 3, width: int = 64, dense: bool = True) -> None:
        super().__init__()
        self.bands = bands
        self.receptive_field_px = receptive_field_px(_DENSE_CONVS if dense else 2)
        block = _DenseBlock if dense else double_conv
        widths = level_widths(width)
        self.encoder = Encoder(bands, widths, block)
        self.rgb = Decoder(widths, 3, block)
        self.gray = Decoder(widths, 1, block)
        # linear at the end: where NIR is bright and visible light dark, gradients have opposite signs
        self.scale_map = nn.Sequential(
            nn.Conv2d(2, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, 1, 3, padding=1),
        )
        he_init(self)

    def forward(self, nir: Tensor) -> Tensor:
        """Colour of ``nir`` (N, bands, h, w), values in [0, 1]: (N, 3, h, w), not clipped.

        Raises ValueError for other bands, and for sides that are not multiples of 16.
        """
        self.check(nir)
        return self.rgb(self.encoder(nir))

    def branches(self, nir: Tensor) -> Branches:
        """All that the losses ask for; takes and raises what `forward` does."""
        self.check(nir)
        features = self.encoder(nir)
        gray = self.gray(features)
        return Branches(self.rgb(features), gray, self.scale_map(sobel(gray)))
