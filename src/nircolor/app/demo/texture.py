"""Noise with structure: what keeps a rendered surface from looking painted."""

from typing import Final

import numpy as np
import numpy.typing as npt

from nircolor.spectral.materials import Floats

_SIDE: Final = 256  # of the tables of random values; noise repeats after as many cells


class Noise:
    """Smooth random fields over the plane, the same for the same `rng` state."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._table = rng.uniform(-1, 1, (_SIDE, _SIDE)).astype(np.float32)

    def __call__(self, x: Floats, y: Floats) -> npt.NDArray[np.float32]:
        """Value noise in [-1, 1] at (x, y), in cells: arrays that broadcast together (Perlin 1985's fade)."""
        column, row = np.floor(x), np.floor(y)
        u, v = (x - column).astype(np.float32), (y - row).astype(np.float32)
        u, v = u * u * (3 - 2 * u), v * v * (3 - 2 * v)
        last = _SIDE - 1  # a power of two less one: `&` wraps around
        left, top = column.astype(np.int32) & last, (row.astype(np.int32) & last) * _SIDE
        right, bottom = (left + 1) & last, (top + _SIDE) & (_SIDE * last)
        values = self._table.ravel()
        upper, lower = values[top + left], values[bottom + left]
        upper += u * (values[top + right] - upper)
        lower += u * (values[bottom + right] - lower)
        upper += v * (lower - upper)
        return upper

    def fractal(self, x: Floats, y: Floats, octaves: int, *, ridged: bool = False) -> npt.NDArray[np.float32]:
        """Noise over `octaves` scales, each twice as fine and half as strong, about in [-1, 1].

        `ridged` folds every octave at zero, which makes creases and billows.
        """
        x, y = x.astype(np.float32), y.astype(np.float32)
        total = np.zeros(np.broadcast_shapes(x.shape, y.shape), np.float32)
        strength = 0.5
        for octave in range(octaves):
            # the odd shift keeps the cells of two octaves from lining up
            value = self(x * 2.0**octave + 37.7 * octave, y * 2.0**octave + 17.3 * octave)
            total += strength * (1 - 2 * np.abs(value) if ridged else value)
            strength /= 2
        return total


def slope(field: Floats, axis: int) -> Floats:
    """Change of `field` from one pixel to the next along `axis`; 0 where there is no next pixel."""
    return np.gradient(field, axis=axis) if field.shape[axis] > 1 else np.zeros_like(field)


def smoothstep(low: float, high: float, value: Floats) -> Floats:
    """0 below `low`, 1 above `high`, an S between."""
    t: Floats = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)
