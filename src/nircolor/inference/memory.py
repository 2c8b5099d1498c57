"""How large a tile the machine's free memory allows."""

import math
import os
from pathlib import Path

from nircolor.inference.tiling import round_up
from nircolor.modelfile import Card

# larger tiles save nothing: the overlap's share is small by then, and caches have long overflowed
_LARGEST_PX = 1024
# tiles may take this share of what is free: other jobs, the picture and the user's programs need some too
_SHARE = 0.25
_CGROUP = Path("/sys/fs/cgroup")
_UNKNOWN_BYTES = 4 << 30
# of one pixel of a row of tiles: its bands come and go as float32, its colour is blended and written
_STRIP_BYTES_PER_BAND = 16
_STRIP_BYTES = 80


def available_bytes() -> int:
    """Memory that can be taken without swapping; a cautious guess where the system does not tell."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return max(0, min(int(line.split()[1]) << 10, _container_bytes()))
    except OSError:
        pass
    try:
        # macOS and other Unix: half of what is installed
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (AttributeError, ValueError, OSError):
        return _UNKNOWN_BYTES


def tile_size_px(card: Card, width_px: int, jobs: int = 1) -> int:
    """The largest tile side for ``jobs`` pictures at once, so that a tile and a row of tiles fit."""
    share = available_bytes() * _SHARE / jobs
    row = share / (width_px * (_STRIP_BYTES + _STRIP_BYTES_PER_BAND * len(card.bands)))
    return round_tile(min(math.sqrt(share / card.bytes_per_px), row, _LARGEST_PX), card)


def round_tile(side: float, card: Card) -> int:
    """Down to the network's multiple, but never so small that tiles overlap by more than half."""
    multiple = card.size.multiple_of
    overlap = round_up(card.size.reach_px, multiple)
    smallest = max(2 * overlap + multiple, round_up(card.size.minimum, multiple))
    return max(int(side) // multiple * multiple, smallest)


def _container_bytes() -> int:
    """What a container's own limit leaves (cgroup 2), where there is one."""
    try:
        limit, taken = (int((_CGROUP / f"memory.{name}").read_text()) for name in ("max", "current"))
        numbers = dict(line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines())
        # files that were read or written stay cached up to the limit, and make way when asked
        return limit - taken + int(numbers.get("inactive_file", 0))
    except (OSError, ValueError):
        return 1 << 62
