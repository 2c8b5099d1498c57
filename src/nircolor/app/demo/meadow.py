"""The near shore: a meadow with a path through it, the trees' shadows on it, and boulders by the water."""

from dataclasses import dataclass

import numpy as np

from nircolor.app.demo import daylight
from nircolor.app.demo.painting import Canvas, mix, over, strokes
from nircolor.app.demo.texture import Noise, smoothstep
from nircolor.app.demo.trees import Tree
from nircolor.app.demo.view import EYE_M, FOCAL, HORIZON, View
from nircolor.spectral.materials import Floats

_GRASS_M = 0.34


@dataclass(frozen=True)
class Shore:
    """The near land as maps below row `top`: metres right and away, and shares in [0, 1]."""

    top: int
    x: Floats
    z: Floats
    land: Floats
    path: Floats
    sun: Floats  # what the trees let through


def lay_out(view: View, trees: list[Tree], noise: Noise) -> Shore:
    """Where land, path and shadows lie below the far shore."""
    top = view.row(HORIZON + 0.01)
    x, z = view.ground(top)
    edge = shore_m(x / view.side) + 3.0 * noise.fractal(x / 9, z / 30 + 5, 3)
    land = smoothstep(0.6, -0.6, (z - edge) / np.maximum(z / 100, 0.3))
    middle = path_m(z, view.side) + 0.35 * noise.fractal(x / 2.5, z / 4, 3)
    path = smoothstep(1.15, 0.65, np.abs(x - middle) / (1.0 + 0.006 * z)) * land
    return Shore(top, x, np.broadcast_to(z, x.shape), land, path, _shadows(x, z, trees, noise))


def shore_m(across: Floats) -> Floats:
    """How far the near shore lies: a bay on the left, a spit of land on the right.

    `across` is metres right of the eye over `View.side`, so that the spit is in every image.
    """
    return 43 + 62 * smoothstep(4.4, 35, across)


def path_m(z: Floats, side: float) -> Floats:
    """Where the path runs at `z`, metres right of the eye: a bend through the meadow to the houses."""
    bend: Floats = -2.2 + 3.0 * np.sin(z / 9.5 + 0.6) * smoothstep(60, 20, z)
    return bend + 38 * side * smoothstep(18, 80, z)


def _shadows(x: Floats, z: Floats, trees: list[Tree], noise: Noise) -> Floats:
    """The sun's share that reaches the ground, in [0, 1]."""
    sun = np.ones(np.broadcast_shapes(x.shape, z.shape))
    away = -daylight.SUN[[0, 2]] / daylight.SUN[1]  # metres of shadow for a metre of height
    dapple = noise.fractal(x * 0.7, z * 0.7, 4)
    spots = smoothstep(0.15, 0.5, noise.fractal(x * 2.1, z * 1.4 + 5, 2))
    for tree in trees:
        tip = away * tree.height
        dx, dz = x - tree.x, z - tree.z
        along = np.clip((dx * tip[0] + dz * tip[1]) / (tip @ tip), 0, 1)
        aside = np.hypot(dx - along * tip[0], dz - along * tip[1])
        crown = 1.05 - along if tree.conifer else np.sqrt(np.clip(1 - ((along - 0.6) / 0.42) ** 2, 0, 1))
        reach = np.maximum(tree.spread * crown, 0.02 * tree.height)
        # shadows are soft at the rim, and the sun comes through the leaves in spots
        inside = smoothstep(1.15, 0.75, aside / reach + 0.75 * dapple)
        sun = sun * (1 - (0.93 - 0.45 * spots) * inside)
    return sun


def paint_meadow(canvas: Canvas, view: View, shore: Shore, noise: Noise, rng: np.random.Generator) -> None:
    """Soil and turf first, then the grass that stands on it, blade by blade from far to near."""
    x, z, sun = shore.x, shore.z, shore.sun
    patches = noise.fractal(x / 7, z / 11 + 3, 4)
    grain = noise.fractal(x * 3.0, z * 1.5, 4)
    bumps = np.clip(0.85 + 0.14 * noise.fractal(x / 4, z / 6, 3) + 0.25 * grain, 0.1, 1.2)
    turf = mix(daylight.lit("meadow"), sun * bumps, 0.7, 0.1)
    dry = mix(daylight.lit("dry grass"), sun * bumps, 0.7)
    turf += smoothstep(-0.1, 0.5, patches)[..., None] * 0.6 * (dry - turf)
    pebbles = noise.fractal(x * 9, z * 5, 3) * smoothstep(60, 15, z)
    ruts = smoothstep(0.30, 0.10, np.abs(np.abs(x - path_m(z, view.side)) - 0.55))
    soil = mix(daylight.lit("soil"), sun * (0.85 + 0.25 * grain + 0.35 * pebbles - 0.12 * ruts), 0.85)
    # a dark wet rim where the land meets the water
    rim = smoothstep(0.55, 1.0, shore.land)
    paint = (turf + shore.path[..., None] * (soil - turf)) * (0.35 + 0.65 * rim)[..., None]
    over(canvas[shore.top :], shore.land, paint)
    _paint_pebbles(canvas, view, shore, rng)
    _paint_blades(canvas, view, shore, patches, rng)


def _paint_pebbles(canvas: Canvas, view: View, shore: Shore, rng: np.random.Generator) -> None:
    count = int(0.012 * shore.path.size)
    row = np.sort(rng.integers(0, max(len(shore.path), 1), count))
    column = rng.integers(0, view.width, count)
    size = rng.gamma(1.5, 0.022, count) * view.height * FOCAL / shore.z[row, column]
    on = (rng.uniform(size=count) < shore.path[row, column]) & (size > 0.5)
    row, column, size = row[on], column[on], size[on, None]
    light = shore.sun[row, column] * rng.uniform(0.3, 0.9, len(row))
    top, bottom = mix(daylight.lit("rock"), 1.2 * light, 0.9), mix(daylight.lit("soil"), 0.3 * light, 0.4)
    at = np.stack([column, row + shore.top], axis=1)
    for lift, paint in ((0, bottom), (1, top)):
        start = at - np.array([0, 0.6 * lift])
        strokes(canvas, start - size * [0.5, 0], start + size * [0.5, 0], paint, paint)


def _paint_blades(
    canvas: Canvas, view: View, shore: Shore, patches: Floats, rng: np.random.Generator
) -> None:
    # rows below the image too: their blades reach into it
    last = 1 + FOCAL * _GRASS_M / (FOCAL * EYE_M / (1 - HORIZON))
    v = np.arange(view.row(HORIZON + 0.05), int(last * view.height) + 1) / view.height
    away = FOCAL * EYE_M / (v - HORIZON)
    long = view.height * FOCAL * _GRASS_M / away
    wide = np.maximum(long / 14, 1)
    count = np.where(long > 1.5, 2.2 * view.width / (long * wide), 0).astype(int)
    for part in np.array_split(np.arange(len(v)), 8):
        roots = np.repeat(part, count[part])
        if not len(roots):
            continue
        column = rng.uniform(-4, view.width + 4, len(roots))
        row = v[roots] * view.height + rng.uniform(-0.5, 0.5, len(roots))
        at = (
            np.clip(row.astype(int) - shore.top, 0, len(shore.land) - 1),
            np.clip(column.astype(int), 0, view.width - 1),
        )
        grows = (shore.land[at] > 0.9) & (rng.uniform(size=len(roots)) > 1.6 * shore.path[at])
        at = (at[0][grows], at[1][grows])
        start = np.stack([column, row], axis=1)[grows]
        n = len(start)
        tall = long[roots][grows] * rng.uniform(0.35, 1.1, n) * (0.75 + 0.6 * patches[at])
        lean = tall * (0.22 + 0.40 * rng.normal(size=n))
        end = start + np.stack([lean, -tall * rng.uniform(0.6, 1, n)], axis=1)
        catch = shore.sun[at] * np.clip(0.95 + 0.28 * rng.normal(size=n) - 0.25 * np.sign(lean), 0.15, 1.3)
        ripe = (smoothstep(-0.15, 0.6, patches[at] + 0.22 * rng.normal(size=n)) * 0.75)[:, None]
        green, dry = daylight.lit("meadow"), daylight.lit("dry grass")
        tip = mix(green, catch, 0.9, 0.35 * shore.sun[at])
        tip += ripe * (mix(dry, catch, 0.8) - tip)
        flower = rng.uniform(size=n) < 0.012 * smoothstep(0.1, -0.4, patches[at])
        tip[flower] = mix(daylight.lit("petal"), catch, 0.9)[flower]
        root = mix(green, 0.42 * catch, 0.5, 0.3 * shore.sun[at])
        width = max(1, round(float(wide[part].mean())))
        strokes(canvas, start, end, root, tip, width)


def paint_boulder(canvas: Canvas, view: View, foot: Floats, size_m: float, noise: Noise) -> None:
    """A rounded rock of `size_m` across, its lower third in the ground, at `foot` (3,) in m."""
    (column, row), radius = view.project(foot), view.pixels_per_m(foot[2]) * size_m / 2
    left, right = np.clip([int(column - 1.4 * radius), int(column + 1.4 * radius) + 2], 0, canvas.shape[1])
    top, bottom = np.clip([int(row - 1.3 * radius), int(row + 0.3 * radius) + 2], 0, canvas.shape[0])
    if left >= right or top >= bottom:
        return
    x = ((np.arange(left, right) - column) / radius)[None]
    y = ((np.arange(top, bottom) - row + 0.25 * radius) / radius)[:, None]
    seed = float(foot[0]) * 7
    rough = noise.fractal(x * 1.6 + seed, y * 1.9 + seed, 5)
    facets = np.round(2.2 * noise.fractal(x * 1.1 - seed, y * 1.3, 2)) / 2.2
    distance = np.hypot(x / 1.15, y / 0.85) + 0.34 * rough + 0.12 * facets
    cover = np.clip((1 - distance) * radius + 0.5, 0, 1) * np.clip((0.42 + 0.1 * rough - y) * radius, 0, 1)
    depth = np.sqrt(np.clip(1 - np.minimum(distance, 1) ** 2, 0, 1))
    normal_x, normal_y = x + 0.9 * facets + 0.5 * rough, -y + 0.6 * facets - 0.5 * rough
    length = np.sqrt(normal_x**2 + normal_y**2 + depth**2) + 1e-6
    facing = (daylight.SUN[0] * normal_x + daylight.SUN[1] * normal_y - daylight.SUN[2] * depth) / length
    light = mix(daylight.lit("rock"), np.clip(facing, 0, 1), np.clip(0.55 - 0.4 * y, 0.12, 0.9))
    over(canvas[top:bottom, left:right], cover, light * (1 + 0.7 * rough)[..., None])
