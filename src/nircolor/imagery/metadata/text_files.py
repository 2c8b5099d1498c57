"""Read metadata files of bounded size."""

from pathlib import Path
from typing import Final

# far above real files; a file of gigabytes would fill the memory
MAX_BYTES: Final = 4 << 20


def read_bounded(file: Path) -> bytes:
    """Return the content of a file; raise `ValueError` for one of more than 4 MB."""
    with file.open("rb") as opened:
        raw = opened.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise ValueError(f"expected at most {MAX_BYTES >> 20} MB")
    return raw


def read_text(file: Path) -> str:
    """Return the text of a file, in UTF-8 with or without a byte order mark; see `read_bounded`."""
    return read_bounded(file).decode("utf-8-sig", errors="replace")
