"""Network for one broad NIR band and any scene (`scene`)."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nircolor.models.depthwise import DepthwiseConv2d
from nircolor.models.efficientnet_lite import EfficientNetLite0
from nircolor.models.network import Network, check_counts, check_widths

# Pixels of a cell of 2 × 2 at half resolution.
_CELL = 4
# The first convolution has a stride of 2.
_STEM_KERNEL_PX = 4
# Ratio of the channels between the 1×1 convolutions of a block to those outside.
_EXPANSION = 3
# How far the learned part of the guide can move away from the brightness.
_GUIDE_RANGE = 0.25
_FIRST_BOUND = 0.15


class _ContextDecoder(nn.Module):
    """Merge the encoder's feature maps top down into one map at stride 4 (Lin et al., "FPN", CVPR 2017)."""

    def __init__(self, channels: tuple[int, ...], width: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout2d(dropout)
        self.lateral = nn.ModuleList(nn.Conv2d(c, width, 1) for c in channels)
        self.smooth = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in channels[:-1])
        self.whole = nn.Linear(channels[-1], width)

    def forward(self, pyramid: list[Tensor]) -> Tensor:
        pyramid = [self.dropout(features) for features in pyramid]
        top = pyramid[-1]
        h = self.lateral[-1](top) + self.whole(top.mean((2, 3)))[:, :, None, None]
        for i in range(len(pyramid) - 2, -1, -1):
            h = F.interpolate(F.relu(h), scale_factor=2.0, mode="bilinear") + self.lateral[i](pyramid[i])
            h = h + F.relu(self.smooth[i](F.relu(h)))
        return h


class _Block(nn.Module):
    """Residual block: depthwise convolution, batch norm, 1×1 convolution, ReLU, 1×1 convolution."""

    def __init__(self, width: int, kernel_size: int) -> None:
        super().__init__()
        self.mix = nn.Sequential(
            DepthwiseConv2d(width, kernel_size, padding=kernel_size // 2, bias=False),
            nn.BatchNorm2d(width),
            nn.Conv2d(width, _EXPANSION * width, 1),
            nn.ReLU(),
            nn.Conv2d(_EXPANSION * width, width, 1),
        )

    def forward(self, h: Tensor) -> Tensor:
        return h + self.mix(h)


def _blocks(level: int, width: int) -> list[_Block]:
    count, kernel_size = _block_sizes(level)
    return [_Block(width, kernel_size) for _ in range(count)]


def _modulated(h: Tensor, film: Tensor) -> Tensor:
    """Scale and shift features by a map of both, (N, 2C, h, w); ReLU."""
    gain, shift = film.chunk(2, 1)
    return F.relu(h * (1 + gain) + shift)


def sample_window(grid: Tensor, edges: Tensor, size: tuple[int, int]) -> Tensor:
    """Interpolate a map of the whole image bilinearly over a window of the image.

    Two matrix products with hat functions: exact at any zoom, differentiable, and fastest on a CPU.

    Args:
        grid: (N, C, rows, columns), spans the whole image.
        edges: (N, 4), top, bottom, left and right of the window, 0 to 1 across the image.
        size: Rows and columns of the result.

    Returns:
        (N, C, *size).
    """

    def hats(low: Tensor, high: Tensor, count: int, cells: int) -> Tensor:
        steps = (torch.arange(count, device=grid.device, dtype=grid.dtype) + 0.5) / count
        position = (low[:, None] + (high - low)[:, None] * steps) * cells - 0.5
        position = position.clamp(0, cells - 1)
        cell = torch.arange(cells, device=grid.device, dtype=grid.dtype)
        return F.relu(1 - (position[:, :, None] - cell).abs())

    rows = hats(edges[:, 0], edges[:, 1], size[0], grid.shape[2])
    columns = hats(edges[:, 2], edges[:, 3], size[1], grid.shape[3])
    return rows[:, None] @ grid @ columns[:, None].transpose(2, 3)


def slice_grid(grid: Tensor, guide: Tensor) -> Tensor:
    """Interpolate linearly between the levels of a bilateral grid, at each pixel as its guide says.

    Source: Gharbi et al., "Deep Bilateral Learning for Real-Time Image Enhancement", SIGGRAPH 2017.

    Args:
        grid: (N, levels, C, h, w).
        guide: (N, 1, h, w), clipped to 0 to 1: 0 is the first level, 1 the last.

    Returns:
        (N, C, h, w).
    """
    levels = grid.shape[1]
    position = guide.clamp(0, 1) * (levels - 1)
    level = torch.arange(levels, device=grid.device, dtype=guide.dtype)[:, None, None]
    weights = F.relu(1 - (position - level).abs()).to(grid.dtype)
    return (grid * weights[:, :, None]).sum(1)


class Scene(Network):
    """Compact network that colorizes one broad NIR band on a CPU.

    It consists of two parts:

    - **Context**: an encoder trained on photographs (EfficientNet-Lite0) and a top-down decoder turn a
      reduced view of the *whole* image into a coarse map of its content (sky, meadow, rock, a wall). The cost
      of this does not grow with the image, and all tiles of an image share it. The map is a bilateral grid:
      each cell holds features for several levels of brightness, so that sky and tree can differ within a
      cell.
    - **Detail**: a U-Net of ConvNeXt-like blocks runs on the tile at half resolution. A guide, computed from
      the tile, chooses the level of the grid at each pixel: what scales and shifts the features at each
      level of the U-Net (FiLM) has the edges of the tile, although the cells are large.

    The untrained network returns the gray image: its input in all three channels.

    Args:
        context_width: Channels of the top-down decoder.
        widths: Channels of the detail U-Net at 1/2, 1/4, 1/8, … of the tile's resolution.
        grid_levels: Levels of brightness of the bilateral grid.
        grid_channels: Features in each of its levels.
        context_px: Side of the reduced view of the whole image, a multiple of 32.
        dropout: Fraction of the encoder's channels that are dropped in training, at least 0 and below 1.

    Raises:
        ValueError: An argument is out of its range.

    Shapes:
        - ``nir``: (N, 1, h, w) in [0, 1]; h and w are multiples of 2 to the power of the number of widths, 16
          by default.
        - ``context``: (N, 5, context_px, context_px), see `forward`.
        - Output: (N, 4, h, w), not clipped: red, green, blue, and the bound that the error of this colour
          (root mean square over the channels) stays below in 90% of cases.

    Reference:
        Tan, Le, "EfficientNet", ICML 2019; Gharbi et al., "Deep Bilateral Learning for Real-Time Image
        Enhancement", SIGGRAPH 2017; Liu et al., "A ConvNet for the 2020s", CVPR 2022.

    Example:
        >>> network = Scene(context_width=8, widths=(8, 16), context_px=64).eval()
        >>> nir, view = torch.rand(1, 1, 32, 48), torch.rand(1, 1, 64, 64)
        >>> edges = torch.tensor([0.0, 0.5, 0.25, 1.0])  # top, bottom, left, right
        >>> context = torch.cat([view, edges.view(1, 4, 1, 1).expand(1, 4, 64, 64)], 1)
        >>> network(nir, context).shape
        torch.Size([1, 4, 32, 48])
    """

    error_quantile = 0.9
    # validation images lose nothing by it (docs/quality.md), and large ones take a fraction of the time
    working_pixels = 200_000

    def __init__(
        self,
        context_width: int = 48,
        widths: Sequence[int] = (32, 48, 64, 96),
        grid_levels: int = 8,
        grid_channels: int = 16,
        context_px: int = 256,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        check_counts(context_width=context_width, grid_channels=grid_channels, context_px=context_px)
        check_counts(2, grid_levels=grid_levels)
        check_widths(widths)
        if context_px % 32:
            raise ValueError(f"context_px: expected a multiple of 32, got {context_px}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout: expected at least 0 and below 1, got {dropout}")
        self.context_px, self.grid_levels = context_px, grid_levels
        # half resolution first, then one pooling for each further level
        self.multiple_of = self.minimum_px = 2 ** len(widths)
        self.receptive_field_px = _receptive_field_px(len(widths))
        # 0.4 of the radius on both sides of where tiles are blended: pixels further away change colours by
        # less than half an 8-bit step with the shipped weights
        self.overlap_px = self.receptive_field_px * 7 // 8
        self.encoder = EfficientNetLite0()
        self.context = _ContextDecoder(self.encoder.channels[1:], context_width, dropout)
        self.grid = nn.Conv2d(context_width, grid_levels * grid_channels, 1)
        self.stem = nn.Sequential(
            nn.Conv2d(1, widths[0], _STEM_KERNEL_PX, 2, padding=_STEM_KERNEL_PX // 2 - 1),
            nn.ReLU(),
            *_blocks(0, widths[0]),
        )
        self.guide = nn.Sequential(nn.Conv2d(widths[0], 16, 1), nn.ReLU(), nn.Conv2d(16, 1, 1))
        pairs = list(enumerate(pairwise(widths)))
        self.first = nn.Sequential(*_blocks(0, widths[0]))
        self.down = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 1), *_blocks(level + 1, b)) for level, (a, b) in pairs
        )
        self.narrow = nn.ModuleList(nn.Conv2d(b, a, 1) for _, (a, b) in pairs)
        self.up = nn.ModuleList(nn.Sequential(*_blocks(level, a)) for level, (a, _) in pairs)
        self.film_down = nn.ModuleList(nn.Conv2d(grid_channels, 2 * width, 1) for width in widths)
        self.film_up = nn.ModuleList(nn.Conv2d(grid_channels, 2 * width, 1) for width in widths[:-1])
        self.leave = nn.Conv2d(widths[0], 3 * _CELL, 1)
        # fitted on validation images (`nircolor.training.bounds`)
        self.bound = nn.Sequential(
            nn.Conv2d(widths[0], widths[0], 1),
            nn.ReLU(),
            nn.Conv2d(widths[0], _CELL, 1),
        ).requires_grad_(False)
        # the network starts from the gray image, so that the first steps learn colour only, and from a bound
        # of a typical size
        for layer, bias in ((self.leave, 0.0), (self.bound[-1], math.log(_FIRST_BOUND))):
            assert isinstance(layer, nn.Conv2d)
            assert layer.bias is not None
            nn.init.zeros_(layer.weight)
            nn.init.constant_(layer.bias, bias)

    def error_head(self) -> nn.Sequential:
        """Return the layers that bound the error."""
        return self.bound

    def forward(self, nir: Tensor, context: Tensor) -> Tensor:
        """Compute the colour of one tile and the bound of its error.

        Args:
            nir: (N, 1, h, w) in [0, 1]; h and w are multiples of ``multiple_of``.
            context: (N, 5, context_px, context_px): the NIR of the whole image, reduced by averaging; then
                top, bottom, left and right edge of the tile, each a constant plane, 0 to 1 across the image.

        Returns:
            (N, 4, h, w), not clipped.

        Raises:
            ValueError: ``nir`` or ``context`` has another shape.
        """
        self.check(nir)
        expected = (nir.shape[0], 5, self.context_px, self.context_px)
        if not torch.compiler.is_compiling() and context.shape != expected:
            raise ValueError(f"context: expected {expected}, got {tuple(context.shape)}")
        grid = self.grid(self.context(self.encoder(context[:, :1])[1:]))
        edges = context[:, 1:, 0, 0]

        h = self.stem(nir)
        size = (h.shape[2], h.shape[3])
        # brightness alone chooses the level at first
        guide = F.avg_pool2d(nir, 2) + _GUIDE_RANGE * torch.tanh(self.guide(h))
        sampled = sample_window(grid, edges.to(grid.dtype), size)
        features = slice_grid(sampled.view(nir.shape[0], self.grid_levels, -1, *size), guide)
        pooled = [features]
        for _ in self.down:
            pooled.append(F.avg_pool2d(pooled[-1], 2))
        h = self.first(_modulated(h, self.film_down[0](features)))
        skips = []
        for i, level in enumerate(self.down, 1):
            assert isinstance(level, nn.Sequential)
            skips.append(h)
            h = level[0](F.max_pool2d(h, 2))
            h = level[1:](_modulated(h, self.film_down[i](pooled[i])))
        for i in reversed(range(len(self.up))):
            # fewer channels are interpolated, and added rather than concatenated: the same algebra, faster
            h = skips[i] + F.interpolate(self.narrow[i](h), scale_factor=2.0, mode="bilinear")
            h = self.up[i](_modulated(h, self.film_up[i](pooled[i])))
        output = F.pixel_shuffle(torch.cat([self.leave(h), self.bound(h)], 1), 2)
        # colours are within [0, 1], and so are errors; noise can drive the logarithm beyond what `exp` holds
        return torch.cat([nir + output[:, :3], output[:, 3:].clamp(max=0).exp()], 1)


def _block_sizes(level: int) -> tuple[int, int]:
    """Return the number of blocks at a level of the U-Net and the side of their kernels."""
    # what costs most where there are most pixels comes where there are fewer
    return (1 if level < 2 else 2), (3 if level == 0 else 5)


def _receptive_field_px(levels: int) -> int:
    cells_px = [2 ** (level + 1) for level in range(levels)]
    radii_px = [
        px * count * (kernel // 2)
        for px, (count, kernel) in zip(cells_px, map(_block_sizes, range(levels)), strict=True)
    ]
    # blocks: before the context, in the encoder and in the decoder (the coarsest level is in both)
    blocks_px = radii_px[0] + 2 * sum(radii_px[:-1]) + radii_px[-1]
    # interpolation from a level adds half a cell; then comes the position of a pixel in its cell of the
    # coarsest level, and what the first convolution sees beyond its cell
    return blocks_px + sum(cells_px[1:]) // 2 + cells_px[-1] - 1 + _STEM_KERNEL_PX // 2 - 1
