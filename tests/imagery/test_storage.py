"""Ways to store pixels in TIFF, PNG and JPEG: compression, layout, bits, types. The values must be right."""

import struct
import warnings

import numpy as np
import pytest

from nircolor.errors import NircolorError, NircolorWarning
from nircolor.imagery import open_raster
from tests.imagery.imagery_samples import noise, png_bytes, save


def _check(path, array, full_scale=None, tolerance=0):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NircolorWarning)
        with open_raster(path, bands_nm=range(700, 700 + len(array))) as raster:
            values, valid = raster.read()
            assert valid.all()
            assert full_scale is None or raster.full_scale == float(full_scale)
            expected = np.clip(array / np.float64(raster.full_scale), 0, 1)
            np.testing.assert_allclose(values, expected, atol=1e-6 + tolerance / raster.full_scale)


@pytest.mark.parametrize(
    "compress", ["LZW", "DEFLATE", "PACKBITS", "ZSTD", "LZMA", "LERC", "LERC_DEFLATE", "LERC_ZSTD"]
)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_lossless_compression(tmp_path, compress, dtype):
    array = noise(2, 40, 50, dtype)
    _check(save(tmp_path / "a.tif", array, compress=compress), array)


@pytest.mark.parametrize(
    "options",
    [
        {"interleave": "band"},
        {"tiled": True, "blockxsize": 16, "blockysize": 32},
        {"tiled": True, "blockxsize": 16, "blockysize": 16, "interleave": "band", "compress": "DEFLATE"},
        {"BIGTIFF": "YES"},
        {"ENDIANNESS": "BIG", "compress": "LZW", "predictor": 2},
        {"blockysize": 1},
    ],
)
def test_layout(tmp_path, options):
    array = noise(5, 40, 50, "uint16")
    _check(save(tmp_path / "a.tif", array, **options), array)


@pytest.mark.parametrize(
    ("dtype", "full_scale"),
    [
        ("int8", 127), ("int16", 32767), ("int32", 2**31 - 1), ("uint32", 2**32 - 1), ("int64", 2**63 - 1),
        ("uint64", 2**64 - 1), ("float64", 1),
    ],
)  # fmt: skip
def test_types(tmp_path, dtype, full_scale):
    array = noise(1, 40, 50, dtype)
    _check(save(tmp_path / "a.tif", array), array, full_scale)


@pytest.mark.parametrize("bits", [1, 2, 4, 7, 10, 12, 14])
def test_numbers_of_bits(tmp_path, bits):
    dtype = "uint8" if bits < 8 else "uint16"
    array = noise(1, 40, 50, dtype) >> (8 * np.dtype(dtype).itemsize - bits)
    _check(
        save(tmp_path / "a.tif", array, NBITS=bits),
        array * (255 if bits == 1 else 1),
        None if bits == 1 else 2**bits - 1,
    )


def test_half_precision(tmp_path):
    array = noise(1, 40, 50, "float32").astype(np.float16).astype(np.float32)
    _check(save(tmp_path / "a.tif", array, NBITS=16), array, 1)


@pytest.mark.parametrize("photometric", ["MINISBLACK", "MINISWHITE"])
def test_fax(tmp_path, photometric):
    array = noise(1, 40, 50) >> 7
    path = save(tmp_path / "a.tif", array, compress="CCITTFAX4", NBITS=1, photometric=photometric)
    with open_raster(path) as raster:
        ones = raster.read()[0]
    np.testing.assert_array_equal(ones, array if photometric == "MINISBLACK" else 1 - array)


@pytest.mark.parametrize("bits", [1, 4, 8, 16])
@pytest.mark.parametrize("smallest_is_white", [False, True])
def test_gray_as_other_programs_write_it(tmp_path, bits, smallest_is_white):
    """GDAL gives a palette where the smallest value is white, except with 16 bits."""
    numbers = np.random.default_rng(0).integers(0, 2**bits, (2, 8))
    pixels = np.packbits((numbers[:, :, None] >> np.arange(bits)[::-1]) & 1).tobytes()
    if bits == 16:
        pixels = numbers.astype("<u2").tobytes()
    tags = {
        256: 8,
        257: 2,
        258: bits,
        259: 1,
        262: 1 - smallest_is_white,
        273: 8,
        277: 1,
        278: 2,
        279: len(pixels),
    }
    directory = b"".join(struct.pack("<HHII", tag, 3, 1, value) for tag, value in tags.items())
    start = b"II*\0" + struct.pack("<I", 8 + len(pixels)) + pixels
    (tmp_path / "a.tif").write_bytes(start + struct.pack("<H", len(tags)) + directory + bytes(4))
    with open_raster(tmp_path / "a.tif") as raster:
        values = raster.read()[0][0]
    share = numbers / (2**bits - 1)
    np.testing.assert_allclose(values, 1 - share if smallest_is_white else share, atol=0.003)


def test_a_codec_that_is_missing(tmp_path):
    path = save(tmp_path / "a.tif", noise(1, 4, 5), compress="DEFLATE")
    path.write_bytes(
        path.read_bytes().replace(struct.pack("<HHIH", 259, 3, 1, 8), struct.pack("<HHIH", 259, 3, 1, 50002))
    )
    with pytest.raises(NircolorError, match=r"a\.tif: cannot be opened as GTiff \(.*missing codec"):
        open_raster(path)


def test_twelve_bit_jpeg(tmp_path):
    y, x = np.mgrid[:40, :48]
    array = (2000 + 1000 * np.sin(x / 9) + 900 * np.cos(y / 7)).astype(np.uint16)[None]
    _check(save(tmp_path / "a.jpg", array, "JPEG", NBITS=12, quality=100), array, 4095, tolerance=8)


def test_progressive_jpeg(tmp_path):
    y, x = np.mgrid[:40, :48]
    array = (120 + 60 * np.sin(x / 9) + 60 * np.cos(y / 7)).astype(np.uint8)[None]
    _check(save(tmp_path / "a.jpg", array, "JPEG", PROGRESSIVE="YES", quality=98), array, 255, tolerance=3)


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_png_of_each_depth_and_a_transparent_value(tmp_path, depth):
    top = 2**depth - 1
    numbers = np.random.default_rng(0).integers(0, top, (6, 16), endpoint=True)
    if depth == 16:
        rows = [row.astype(">u2").tobytes() for row in numbers]
    else:
        bits = (numbers[:, :, None] >> np.arange(depth)[::-1]) & 1
        rows = [np.packbits(row.ravel()).tobytes() for row in bits]
    path = tmp_path / "a.png"
    path.write_bytes(png_bytes(rows, 16, depth, 0))
    _check(path, numbers[None], top)
    path.write_bytes(png_bytes(rows, 16, depth, 0, (b"tRNS", struct.pack(">H", numbers[0, 0]))))
    with open_raster(path) as raster:
        values, valid = raster.read()
    np.testing.assert_array_equal(valid, numbers != numbers[0, 0])
    np.testing.assert_allclose(values[0][valid], (numbers / top)[valid], atol=1e-6)


def test_png_palette_with_transparent_entries(tmp_path):
    indices = np.random.default_rng(0).integers(0, 4, (6, 5))
    grays = np.array([10, 80, 160, 250])
    palette = np.repeat(grays.astype(np.uint8), 3).tobytes()
    rows = [bytes(row.tolist()) for row in indices]
    path = tmp_path / "a.png"
    path.write_bytes(png_bytes(rows, 5, 8, 3, (b"PLTE", palette), (b"tRNS", b"\xff\0")))
    with open_raster(path) as raster:
        values, valid = raster.read()
    np.testing.assert_array_equal(valid, indices != 1)
    np.testing.assert_array_equal(np.rint(values[0] * 255)[valid], grays[indices][valid])
