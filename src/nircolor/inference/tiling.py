"""Where tiles lie, and how their overlaps are blended."""

from dataclasses import dataclass
from functools import cached_property, partial
from itertools import pairwise

import numpy as np

from nircolor.arrays import Floats


@dataclass(frozen=True)
class Axis:
    """Tiles of one length along one side of a image.

    Attributes:
        starts: first pixel of each tile.
        tile_px: length of each; the last may reach a little past the image (the rest is padding).
    """

    starts: tuple[int, ...]
    tile_px: int

    @property
    def padded_px(self) -> int:
        """Where the last tile ends."""
        return self.starts[-1] + self.tile_px

    @cached_property
    def weights(self) -> list[Floats]:
        """Blending weights (tile_px,) of each tile; at every pixel they sum to 1.

        They ramp across the middle quarter of an overlap: next to its own border a tile has seen too little
        of its surroundings to be believed.
        """
        raw = [np.ones(self.tile_px, np.float32) for _ in self.starts]
        for (start, before), (next_start, after) in pairwise(zip(self.starts, raw, strict=True)):
            overlap = start + self.tile_px - next_start
            position = (np.arange(overlap, dtype=np.float32) + 0.5) / max(1, overlap)
            ramp = np.clip(4 * position - 1.5, 0, 1)
            before[self.tile_px - overlap :] *= 1 - ramp
            after[:overlap] *= ramp
        total = np.zeros(self.padded_px, np.float32)
        for start, weights in zip(self.starts, raw, strict=True):
            total[start : start + self.tile_px] += weights
        return [
            weights / total[start : start + self.tile_px]
            for start, weights in zip(self.starts, raw, strict=True)
        ]


def round_up(px: int, multiple_of: int) -> int:
    """The first multiple that is no smaller."""
    return -(-px // multiple_of) * multiple_of


def cut(length_px: int, largest_px: int, overlap_px: int, multiple_of: int, minimum_px: int = 1) -> Axis:
    """Lay as few tiles as possible along a side, and those as short as they may then be.

    Tiles start and end on multiples of ``multiple_of``, so that a network that pools sees the same grid in
    each of them, and the last ends on the first multiple past the image, however many there are: more
    padding would change what a network says of the pixels next to it. Neighbours share at least
    ``overlap_px``, which ``largest_px`` must exceed; a tile is at least ``minimum_px`` long.
    """

    on_grid = partial(round_up, multiple_of=multiple_of)
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
