"""The far end of the image: a clear sky with fair-weather clouds, and ranges of hills in the haze."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from nircolor.app.demo import daylight
from nircolor.app.demo.painting import Canvas, mix, over
from nircolor.app.demo.texture import Noise, slope, smoothstep
from nircolor.app.demo.view import FOCAL, HORIZON, View
from nircolor.spectral.materials import Floats


def paint_sky(canvas: Canvas, view: View, noise: Noise) -> None:
    """Fill the rows above the horizon: paler and brighter low down, where more air lies ahead."""
    rows = view.row(HORIZON)
    v = view.v[:rows]
    rise = (HORIZON - v) / FOCAL
    canvas[:rows] = daylight.sky(1 / (rise / np.hypot(1, rise) + 0.04))
    _paint_clouds(canvas[:rows], view.u, v, view.height, noise)


def _paint_clouds(canvas: Canvas, u: Floats, v: Floats, view_height: int, noise: Noise) -> None:
    # cloud bases lie in one plane overhead: they flatten and crowd towards the horizon
    near = 1 / (HORIZON - v + 0.16)
    x, y = u * near * 1.9, 4.6 * np.log(near)
    bend = 0.35 * noise.fractal(x * 2 + 9, y * 2 + 4, 3)
    billows = noise.fractal(x * 2.6 + bend, y * 2.2 - bend, 5, ridged=True)
    field = noise.fractal(x + bend + 3.1, y + bend + 11.3, 2)
    density = field + 0.24 * billows - 0.10
    # the edges towards the sun shine, thick bellies are gray
    toward_sun = 0.5 * slope(density, 1) + slope(density, 0)
    relief = np.tanh(toward_sun * view_height / 16)
    belly = smoothstep(0.15, 0.75, density)
    sun = np.clip(0.66 - 0.30 * belly + 0.20 * relief + 0.22 * billows, 0.2, 1.2)
    light = mix(daylight.lit("cloud", 8.0), sun, 0.9) + daylight.haze(8.0).astype(np.float32)
    over(canvas, 0.96 * smoothstep(0.0, 0.34, density), light)


@dataclass(frozen=True)
class _Range:
    """A range of hills: how far, its crest line in image heights, and how rough."""

    away_km: float
    foot: float
    rise: float
    crests: float  # per image height
    snow: float  # crest height above the foot from which snow lies; forest stays below
    forest: float


_RANGES: Final = (
    _Range(away_km=18, foot=0.445, rise=0.16, crests=2.4, snow=0.125, forest=0.05),
    _Range(away_km=11, foot=0.450, rise=0.105, crests=2.6, snow=9, forest=0.075),
    _Range(away_km=4.5, foot=0.455, rise=0.06, crests=2.4, snow=9, forest=9),
)


def paint_hills(canvas: Canvas, view: View, noise: Noise) -> None:
    """Paint ranges of hills from far to near, each through its own depth of air."""
    for number, hills in enumerate(_RANGES):
        top, bottom = view.row(hills.foot - 1.6 * hills.rise), view.row(HORIZON + 0.02)
        if top < bottom:
            _paint_range(canvas[top:bottom], view, top, hills, noise, 31.0 * (number + 1))


def _paint_range(canvas: Canvas, view: View, top: int, hills: _Range, noise: Noise, shift: float) -> None:
    u, v = view.u, view.v[top : top + len(canvas)]
    line = noise.fractal(u * hills.crests + shift, np.array([[shift]]), 7, ridged=hills.snow < 1)
    crest = hills.foot - hills.rise * (0.62 + 0.62 * line)
    inside = np.clip((v - crest) * view.height + 0.5, 0, 1)
    # slopes: folds that run down from the crest, lit from the left
    fine = 14 / hills.rise * 0.18
    bend = 0.4 * noise.fractal(u * 9 + shift, v * 9, 2)
    folds = noise.fractal(u * fine + bend, (v - 0.35 * crest) * fine * 1.3 - bend, 5, ridged=True)
    steep = slope(folds, 1) * view.height / fine
    sun = np.clip(0.62 + 0.13 * steep, 0.05, 1.3)
    sky = 0.65 + 0.3 * folds
    above = hills.foot - v + hills.rise * 0.16 * folds
    rock = mix(daylight.lit("rock", hills.away_km), sun, sky)
    snow = mix(daylight.lit("snow", hills.away_km), 0.95 * sun, sky)
    crowns = noise(u * view.height / 2.5, v * view.height / 2.0 + shift)
    woods = mix(daylight.lit("conifer", hills.away_km), sun * (0.8 + 0.35 * crowns), sky * 0.8, 0.3)
    meadow = mix(daylight.lit("meadow", hills.away_km), sun, sky)
    clearing = smoothstep(0.18, 0.34, noise.fractal(u * 8 + shift, v * 34, 3))[..., None]
    green = woods + clearing * (meadow - woods)
    paint = rock + smoothstep(hills.forest + 0.02, hills.forest - 0.02, above)[..., None] * (green - rock)
    paint += smoothstep(hills.snow, hills.snow + 0.03, above - 0.02 * np.abs(steep))[..., None] * (
        snow - paint
    )
    over(canvas, inside, paint + daylight.haze(hills.away_km).astype(np.float32))
