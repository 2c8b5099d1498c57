"""How much memory is free."""

import os
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
_UNKNOWN_BYTES = 4 << 30


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


def _container_bytes() -> int:
    """What a container's own limit leaves (cgroup 2), where there is one."""
    try:
        limit, taken = (int((_CGROUP / f"memory.{name}").read_text()) for name in ("max", "current"))
        numbers = dict(line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines())
        # files that were read or written stay cached up to the limit, and make way when asked
        return limit - taken + int(numbers.get("inactive_file", 0))
    except (OSError, ValueError):
        return 1 << 62
