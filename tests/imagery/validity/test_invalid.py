"""Reading with `nodata`: the value of invalid pixels that the user gives."""

import warnings

import numpy as np
import pytest

from nircolor.errors import NircolorError
from nircolor.imagery import create_like, open_raster
from tests.imagery.imagery_samples import load, noise, save


def _with_value(value, dtype, bands=1):
    array = noise(bands, 12, 10, dtype)
    array[array == value] = 7
    array[:, :3] = value
    return array


@pytest.mark.parametrize(
    ("dtype", "value"), [("uint8", 0), ("uint16", 65535), ("int16", -9999), ("float32", -9999), ("uint8", 17)]
)
def test_the_given_value_is_invalid(tmp_path, dtype, value):
    path = save(tmp_path / "a.tif", _with_value(value, dtype))
    with open_raster(path, nodata=value, scale=100) as raster:
        values, valid = raster.read()
        assert raster.nodata == value
        assert raster.may_have_invalid
    assert not valid[:3].any()
    assert valid[3:].all()
    assert not values[:, :3].any()


def test_a_pixel_is_invalid_where_one_of_its_bands_is(tmp_path):
    array = _with_value(9, "uint8", bands=5)
    array[2, 8, 8] = 9
    with open_raster(save(tmp_path / "a.tif", array, photometric="MINISBLACK"), nodata=9) as raster:
        valid = raster.read()[1]
        assert not valid[8, 8]
        assert valid.sum() == 9 * 10 - 1
        assert raster.read(bands=[0, 1])[1][8, 8]


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_it_replaces_the_declared_value(tmp_path, dtype):
    array = _with_value(5, dtype) if dtype == "uint16" else _with_value(0.5, dtype)
    array[0, 11] = 0.25 if dtype == "float32" else 3
    path = save(tmp_path / "a.tif", array, nodata=float(array[0, 11, 0]))
    with open_raster(path, nodata=float(array[0, 0, 0]), scale=1) as raster:
        valid = raster.read()[1]
    assert not valid[:3].any()
    assert valid[3:].all()


def test_none_switches_the_declared_value_off(tmp_path):
    path = save(tmp_path / "a.tif", _with_value(5, "uint16"), nodata=5)
    with open_raster(path, nodata="none") as raster:
        assert raster.read()[1].all()
        assert raster.nodata is None
        assert not raster.may_have_invalid
        with create_like(raster, tmp_path / "b.tif") as writer:
            writer.write(np.zeros((3, 12, 10), np.float32))
    assert load(tmp_path / "b.tif")[1]["nodata"] is None


def test_nan_is_accepted_for_floating_point_alone(tmp_path):
    array = noise(1, 12, 10, "float32")
    array[0, 0], array[0, 1] = np.nan, -1
    with open_raster(save(tmp_path / "a.tif", array, nodata=-1), nodata=np.nan) as raster:
        np.testing.assert_array_equal(raster.read()[1], np.isfinite(array[0]))
    with pytest.raises(NircolorError, match=r"b\.tif: expected --nodata to be a whole number from 0 to 255"):
        open_raster(save(tmp_path / "b.tif", noise(1, 8, 8)), nodata=np.nan)


@pytest.mark.parametrize(
    ("dtype", "value"), [("uint8", 256), ("uint8", -1), ("uint16", 0.5), ("int16", 40000), ("float32", 1e300)]
)
def test_a_value_that_the_type_cannot_hold_is_an_error(tmp_path, dtype, value):
    path = save(tmp_path / "a.tif", _with_value(3, dtype))
    with pytest.raises(NircolorError, match=rf"a\.tif: expected --nodata to be a .* of {dtype}, got "):
        open_raster(path, nodata=value)


def test_of_a_palette_the_values_shown_count(tmp_path):
    def gray(dataset):
        dataset.write_colormap(1, {index: (255 - index,) * 3 for index in range(256)})

    array = np.full((1, 12, 10), 100, np.uint8)
    array[0, 0], array[0, 1] = 255, 0
    path = save(tmp_path / "a.tif", array, photometric="palette", setup=gray)
    with open_raster(path, nodata=0) as raster:
        valid = raster.read()[1]
    assert not valid[0].any()
    assert valid[1:].all()


# --- values that the file does not declare

_PLACE = {"crs": "EPSG:32632", "transform": (10.0, 0, 500_000, 0, -10, 5_000_000)}


def _reflectance(dtype, bands=1):
    """Values of a satellite product, up to 10,000, or up to 1 as floats; some of them below 0."""
    values = noise(bands, 40, 50, "float32") * 1.02 - 0.02
    return (values if dtype.startswith("float") else np.rint(values * 10_000)).astype(dtype)


def _opened(path, **options):
    """Return the warnings about nodata, and the valid pixels."""
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("always")
        with open_raster(path, **options) as raster:
            valid = raster.read()[1]
            values = raster.read()[0]
            nodata = raster.nodata
    about = [text for text in (str(one.message) for one in record) if "--nodata" in text]
    return about, values, valid, nodata


@pytest.mark.parametrize(
    ("dtype", "value", "text"),
    [
        ("int16", -9999, "-9999"),
        ("int16", -32768, "-32768"),
        ("int16", -999, "-999"),
        ("int32", -2147483648, "-2147483648"),
        ("float32", -9999, "-9999"),
        ("float32", -3.4028235e38, "-3.4028235e+38"),
        ("float32", 1e20, "1e+20"),
        ("float64", 9.969209968386869e36, "9.969209968386869e+36"),
    ],
)
@pytest.mark.parametrize("bands", [1, 4])
def test_an_undeclared_value_that_nothing_can_measure_is_invalid(tmp_path, dtype, value, text, bands):
    array = _reflectance(dtype, bands)
    array[:, :6], array[-1, 20, 20:24] = value, value
    path = save(tmp_path / "a.tif", array, photometric="MINISBLACK")
    about, values, valid, nodata = _opened(path, scale=1 if dtype.startswith("f") else 10_000)
    np.testing.assert_array_equal(valid, (array != array[0, 0, 0]).all(axis=0))
    assert (values[:, ~valid] == 0).all()
    assert nodata == array[0, 0, 0]
    assert about == [
        f"{path}: 15% of the pixels are {text}, taken as nodata, which the file does not declare; "
        f"--nodata {text} confirms it, --nodata none takes it as a value"
    ]
    assert _opened(path, scale=1, nodata=float(text))[0] == []
    about, _, valid, _ = _opened(path, scale=1, nodata="none")
    assert (about, bool(valid.all())) == ([], True)


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_a_low_value_with_neighbours_is_a_value(tmp_path, dtype):
    array = np.linspace(-9999, 9999, 2000).reshape(1, 40, 50).astype(dtype)
    array[0, 0, :10] = -9999
    about, _, valid, _ = _opened(save(tmp_path / "a.tif", array), scale=10_000)
    assert about == []
    assert valid.all()


@pytest.mark.parametrize(
    ("dtype", "value", "place", "warns"),
    [
        ("uint16", 65535, {}, True),
        ("uint16", 65535, _PLACE, True),
        ("uint16", 0, _PLACE, True),
        ("uint8", 0, _PLACE, True),
        ("float32", 0, _PLACE, True),
        # a sky that is black to the camera
        ("uint16", 0, {}, False),
        ("uint8", 255, {}, False),
        ("int16", -1, _PLACE, False),
    ],
)
def test_a_value_that_sensors_reach_is_only_warned_of(tmp_path, dtype, value, place, warns):
    array = (np.abs(_reflectance("int32")) // (50 if dtype == "uint8" else 1) + 20).astype(dtype)
    rows = np.arange(40)[:, None]
    ragged = rows < 10 + noise(1, 1, 50)[0] % 7
    array[0, ragged] = value
    path = save(tmp_path / "a.tif", array, **place)
    about, _, valid, _ = _opened(path, scale=10_000)
    assert valid.all()
    share = f"{ragged.mean():.0%}"
    expected = f"{path}: {share} of the pixels are {value}, which may mark missing data; if so, give --nodata"
    assert about == ([f"{expected} {value}"] if warns else [])


def test_saturated_pixels_are_no_missing_data(tmp_path):
    array = noise(1, 40, 50, "uint16")
    array[0, :10, :10] = 65535
    assert _opened(save(tmp_path / "a.tif", array))[0] == []


def test_a_declared_value_is_believed(tmp_path):
    array = _reflectance("int16")
    array[0, :3], array[0, 3:6] = -9999, -32768
    about, _, valid, _ = _opened(save(tmp_path / "a.tif", array, nodata=-32768), scale=10_000)
    assert about == []
    assert valid.sum() == 37 * 50
