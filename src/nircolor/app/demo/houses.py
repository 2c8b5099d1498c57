"""Houses with plastered walls, windows and tiled gable roofs, and a wooden fence."""

from dataclasses import dataclass

import numpy as np

from nircolor.app.demo import daylight
from nircolor.app.demo.painting import Canvas, mix, over
from nircolor.app.demo.texture import Noise, smoothstep
from nircolor.app.demo.view import View
from nircolor.spectral.materials import Floats

_UP = np.array([0.0, 1.0, 0.0])


@dataclass(frozen=True)
class House:
    """A house by its near corner (3,) in m, its length along the eaves, depth, wall height and turn."""

    corner: tuple[float, float, float]
    length: float
    depth: float
    walls: float
    turn_deg: float


def paint_house(canvas: Canvas, view: View, house: House, noise: Noise) -> None:
    """The two walls that face the camera, then the roof over them."""
    turn = np.deg2rad(house.turn_deg)
    along = house.length * np.array([np.cos(turn), 0, np.sin(turn)])
    across = house.depth * np.array([-np.sin(turn), 0, np.cos(turn)])
    corner, up = np.array(house.corner), house.walls * _UP
    rise = 0.42 * house.depth * _UP
    _paint_wall(canvas, view, corner + across, -across, up, 0.42 * house.depth / house.walls, noise)
    _paint_wall(canvas, view, corner, along, up, 0.0, noise)
    eaves = 0.06 * along
    slope = across / 2 + rise
    hang = -0.12 * slope
    _paint_roof(canvas, view, corner + up - eaves + hang, along + 2 * eaves, slope - hang, noise)


def paint_fence(canvas: Canvas, view: View, start: Floats, end: Floats, noise: Noise) -> None:
    """Posts and two rails from `start` to `end`, (3,) in m."""
    length = float(np.linalg.norm(end - start))
    step = (end - start) / length
    for low in (0.45, 0.9):
        _paint_wood(canvas, view, start + low * _UP, end - start, 0.11 * _UP, noise)
    for metre in np.arange(0, length, 2.2)[::-1]:
        _paint_wood(canvas, view, start + metre * step, 0.15 * step, 1.2 * _UP, noise)


@dataclass(frozen=True)
class _Face:
    """The part of the canvas that a parallelogram meets: its own coordinates in [0, 1], and its cover."""

    window: tuple[slice, slice]
    s: Floats
    t: Floats
    pixels: float  # along t
    facing: float  # cosine towards the sun

    def cover(self, gable: float = 0.0) -> Floats:
        """1 inside, 0 outside, soft over a pixel; `gable` raises the middle of the upper edge."""
        ceiling = 1 + gable * (1 - np.abs(2 * self.s - 1))
        inside = np.minimum(np.minimum(self.s, 1 - self.s), np.minimum(self.t, ceiling - self.t))
        return np.clip(inside * self.pixels + 0.5, 0, 1)


def _face(
    canvas: Canvas,
    view: View,
    at: Floats,
    s: Floats,
    t: Floats,
    gable: float = 0.0,
) -> _Face | None:
    """Find where `at + s * [0, 1] + t * [0, 1]` (m) lies; None outside the canvas or edge-on."""
    origin, end_s, end_t = view.project(np.stack([at, at + s, at + t]))
    to_s, to_t = end_s - origin, end_t - origin
    area = to_s[0] * to_t[1] - to_s[1] * to_t[0]
    corners = origin + np.stack([0 * to_s, to_s, to_t, to_s + to_t, to_s / 2 + (1 + gable) * to_t])
    low, high = np.floor(corners.min(0)).astype(int) - 1, np.ceil(corners.max(0)).astype(int) + 2
    left, right = np.clip([low[0], high[0]], 0, canvas.shape[1])
    top, bottom = np.clip([low[1], high[1]], 0, canvas.shape[0])
    if left >= right or top >= bottom or abs(area) < 1e-9:
        return None
    dx, dy = np.arange(left, right)[None] - origin[0], np.arange(top, bottom)[:, None] - origin[1]
    normal = np.cross(s, t)
    normal *= -np.sign(normal[2]) or 1.0  # the side that faces the camera
    facing = float(normal @ daylight.SUN / np.linalg.norm(normal) / np.linalg.norm(daylight.SUN))
    return _Face(
        (slice(top, bottom), slice(left, right)),
        (dx * to_t[1] - dy * to_t[0]) / area,
        (dy * to_s[0] - dx * to_s[1]) / area,
        float(np.hypot(*to_t)),
        max(facing, 0.0),
    )


def _paint_wall(
    canvas: Canvas,
    view: View,
    at: Floats,
    s: Floats,
    up: Floats,
    gable: float,
    noise: Noise,
) -> None:
    face = _face(canvas, view, at, s, up, gable)
    if face is None:
        return
    stains = noise.fractal(face.s * 5 + at[0], face.t * 4, 4)
    # shadow of the eaves, damp at the foot
    sun = 1.25 * face.facing * (smoothstep(1.0, 0.86, face.t) if not gable else 1.0)
    sky = 0.55 + 0.15 * smoothstep(0, 0.3, face.t)
    wall: Floats = mix(daylight.lit("plaster"), sun * (1 + 0.12 * stains), sky * (1 + 0.12 * stains))
    bays = max(2, round(float(np.linalg.norm(s)) / 3.1))
    bay, floor = face.s * bays % 1 - 0.5, face.t * 2 % 1 - 0.52
    open_ = smoothstep(0.27, 0.25, np.abs(floor))
    shutter = smoothstep(0.30, 0.28, np.abs(bay)) * open_
    pane = smoothstep(0.17, 0.15, np.abs(bay)) * open_
    inside = (face.t < 1) & (face.t > 0)
    # a pane shows the sky at the top and the dark room below
    glass = (
        mix(daylight.lit("glass"), 0.15, 0.4)
        + 0.25 * daylight.sky(2.5) * smoothstep(-0.3, 0.3, floor)[..., None]
    )
    wall = wall + (shutter * inside)[..., None] * (mix(daylight.lit("wood"), 0.6 * sun, sky * 0.6) - wall)
    wall = wall + (pane * inside)[..., None] * (glass - wall)
    over(canvas[face.window], face.cover(gable), wall)


def _paint_roof(canvas: Canvas, view: View, at: Floats, s: Floats, t: Floats, noise: Noise) -> None:
    face = _face(canvas, view, at, s, t)
    if face is None:
        return
    rows = 1 - 0.22 * smoothstep(0.55, 1.0, face.t * 17 % 1) * min(1.0, face.pixels / 40)
    tiles = (
        1
        + 0.18 * noise(face.s * 46 + at[0], np.floor(face.t * 17) * 7.3)
        + 0.2 * noise.fractal(face.s * 4, face.t * 4 + at[0], 4)
    )
    paint = mix(daylight.lit("tile"), 1.2 * face.facing * rows * tiles, 0.85 * rows * tiles)
    over(canvas[face.window], face.cover(), paint)


def _paint_wood(canvas: Canvas, view: View, at: Floats, s: Floats, t: Floats, noise: Noise) -> None:
    face = _face(canvas, view, at, s, t)
    if face is not None:
        grain = 1 + 0.3 * noise(face.s * 9 + at[0] * 5, face.t * 5 + at[2])
        paint = mix(daylight.lit("wood"), 1.1 * max(face.facing, 0.25) * grain, 0.6 * grain)
        over(canvas[face.window], face.cover(), paint)
