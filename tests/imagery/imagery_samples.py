"""Write small images for tests, with rasterio or, for what rasterio cannot write, byte by byte."""

import struct
import subprocess
import sys
import textwrap
import warnings
import zlib
from pathlib import Path

import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning

from nircolor.imagery import create_like, open_raster, warn_of_losses


def save(path: Path, array: np.ndarray, driver: str = "GTiff", *, setup=None, **options) -> Path:
    """Write (bands, h, w); `setup(dataset)` may add tags before it closes."""
    bands, height, width = array.shape
    with warnings.catch_warnings(), rasterio.Env(GDAL_PAM_ENABLED="NO"):
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        profile = {"width": width, "height": height, "count": bands, "dtype": array.dtype.name}
        with rasterio.open(path, "w", driver=driver, **profile, **options) as dataset:
            dataset.write(array)
            if setup is not None:
                setup(dataset)
    return path


def load(path: Path) -> tuple[np.ndarray, dict]:
    """Read all bands, and the profile with `colorinterp`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path) as dataset:
            return dataset.read(), {**dataset.profile, "colorinterp": dataset.colorinterp}


def noise(bands: int, height: int, width: int, dtype: str = "uint8", seed: int = 0) -> np.ndarray:
    """Return random values (bands, h, w) over the range of an integer type, or floats in [0, 1)."""
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return rng.random((bands, height, width)).astype(dtype)
    return rng.integers(0, np.iinfo(dtype).max, (bands, height, width), dtype=dtype, endpoint=True)


def png_bytes(
    rows: list[bytes], width: int, depth: int, colour_type: int, *extra: tuple[bytes, bytes]
) -> bytes:
    """Return a PNG with packed `rows`, and `extra` chunks before the data."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, len(rows), depth, colour_type, 0, 0, 0)
    body = b"".join(chunk(kind, data) for kind, data in extra)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def with_exif_orientation(jpeg: bytes, value: int) -> bytes:
    """Return a JPEG with an EXIF block for the orientation."""
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<HHHIHHI", 1, 274, 3, 1, value, 0, 0)
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]


def tiff_bytes(array: np.ndarray, orientation: int = 1, big_endian: bool = False) -> bytes:
    """Return an uncompressed 8-bit gray TIFF with an orientation tag, which GDAL does not write."""
    height, width = array.shape
    order = ">" if big_endian else "<"
    pixels = array.astype(np.uint8).tobytes()
    entries = [
        (256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 8), (274, orientation),
        (277, 1), (278, height), (279, len(pixels)),
    ]  # fmt: skip
    directory = struct.pack(order + "H", len(entries))
    directory += b"".join(struct.pack(order + "HHIHH", tag, 3, 1, value, 0) for tag, value in entries)
    start = (b"MM\0*" if big_endian else b"II*\0") + struct.pack(order + "I", 8 + len(pixels))
    return start + pixels + directory + struct.pack(order + "I", 0)


def save_tiff(path: Path, *pages: tuple[np.ndarray, dict], order: str = "<", sub_pages: tuple = ()) -> Path:
    """Write a TIFF of uncompressed pages, with tags that GDAL does not write.

    Args:
        path: the file.
        *pages: (h, w) or (h, w, samples), and tags: text, bytes, or whole numbers of 32 bits, by number.
        order: byte order.
        sub_pages: pages that the first one refers to (SubIFDs).
    """
    out = bytearray(struct.pack(order + "2sHI", b"II" if order == "<" else b"MM", 42, 0))

    def put(data: bytes) -> int:
        out.extend(b"\0" * (len(out) % 2) + data)
        return len(out) - len(data)

    def directory(array: np.ndarray, more: dict) -> tuple[int, int]:
        samples = array.shape[2] if array.ndim == 3 else 1
        bits = array.dtype.itemsize * 8
        data = put(array.astype(array.dtype.newbyteorder(order)).tobytes())
        tags = {
            256: array.shape[1], 257: array.shape[0], 258: [bits] * samples, 259: 1,
            262: 2 if samples == 3 else 1, 273: data, 277: samples, 278: array.shape[0], 279: array.nbytes,
        } | more  # fmt: skip
        entries = b""
        for tag, value in sorted(tags.items()):
            if isinstance(value, str | bytes):
                kind, data = (2, value.encode() + b"\0") if isinstance(value, str) else (1, value)
                count = len(data)
            else:
                numbers = value if isinstance(value, list | tuple) else [value]
                kind, count, data = 4, len(numbers), struct.pack(f"{order}{len(numbers)}I", *numbers)
            field = data.ljust(4, b"\0") if len(data) <= 4 else struct.pack(order + "I", put(data))
            entries += struct.pack(order + "HHI", tag, kind, count) + field
        start = put(struct.pack(order + "H", len(tags)) + entries + b"\0" * 4)
        return start, start + 2 + len(entries)

    offsets = [directory(*page)[0] for page in sub_pages]
    link = 4
    for i, (array, tags) in enumerate(pages):
        start, following = directory(array, {330: offsets} | tags if offsets and i == 0 else tags)
        struct.pack_into(order + "I", out, link, start)
        link = following
    path.write_bytes(out)
    return path


def save_envi(folder: Path, array: np.ndarray, name: str = "cube", data: str = ".raw", **fields: str) -> Path:
    """Write an ENVI file (band sequential); return the header."""
    kinds = {"uint8": 1, "int16": 2, "float32": 4, "float64": 5, "uint16": 12, "complex64": 6}
    bands, lines, samples = array.shape
    known = {
        "samples": samples, "lines": lines, "bands": bands, "header offset": 0, "file type": "ENVI Standard",
        "data type": kinds[array.dtype.name], "interleave": "bsq", "byte order": 0,
    }  # fmt: skip
    known |= {field.replace("_", " "): value for field, value in fields.items()}
    (folder / f"{name}{data}").write_bytes(array.tobytes())
    header = folder / f"{name}.hdr"
    header.write_text("ENVI\n" + "".join(f"{field} = {value}\n" for field, value in known.items()))
    return header


def names(folder: Path) -> list[str]:
    """List the names in a folder, hidden ones included."""
    return sorted(entry.name for entry in folder.iterdir())


def colour(source: Path, target: Path) -> Path:
    """Write an image with its first band in all three channels, warning of what the format drops."""
    with open_raster(source) as raster:
        values, valid = raster.read()
        with create_like(raster, target) as writer:
            warn_of_losses(raster, writer.driver)
            writer.write(np.repeat(values[:1], 3, axis=0), valid)
    return target


def write_noise_with_limit(
    folder: Path, source: str, target: str, limit: int
) -> "subprocess.CompletedProcess[str]":
    """Write noise as the colour of an image in a process whose files may not grow beyond ``limit`` bytes."""
    code = f"""
        import resource, signal, sys
        import numpy as np
        from nircolor.errors import NircolorError
        from nircolor.imagery import create_like, open_raster
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
        try:
            with open_raster({source!r}) as raster, create_like(raster, {target!r}) as writer:
                shape = (3, raster.height, raster.width)
                writer.write(np.random.default_rng(0).random(shape, dtype=np.float32))
        except NircolorError as error:
            sys.exit(str(error))
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
