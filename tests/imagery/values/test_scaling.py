"""Scaling to [0, 1]: the fixed rule, its warnings, and the stretch."""

import re
import warnings

import numpy as np
import pytest

from nircolor.errors import NircolorError, NircolorWarning
from nircolor.imagery import open_raster
from tests.imagery.imagery_samples import noise, save, save_envi


@pytest.fixture(autouse=True)
def _warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize(
    ("dtype", "full_scale"),
    [
        ("uint8", 255),
        ("int8", 127),
        ("uint16", 65535),
        ("int16", 32767),
        ("uint32", 2**32 - 1),
        ("int32", 2**31 - 1),
        ("float32", 1),
        ("float64", 1),
    ],
)
def test_the_range_of_the_type(tmp_path, dtype, full_scale):
    array = np.array([[[0, full_scale]]], dtype)
    with open_raster(save(tmp_path / "a.tif", array), nodata="none") as raster:
        assert raster.full_scale == full_scale
        np.testing.assert_array_equal(raster.read()[0], [[[0, 1]]])
        assert raster.dtype == dtype


def test_the_scale_does_not_depend_on_the_pixels(tmp_path):
    dark = save(tmp_path / "dark.png", np.full((1, 4, 4), 3, np.uint8), "PNG")
    with open_raster(dark) as raster:
        np.testing.assert_allclose(raster.read()[0], 3 / 255)


def test_negative_integers_are_black(tmp_path):
    path = save(tmp_path / "a.tif", np.array([[[-5, 32767]]], np.int16))
    with open_raster(path) as raster:
        values, valid = raster.read()
    assert values.tolist() == [[[0, 1]]]
    assert valid.all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_near_the_limits_of_the_type(tmp_path, dtype):
    top = float(np.finfo(dtype).max)
    path = save(tmp_path / "a.tif", np.array([[[-top, 0, top]]], dtype))
    with open_raster(path, stretch=(0, 100), nodata="none") as raster:
        np.testing.assert_allclose(raster.read()[0][0, 0], [0, 0.5, 1])
    # float32 holds neither number
    for scale in (1e-50, 1e50):
        with open_raster(path, scale=scale, nodata="none") as raster:
            np.testing.assert_allclose(raster.read()[0][0, 0], [0, 0, min(1, top / scale)])


def test_nbits_is_honoured(tmp_path):
    path = save(tmp_path / "a.tif", np.array([[[0, 4095]]], np.uint16), nbits=12)
    with open_raster(path) as raster:
        assert raster.full_scale == 4095
        assert raster.read()[0].max() == 1


@pytest.mark.parametrize(("largest", "scale"), [(200, 255), (1000, 1023), (4000, 4095), (16000, 16383)])
@pytest.mark.parametrize("shape", [(1, 20, 20), (1, 1200, 1000)])
def test_few_bits_in_many_cause_a_warning(tmp_path, largest, scale, shape):
    path = save(tmp_path / "a.tif", np.full(shape, largest, np.uint16))
    advice = "--scale 4095 for a camera of 12 bits (1023 for 10, 16383 for 14, 255 for 8)"
    with pytest.warns(NircolorWarning, match=rf"a\.tif.*{re.escape(advice)}"):
        open_raster(path).close()
    with open_raster(path, scale=scale) as raster:  # no warning: the user has spoken
        assert raster.full_scale == scale
        np.testing.assert_allclose(raster.read((0, 2, 0, 2))[0], largest / scale, rtol=1e-6)


def test_reflectances_in_few_bits_get_the_same_advice(tmp_path):
    for largest in (3000, 9000):
        path = save(
            tmp_path / "a.tif",
            np.full((1, 9, 9), largest, np.uint16),
            setup=lambda d: d.update_tags(1, ns="IMAGERY", CENTRAL_WAVELENGTH_UM="0.842"),
        )
        with pytest.warns(NircolorWarning, match="--scale 10000 --reflectance for reflectance × 10000"):
            open_raster(path).close()


def test_black_images_cause_no_warning(tmp_path):
    with open_raster(save(tmp_path / "a.tif", np.zeros((1, 9, 9), np.uint16))) as raster:
        assert not raster.read()[0].any()


def test_floats_far_above_one_cause_a_warning(tmp_path):
    path = save(tmp_path / "a.tif", np.full((1, 4, 4), 3000, np.float32))
    with pytest.warns(NircolorWarning, match="above 2.*--scale"):
        open_raster(path).close()


@pytest.mark.parametrize("scale", [0, -1, np.nan, np.inf])
def test_a_scale_must_be_positive(tmp_path, scale):
    with pytest.raises(NircolorError, match="positive --scale"):
        open_raster(save(tmp_path / "a.tif", noise(1, 4, 4)), scale=scale)


def test_reflectance_scale_of_envi(tmp_path):
    header = save_envi(tmp_path, np.full((1, 4, 4), 2500, np.uint16), reflectance_scale_factor="10000.0")
    with open_raster(header) as raster:
        assert (raster.full_scale, "reflectance" in raster.scale_rule) == (10000, True)
        np.testing.assert_allclose(raster.read()[0], 0.25)


def test_reflectance_scale_of_tags_and_of_bands(tmp_path):
    array = np.full((1, 4, 4), 6000, np.uint16)
    tagged = save(tmp_path / "t.tif", array, setup=lambda d: d.update_tags(BOA_QUANTIFICATION_VALUE="10000"))
    with open_raster(tagged) as raster:
        assert raster.full_scale == 10000

    def sentinel(dataset):
        dataset.scales, dataset.offsets = (0.0001,), (-0.1,)

    with open_raster(save(tmp_path / "s.tif", array, setup=sentinel)) as raster:
        assert raster.full_scale == pytest.approx(11000)
        np.testing.assert_allclose(raster.read()[0], 0.5, rtol=1e-6)


def test_gains_other_than_reflectance_are_ignored(tmp_path):
    def gain(dataset):
        dataset.scales = (0.5,)

    with open_raster(save(tmp_path / "a.tif", noise(1, 4, 4), setup=gain)) as raster:
        assert raster.full_scale == 255


def test_the_stretch_is_the_same_for_all_windows(tmp_path):
    array = np.linspace(1000, 2000, 101 * 100).reshape(1, 101, 100).astype(np.float32)
    path = save(tmp_path / "a.tif", array)
    with open_raster(path, stretch=(10, 90)) as raster:
        whole, _ = raster.read()
        part, _ = raster.read((50, 60, 0, 10))
        assert "stretch" in raster.scale_rule
        np.testing.assert_allclose(raster.black_white, [[[1100]], [[1900]]], atol=0.2)
    np.testing.assert_allclose(whole, np.clip((array - 1100) / 800, 0, 1), atol=1e-3)
    np.testing.assert_array_equal(part, whole[:, 50:60, :10])


def test_an_impossible_stretch_is_refused(tmp_path):
    path = save(tmp_path / "a.tif", np.full((1, 4, 4), 7, np.uint8))
    with pytest.raises(NircolorError, match="nothing to stretch"):
        open_raster(path, stretch=(2, 98))
    with pytest.raises(NircolorError, match="percentiles"):
        open_raster(path, stretch=(98, 2))


def test_a_stretch_keeps_white_for_the_smallest_value(tmp_path):
    array = np.arange(100, dtype=np.uint8).reshape(1, 10, 10)
    path = save(tmp_path / "a.tif", array, photometric="MINISWHITE")
    with open_raster(path, stretch=(0, 100)) as raster:
        np.testing.assert_allclose(raster.read()[0], 1 - array / 99, atol=1e-6)
