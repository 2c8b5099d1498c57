"""Seeds: images as GDAL writes them, with metadata, of several pages, and as arrays."""

import io
import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.control import GroundControlPoint
from rasterio.rpc import RPC
from rasterio.transform import Affine

from fuzzing.containers import png_chunk, riff, with_box, with_segment
from fuzzing.seed import Seed
from fuzzing.tiff import XMP, exif

HEIGHT, WIDTH = 24, 20
UTM = {"crs": "EPSG:32633", "transform": Affine(10, 0, 500_000, 0, -10, 5_000_000)}

# bands, type, what else to write before the file is closed, and options of GDAL
Drawing = tuple[int, str, Callable[[Any], None] | None, dict[str, Any]]


def pixels(bands: int, dtype: str = "uint8", seed: int = 0) -> NDArray[Any]:
    """Return noise (bands, HEIGHT, WIDTH) over the range of an integer type, or from 0 to 1."""
    values = np.random.default_rng(seed).random((bands, HEIGHT, WIDTH))
    if np.dtype(dtype).kind == "f":
        return values.astype(dtype)
    return (values * np.iinfo(dtype).max).astype(dtype)


def drawn(root: Path, suffix: str, drawing: Drawing) -> bytes:
    """Write an image with GDAL and return the file's content."""
    bands, dtype, setup, options = drawing
    path = root / f"drawn{suffix}"
    path.unlink(missing_ok=True)
    size = {"width": WIDTH, "height": HEIGHT, "count": bands, "dtype": dtype}
    with (
        rasterio.Env(GDAL_PAM_ENABLED="NO", GDAL_TIFF_INTERNAL_MASK="YES"),
        rasterio.open(path, "w", driver=_DRIVERS[suffix], **size, **options) as dataset,
    ):
        dataset.write(pixels(bands, dtype))
        if setup is not None:
            setup(dataset)
    return path.read_bytes()


def images(root: Path) -> Iterator[Seed]:
    """Write images of all formats; those that this rasterio cannot write are left out."""
    for kind, drawings in DRAWINGS.items():
        for name, (suffix, drawing) in drawings.items():
            try:
                content = drawn(root, suffix, drawing)
            except rasterio.errors.RasterioError:
                continue
            yield Seed(kind, name, "image", f"a{suffix}", {f"a{suffix}": content})
            if name == "gray":
                yield from _with_metadata(kind, suffix, content)
    for name, array in (
        ("gray", pixels(1)[0]),
        ("float", pixels(3, "float32")),
        ("deep", pixels(1, "uint16")[0]),
        ("fortran", np.asfortranarray(pixels(1, "float64")[0])),
    ):
        file = io.BytesIO()
        np.save(file, array)
        yield Seed("npy", name, "image", "a.npy", {"a.npy": file.getvalue()})
    for name, content in _tiffs_of_pages():
        yield Seed("tiff pages", name, "image", "a.tif", {"a.tif": content})


def _with_metadata(kind: str, suffix: str, content: bytes) -> Iterator[Seed]:
    """Add EXIF and XMP to an image, in the way of its format."""
    block = exif(Random(5), mutated=False)
    added: dict[str, bytes] = {}
    if kind == "jpeg":
        both = with_segment(
            with_segment(content, b"Exif\0\0" + block), b"http://ns.adobe.com/xap/1.0/\0" + XMP
        )
        profile = b"ICC_PROFILE\0\1\1" + bytes(128)
        added = {"metadata": both, "profile": with_segment(content, profile, 0xE2)}
    elif kind == "png":
        packet = png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP)
        texts = png_chunk(b"tEXt", b"Author\0A. Nother") + png_chunk(
            b"pHYs", struct.pack(">IIB", 1000, 1000, 1)
        )
        added = {"metadata": content[:33] + png_chunk(b"eXIf", block) + packet + texts + content[33:]}
    elif kind == "webp":
        extended = b"\x0c\0\0\0" + (WIDTH - 1).to_bytes(3, "little") + (HEIGHT - 1).to_bytes(3, "little")
        image = (content[12:16], content[20:])
        added = {"metadata": riff([(b"VP8X", extended), image, (b"EXIF", block), (b"XMP ", XMP)])}
    elif kind == "jp2":
        added = {
            "metadata": with_box(content, b"uuid", bytes.fromhex("BE7ACFCB97A942E89C71999491E3AFAC") + XMP)
        }
    for name, changed in added.items():
        yield Seed(kind, name, "image", f"a{suffix}", {f"a{suffix}": changed})


def _tagged(dataset: Any) -> None:
    for band in dataset.indexes:
        dataset.update_tags(band, ns="IMAGERY", CENTRAL_WAVELENGTH_UM=f"{0.5 + band / 10}")
        dataset.update_tags(band, wavelength=f"{500 + 100 * band}", wavelength_units="nm")
    dataset.descriptions = tuple(f"Band {band} ({500 + 100 * band} nm)" for band in dataset.indexes)
    dataset.scales, dataset.offsets = (0.0001,) * dataset.count, (-0.1,) * dataset.count
    dataset.update_tags(TIFFTAG_DATETIME="2024:05:01 10:00:00", QUANTIFICATION_VALUE="10000")
    dataset.update_tags(ns="xml:XMP", **{"xml:XMP": XMP.decode()})


def _masked(dataset: Any) -> None:
    dataset.write_mask(pixels(1, seed=3)[0] > 60)


def _with_palette(dataset: Any) -> None:
    dataset.write_colormap(1, {i: (i, 255 - i, i // 2, 255 if i else 0) for i in range(256)})


def _located(dataset: Any) -> None:
    points = [
        GroundControlPoint(row, col, 11 + col / 1000, 48 - row / 1000)
        for row, col in ((0, 0), (0, 20), (24, 0), (24, 20))
    ]
    dataset.gcps = (points, rasterio.CRS.from_epsg(4326))


def _with_rpcs(dataset: Any) -> None:
    dataset.rpcs = RPC(
        height_off=100, height_scale=100, lat_off=48, lat_scale=1, line_off=12, line_scale=12, long_off=11,
        long_scale=1, samp_off=10, samp_scale=10, err_bias=0, err_rand=0, line_den_coeff=[1.0, *[0.0] * 19],
        line_num_coeff=[0.0, 0.0, -1.0, *[0.0] * 17], samp_den_coeff=[1.0, *[0.0] * 19],
        samp_num_coeff=[0.0, 1.0, *[0.0] * 18],
    )  # fmt: skip


_TILED = {"tiled": True, "blockxsize": 16, "blockysize": 16}
_PNG: dict[str, Drawing] = {
    "gray": (1, "uint8", None, {}),
    "deep": (1, "uint16", None, {}),
    "alpha": (2, "uint8", None, {}),
    "rgba": (4, "uint16", None, {}),
    "palette": (1, "uint8", _with_palette, {}),
    "nodata": (1, "uint8", None, {"nodata": 7}),
}
_JPEG: dict[str, Drawing] = {
    "gray": (1, "uint8", None, {}),
    "rgb": (3, "uint8", None, {}),
    "progressive": (1, "uint8", None, {"PROGRESSIVE": "ON"}),
    "cmyk": (4, "uint8", None, {}),
}
_TIFF: dict[str, Drawing] = {
    "strips": (1, "uint16", _tagged, {"nodata": 3, **UTM}),
    "tiled": (3, "float32", None, {"compress": "deflate", "predictor": 3, **_TILED, **UTM}),
    "rgba": (4, "uint8", None, {"photometric": "RGB", "ALPHA": "YES"}),
    "bands": (5, "uint16", _tagged, {"interleave": "pixel", "compress": "lzw", "predictor": 2}),
    "planes": (3, "int16", None, {"interleave": "band", "compress": "packbits"}),
    "palette": (1, "uint8", _with_palette, {}),
    "big": (1, "uint8", _tagged, {"bigtiff": "YES"}),
    "motorola": (2, "uint32", None, {"ENDIANNESS": "BIG", "nodata": 0}),
    "jpeg": (3, "uint8", None, {"compress": "jpeg", "photometric": "YCBCR"}),
    "bits": (1, "uint16", None, {"NBITS": "12"}),
    "black": (1, "uint8", None, {"NBITS": "1", "compress": "CCITTFAX4", "photometric": "MINISWHITE"}),
    "masked": (1, "uint8", _masked, _TILED),
    "gcps": (1, "uint8", _located, {}),
    "rpcs": (1, "uint16", _with_rpcs, {}),
    "zstd": (1, "float64", None, {"compress": "zstd", "nodata": -9999}),
    "lerc": (1, "float32", None, {"compress": "lerc"}),
    "webp": (3, "uint8", None, {"compress": "webp"}),
    "cog": (1, "uint8", lambda dataset: dataset.build_overviews([2]), {**_TILED, **UTM}),
}
_PLAIN: Drawing = (1, "uint8", None, {})
_DEEP: Drawing = (1, "uint16", None, {})
_COLOUR: Drawing = (3, "uint8", None, {})
DRAWINGS: dict[str, dict[str, tuple[str, Drawing]]] = {
    "png": {name: (".png", drawing) for name, drawing in _PNG.items()},
    "jpeg": {name: (".jpg", drawing) for name, drawing in _JPEG.items()},
    "tiff": {name: (".tif", drawing) for name, drawing in _TIFF.items()},
    "bmp": {"gray": (".bmp", _PLAIN), "rgb": (".bmp", _COLOUR)},
    "pnm": {"gray": (".pgm", _PLAIN), "deep": (".pgm", _DEEP), "rgb": (".ppm", _COLOUR)},
    "webp": {"gray": (".webp", (3, "uint8", None, {"LOSSLESS": "YES"})), "lossy": (".webp", _COLOUR)},
    "jp2": {"gray": (".jp2", _PLAIN), "deep": (".jp2", (1, "uint16", None, UTM)), "rgb": (".jp2", _COLOUR)},
}
_DRIVERS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".tif": "GTiff",
    ".bmp": "BMP",
    ".pgm": "PNM",
    ".ppm": "PNM",
    ".webp": "WEBP",
    ".jp2": "JP2OpenJPEG",
}


def _tiffs_of_pages() -> Iterator[tuple[str, bytes]]:
    """Return TIFFs of several pages: bands, a preview before the image, and stacks of microscopy software."""
    nm = [b"%d nm" % (750 + 100 * page) for page in range(3)]
    yield "bands", tiff_of_pages([{270: text} for text in nm])
    yield "bands, big-endian", tiff_of_pages([{285: text} for text in nm], ">")
    yield "xmp", tiff_of_pages([{700: XMP, 270: b"a"}, {700: XMP}])
    yield "preview", tiff_of_pages([{254: 1}, {254: 0}, {254: 4}])
    yield "raw", tiff_of_pages([{50706: b"\1\4\0\0", 271: b"Maker", 272: b"Model"}])
    imagej = b"ImageJ=1.53t\nimages=3\nchannels=3\nunit=um\nloop=false\n"
    labels = b"IJIJlabl\0\0\0\3" + "".join(f"{text.decode()}" for text in nm).encode("utf-16-be")
    counts = struct.pack("<4I", 12, 12, 12, 12)
    yield "ImageJ", tiff_of_pages([{270: imagej, 50838: counts, 50839: labels}, {}, {}])
    ome = (
        b'<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        b'<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" SizeX="20" '
        b'SizeY="24" SizeC="3" SizeZ="1" SizeT="1">'
        b'<Channel ID="Channel:0:0" Name="NIR" EmissionWavelength="850" '
        b'EmissionWavelengthUnit="nm"/><TiffData IFD="0"/>'
        b"</Pixels></Image></OME>"
    )
    shape = json.dumps({"shape": [3, HEIGHT, WIDTH], "axes": "CYX"}).encode()
    yield "OME", tiff_of_pages([{270: ome}, {}, {}])
    yield "MetaMorph", tiff_of_pages([{33629: struct.pack("<6I", *[1] * 6)}])
    yield (
        "shaped",
        tiff_of_pages([{270: shape}, {}, {}]),
    )


def tiff_of_pages(pages: list[dict[int, bytes | int]], order: str = "<") -> bytes:
    """Return a TIFF of 8-bit pages, each with further tags: text or bytes, or a number."""
    data = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 0)
    link = 4
    for page, more in enumerate(pages):
        samples = pixels(1, seed=page).tobytes()
        tags: dict[int, bytes | int] = {
            256: WIDTH, 257: HEIGHT, 258: 8, 259: 1, 262: 1, 273: len(data), 277: 1, 278: HEIGHT,
            279: len(samples),
        }  # fmt: skip
        data += samples
        entries = b""
        for tag, value in sorted((tags | more).items()):
            if isinstance(value, int):
                entries += struct.pack(order + "HHII", tag, 4, 1, value)
                continue
            kind = 4 if tag in (33629, 50838) else 2 if tag < 700 else 1
            text = value + b"\0" if kind == 2 else value
            count = len(text) // 4 if kind == 4 else len(text)
            entries += struct.pack(order + "HHI", tag, kind, count)
            entries += struct.pack(order + "I", len(data)) if len(text) > 4 else text.ljust(4, b"\0")
            data += (text + b"\0" * (len(text) % 2)) if len(text) > 4 else b""
        data = data[:link] + struct.pack(order + "I", len(data)) + data[link + 4 :]
        data += struct.pack(order + "H", len(tags | more)) + entries
        link = len(data)
        data += b"\0" * 4
    return data
