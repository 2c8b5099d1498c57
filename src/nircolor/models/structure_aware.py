"""Structure-aware network (`structure_aware`) of the multi-band colorization paper."""

from functools import partial
from typing import NamedTuple, get_args

import torch
from torch import Tensor, nn

from nircolor.losses import sobel
from nircolor.models.network import Network, check_choice, check_counts
from nircolor.models.unet import (
    Block,
    Decoder,
    Encoder,
    Norm,
    double_conv,
    he_init,
    level_widths,
    normalized_conv,
    unet_receptive_field_px,
)

_DENSE_CONVS = 4


class Branches(NamedTuple):
    """Outputs of all branches, for the training losses; each is (N, channels, h, w) and not clipped.

    Attributes:
        rgb: The colour, three channels.
        gray: The gray version of the colour, one channel.
        scale_map: s of equation (2), one channel: the ratio of the NIR image's gradient to the gray image's.
    """

    rgb: Tensor
    gray: Tensor
    scale_map: Tensor


class _DenseBlock(nn.Module):
    """Four 3×3 convolutions, each on the input and all previous outputs, then a 1×1 convolution on all.

    Normalization and ReLU follow each of the five.
    """

    def __init__(self, channels_in: int, channels_out: int, norm: Norm) -> None:
        super().__init__()
        growth = channels_out // 2

        def conv(fan_in: int, fan_out: int, kernel: int) -> nn.Module:
            layers = normalized_conv(fan_in, fan_out, kernel, norm)
            return nn.Sequential(*layers) if len(layers) > 1 else layers[0]

        self.convs = nn.ModuleList(conv(channels_in + i * growth, growth, 3) for i in range(_DENSE_CONVS))
        self.merge = conv(channels_in + _DENSE_CONVS * growth, channels_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.convs:
            x = torch.cat([x, conv(x).relu()], 1)
        return self.merge(x).relu()


class StructureAware(Network):
    """Two-branch U-Net of dense blocks for several NIR bands.

    One encoder feeds two decoders. The RGB branch estimates the colour. The gray branch estimates a gray
    image whose gradients are compared with those of the NIR image, scaled by a map, so that the shared
    features keep the structure of the scene (equations (1) to (3), see `losses`). `forward` runs the RGB
    branch only; `branches` runs all of them, for training. Of 77.8 M parameters at the default width, 56.3 M
    compute the colour.

    Args:
        bands: NIR bands of the input.
        width: Channels at full resolution; they double with each of the four poolings. At least 2 with dense
            blocks, whose convolutions have half as many.
        dense: Use the paper's dense blocks; False uses the blocks of a U-Net (the paper's ablation).
        norm: ``"batch"`` adds batch normalization after each convolution of the blocks; ``"none"`` is the
            network as published.

    Raises:
        ValueError: An argument is out of its range.

    Shapes:
        - ``nir``: (N, bands, h, w) in [0, 1]; h and w are multiples of 16.
        - Output: (N, 3, h, w), not clipped.

    Reference:
        Park, Lee, Lee, Kim, "Multi-Band NIR Colorization Using Structure-Aware Network", section III-B.

    Example:
        >>> network = StructureAware(bands=3, width=8)
        >>> network(torch.rand(1, 3, 32, 48)).shape
        torch.Size([1, 3, 32, 48])
        >>> network.branches(torch.rand(1, 3, 32, 48)).gray.shape
        torch.Size([1, 1, 32, 48])
    """

    multiple_of = minimum_px = 16

    def __init__(self, bands: int = 3, width: int = 64, dense: bool = True, norm: Norm = "none") -> None:
        super().__init__()
        check_counts(bands=bands)
        check_counts(2 if dense else 1, width=width)
        check_choice("norm", norm, get_args(Norm))
        self.bands = bands
        self.receptive_field_px = unet_receptive_field_px(_DENSE_CONVS if dense else 2)
        block: Block = partial(_DenseBlock if dense else double_conv, norm=norm)
        widths = level_widths(width)
        self.encoder = Encoder(bands, widths, block)
        self.rgb = Decoder(widths, 3, block)
        self.gray = Decoder(widths, 1, block)
        # the last layer has no activation: where NIR is bright and visible light dark, gradients have
        # opposite signs
        self.scale_map = nn.Sequential(
            nn.Conv2d(2, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, 1, 3, padding=1),
        )
        he_init(self)

    def forward(self, nir: Tensor) -> Tensor:
        """Compute the colour (N, 3, h, w) of ``nir`` (N, bands, h, w), not clipped.

        Raises:
            ValueError: Another number of bands, or sides that are not multiples of 16.
        """
        self.check(nir)
        return self.rgb(self.encoder(nir))

    def branches(self, nir: Tensor) -> Branches:
        """Compute the outputs of all branches, which the training losses compare.

        Args:
            nir: (N, bands, h, w) in [0, 1]; h and w are multiples of 16.

        Raises:
            ValueError: Another number of bands, or sides that are not multiples of 16.
        """
        self.check(nir)
        features = self.encoder(nir)
        gray = self.gray(features)
        return Branches(self.rgb(features), gray, self.scale_map(sobel(gray)))
