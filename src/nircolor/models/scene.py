"""Network for one broad NIR band and any scene (`scene`)."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nircolor.models.efficientnet_lite import EfficientNetLite0
from nircolor.models.network import Network, check_counts, check_widths


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


class _ContextualConv(nn.Module):
    """3×3 convolution, scale and shift per pixel by the context map, ReLU."""

    def __init__(self, channels_in: int, channels_out: int, context_width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        self.film = nn.Conv2d(context_width, 2 * channels_out, 1)

    def forward(self, x: Tensor, grid: Tensor, edges: Tensor) -> Tensor:
        # operations that commute with the interpolation run before it, on the few cells of the map
        scale, shift = self.film(grid).chunk(2, dim=1)
        size = (x.shape[2], x.shape[3])
        gain, offset = (sample_window(cells, edges, size) for cells in (1 + scale, shift))
        return F.relu(self.conv(x) * gain + offset)


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


class Scene(Network):
    """Compact network that colorizes one broad NIR band on a CPU.

    It consists of two parts:

    - **Context**: an encoder trained on photographs (EfficientNet-Lite0) and a top-down decoder turn a
      reduced view of the *whole* image into a map of its content (sky, meadow, rock, a wall). The cost of
      this does not grow with the image, and all tiles of an image share it.
    - **Detail**: a small U-Net runs on the tile at half resolution (pixels are folded into channels and
      back). At each of its levels the part of the map that the tile covers is interpolated to the level's
      size, and scales and shifts the features (FiLM, here per pixel).

    3.2 M parameters with the defaults. The untrained network returns the gray image: its input in all three
    channels.

    Args:
        context_width: Channels of the context map.
        widths: Channels of the detail U-Net at 1/2, 1/4, 1/8, … of the tile's resolution.
        context_px: Side of the reduced view of the whole image, a multiple of 32.
        dropout: Fraction of the encoder's channels that are dropped in training, at least 0 and below 1.

    Raises:
        ValueError: An argument is out of its range.

    Shapes:
        - ``nir``: (N, 1, h, w) in [0, 1]; h and w are multiples of 2 to the power of the number of widths, 16
          by default.
        - ``context``: (N, 5, context_px, context_px), see `forward`.
        - Output: (N, 3, h, w), not clipped.

    Reference:
        Tan, Le, "EfficientNet", ICML 2019; Perez et al., "FiLM: Visual Reasoning with a General Conditioning
        Layer", AAAI 2018.

    Example:
        >>> network = Scene(context_width=8, widths=(8, 16), context_px=64).eval()
        >>> nir, view = torch.rand(1, 1, 32, 48), torch.rand(1, 1, 64, 64)
        >>> edges = torch.tensor([0.0, 0.5, 0.25, 1.0])  # top, bottom, left, right
        >>> context = torch.cat([view, edges.view(1, 4, 1, 1).expand(1, 4, 64, 64)], 1)
        >>> network(nir, context).shape
        torch.Size([1, 3, 32, 48])
    """

    def __init__(
        self,
        context_width: int = 48,
        widths: Sequence[int] = (24, 32, 48, 64),
        context_px: int = 256,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        check_counts(context_width=context_width, context_px=context_px)
        check_widths(widths)
        if context_px % 32:
            raise ValueError(f"context_px: expected a multiple of 32, got {context_px}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout: expected at least 0 and below 1, got {dropout}")
        self.context_px = context_px
        # half resolution first, then one pooling for each further level
        self.multiple_of = self.minimum_px = 2 ** len(widths)
        # within the tile: one cell of 2, 4, 8, … px for each of five 3×3 windows (first and last convolution,
        # encoder, decoder, interpolation)
        self.receptive_field_px = 5 * (self.multiple_of - 1)
        self.encoder = EfficientNetLite0()
        self.context = _ContextDecoder(self.encoder.channels[1:], context_width, dropout)
        self.enter = _ContextualConv(4, widths[0], context_width)
        self.down = nn.ModuleList(_ContextualConv(a, b, context_width) for a, b in pairwise(widths))
        self.up = nn.ModuleList(_ContextualConv(a + b, a, context_width) for a, b in pairwise(widths))
        self.leave = nn.Conv2d(widths[0], 12, 3, padding=1)
        # the network starts from the gray image, so that the first steps learn colour only
        nn.init.zeros_(self.leave.weight)
        assert self.leave.bias is not None
        nn.init.zeros_(self.leave.bias)

    def forward(self, nir: Tensor, context: Tensor) -> Tensor:
        """Compute the colour of one tile.

        Args:
            nir: (N, 1, h, w) in [0, 1]; h and w are multiples of ``multiple_of``.
            context: (N, 5, context_px, context_px): the NIR of the whole image, reduced by averaging; then
                top, bottom, left and right edge of the tile, each a constant plane, 0 to 1 across the image.

        Returns:
            (N, 3, h, w), not clipped.

        Raises:
            ValueError: ``nir`` or ``context`` has another shape.
        """
        self.check(nir)
        expected = (nir.shape[0], 5, self.context_px, self.context_px)
        if not torch.compiler.is_compiling() and context.shape != expected:
            raise ValueError(f"context: expected {expected}, got {tuple(context.shape)}")
        pyramid = self.encoder(context[:, :1])
        grid = self.context(pyramid[1:])
        edges = context[:, 1:, 0, 0]

        h = self.enter(F.pixel_unshuffle(nir, 2), grid, edges)
        skips = []
        for conv in self.down:
            skips.append(h)
            h = conv(F.avg_pool2d(h, 2), grid, edges)
        for conv, skip in zip(reversed(self.up), reversed(skips), strict=True):
            h = F.interpolate(h, scale_factor=2.0, mode="bilinear")
            h = conv(torch.cat([skip, h], 1), grid, edges)
        return nir + F.pixel_shuffle(self.leave(h), 2)
