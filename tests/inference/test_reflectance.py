"""Tests of reflectance as the input of models for encoded photographs and for linear values."""

import warnings

import numpy as np
import pytest

from nircolor.errors import NircolorWarning
from nircolor.imagery import encode_srgb, open_raster
from nircolor.inference import Colorizer, Reading
from tests.imagery.envi_captures import Sensor, listed, random_scene, save_cube
from tests.imagery.imagery_samples import load, noise, save
from tests.tiny_models import per_pixel


@pytest.fixture(autouse=True)
def _warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def _broad(folder, scene):
    """A capture whose middle bands are within the width of a broad-band model."""
    return Sensor(bands=4).save(
        folder / "a.hdr", scene, wavelength=listed([500, 830, 870, 990]), wavelength_units="nm"
    )


def test_a_capture_is_colorized_like_an_encoded_photograph(tmp_path):
    scene = random_scene(40, 4) ** 2
    header = _broad(tmp_path, scene)
    model = Colorizer("scene")
    model.colorize_file(header, tmp_path / "a.png", depth=16)
    wanted = model.colorize(encode_srgb(scene[:, 1:3].mean(1)[None]))
    got = load(tmp_path / "a.png")[0] / 65535
    np.testing.assert_allclose(got, wanted, atol=2e-3)


@pytest.mark.parametrize("kind", ["capture", "cube", "bands"])
def test_reflectances_are_encoded_for_models_of_photographs(tmp_path, tiny, kind):
    scene = random_scene(12, 4) ** 2
    mean = scene[:, 1:3].mean(1)
    wavelength = listed([500, 830, 870, 990])
    if kind == "capture":
        path = _broad(tmp_path, scene)
    elif kind == "cube":
        counts = np.rint(scene * 10000).astype("u2")
        path = save_cube(
            tmp_path / "a.hdr", counts, wavelength=wavelength, reflectance_scale_factor="10000.0"
        )
    else:

        def product(dataset):
            dataset.scales = (1e-4,) * 4
            for band, nm in enumerate((500, 830, 870, 990), 1):
                dataset.update_tags(band, wavelength=str(nm))

        counts = np.rint(scene * 10000).astype("u2").transpose(1, 0, 2)
        path = save(tmp_path / "a.tif", counts, setup=product)
    Colorizer(tiny("per_pixel")).colorize_file(path, tmp_path / "a.png", depth=16)
    red, green, blue = load(tmp_path / "a.png")[0] / 65535
    np.testing.assert_allclose(red, encode_srgb(mean), atol=6e-3)
    np.testing.assert_allclose(green, encode_srgb(mean) / 2, atol=6e-3)
    np.testing.assert_allclose(blue, 1 - encode_srgb(mean), atol=6e-3)


def test_the_reduced_view_is_averaged_after_encoding(tmp_path, tiny):
    """As in training and for arrays; encoding the mean would be brighter."""
    scene = np.zeros((256, 4, 24))
    scene[::2] = 1
    Colorizer(tiny("position")).colorize_file(_broad(tmp_path, scene), tmp_path / "a.png", depth=16)
    np.testing.assert_allclose(load(tmp_path / "a.png")[0][2] / 65535, 0.5, atol=2e-3)


def test_images_of_cameras_are_not_encoded(tmp_path, tiny):
    nir = noise(1, 8, 8)
    path = save(tmp_path / "n.png", nir, "PNG")
    Colorizer(tiny("per_pixel")).colorize_file(path, tmp_path / "a.png")
    np.testing.assert_array_equal(load(tmp_path / "a.png")[0][0], nir[0])
    # nor a capture that the user scales, nor any for a model of linear light
    header = _broad(tmp_path, np.full((8, 4, 24), 0.25))
    with pytest.warns(NircolorWarning, match="taken as encoded like a photograph"):
        Colorizer(tiny("per_pixel")).colorize_file(
            header, tmp_path / "b.png", reading=Reading(scale=4095), depth=16
        )
    with open_raster(header, scale=4095) as raster:
        mean = raster.read(bands=[1, 2])[0].mean(0)
    np.testing.assert_allclose(load(tmp_path / "b.png")[0][0] / 65535, mean, atol=2e-5)


def test_reflectances_stay_linear_for_models_of_linear_light(tmp_path):
    header = _broad(tmp_path, np.full((8, 4, 24), 0.25))
    model = per_pixel(tmp_path / "m.onnx", encoding="reflectance", white_reflectance=1.0)
    Colorizer(model).colorize_file(header, tmp_path / "c.png", depth=16)
    np.testing.assert_allclose(load(tmp_path / "c.png")[0][0] / 65535, 0.25, atol=1e-3)
