"""Amount of free memory on this machine."""

import os
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
_UNKNOWN_BYTES = 4 << 30


def available_bytes() -> int:
    """Return the memory that can be allocated without swapping, or a cautious estimate where unknown."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return max(0, min(int(line.split()[1]) << 10, _container_bytes()))
    except OSError:
        pass
    try:
        # macOS and other Unix systems: half of the installed memory
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (AttributeError, ValueError, OSError):
        return _UNKNOWN_BYTES


def _container_bytes() -> int:
    """Free memory below the container's limit (cgroup 2); a very large number where there is no limit."""
    try:
        limit, used = (int((_CGROUP / f"memory.{name}").read_text()) for name in ("max", "current"))
        statistics = dict(line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines())
        # the page cache counts as used, but the kernel frees it on demand
        return limit - used + int(statistics.get("inactive_file", 0))
    except (OSError, ValueError):
        return 1 << 62
