"""Reading with `nodata`: the value of invalid pixels that the user gives."""

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
