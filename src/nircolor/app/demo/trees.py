"""Trees, as clouds of leaves on a skeleton: lit where they face the sun, dark inside, ragged at the edge."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from nircolor.app.demo import daylight
from nircolor.app.demo.painting import Canvas, mix, strokes
from nircolor.app.demo.texture import smoothstep
from nircolor.app.demo.view import View
from nircolor.spectral.materials import Floats

_BARK_SHOWS: Final = 4  # pixels a metre
_SUN: Final = daylight.SUN / np.linalg.norm(daylight.SUN)


@dataclass(frozen=True)
class Tree:
    """A tree by its foot (metres right of and away from the eye, above the lake), height and half width."""

    x: float
    z: float
    height: float
    spread: float
    conifer: bool
    bole: float  # share of the height below the crown: none makes a bush

    @property
    def foot(self) -> Floats:
        return np.array([self.x, 0.0, self.z])


def paint_tree(canvas: Canvas, view: View, tree: Tree, rng: np.random.Generator) -> None:
    """Paint one tree: trunk and boughs, then leaves from the far side to the near one."""
    pixels = view.pixels_per_m(tree.z)
    (_paint_conifer if tree.conifer else _paint_broadleaf)(canvas, view, tree, rng, pixels)


def _directions(rng: np.random.Generator, count: int) -> Floats:
    vectors = rng.normal(size=(count, 3))
    unit: Floats = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def _paint_broadleaf(canvas: Canvas, view: View, tree: Tree, rng: np.random.Generator, pixels: float) -> None:
    axes = np.array([tree.spread, (1 - tree.bole) / 2 * tree.height, tree.spread])
    middle = tree.foot + np.array([0, (1 + tree.bole) / 2 * tree.height, 0])
    # clumps on the ends of boughs, most of them near the outside of the crown
    count = int(np.clip(tree.spread * pixels * 1.1, 6, 110))
    outward = _directions(rng, count)
    reach = rng.uniform(0.35, 0.92, (count, 1)) ** 0.6
    clumps = outward * reach * (1 + 0.08 * rng.normal(size=(count, 1)))
    size = rng.uniform(0.14, 0.30, count) + 1.6 / count

    leaf = max(1, round(0.11 * pixels))
    leaves = int(np.clip(14.0 * tree.spread * tree.height * pixels**2 / (leaf + 1) ** 2, 40, 120_000))
    of = rng.integers(0, count, leaves)
    facing = _directions(rng, leaves)
    offset = clumps[of] + facing * (size[of] * rng.uniform(0.45, 1.0, leaves) ** 0.7)[:, None]
    normal = 0.85 * facing + 0.75 * outward[of] + 0.25 * rng.normal(size=(leaves, 3))
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    out = np.linalg.norm(offset, axis=1)
    # the way to the light through the rest of the crown
    open_to_sun = smoothstep(-0.55, 0.75, offset @ _SUN) * smoothstep(0.25, 0.85, out)
    sun = np.clip(normal @ _SUN, 0, 1) * open_to_sun * 1.4
    sky = (0.30 + 0.35 * (normal[:, 1] + 1) / 2 + 0.25 * offset[:, 1]) * smoothstep(0.1, 1.0, out)
    old = mix(daylight.lit("broadleaf"), sun, np.clip(sky, 0.05, 1), 0.30 * (0.3 + 0.7 * open_to_sun))
    young = mix(daylight.lit("young leaf"), sun, np.clip(sky, 0.05, 1), 0.30 * (0.3 + 0.7 * open_to_sun))
    age = np.clip(0.25 + 0.3 * rng.normal(size=count)[of] + 0.2 * rng.normal(size=leaves), 0, 1)[:, None]
    paint = (old + age * (young - old)) * rng.uniform(0.85, 1.15, (leaves, 1))

    place = middle + offset * axes
    order = np.argsort(-place[:, 2])
    behind, before = np.split(order, [leaves // 2])
    tilt = rng.uniform(-1, 1, (leaves, 2)) * leaf * [0.8, 0.5]
    at = view.project(place)
    strokes(canvas, (at - tilt)[behind], (at + tilt)[behind], paint[behind], paint[behind], leaf)
    if pixels > _BARK_SHOWS:
        _paint_wood(canvas, view, tree, rng, middle + clumps * axes * 0.9)
    strokes(canvas, (at - tilt)[before], (at + tilt)[before], paint[before], paint[before], leaf)


def _paint_wood(canvas: Canvas, view: View, tree: Tree, rng: np.random.Generator, tips: Floats) -> None:
    """A trunk that leans a little and boughs to `tips`, as bundles of bark fibres."""
    pixels = view.pixels_per_m(tree.z)
    bark = daylight.lit("bark")
    fork = tree.foot + tree.height * np.array([0.02 * rng.normal(), 0.42, 0])
    radius = 0.021 * tree.height + 0.05
    fibres = int(np.clip(5 * radius * pixels, 1, 160))
    across = np.sort(rng.uniform(-1, 1, fibres))
    side = np.zeros((fibres, 3))
    side[:, 0] = across * radius
    # a cylinder in light from the left
    light = np.clip(-0.75 * across + 0.45 * np.sqrt(1 - across**2), 0, 1) * rng.uniform(0.5, 1.1, fibres)
    grain = rng.uniform(0.75, 1.1, (fibres, 1))
    low, high = mix(bark, 0.75 * light, 0.55) * grain, mix(bark, 0.25 * light, 0.25) * grain
    flare = 1.0 + 0.45 * (rng.uniform(size=(fibres, 1)) < 0.4)
    bottom, top = view.project(tree.foot + side * flare), view.project(fork + side * 0.55)
    shuffled = rng.permutation(fibres)
    strokes(canvas, bottom[shuffled], top[shuffled], low[shuffled], high[shuffled], 1 + (pixels > 12))
    for tip in tips[:: max(1, len(tips) // 28)]:
        root = tree.foot + (fork - tree.foot) * rng.uniform(0.75, 1.0)
        start, end = view.project(np.stack([root, tip]))[:, None]
        width = max(1, int(0.3 * radius * pixels))
        strokes(canvas, start, end, mix(bark, 0.25, 0.3)[None], mix(bark, 0.1, 0.25)[None], width)


def _paint_conifer(canvas: Canvas, view: View, tree: Tree, rng: np.random.Generator, pixels: float) -> None:
    whorls = int(np.clip(tree.height * pixels / 9, 6, 44))
    boughs = int(np.clip(9 * whorls, 60, 420))
    # from the tip (0) to the lowest bough (1), in whorls, as firs and spruces grow
    level = np.sort((rng.integers(0, whorls, boughs) + rng.uniform(0.1, 0.6, boughs)) / whorls)
    turn = rng.uniform(0, 2 * np.pi, boughs)
    length = tree.spread * (0.04 + 0.96 * level**0.85) * rng.uniform(0.6, 1.12, boughs)
    needle = max(1.0, 0.20 * pixels)
    each = int(np.clip(2.6 * tree.spread * pixels / needle, 4, 130))
    of = np.repeat(np.arange(boughs), each)
    along = rng.uniform(0.03, 1, of.size) ** 0.75
    reach = along * length[of]
    hang = rng.uniform(0, 1, of.size) ** 1.5
    around = turn[of] + rng.normal(size=of.size) * 0.16
    height = (
        tree.height * (1 - (1 - tree.bole) * level[of])
        - 0.42 * reach
        + 0.12 * reach * along
        - hang * 0.25 * length[of] * 0.9
    )
    place = tree.foot + np.stack([np.cos(around) * reach, height, np.sin(around) * reach], axis=1)
    normal = np.stack([np.cos(around), 0.55 - 1.1 * hang, np.sin(around)], axis=1)
    out = smoothstep(0.15, 1.0, along)
    sun = np.clip(normal @ _SUN * 0.85, 0, 1) * out * (1 - 0.75 * hang) * rng.uniform(0.4, 1.3, of.size)
    sky = (0.22 + 0.5 * out) * (1 - 0.6 * hang)
    paint = mix(daylight.lit("conifer"), sun, sky, 0.35 * out) * rng.uniform(0.8, 1.2, (of.size, 1))
    if pixels > _BARK_SHOWS:
        _paint_wood(canvas, view, tree, rng, np.empty((0, 3)))
    order = np.argsort(-place[:, 2])
    at = view.project(place)
    # needles hang from the bough and point outwards
    tilt = np.stack([np.cos(around) * 0.8, 0.7 + 0.3 * hang], axis=1) * needle
    strokes(
        canvas, at[order], (at + tilt)[order], paint[order], paint[order] * np.float32(0.8), 1 + (needle > 4)
    )
