"""`convnext_unet`: a U-Net of ConvNeXt blocks on folded pixels, for colour from narrow bands on a CPU.

With bands that tell materials apart, a pixel's colour is read off its surroundings rather than off what the
image shows. So all goes into looking at surroundings cheaply: the image is folded (2×2 px become
channels), and each block mixes places channel by channel, with a depthwise convolution, then channels pixel
by pixel (Liu et al., "A ConvNet for the 2020s", CVPR 2022). Batch normalisation and ReLU stand in for layer
normalisation and GELU: on a CPU the first folds into its neighbour and the second costs next to nothing.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nircolor.models.network import Network

_FOLD_PX = 2
_BLOCKS = 2
_REACH_CELLS = 2  # of a 5×5 convolution


class ConvNextBlock(nn.Module):
    """h + conv 1×1 (ReLU (conv 1×1 (normalised depthwise conv 5×5 of h))), three times as wide inside.

    The image goes on as its last pixel beyond the border: zeros there would be learnt as part of small
    training images, and are missing inside of large ones.
    """

    def __init__(self, width: int, expansion: int = 3) -> None:
        super().__init__()
        self.mix = nn.Sequential(
            nn.Conv2d(
                width, width, 5, padding=_REACH_CELLS, padding_mode="replicate", groups=width, bias=False
            ),
            nn.BatchNorm2d(width),
            nn.Conv2d(width, expansion * width, 1),
            nn.ReLU(),
            nn.Conv2d(expansion * width, width, 1),
        )

    def forward(self, h: Tensor) -> Tensor:
        return h + self.mix(h)


def _level(channels_in: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels_in, width, 1), *(ConvNextBlock(width) for _ in range(_BLOCKS)))


class ConvNextUNet(Network):
    """From any bands to colour; 0.63 M parameters at the default widths.

    Args:
        bands: NIR bands of the input.
        widths: channels at 1/2, 1/4, 1/8, … of the resolution.
    """

    def __init__(self, bands: int = 3, widths: Sequence[int] = (32, 64, 96, 128)) -> None:
        super().__init__()
        self.bands = bands
        self.multiple_of = self.minimum_px = _FOLD_PX * 2 ** (len(widths) - 1)
        # a level's cell counts for each of its convolutions, down and up, and for the interpolation from it;
        # and a pixel is anywhere in its cell of the coarsest level
        cells_px = [_FOLD_PX * 2**level for level in range(len(widths))]
        convs = _BLOCKS * _REACH_CELLS
        self.receptive_field_px = (
            convs * (2 * sum(cells_px[:-1]) + cells_px[-1]) + sum(cells_px[1:]) // 2 + cells_px[-1] - 1
        )
        # reflectances lie far from a mean of 0 and a deviation of 1
        self.standardise = nn.BatchNorm2d(bands, affine=False)
        self.enter = _level(bands * _FOLD_PX**2, widths[0])
        self.down = nn.ModuleList(_level(a, b) for a, b in pairwise(widths))
        self.up = nn.ModuleList(_level(a + b, a) for a, b in pairwise(widths))
        self.leave = nn.Conv2d(widths[0], 3 * _FOLD_PX**2, 1)
        # the transfer matrix; what it leaves over is the network's
        self.linear = nn.Conv2d(bands, 3, 1)
        for layer in (self.leave, self.linear):
            nn.init.zeros_(layer.weight)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)

    def forward(self, nir: Tensor) -> Tensor:
        """Colour of ``nir`` (N, bands, h, w), values in [0, 1]: (N, 3, h, w), not clipped.

        Raises ValueError for other bands, and for sides that are not multiples of ``multiple_of``.
        """
        self.check(nir)
        nir = self.standardise(nir)
        h = self.enter(F.pixel_unshuffle(nir, _FOLD_PX))
        skips = []
        for level in self.down:
            skips.append(h)
            h = level(F.max_pool2d(h, 2))
        for level, skip in zip(reversed(self.up), reversed(skips), strict=True):
            h = level(torch.cat([skip, F.interpolate(h, scale_factor=2.0, mode="bilinear")], 1))
        return self.linear(nir) + F.pixel_shuffle(self.leave(h), _FOLD_PX)
