"""Formats that are read: their extensions and first bytes, and the formats of outputs."""

import struct
from pathlib import Path
from typing import BinaryIO

from nircolor.imagery.files import tiff

CAMERA_RAW = "CameraRaw"
CAMERA_RAW_EXTENSIONS = frozenset((
    ".3fr", ".arw", ".cap", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".gpr", ".iiq", ".k25",
    ".kdc", ".mef", ".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".rw2", ".rwl", ".sr2", ".srf",
    ".srw", ".x3f",
))  # fmt: skip
OUTPUT_DRIVERS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "GTiff", ".tiff": "GTiff"}
# formats that are read and not written, and what their outputs become: PNG where its depth and lack of a
# georeference suffice
OUTPUT_EXTENSIONS = {
    ".jpe": ".jpg", ".jfif": ".jpg", ".bmp": ".png", ".dib": ".png", ".pgm": ".png", ".ppm": ".png",
    ".pnm": ".png", ".webp": ".png", ".jp2": ".tif", ".j2k": ".tif", ".j2c": ".tif", ".jpc": ".tif",
    ".jpf": ".tif", ".jpx": ".tif", ".npy": ".tif", ".hdr": ".tif",
    **dict.fromkeys(sorted(CAMERA_RAW_EXTENSIONS), ".png"),
}  # fmt: skip
EXTENSIONS = (*OUTPUT_DRIVERS, *OUTPUT_EXTENSIONS)

_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"II*\x00", "GTiff"),
    (b"MM\x00*", "GTiff"),
    (b"II+\x00", "GTiff"),
    (b"MM\x00+", "GTiff"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "JP2OpenJPEG"),
    (b"\xff\x4f\xff\x51", "JP2OpenJPEG"),
    (b"\x93NUMPY", "NumPy"),
    (b"P2", "PNM"),
    (b"P3", "PNM"),
    (b"P5", "PNM"),
    (b"P6", "PNM"),
    (b"BM", "BMP"),
    # Fujifilm, Olympus, Panasonic, Sigma, Minolta and old Canon; others begin like TIFFs, see `camera_raw`
    *(
        (signature, CAMERA_RAW)
        for signature in (
            b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FOVb", b"\0MRM",
            b"II\x1a\0\0\0HEAPCCDR",
        )
    ),
)  # fmt: skip
_MAKE = 271


def driver_of(start: bytes) -> str | None:
    """Return the driver (`locate.ImageFile.driver`) for a file's first 12 bytes, None for other formats."""
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "WEBP"
    if start[4:12] == b"ftypcrx ":
        return CAMERA_RAW
    return next((driver for signature, driver in _SIGNATURES if start.startswith(signature)), None)


def is_camera_raw(path: Path, file: BinaryIO) -> bool:
    """Return whether a file with the signature of a TIFF is a camera raw file.

    GDAL would read its first page, which is a thumbnail or a mosaic of coloured filters. TIFFs of one band
    with the tags of DNG, as some multispectral cameras write them, are images.

    Args:
        path: for its extension, which decides where the tags name a camera.
        file: the file, open at its start.
    """
    named = path.suffix.lower() in CAMERA_RAW_EXTENSIONS
    try:
        if file.read(10)[8:] == b"CR":  # Canon's CR2
            return True
        file.seek(0)
        reader = tiff.TiffTags(file)
        page, _ = reader.directory(reader.first)
        if page.get(tiff.PHOTOMETRIC) == tiff.CFA or (named and (_MAKE in page or tiff.DNG_VERSION in page)):
            return True
        is_thumbnail = page.get(tiff.SUBFILE_TYPE) == (1,)
        if tiff.DNG_VERSION in page and (is_thumbnail or page.get(tiff.SAMPLES_PER_PIXEL, (1,)) != (1,)):
            return True
        offsets = page.get(tiff.SUB_IFDS, ())
        kinds = [reader.directory(offset)[0].get(tiff.PHOTOMETRIC) for offset in offsets[:16] if offset]
    except (OSError, ValueError):
        return named
    return any(kind in (tiff.CFA, tiff.LINEAR_RAW) for kind in kinds)


def is_animated_png(path: Path) -> bool:
    """Return whether a PNG states that it holds several images, of which GDAL reads the first."""
    with path.open("rb") as file:
        file.seek(8)
        for _ in range(1000):  # a damaged file must not cause a long loop
            start = file.read(8)
            if len(start) < 8 or start[4:] == b"IDAT":
                return False
            if start[4:] == b"acTL":
                return True
            file.seek(struct.unpack(">I", start[:4])[0] + 4, 1)
    return False
