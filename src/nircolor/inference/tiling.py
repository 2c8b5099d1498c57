"""Size and position of tiles, and the weights that blend their overlaps."""

import math
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import pairwise

import numpy as np

from nircolor.arrays import Floats
from nircolor.memory import available_bytes
from nircolor.modelfile import Card

# Largest side of a tile in pixels, or in receptive-field radii. Larger tiles gain nothing: overlaps are a
# small share by then. Networks with a large receptive field should see a megapixel in one piece.
_LARGEST_PX, _LARGEST_RADII = 1024, 8
# neighbouring tiles are blended over a quarter of their overlap, and over no more than this
_BLENDED_PX = 16
# share of the free memory that images may take; other jobs and programs need some too
_SHARE = 0.5
# Upper limit for each image, 512 MiB: with the libraries, the network and GDAL's cache this stays below 1 GB.
# Or the memory of 1.25 megapixels in the network, where that is more.
_ENOUGH_BYTES, _ENOUGH_PX = 1 << 29, 5 << 18
# memory of one pixel of a row of tiles: input bands as float32; blended colour, and buffers of GDAL
_STRIP_BYTES_PER_BAND = 4
_STRIP_BYTES = 26


@dataclass(frozen=True)
class Axis:
    """Tiles of equal length along one side of an image.

    Attributes:
        starts: First pixel of each tile.
        tile_px: Length of each tile; the last one may extend past the image into padding.
    """

    starts: tuple[int, ...]
    tile_px: int

    @property
    def padded_px(self) -> int:
        """End of the last tile."""
        return self.starts[-1] + self.tile_px

    @cached_property
    def weights(self) -> list[Floats]:
        """Blending weights (tile_px,) of each tile; they sum to 1 at every pixel.

        They ramp across the middle quarter of an overlap, at most 16 px: close to its border a tile lacks
        surroundings, and its output there is less reliable.
        """
        raw = [np.ones(self.tile_px, np.float32) for _ in self.starts]
        for (start, before), (next_start, after) in pairwise(zip(self.starts, raw, strict=True)):
            overlap = start + self.tile_px - next_start
            from_middle = np.arange(overlap, dtype=np.float32) + 0.5 - overlap / 2
            ramp = np.clip(from_middle / min(_BLENDED_PX, max(1, overlap) / 4) + 0.5, 0, 1)
            before[self.tile_px - overlap :] *= 1 - ramp
            after[:overlap] *= ramp
        total = np.zeros(self.padded_px, np.float32)
        for start, weights in zip(self.starts, raw, strict=True):
            total[start : start + self.tile_px] += weights
        return [
            weights / total[start : start + self.tile_px]
            for start, weights in zip(self.starts, raw, strict=True)
        ]


def cut(length_px: int, largest_px: int, overlap_px: int, multiple_of: int, minimum_px: int = 1) -> Axis:
    """Divide one side of an image into as few tiles as possible, each as short as possible.

    Tiles start and end on multiples of ``multiple_of``, so that pooling layers see the same grid in each
    of them. The last tile ends on the first multiple past the image, however many tiles there are: more
    padding would change the output next to it.

    Args:
        length_px: Length of the side.
        largest_px: Longest tile allowed; must exceed ``overlap_px``.
        overlap_px: Least overlap of neighbouring tiles.
        multiple_of: Grid of the network.
        minimum_px: Shortest tile allowed.

    Raises:
        ValueError: ``largest_px`` is too small.

    Examples:
        >>> cut(100, 48, 16, 16)
        Axis(starts=(0, 32, 64), tile_px=48)
    """
    on_grid = partial(_round_up, multiple_of=multiple_of)
    padded, overlap = on_grid(max(length_px, minimum_px)), on_grid(overlap_px)
    largest = largest_px // multiple_of * multiple_of
    if largest <= overlap or largest < minimum_px:
        raise ValueError(
            f"expected tiles of at least {minimum_px} px, longer than their overlap of {overlap} px, "
            f"got {largest_px} px"
        )
    count = max(1, -(-(padded - overlap) // (largest - overlap)))
    if count == 1:
        return Axis((0,), padded)
    tile = on_grid(max(minimum_px, -(-(padded + (count - 1) * overlap) // count)))
    steps = (padded - tile) // multiple_of
    return Axis(tuple(i * steps // (count - 1) * multiple_of for i in range(count)), tile)


def tile_size_px(card: Card, width_px: int, jobs: int = 1) -> int:
    """Choose the largest side of tiles with which a tile and a row of tiles fit in the free memory.

    Args:
        card: Card of the model.
        width_px: Width of the image.
        jobs: Number of images in work at the same time.
    """
    enough = max(_ENOUGH_BYTES, _ENOUGH_PX * card.bytes_per_px)
    budget = min(available_bytes() * _SHARE / jobs, enough)
    # the root of: bytes_per_px · side² + row · side = budget
    row = width_px * (_STRIP_BYTES + _STRIP_BYTES_PER_BAND * len(card.bands))
    fitting = 2 * budget / (row + math.sqrt(row**2 + 4 * budget * card.bytes_per_px))
    largest = max(_LARGEST_PX, _LARGEST_RADII * card.size.receptive_field_px)
    return round_tile(min(fitting, largest), card)


def round_tile(side: float, card: Card) -> int:
    """Round a tile's side down to the network's multiple, but keep it well above the overlap."""
    multiple = card.size.multiple_of
    return max(int(side) // multiple * multiple, card.size.smallest_tile_px)


def _round_up(px: int, multiple_of: int) -> int:
    return -(-px // multiple_of) * multiple_of
