"""U-Net of ConvNeXt blocks (`convnext_unet`)."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from nircolor.models.network import Network, check_counts, check_widths

_FOLD_PX = 2
_BLOCKS = 2
# radius of a 5×5 convolution
_RADIUS_CELLS = 2


class ConvNextBlock(nn.Module):
    """Residual block: depthwise 5×5 convolution, batch norm, 1×1 convolution, ReLU, 1×1 convolution.

    Borders are padded with the nearest pixel. With zeros, the network would learn from the padding of small
    training images, which does not exist inside large images.

    Args:
        width: Channels of input and output.
        expansion: Ratio of the channels between the 1×1 convolutions to ``width``.
    """

    def __init__(self, width: int, expansion: int = 3) -> None:
        super().__init__()
        self.mix = nn.Sequential(
            nn.Conv2d(
                width, width, 5, padding=_RADIUS_CELLS, padding_mode="replicate", groups=width, bias=False
            ),
            nn.BatchNorm2d(width),
            nn.Conv2d(width, expansion * width, 1),
            nn.ReLU(),
            nn.Conv2d(expansion * width, width, 1),
        )

    def forward(self, h: Tensor) -> Tensor:
        """Add the block's output to ``h`` (N, width, rows, columns)."""
        return h + self.mix(h)


def _blocks(width: int) -> nn.Sequential:
    return nn.Sequential(*(ConvNextBlock(width) for _ in range(_BLOCKS)))


class _Up(nn.Module):
    """Level of the decoder: 1×1 convolutions of its skip connection and of the coarser level, added; blocks.

    A 1×1 convolution of both together would compute the same, but with all channels at the finer resolution:
    it and the interpolation commute.
    """

    def __init__(self, width: int, width_below: int) -> None:
        super().__init__()
        self.skip = nn.Conv2d(width, width, 1)
        self.below = nn.Conv2d(width_below, width, 1, bias=False)
        self.blocks = _blocks(width)

    def forward(self, skip: Tensor, below: Tensor) -> Tensor:
        h = self.skip(skip) + F.interpolate(self.below(below), scale_factor=2.0, mode="bilinear")
        merged: Tensor = self.blocks(h)
        return merged


class ConvNextUNet(Network):
    """U-Net of ConvNeXt blocks, for colour from narrow bands on a CPU.

    Narrow bands separate materials, so the colour of a pixel depends more on its surroundings than on the
    content of the whole image. The network therefore takes no reduced view of the whole image. It works on
    cells of 2×2 pixels. Each block mixes neighbouring cells within a channel, by a depthwise convolution,
    then channels within a cell. Batch normalization and ReLU replace ConvNeXt's layer normalization and GELU:
    on a CPU, batch normalization is folded into a convolution, and ReLU costs little. A linear map of each
    cell is added to the output. 0.63 M parameters at the default widths.

    Args:
        bands: NIR bands of the input.
        widths: Channels at 1/2, 1/4, 1/8, … of the resolution.

    Raises:
        ValueError: An argument is out of its range.

    Shapes:
        - ``nir``: (N, bands, h, w) in [0, 1]; h and w are multiples of 2 to the power of the number of
          widths, 16 by default.
        - Output: (N, 3, h, w), not clipped.

    Reference:
        Liu et al., "A ConvNet for the 2020s", CVPR 2022.

    Example:
        >>> import torch
        >>> network = ConvNextUNet(bands=3, widths=(8, 16)).eval()
        >>> network(torch.rand(1, 3, 32, 48)).shape
        torch.Size([1, 3, 32, 48])
    """

    def __init__(self, bands: int = 3, widths: Sequence[int] = (32, 64, 96, 128)) -> None:
        super().__init__()
        check_counts(bands=bands)
        check_widths(widths)
        self.bands = bands
        self.multiple_of = self.minimum_px = _FOLD_PX * 2 ** (len(widths) - 1)
        # each convolution adds cells of its level, in the encoder and again in the decoder; interpolation
        # from a level adds half a cell; then comes the position of a pixel in its cell of the coarsest level
        cells_px = [_FOLD_PX * 2**level for level in range(len(widths))]
        convs = _BLOCKS * _RADIUS_CELLS
        self.receptive_field_px = (
            convs * (2 * sum(cells_px[:-1]) + cells_px[-1]) + sum(cells_px[1:]) // 2 + cells_px[-1] - 1
        )
        # 0.6 of the radius on both sides of where tiles are blended: pixels further away change colours by
        # less than half an 8-bit step with the shipped weights
        self.overlap_px = self.receptive_field_px * 6 // 5 + 24
        # the mean of reflectances is far from 0 and their deviation far from 1
        self.standardise = nn.BatchNorm2d(bands, affine=False)
        # a convolution with a stride: faster than to fold 2×2 pixels into channels first
        self.enter = nn.Sequential(nn.Conv2d(bands, widths[0], _FOLD_PX, _FOLD_PX), _blocks(widths[0]))
        self.down = nn.ModuleList(nn.Sequential(nn.Conv2d(a, b, 1), _blocks(b)) for a, b in pairwise(widths))
        self.up = nn.ModuleList(_Up(a, b) for a, b in pairwise(widths))
        self.leave = nn.Conv2d(widths[0], 3 * _FOLD_PX**2, 1)
        # a linear map from bands to colours; the rest of the network estimates the difference from it
        self.linear = nn.Conv2d(bands, 3 * _FOLD_PX**2, _FOLD_PX, _FOLD_PX)
        for layer in (self.leave, self.linear):
            nn.init.zeros_(layer.weight)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)

    def forward(self, nir: Tensor) -> Tensor:
        """Compute the colour (N, 3, h, w) of ``nir`` (N, bands, h, w), not clipped.

        Raises:
            ValueError: Another number of bands, or sides that are not multiples of ``multiple_of``.
        """
        self.check(nir)
        nir = self.standardise(nir)
        h = self.enter(nir)
        skips = []
        for level in self.down:
            skips.append(h)
            h = level(F.max_pool2d(h, 2))
        for up, skip in zip(reversed(self.up), reversed(skips), strict=True):
            h = up(skip, h)
        return F.pixel_shuffle(self.leave(h) + self.linear(nir), _FOLD_PX)
