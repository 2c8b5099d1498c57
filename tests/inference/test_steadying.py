"""Colours of a video are steady where nothing changes, and follow what changes."""

from itertools import pairwise

import numpy as np
import pytest

from nircolor.inference.steadying import Steadying, estimate_motion
from tests.video_samples import texture

RNG = np.random.default_rng(5)


def noisy(image, sigma=0.02):
    return (image + RNG.normal(0, sigma, image.shape)).astype(np.float32)


def coloured(nir, wobble=0.05):
    """Colours that differ from frame to frame as those of a network do: as a whole, and by the noise."""
    colour = np.stack([nir, 0.8 * nir, 0.6 * nir])
    return np.clip(colour + RNG.normal(0, wobble, (3, 1, 1)), 0, 1).astype(np.float32)


def steadied(frames):
    steadying = Steadying()
    pairs = [(nir, coloured(nir)) for nir in frames]
    results = []
    for nir, colour in pairs:
        steadying.begin(nir)
        results.append(steadying.finish(nir, colour))
    return [colour for _, colour in pairs], results, steadying


def flicker(images, skip=4):
    return np.mean([np.abs(b - a).mean() for a, b in pairwise(images[skip:])])


def test_a_still_scene_with_noise_flickers_a_fourth_at_most():
    scene = texture(96, 128)
    before, after, steadying = steadied([noisy(scene) for _ in range(16)])
    assert flicker(after) < flicker(before) / 4
    assert steadying.cuts == 0


def test_a_pan_flickers_a_fourth_at_most_at_aligned_pixels():
    scene = texture(140, 300, seed=2)
    frames = [noisy(scene[20:116, 5 * i : 5 * i + 128], 0.01) for i in range(16)]
    before, after, steadying = steadied(frames)

    def aligned(images):
        return np.mean(
            [np.abs(b[:, :, :-5] - a[:, :, 5:])[:, 8:-8, 8:-8].mean() for a, b in pairwise(images[4:])]
        )

    assert aligned(after) < aligned(before) / 4
    assert steadying.cuts == 0


def test_a_pan_by_half_pixels_flickers_a_fourth_at_most_and_stays_sharp():
    # details of few pixels; the pixels of a frame are the means of four, which are half a pixel apart
    fine = np.random.default_rng(4).random((220, 420)).astype(np.float32)
    for axis in (0, 1, 0, 1):
        fine = (np.roll(fine, 1, axis) + fine + np.roll(fine, -1, axis)) / 3
    fine = 0.5 * texture(220, 420) + 0.5 * fine

    def seen(i):
        view = fine[i : i + 192, 3 * i : 3 * i + 256]
        return view.reshape(96, 2, 128, 2).mean((1, 3))

    before, after, steadying = steadied([seen(i) for i in range(20)])

    def aligned(images):
        # after two frames, one pixel down and three across
        pairs = zip(images[4:], images[6:], strict=False)
        return np.mean([np.abs(b[:, :-1, :-3] - a[:, 1:, 3:])[:, 8:-8, 8:-8].mean() for a, b in pairs])

    assert aligned(after) < aligned(before) / 4
    assert steadying.cuts == 0
    energy = [
        np.mean([np.square(np.diff(image)).mean() for image in images[4:]]) for images in (after, before)
    ]
    assert 0.95 < energy[0] / energy[1] < 1.05


def test_nothing_is_left_behind_a_moving_object():
    scene = texture(96, 128)
    frames, sites = [], []
    for i in range(12):
        frame = scene.copy()
        frame[30:50, 8 * i : 8 * i + 20] = 0.95
        frames.append(frame)
        sites.append((slice(30, 50), slice(8 * i, 8 * i + 20)))
    steadying = Steadying()
    for i, nir in enumerate(frames):
        steadying.begin(nir)
        colour = np.stack([nir, 0.8 * nir, 0.6 * nir])
        result = steadying.finish(nir, colour)
        # the object's own place and those that it has left
        for site in sites[: i + 1]:
            assert np.abs(result - colour)[:, *site].max() < 0.03


def test_a_cut_is_found_at_its_frame_and_nothing_is_mixed():
    first, second = texture(96, 128, seed=1), texture(96, 128, seed=7)
    steadying, cuts = Steadying(), []
    for i in range(10):
        nir = noisy(first if i < 5 else second)
        cuts.append(steadying.begin(nir).is_cut)
        colour = coloured(nir)
        result = steadying.finish(nir, colour)
        if i == 5:
            np.testing.assert_array_equal(result, colour)
    assert cuts == [True] + [False] * 4 + [True] + [False] * 4


@pytest.mark.parametrize("gain", [0.7, 1.3])
def test_flickering_light_is_no_cut(gain):
    scene = 0.7 * texture(96, 128)
    assert not estimate_motion(noisy(scene), noisy(gain * scene)).is_cut


@pytest.mark.parametrize("motion", [(0, 0), (3, -7), (-20, 40)])
def test_motion_is_found_to_the_pixel(motion):
    scene = texture(200, 260, seed=3)
    down, right = motion
    before, after = scene[50:146, 60:188], scene[50 - down : 146 - down, 60 - right : 188 - right]
    found = estimate_motion(noisy(before, 0.01), noisy(after, 0.01))
    assert (found.down, found.right, found.is_cut) == (down, right, False)


def test_a_view_of_the_whole_image_is_averaged_until_a_cut():
    steadying, scene = Steadying(), texture(96, 128)
    views = []
    for i in range(8):
        nir = noisy(scene if i < 7 else texture(96, 128, seed=9))
        steadying.begin(nir)
        given = noisy(np.full((1, 16, 16), 0.5, np.float32), 0.004)
        views.append((given, steadying.view(given)))
        steadying.finish(nir, coloured(nir))
    assert np.abs(views[6][1] - views[5][1]).mean() < np.abs(views[6][0] - views[5][0]).mean() / 4
    np.testing.assert_array_equal(*views[7])
