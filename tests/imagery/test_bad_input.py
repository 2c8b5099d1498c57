"""Damaged, missing and foreign files raise `NircolorError` with one line that names the file."""

import os
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
import rasterio

from nircolor.errors import NircolorError
from nircolor.imagery import gdal, image_size, open_raster
from tests.imagery.imagery_samples import noise, png_bytes, save, save_envi, with_exif_orientation


def _refused(path: Path, match: str | None = None) -> str:
    """Check that opening or reading `path` raises one line that begins with its name; return the line."""
    with pytest.raises(NircolorError, match=match) as caught, open_raster(path) as raster:
        raster.read()
    line = str(caught.value)
    assert line.startswith(str(path))
    assert "\n" not in line
    return line


def test_missing_folder_empty_and_text(tmp_path):
    _refused(tmp_path / "missing.png", "no such file")
    _refused(tmp_path, "got a folder")
    (tmp_path / "empty.png").touch()
    _refused(tmp_path / "empty.png", "empty")
    (tmp_path / "text.png").write_text("Dear Sir or Madam")
    _refused(
        tmp_path / "text.png",
        "expected a PNG, JPEG, TIFF, ENVI, .* or camera raw image, got a file that begins with 'Dear",
    )
    (tmp_path / "zeros.tif").write_bytes(bytes(1000))
    _refused(tmp_path / "zeros.tif", "expected a PNG")


def test_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    _refused(tmp_path / "a.png", "device or pipe")


def test_unreadable(tmp_path, monkeypatch):
    path = save(tmp_path / "a.png", noise(1, 4, 4), "PNG")

    def refuse(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    _refused(path, "cannot be read .Permission denied.")


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95, 0.999])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.png", {"driver": "PNG"}),
        ("a.jpg", {"driver": "JPEG"}),
        ("progressive.jpg", {"driver": "JPEG", "progressive": True}),
        ("strips.tif", {}),
        ("deflate.tif", {"compress": "deflate", "tiled": True, "blockxsize": 64, "blockysize": 64}),
        ("jpeg.tif", {"compress": "jpeg"}),
        ("lzw.tif", {"compress": "lzw"}),
    ],
)
def test_cut_off(tmp_path, name, options, share):
    whole = save(tmp_path / name, noise(1, 200, 220), **options).read_bytes()
    (tmp_path / name).write_bytes(whole[: int(len(whole) * share)])
    _refused(tmp_path / name)


@pytest.mark.parametrize("driver", ["PNG", "JPEG"])
def test_cut_off_and_read_by_windows(tmp_path, driver):
    path = save(tmp_path / "a", noise(1, 200, 220), driver)
    path.write_bytes(path.read_bytes()[:-600])
    with pytest.raises(NircolorError, match="damaged or cut off"), open_raster(path) as raster:  # noqa: PT012
        for row in range(0, 200, 50):
            raster.read((row, row + 50, 0, 220))


def test_a_flipped_byte_in_png(tmp_path):
    path = save(tmp_path / "a.png", noise(1, 64, 64), "PNG")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    _refused(path, "damaged")


def test_a_damaged_block_among_many(tmp_path):
    """Blocks of TIFFs are decompressed by several threads."""
    options = {"compress": "deflate", "tiled": True, "blockxsize": 64, "blockysize": 64}
    path = save(tmp_path / "a.tif", noise(1, 200, 220), **options)
    with rasterio.open(path) as file:
        start = int(file.get_tag_item("BLOCK_OFFSET_1_2", "TIFF", 1))
    data = bytearray(path.read_bytes())
    data[start : start + 8] = bytes(8)
    path.write_bytes(data)
    _refused(path, "damaged")


def test_cut_off_envi(tmp_path):
    header = save_envi(tmp_path, noise(2, 30, 40, "uint16"))
    data = tmp_path / "cube.raw"
    data.write_bytes(data.read_bytes()[:-1])
    for path in (header, data):
        _refused(path, r"cube\.raw is cut off: expected 4800 bytes, got 4799")


def test_envi_offset_counts(tmp_path):
    array = noise(1, 3, 4)
    header = save_envi(tmp_path, array, header_offset="5")
    _refused(header, "expected 17 bytes, got 12")
    (tmp_path / "cube.raw").write_bytes(b"12345" + array.tobytes())
    with open_raster(header) as raster:
        np.testing.assert_allclose(raster.read()[0], array / 255, atol=1e-7)


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"samples": "x"}, "lacks a whole number"),
        ({"lines": "-3"}, "-3 lines"),
        ({"bands": "0"}, "0 bands"),
        ({"data type": "6"}, "data type 6 holds no image"),
        ({"file compression": "1"}, "compressed ENVI"),
        ({"samples": "99999999"}, "cut off"),
    ],
)
def test_impossible_envi_headers(tmp_path, fields, match):
    header = save_envi(tmp_path, noise(1, 3, 4), **fields)
    text = header.read_text()
    for field, value in fields.items():
        lines = [line for line in text.splitlines() if not line.startswith(field + " =")]
        text = "\n".join([*lines, f"{field} = {value}", ""])
    header.write_text(text)
    _refused(header, match)


def test_envi_header_without_data(tmp_path):
    header = save_envi(tmp_path, noise(1, 3, 4))
    (tmp_path / "cube.raw").unlink()
    _refused(header, r"expected the ENVI data file beside its header, found none of cube, cube\.raw")


def test_a_header_that_claims_more_than_the_file_holds(tmp_path):
    path = tmp_path / "a.png"
    good = png_bytes([b"\0" * 8], 8, 8, 0)
    header = b"IHDR" + struct.pack(">IIBBBBB", 300_000, 300_000, 8, 0, 0, 0, 0)
    path.write_bytes(good[:12] + header + struct.pack(">I", zlib.crc32(header)) + good[33:])
    _refused(path, "300000 x 300000 pixels.*hardly hold.*--max-pixels 90000000000 ")


def test_too_many_bands(tmp_path):
    path = save(tmp_path / "a.tif", noise(4097, 1, 1))
    _refused(path, "at most 4096 bands, the header claims 4097")


def test_complex_numbers_are_refused(tmp_path):
    _refused(save(tmp_path / "a.tif", np.ones((1, 3, 4), np.complex64)), "expected bands of real numbers")


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 100_000), (100_000, 1)])
@pytest.mark.parametrize("driver", ["PNG", "GTiff"])
def test_odd_shapes(tmp_path, height, width, driver):
    array = noise(1, height, width)
    with open_raster(save(tmp_path / "a", array, driver)) as raster:
        np.testing.assert_allclose(raster.read()[0], array / 255, atol=1e-7)
        view, valid = raster.read(out_shape=(1, 1))
    assert valid.all()
    assert view[0, 0, 0] == pytest.approx(array.mean() / 255, abs=1e-4)


def test_all_black_and_all_nan(tmp_path):
    for name, value in (("black.tif", 0), ("nan.tif", np.nan)):
        with open_raster(save(tmp_path / name, np.full((1, 20, 20), value, np.float32))) as raster:
            values, valid = raster.read()
            view, view_valid = raster.read(out_shape=(2, 3))
        assert not values.any()
        assert not view.any()
        assert valid.all() == view_valid.all() == (value == 0)


def test_names_with_spaces_and_other_scripts(tmp_path):
    folder = tmp_path / "近赤外 画像"
    folder.mkdir()
    array = noise(1, 6, 7, "float32")
    for path in (save(folder / "été ñ %20 #1.tif", array), save_envi(folder, array, "куб 1", "")):
        with open_raster(path) as raster:
            np.testing.assert_array_equal(raster.read()[0], array)


def test_a_jpeg_with_trailing_bytes_is_read(tmp_path):
    path = save(tmp_path / "a.jpg", noise(1, 64, 64), "JPEG")
    path.write_bytes(with_exif_orientation(path.read_bytes(), 3) + b"\0trailer of a phone" * 20)
    with open_raster(path) as raster:
        assert raster.read()[1].all()


def test_a_folder_instead_of_the_data_file(tmp_path):
    header = save_envi(tmp_path, noise(1, 3, 4))
    (tmp_path / "cube.raw").unlink()
    (tmp_path / "cube.raw").mkdir()
    _refused(header, "ENVI data file")


def test_an_envi_header_in_latin_1(tmp_path):
    header = save_envi(tmp_path, noise(1, 3, 4), wavelength="{0.8424}", wavelength_units="\u00b5m")
    header.write_bytes(
        header.read_text().replace("ENVI\n", "ENVI\nband names = {842 \u00b5m}\n").encode("latin-1")
    )
    with open_raster(header) as raster:
        assert raster.wavelengths_nm == (842.4,)


def test_a_decompression_bomb_is_refused_before_it_is_decoded(tmp_path):
    """60,000 x 60,000 pixels of one bit in 440 kB."""
    row = bytes(60_000 // 8)
    bomb = tmp_path / "bomb.png"
    bomb.write_bytes(png_bytes([row] * 60_000, 60_000, 1, 0))
    for opened in (open_raster, image_size):
        start = time.process_time()
        with pytest.raises(NircolorError, match=r"60000 x 60000 pixels.*--max-pixels 3600000000 reads it"):
            opened(bomb)
        assert time.process_time() - start < 0.2
    with open_raster(bomb, max_pixels=60_000**2) as raster:
        assert raster.read((0, 1, 0, 60_000))[1].all()


def test_the_largest_number_of_pixels_is_what_the_user_says(tmp_path):
    path = save(tmp_path / "a.tif", noise(3, 30, 40))
    with open_raster(path, bands_nm=(700, 800, 900), max_pixels=1200) as raster:
        assert raster.bands == 3
    with pytest.raises(NircolorError, match=r"at most 1199 pixels \(--max-pixels\), got 1200 \(40 x 30\)"):
        open_raster(path, max_pixels=1199)


def _with_xmp(path, packet):
    jpeg = save(path, noise(1, 24, 20), "JPEG").read_bytes()
    packet = b"http://ns.adobe.com/xap/1.0/\0" + packet
    path.write_bytes(jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(packet) + 2) + packet + jpeg[2:])
    return path


@pytest.mark.parametrize("fault", [b"\x14", b"\x80"])
def test_damaged_xmp_does_not_make_a_jpeg_unreadable(tmp_path, fault):
    # GDAL parses XMP when it opens a JPEG, and reports the fault with a later call
    packet = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF ' + fault + b"></x:xmpmeta>"
    with open_raster(_with_xmp(tmp_path / "a.jpg", packet)) as raster:
        assert raster.read()[1].all()


def test_palette_indices_without_a_palette(tmp_path):
    def colours(dataset):
        dataset.write_colormap(1, {i: (i, 0, 0, 255) for i in range(256)})

    path = save(tmp_path / "a.tif", noise(1, 6, 7), setup=colours)
    start, fewer = struct.pack("<HHI", 320, 3, 768), struct.pack("<HHI", 320, 3, 3)
    assert start in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(start, fewer))
    with pytest.raises(NircolorError, match=r"a\.tif: expected a palette, got indices without one"):
        open_raster(path)


def test_a_locale_that_is_not_utf_8_is_named(monkeypatch):
    error = UnicodeEncodeError("utf-8", "\udce4", 0, 1, "surrogates not allowed")
    assert gdal.reason(error) == "expected a path in UTF-8; rename it"
    monkeypatch.setattr("sys.getfilesystemencoding", lambda: "ascii")
    assert "PYTHONUTF8=1" in gdal.reason(error)
