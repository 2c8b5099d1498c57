"""Formats that are read: their extensions and first bytes, and the formats of outputs."""

import struct
from pathlib import Path

OUTPUT_DRIVERS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "GTiff", ".tiff": "GTiff"}
# formats that are read and not written, and what their outputs become: PNG where its depth and lack of a
# georeference suffice
OUTPUT_EXTENSIONS = {
    ".jpe": ".jpg", ".jfif": ".jpg", ".bmp": ".png", ".dib": ".png", ".pgm": ".png", ".ppm": ".png",
    ".pnm": ".png", ".webp": ".png", ".jp2": ".tif", ".j2k": ".tif", ".j2c": ".tif", ".jpc": ".tif",
    ".jpf": ".tif", ".jpx": ".tif", ".npy": ".tif", ".hdr": ".tif",
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
)


def driver_of(start: bytes) -> str | None:
    """Return the driver (`locate.ImageFile.driver`) for a file's first 12 bytes, None for other formats."""
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "WEBP"
    return next((driver for signature, driver in _SIGNATURES if start.startswith(signature)), None)


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
