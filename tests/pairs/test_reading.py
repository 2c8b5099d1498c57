import warnings
from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.testing import assert_array_equal

from nircolor.errors import NircolorError, NircolorWarning
from nircolor.pairs import Pair, read_pair

RNG = np.random.default_rng(0)


def write(path: Path, bands: np.ndarray) -> Path:
    count, height, width = bands.shape
    profile = {"count": count, "height": height, "width": width, "dtype": bands.dtype}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(path, "w", driver="PNG", **profile) as file:
            file.write(bands)
    return path


def noise(*shape: int, dtype: str = "uint8") -> np.ndarray:
    return RNG.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


@pytest.fixture
def stored(tmp_path):
    """A pair on disk of 5 × 7 px, and what is in its files."""
    nir, rgb = noise(1, 5, 7), noise(3, 5, 7)
    return Pair("p", write(tmp_path / "nir.png", nir), write(tmp_path / "rgb.png", rgb)), nir, rgb


def test_bytes_come_back_as_fractions_of_255(stored):
    pair, stored_nir, stored_rgb = stored
    nir, rgb, valid = read_pair(pair)
    assert nir.dtype == rgb.dtype == np.float32
    assert_array_equal(nir, stored_nir / np.float32(255))
    assert_array_equal(np.rint(255 * rgb), stored_rgb)
    assert_array_equal(valid, np.ones((5, 7), bool))


def test_sixteen_bits_scale_by_their_own_range(stored, tmp_path):
    pair, _, _ = stored
    deep = noise(1, 5, 7, dtype="uint16")
    nir, _, _ = read_pair(Pair("p", write(tmp_path / "deep.png", deep), pair.rgb))
    assert_array_equal(nir, deep / np.float32(65535))


def test_gray_as_three_equal_channels_is_one_band(stored, tmp_path):
    pair, stored_nir, _ = stored
    tripled = write(tmp_path / "tripled.png", np.repeat(stored_nir, 3, axis=0))
    assert_array_equal(read_pair(Pair("p", tripled, pair.rgb))[0], read_pair(pair)[0])


def test_a_gray_view_in_colour_keeps_three_bands(stored, tmp_path):
    pair, stored_nir, _ = stored
    fog = write(tmp_path / "fog.png", np.repeat(stored_nir, 3, axis=0))
    assert read_pair(Pair("p", pair.nir, fog))[1].shape == (3, 5, 7)


def test_colour_as_nir_and_gray_as_colour_are_refused(stored):
    pair, _, _ = stored
    with (
        pytest.warns(NircolorWarning, match="not near-infrared"),
        pytest.raises(NircolorError, match=r"rgb\.png: expected 1 band, got 3"),
    ):
        read_pair(Pair("p", pair.rgb, pair.rgb))
    with pytest.raises(NircolorError, match=r"expected a picture of 3 bands as colour: .*nir\.png"):
        read_pair(Pair("p", pair.nir, pair.nir))


def test_valid_is_where_mask_and_alpha_agree(stored, tmp_path):
    pair, _, stored_rgb = stored
    mask = 255 * RNG.integers(0, 2, (1, 5, 7), np.uint8)
    alpha = 255 * RNG.integers(0, 2, (1, 5, 7), np.uint8)
    cut_out = write(tmp_path / "alpha.png", np.concatenate([stored_rgb, alpha]))
    masked = Pair("p", pair.nir, cut_out, write(tmp_path / "mask.png", mask))
    _, rgb, valid = read_pair(masked)
    assert rgb.shape == (3, 5, 7)
    assert_array_equal(valid, (mask[0] == 255) & (alpha[0] == 255))


def test_sizes_that_differ_name_both_files(stored, tmp_path):
    pair, _, _ = stored
    other = write(tmp_path / "other.png", noise(3, 4, 7))
    with pytest.raises(NircolorError, match=r"other\.png: expected 7 × 5 px as .*nir\.png, got 7 × 4"):
        read_pair(Pair("p", pair.nir, other))
    with pytest.raises(NircolorError, match=r"other\.png"):
        read_pair(Pair("p", pair.nir, pair.rgb, mask=write(other, noise(1, 4, 7))))


def test_an_unreadable_file_is_named(stored, tmp_path):
    pair, _, _ = stored
    text = tmp_path / "text.png"
    text.write_text("not a picture")
    for path in (text, tmp_path / "absent.png"):
        with pytest.raises(NircolorError, match=path.name):
            read_pair(Pair("p", path, pair.rgb))
