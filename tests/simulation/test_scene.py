"""Still lifes have objects, colours and texture; the reflectance of materials is physically plausible."""

import numpy as np
import pytest

from nircolor.simulation import MATERIALS, WAVELENGTHS_NM, StillLife, material_reflectance, still_life
from nircolor.simulation.scene import ELLIPSE, LEAF, STRIPE, SceneObject, Shape, polygon

SEEDS = range(5)


def life(seed: int, lines: int = 90, samples: int = 110) -> StillLife:
    return still_life(np.random.default_rng(seed), lines, samples, WAVELENGTHS_NM)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_still_life_is_valid_reflectance(seed: int) -> None:
    scene = life(seed)
    assert 12 <= len(scene.objects) - 1 <= 30
    assert scene.spectra.min() >= 0
    assert scene.spectra.max() < 1
    image = scene.reflectance()
    assert image.shape == (61, 90, 110)
    assert image.dtype == np.float32
    assert image.min() >= 0
    assert image.max() <= 1
    # shading changes the brightness, but hardly any pixel is black or saturated
    assert 0.01 < image.mean() < 0.8
    assert (image == 1).mean() < 0.01


def test_blocks_make_up_the_scene() -> None:
    scene = life(0, lines=40)
    blocks = list(scene.blocks())
    assert [block.shape for block in blocks] == [(61, 16, 110), (61, 16, 110), (61, 8, 110)]
    np.testing.assert_array_equal(np.concatenate(blocks, 1), scene.reflectance())


def test_the_scene_depends_on_the_seed() -> None:
    np.testing.assert_array_equal(life(1, 40, 50).reflectance(), life(1, 40, 50).reflectance())
    assert np.abs(life(1, 40, 50).reflectance() - life(2, 40, 50).reflectance()).mean() > 0.02


@pytest.mark.parametrize("seed", SEEDS)
def test_a_still_life_has_many_colours_and_texture_in_nir(seed: int) -> None:
    reflectance = life(seed).reflectance()
    # mean reflectance of red, green, blue and NIR bands 80 nm wide
    red, green, blue, nir = (
        reflectance[np.abs(WAVELENGTHS_NM - center_nm) <= 40].mean(0) for center_nm in (620, 540, 450, 850)
    )
    rgb = np.clip([red, green, blue], 1e-3, None)
    saturation = 1 - rgb.min(0) / rgb.max(0)
    assert np.percentile(saturation, 90) > 0.4  # the ground, half of the image, may be gray
    # count chromaticities, in steps of 0.05, that fill at least 0.5 % of the image each
    steps = np.floor(rgb[:2] / rgb.sum(0) / 0.05).astype(int).reshape(2, -1)
    sizes = np.unique(steps, axis=1, return_counts=True)[1]
    assert (sizes > 0.005 * steps.shape[1]).sum() >= 6
    assert nir.std() > 0.08
    # texture: most neighbours differ, few of them by much
    across = np.abs(np.diff(nir, axis=1))
    assert (across > 1e-4).mean() > 0.6
    assert np.median(across) < 0.05


@pytest.mark.parametrize("shape", [ELLIPSE, LEAF, STRIPE, polygon(3), polygon(7)])
@pytest.mark.parametrize("long_px", [6.0, 50.0])
def test_an_object_changes_nothing_outside_of_its_square(shape: Shape, long_px: float) -> None:
    # the shadow reaches furthest off a corner at the lower right
    for angle in np.arange(16) * np.pi / 8:
        rng = np.random.default_rng(0)
        item = SceneObject(rng, shape, (20.3, 30.8), float(angle), long_px, long_px / 2)
        end_row, end_column = item.top + item.side_px, item.left + item.side_px
        around = np.arange(-30, item.side_px + 30)
        for rows, columns in (
            (np.arange(item.top - 30, item.top), item.left + around),
            (np.arange(end_row, end_row + 30), item.left + around),
            (item.top + around, np.arange(item.left - 30, item.left)),
            (item.top + around, np.arange(end_column, end_column + 30)),
        ):
            cover, shadow, _, _ = item.render(rows, columns)
            assert cover.max() == 0
            assert shadow.min() == 1
        inside, _, light, mixture = item.render(np.array([20]), np.array([31]))
        assert inside == 1
        assert 0.2 <= light <= 1.2
        assert 0 <= mixture <= 1


def reflectance_at(material: str, nm: int) -> float:
    return float(material_reflectance(material)[np.searchsorted(WAVELENGTHS_NM, nm)])


@pytest.mark.parametrize("material", MATERIALS)
def test_reflectance_is_between_0_and_1(material: str) -> None:
    curve = material_reflectance(material)
    assert curve.shape == (61,)
    assert curve.min() >= 0
    assert curve.max() <= 1


@pytest.mark.parametrize("leaf", ["meadow", "broadleaf", "young leaf", "conifer"])
def test_leaves_have_a_green_peak_and_a_red_edge(leaf: str) -> None:
    assert reflectance_at(leaf, 550) > 1.4 * reflectance_at(leaf, 450)
    assert reflectance_at(leaf, 550) > 1.4 * reflectance_at(leaf, 670)
    assert reflectance_at(leaf, 800) > 7 * reflectance_at(leaf, 670)
    edge = WAVELENGTHS_NM[np.argmax(np.gradient(material_reflectance(leaf)))]
    assert 690 <= edge <= 740
