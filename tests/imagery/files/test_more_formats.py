"""BMP, PGM and PPM, WebP, JPEG 2000 and NumPy files: variants that programs write, with the right values."""

import contextlib
import struct
import threading
import time
import warnings
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp

from nircolor.errors import NircolorError, NircolorWarning
from nircolor.imagery import image_size, open_raster
from tests.imagery.imagery_samples import noise, png_bytes, save

GRAY = noise(1, 6, 5)[0]
COLOUR = np.moveaxis(noise(3, 6, 5), 0, 2)
GRAY_PALETTE = bytes(v for i in range(256) for v in (i, i, i, 0))


def _read(path):
    """Values as in the file (bands, h, w), the mask, and the open raster's attributes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NircolorWarning)
        with open_raster(path) as raster:
            values, valid = raster.read()
            assert image_size(path) == (raster.height, raster.width)
            return np.rint(values * raster.full_scale), valid, raster


def _bmp(height, bits, compression, pixels, *, between=b"", header=40, fields=b""):
    """A BMP 5 pixels wide; `fields` extend its header, `between` (masks or a palette) follows it."""
    offset = 14 + header + len(between)
    start = b"BM" + struct.pack("<IHHI", offset + len(pixels), 0, 0, offset)
    core = struct.pack("<IiiHHIIiiII", header, 5, height, 1, bits, compression, len(pixels), 0, 0, 0, 0)
    return start + core + fields.ljust(header - 40, b"\0") + between + pixels


def _rows(pixels, size):
    """Rows from the bottom up, padded to `size` bytes."""
    return b"".join(row.tobytes().ljust(size, b"\0") for row in pixels[::-1])


def _bmps():
    nibbles = GRAY >> 4
    packed = np.zeros((6, 3), np.uint8)
    packed[:] = (nibbles[:, 0::2] << 4) | np.pad(nibbles[:, 1::2], ((0, 0), (0, 1)))
    palette16 = bytes(v for i in range(16) for v in (i * 17, i * 17, i * 17, 0))
    bits, black_white = np.packbits(GRAY > 127, axis=1), b"\0\0\0\0\xff\xff\xff\0"
    runs = b"".join(b"".join(bytes((1, v)) for v in row) + b"\0\0" for row in GRAY[::-1]) + b"\0\1"
    literal = b"".join(b"\0\5" + row.tobytes() + b"\0\0\0" for row in GRAY[::-1]) + b"\0\1"
    yield "8 bits", _bmp(6, 8, 0, _rows(GRAY, 8), between=GRAY_PALETTE), GRAY
    yield "top down", _bmp(-6, 8, 0, _rows(GRAY[::-1], 8), between=GRAY_PALETTE), GRAY
    yield "runs", _bmp(6, 8, 1, runs, between=GRAY_PALETTE), GRAY
    yield "literal runs", _bmp(6, 8, 1, literal, between=GRAY_PALETTE), GRAY
    yield "4 bits", _bmp(6, 4, 0, _rows(packed, 4), between=palette16), nibbles * 17
    yield "1 bit", _bmp(6, 1, 0, _rows(bits, 4), between=black_white), (GRAY > 127) * 255
    yield (
        "1 bit, inverted",
        _bmp(6, 1, 0, _rows(bits, 4), between=black_white[4:] + black_white[:4]),
        (GRAY < 128) * 255,
    )
    bgr, bgrx = COLOUR[:, :, ::-1], np.dstack([COLOUR[:, :, ::-1], np.zeros_like(GRAY)])
    masks = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    yield "24 bits", _bmp(6, 24, 0, _rows(bgr, 16)), COLOUR
    yield "32 bits", _bmp(6, 32, 0, _rows(bgrx, 20)), COLOUR
    yield "32 bits, top down", _bmp(-6, 32, 0, _rows(bgrx[::-1], 20)), COLOUR
    rgbx = np.dstack([COLOUR, np.zeros_like(GRAY)])
    yield (
        "32 bits, red first",
        _bmp(6, 32, 3, _rows(rgbx, 20), between=struct.pack("<3I", 0xFF, 0xFF00, 0xFF0000)),
        COLOUR,
    )
    yield "version 4, no alpha", _bmp(6, 32, 3, _rows(bgrx, 20), header=108, fields=masks), COLOUR
    alpha = np.where(GRAY > 99, 255, 0).astype(np.uint8)
    bgra = np.dstack([bgr, alpha])
    yield (
        "version 5, alpha",
        _bmp(6, 32, 3, _rows(bgra, 20), header=124, fields=masks),
        np.dstack([COLOUR, alpha]),
    )


@pytest.mark.parametrize(("content", "pixels"), [pytest.param(c, p, id=name) for name, c, p in _bmps()])
def test_bmp(tmp_path, content, pixels):
    path = tmp_path / "a.bmp"
    path.write_bytes(content)
    values, valid, raster = _read(path)
    bands = np.moveaxis(np.atleast_3d(pixels), 2, 0)
    np.testing.assert_array_equal(valid, bands[3] > 0 if len(bands) == 4 else np.ones_like(valid))
    np.testing.assert_array_equal(values * valid, bands[:3] * valid)
    assert raster.driver == "BMP"
    path.write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(NircolorError, match=r"a\.bmp: "):
        _read(path)


def test_bmp_with_channels_of_ten_bits_is_refused(tmp_path):
    masks = struct.pack("<3I", 0x3FF00000, 0xFFC00, 0x3FF)
    (tmp_path / "a.bmp").write_bytes(_bmp(6, 32, 3, bytes(120), between=masks))
    with pytest.raises(NircolorError, match="channels of other than 8 bits"):
        open_raster(tmp_path / "a.bmp")


@pytest.mark.parametrize(
    ("header", "top", "dtype"),
    [
        (b"P5\n5 6\n255\n", 255, "u1"),
        (b"P5 5 6 255 ", 255, "u1"),
        (b"P5\n# by a camera\n5\t6 # more\n1023\n", 1023, ">u2"),
        (b"P5\r\n5 6\r4095\n", 4095, ">u2"),
        (b"P5\n5 6\n65535\n", 65535, ">u2"),
        (b"P5\n5 6\n127\n", 127, "u1"),
        (b"P5\n5 6\n100\n", 100, "u1"),
        (b"P5\n5 6\n1000\n", 1000, ">u2"),
    ],
)
def test_pgm_maps_its_largest_value_to_1(tmp_path, header, top, dtype):
    pixels = np.random.default_rng(0).integers(0, top, (6, 5), endpoint=True)
    path = tmp_path / "a.pgm"
    path.write_bytes(header + pixels.astype(dtype).tobytes())
    values, _, raster = _read(path)
    assert (raster.full_scale, raster.bands) == (top, 1)
    np.testing.assert_array_equal(values[0], pixels)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(NircolorError, match=r"a\.pgm: the file is cut off: expected \d+ bytes, got \d+"):
        _read(path)


@pytest.mark.parametrize("top", [100, 255, 1023, 65535])
def test_pgm_and_ppm_as_text(tmp_path, top):
    pixels = np.random.default_rng(0).integers(0, top, (6, 5, 3), endpoint=True)
    path = tmp_path / "a.pgm"
    path.write_text(
        f"P2\n# a comment\n5 6\n{top}\n" + "\n".join(f"{row}"[1:-1] for row in pixels[:, :, 0]) + " # end"
    )
    values, _, raster = _read(path)
    assert (raster.full_scale, raster.bands) == (top, 1)
    np.testing.assert_array_equal(values[0], pixels[:, :, 0])
    path.write_text(f"P3 5 6 {top} " + " ".join(map(str, pixels.ravel().tolist())))
    np.testing.assert_array_equal(_read(path)[0], np.moveaxis(pixels, 2, 0))


def test_ppm(tmp_path):
    path = tmp_path / "a.ppm"
    path.write_bytes(b"P6 5 6 255\n" + COLOUR.tobytes())
    with pytest.warns(NircolorWarning, match="colour photograph"), open_raster(path) as raster:
        np.testing.assert_array_equal(np.rint(raster.read()[0] * 255), np.moveaxis(COLOUR, 2, 0))
    path.write_bytes(b"P6 5 6 255\n" + np.repeat(GRAY, 3).tobytes())
    assert _read(path)[2].bands == 1


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"P5\n5 6\n", "header of the PGM or PPM is damaged"),
        (b"P5\n5 6\n70000\n" + bytes(90), "largest value of 1 to 65535, the header says 70000"),
        (b"P5\n0 6\n255\n" + bytes(90), "holds no image"),
        (b"P5\n999999999 999999999\n255\n" + bytes(90), "cut off"),
        (b"P2\n5 6\n255\n7 8 9\n", "cut off: expected 30 bytes, got 3"),
        (b"P2\n1 1\n255\n256\n", "expected numbers up to 255, .* got 256"),
        (b"P2\n1 1\n255\n-1\n", "other text than numbers"),
        (b"P2\n1 1\n255\n0x7\n", "other text than numbers"),
        (b"P2\n1 1\n255\n" + b"9" * 5000, "expected numbers up to 255"),
        (b"P1\n1 1\n1\n", "one-bit PNM files are not read; save as PNG"),
    ],
)
def test_odd_pgm(tmp_path, content, match):
    (tmp_path / "a.pgm").write_bytes(content)
    with pytest.raises(NircolorError, match=rf"a\.pgm: .*{match}"):
        open_raster(tmp_path / "a.pgm")


@pytest.mark.parametrize("dtype", ["u1", "i1", "<u2", ">u2", "<i2", "<u4", "<f2", ">f2", "<f4", ">f4", "<f8"])
@pytest.mark.parametrize(("shape", "axis"), [((6, 5), None), ((2, 6, 5), 0), ((6, 5, 2), 2)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_numpy(tmp_path, dtype, shape, axis, order):
    array = np.asarray(np.random.default_rng(0).integers(0, 100, shape), dtype, order=order)
    np.save(tmp_path / "a.npy", array)
    values, _, raster = _read(tmp_path / "a.npy")
    expected = array[None] if axis is None else np.moveaxis(array, axis, 0)
    assert raster.dtype == np.dtype("f4" if dtype[1:] == "f2" else dtype).newbyteorder("=")
    np.testing.assert_array_equal(values, np.rint(np.clip(expected, 0, raster.full_scale)))


def test_arrays_stored_by_columns_are_read_as_fast(tmp_path):
    array = noise(1, 1600, 1500, "uint16")[0]
    np.save(tmp_path / "a.npy", np.asfortranarray(array))
    start = time.process_time()
    with open_raster(tmp_path / "a.npy", scale=65535) as raster:
        for row in range(0, 1600, 400):
            strip = np.rint(raster.read((row, row + 400, 0, 1500))[0][0] * 65535)
            np.testing.assert_array_equal(strip, array[row : row + 400])
    assert time.process_time() - start < 1


def test_three_numpy_channels_are_rgb(tmp_path):
    np.save(tmp_path / "a.npy", COLOUR.repeat(3, 0).repeat(3, 1))
    with pytest.warns(NircolorWarning, match="colour photograph"), open_raster(tmp_path / "a.npy") as raster:
        assert raster.is_colour_photograph
    np.save(tmp_path / "a.npy", np.dstack([GRAY] * 3).repeat(3, 0).repeat(3, 1))
    assert _read(tmp_path / "a.npy")[2].bands == 1


@pytest.mark.parametrize(
    ("array", "match"),
    [
        (np.zeros(5), r"expected an array \(h, w\), .* got \(5,\)"),
        (np.zeros((40, 50, 30)), r"got \(40, 50, 30\); save it as GeoTIFF"),
        (np.zeros((6, 5), bool), r"got bool; convert it"),
        (np.zeros((6, 5), complex), r"got complex128; convert it, for example with astype\('float32'\)"),
        (np.array([[None, {}]], object), "got object"),
        (np.zeros((0, 5)), "holds no image"),
    ],
)
def test_numpy_arrays_that_are_no_image(tmp_path, array, match):
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(NircolorError, match=rf"a\.npy: .*{match}"):
        open_raster(tmp_path / "a.npy")


@pytest.mark.parametrize("header", [b"{'descr': '<u1", b"((((", b"{'shape': \xff}", b"1 if", b"\0"])
def test_numpy_headers_that_are_no_python(tmp_path, header):
    path = tmp_path / "a.npy"
    path.write_bytes(b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + b"\0" * 99)
    with pytest.raises(NircolorError, match=r"a\.npy: the header of the NumPy file is damaged"):
        open_raster(path)


def test_damaged_numpy_files(tmp_path):
    path = tmp_path / "a & b.npy"
    np.save(path, np.zeros((6, 5)))
    whole = path.read_bytes()
    assert _read(path)[2].height == 6
    for length in range(8, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(NircolorError, match=r"a & b\.npy: .*(damaged|cut off)"):
            open_raster(path)


@pytest.mark.parametrize(
    "shape", ["(4294967296, 4294967296)", "(-6, 5)", "(True, 5)", "(6, 5, 9223372036854775807)", "(6,) * 2"]
)
def test_hostile_numpy_shapes(tmp_path, shape):
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    (tmp_path / "a.npy").write_bytes(
        b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header.encode() + bytes(30)
    )
    with pytest.raises(NircolorError, match=r"a\.npy: "):
        open_raster(tmp_path / "a.npy")


def test_hostile_bmps_are_settled_quickly(tmp_path):
    whole = [content for _, content, _ in _bmps()]
    random = np.random.default_rng(0)
    start = time.process_time()
    for number in range(150):
        content = bytearray(whole[number % len(whole)])
        for at in random.integers(10, 70, 3):
            content[at] = random.integers(0, 256)
        (tmp_path / "a.bmp").write_bytes(content)
        with contextlib.suppress(NircolorError):
            _read(tmp_path / "a.bmp")
    assert time.process_time() - start < 5


def test_webp(tmp_path):
    array = noise(4, 40, 50)
    array[3] = np.where(array[3] > 99, 255, 0)
    path = save(tmp_path / "a.webp", array, "WEBP", LOSSLESS="YES", EXACT="YES")
    values, valid, raster = _read(path)
    np.testing.assert_array_equal(valid, array[3] > 0)
    np.testing.assert_array_equal(values * valid, array[:3] * valid)
    assert raster.has_alpha
    gray = np.repeat(noise(1, 40, 50) // 2, 3, axis=0)
    assert _read(save(tmp_path / "b.webp", gray, "WEBP", QUALITY=80))[2].bands == 1
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(NircolorError, match="damaged or cut off"):
        _read(path)


def test_animated_webp_is_refused(tmp_path):
    features = struct.pack("<I", 2) + bytes(6)
    (tmp_path / "a.webp").write_bytes(b"RIFF\x20\0\0\0WEBPVP8X" + struct.pack("<I", 10) + features)
    with pytest.raises(NircolorError, match="animated WebP is not read"):
        open_raster(tmp_path / "a.webp")


def test_animated_png(tmp_path):
    rows = [bytes(row) for row in GRAY]
    (tmp_path / "a.png").write_bytes(png_bytes(rows, 5, 8, 0, (b"acTL", struct.pack(">II", 2, 0))))
    with pytest.warns(NircolorWarning, match="is animated; its first image is read"):
        raster = open_raster(tmp_path / "a.png")
    with raster:
        np.testing.assert_array_equal(np.rint(raster.read()[0][0] * 255), GRAY)


LOSSLESS = {"QUALITY": 100, "REVERSIBLE": "YES"}


@pytest.mark.parametrize("codec", ["JP2", "J2K"])
@pytest.mark.parametrize(("dtype", "bits"), [("uint8", 8), ("uint16", 16), ("uint16", 12), ("uint16", 10)])
def test_jpeg_2000(tmp_path, codec, dtype, bits):
    array = noise(1, 40, 50, dtype) >> (8 * np.dtype(dtype).itemsize - bits)
    path = save(tmp_path / "a.jp2", array, "JP2OpenJPEG", NBITS=bits, CODEC=codec, **LOSSLESS)
    values, _, raster = _read(path)
    assert (raster.full_scale, raster.depth) == (2**bits - 1, 8 if bits == 8 else 16)
    np.testing.assert_array_equal(values, array)


def test_jpeg_2000_with_alpha_or_three_equal_channels(tmp_path):
    array = noise(4, 40, 50)
    array[3] = np.where(array[3] > 99, 255, 0)
    path = save(tmp_path / "a.jp2", array, "JP2OpenJPEG", ALPHA="YES", **LOSSLESS)
    values, valid, raster = _read(path)
    assert (raster.bands, raster.has_alpha) == (3, True)
    np.testing.assert_array_equal(valid, array[3] > 0)
    np.testing.assert_array_equal(values * valid, array[:3] * valid)
    gray = np.repeat(noise(1, 40, 50), 3, axis=0)

    def as_rgb(dataset):
        dataset.colorinterp = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)

    assert _read(save(tmp_path / "b.jp2", gray, "JP2OpenJPEG", setup=as_rgb, **LOSSLESS))[2].bands == 1


@pytest.mark.parametrize("box", ["GMLJP2", "GEOJP2"])
def test_georeferenced_jpeg_2000(tmp_path, box):
    transform = rasterio.Affine(10, 0, 5e5, 0, -10, 5e6)
    boxes = {"GMLJP2": "NO", "GEOJP2": "NO", box: "YES"}
    place = {"crs": "EPSG:32632", "transform": transform}
    path = save(tmp_path / "a.jp2", noise(1, 40, 50), "JP2OpenJPEG", **place, **boxes)
    raster = _read(path)[2]
    assert (raster.crs, raster.transform) == (rasterio.CRS.from_epsg(32632), transform)


@pytest.mark.parametrize("left", [0.999, 0.7, 0.2])
def test_jpeg_2000_that_is_cut_off(tmp_path, left):
    """GDAL decodes its blocks in threads, whose errors are lost: the rest of the image would be black."""
    array = noise(1, 300, 400)
    path = save(tmp_path / "a.jp2", array, "JP2OpenJPEG", BLOCKXSIZE=128, BLOCKYSIZE=128, **LOSSLESS)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * left)])
    with pytest.raises(NircolorError, match="damaged or cut off"):
        _read(path)


def test_jpeg_2000_with_a_damaged_geotiff_inside(tmp_path, capfd):
    place = {"crs": "EPSG:32632", "transform": rasterio.Affine(10, 0, 5e5, 0, -10, 5e6)}
    path = save(tmp_path / "a.jp2", noise(1, 40, 50), "JP2OpenJPEG", GMLJP2="NO", **place)
    # tag 34737 holds the texts of the georeference
    texts = struct.pack("<HH", 34737, 2)
    assert path.read_bytes().count(texts) == 1
    path.write_bytes(path.read_bytes().replace(texts, struct.pack("<HH", 34738, 2)))
    assert _read(path)[2].bands == 1
    # libgeotiff would print to the standard error
    assert capfd.readouterr() == ("", "")


def test_a_repeated_header_of_jpeg_2000(tmp_path):
    path = save(tmp_path / "a.jp2", noise(1, 24, 20), "JP2OpenJPEG")
    jp2 = path.read_bytes()
    tile = jp2.index(b"\xff\x90\0\x0a")
    # GDAL follows the markers without end when it is asked whether the file is lossless
    path.write_bytes(jp2[: tile - 90] + jp2[tile - 90 : tile + 10] * 30)
    with pytest.raises(NircolorError, match="damaged"):
        _read(path)


class _Server(BaseHTTPRequestHandler):
    requests: ClassVar[list[str]] = []

    def do_GET(self):
        self.requests.append(self.path)
        self.send_error(404)

    def do_HEAD(self):
        self.do_GET()


def _with_text_replaced(jp2, old, new):
    """Boxes of a JPEG 2000 file, with a text in the XML replaced."""
    boxes, at = b"", 0
    while at < len(jp2):
        length, kind = struct.unpack(">I4s", jp2[at : at + 8])
        length = length or len(jp2) - at
        content = jp2[at + 8 : at + length]
        if kind == b"asoc":
            content = _with_text_replaced(content, old, new)
        elif kind == b"xml ":
            content = content.replace(old, new)
        boxes += struct.pack(">I4s", 8 + len(content), kind) + content
        at += length
    return boxes


def test_no_address_in_the_georeference_of_jpeg_2000_is_fetched(tmp_path):
    server = HTTPServer(("127.0.0.1", 0), _Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/"
    place = {"crs": "EPSG:32632", "transform": rasterio.Affine(10, 0, 5e5, 0, -10, 5e6)}
    path = save(tmp_path / "a.jp2", noise(1, 40, 50), "JP2OpenJPEG", GEOJP2="NO", **place)
    original, name = path.read_bytes(), b"urn:ogc:def:crs:EPSG::32632"
    assert name in original
    try:
        for other in (f"{address}crs", f"/vsicurl/{address}crs", f"gmljp2://xml/{address}crs"):
            path.write_bytes(_with_text_replaced(original, name, other.encode()))
            assert _read(path)[2].crs is None
    finally:
        server.shutdown()
        server.server_close()
    assert not _Server.requests


@pytest.mark.parametrize("cut", [1, 2, 50])
def test_half_precision_that_is_cut_off(tmp_path, cut):
    path = tmp_path / "a.npy"
    np.save(path, np.zeros((6, 5), np.float16))
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(
        NircolorError, match=rf"a\.npy: the file is cut off: expected 60 bytes, got {60 - cut}"
    ):
        open_raster(path)


def test_numpy_headers_of_python_2(tmp_path, recwarn):
    path = tmp_path / "a.npy"
    np.save(path, GRAY)
    path.write_bytes(path.read_bytes().replace(b"(6, 5), }  ", b"(6L, 5L), }"))
    with open_raster(path) as raster:
        assert (raster.height, raster.width) == (6, 5)
    assert not recwarn.list
