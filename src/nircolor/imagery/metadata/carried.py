"""Metadata that goes from an image to its colour image: EXIF with GPS and date, XMP, ICC, tags.

Items about the pixels or bands of the input are adapted or left out: the output is sRGB, upright, and has
no wavelengths. Damaged metadata is left out with a warning.
"""

import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import BinaryIO
from xml.dom import minidom
from xml.parsers.expat import ExpatError

from nircolor.errors import first_line
from nircolor.imagery.files.signatures import CAMERA_RAW
from nircolor.imagery.files.tiff import TiffTags
from nircolor.imagery.metadata.exif import Exif, describes_pages, parse_exif, read_exif
from nircolor.imagery.metadata.safe_xml import parse_xml
from nircolor.imagery.metadata.text_files import MAX_BYTES

_XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_EXIF_UUID = b"JpgTiffExif->JP2"
_CANON_UUID = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")
# boxes of CR3 with the camera, the exposure and the position
_CANON_PARTS = (b"CMT1", b"CMT2", b"CMT4")
# tags that GDAL reads from a TIFF and writes to one
_TIFF_TAGS = (
    *("DOCUMENTNAME", "IMAGEDESCRIPTION", "DATETIME", "ARTIST", "HOSTCOMPUTER", "COPYRIGHT"),
    *("XRESOLUTION", "YRESOLUTION", "RESOLUTIONUNIT"),
)
# items that describe the values or bands of the input
_OF_PIXELS = re.compile(
    r"statistic|scale|offset|quantif|wavelength|fwhm|nodata|no_data|nbits|radian|reflect|calib|colou?r|interleave"
    r"|(?<![a-z])(band|gain|type|bytes?|min|max|bias|units?|solar)|nm$|^AREA_OR_POINT$|^EXIF_|^TIFFTAG_|^OVR_"
    r"|ImageJ|^OME|^ns$|^bidx$|^Software$|^Raw.profile|^XML:",
    re.IGNORECASE,
)
_ENVI_FIELDS = ("acquisition time", "description", "sensor type")
_MAX_TAGS, _MAX_TAG_LENGTH = 256, 4096
# properties of the sensor's band, as cameras on drones write them, and of the stored pixels
_XMP_OF_PIXELS = {
    *("CentralWavelength", "WavelengthFWHM", "BandName", "BandSensitivity", "Thumbnails", "BitsPerSample"),
    *("SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "ICCProfile", "ColorMode"),
    *("HasExtendedXMP", "NativeDigest"),
}


@dataclass(frozen=True)
class Metadata:
    """Metadata of an input image.

    Attributes:
        exif: EXIF with GPS and date, or None.
        xmp: XMP packet, or None.
        icc: ICC profile if it is sRGB, as the output is; else None.
        problems: messages about metadata that is left out.
    """

    exif: Exif | None = None
    xmp: bytes | None = None
    icc: bytes | None = None
    problems: tuple[str, ...] = ()


def read_metadata(data: Path, driver: str) -> Metadata:
    """Read the metadata of an image.

    Args:
        data: the file.
        driver: its format, as `files.locate.ImageFile.driver`.
    """
    find = {
        "JPEG": _of_jpeg, "PNG": _of_png, "WEBP": _of_webp, "JP2OpenJPEG": _of_jp2, "GTiff": _of_tiff,
        CAMERA_RAW: _of_camera_raw,
    }  # fmt: skip
    found: dict[str, bytes | Exif] = {}
    problems: list[str] = []
    if driver in find:
        try:
            with data.open("rb") as file:
                for kind, content in find[driver](file):
                    found.setdefault(kind, content)
        except (OSError, ValueError, IndexError, struct.error, zlib.error) as error:
            problems.append(f"its metadata is damaged and not all carried over ({first_line(error)[:120]})")
    exif, xmp, icc = found.get("exif"), found.get("xmp"), found.get("icc")
    if isinstance(exif, bytes):
        try:
            exif = parse_exif(exif)
        except (ValueError, struct.error) as error:
            problems.append(f"its EXIF is damaged and not carried over ({first_line(error)[:120]})")
            exif = None
    if isinstance(exif, Exif) and exif.is_damaged:
        problems.append("its EXIF is damaged and not all carried over")
    if isinstance(xmp, bytes):
        try:
            parse_xml(xmp)
        except ValueError as error:
            problems.append(f"its XMP is damaged and not carried over ({first_line(error)[:120]})")
            xmp = None
    return Metadata(
        exif if isinstance(exif, Exif) else None,
        xmp if isinstance(xmp, bytes) else None,
        icc if isinstance(icc, bytes) and is_srgb(icc) else None,
        tuple(problems),
    )


def kept_tags(tags: Mapping[str, str], header: Mapping[str, str]) -> dict[str, str]:
    """Return the items that do not describe the values or bands of the input.

    Args:
        tags: items that GDAL lists.
        header: fields of the ENVI header; empty for other formats.
    """
    kept = {name: text for name, text in tags.items() if not _OF_PIXELS.search(name)}
    kept |= {key: tags[key] for name in _TIFF_TAGS if (key := f"TIFFTAG_{name}") in tags}
    if describes_pages(kept.get("TIFFTAG_IMAGEDESCRIPTION", "")):
        del kept["TIFFTAG_IMAGEDESCRIPTION"]
    kept |= {name.replace(" ", "_"): header[name].strip("{} \n") for name in _ENVI_FIELDS if name in header}
    short = [(name, text) for name, text in kept.items() if len(name) + len(text) <= _MAX_TAG_LENGTH]
    return dict(short[:_MAX_TAGS])


def _of_jpeg(file: BinaryIO) -> Iterator[tuple[str, bytes]]:
    file.seek(2)
    profile: dict[int, bytes] = {}
    while True:
        start = file.read(4)
        if len(start) < 4 or start[0] != 0xFF or start[1] == 0xDA:
            break
        if start[1] == 0xFF:  # a fill byte
            file.seek(-3, 1)
            continue
        content = file.read(max(0, struct.unpack(">H", start[2:])[0] - 2))
        if start[1] == 0xE1 and content.startswith(b"Exif\0\0"):
            yield "exif", content
        elif start[1] == 0xE1 and content.startswith(b"http://ns.adobe.com/xap/1.0/\0"):
            yield "xmp", content[29:]
        elif start[1] == 0xE2 and content.startswith(b"ICC_PROFILE\0") and len(content) > 14:
            profile[content[12]] = content[14:]
    if profile:
        yield "icc", b"".join(profile[number] for number in sorted(profile))


def _of_png(file: BinaryIO) -> Iterator[tuple[str, bytes]]:
    file.seek(8)
    while len(start := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", start)
        if kind not in (b"eXIf", b"iCCP", b"iTXt", b"zTXt", b"tEXt") or length > MAX_BYTES:
            file.seek(length + 4, 1)
            continue
        content = file.read(length)
        file.seek(4, 1)
        if kind == b"eXIf":
            yield "exif", content
        elif kind == b"iCCP":
            yield "icc", _inflated(content.partition(b"\0")[2][1:])
        elif kind != b"iTXt":
            name, _, text = content.partition(b"\0")
            if name in (b"Raw profile type exif", b"Raw profile type APP1"):
                text = _inflated(text[1:]) if kind == b"zTXt" else text
                yield "exif", _raw_profile(text)
        elif content.startswith(b"XML:com.adobe.xmp\0"):
            text = content[20:].partition(b"\0")[2].partition(b"\0")[2]
            yield "xmp", _inflated(text) if content[18] else text


def _raw_profile(text: bytes) -> bytes:
    """Return a block that older ImageMagick wrote as text: its kind, its length and hexadecimal digits."""
    return bytes.fromhex(text.decode("ascii").split(maxsplit=2)[2])


def _inflated(data: bytes) -> bytes:
    return zlib.decompressobj().decompress(data, MAX_BYTES)


def _of_webp(file: BinaryIO) -> Iterator[tuple[str, bytes]]:
    file.seek(12)
    names = {b"EXIF": "exif", b"XMP ": "xmp", b"ICCP": "icc"}
    while len(start := file.read(8)) == 8:
        kind, length = struct.unpack("<4sI", start)
        following = file.tell() + length + length % 2
        if kind in names and length <= MAX_BYTES:
            yield names[kind], file.read(length)
        file.seek(following)


def _of_jp2(file: BinaryIO) -> Iterator[tuple[str, bytes]]:
    file.seek(0)
    while len(start := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", start)
        content = length - 8
        if length == 1:
            content = struct.unpack(">Q", file.read(8))[0] - 16
        if length == 0 or content < 0:  # up to the end of the file
            return
        if kind == b"uuid" and content <= MAX_BYTES:
            box = file.read(content)
            if box.startswith(_EXIF_UUID):
                yield "exif", box[16:]
            elif box.startswith(_XMP_UUID):
                yield "xmp", box[16:]
        else:
            file.seek(content, 1)


def _of_tiff(file: BinaryIO) -> Iterator[tuple[str, "bytes | Exif"]]:
    reader = TiffTags(file)
    main = reader.entries(reader.first)[0]
    for name, tag in (("xmp", 700), ("icc", 34675)):
        if tag in main and len(main[tag].raw) <= MAX_BYTES:
            yield name, main[tag].raw
    file.seek(0)
    # offsets in the camera's own data refer to the whole file
    yield "exif", read_exif(file).without_maker_note()


def _of_camera_raw(file: BinaryIO) -> Iterator[tuple[str, "bytes | Exif"]]:
    """Most are TIFFs; Fujifilm's hold a JPEG with EXIF, Canon's CR3 boxes with a TIFF for each part of it."""
    start = file.read(92)
    file.seek(0)
    if start[4:12] == b"ftypcrx ":
        yield from _of_cr3(file)
    elif start.startswith(b"FUJIFILMCCD-RAW"):
        place, length = struct.unpack(">II", start[84:92])
        file.seek(place)
        yield from _of_jpeg(BytesIO(file.read(min(length, MAX_BYTES))))
    elif start.startswith((b"II", b"MM")) and not start.startswith(b"II\x1a"):
        yield from _of_tiff(file)


def _of_cr3(file: BinaryIO) -> Iterator[tuple[str, Exif]]:
    parts: dict[bytes, Exif] = {}
    for kind, content in _boxes(file.read(MAX_BYTES)):
        if kind != b"moov":
            continue
        for inner, inside in _boxes(content):
            if inner == b"uuid" and inside.startswith(_CANON_UUID):
                found = {name: block for name, block in _boxes(inside[16:]) if name in _CANON_PARTS}
                parts |= {name: read_exif(BytesIO(block)) for name, block in found.items()}
    if b"CMT1" in parts:
        # the directories of camera and position are the first ones of TIFFs of their own
        photo, gps = (parts[name].main if name in parts else {} for name in (b"CMT2", b"CMT4"))
        yield "exif", replace(parts[b"CMT1"], photo=photo, gps=gps).without_maker_note()


def _boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield kind and content of the boxes (ISO 14496-12) in a block, up to one that it does not hold."""
    at = 0
    while at + 8 <= len(content):
        length, kind = struct.unpack(">I4s", content[at : at + 8])
        head = 8
        if length == 1 and at + 16 <= len(content):
            length, head = struct.unpack(">Q", content[at + 8 : at + 16])[0], 16
        if length < head or at + length > len(content):
            return
        yield kind, content[at + head : at + length]
        at += length


def adapted_xmp(packet: bytes, width: int, height: int) -> bytes:
    """Return an XMP packet for the colour image, as `exif.adapted` does for EXIF.

    Args:
        packet: well-formed XMP.
        width, height: of the output in pixels.

    Raises:
        ValueError: it is damaged, or nested too deeply.
    """
    try:
        return _adapted_xmp(packet, width, height)
    except (RecursionError, ExpatError) as error:
        raise ValueError("damaged, or nested too deeply") from error


def _adapted_xmp(packet: bytes, width: int, height: int) -> bytes:
    text = packet.decode("utf-16" if packet[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8")
    # text, not bytes: a declared encoding would be that of the packet
    document = minidom.parseString(text.strip("\0 \r\n\t\ufeff"))
    stated = {
        **dict.fromkeys(("ImageWidth", "PixelXDimension"), str(width)),
        **dict.fromkeys(("ImageLength", "PixelYDimension"), str(height)),
        **dict.fromkeys(("Orientation", "ColorSpace"), "1"),
    }
    for element in document.getElementsByTagName("*"):
        for name in list(element.attributes.keys()):
            local = name.rpartition(":")[2]
            if local in _XMP_OF_PIXELS:
                element.removeAttribute(name)
            elif ":" in name and local in stated:
                element.setAttribute(name, stated[local])
        local = element.tagName.rpartition(":")[2]
        if local in _XMP_OF_PIXELS and element.parentNode is not None:
            element.parentNode.removeChild(element)
        elif local in stated and not any(node.nodeType == node.ELEMENT_NODE for node in element.childNodes):
            while element.firstChild is not None:
                element.removeChild(element.firstChild)
            element.appendChild(document.createTextNode(stated[local]))
    root = document.documentElement
    body = "" if root is None else root.toxml()
    start = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    return f'{start}{body}\n<?xpacket end="w"?>'.encode()


def is_srgb(profile: bytes) -> bool:
    """Return whether an ICC profile is that of an sRGB image, by its primaries and tone curve."""
    if profile[16:20] != b"RGB " or profile[36:40] != b"acsp":
        return False
    try:
        count = struct.unpack(">I", profile[128:132])[0]
        table = {
            profile[at : at + 4]: struct.unpack(">II", profile[at + 4 : at + 12])
            for at in range(132, 132 + 12 * min(count, 100), 12)
        }
        parts = {name: profile[start : start + length] for name, (start, length) in table.items()}
        for name, expected in _SRGB_PRIMARIES.items():
            xyz = [number / 65536 for number in struct.unpack(">3i", parts[name][8:20])]
            if max(abs(a - b) for a, b in zip(xyz, expected, strict=True)) > 0.005:
                return False
        return 0.19 < _tone_at_half(parts[b"rTRC"]) < 0.24
    except (KeyError, struct.error, OverflowError):
        return False


_SRGB_PRIMARIES = {
    b"rXYZ": (0.4361, 0.2225, 0.0139),
    b"gXYZ": (0.3851, 0.7169, 0.0971),
    b"bXYZ": (0.1431, 0.0606, 0.7141),
}


def _tone_at_half(curve: bytes) -> float:
    """Return the linear value, 0 to 1, of the middle of a tone curve."""
    if curve.startswith(b"para"):
        gamma = struct.unpack(">i", curve[12:16])[0] / 65536
        # sRGB's curve of 2.4 with a linear start is close to a power of 2.2
        return float(0.5 ** (gamma if struct.unpack(">H", curve[8:10])[0] == 0 else gamma * 2.2 / 2.4))
    count = struct.unpack(">I", curve[8:12])[0]
    if count == 0:
        return 0.5
    if count == 1:
        return float(0.5 ** (struct.unpack(">H", curve[12:14])[0] / 256))
    middle = 12 + 2 * (count // 2)
    return float(struct.unpack(">H", curve[middle : middle + 2])[0] / 65535)
