"""EXIF: read it from its block or from the tags of a TIFF, adapt it to a colour image, and write it."""

import re
import struct
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import BinaryIO, TypeAlias

from nircolor.imagery import orientation
from nircolor.imagery.files.tiff import TagValue, TiffTags, directory_bytes

Directory: TypeAlias = dict[int, TagValue]

_ORIENTATION, _SOFTWARE, _DESCRIPTION = 274, 305, 270
_PHOTO, _GPS, _INTEROP, _MAKER_NOTE = 34665, 34853, 40965, 37500
_COLOUR_SPACE, _WIDTH, _HEIGHT = 40961, 40962, 40963
_SRGB = 1
# description, make, model, resolution, date, artist, host, copyright, rating; exposure and camera, as TIFF/EP
# and DNG have them; titles of Windows. Other tags of the first directory describe how the pixels are stored,
# and thumbnails are in the second.
_KEPT = {269, 270, 271, 272, 274, 282, 283, 296, 305, 306, 315, 316, 18246, 18249, 33432}
_KEPT |= {33434, 33437, 34855, 36867, 37386, 50708, 50735, *range(40091, 40096)}
# areas in pixels of the stored image, and a tone curve
_AREAS, _GAMMA = {37396, 41492}, 42240
# descriptions that microscopy software reads as the layout of pages
_LAYOUT = re.compile(r'ImageJ=|<OME|\{"shape"')
_CLASSIC_TYPES = range(1, 14)


def describes_pages(description: str) -> bool:
    """Return whether an image description states how pages of a TIFF are bands or planes."""
    return _LAYOUT.search(description) is not None


@dataclass(frozen=True)
class Exif:
    """EXIF metadata.

    Attributes:
        order: byte order of the values, "<" or ">".
        main: first directory: make, model, date, …
        photo: exposure, lens, …
        gps: position.
        interop: name of a standard for exchange.
        maker_note_at: offset of the camera's own data, which refers to places in the block; None where it
            cannot be kept.
        is_damaged: whether parts could not be read.
    """

    order: str = "<"
    main: Directory = field(default_factory=dict)
    photo: Directory = field(default_factory=dict)
    gps: Directory = field(default_factory=dict)
    interop: Directory = field(default_factory=dict)
    maker_note_at: int | None = None
    is_damaged: bool = False

    @property
    def orientation(self) -> int | None:
        """Orientation of the stored image, 1 to 8; None where none is stated."""
        value = self.main.get(_ORIENTATION)
        whole = value is not None and value.kind == 3 and value.count == 1
        return orientation.parse(struct.unpack(self.order + "H", value.raw)[0]) if whole and value else None

    def without_maker_note(self) -> "Exif":
        """Leave out the camera's own data, which is damaged wherever the block is laid out anew."""
        photo = {tag: value for tag, value in self.photo.items() if tag != _MAKER_NOTE}
        return replace(self, photo=photo, maker_note_at=None)


def read_exif(file: BinaryIO) -> Exif:
    """Read EXIF from a block, or from the first page of a TIFF.

    Raises:
        ValueError: the first directory is damaged.
    """
    reader = TiffTags(file)
    main = reader.entries(reader.first)[0]

    is_damaged = False

    def below(directory: Directory, tag: int) -> Directory:
        nonlocal is_damaged
        if tag not in directory or not any(directory[tag].raw):
            return {}
        value = directory[tag]
        code = {4: "I", 13: "I", 16: "Q", 18: "Q"}.get(value.kind)
        try:
            if code is None or value.count != 1:
                raise ValueError("no offset")
            return reader.entries(struct.unpack(reader.order + code, value.raw)[0])[0]
        except (ValueError, struct.error):
            is_damaged = True
            return {}

    photo, gps = below(main, _PHOTO), below(main, _GPS)
    interop = below(photo, _INTEROP)
    note = photo.get(_MAKER_NOTE)
    at = None
    if note is not None and not reader.big and len(note.raw) > 4:
        at = struct.unpack(reader.order + "I", note.field)[0]
    parts = [_portable(part) for part in (main, photo, gps, interop)]
    return Exif(reader.order, parts[0], parts[1], parts[2], parts[3], at, is_damaged)


def parse_exif(block: bytes) -> Exif:
    """Parse an EXIF block, with or without its ``Exif`` header; raises as `read_exif`."""
    return read_exif(BytesIO(block.removeprefix(b"Exif\0\0")))


def _portable(directory: Directory) -> Directory:
    """Return the values that stay valid in another file: complete, of a known type, and no offsets."""
    return {
        tag: replace(value, field=b"")
        for tag, value in directory.items()
        if value.kind in _CLASSIC_TYPES and value.is_complete and tag not in (_PHOTO, _GPS, _INTEROP)
    }


def adapted(exif: Exif, width: int, height: int, software: str, *, is_rotated: bool) -> Exif:
    """Return EXIF for the colour image: upright, sRGB, of this size, without thumbnail.

    Args:
        exif: the metadata of the input.
        width, height: of the output in pixels.
        software: name and version of this program.
        is_rotated: whether the image was rotated or mirrored, so that areas in pixels are no longer true.
    """
    order = exif.order
    main = {tag: value for tag, value in exif.main.items() if tag in _KEPT}
    if _DESCRIPTION in main and describes_pages(main[_DESCRIPTION].raw.decode("latin-1")):
        del main[_DESCRIPTION]
    text = software.encode("ascii") + b"\0"
    main[_ORIENTATION] = TagValue(3, 1, struct.pack(order + "H", 1))
    main[_SOFTWARE] = TagValue(2, len(text), text)
    photo = {
        tag: value
        for tag, value in exif.photo.items()
        if tag != _GAMMA and not (is_rotated and tag in _AREAS)
    }
    if photo:
        photo[_COLOUR_SPACE] = TagValue(3, 1, struct.pack(order + "H", _SRGB))
        photo[_WIDTH] = TagValue(4, 1, struct.pack(order + "I", width))
        photo[_HEIGHT] = TagValue(4, 1, struct.pack(order + "I", height))
    return replace(exif, main=main, photo=photo)


def exif_block(exif: Exif) -> bytes:
    """Return the EXIF block, without the header ``Exif``. The camera's own data keeps its offset."""
    block = (b"II*\0" if exif.order == "<" else b"MM\0*") + b"\0" * 4
    photo = dict(exif.photo)
    note = photo.get(_MAKER_NOTE)
    if note is not None and exif.maker_note_at is not None and exif.maker_note_at >= 8:
        block = block.ljust(exif.maker_note_at, b"\0") + note.raw
        block += b"\0" * (len(block) % 2)
        photo[_MAKER_NOTE] = replace(note, field=struct.pack(exif.order + "I", exif.maker_note_at))
    else:
        photo.pop(_MAKER_NOTE, None)
    block, main = append_exif(block, len(block), replace(exif, photo=photo))
    at = len(block)
    block += directory_bytes(main, at, exif.order)
    return block[:4] + struct.pack(exif.order + "I", at) + block[8:]


def append_exif(before: bytes, at: int, exif: Exif, *, big: bool = False) -> tuple[bytes, Directory]:
    """Append the directories below the first one.

    Args:
        before: bytes to append to.
        at: offset of the end of ``before`` in the file, even.
        exif: the metadata, in the byte order of the file.
        big: for a BigTIFF.

    Returns:
        The bytes, and the first directory with pointers to the others.
    """
    number, kind = ("Q", 16) if big else ("I", 4)
    main, photo = dict(exif.main), dict(exif.photo)

    def append(directory: Directory, parent: Directory, tag: int) -> None:
        nonlocal before, at
        if not directory:
            return
        parent[tag] = TagValue(kind, 1, struct.pack(exif.order + number, at))
        stored = directory_bytes(directory, at, exif.order, big=big)
        stored += b"\0" * (len(stored) % 2)
        before, at = before + stored, at + len(stored)

    append(exif.interop, photo, _INTEROP)
    append(photo, main, _PHOTO)
    append(exif.gps, main, _GPS)
    return before, main


def in_order(exif: Exif, order: str) -> Exif:
    """Convert the values to another byte order; leaves out the camera's own data, whose order is unknown."""
    exif = exif.without_maker_note()

    def converted(directory: Directory) -> Directory:
        return {tag: value.in_order(exif.order, order) for tag, value in directory.items()}

    return Exif(
        order, converted(exif.main), converted(exif.photo), converted(exif.gps), converted(exif.interop)
    )
