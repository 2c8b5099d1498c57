"""Read the tags of a TIFF's pages from the file itself: GDAL reports only some of them, and of one page."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TypeAlias

# values by tag number: whole numbers as a tuple, everything else as the bytes in the file
Tags: TypeAlias = dict[int, "tuple[int, ...] | bytes"]

SUBFILE_TYPE, PHOTOMETRIC, ORIENTATION, SAMPLES_PER_PIXEL, SUB_IFDS, DNG_VERSION = (
    254,
    262,
    274,
    277,
    330,
    50706,
)

# bytes of a value of each type, and the struct code of those that are whole numbers
_TYPE_BYTES = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}
_WHOLE = {3: "H", 4: "I", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}
# damaged counts must not cause long loops or large reads: tags of a page, and bytes of all values of a file
_MAX_ENTRIES, _MAX_BYTES = 4096, 64 << 20
# where the pixels are, a number for each row or tile: not read
_PLACES = {273, 279, 324, 325}


class TiffTags:
    """Tags of the pages of an open TIFF or BigTIFF.

    Args:
        file: the file, open in binary mode.

    Attributes:
        first: offset of the first page's directory.

    Raises:
        ValueError: the file is no TIFF.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._left = file, _MAX_BYTES
        start = file.read(16)
        if start[:4] not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+") or len(start) < 8:
            raise ValueError("no TIFF")
        self.order = "<" if start[:2] == b"II" else ">"
        self._big = start[2:4] in (b"+\0", b"\0+")
        self.first: int = struct.unpack(
            self.order + ("Q" if self._big else "I"), start[8:] if self._big else start[4:8]
        )[0]

    def directory(self, offset: int) -> tuple[Tags, int]:
        """Read the directory at an offset.

        Returns:
            Its tags, and the offset of the next page's directory, 0 after the last.

        Raises:
            ValueError: the directory is damaged or beyond the end of the file.
        """
        try:
            self._file.seek(offset)
            count = self._number("Q" if self._big else "H")
            if count > _MAX_ENTRIES:
                raise ValueError(f"{count} tags")
            size = 20 if self._big else 12
            entries = self._bytes(count * size)
            following = self._number("Q" if self._big else "I")
            tags = dict(self._entry(entries[at : at + size]) for at in range(0, len(entries), size))
        except (struct.error, OSError, OverflowError) as error:
            raise ValueError(f"damaged directory ({error})") from error
        return tags, following

    def pages(self, limit: int = 4096) -> Iterator[tuple[int, Tags]]:
        """Read the offset and the tags of each page; pages that a damaged file links twice come once.

        Raises:
            ValueError: a directory is damaged.
        """
        seen: set[int] = set()
        offset = self.first
        while offset and offset not in seen and len(seen) < limit:
            seen.add(offset)
            place, (tags, offset) = offset, self.directory(offset)
            yield place, tags

    def _entry(self, entry: bytes) -> tuple[int, "tuple[int, ...] | bytes"]:
        tag, kind = struct.unpack(self.order + "HH", entry[:4])
        inline = entry[12:] if self._big else entry[8:]
        count = struct.unpack(self.order + ("Q" if self._big else "I"), entry[4 : len(entry) - len(inline)])[
            0
        ]
        if tag in _PLACES:
            return tag, ()
        length = count * _TYPE_BYTES.get(kind, 1)
        if length > len(inline):
            self._left -= length
            if self._left < 0:
                raise ValueError("values of many megabytes")
            self._file.seek(struct.unpack(self.order + ("Q" if self._big else "I"), inline)[0])
            inline = self._file.read(length)
        value = inline[:length]
        if kind in _WHOLE and len(value) == length:
            return tag, struct.unpack(f"{self.order}{count}{_WHOLE[kind]}", value)
        return tag, value

    def _number(self, code: str) -> int:
        value: int = struct.unpack(self.order + code, self._bytes(struct.calcsize(code)))[0]
        return value

    def _bytes(self, length: int) -> bytes:
        return self._file.read(length)


def first_page(path: Path) -> Tags:
    """Return the tags of the first page of a TIFF; none where it is damaged or no TIFF."""
    try:
        with path.open("rb") as file:
            reader = TiffTags(file)
            return reader.directory(reader.first)[0]
    except (OSError, ValueError):
        return {}
