"""The graph of P2, section III: each pixel's k nearest neighbours among the features of its image.

A pixel and its eight spatial neighbours are never joined: they belong to the 3×3 convolution. Training looks
through the whole patch, evaluation through a window centred on each pixel.

**Exact, and ties go to the smaller index.** Features are rounded to a grid about as fine as float32 (see
`_grid`). On it float64 computes every squared distance without rounding: a whole number that, with the
candidate's index in the bits below it, fits an int64. The k smallest of these are wanted, and no two are
equal. So the graph depends neither on the order of summation nor on blocks, batch or device. TF32 and
autocast leave float64 alone. With Numba most candidates are ruled out by a bound, and the few that are left
are measured on the same grid.
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

# side of the blocks of pixels that search together: larger ones look far outside their windows, smaller ones
# are overhead
_BLOCK_PX = 16
# with Numba: side of the tiles of a image that a core takes, width of the strips in them that search
# together, and how many candidates at once: what strips make of these fits a core's cache
_TILE_PX = 64
_STRIP_PX = 8
_CANDIDATES = 448
# how many more than k are chosen by a bound of their distance: with fewer, more pixels need a second look
_SPARE = 4


class Area(NamedTuple):
    """A rectangle of a image, in pixels; bottom and right are just outside."""

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
    def cut(self) -> tuple[slice, slice]:
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def vectors(self, features: Tensor) -> Tensor:
        """Its pixels of ``features`` (N, F, h, w), row by row: (N, pixels, F)."""
        return features[:, :, *self.cut].permute(0, 2, 3, 1).flatten(1, 2)


def blocks(height: int, width: int, side_px: int, radius_px: int) -> Iterator[tuple[Area, Area]]:
    """Cut a image into blocks; with each comes the part of the image that is within reach of it."""
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
    """Who is joined to whom.

    Attributes:
        neighbours: (N, h, w, k) int64: row · w + column of each pixel's neighbours, nearest first.
        radius_px: no neighbour is more rows or columns away than this.
    """

    neighbours: Tensor
    radius_px: int

    def part(self, block: Area, around: Area) -> Tensor:
        """(N · pixels of block, k): a block's neighbours as indices into the pixels of ``around``.

        The pixels of all images in turn are counted as one list.
        """
        images, _, width, _ = self.neighbours.shape
        flat = self.neighbours[:, *block.cut].flatten(1, 2)
        index = (flat // width - around.top) * around.width + flat % width - around.left
        first = torch.arange(images, device=flat.device) * (around.height * around.width)
        return (index + first[:, None, None]).flatten(0, 1)


def fewest_candidates(height: int, width: int, radius_px: int) -> int:
    """How many pixels the worst placed pixel of a image has to choose its neighbours from."""

    def seen(length: int) -> set[tuple[int, int]]:
        """Along one side, for all places on it: pixels within reach, pixels within 1."""

        def within(at: int, reach: int) -> int:
            return min(at + reach, length - 1) - max(at - reach, 0) + 1

        return {(within(at, radius_px), within(at, 1)) for at in range(length)}

    return min(a * b - near_a * near_b for a, near_a in seen(height) for b, near_b in seen(width))


@torch.no_grad()
def nearest(features: Tensor, k: int, window_px: int | None = None) -> Graph:
    """Join each pixel to the k others whose features are nearest to its own (squared Euclidean distance).

    Args:
        features: (N, F, h, w), any float type.
        k: neighbours of a pixel.
        window_px: odd side of the window, centred on the pixel, that is searched; it is cut off at the
            image's borders. None searches the whole image.

    Raises:
        ValueError: some pixel has fewer than k others to choose from.
    """
    images, _, height, width = features.shape
    radius_px = max(height, width) if window_px is None else window_px // 2
    if (fewest := fewest_candidates(height, width, radius_px)) < k:
        raise ValueError(f"features: {height}×{width} px leave some pixel {fewest} candidates, {k} needed")
    most = min(height, _BLOCK_PX + 2 * radius_px) * min(width, _BLOCK_PX + 2 * radius_px)
    index_bits = (most - 1).bit_length()
    grid = _grid(features, index_bits)
    neighbours = torch.empty(images, height, width, k, dtype=torch.int64, device=features.device)
    if knn_kernels is not None and features.device.type == "cpu":
        pieces = [(n, *tile) for n in range(images) for tile in blocks(height, width, _TILE_PX, radius_px)]
        kind = _kind()
        on_cores(lambda piece: _walk(features, grid, kind, radius_px, neighbours, *piece), pieces)
    else:
        for block, around in blocks(height, width, _BLOCK_PX, radius_px):
            _sort(features, grid, index_bits, radius_px, neighbours, block, around)
    return Graph(neighbours, radius_px)


def _walk(
    features: Tensor,
    grid: Tensor,
    kind: torch.dtype,
    radius_px: int,
    neighbours: Tensor,
    image: int,
    tile: Area,
    around: Area,
) -> None:
    """Find the neighbours of a tile of one image, with Numba.

    ‖b − a‖² is ordered as s = ‖b‖² / 2 − ab. A product of type ``kind`` gives a lower bound of s for all
    pairs; a few more than k are chosen by it, and these are measured exactly. With n features and unit
    roundoff u, float32 is wrong by no more than ε (‖a‖‖b‖ + ‖b‖² / 2), ε = (n + 16) u: n + 2 roundings of the
    sum and a few of what goes into it. So the bound is the product of (b, (1 − ε) ‖b‖² / 2, ‖b‖) and
    (−a, 1, −ε ‖a‖).
    """
    among = features[image]
    count, _, width = among.shape
    vectors = torch.empty(around.height, around.width, count, dtype=torch.float64)
    vectors.copy_(among[:, *around.cut].permute(1, 2, 0)).mul_(grid[image]).round_()
    # from the middle of what the tile shows vectors are short, and so bounds tight
    vectors -= vectors[_relative(tile, around).cut].mean((0, 1)).round_()
    epsilon = (count + 16) * 2.0**-24
    squares = vectors.square().sum(2)
    b = torch.empty(around.height, around.width, count + 2, dtype=kind)
    b[:, :, :count] = vectors
    b[:, :, count] = squares * ((1 - epsilon) / 2)
    b[:, :, count + 1] = squares.sqrt_()
    found = neighbours[image, *tile.cut].zero_().numpy()
    chosen = np.zeros((tile.height, tile.width, found.shape[2] + _SPARE), np.int64)
    bounds = torch.full(chosen.shape, torch.inf, dtype=kind).numpy()
    # a row of candidates may be longer than what is wanted at once
    most = max(_CANDIDATES, min(_STRIP_PX + 2 * radius_px, around.width))
    scratch = torch.empty(tile.height * _STRIP_PX * most, dtype=kind)
    for left in range(tile.left, tile.right, _STRIP_PX):
        strip = Area(tile.top, tile.bottom, left, min(left + _STRIP_PX, tile.right))
        a = b[_relative(strip, around).cut].neg()
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
                a[_relative(pixels, strip).cut].flatten(0, 1),
                b[_relative(candidates, around).cut].flatten(0, 1).mT,
            )
            shape = pair[0].shape[0], pair[1].shape[1]
            values = torch.mm(*pair, out=scratch[: shape[0] * shape[1]].view(shape))
            cut = _relative(pixels, tile).cut
            knn_kernels.keep_smallest(
                values.numpy(), pixels, candidates, radius_px, width, bounds[cut], chosen[cut]
            )
    knn_kernels.settle(vectors.numpy(), around, tile, radius_px, width, bounds, chosen, found)


def _kind() -> torch.dtype:
    """The type of the products that `_walk` bounds: float32, or float64 where that is computed with less.

    Settings of PyTorch and of the libraries below it may allow float32 products in bfloat16.
    """
    number = torch.full((64, 64), 1 + 2.0**-12)
    product = torch.mm(number, number.mT, out=torch.empty(64, 64))
    return torch.float32 if product[0, 0] >= 64 * (1 + 2.0**-12) else torch.float64


def _sort(
    features: Tensor,
    grid: Tensor,
    index_bits: int,
    radius_px: int,
    neighbours: Tensor,
    block: Area,
    around: Area,
) -> None:
    """The same for a block of all images, without Numba: the smallest of keys."""
    images, _, _, width = features.shape
    a, b = ((area.vectors(features).double() * grid).round_() for area in (block, around))
    squared = a.square().sum(2)[:, :, None] + b.square().sum(2)[:, None]
    squared.baddbmm_(a, b.mT, alpha=-2)
    keys = squared.long().bitwise_left_shift_(index_bits)
    keys.bitwise_or_(_indices(_relative(block, around), around.height, around.width, radius_px, keys.device))
    index = keys.topk(neighbours.shape[3], largest=False).values & ((1 << index_bits) - 1)
    flat = (index // around.width + around.top) * width + index % around.width + around.left
    neighbours[:, *block.cut] = flat.view(images, block.height, block.width, -1)


def _grid(features: Tensor, index_bits: int) -> Tensor:
    """(N, 1, 1): what features are multiplied by before they are rounded to whole numbers.

    A power of two that makes a image's longest vector shorter than 2ᵇ. Its squared distances are then below
    2^(2b + 2): with b ≤ 25 float64 holds them and all that they are summed from, and b leaves room in 63 bits
    for the index. A window of 49 has b = 24: rounding moves a feature by 2⁻²⁴ of the longest vector at most.
    """
    bits = min(25, (61 - index_bits) // 2)
    # the exponent is all that is wanted, so float32 does for any type
    longest = torch.linalg.vector_norm(features.float(), dim=1).amax((1, 2))
    return torch.exp2((bits - torch.frexp(longest).exponent).double())[:, None, None]


def _relative(block: Area, around: Area) -> Area:
    return Area(
        block.top - around.top, block.bottom - around.top, block.left - around.left, block.right - around.left
    )


# one: blocks away from the borders all ask for the same
@lru_cache(maxsize=1)
def _indices(block: Area, height: int, width: int, radius_px: int, device: torch.device) -> Tensor:
    """(pixels of block, height · width) int64: the index of each candidate, and all bits set where excluded.

    Excluded are the pixel itself, its eight neighbours, and all outside its window.
    """
    rows = (torch.arange(block.top, block.bottom)[:, None] - torch.arange(height)).abs()[:, None, :, None]
    columns = (torch.arange(block.left, block.right)[:, None] - torch.arange(width)).abs()[:, None]
    excluded = (rows <= 1) & (columns <= 1) | (rows > radius_px) | (columns > radius_px)
    index = torch.arange(height * width).view(height, width)
    return index.masked_fill(excluded, torch.iinfo(torch.int64).max).flatten(2).flatten(0, 1).to(device)
