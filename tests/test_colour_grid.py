import numpy as np
import pytest

from nircolor.colour_grid import ColourGrid

RNG = np.random.default_rng(3)


def _everywhere(nir):
    return np.ones(nir.shape, bool)


def _fit(nir, output, valid=None):
    return ColourGrid.fit(nir, output, _everywhere(nir) if valid is None else valid)


def _whole(grid, nir, **options):
    return grid.apply(nir, (0, 0), nir.shape, **options)


@pytest.mark.parametrize("shape", [(1, 1), (5, 300), (37, 50)])
@pytest.mark.parametrize("zoom", [1, 3])
def test_an_even_difference_is_kept_at_any_size(shape, zoom):
    nir = RNG.random(shape, np.float32)
    tint = np.array([0.1, -0.2, 0.05], np.float32)[:, None, None]
    full = RNG.random((shape[0] * zoom, shape[1] * zoom), np.float32)
    np.testing.assert_allclose(_whole(_fit(nir, nir + tint), full), full + tint, atol=1e-5)


def test_colours_do_not_leak_across_an_edge():
    truth = np.zeros((3, 96, 96), np.float32)
    nir = np.full((96, 96), 0.2, np.float32)
    nir[:, 48:] = 0.8
    truth[2, :, :48], truth[1, :, 48:] = 0.5, 0.5
    # the colours of both sides are mixed over 8 px
    share = np.clip((np.arange(96) - 43.5) / 8, 0, 1).astype(np.float32)
    leaking = truth[:, :, :1] + share * (truth[:, :, -1:] - truth[:, :, :1])
    grid = _fit(nir, leaking)
    zoom = 4
    full = nir.repeat(zoom, 0).repeat(zoom, 1)
    error = np.abs(_whole(grid, full) - truth.repeat(zoom, 1).repeat(zoom, 2)).max((0, 1))
    before = np.abs(leaking - truth).max((0, 1)).repeat(zoom)
    assert before.max() > 0.2
    # all but the pixels where the mixture is strongest
    beside = np.abs(np.arange(96 * zoom) - 48 * zoom + 0.5) > 2.5 * zoom
    assert before[beside].max() > 0.09
    assert error[beside].max() < 0.06


def test_detail_comes_from_the_full_size():
    nir = np.full((40, 40), 0.5, np.float32)
    full = np.clip(0.5 + RNG.normal(0, 0.1, (160, 160)), 0, 1).astype(np.float32)
    colour = _whole(_fit(nir, np.stack([nir, nir - 0.1, nir + 0.1])), full)
    np.testing.assert_allclose(colour[1], full - 0.1, atol=1e-4)


def test_windows_are_parts_of_the_whole():
    nir = RNG.random((60, 80), np.float32)
    output = RNG.random((4, 60, 80), np.float32)
    grid, full = _fit(nir, output), RNG.random((150, 1000), np.float32)
    whole = _whole(grid, full, with_error=True)
    window = grid.apply(full[37:, 501:613], (37, 501), full.shape, with_error=True)
    np.testing.assert_array_equal(window, whole[:, 37:, 501:613])
    np.testing.assert_array_equal(_whole(grid, full), whole[:3])


def test_places_keep_their_own_colours():
    # as bright everywhere, red on the left and blue on the right
    nir = np.full((90, 240), 0.4, np.float32)
    output = np.zeros((3, 90, 240), np.float32)
    output[0, :, :120], output[2, :, 120:] = 0.6, 0.6
    red, _, blue = _whole(_fit(nir, output), nir)
    assert red[:, :60].min() > 0.59
    assert red[:, 180:].max() < 0.01
    assert blue[:, 180:].min() > 0.59


def test_invalid_pixels_do_not_count():
    nir = np.full((50, 50), 0.4, np.float32)
    valid = _everywhere(nir)
    valid[:, 20:] = False
    output = np.where(valid, nir + 0.1, 0.9)[None].repeat(3, 0).astype(np.float32)
    colour = _whole(_fit(nir, output, valid), nir)
    np.testing.assert_allclose(colour[:, :, :20], 0.5, atol=1e-4)


def test_an_image_without_a_valid_pixel_stays_gray():
    nir = np.full((20, 30), 0.3, np.float32)
    colour = _whole(_fit(nir, RNG.random((3, 20, 30), np.float32), np.zeros((20, 30), bool)), nir)
    np.testing.assert_allclose(colour, 0.3, atol=1e-6)


def test_brightness_that_the_reduced_image_lacks_takes_the_colour_of_its_place():
    nir = np.full((60, 60), 0.3, np.float32)
    full = nir.repeat(2, 0).repeat(2, 1)
    full[50, 50] = 1
    colour = _whole(_fit(nir, np.stack([nir - 0.1] * 3)), full)
    np.testing.assert_allclose(colour[:, 50, 50], 0.9, atol=1e-3)


def test_the_bound_is_smoothed_as_the_colours_are():
    nir = np.full((60, 60), 0.3, np.float32)
    nir[:, 30:] = 0.7
    output = np.stack([nir, nir, nir, np.where(nir > 0.5, 0.25, 0.1).astype(np.float32)])
    bound = _whole(_fit(nir, output), nir, with_error=True)[3]
    np.testing.assert_allclose(bound[:, :25], 0.1, atol=0.005)
    np.testing.assert_allclose(bound[:, 35:], 0.25, atol=0.005)


def test_colours_that_brightness_does_not_tell_apart_stay_as_they_are():
    # gaps in a tree are as bright as the sky above it
    nir = np.full((60, 120), 0.4, np.float32)
    nir[30:] = 0.8
    gaps = np.zeros(nir.shape, bool)
    gaps[34:56:6, 2::6] = gaps[35:56:6, 2::6] = gaps[34:56:6, 3::6] = gaps[35:56:6, 3::6] = True
    nir[gaps] = 0.4
    sky = np.array([0.5, 0.6, 0.9], np.float32)
    output = np.full((3, *nir.shape), 0.1, np.float32)
    output[:, :30] = sky[:, None, None]
    colour = _whole(_fit(nir, output), nir)
    assert np.abs(colour[:, gaps] - 0.1).max() < 0.06
    np.testing.assert_allclose(colour[:, :20], output[:, :20], atol=0.01)


def test_colours_of_invalid_pixels_reach_no_valid_one():
    nir = RNG.random((50, 60), np.float32)
    valid = np.ones(nir.shape, bool)
    valid[20:30, 10:40] = False
    output = RNG.random((4, *nir.shape), np.float32)
    full = RNG.random((100, 120), np.float32)
    expected = _whole(_fit(nir, output, valid), full, with_error=True)
    changed = np.where(valid, output, 1 - output)
    np.testing.assert_array_equal(_whole(_fit(nir, changed, valid), full, with_error=True), expected)
