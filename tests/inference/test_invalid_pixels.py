"""Tests that invalid pixels are filled with the same values in training, evaluation and use."""

import numpy as np
import pytest

from nircolor.imagery import fill_invalid, open_raster
from nircolor.inference import Colorizer
from nircolor.pairs import Pair, read_nir, read_pair
from tests.imagery.imagery_samples import save
from tests.tiny_models import BROAD


@pytest.fixture(params=["uint8", "uint16"])
def pair(tmp_path, request):
    """A pair of 300 x 280 px whose NIR is invalid in a rectangle, by nodata."""
    rng = np.random.default_rng(0)
    nir = rng.integers(1, np.iinfo(request.param).max, (1, 300, 280), request.param)
    nir[0, 40:200, 30:150] = 0
    rgb = rng.integers(0, 255, (3, 300, 280), np.uint8)
    return Pair("p", save(tmp_path / "nir.tif", nir, nodata=0), save(tmp_path / "rgb.png", rgb, "PNG"))


def _tiles(colorizer, path, output):
    """The tiles that the network sees when a file is colorized whole."""
    seen, run = [], colorizer._engine.run
    colorizer._engine.run = lambda tile, *rest: seen.append(tile) or run(tile, *rest)
    colorizer.colorize_file(path, output)
    return seen


def test_pairs_are_filled_like_the_input_of_the_engine(pair, tiny, tmp_path):
    colorizer = Colorizer(tiny("per_pixel"), tile_px=512)
    (tile,) = _tiles(colorizer, pair.nir, tmp_path / "out.tif")
    nir, _, valid = read_pair(pair, BROAD)
    np.testing.assert_allclose(nir, tile[:, :300, :280], atol=1e-6)
    assert not valid[40:200, 30:150].any()
    mean = nir[0][valid].mean()
    np.testing.assert_allclose(nir[0, 40:200, 30:150], mean, atol=0.01)
    for bands in (None, BROAD):
        np.testing.assert_array_equal(read_nir(pair, bands)[0], nir)


def test_training_samples_are_filled_like_the_input_of_the_engine(pair, tiny, tmp_path):
    pytest.importorskip("torch")
    from nircolor.training.sampling import ImagePair

    (tile,) = _tiles(Colorizer(tiny("per_pixel"), tile_px=512), pair.nir, tmp_path / "out.tif")
    planes = ImagePair.from_arrays(pair.name, *read_pair(pair, BROAD)).as_float().numpy()
    # 8-bit images stay 8-bit in memory: the fill value is rounded to a level
    np.testing.assert_allclose(planes[:1], tile[:, :300, :280], atol=0.51 / 255)


def test_8_bit_pairs_with_invalid_pixels_stay_8_bit_in_memory(pair):
    torch = pytest.importorskip("torch")
    from nircolor.training.sampling import ImagePair

    nir, rgb, valid = read_pair(pair, BROAD)
    with open_raster(pair.nir) as raster:
        expected = torch.uint8 if raster.depth == 8 else torch.float32
    assert ImagePair.from_arrays("p", nir, rgb, valid).pixels.dtype == expected


def test_an_image_without_invalid_pixels_is_returned_as_it_is():
    image = np.random.default_rng(0).random((2, 5, 7), np.float32)
    assert fill_invalid(image, np.ones((5, 7), bool)) is image


def test_an_image_without_valid_pixels_becomes_zero():
    image = np.full((2, 5, 7), 0.3, np.float32)
    np.testing.assert_array_equal(fill_invalid(image, np.zeros((5, 7), bool)), 0)
