"""Reading: formats, bands, alpha, nodata, palettes, wavelengths, orientation, windows."""

import os
import struct
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from rasterio.enums import ColorInterp
from rasterio.transform import Affine

from nircolor.errors import NircolorError, NircolorWarning
from nircolor.imagery import open_raster
from tests.imagery.imagery_samples import (
    load,
    noise,
    png_bytes,
    save,
    save_envi,
    tiff_bytes,
    with_exif_orientation,
)


@pytest.fixture(autouse=True)
def _warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("bands", [1, 2, 5])
def test_a_tiff_reads_as_it_was_written(tmp_path, dtype, bands):
    array = noise(bands, 23, 31, dtype)
    path = save(tmp_path / "a.tif", array, photometric="MINISBLACK", alpha="NO")
    with open_raster(path) as raster:
        values, valid = raster.read()
        assert (raster.bands, raster.height, raster.width) == array.shape
        assert raster.depth == (8 if dtype == "uint8" else 16)
    top = 1 if dtype == "float32" else np.iinfo(dtype).max
    assert values.dtype == np.float32
    np.testing.assert_allclose(values, array / top, atol=1e-7)
    assert valid.all()


@pytest.mark.parametrize(("name", "driver"), [("a.png", "PNG"), ("ö ä.png", "PNG"), ("a.jpg", "JPEG")])
def test_photographs(tmp_path, name, driver):
    path = save(tmp_path / name, np.full((1, 16, 16), 100, np.uint8), driver)
    with open_raster(path) as raster:
        assert (raster.driver, raster.bands, raster.crs, raster.is_georeferenced) == (driver, 1, None, False)
        np.testing.assert_allclose(raster.read()[0], 100 / 255, atol=1 / 255)


def test_the_content_decides_not_the_name(tmp_path):
    path = save(tmp_path / "a.jpg", noise(1, 8, 8), "PNG")
    with open_raster(path) as raster:
        assert raster.driver == "PNG"


def test_windows_and_bands_are_slices_of_the_whole(tmp_path):
    path = save(tmp_path / "a.tif", noise(4, 40, 50, "uint16"), tiled=True, blockxsize=16, blockysize=16)
    with open_raster(path) as raster:
        whole, _ = raster.read()
        part, valid = raster.read((3, 21, 17, 50), bands=[3, 1])
    np.testing.assert_array_equal(part, whole[[3, 1], 3:21, 17:50])
    assert valid.shape == (18, 33)


@pytest.mark.parametrize("window", [(0, 0, 0, 5), (0, 41, 0, 5), (-1, 3, 0, 5), (0, 5, 6, 4)])
def test_a_window_outside_the_image_raises_value_error(tmp_path, window):
    with (
        open_raster(save(tmp_path / "a.tif", noise(1, 40, 50))) as raster,
        pytest.raises(ValueError, match="window"),
    ):
        raster.read(window)


# --- what the stored bands mean


@pytest.mark.parametrize("driver", ["PNG", "JPEG", "GTiff"])
def test_gray_in_three_equal_channels_is_one_band(tmp_path, driver):
    gray = np.repeat(noise(1, 32, 32), 3, axis=0)
    path = save(tmp_path / "a", gray, driver)
    with open_raster(path) as raster:
        assert (raster.bands, raster.is_colour_photograph, len(raster.wavelengths_nm)) == (1, False, 1)
        if driver != "JPEG":
            np.testing.assert_allclose(raster.read()[0], gray[:1] / 255, atol=1e-7)


@pytest.mark.parametrize("driver", ["PNG", "JPEG", "GTiff"])
def test_a_colour_photograph_keeps_its_bands_and_warns(tmp_path, driver):
    path = save(tmp_path / "a", noise(3, 32, 32), driver)
    with pytest.warns(NircolorWarning, match="looks like a colour photograph"), open_raster(path) as raster:
        assert (raster.bands, raster.is_colour_photograph) == (3, True)


def test_three_bands_with_wavelengths_are_not_a_colour_photograph(tmp_path):
    path = save(tmp_path / "a.png", noise(3, 8, 8), "PNG")
    with open_raster(path, bands_nm=[783, 842, 945]) as raster:
        assert (raster.wavelengths_nm, raster.is_colour_photograph) == ((783, 842, 945), False)


def test_the_wavelengths_given_must_be_as_many_as_the_bands(tmp_path):
    path = save(tmp_path / "a.png", noise(1, 8, 8), "PNG")
    with pytest.raises(NircolorError, match=r"a\.png: 2 wavelengths were given, but the image has 1 band"):
        open_raster(path, bands_nm=[850, 940])
    with pytest.raises(NircolorError, match="wavelengths in nm"):
        open_raster(path, bands_nm=[0.85])


@pytest.mark.parametrize("bands", [2, 4])
def test_alpha_is_validity(tmp_path, bands):
    array = noise(bands, 12, 12)
    array[:-1] = array[0]
    array[-1] = 255
    array[-1, 2:5] = 0
    with open_raster(save(tmp_path / "a.png", array, "PNG")) as raster:
        values, valid = raster.read()
        assert (raster.bands, raster.has_alpha) == (1, True)
    np.testing.assert_array_equal(valid, array[-1] > 0)
    assert (values[:, ~valid] == 0).all()


def test_four_bands_with_wavelengths_have_no_alpha(tmp_path):
    path = save(tmp_path / "a.tif", noise(4, 8, 8))  # GDAL calls the fourth of four 8-bit bands alpha
    with open_raster(path, bands_nm=[700, 800, 900, 1000]) as raster:
        assert (raster.bands, raster.has_alpha) == (4, False)


def test_nodata_nan_and_infinity_are_invalid_and_negative_is_black(tmp_path):
    array = np.full((1, 4, 4), 0.5, np.float32)
    array[0, 0] = [np.nan, np.inf, -np.inf, -9999]
    array[0, 1, :2] = [-0.25, 1.5]
    with open_raster(save(tmp_path / "a.tif", array, nodata=-9999)) as raster:
        values, valid = raster.read()
        assert raster.nodata == -9999
    assert not valid[0].any()
    assert valid[1:].all()
    np.testing.assert_array_equal(values[0, 0], 0)
    np.testing.assert_array_equal(values[0, 1], [0, 1, 0.5, 0.5])


def test_a_mask_band_is_validity(tmp_path):
    mask = np.ones((8, 8), bool)
    mask[:3] = False
    path = save(tmp_path / "a.tif", noise(1, 8, 8), setup=lambda dataset: dataset.write_mask(mask))
    for leftover in tmp_path.glob("*.msk"):
        assert leftover.exists()
    with open_raster(path) as raster:
        assert raster.has_mask
        np.testing.assert_array_equal(raster.read()[1], mask)


def test_a_transparent_gray_of_png_is_invalid(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png_bytes([bytes([7, 8, 9])], 3, 8, 0, (b"tRNS", struct.pack(">H", 8))))
    with open_raster(path) as raster:
        assert raster.read()[1].tolist() == [[True, False, True]]


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_png_of_few_bits(tmp_path, depth):
    path = tmp_path / "a.png"
    path.write_bytes(png_bytes([b"\xe4"], 8 // depth, depth, 0))
    bits = np.unpackbits(np.array([0xE4], np.uint8)).reshape(-1, depth)
    with open_raster(path) as raster:
        expected = (bits @ (1 << np.arange(depth)[::-1])) / (2**depth - 1)
        np.testing.assert_allclose(raster.read()[0][0, 0], expected, atol=1e-7)
        assert raster.depth == 8


def test_a_gray_palette_is_expanded(tmp_path):
    path = tmp_path / "a.png"
    palette = bytes([0, 0, 0, 200, 200, 200, 100, 100, 100])
    path.write_bytes(png_bytes([bytes([0, 1, 2, 1])], 4, 8, 3, (b"PLTE", palette), (b"tRNS", b"\xff\x00")))
    with open_raster(path) as raster:
        values, valid = raster.read()
        assert raster.bands == 1
    assert valid.tolist() == [[True, False, True, False]]
    np.testing.assert_allclose(values[0, 0] * 255, [0, 0, 100, 0], atol=1e-4)


def test_a_coloured_palette_is_a_colour_photograph(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png_bytes([bytes([0, 1])], 2, 8, 3, (b"PLTE", bytes([10, 20, 30, 40, 50, 60]))))
    with pytest.warns(NircolorWarning, match="colour photograph"):
        raster = open_raster(path)
    with raster:
        values, _ = raster.read()
        red, _ = raster.read(bands=[0])
    np.testing.assert_allclose(values[:, 0] * 255, [[10, 40], [20, 50], [30, 60]], atol=1e-4)
    np.testing.assert_array_equal(red, values[:1])


def test_cmyk_is_converted_and_called_colour(tmp_path):
    cmyk = np.zeros((4, 8, 8), np.uint8)
    cmyk[0] = 255  # pure cyan
    path = save(tmp_path / "a.tif", cmyk, photometric="CMYK")
    with pytest.warns(NircolorWarning, match="colour photograph"), open_raster(path) as raster:
        np.testing.assert_allclose(raster.read()[0][:, 0, 0], [0, 1, 1], atol=0.01)


# --- wavelengths, names, georeference


def test_wavelengths_of_envi_are_exact(tmp_path):
    array = noise(2, 4, 5, "float32")
    header = save_envi(tmp_path, array, wavelength="{0.8424, 0.9451}", wavelength_units="Micrometers")
    with open_raster(header) as raster:
        assert raster.wavelengths_nm == (842.4, 945.1)
        np.testing.assert_array_equal(raster.read()[0], array)
    header = save_envi(tmp_path, array, "nm", wavelength="{842.4, 945.1}", wavelength_units="Nanometers")
    with open_raster(header) as raster:
        assert raster.wavelengths_nm == (842.4, 945.1)


def test_wavelengths_and_names_of_tiff(tmp_path):
    def name(dataset):
        dataset.set_band_description(2, "B08")
        dataset.update_tags(2, ns="IMAGERY", CENTRAL_WAVELENGTH_UM="0.842")

    path = save(tmp_path / "a.tif", noise(2, 8, 8, "float32"), setup=name)
    with open_raster(path) as raster:
        assert raster.wavelengths_nm == (None, 842)
        assert raster.names == (None, "B08")


@pytest.mark.parametrize("data", ["", ".raw", ".img", ".DAT", ".bil", ".bip", ".bsq", ".bin"])
def test_envi_by_its_header_or_its_data_file(tmp_path, data):
    array = noise(3, 4, 5, "float32")
    header = save_envi(tmp_path, array, "scene.v2", data)
    for path in (header, tmp_path / f"scene.v2{data}"):
        with open_raster(path) as raster:
            assert (raster.driver, raster.path) == ("ENVI", path)
            np.testing.assert_array_equal(raster.read()[0], array)


def test_envi_header_named_after_the_whole_data_file(tmp_path):
    header = save_envi(tmp_path, noise(1, 4, 5, "float32"))
    header = header.rename(tmp_path / "cube.raw.HDR")
    for path in (header, tmp_path / "cube.raw"):
        with open_raster(path) as raster:
            assert raster.driver == "ENVI"


def test_a_geotiff_keeps_its_georeference_and_ignores_orientation(tmp_path):
    place = Affine(10, 0, 500000, 0, -10, 4000000)
    path = save(tmp_path / "a.tif", noise(1, 4, 5), crs="EPSG:32633", transform=place)
    with open_raster(path) as raster:
        assert raster.is_georeferenced
        assert raster.crs.to_epsg() == 32633
        assert raster.transform == place


# --- orientation


def _upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """Apply the EXIF table with numpy functions."""
    return {
        1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud,
        5: np.transpose, 6: lambda a: np.rot90(a, -1), 7: lambda a: np.rot90(a, 2).T, 8: np.rot90,
    }[orientation](array)  # fmt: skip


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["tiff", "tiff big-endian", "jpeg"])
def test_orientation(tmp_path, orientation, kind):
    stored = np.kron(noise(1, 3, 5)[0], np.ones((8, 8), np.uint8))
    path = tmp_path / "a"
    if kind == "jpeg":
        save(path, stored[None], "JPEG", quality=100)
        stored = load(path)[0][0]
        path.write_bytes(with_exif_orientation(path.read_bytes(), orientation))
    else:
        path.write_bytes(tiff_bytes(stored, orientation, big_endian="big" in kind))
    expected = _upright(stored, orientation) / np.float32(255)
    with open_raster(path) as raster:
        assert (raster.height, raster.width) == expected.shape
        small, _ = raster.read(out_shape=(expected.shape[0] // 8, expected.shape[1] // 8))
        corner, _ = raster.read((2, 9, 5, 20))
        whole, valid = raster.read()
        again, _ = raster.read((2, 9, 5, 20))
    np.testing.assert_allclose(whole[0], expected, atol=1e-7)
    np.testing.assert_array_equal(corner, whole[:, 2:9, 5:20])
    np.testing.assert_array_equal(again, corner)
    assert valid.shape == expected.shape
    blocks = expected.reshape(expected.shape[0] // 8, 8, -1, 8).mean(axis=(1, 3))
    np.testing.assert_allclose(small[0], blocks, atol=1e-6)


def test_an_invalid_orientation_counts_as_upright(tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(tiff_bytes(np.eye(4), 77))
    with open_raster(path) as raster:
        assert raster.read()[0].shape == (1, 4, 4)


# --- manners


def _tree(folder: Path) -> dict[str, int]:
    return {entry.name: entry.stat().st_mtime_ns for entry in os.scandir(folder)}


def test_reading_leaves_nothing_behind(tmp_path):
    save(tmp_path / "a.png", noise(1, 50, 50), "PNG")
    save(tmp_path / "a.jpg", noise(1, 50, 50), "JPEG")
    save(tmp_path / "a.tif", noise(1, 50, 50, "uint16"))
    save_envi(tmp_path, noise(1, 50, 50, "float32"))
    before = _tree(tmp_path)
    for name in ("a.png", "a.jpg", "a.tif", "cube.hdr"):
        with open_raster(tmp_path / name, stretch=(1, 99)) as raster:
            raster.read(out_shape=(5, 5))
            raster.read()
    assert _tree(tmp_path) == before


def test_several_threads_may_read_one_raster(tmp_path):
    array = noise(1, 256, 64)
    wrong = []
    with open_raster(save(tmp_path / "a.png", array, "PNG")) as raster:

        def strips(first: int) -> None:
            for row in range(first, 256, 32):
                values, _ = raster.read((row, row + 16, 0, 64))
                if not np.array_equal(np.rint(values * 255), array[:, row : row + 16]):
                    wrong.append(row)

        threads = [threading.Thread(target=strips, args=(first,)) for first in (0, 16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong


def test_an_alpha_channel_alone_is_refused(tmp_path):
    def alpha_only(dataset):
        dataset.colorinterp = [ColorInterp.alpha]

    path = save(tmp_path / "a.tif", noise(1, 4, 4) // 128 * 255, setup=alpha_only)
    with pytest.raises(NircolorError, match="alpha channel and no image"):
        open_raster(path)


def test_a_tiff_whose_smallest_value_is_white_is_inverted(tmp_path):
    array = noise(1, 6, 7, "uint8")
    with open_raster(save(tmp_path / "a.tif", array, photometric="MINISWHITE")) as raster:
        values, valid = raster.read()
    np.testing.assert_allclose(values, 1 - array / 255, atol=1e-6)
    assert valid.all()


def test_the_near_infrared_band_by_its_number(tmp_path):
    array = noise(4, 8, 8)
    with open_raster(save(tmp_path / "a.tif", array), bands_nm={"nir": 4}) as raster:
        assert (raster.bands, raster.wavelengths_nm, raster.has_alpha) == (1, (None,), False)
        np.testing.assert_allclose(raster.read()[0], array[3:] / 255, atol=1e-7)
    with open_raster(save(tmp_path / "b.png", array[:3], "PNG"), bands_nm={"NIR": np.int64(1)}) as raster:
        np.testing.assert_allclose(raster.read()[0], array[:1] / 255, atol=1e-7)


def test_some_bands_by_their_numbers(tmp_path):
    path = save(tmp_path / "a.tif", noise(4, 8, 8))
    with open_raster(path, bands_nm={940: 4, 850: 2}) as raster:
        assert raster.wavelengths_nm == (None, 850, None, 940)


@pytest.mark.parametrize(
    ("bands", "match"),
    [
        ({"nir": 5}, "band 5 was given, but the image has 4 bands"),
        ({"nir": 0}, "band 0 was given"),
        ({4: 850}, "expected wavelengths in nm .* got 4"),
        ({"red": 1}, "got 'red'"),
        ({"nir": 1, 850: 2}, "got 'nir'"),
        ({850: 2, 940: 2}, "expected one wavelength for band 2, got 850 nm and 940 nm"),
    ],
)
def test_wrong_band_numbers(tmp_path, bands, match):
    path = save(tmp_path / "a.tif", noise(4, 8, 8))
    with pytest.raises(NircolorError, match=match):
        open_raster(path, bands_nm=bands)


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.tif", "a.jp2", "geo.tif", "a16.png"])
@pytest.mark.parametrize("top", [1.0, 0.0])
def test_gray_in_rgb_with_alpha_is_one_band_without_a_name(tmp_path, name, top):
    dtype = "uint16" if "16" in name else "uint8"
    full = np.iinfo(dtype).max
    gray = noise(1, 64, 64, dtype)[0]
    alpha = np.full((64, 64), int(full * top), dtype)
    alpha[:, :20] = 0
    pixels = np.stack([gray, gray, gray, alpha])
    driver, options = {
        "png": ("PNG", {}),
        "ebp": ("WEBP", {"LOSSLESS": True}),
        "tif": ("GTiff", {"photometric": "RGB", "alpha": "YES"}),
        "jp2": ("JP2OpenJPEG", {"QUALITY": "100", "REVERSIBLE": "YES"}),
    }[name[-3:]]
    if driver == "JP2OpenJPEG":

        def roles(dataset):
            dataset.colorinterp = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)

        options["setup"] = roles
    if name == "geo.tif":
        options |= {"crs": "EPSG:32632", "transform": Affine(10, 0, 5e5, 0, -10, 5e6)}
    path = save(tmp_path / name, pixels, driver, **options)
    with open_raster(path) as raster:
        assert (raster.bands, raster.names) == (1, (None,))
        values, valid = raster.read()
        assert raster.grid.has_alpha
    np.testing.assert_array_equal(valid, alpha > 0)
    np.testing.assert_allclose(values[0][valid], (gray / full)[valid], atol=1e-6)
