"""ENVI headers and their data files: which belongs to which, and what is not ENVI at all."""

import numpy as np
import pytest
import rasterio

from nircolor.errors import NircolorError
from nircolor.imagery import Cube, find_images, list_folder, open_raster
from tests.imagery.imagery_samples import noise, save, save_envi

CUBE = noise(3, 7, 5, "uint16")
RADIANCE = b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 7 +X 5\n"
ESRI = b"BYTEORDER I\nLAYOUT BIL\nNROWS 7\nNCOLS 5\nNBANDS 1\nNBITS 16\n"


def _check(path):
    """Both readers find the samples of CUBE."""
    with open_raster(path) as raster:
        assert raster.driver == "ENVI"
        np.testing.assert_array_equal(np.rint(raster.read()[0] * 65535), CUBE)
    np.testing.assert_array_equal(Cube(path).read(0, 7), CUBE.transpose(1, 0, 2))


@pytest.mark.parametrize(
    ("header", "data"),
    [
        ("scan.hdr", "scan.hyspex"),
        ("scan.hdr", "scan.ref"),
        ("scan.hdr", "scan"),
        ("scan.hyspex.hdr", "scan.hyspex"),
        ("scan.v2.hdr", "scan.v2.raw"),
        ("SCAN.HDR", "SCAN.RAW"),
        ("SCAN.HDR", "SCAN.HySpex"),
        ("scan.raw.hdr", "scan.raw"),
    ],
)
def test_a_header_and_its_data_find_each_other(tmp_path, header, data):
    save_envi(tmp_path, CUBE).rename(tmp_path / header)
    (tmp_path / "cube.raw").rename(tmp_path / data)
    _check(tmp_path / header)
    _check(tmp_path / data)
    assert find_images(tmp_path) == [tmp_path / header]


def test_files_of_the_same_stem_that_are_no_data(tmp_path):
    """Data of an unusual extension is found by its length."""
    header = save_envi(tmp_path, CUBE, data=".hyspex")
    (tmp_path / "cube.txt").write_text("notes")
    (tmp_path / "cube.log").write_bytes(bytes(5000))
    save(tmp_path / "cube.png", noise(1, 4, 4), "PNG")
    (tmp_path / "cube.gz").write_bytes(bytes(CUBE.nbytes))
    _check(header)
    (tmp_path / "cube.hyspex").unlink()
    with pytest.raises(
        NircolorError,
        match=r"none of cube, cube\.raw, .* no other cube\.\* of the length .* decompress cube\.gz",
    ):
        open_raster(header)


def test_several_files_of_the_right_length_are_named(tmp_path):
    header = save_envi(tmp_path, CUBE)
    (tmp_path / "cube.dat").write_bytes(bytes(CUBE.nbytes))
    with pytest.raises(
        NircolorError, match=r"one data file of 210 bytes, got cube\.dat, cube\.raw; name the data file"
    ):
        open_raster(header)
    _check(tmp_path / "cube.raw")
    assert find_images(tmp_path) == [header]


def test_the_right_length_decides_between_usual_extensions(tmp_path):
    header = save_envi(tmp_path, CUBE, data=".img")
    (tmp_path / "cube.raw").write_bytes(bytes(CUBE.nbytes + 2))
    _check(header)


def test_a_file_without_extension_is_data_only_if_it_fits(tmp_path):
    header = save_envi(tmp_path, CUBE)
    (tmp_path / "cube").write_text("notes")
    _check(header)


def test_a_tiff_is_no_envi_data(tmp_path):
    save(tmp_path / "a.tif", noise(1, 7, 5))
    save_envi(tmp_path, CUBE).rename(tmp_path / "a.tif.hdr")
    (tmp_path / "cube.raw").unlink()
    assert find_images(tmp_path) == [tmp_path / "a.tif"]


def test_data_with_a_header_of_its_own_is_left_to_it(tmp_path):
    """GDAL prefers cube.raw.hdr for cube.raw, so that cube.hdr is the header of cube.dat."""
    save_envi(tmp_path, noise(1, 2, 2)).rename(tmp_path / "cube.raw.hdr")
    header = save_envi(tmp_path, CUBE, data=".dat")
    _check(header)
    with open_raster(tmp_path / "cube.raw.hdr") as raster:
        assert (raster.height, raster.width) == (2, 2)


@pytest.mark.parametrize("both", [False, True])
def test_gdal_finds_the_same_header(tmp_path, both):
    save_envi(tmp_path, CUBE)
    if both:
        text = (tmp_path / "cube.hdr").read_text()
        (tmp_path / "cube.raw.hdr").write_text(text.replace("lines = 7", "lines = 2"))
    with rasterio.open(tmp_path / "cube.raw", driver="ENVI") as dataset:
        height = dataset.height
    with open_raster(tmp_path / "cube.raw") as raster:
        assert raster.height == height == (2 if both else 7)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("samples", "  Samples"),
        ("byte order = 0", "Byte_Order=0"),
        ("interleave = bsq", "INTERLEAVE   =   BSQ  "),
        ("header offset = 0", "header offset=0"),
        ("interleave = bsq\n", ""),
        ("\n", "\r\n"),
    ],
)
def test_fields_in_other_spellings(tmp_path, old, new):
    header = save_envi(tmp_path, CUBE)
    header.write_bytes(header.read_text().replace(old, new).encode())
    with open_raster(header) as raster:
        np.testing.assert_array_equal(np.rint(raster.read()[0] * 65535), CUBE)


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("header offset", "header  offset", "GDAL does not find 'header offset'"),
        ("byte order", "byte\torder", "GDAL does not find 'byte order'"),
        ("byte order = 0", "byte order = 2", "a byte order of 0 or 1, got '2'"),
        ("interleave = bsq", "interleave = tiled", "an interleave of bil, bip or bsq, got tiled"),
        ("header offset = 0", "header offset = -4", "offset -4"),
        ("header offset = 0", "header offset = 1e3", "lacks a whole number for 'header offset', got '1e3'"),
        ("lines = 7", "lines = 99999999999", "is cut off: expected 2999999999970 bytes, got 210"),
        ("data type = 12", "data type = 7", "data type 7 holds no image"),
        ("byte order = 0", "byte order = 0\nfile compression = 1", "compressed ENVI data is not read"),
        ("byte order = 0", "byte order = 0\nmajor frame offsets = {0, 4}", "major frame offsets"),
    ],
)
def test_fields_that_cannot_be_right(tmp_path, old, new, match):
    header = save_envi(tmp_path, CUBE)
    header.write_text(header.read_text().replace(old, new))
    for path in (header, tmp_path / "cube.raw"):
        with pytest.raises(NircolorError, match=match):
            open_raster(path)


def test_names_that_differ_in_case_are_refused(tmp_path):
    header = save_envi(tmp_path, CUBE).rename(tmp_path / "Cube.hdr")
    with pytest.raises(NircolorError, match=r"Cube\.hdr and cube\.raw differ in case"):
        open_raster(header)


@pytest.mark.parametrize("foreign", [ESRI, RADIANCE, b"\x5c\x01\0\0" + bytes(344)])
def test_a_foreign_header_beside_an_image(tmp_path, foreign):
    save(tmp_path / "a.tif", noise(1, 4, 4))
    (tmp_path / "a.hdr").write_bytes(foreign)
    listing = list_folder(tmp_path)
    assert listing.images == [tmp_path / "a.tif"]
    assert [path.name for path in listing.unread] == (["a.hdr"] if foreign == RADIANCE else [])
    with pytest.raises(
        NircolorError, match="HDR files are not read" if foreign == RADIANCE else "expected a PNG"
    ):
        open_raster(tmp_path / "a.hdr")


def test_an_envi_header_whose_data_is_an_image_of_its_own(tmp_path):
    """ENVI writes headers beside TIFFs."""
    save(tmp_path / "a.tif", noise(1, 7, 5))
    save_envi(tmp_path, CUBE, name="a")
    (tmp_path / "a.raw").unlink()
    listing = list_folder(tmp_path)
    assert listing.images == [tmp_path / "a.tif"]
    assert listing.unread_summary().startswith(
        "left out 1 file that cannot be read: a.hdr (ENVI header without data: put its data file beside it"
    )


def test_a_link_to_another_folder_is_followed_only_if_named(tmp_path):
    """Every file could be read as ENVI data: an archive with such a link would disclose one of the user."""
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    header = save_envi(inside, CUBE)
    (inside / "cube.raw").rename(outside / "secret")
    (inside / "cube.raw").symlink_to(outside / "secret")
    for opened in (open_raster, Cube):
        with pytest.raises(
            NircolorError, match=r"cube\.hdr: its data file cube\.raw is a link to another folder"
        ):
            opened(header)
    _check(inside / "cube.raw")
    # links within the folder, and a header that is a link to the folder of the data, are what users make
    (outside / "secret").rename(inside / "samples")
    (inside / "cube.raw").unlink()
    (inside / "cube.raw").symlink_to("samples")
    _check(header)
    (outside / "cube.hdr").symlink_to(header)
    (outside / "cube.raw").symlink_to(inside / "samples")
    _check(outside / "cube.hdr")
