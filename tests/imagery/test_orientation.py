"""Orientation is applied in every format that can state it."""

import struct
import zlib

import numpy as np
import pytest

from nircolor.imagery import image_size, open_raster
from nircolor.imagery.files.tiff import TagValue
from nircolor.imagery.metadata.exif import Exif, exif_block
from tests.imagery.imagery_samples import noise, png_bytes, save

STORED = noise(1, 5, 7)
# what EXIF defines, by the corner of the stored image that is the top left of the upright one
UPRIGHT = {
    1: STORED,
    2: STORED[:, :, ::-1],
    3: STORED[:, ::-1, ::-1],
    4: STORED[:, ::-1],
    5: STORED.swapaxes(1, 2),
    6: np.rot90(STORED, -1, (1, 2)),
    7: STORED[:, ::-1, ::-1].swapaxes(1, 2),
    8: np.rot90(STORED, 1, (1, 2)),
}


def block(value: int, order: str = "<") -> bytes:
    return exif_block(Exif(order, {274: TagValue(3, 1, struct.pack(order + "H", value))}))


def png(value: int, after_pixels: bool, order: str = "<") -> bytes:
    rows = [row.tobytes() for row in STORED[0]]
    if not after_pixels:
        return png_bytes(rows, 7, 8, 0, (b"eXIf", block(value, order)))
    raw = png_bytes(rows, 7, 8, 0)
    chunk = b"eXIf" + block(value, order)
    return (
        raw[:-12]
        + struct.pack(">I", len(chunk) - 4)
        + chunk
        + struct.pack(">I", zlib.crc32(chunk))
        + raw[-12:]
    )


def webp(folder, value: int) -> bytes:
    image = save(folder / "plain.webp", np.repeat(STORED, 3, axis=0), "WEBP", LOSSLESS=True).read_bytes()
    exif = block(value)
    chunks = (
        b"VP8X" + struct.pack("<IB3x", 10, 8) + (7 - 1).to_bytes(3, "little") + (5 - 1).to_bytes(3, "little")
    )
    chunks += image[12:] + b"EXIF" + struct.pack("<I", len(exif)) + exif + b"\0" * (len(exif) % 2)
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WEBP" + chunks


def jp2(folder, value: int) -> bytes:
    options = {"REVERSIBLE": "YES", "QUALITY": 100}
    image = save(folder / "plain.jp2", STORED, "JP2OpenJPEG", **options).read_bytes()
    box = b"uuidJpgTiffExif->JP2" + block(value)
    at = image.index(b"jp2c") - 4
    return image[:at] + struct.pack(">I", len(box) + 4) + box + image[at:]


@pytest.mark.parametrize("value", UPRIGHT)
@pytest.mark.parametrize("kind", ["PNG", "PNG after pixels", "PNG big endian", "WebP", "JPEG 2000"])
def test_orientation_is_applied(tmp_path, kind, value):
    raw = {
        "PNG": lambda: png(value, False),
        "PNG after pixels": lambda: png(value, True),
        "PNG big endian": lambda: png(value, False, ">"),
        "WebP": lambda: webp(tmp_path, value),
        "JPEG 2000": lambda: jp2(tmp_path, value),
    }[kind]()
    path = tmp_path / "a"
    path.write_bytes(raw)
    assert image_size(path) == UPRIGHT[value].shape[1:]
    with open_raster(path) as raster:
        values, _ = raster.read()
        assert np.array_equal(np.rint(values * 255), UPRIGHT[value])


@pytest.mark.parametrize("value", [0, 9, 255])
def test_values_that_mean_nothing_are_ignored(tmp_path, value):
    (tmp_path / "a.png").write_bytes(png(value, False))
    with open_raster(tmp_path / "a.png") as raster:
        assert np.array_equal(np.rint(raster.read()[0] * 255), STORED)


def test_a_georeferenced_image_is_not_rotated(tmp_path):
    (tmp_path / "a.png").write_bytes(png(6, False))
    (tmp_path / "a.pgw").write_text("10\n0\n0\n-10\n500005\n4999995\n")
    with open_raster(tmp_path / "a.png") as raster:
        assert (raster.height, raster.width) == (5, 7)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.tif"])
@pytest.mark.parametrize("exif", [None, 3])
def test_orientation_in_xmp_counts_where_exif_has_none(tmp_path, name, exif):
    image = pytest.importorskip("PIL.Image")
    png = pytest.importorskip("PIL.PngImagePlugin")
    packet = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/>'
        "</rdf:RDF></x:xmpmeta>"
    )
    options = {"xmp": packet.encode()}
    if exif:
        block = image.Exif()
        block[274] = exif
        options["exif"] = block
    if name == "a.png":
        info = png.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", packet)
        options = {key: value for key, value in options.items() if key != "xmp"} | {"pnginfo": info}
    if name == "a.tif":
        options = {"tiffinfo": {700: packet.encode()} | ({274: exif} if exif else {})}
    path = tmp_path / name
    image.fromarray(noise(1, 16, 24)[0]).save(path, **options)
    assert image_size(path) == ((16, 24) if exif else (24, 16))
    with open_raster(path) as raster:
        assert raster.orientation == (exif or 6)
