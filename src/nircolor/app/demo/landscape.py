"""A simulated landscape in near-infrared and in its true colour: the input of `nircolor demo`.

Nothing here is a photograph. A scene of known materials is lit by a modelled sun and sky and seen by two
modelled cameras (`spectral.materials`, `daylight`, `camera`): both images follow from the same spectra.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nircolor.app.demo.camera import develop
from nircolor.app.demo.houses import House, paint_fence, paint_house
from nircolor.app.demo.meadow import lay_out, paint_boulder, paint_meadow, shore_m
from nircolor.app.demo.painting import Canvas
from nircolor.app.demo.sky import paint_hills, paint_sky
from nircolor.app.demo.texture import Noise
from nircolor.app.demo.trees import Tree, paint_tree
from nircolor.app.demo.view import EYE_M, FOCAL, HORIZON, View
from nircolor.app.demo.water import paint_lake

ORIGIN = (
    "Simulated, not a photograph: hills, a lake, trees, grass, soil, rock and houses, rendered from their "
    "reflectance between 400 and 1000 nm under a modelled sun and sky. The near-infrared image is what a "
    "silicon sensor behind a 750 nm long-pass filter would see, the true colour what the eye would, so both "
    "are known exactly. It shows how the tool works, not how good it is on real images."
)
_FAR_SHORE_M = 620.0


@dataclass(frozen=True)
class Landscape:
    """One scene as two cameras see it, both gamma-encoded like photographs (sRGB curve)."""

    nir: npt.NDArray[np.float32]
    """Broad-band near-infrared, 750 to 1000 nm, (1, height, width) in [0, 1]."""
    rgb: npt.NDArray[np.float32]
    """sRGB, white balanced on a neutral, (3, height, width) in [0, 1]."""


def render_landscape(height: int = 768, width: int = 1152, seed: int = 0) -> Landscape:
    """Render hills, a lake, trees, a meadow and houses; the same `seed` gives the same pixels.

    `seed` moves clouds, crests, trees and every leaf; where land, water and houses lie stays.
    """
    if height < 1 or width < 1:
        raise ValueError(f"a landscape needs at least 1 x 1 pixels, got {height} x {width}")
    rng = np.random.default_rng(seed)
    view = View(height, width)
    canvas = np.zeros((height, width, 4), np.float32)
    noise = Noise(rng)

    paint_sky(canvas, view, noise)
    paint_hills(canvas, view, noise)
    _paint_far_shore(canvas, view, rng)
    paint_lake(canvas, view, view.row(HORIZON + FOCAL * EYE_M / _FAR_SHORE_M), noise)
    _paint_near_shore(canvas, view, noise, rng)

    linear = _through_the_lens(canvas, rng)
    images = develop(np.moveaxis(linear, -1, 0))
    return Landscape(nir=images[3:].copy(), rgb=images[:3].copy())


def _paint_far_shore(canvas: Canvas, view: View, rng: np.random.Generator) -> None:
    # a closed line of trees, but no more than can be told apart
    count = min(int(520 * view.side), view.width // 2)
    for away in np.sort(rng.uniform(_FAR_SHORE_M, 900, count))[::-1]:
        conifer = rng.uniform() < 0.45
        tall = rng.uniform(7, 15) if conifer else rng.uniform(5, 11)
        tree = Tree(
            rng.uniform(-1, 1) * view.side * away,
            away,
            tall,
            tall * (0.25 if conifer else 0.6),
            conifer,
            0.05,
        )
        paint_tree(canvas, view, tree, rng)


def _paint_near_shore(canvas: Canvas, view: View, noise: Noise, rng: np.random.Generator) -> None:
    side = view.side

    def tree(across: float, away: float, tall: float, wide: float, conifer: bool, bole: float) -> Tree:
        size = rng.uniform(0.9, 1.1)
        return Tree(across * side * away, away, tall * size, wide * size, conifer, bole)

    wood = [
        tree(rng.uniform(0.3, 1.1), z, rng.uniform(10, 15), rng.uniform(3, 5), False, 0.15)
        for z in (101, 97, 95, 93, 98)
    ]
    grove = [
        tree(-0.93, 39, 17, 3.6, True, 0.08),
        tree(-0.74, 37, 14, 3.0, True, 0.08),
        tree(-1.08, 33, 16, 3.6, True, 0.08),
        tree(0.86, 29, 12.5, 4.6, False, 0.2),
    ]
    bushes = [
        tree(x, z, rng.uniform(1.4, 2.8), rng.uniform(1.0, 1.9), False, 0.0)
        for x, z in zip(rng.uniform(0.36, 0.95, 13), rng.uniform(66, 75, 13), strict=True)
    ]
    # one more stands beside the image and throws its shadow into it
    shore = lay_out(view, [*wood, *bushes, *grove, tree(-1.35, 19, 11, 3.6, False, 0.2)], noise)
    paint_meadow(canvas, view, shore, noise, rng)
    for one in sorted(wood, key=lambda one: -one.z):
        paint_tree(canvas, view, one, rng)
    for house in (
        House((0.62 * side * 86, 0, 86), 9, 7, 4.6, 24),
        House((0.37 * side * 76, 0, 76), 11, 7.5, 4.8, 20),
    ):
        paint_house(canvas, view, house, noise)
    paint_fence(canvas, view, np.array([0.47 * side * 51, 0, 51]), np.array([1.1 * side * 42, 0, 42]), noise)
    for one in sorted(bushes, key=lambda one: -one.z):
        paint_tree(canvas, view, one, rng)
    for x in np.sort(rng.uniform(-1, 0.35, 16) * side * 43):
        foot = np.array([x, 0.0, float(shore_m(np.array(x / side))) + rng.uniform(-3.0, 0.5)])
        paint_boulder(canvas, view, foot, rng.uniform(0.5, 1.9), noise)
    for one in sorted(grove, key=lambda one: -one.z):
        paint_tree(canvas, view, one, rng)


def _through_the_lens(canvas: Canvas, rng: np.random.Generator) -> Canvas:
    """What the sensor gets: a point spread of about a pixel, and photon noise."""
    for axis in (0, 1):
        wide = np.pad(canvas, [(1, 1) if axis == this else (0, 0) for this in range(3)], mode="edge")
        before, after = np.delete(wide, [-1, -2], axis), np.delete(wide, [0, 1], axis)
        canvas = 0.62 * canvas + 0.19 * (before + after)
    grain = rng.standard_normal(canvas.shape, dtype=np.float32)
    return np.clip(canvas + 0.012 * np.sqrt(np.clip(canvas, 0.002, None)) * grain, 0, None)
