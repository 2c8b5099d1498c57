"""Stacks of microscopy software: names and dimensions of the planes, from TIFF tags."""

import json
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from xml.parsers.expat import ExpatError

from nircolor.imagery.bands.band_info import BandInfo
from nircolor.imagery.bands.sensors import is_plain, role_of, wavelength_in
from nircolor.imagery.files.tiff import Tags
from nircolor.imagery.metadata.safe_xml import expat_parser

_DESCRIPTION, _IJ_COUNTS, _IJ_METADATA, _STK_PLANES = 270, 50838, 50839, 33629
_MAX_CHARACTERS = 8 << 20


@dataclass(frozen=True)
class Stack:
    """Planes that the first page of a TIFF describes.

    Attributes:
        planes: number of planes that the program stored, or None where it does not say.
        dimensions: for messages, such as "ImageJ: channels 2, slices 5"; empty for other programs.
        bands: what is known of each plane; empty where nothing is.
    """

    planes: int | None = None
    dimensions: str = ""
    bands: tuple[BandInfo, ...] = ()


def read_stack(tags: Tags, order: str) -> Stack:
    """Read the description that ImageJ, OME, MetaMorph or tifffile wrote into the first page.

    Args:
        tags: tags of the first page.
        order: byte order of the file, "<" or ">".
    """
    value = tags.get(_DESCRIPTION, b"")
    text = (
        value[:_MAX_CHARACTERS].rstrip(b"\0").decode("utf-8", "replace") if isinstance(value, bytes) else ""
    )
    if text.startswith("ImageJ="):
        return _of_imagej(text, tags, order)
    if "<OME" in text[:2000]:
        return _of_ome(text)
    if text.startswith('{"shape":'):
        return _of_tifffile(text, tags)
    stk = tags.get(_STK_PLANES)
    # MetaMorph stores two numbers of two parts for each plane
    return Stack(len(stk) // 6, "MetaMorph") if isinstance(stk, tuple) and len(stk) >= 12 else Stack()


def _of_imagej(text: str, tags: Tags, order: str) -> Stack:
    fields = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    sizes = {
        name: int(fields[name]) for name in ("channels", "slices", "frames") if _is_count(fields.get(name))
    }
    planes = int(fields["images"]) if _is_count(fields.get("images")) else 1
    dimensions = ", ".join(f"{name} {size}" for name, size in sizes.items() if size > 1)
    labels = _imagej_labels(tags, order)
    bands = tuple(_of_label(label) for label in labels)
    return Stack(planes, f"ImageJ: {dimensions or f'images {planes}'}", bands)


def _imagej_labels(tags: Tags, order: str) -> list[str]:
    """Return the labels of the slices, which ImageJ stores as UTF-16 in a tag of its own."""
    counts, data = tags.get(_IJ_COUNTS), tags.get(_IJ_METADATA)
    if not (isinstance(counts, tuple) and isinstance(data, bytes)) or not counts:
        return []
    labels: list[str] = []
    at, entry = counts[0], 1
    try:
        for start in range(4, counts[0], 8):
            kind, number = struct.unpack(order + "II", data[start : start + 8])
            for length in counts[entry : entry + number]:
                if kind == int.from_bytes(b"labl", "big"):
                    codec = "utf-16-le" if order == "<" else "utf-16-be"
                    labels.append(data[at : at + length].decode(codec, "replace"))
                at, entry = at + length, entry + 1
    except struct.error:
        return []
    return labels


def _of_label(label: str) -> BandInfo:
    """Read a label such as "c:1/4 - 850 nm", with the place in the stack before it, or "NIR.tif"."""
    name = re.sub(r"^([cztCZT]:\d+/\d+\s*)+(- )?", "", label.strip()).split("\n")[0][:100]
    name = re.sub(r"\.(tiff?|png|jpe?g|bmp)$", "", name, flags=re.IGNORECASE)
    if is_plain(name):
        return BandInfo(wavelength_in(name), name, "labels of ImageJ")
    # free text, such as "red cells", names no band
    return BandInfo(name=name if name and role_of(name) is None else None)


def _of_ome(text: str) -> Stack:
    """Read the channels of OME-XML; they name the planes where there is one slice and one time."""
    images: list[dict[str, str]] = []
    channels: list[dict[str, str]] = []
    in_order = True

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal in_order
        name = tag.rpartition(":")[2]
        if name == "TiffData":
            in_order &= (
                attributes.get("IFD", "0") == attributes.get("FirstC", "0") or "FirstC" not in attributes
            )
        elif name == "Pixels":
            images.append(attributes)
        elif name == "Channel" and len(images) == 1:
            channels.append(attributes)

    parser = expat_parser()
    parser.StartElementHandler = start
    try:
        parser.Parse(text.encode("utf-8", "replace"), True)
    except (ExpatError, ValueError):
        return Stack(dimensions="OME-TIFF")
    if not images:
        return Stack(dimensions="OME-TIFF")
    sizes = {axis: int(images[0].get(f"Size{axis}", "1") or 1) for axis in "CZT"
             if _is_count(images[0].get(f"Size{axis}", "1"))}  # fmt: skip
    dimensions = ", ".join(f"{axis} {size}" for axis, size in sizes.items())
    if len(images) > 1:
        return Stack(dimensions=f"OME-TIFF: {len(images)} images, the first of {dimensions}")
    bands: tuple[BandInfo, ...] = ()
    single = all(channel.get("SamplesPerPixel", "1") == "1" for channel in channels)
    if sizes.get("Z", 1) == sizes.get("T", 1) == 1 and single and in_order:
        bands = tuple(_of_channel(channel) for channel in channels)
    return Stack(dimensions=f"OME-TIFF: {dimensions}", bands=bands)


def _of_channel(channel: dict[str, str]) -> BandInfo:
    name = channel.get("Name") or channel.get("Fluor") or None
    number = channel.get("EmissionWavelength", "")
    unit = channel.get("EmissionWavelengthUnit", "nm")
    nm = wavelength_in(f"{number} {unit}") if number else wavelength_in(name)
    return BandInfo(nm, name, "channels of OME-TIFF")


def _of_tifffile(text: str, tags: Tags) -> Stack:
    """Count the planes of an array that tifffile wrote: it may leave out the directories of all but one."""
    try:
        shape = json.loads(text)["shape"]
        sizes = [tags.get(tag, (1,)) for tag in (256, 257, 277)]
        return Stack(prod(int(size) for size in shape) // prod(int(size[0]) for size in sizes))
    except (ValueError, KeyError, TypeError, IndexError, ArithmeticError, RecursionError):
        return Stack()


def with_planes(bands: Sequence[BandInfo], planes: Sequence[BandInfo]) -> tuple[BandInfo, ...]:
    """Complete what pages state themselves with what the first page states about all planes."""
    if len(planes) != len(bands):
        return tuple(bands)
    return tuple(
        replace(band if band.nm else plane, name=band.name or plane.name)
        for band, plane in zip(bands, planes, strict=True)
    )


def _is_count(text: str | None) -> bool:
    return text is not None and re.fullmatch(r"[0-9]{1,9}", text.strip()) is not None
