"""Reduced views are exact area means for all sizes, strips and invalid pixels."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nircolor.imagery import open_raster
from nircolor.imagery.reduction import AreaMean
from tests.imagery.imagery_samples import noise, save

sizes = st.integers(1, 40)


def _shares(full: int, reduced: int) -> np.ndarray:
    """Return (reduced, full): the share of each input pixel inside each output pixel."""
    step = full / reduced
    return np.array(
        [[max(0, min(i + 1, (j + 1) * step) - max(i, j * step)) for i in range(full)] for j in range(reduced)]
    )


@settings(max_examples=60, deadline=None)
@given(sizes, sizes, sizes, sizes, st.integers(1, 9), st.floats(0, 1), st.integers(0, 1000))
# sizes whose quotient, times the size, rounds below the whole
@example(4, 15, 2, 11, 4, 0.0, 0)
@example(4, 26, 2, 23, 4, 0.0, 0)
def test_area_mean_is_the_weighted_mean(height, width, h, w, strip, holes, seed):
    rng = np.random.default_rng(seed)
    valid = rng.random((height, width)) >= holes
    values = (rng.random((2, height, width)) * valid).astype(np.float32)
    mean = AreaMean(2, (height, width), (h, w))
    for row in range(0, height, strip):
        mean.add(row, values[:, row : row + strip], valid[row : row + strip])
    got, got_valid = mean.result()
    rows, cols = _shares(height, h), _shares(width, w)
    weight = rows @ valid @ cols.T
    expected = np.where(weight > 1e-6, rows @ values @ cols.T / np.maximum(weight, 1e-9), 0)
    sure = (weight > 1e-3) | (weight == 0)  # a sliver of a pixel is a matter of rounding
    np.testing.assert_allclose(got[:, sure], expected[:, sure], atol=2e-3)
    np.testing.assert_array_equal(got_valid[sure], weight[sure] > 0)


@pytest.mark.parametrize("tiled", [False, True])
def test_a_reduced_view_is_the_block_mean(tmp_path, tiled):
    array = noise(2, 96, 64, "uint16")
    options = {"tiled": True, "blockxsize": 16, "blockysize": 16} if tiled else {}
    with open_raster(save(tmp_path / "a.tif", array, **options)) as raster:
        view, valid = raster.read(out_shape=(12, 8))
        part, _ = raster.read((16, 80, 8, 40), bands=[1], out_shape=(8, 4))
    np.testing.assert_allclose(view, (array / 65535).reshape(2, 12, 8, 8, 8).mean(axis=(2, 4)), atol=1e-6)
    np.testing.assert_array_equal(part, view[1:, 2:10, 1:5])
    assert valid.all()


def test_invalid_pixels_do_not_change_the_mean(tmp_path):
    array = np.full((1, 8, 8), 0.5, np.float32)
    array[0, :4, :4] = np.nan
    array[0, 4, 4] = np.inf
    array[0, 5, 5] = -9999
    with open_raster(save(tmp_path / "a.tif", array, nodata=-9999)) as raster:
        view, valid = raster.read(out_shape=(2, 2))
    assert valid.tolist() == [[False, True], [True, True]]
    np.testing.assert_array_equal(view[0], [[0, 0.5], [0.5, 0.5]])


def test_an_image_read_in_several_strips(tmp_path, monkeypatch):
    monkeypatch.setattr("nircolor.imagery.raster._STRIP_VALUES", 640)
    array = noise(1, 90, 64)
    with open_raster(save(tmp_path / "a.png", array, "PNG")) as raster:
        view, _ = raster.read(out_shape=(9, 8))
    np.testing.assert_allclose(view, (array / 255).reshape(1, 9, 10, 8, 8).mean(axis=(2, 4)), atol=1e-6)


def test_a_view_larger_than_the_image_repeats_pixels(tmp_path):
    array = noise(1, 1, 3)
    with open_raster(save(tmp_path / "a.tif", array)) as raster:
        view, valid = raster.read(out_shape=(4, 6))
    np.testing.assert_allclose(view[0], np.repeat(np.repeat(array[0] / 255, 4, 0), 2, 1), atol=1e-6)
    assert valid.all()


@pytest.mark.parametrize("value", [0, 255])
def test_a_view_of_black_or_white_stays_in_the_range(tmp_path, value):
    array = noise(2, 24, 20)
    array[:, 5:, 3:] = value
    with open_raster(save(tmp_path / "a.tif", array)) as raster:
        for shape in ((7, 3), (11, 13), (23, 19), (37, 31)):
            view, _ = raster.read(out_shape=shape)
            assert 0 <= view.min() <= view.max() <= 1
