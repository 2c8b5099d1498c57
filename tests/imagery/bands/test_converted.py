import warnings

import numpy as np
import pytest

from nircolor.errors import ColourPhotographError, NircolorError, NircolorWarning
from nircolor.imagery import open_raster
from nircolor.imagery.bands.converted import refuse_one_tint
from tests.imagery.imagery_samples import save

RNG = np.random.default_rng(4)
NIR = np.kron(RNG.random((8, 10)), np.ones((6, 6)))


def converted_image(dtype="uint8", top=255):
    """NIR through the three filters of a converted camera, red strongest."""
    leaks = np.array([0.9, 0.55, 0.6])[:, None, None]
    noise = RNG.normal(0, 0.01, (3, *NIR.shape))
    return (top * np.clip(leaks * (0.1 + 0.8 * NIR) + noise, 0, 1)).astype(dtype)


def read(path, **options):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", NircolorWarning)
        with open_raster(path, **options) as raster:
            values, valid = raster.read()
    return values, valid, [str(one.message) for one in caught]


@pytest.mark.parametrize(("driver", "name"), [("PNG", "a.png"), ("JPEG", "a.jpg"), ("GTiff", "a.tif")])
def test_the_mean_of_the_channels_is_the_image(tmp_path, driver, name):
    path = tmp_path / name
    image = converted_image()
    save(path, image, driver)
    values, _, messages = read(path, converted=True)
    assert values.shape == (1, *NIR.shape)
    tolerance = 0.15 if driver == "JPEG" else 0.5 / 255
    assert np.abs(values[0] - image.mean(0) / 255).max() <= tolerance + 1e-6
    assert np.corrcoef(values[0].ravel(), NIR.ravel())[0, 1] > 0.99
    assert messages == []


def test_16_bits_and_alpha(tmp_path):
    image = converted_image("uint16", 65535)
    alpha = np.full(NIR.shape, 65535, "uint16")
    alpha[:5] = 0
    save(tmp_path / "a.png", np.concatenate([image, alpha[None]]), "PNG")
    values, valid, _ = read(tmp_path / "a.png", converted=True)
    assert not valid[:5].any()
    assert valid[5:].all()
    assert np.abs(values[0, 5:] - image.mean(0)[5:] / 65535).max() < 1e-5


def test_it_is_recognized_and_the_option_offered(tmp_path):
    save(tmp_path / "a.png", converted_image(), "PNG")
    values, _, (message,) = read(tmp_path / "a.png")
    assert len(values) == 3
    assert "converted camera; --from converted reads the mean of its channels" in message
    with pytest.raises(ColourPhotographError):
        open_raster(tmp_path / "a.png", refuse_colour=True)


def test_colour_photographs_are_not_taken_for_it(tmp_path):
    image = converted_image()
    # the same tint, with colours in it
    image[1:, :, 30:] = 200 - image[1:, :, 30:]
    save(tmp_path / "colours.png", image, "PNG")
    # the same structure, not red
    save(tmp_path / "blue.png", converted_image()[::-1], "PNG")
    for name in ("colours.png", "blue.png"):
        (message,) = read(tmp_path / name)[2]
        assert "looks like a colour photograph" in message


@pytest.mark.parametrize("tint", [(1, 0.87, 0.67), (0.9, 0.6, 0.45), (0.9, 0.7, 0.65)])
def test_sepia_and_warm_light_are_not_taken_for_it(tmp_path, tint):
    image = 255 * np.array(tint)[:, None, None] * (0.1 + 0.85 * NIR) + RNG.normal(0, 2, (3, *NIR.shape))
    save(tmp_path / "warm.png", image.clip(0, 255).astype("uint8"), "PNG")
    (message,) = read(tmp_path / "warm.png")[2]
    assert "looks like a colour photograph" in message
    # the camera may have been converted all the same
    assert "--from converted" in message


def test_one_tint_is_told_from_colours():
    noise = RNG.normal(0, 0.006, (3, NIR.size))
    for tint in ((1, 1, 1), (0.9, 0.45, 0.5), (0.95, 0.83, 0.64)):
        with pytest.raises(NircolorError, match=r"^sepia\.png: .* got shades of one colour"):
            refuse_one_tint(np.array(tint)[:, None] * NIR.ravel() + noise, "sepia.png")
    # a pale picture: half of it is slightly green
    colours = np.array([[0.5], [0.5], [0.5]]) * NIR.ravel()
    colours[1, ::2] *= 1.15
    refuse_one_tint(colours, "pale.png")


def test_gray_images_are_read_as_they_are(tmp_path):
    gray = converted_image()[:1]
    save(tmp_path / "gray.png", gray, "PNG")
    save(tmp_path / "three.png", np.repeat(gray, 3, 0), "PNG")
    for name in ("gray.png", "three.png"):
        values, _, messages = read(tmp_path / name, converted=True)
        assert np.array_equal(np.rint(255 * values[0]), gray[0])
        assert messages == []


def test_either_bands_or_converted(tmp_path):
    save(tmp_path / "a.png", converted_image(), "PNG")
    with pytest.raises(NircolorError, match=r"a\.png: expected either --from converted or --bands"):
        open_raster(tmp_path / "a.png", converted=True, bands_nm=[850, 900, 940])
