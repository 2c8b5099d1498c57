"""Still lifes look like something, in every band; charts hold what they are given."""

import numpy as np
import pytest

from nircolor.app.demo.camera import see
from nircolor.spectral.materials import WAVELENGTHS_NM
from nircolor.spectral.scenery import StillLife, chart, still_life
from nircolor.spectral.things import ELLIPSE, LEAF, STRIPE, Shape, Thing, polygon

SEEDS = range(5)


def life(seed: int, lines: int = 90, samples: int = 110) -> StillLife:
    return still_life(np.random.default_rng(seed), lines, samples, WAVELENGTHS_NM)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_still_life_is_reflectance(seed: int) -> None:
    scene = life(seed)
    assert 12 <= len(scene.things) - 1 <= 30
    assert scene.spectra.min() >= 0
    assert scene.spectra.max() < 1
    image = scene.reflectance()
    assert image.shape == (61, 90, 110)
    assert image.dtype == np.float32
    assert image.min() >= 0
    assert image.max() <= 1
    # light and shadow move it, but nothing is black where things are not, nothing burns out
    assert 0.01 < image.mean() < 0.8
    assert (image == 1).mean() < 0.01


def test_blocks_are_the_scene_line_by_line() -> None:
    scene = life(0, lines=40)
    blocks = list(scene.blocks())
    assert [block.shape for block in blocks] == [(61, 16, 110), (61, 16, 110), (61, 8, 110)]
    np.testing.assert_array_equal(np.concatenate(blocks, 1), scene.reflectance())


def test_the_same_seed_gives_the_same_scene_and_another_another() -> None:
    np.testing.assert_array_equal(life(1).reflectance(), life(1).reflectance())
    assert np.abs(life(1).reflectance() - life(2).reflectance()).mean() > 0.02


@pytest.mark.parametrize("seed", SEEDS)
def test_a_still_life_has_many_colours_and_structure_in_near_infrared(seed: int) -> None:
    white = see(np.ones(61))
    seen = np.moveaxis(see(np.moveaxis(life(seed).reflectance(), 0, -1)) / white, -1, 0)
    rgb, nir = np.clip(seen[:3], 1e-3, None), seen[3]
    saturation = 1 - rgb.min(0) / rgb.max(0)
    assert np.percentile(saturation, 90) > 0.4  # the ground, half of the image, may be gray
    # chromaticities in steps of 0.05 that fill at least 0.5 % of the image each
    steps = np.floor(rgb[:2] / rgb.sum(0) / 0.05).astype(int).reshape(2, -1)
    sizes = np.unique(steps, axis=1, return_counts=True)[1]
    assert (sizes > 0.005 * steps.shape[1]).sum() >= 6
    assert nir.std() > 0.08
    # texture: hardly two neighbours alike, few of them edges
    across = np.abs(np.diff(nir, axis=1))
    assert (across > 1e-4).mean() > 0.6
    assert np.median(across) < 0.05


@pytest.mark.parametrize("shape", [ELLIPSE, LEAF, STRIPE, polygon(3), polygon(7)])
@pytest.mark.parametrize("long_px", [6.0, 50.0])
def test_a_thing_changes_nothing_outside_its_square(shape: Shape, long_px: float) -> None:
    # a corner towards the lower right throws its shadow furthest
    for turn_rad in np.arange(16) * np.pi / 8:
        rng = np.random.default_rng(0)
        thing = Thing(rng, shape, (20.3, 30.8), float(turn_rad), long_px, long_px / 2)
        end_row, end_column = thing.top + thing.side_px, thing.left + thing.side_px
        around = np.arange(-30, thing.side_px + 30)
        for rows, columns in (
            (np.arange(thing.top - 30, thing.top), thing.left + around),
            (np.arange(end_row, end_row + 30), thing.left + around),
            (thing.top + around, np.arange(thing.left - 30, thing.left)),
            (thing.top + around, np.arange(end_column, end_column + 30)),
        ):
            cover, shadow, _, _ = thing.look(rows, columns)
            assert cover.max() == 0
            assert shadow.min() == 1
        inside, _, light, mixture = thing.look(np.array([20]), np.array([31]))
        assert inside == 1
        assert 0.2 <= light <= 1.2
        assert 0 <= mixture <= 1


def test_a_chart_holds_its_spectra_where_it_says() -> None:
    spectra = np.random.default_rng(0).uniform(0, 1, (8, 5)).astype(np.float32)
    image, rectangles = chart(spectra, columns=3, patch_px=7, gap_px=2, gap_reflectance=0.4)
    assert image.shape == (5, 3 * 9 + 2, 3 * 9 + 2)
    assert len(rectangles) == 8
    untouched = np.ones(image.shape[1:], bool)
    for spectrum, (lines, samples) in zip(spectra, rectangles, strict=True):
        patch = image[:, lines, samples]
        assert patch.shape == (5, 7, 7)
        assert (patch == spectrum[:, None, None]).all()
        assert untouched[lines, samples].all()
        untouched[lines, samples] = False
    assert (image[:, untouched] == np.float32(0.4)).all()
    assert untouched[:2].all()
    assert untouched[-2:].all()
    assert untouched[:, :2].all()
    assert untouched[:, -2:].all()
