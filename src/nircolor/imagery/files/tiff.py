"""Read the tags of a TIFF's pages from the file itself: GDAL reports only some of them, and of one page."""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
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

# of the samples of a sensor, as DNG defines them
BLACK_LEVEL, WHITE_LEVEL = 50714, 50717

# photometric interpretations: a mosaic of coloured filters, and linear colours, of camera raw files
CFA, LINEAR_RAW = (32803,), (34892,)

# bytes of a value of each type, the struct code of those that are whole numbers, and the unit of byte order
TYPE_BYTES = {
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
_UNITS = TYPE_BYTES | {5: 4, 10: 4}
# damaged counts must not cause long loops or large reads: tags of a page, and bytes of all values of a file
_MAX_ENTRIES, _MAX_BYTES = 4096, 64 << 20
# of TIFF, BigTIFF, and the camera raw files of Olympus and Panasonic, which are TIFFs otherwise
_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"IIRO", b"IIRS", b"MMOR", b"IIU\0")
# where the pixels are: offsets and lengths of strips, and of tiles
PLACES = {273, 279, 324, 325}


@dataclass(frozen=True)
class TagValue:
    """Value of a tag as it is stored.

    Attributes:
        kind: number of its type.
        count: number of items.
        raw: the items, in the byte order of the file.
        field: the 4 bytes in the directory (8 in BigTIFF): the items themselves if they fit, else their
            offset. Empty for a value that has no place in a file yet.
    """

    kind: int
    count: int
    raw: bytes
    field: bytes = b""

    @property
    def is_complete(self) -> bool:
        """Whether the file holds all items, of a known type."""
        return len(self.raw) == self.count * TYPE_BYTES.get(self.kind, 0) > 0

    def in_order(self, old: str, new: str) -> "TagValue":
        """Convert the items from one byte order ("<" or ">") to another."""
        unit = _UNITS.get(self.kind, 1)
        if old == new or unit == 1:
            return replace(self, field=b"")
        whole = len(self.raw) // unit * unit
        items = [self.raw[at : at + unit][::-1] for at in range(0, whole, unit)]
        return replace(self, raw=b"".join(items), field=b"")


class TiffTags:
    """Tags of the pages of an open TIFF or BigTIFF.

    Args:
        file: the file, open in binary mode.
        places: whether to read the places of the pixels too, a number for each row or tile.

    Attributes:
        first: offset of the first page's directory.
        order: byte order, "<" or ">".
        big: whether it is a BigTIFF.

    Raises:
        ValueError: the file is no TIFF.
    """

    def __init__(self, file: BinaryIO, *, places: bool = False) -> None:
        self._file, self._left = file, _MAX_BYTES
        self._unread = set() if places else PLACES
        start = file.read(16)
        if start[:4] not in _SIGNATURES or len(start) < 8:
            raise ValueError("no TIFF")
        self.order = "<" if start[:2] == b"II" else ">"
        self.big = start[2:4] in (b"+\0", b"\0+")
        if self.big and len(start) < 16:
            raise ValueError("no BigTIFF")
        self.first: int = struct.unpack(
            self.order + ("Q" if self.big else "I"), start[8:] if self.big else start[4:8]
        )[0]

    def directory(self, offset: int) -> tuple[Tags, int]:
        """Read the directory at an offset.

        Returns:
            Its tags, and the offset of the next page's directory, 0 after the last.

        Raises:
            ValueError: the directory is damaged or beyond the end of the file.
        """
        entries, following = self.entries(offset)
        return {tag: self._numbers(value) for tag, value in entries.items()}, following

    def entries(self, offset: int) -> tuple[dict[int, TagValue], int]:
        """Read the directory at an offset as it is stored; returns and raises as `directory`."""
        try:
            self._file.seek(offset)
            count = self._number("Q" if self.big else "H")
            if count > _MAX_ENTRIES:
                raise ValueError(f"{count} tags")
            size = 20 if self.big else 12
            entries = self._bytes(count * size)
            following = self._number("Q" if self.big else "I")
            values = dict(self._entry(entries[at : at + size]) for at in range(0, len(entries), size))
        except (struct.error, OSError, OverflowError) as error:
            raise ValueError(f"damaged directory ({error})") from error
        return values, following

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

    def _entry(self, entry: bytes) -> tuple[int, TagValue]:
        tag, kind = struct.unpack(self.order + "HH", entry[:4])
        middle = 12 if self.big else 8
        field = entry[middle:]
        count = struct.unpack(self.order + ("Q" if self.big else "I"), entry[4:middle])[0]
        if tag in self._unread:
            return tag, TagValue(kind, count, b"", field)
        length = count * TYPE_BYTES.get(kind, 1)
        raw = field
        if length > len(field):
            self._left -= length
            if self._left < 0:
                raise ValueError("values of many megabytes")
            self._file.seek(struct.unpack(self.order + ("Q" if self.big else "I"), field)[0])
            raw = self._file.read(length)
        return tag, TagValue(kind, count, raw[:length], field)

    def _numbers(self, value: TagValue) -> tuple[int, ...] | bytes:
        if not value.raw:
            return ()
        if value.kind in _WHOLE and len(value.raw) == value.count * TYPE_BYTES[value.kind]:
            return struct.unpack(f"{self.order}{value.count}{_WHOLE[value.kind]}", value.raw)
        return value.raw

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


def level(path: Path, tag: int) -> float | None:
    """Return `BLACK_LEVEL` or `WHITE_LEVEL` of the first page of a TIFF, a mean over its sensor's pattern.

    Returns:
        The level; None where the page has none, or is damaged.
    """
    try:
        with path.open("rb") as file:
            reader = TiffTags(file)
            value = reader.entries(reader.first)[0].get(tag)
    except (OSError, ValueError):
        return None
    if value is None or not value.is_complete or value.kind not in (3, 4, 5):
        return None
    code = {3: "H", 4: "I", 5: "I"}[value.kind]
    numbers = [number for (number,) in struct.iter_unpack(reader.order + code, value.raw)]
    if value.kind == 5:
        parts = list(zip(numbers[::2], numbers[1::2], strict=True))
        numbers = [above / below for above, below in parts if below]
    return sum(numbers) / len(numbers) if numbers else None


def directory_bytes(
    entries: Mapping[int, TagValue], at: int, order: str = "<", *, big: bool = False, following: int = 0
) -> bytes:
    """Return a directory, followed by the values that do not fit into it.

    Args:
        entries: values by tag number. A `TagValue.field` is kept: the items are in the file already.
        at: offset at which the directory will be, even.
        order: byte order, "<" or ">".
        big: for a BigTIFF.
        following: offset of the next page's directory.
    """
    number, count, width = ("Q", "Q", 8) if big else ("I", "H", 4)
    head = struct.pack(order + count, len(entries))
    start = at + len(head) + len(entries) * (12 + width if big else 12) + width
    values = b""
    for tag, value in sorted(entries.items()):
        field = value.field or value.raw.ljust(width, b"\0")
        if len(field) > width:
            field = struct.pack(order + number, start + len(values))
            values += value.raw + b"\0" * (len(value.raw) % 2)
        head += struct.pack(order + "HH" + number, tag, value.kind, value.count) + field
    return head + struct.pack(order + number, following) + values
