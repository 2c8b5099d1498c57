"""Write metadata into a finished PNG, JPEG or TIFF: GDAL writes no EXIF."""

import os
import shutil
import struct
import zlib
from pathlib import Path

from nircolor import __version__
from nircolor.imagery.files.tiff import TagValue, TiffTags, directory_bytes
from nircolor.imagery.grid import Grid
from nircolor.imagery.metadata.carried import adapted_xmp
from nircolor.imagery.metadata.exif import Exif, adapted, append_exif, exif_block, in_order

SOFTWARE = f"nircolor {__version__}"
# value of the tag NIRCOLOR_COLOURS of a TIFF
ESTIMATED = "estimated from near-infrared, not measured"
# content of a JPEG segment
_MAX_SEGMENT = 65_533
_PROFILE_PIECE = _MAX_SEGMENT - 14
_XMP_HEADER = b"http://ns.adobe.com/xap/1.0/\0"
# keywords of texts in a PNG, as GDAL lists them
_PNG_TEXTS = (
    "Title",
    "Author",
    "Description",
    "Copyright",
    "Creation_Time",
    "Disclaimer",
    "Source",
    "Comment",
)
_XMP, _ICC, _ORIENTATION, _SOFTWARE_TAG = 700, 34675, 274, 305

# padded by GDAL to the length of the longer word
_COG_INTACT, _COG_EDITED = b"KNOWN_INCOMPATIBLE_EDITION=NO\n ", b"KNOWN_INCOMPATIBLE_EDITION=YES\n"


def software(model: str | None) -> str:
    """Return the text about the software that made an image: it says that colours are estimated.

    All formats have a place for it, which nothing of the input occupies.

    Args:
        model: name of the model that estimates the colours; None for other images.
    """
    return SOFTWARE if model is None else f"{SOFTWARE}, colours estimated by model {model}"


def embed(
    path: Path, driver: str, grid: Grid, software: str = SOFTWARE, *, keep_cog: bool = False
) -> list[str]:
    """Add metadata to a complete image file, which is replaced.

    Args:
        path: the file, in a folder where a second one may be made.
        driver: "PNG", "JPEG" or "GTiff".
        grid: size and metadata of the image.
        software: text about the software.
        keep_cog: leave out metadata that would make a Cloud Optimized GeoTIFF an ordinary one.

    Returns:
        Messages about metadata that does not fit into the format.
    """
    metadata = grid.metadata
    exif = adapted(metadata.exif or Exif(), grid.width, grid.height, software, is_rotated=grid.is_rotated)
    problems = []
    xmp = None
    if metadata.xmp is not None:
        try:
            xmp = adapted_xmp(metadata.xmp, grid.width, grid.height)
        except ValueError as error:
            problems.append(f"its XMP is not carried over ({error})")
    if driver == "GTiff":
        return problems + _embed_in_tiff(path, exif, xmp, metadata.icc, keep_cog=keep_cog)
    if driver == "JPEG":
        inserted, unfit = _segments(exif, xmp, metadata.icc)
        problems += unfit
    else:
        inserted = _chunks(exif, xmp, grid, software)
    whole = path.with_name(f"with-metadata{path.suffix}")
    with path.open("rb") as old, whole.open("wb") as new:
        # after the signature and IHDR of a PNG, or the JFIF header of a JPEG
        start = 33 if driver == "PNG" else _after_jfif(old.read(6))
        old.seek(0)
        new.write(old.read(start) + inserted)
        shutil.copyfileobj(old, new, 1 << 20)
    os.replace(whole, path)  # noqa: PTH105 - as in the writer
    return problems


def _after_jfif(start: bytes) -> int:
    return 4 + int.from_bytes(start[4:6], "big") if start[2:4] == b"\xff\xe0" else 2


def _segments(exif: Exif, xmp: bytes | None, icc: bytes | None) -> tuple[bytes, list[str]]:
    """Return the segments of a JPEG, and messages about metadata that does not fit into one."""
    problems = []
    block = b"Exif\0\0" + exif_block(exif)
    if len(block) > _MAX_SEGMENT:
        block = b"Exif\0\0" + exif_block(exif.without_maker_note())
    segments = [(0xE1, block)]
    if xmp is not None:
        segments.append((0xE1, _XMP_HEADER + xmp))
    if icc is not None:
        pieces = [icc[at : at + _PROFILE_PIECE] for at in range(0, len(icc), _PROFILE_PIECE)]
        segments += [
            (0xE2, b"ICC_PROFILE\0" + bytes([number, len(pieces)]) + piece)
            for number, piece in enumerate(pieces, 1)
        ]
    written = b""
    for marker, content in segments:
        if len(content) > _MAX_SEGMENT:
            name = "EXIF" if content is block else "XMP"
            problems.append(f"its {name} of {len(content)} bytes does not fit into a JPEG and is left out")
        else:
            written += struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content
    return written, problems


def _chunks(exif: Exif, xmp: bytes | None, grid: Grid, software: str) -> bytes:
    """Return the chunks of a PNG."""
    texts = {"Software": software.encode()}
    for name in _PNG_TEXTS:
        if name in grid.tags:
            texts[name.replace("_", " ")] = grid.tags[name].encode()
    if xmp is not None:
        texts["XML:com.adobe.xmp"] = xmp
    chunks = [(b"iTXt", name.encode() + b"\0\0\0\0\0" + text) for name, text in texts.items()]
    if grid.metadata.icc is not None:
        chunks.insert(0, (b"iCCP", b"sRGB\0\0" + zlib.compress(grid.metadata.icc)))
    if grid.metadata.exif is not None:
        chunks.append((b"eXIf", exif_block(exif)))
    return b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )


def _embed_in_tiff(
    path: Path, exif: Exif, xmp: bytes | None, icc: bytes | None, *, keep_cog: bool
) -> list[str]:
    """Append a first directory with more tags than GDAL can write; the old one remains unused."""
    with path.open("r+b") as file:
        reader = TiffTags(file)
        present, following = reader.entries(reader.first)
        exif = in_order(exif, reader.order)
        added = dict(exif.main)
        if xmp is not None:
            added[_XMP] = TagValue(1, len(xmp), xmp)
        if icc is not None:
            added[_ICC] = TagValue(7, len(icc), icc)
        if not (exif.photo or exif.gps or set(added) - set(present) - {_ORIENTATION, _SOFTWARE_TAG}):
            return []
        if keep_cog:
            return ["its EXIF and XMP are left out: in a Cloud Optimized GeoTIFF (--cog) they have no place"]
        end = file.seek(0, os.SEEK_END)
        start = end + end % 2
        appended, pointers = append_exif(
            b"\0" * (end % 2),
            start,
            Exif(reader.order, added, exif.photo, exif.gps, exif.interop),
            big=reader.big,
        )
        at = end + len(appended)
        appended += directory_bytes(present | pointers, at, reader.order, big=reader.big, following=following)
        if not reader.big and end + len(appended) >= 1 << 32:
            return ["its EXIF and XMP do not fit into a TIFF of 4 GB and are left out"]
        file.write(appended)
        file.seek(8 if reader.big else 4)
        file.write(struct.pack(reader.order + ("Q" if reader.big else "I"), at))
        # readers of Cloud Optimized GeoTIFFs then no longer expect the first directory at the start
        file.seek(0)
        place = file.read(1024).find(_COG_INTACT)
        if place >= 0:
            file.seek(place)
            file.write(_COG_EDITED)
    return []
