"""How large a tile the machine's free memory allows."""

import math

from nircolor.inference.tiling import round_up
from nircolor.memory import available_bytes
from nircolor.modelfile import Card

# larger tiles save nothing: the overlap's share is small by then, and caches have long overflowed; a network
# that looks far is meant to see a megapixel in one piece, and its overlaps cost much
_LARGEST_PX, _LARGEST_REACHES = 1024, 8
# images may take this share of what is free: other jobs and the user's programs need some too
_SHARE = 0.5
# and no more than this each: with the libraries, the network and what GDAL keeps that makes less than 2 GB;
# or what a megapixel takes, with a row of tiles of that
_ENOUGH_BYTES, _ENOUGH_PX = 5 << 28, 5 << 18
# of one pixel of a row of tiles: its bands come and go as float32, its colour is blended and written
_STRIP_BYTES_PER_BAND = 8
_STRIP_BYTES = 32


def tile_size_px(card: Card, width_px: int, jobs: int = 1) -> int:
    """The largest tile side for ``jobs`` images at once, so that a tile and a row of tiles fit."""
    enough = max(_ENOUGH_BYTES, _ENOUGH_PX * card.bytes_per_px)
    budget = min(available_bytes() * _SHARE / jobs, enough)
    # the root of: bytes_per_px · side² + row · side = budget
    row = width_px * (_STRIP_BYTES + _STRIP_BYTES_PER_BAND * len(card.bands))
    fitting = 2 * budget / (row + math.sqrt(row**2 + 4 * budget * card.bytes_per_px))
    largest = max(_LARGEST_PX, _LARGEST_REACHES * card.size.receptive_field_px)
    return round_tile(min(fitting, largest), card)


def round_tile(side: float, card: Card) -> int:
    """Down to the network's multiple, but never so small that overlaps are most of a tile."""
    multiple = card.size.multiple_of
    reach, overlap = (round_up(px, multiple) for px in (card.size.receptive_field_px, card.size.shared_px))
    smallest = max(
        2 * reach + multiple,
        round_up(overlap * 3 // 2, multiple) + multiple,
        round_up(card.size.minimum, multiple),
    )
    return max(int(side) // multiple * multiple, smallest)
