"""Files that look like images and are not read: video, camera raw without its extra, and other formats."""

import struct

import numpy as np
import pytest

from nircolor import extras
from nircolor.errors import NircolorError
from nircolor.imagery import open_raster
from tests.imagery.imagery_samples import noise, save


def _tiff(tags, sub_page=None):
    """A small gray TIFF with further tags (SHORT), and a second directory that SubIFDs points to."""
    height = width = 4
    tags = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: height, 279: 16} | tags
    start = b"II*\0" + struct.pack("<I", 24) + bytes(range(16))
    if sub_page is not None:
        tags[330] = 24 + 2 + 12 * (len(tags) + 1) + 4
    directory = struct.pack("<H", len(tags))
    directory += b"".join(
        struct.pack("<HHII", tag, 4 if tag == 330 else 3, 1, value) for tag, value in sorted(tags.items())
    )
    directory += bytes(4)
    if sub_page is not None:
        directory += struct.pack("<H", len(sub_page))
        directory += b"".join(
            struct.pack("<HHII", tag, 3, 1, value) for tag, value in sorted(sub_page.items())
        ) + bytes(4)
    return start + directory


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.tif", _tiff({254: 1, 50706: 1})),  # the thumbnail of a DNG
        ("a.tif", _tiff({254: 1}, {262: 32803})),  # of a NEF or ARW
        ("a.tif", _tiff({254: 1, 50706: 1}, {262: 34892})),  # of a developed DNG
        ("a.tif", _tiff({262: 32803})),
        ("a.nef", _tiff({271: 1})),
        ("a.tif", b"II*\0\x10\0\0\0CR\x02\0" + bytes(100)),
        ("a.cr3", b"\0\0\0\x18ftypcrx " + bytes(100)),
        ("a.raf", b"FUJIFILMCCD-RAW 0201" + bytes(100)),
        ("a.rw2", b"IIU\0" + bytes(100)),
        ("a.orf", b"IIRO" + bytes(100)),
        ("renamed.jpg", b"FUJIFILMCCD-RAW 0201" + bytes(100)),
    ],
)
def test_camera_raw_needs_an_extra(tmp_path, monkeypatch, name, content):
    """GDAL would read a thumbnail, or the mosaic."""
    monkeypatch.setattr(extras, "find_spec", lambda _package: None)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(NircolorError, match=r"a camera raw file needs more than the base install: pip "):
        open_raster(tmp_path / name)


def test_one_band_with_tags_of_dng_is_an_image(tmp_path):
    """As multispectral cameras write it."""
    (tmp_path / "a.tif").write_bytes(_tiff({254: 0, 50706: 1}))
    with open_raster(tmp_path / "a.tif") as raster:
        np.testing.assert_array_equal(np.rint(raster.read()[0] * 255).ravel(), range(16))


def test_the_content_decides_not_the_name(tmp_path):
    path = save(tmp_path / "a.png", noise(1, 4, 5), "PNG").rename(tmp_path / "a.gif")
    with open_raster(path) as raster:
        assert raster.driver == "PNG"


@pytest.mark.parametrize(
    ("name", "start", "match"),
    [
        ("a.mp4", b"\0\0\0\x20ftypisom", "video files are not read; nircolor colorize and info alone"),
        ("a.jpg", b"RIFF\0\0\0\0AVI LIST", "video files"),
        ("a.mkv", b"\x1aE\xdf\xa3", "video files"),
        ("a.jpg", b"\0\0\0\x18ftypheic", "HEIC and AVIF files are not read; save as PNG"),
        ("a.avif", b"\0\0\0\x18ftypavif", "HEIC and AVIF"),
        ("a.gif", b"GIF89a", "GIF files are not read"),
        ("a.psd", b"8BPS\0\1", "Photoshop files"),
        ("a.hdr", b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n", "Radiance HDR files are not read"),
        ("a.exr", b"v/1\x01", "OpenEXR files"),
        (
            "a.h5",
            b"\x89HDF\r\n\x1a\n",
            "HDF and NetCDF files are not read; save the bands as GeoTIFF or .npy",
        ),
        ("a.nc", b"CDF\x01", "HDF and NetCDF files"),
        ("a.mat", b"MATLAB 5.0 MAT-file", "MATLAB files"),
        ("a.fits", b"SIMPLE  =                    T", "FITS files"),
        ("a.npz", b"PK\x03\x04", "NumPy archive files are not read; save one array as .npy"),
        ("a.img", b"EHFA_HEADER_TAG\0", "ERDAS, ECW, NITF and MrSID files"),
        ("a.raw", bytes(range(64)), r"raw files are not read; they need an ENVI header \(.hdr\) beside them"),
    ],
)
def test_other_formats_say_what_to_do(tmp_path, name, start, match):
    (tmp_path / name).write_bytes(start.ljust(200, b"\0"))
    with pytest.raises(NircolorError, match=match) as caught:
        open_raster(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path / name}: ")
