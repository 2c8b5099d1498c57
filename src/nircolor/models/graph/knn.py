"""Search for the k nearest neighbours of each pixel in feature space (NIR-GNN paper, section III).

A pixel is never connected to itself or its eight spatial neighbours, which the 3×3 convolution covers.
Training searches the whole patch, evaluation a window around each pixel.

The search is exact, and ties are resolved in favour of the smaller index. Features are rounded to a grid
about as fine as float32 (see `_grid`). On it float64 computes every squared distance without rounding error:
a whole number that fits an int64 with the index of the candidate in its lowest bits. The k smallest of these
keys are selected, and no two keys are equal. The graph therefore depends neither on the order of summation
nor on blocks, batch or device; TF32 and autocast do not affect float64. With Numba most candidates are
excluded by a lower bound of their distance, and the others are measured on the same grid.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from nircolor.models.graph.cores import on_cores

try:
    from nircolor.models.graph import knn_kernels
except ImportError:
    knn_kernels = None  # type: ignore[assignment]
try:
    from nircolor.models.graph import knn_triton
except ImportError:
    knn_triton = None  # type: ignore[assignment]

# side of the blocks of pixels that are searched together: larger blocks measure more pairs outside the
# windows, smaller ones cost more calls. A patch that is searched as a whole is one block, up to a limit
_BLOCK_PX, _PATCH_PX = 16, 64
# with Numba: side of the tiles of an image that a core processes, width of the strips of a tile that are
# searched together, and candidates at once, so that their products fit a core's cache
_TILE_PX = 64
_STRIP_PX = 8
_CANDIDATES = 448
# candidates beyond k that are selected by the bound: with fewer, more pixels need a full search
_SPARE = 4


class Area(NamedTuple):
    """A rectangle of an image, in pixels; ``bottom`` and ``right`` are exclusive."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns, as an index."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def vectors(self, features: Tensor) -> Tensor:
        """Select the area's pixels from ``features`` (N, F, h, w), row by row: (N, pixels, F)."""
        return features[:, :, *self.slices].permute(0, 2, 3, 1).flatten(1, 2)


def blocks(height: int, width: int, side_px: int, radius_px: int) -> Iterator[tuple[Area, Area]]:
    """Split an image into blocks.

    Args:
        height: Height of the image.
        width: Width of the image.
        side_px: Side of the blocks; the last ones may be smaller.
        radius_px: Margin around a block.

    Yields:
        A block, and the area within ``radius_px`` of it that lies in the image.
    """
    for top in range(0, height, side_px):
        for left in range(0, width, side_px):
            block = Area(top, min(top + side_px, height), left, min(left + side_px, width))
            yield (
                block,
                Area(
                    max(block.top - radius_px, 0),
                    min(block.bottom + radius_px, height),
                    max(block.left - radius_px, 0),
                    min(block.right + radius_px, width),
                ),
            )


class Graph(NamedTuple):
    """The neighbours of all pixels of a batch of images.

    Attributes:
        neighbours: (N, h, w, k) int64, row · w + column of each pixel's neighbours, nearest first.
        radius_px: Largest distance of a neighbour, in rows or columns.
    """

    neighbours: Tensor
    radius_px: int

    def part(self, block: Area, around: Area) -> Tensor:
        """Convert the neighbours of a block to indices into the pixels of ``around``.

        The pixels of ``around`` are numbered row by row, through all images.

        Args:
            block: Pixels with the neighbours to convert.
            around: Area that contains all these neighbours.

        Returns:
            (N · pixels of block, k).
        """
        images, _, width, _ = self.neighbours.shape
        flat = self.neighbours[:, *block.slices].flatten(1, 2)
        index = (flat // width - around.top) * around.width + flat % width - around.left
        first = torch.arange(images, device=flat.device) * (around.height * around.width)
        return (index + first[:, None, None]).flatten(0, 1)


def fewest_candidates(height: int, width: int, radius_px: int) -> int:
    """Count the candidates of the pixel that has the fewest of them.

    Example:
        A pixel in the corner of a large image has a quarter of its window, without itself and three others:

        >>> fewest_candidates(100, 100, radius_px=2)
        5
    """

    def counts(length: int) -> set[tuple[int, int]]:
        """For all positions along one side: pixels within ``radius_px``, and pixels within 1."""

        def within(at: int, radius: int) -> int:
            return min(at + radius, length - 1) - max(at - radius, 0) + 1

        return {(within(at, radius_px), within(at, 1)) for at in range(length)}

    return min(a * b - near_a * near_b for a, near_a in counts(height) for b, near_b in counts(width))


@torch.no_grad()
def nearest(features: Tensor, k: int, window_px: int | None = None) -> Graph:
    """Find the k pixels of the same image whose features are nearest, for each pixel.

    Distances are Euclidean. The pixel itself and its eight spatial neighbours are excluded.

    Args:
        features: (N, F, h, w), any float type.
        k: Neighbours of a pixel.
        window_px: Odd side of the window around the pixel that is searched, clipped at the image's borders.
            None searches the whole image.

    Raises:
        ValueError: A pixel has fewer than k candidates.

    Example:
        >>> graph = nearest(torch.rand(1, 3, 16, 16), k=8, window_px=9)
        >>> graph.neighbours.shape
        torch.Size([1, 16, 16, 8])
    """
    images, _, height, width = features.shape
    radius_px = max(height, width) if window_px is None else window_px // 2
    if (fewest := fewest_candidates(height, width, radius_px)) < k:
        raise ValueError(
            f"features: expected {k} candidates for every pixel, got {fewest} in {height}×{width} px"
        )
    side_px = _PATCH_PX if max(height, width) <= min(_PATCH_PX, radius_px) else _BLOCK_PX
    searched_px = min(height, side_px + 2 * radius_px) * min(width, side_px + 2 * radius_px)
    index_bits = (searched_px - 1).bit_length()
    grid = _grid(features, index_bits)
    neighbours = torch.empty(images, height, width, k, dtype=torch.int64, device=features.device)
    if knn_kernels is not None and features.device.type == "cpu":
        pieces = [(n, *tile) for n in range(images) for tile in blocks(height, width, _TILE_PX, radius_px)]
        dtype = _bound_dtype()
        on_cores(lambda piece: _search_tile(features, grid, dtype, radius_px, neighbours, *piece), pieces)
    else:
        for block, around in blocks(height, width, side_px, radius_px):
            _search_block(features, grid, index_bits, radius_px, neighbours, block, around)
    return Graph(neighbours, radius_px)


def _search_tile(
    features: Tensor,
    grid: Tensor,
    dtype: torch.dtype,
    radius_px: int,
    neighbours: Tensor,
    image: int,
    tile: Area,
    around: Area,
) -> None:
    """Find the neighbours of a tile of one image, with Numba.

    For a given a, ‖b − a‖² has the same order as s = ‖b‖² / 2 − ab. A matrix product of type ``dtype`` gives
    a lower bound of s for all pairs; a few more than k candidates are selected by it, and measured exactly.
    With n features and unit roundoff u, the error of float32 is at most ε (‖a‖‖b‖ + ‖b‖² / 2), ε = (n + 16)
    u, for n + 2 roundings of the sum and a few of its operands. The bound is therefore the product of (b, (1
    − ε) ‖b‖² / 2, ‖b‖) and (−a, 1, −ε ‖a‖).
    """
    image_features = features[image]
    count, _, width = image_features.shape
    vectors = torch.empty(around.height, around.width, count, dtype=torch.float64)
    vectors.copy_(image_features[:, *around.slices].permute(1, 2, 0)).mul_(grid[image]).round_()
    # vectors relative to their mean are shorter, which makes the bounds tighter
    vectors -= vectors[_relative(tile, around).slices].mean((0, 1)).round_()
    epsilon = (count + 16) * 2.0**-24
    squares = vectors.square().sum(2)
    b = torch.empty(around.height, around.width, count + 2, dtype=dtype)
    b[:, :, :count] = vectors
    b[:, :, count] = squares * ((1 - epsilon) / 2)
    b[:, :, count + 1] = squares.sqrt_()
    found = neighbours[image, *tile.slices].zero_().numpy()
    chosen = np.zeros((tile.height, tile.width, found.shape[2] + _SPARE), np.int64)
    bounds = torch.full(chosen.shape, torch.inf, dtype=dtype).numpy()
    # a row of candidates can be longer than the number of candidates at once
    largest = max(_CANDIDATES, min(_STRIP_PX + 2 * radius_px, around.width))
    scratch = torch.empty(tile.height * _STRIP_PX * largest, dtype=dtype)
    for left in range(tile.left, tile.right, _STRIP_PX):
        strip = Area(tile.top, tile.bottom, left, min(left + _STRIP_PX, tile.right))
        a = b[_relative(strip, around).slices].neg()
        a[:, :, count] = 1
        a[:, :, count + 1] *= epsilon
        first, end = (
            max(strip.left - radius_px, around.left),
            min(strip.right + radius_px, around.right),
        )
        rows = max(1, _CANDIDATES // (end - first))
        for top in range(around.top, around.bottom, rows):
            candidates = Area(top, min(top + rows, around.bottom), first, end)
            pixels = strip._replace(
                top=max(top - radius_px, tile.top),
                bottom=min(candidates.bottom + radius_px, tile.bottom),
            )
            pair = (
                a[_relative(pixels, strip).slices].flatten(0, 1),
                b[_relative(candidates, around).slices].flatten(0, 1).mT,
            )
            shape = pair[0].shape[0], pair[1].shape[1]
            values = torch.mm(*pair, out=scratch[: shape[0] * shape[1]].view(shape))
            slices = _relative(pixels, tile).slices
            knn_kernels.keep_smallest(
                values.numpy(), pixels, candidates, radius_px, width, bounds[slices], chosen[slices]
            )
    knn_kernels.measure_candidates(vectors.numpy(), around, tile, radius_px, width, bounds, chosen, found)


def _bound_dtype() -> torch.dtype:
    """Return float32, or float64 where float32 products are computed in lower precision.

    Settings of PyTorch and of the libraries that it uses can allow bfloat16 for float32 products.
    """
    number = torch.full((64, 64), 1 + 2.0**-12)
    product = torch.mm(number, number.mT, out=torch.empty(64, 64))
    return torch.float32 if product[0, 0] >= 64 * (1 + 2.0**-12) else torch.float64


def _search_block(
    features: Tensor,
    grid: Tensor,
    index_bits: int,
    radius_px: int,
    neighbours: Tensor,
    block: Area,
    around: Area,
) -> None:
    """Find the neighbours of a block of all images, without Numba: the smallest keys of all pairs."""
    images, _, _, width = features.shape
    a, b = ((area.vectors(features).double() * grid).round_() for area in (block, around))
    squared = a.square().sum(2)[:, :, None] + b.square().sum(2)[:, None]
    squared.baddbmm_(a, b.mT, alpha=-2)
    inner, k = _relative(block, around), neighbours.shape[3]
    if knn_triton is not None and squared.is_cuda:
        shapes = (block.height, block.width), (around.height, around.width), (inner.top, inner.left)
        smallest = knn_triton.smallest_keys(squared, k, *shapes, radius_px, index_bits)
    else:
        keys = squared.long().bitwise_left_shift_(index_bits)
        keys.bitwise_or_(_indices(inner, around.height, around.width, radius_px, keys.device))
        smallest = keys.topk(k, largest=False).values
    index = smallest & ((1 << index_bits) - 1)
    flat = (index // around.width + around.top) * width + index % around.width + around.left
    neighbours[:, *block.slices] = flat.view(images, block.height, block.width, -1)


def _grid(features: Tensor, index_bits: int) -> Tensor:
    """Compute the factors (N, 1, 1) that features are multiplied by before rounding to whole numbers.

    A factor is the power of two that makes the longest vector of an image shorter than 2ᵇ. Squared distances
    are then below 2^(2b + 2): with b ≤ 25 float64 represents them and all terms of their sums exactly, and
    b leaves enough of 63 bits for the index. A window of 49 px has b = 24: rounding changes a feature by at
    most 2⁻²⁴ of the longest vector.
    """
    bits = min(25, (61 - index_bits) // 2)
    # only the exponent is used, so float32 suffices for any type
    longest = torch.linalg.vector_norm(features.float(), dim=1).amax((1, 2))
    return torch.exp2((bits - torch.frexp(longest).exponent).double())[:, None, None]


def _relative(block: Area, around: Area) -> Area:
    """Convert a block to coordinates relative to the corner of ``around``."""
    return Area(
        block.top - around.top, block.bottom - around.top, block.left - around.left, block.right - around.left
    )


# one entry: all blocks away from the borders share it
@lru_cache(maxsize=1)
def _indices(block: Area, height: int, width: int, radius_px: int, device: torch.device) -> Tensor:
    """Compute the index of each candidate, with all bits set where the candidate is excluded.

    Excluded are the pixel itself, its eight spatial neighbours and all pixels outside its window.

    Returns:
        (pixels of block, height · width) int64.
    """
    rows = (torch.arange(block.top, block.bottom)[:, None] - torch.arange(height)).abs()[:, None, :, None]
    columns = (torch.arange(block.left, block.right)[:, None] - torch.arange(width)).abs()[:, None]
    excluded = (rows <= 1) & (columns <= 1) | (rows > radius_px) | (columns > radius_px)
    index = torch.arange(height * width).view(height, width)
    return index.masked_fill(excluded, torch.iinfo(torch.int64).max).flatten(2).flatten(0, 1).to(device)
