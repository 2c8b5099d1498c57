import numpy as np
import pytest

pytest.importorskip("cv2", reason="needs the extra align")
from nircolor.errors import NircolorError
from nircolor.pairs.alignment import Frame, Gray, register
from nircolor.pairs.alignment.warp import resample
from tests.pairs.alignment.scenes import HEIGHT, WIDTH, scene, warped

FRAME = Frame(WIDTH, HEIGHT)


def gray(image, valid=None):
    values = image.astype(np.float32) / 255
    if values.ndim == 3:
        values = values.mean(2)
    return Gray(values, np.ones(values.shape, bool) if valid is None else valid)


def errors_of(found, maps):
    """Distances from the known warp, in pixels, where the images overlap."""
    x, y = found.warp.maps(FRAME, FRAME)
    outside = (x < 1) | (x > WIDTH - 2) | (y < 1) | (y > HEIGHT - 2)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    distance = np.hypot(resample(maps[0], (x, y)) - columns, resample(maps[1], (x, y)) - rows)
    return distance[~outside]


@pytest.mark.parametrize(
    "warp",
    [
        {"degrees": 5, "zoom": 1.1, "shift": (0.05, -0.05)},
        {"degrees": -4, "zoom": 0.92, "k1": 0.1},
        {"degrees": 2, "shift": (-0.04, 0.03), "k1": -0.1},
        {"zoom": 1.3},
    ],
)
def test_known_warps_are_found_although_brightness_is_reversed(warp):
    nir, colour = scene(1)
    moved, maps = warped(colour, **warp)
    found = register(gray(nir), gray(moved))
    assert np.median(errors_of(found, maps)) < 0.3
    assert np.percentile(errors_of(found, maps), 95) < 1.5
    assert np.median(found.distances) < 0.3


def test_parallax_is_followed():
    nir, colour = scene(2)
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    # the right half is nearer to the cameras
    shift = (4 / (1 + np.exp(-(x - WIDTH / 2) / 20))).astype(np.float32)
    found = register(gray(nir), gray(resample(colour.astype(np.float32), (x + shift, y))))
    mapped, _ = found.warp.maps(FRAME, FRAME)
    expected = x - (4 / (1 + np.exp(-(x - 2 - WIDTH / 2) / 20)))
    assert np.median(np.abs(mapped - expected)) < 0.4


def test_what_does_not_fit_is_masked():
    nir, colour = scene(3, 720, 560)
    other = scene(4, 720, 560)[1]
    colour[160:400, 240:480] = other[160:400, 240:480]
    found = register(gray(nir), gray(colour))
    good = found.fitting()
    assert good[220:340, 300:420].mean() < 0.1
    outside = np.ones_like(good)
    outside[120:440, 200:520] = False
    assert good[outside].mean() > 0.95


@pytest.mark.parametrize("seed", range(4))
def test_other_scenes_are_refused(seed):
    with pytest.raises(NircolorError, match=r"do not match: .* fit"):
        register(gray(scene(10 + seed)[0]), gray(scene(20 + seed)[1]))


@pytest.mark.parametrize("kind", ["NIR", "colour"])
def test_textureless_images_are_refused(kind):
    rng = np.random.default_rng(0)
    flat = gray(rng.integers(100, 102, (HEIGHT, WIDTH)).astype(np.uint8))
    textured = gray(scene(5)[0])
    images = (flat, textured) if kind == "NIR" else (textured, flat)
    with pytest.raises(NircolorError, match=f"the {kind} image has structure in 0% of its area"):
        register(*images)


def test_noise_does_not_match():
    rng = np.random.default_rng(0)
    noise = [gray(rng.integers(0, 255, (HEIGHT, WIDTH)).astype(np.uint8)) for _ in range(2)]
    with pytest.raises(NircolorError, match="do not match"):
        register(*noise)
