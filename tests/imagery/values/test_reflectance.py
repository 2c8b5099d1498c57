"""Whether values are reflectance: the user's options, refusals and warnings for models, the sRGB curve."""

import re
import warnings

import numpy as np
import pytest

from nircolor.errors import NircolorError, NircolorWarning
from nircolor.imagery import encode_srgb, open_raster
from tests.imagery.imagery_samples import noise, save, save_envi

S2, LANDSAT = "--scale 10000", "--scale 0.0000275 --offset -0.2"


@pytest.fixture(autouse=True)
def _warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def image(path, value=3000, dtype="uint16", name=None, **options):
    def setup(dataset):
        if name is not None:
            dataset.descriptions = (name,)

    return save(path, np.full((1, 6, 7), value, dtype), setup=setup, **options)


def options_in(text):
    """Return the first options in a message, as keywords of `open_raster`."""
    found = re.search(r"--scale ([\d.]+)(?: --offset (-?[\d.]+))?( --reflectance)?", text)
    scale, offset, reflectance = found.groups()
    return {
        "scale": float(scale),
        "offset": None if offset is None else float(offset),
        "reflectance": True if reflectance else None,
    }


# --- the options


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"scale": 10000}, 0.3),
        ({"scale": 0.0001}, 0.3),
        ({"scale": 10000, "offset": -0.1}, 0.2),
        ({"scale": 0.0000275, "offset": 0.2}, 0.2825),
        ({"scale": 6000, "offset": 1}, 1.0),
    ],
)
def test_a_scale_divides_and_an_offset_is_added(tmp_path, options, expected):
    with open_raster(image(tmp_path / "a.tif"), **options) as raster:
        np.testing.assert_allclose(raster.read()[0], expected, rtol=1e-6)
        assert raster.is_reflectance is None


def test_a_scale_below_1_is_the_value_for_1_in_floating_point(tmp_path):
    with open_raster(image(tmp_path / "a.tif", 0.25, "float32"), scale=0.5, offset=0.1) as raster:
        np.testing.assert_allclose(raster.read()[0], 0.6, rtol=1e-6)


def test_the_user_overrides_metadata(tmp_path):
    header = save_envi(tmp_path, np.full((1, 4, 5), 3000, np.uint16), reflectance_scale_factor="10000")
    for options, value, is_reflectance in (
        ({}, 0.3, True),
        ({"scale": 6000}, 0.5, True),
        ({"offset": -0.1}, 0.2, True),
        ({"reflectance": False}, 0.3, False),
        ({"scale": 6000, "reflectance": False}, 0.5, False),
    ):
        with open_raster(header, **options) as raster:
            np.testing.assert_allclose(raster.read()[0], value, rtol=1e-6)
            assert raster.is_reflectance is is_reflectance


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reflectance": True}, "as in --scale 10000"),
        ({"offset": -0.1}, "expected --scale beside --offset"),
        ({"scale": 10000, "offset": -1000}, r"from -1 to 1, .* got -1000; .* --offset -0.1$"),
        ({"scale": 0.0000275, "offset": 7272.727}, r"--offset -0.2$"),
        ({"scale": 10000, "offset": np.nan}, "from -1 to 1"),
        ({"scale": 0.5}, "a factor of at most 0.02 for uint16, got 0.5"),
        ({"scale": 10000, "stretch": (1, 99)}, "either --stretch or --scale"),
        ({"reflectance": True, "stretch": (1, 99)}, "either --stretch or --scale"),
    ],
)
def test_options_that_do_not_fit(tmp_path, options, message):
    with pytest.raises(NircolorError, match=message):
        open_raster(image(tmp_path / "a.tif"), **options)


# --- for a model of reflectance


@pytest.mark.parametrize(
    ("file_name", "band", "advice"),
    [
        ("a.tif", None, [S2, LANDSAT]),
        ("a.tif", "B08", [S2]),
        ("a.tif", "B8A", [S2]),
        ("T32TPS_20220101T102031_B08_10m.tif", None, [S2]),
        ("a.tif", "SR_B5", [LANDSAT]),
        ("LC09_L2SP_192028_20210715_20210721_02_T1_SR_B5.TIF", None, [LANDSAT]),
        ("LC08_L1TP_192028_20210715_20210721_02_T1_B5.TIF", None, ["--scale 0.00002 --offset -0.1"]),
    ],
)
@pytest.mark.parametrize("value", [200, 3000, 20000, 60000])
def test_integers_of_unknown_scale_are_refused(tmp_path, file_name, band, advice, value):
    path = image(tmp_path / file_name, value, name=band)
    with open_raster(path, encoding="reflectance") as raster:  # without a warning
        message = raster.values.error("reflectance", "model m")
    assert message.startswith(f"{path}: expected reflectance for model m, got uint16 values of unknown scale")
    for options in (S2, LANDSAT):
        assert (options in message) == (options in advice)
    assert advice[0] in message
    with open_raster(path, encoding="reflectance", **options_in(message)) as raster:
        assert raster.values.error("reflectance", "model m") is None


@pytest.mark.parametrize("dtype", ["int16", "uint32", "int32"])
def test_other_integers_are_refused_too(tmp_path, dtype):
    with open_raster(image(tmp_path / "a.tif", dtype=dtype), encoding="reflectance") as raster:
        assert S2 in raster.values.error("reflectance", "model m")
    with open_raster(image(tmp_path / "b.tif", nbits=12), encoding="reflectance") as raster:
        assert S2 in raster.values.error("reflectance", "model m")


def test_8_bits_are_taken_with_a_warning(tmp_path):
    path = image(tmp_path / "a.tif", 100, "uint8")
    with pytest.warns(NircolorWarning, match="255 as 1, wrong if .*--scale 255: this is right"):
        open_raster(path, encoding="reflectance")
    with open_raster(path, encoding="reflectance", scale=255) as raster:
        assert raster.values.error("reflectance", "model m") is None


@pytest.mark.parametrize("value", [30.0, 3000.0, 30000.0])
@pytest.mark.parametrize("encoding", ["reflectance", "gamma"])
def test_floats_that_would_be_white_are_refused(tmp_path, value, encoding):
    path = image(tmp_path / "a.tif", value, "float32")
    with open_raster(path, encoding=encoding) as raster:  # without a warning
        message = raster.values.error(encoding, "model m")
    assert "100 for percent, 10000 for reflectance × 10000" in message
    with open_raster(path, encoding=encoding, scale=value * 2) as raster:
        assert raster.values.error(encoding, "model m") is None


def test_floats_with_highlights_are_taken(tmp_path):
    values = np.full((1, 20, 20), 0.4, np.float32)
    values[0, 0] = 1.4
    with open_raster(save(tmp_path / "a.tif", values), encoding="reflectance") as raster:
        assert raster.values.error("reflectance", "model m") is None


def test_floats_that_were_divided_before_are_refused(tmp_path):
    header = save_envi(tmp_path, np.full((1, 4, 5), 0.3, np.float32), reflectance_scale_factor="10000")
    with open_raster(header) as raster:
        assert "nearly all black" in raster.values.error("gamma", "model m")
    with open_raster(header, scale=1) as raster:
        assert raster.values.error("gamma", "model m") is None


@pytest.mark.parametrize(("value", "message"), [(-5, "below 0"), (0.001, "reads as black")])
def test_dark_floats_cause_a_warning(tmp_path, value, message):
    with pytest.warns(NircolorWarning, match=message):
        open_raster(image(tmp_path / "a.tif", value, "float32"))


def test_what_is_declared_not_to_be_reflectance_is_refused(tmp_path):
    with open_raster(image(tmp_path / "a.tif"), scale=10000, reflectance=False) as raster:
        assert "--no-reflectance" in raster.values.error("reflectance", "model m")


# --- for a model of photographs


@pytest.mark.parametrize("value", [200, 3000, 20000, 60000])
@pytest.mark.parametrize(("band", "advice"), [("B08", S2), ("SR_B5", LANDSAT)])
def test_the_advice_for_a_satellite_does_not_depend_on_its_pixels(tmp_path, value, band, advice):
    path = image(tmp_path / "a.tif", value, name=band)
    with pytest.warns(NircolorWarning, match=re.escape(f"{advice} --reflectance")) as caught:
        open_raster(path, encoding="gamma")
    options = options_in(str(caught[0].message))
    with open_raster(path, encoding="gamma", **options) as raster:  # without a warning
        assert raster.is_reflectance
        assert raster.values.is_encoded_for("gamma")


def test_spectral_values_of_which_nothing_is_known_are_taken_as_a_photograph(tmp_path):
    header = save_envi(tmp_path, np.full((1, 4, 5), 0.3, np.float32), wavelength="{850}")
    message = "taken as encoded like a photograph"
    with pytest.warns(NircolorWarning, match=message), open_raster(header, encoding="gamma") as raster:
        assert not raster.values.is_encoded_for("gamma")
    for reflectance in (True, False):
        with open_raster(header, encoding="gamma", reflectance=reflectance) as raster:
            assert raster.values.is_encoded_for("gamma") == reflectance
    with open_raster(header, encoding="reflectance") as raster:
        assert not raster.values.is_encoded_for("reflectance")


def test_values_that_are_declared_not_to_be_reflectance_are_still_dark(tmp_path):
    header = save_envi(tmp_path, np.full((1, 4, 5), 3000, np.uint16), wavelength="{850}")
    with pytest.warns(NircolorWarning, match="very dark; give --scale 4095"):
        open_raster(header, encoding="gamma", reflectance=False)


@pytest.mark.parametrize("dtype", ["int16", "uint16", "int32", "uint32"])
def test_integers_that_use_a_small_part_of_their_range_are_dark(tmp_path, dtype):
    largest = np.iinfo(dtype).max
    for value, is_dark in ((4095, True), (largest // 5, True), (largest, False)):
        path = save(tmp_path / f"{value}.tif", np.full((1, 8, 8), value, dtype))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            open_raster(path, encoding="gamma").close()
        texts = [str(one.message) for one in caught]
        assert bool(texts) == is_dark, (value, texts)
        for text in texts:
            assert f"{dtype} without a value of" in text
            advice = "--scale 4095 for a camera" if value < 16384 else "--scale: 65535 for counts of 16 bits"
            assert advice in text


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_a_photograph_causes_no_warning(tmp_path, dtype):
    with open_raster(save(tmp_path / "a.tif", noise(1, 20, 20, dtype)), encoding="gamma") as raster:
        assert not raster.values.is_encoded_for("gamma")
        assert raster.values.error("gamma", "model m") is None


# --- the sRGB curve

_LINEAR = np.linspace(0, 1, 65536)


def test_the_srgb_curve_is_that_of_colour_science():
    colour = pytest.importorskip("colour")
    encoded = encode_srgb(_LINEAR)
    np.testing.assert_allclose(encoded, colour.cctf_encoding(_LINEAR, "sRGB"), atol=3e-7)
    np.testing.assert_allclose(encoded, colour.models.eotf_inverse_sRGB(_LINEAR), atol=3e-7)


def test_known_values_of_the_srgb_curve():
    # 21.4% is middle gray, 188 of 255 is half the light; below 0.31% the curve is straight
    np.testing.assert_allclose(
        encode_srgb(np.array([0.0, 0.001, 0.214041, 0.5, 1.0])), [0, 0.01292, 0.5, 0.735357, 1], atol=1e-6
    )


def test_the_srgb_curve_is_monotonic_in_16_bits():
    steps = np.rint(encode_srgb(_LINEAR) * 65535)
    assert (steps[0], steps[-1]) == (0, 65535)
    assert (np.diff(steps) >= 0).all()


def test_the_srgb_curve_clips_and_keeps_the_shape():
    linear = np.array([[[-1.0, 0.0], [1.0, 7.5]]])
    encoded = encode_srgb(linear)
    assert encoded.dtype == np.float32
    np.testing.assert_allclose(encoded, [[[0, 0], [1, 1]]], atol=1e-7)
    assert encoded.max() <= 1
    np.testing.assert_array_equal(linear, [[[-1, 0], [1, 7.5]]])
