"""The things of a simulated still life: an outline, a surface with texture, light from the upper left."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from nircolor.spectral.materials import Floats

Integers = npt.NDArray[np.integer]

_LIGHT: Final = np.sqrt(0.5)  # towards the light, along lines and samples alike
_SHADOW_DEPTH: Final = 0.45
_TEXTURE_DEPTH: Final = 0.08

# of a place (u, v) in px along a thing's long and wide half axis, and both half axes in px
_Field = Callable[[Floats, Floats, float, float], Floats]


@dataclass(frozen=True)
class Shape:
    """What a thing looks like in its own frame."""

    outline: _Field
    """Distance from the edge in px, above 0 inside."""
    pattern: _Field
    """Between a thing's first spectrum (-1) and its second (1)."""


class Noise:
    """A smooth random field over a box, mean 0, deviation about 1: blurred white noise on several scales."""

    def __init__(
        self, rng: np.random.Generator, height_px: int, width_px: int, cells_px: tuple[float, ...]
    ) -> None:
        # a cubic spline reaches two cells either way
        self._grids = [
            (cell, rng.standard_normal((int(height_px / cell) + 4, int(width_px / cell) + 4), np.float32))
            for cell in cells_px
        ]

    def __call__(self, rows: Integers, columns: Integers) -> Floats:
        """Values at `rows` (h,) and `columns` (w,), in px from the box's corner: (h, w) float32."""
        total = np.zeros((rows.size, columns.size), np.float32)
        for cell, grid in self._grids:
            down, across = _spline(rows / cell + 1, grid.shape[0]), _spline(columns / cell + 1, grid.shape[1])
            total += down @ grid @ across.T
        # 0.48 is what a cubic spline leaves of white noise's deviation in two dimensions
        return total / np.float32(0.48 * np.sqrt(len(self._grids)))


def _spline(at: Floats, knots: int) -> Floats:
    """Cubic B-spline's weights of `knots` at `at` (n,), in knots: (n, knots) float32."""
    t = np.abs(at[:, None] - np.arange(knots)).astype(np.float32)
    return np.where(t < 1, 2 / 3 - t**2 + t**3 / 2, np.clip(2 - t, 0, None) ** 3 / 6).astype(np.float32)


class Thing:
    """One thing: `centre_px` (line, sample), its long axis turned by `turn_rad`, half axes in px."""

    def __init__(
        self,
        rng: np.random.Generator,
        shape: Shape,
        centre_px: tuple[float, float],
        turn_rad: float,
        long_px: float,
        wide_px: float,
    ) -> None:
        self._shape, self._centre_px = shape, centre_px
        self._turn_rad, self._axes_px = turn_rad, (long_px, wide_px)
        self._shadow_px = 0.15 * wide_px
        # a shadow fades slowest off the corner of a long triangle
        reach = float(np.hypot(long_px, wide_px)) + 4 * self._shadow_px + 2
        self.top, self.left = (int(np.floor(at - reach)) for at in centre_px)
        self.side_px = int(np.ceil(2 * reach)) + 1
        """`top`, `left` and `side_px`: the square outside which the thing changes nothing."""
        self._stains = Noise(rng, self.side_px, self.side_px, (max(wide_px / 1.5, 2), max(wide_px / 4, 2)))
        self._grain = Noise(rng, self.side_px, self.side_px, (max(wide_px / 8, 3), 3.0))

    def look(self, rows: Integers, columns: Integers) -> tuple[Floats, Floats, Floats, Floats]:
        """What the thing does to the pixels at `rows` (h,) and `columns` (w,) of the image, each (h, w).

        Its cover in [0, 1], the light that its shadow leaves to what lies below, the light on itself, about
        0.4 to 1.1, and the share of its second spectrum in [0, 1].
        """
        down, across = rows[:, None] - self._centre_px[0], columns[None] - self._centre_px[1]
        long_px, wide_px = self._axes_px
        u, v = self._turned(down, across)
        inside_px = self._shape.outline(u, v, long_px, wide_px)
        cast_px = self._shape.outline(
            *self._turned(down - self._shadow_px, across - self._shadow_px), long_px, wide_px
        )
        place = rows - self.top, columns - self.left
        facing = -_LIGHT * (down + across) / long_px
        rim = np.exp(-np.clip(inside_px, 0, None) / (0.15 * wide_px))
        light = (0.88 + 0.1 * facing - 0.2 * rim) * (1 + _TEXTURE_DEPTH * self._grain(*place))
        mixture = 0.5 + 0.22 * self._stains(*place) + 0.4 * self._shape.pattern(u, v, long_px, wide_px)
        return (
            np.clip(inside_px + 0.5, 0, 1),
            1 - _SHADOW_DEPTH * np.clip(0.5 + cast_px / (2 * self._shadow_px + 1), 0, 1),
            np.clip(light, 0.2, 1.2),
            np.clip(mixture, 0, 1),
        )

    def _turned(self, down: Floats, across: Floats) -> tuple[Floats, Floats]:
        cosine, sine = np.cos(self._turn_rad), np.sin(self._turn_rad)
        return cosine * across + sine * down, cosine * down - sine * across


def polygon(corners: int) -> Shape:
    """A regular polygon, drawn out along the long axis."""
    turns = 2 * np.pi * np.arange(corners) / corners

    def outline(u: Floats, v: Floats, long_px: float, wide_px: float) -> Floats:
        sides = [u * wide_px / long_px * np.cos(turn) + v * np.sin(turn) for turn in turns]
        return wide_px * np.cos(np.pi / corners) - np.maximum.reduce(sides)

    return Shape(outline, _plain)


def _plain(u: Floats, v: Floats, _long_px: float, _wide_px: float) -> Floats:
    return np.zeros(np.broadcast_shapes(u.shape, v.shape))


def _everywhere(u: Floats, v: Floats, _long_px: float, _wide_px: float) -> Floats:
    return np.full(np.broadcast_shapes(u.shape, v.shape), 1e6)


def _oval(u: Floats, v: Floats, long_px: float, wide_px: float) -> Floats:
    return (1 - np.hypot(u / long_px, v / wide_px)) * wide_px


def _strip(u: Floats, v: Floats, long_px: float, wide_px: float) -> Floats:
    return np.minimum(long_px - np.abs(u), wide_px - np.abs(v))


def _bars(u: Floats, _v: Floats, _long_px: float, wide_px: float) -> Floats:
    return np.tanh(4 * np.sin(2 * np.pi * u / (0.8 * wide_px)))


def _lens(u: Floats, v: Floats, long_px: float, wide_px: float) -> Floats:
    return wide_px * (1 - (u / long_px) ** 2) - np.abs(v)


def _veins(u: Floats, v: Floats, _long_px: float, wide_px: float) -> Floats:
    midrib = np.exp(-((v / (0.06 * wide_px + 0.7)) ** 2))
    side_veins = np.clip(np.cos(2 * np.pi * (u - 0.8 * np.abs(v)) / (0.5 * wide_px + 3)), 0, 1) ** 8
    return np.maximum(midrib, 0.6 * side_veins) - 0.5


GROUND: Final = Shape(_everywhere, _plain)
ELLIPSE: Final = Shape(_oval, _plain)
STRIPE: Final = Shape(_strip, _bars)
LEAF: Final = Shape(_lens, _veins)
