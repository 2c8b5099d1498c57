"""Simulated scenes: still lifes of materials with known reflectance.

The reflectance curves of the materials go through a few points that follow the published *shape* (where a
curve rises or absorbs, and roughly how high it is); they are not copies of measured samples:

- leaves, grass, bark: Gates et al. 1965, "Spectral properties of plants"; Jacquemoud & Baret 1990 (PROSPECT).
  Chlorophyll absorbs at 450 and 670 nm, with a green peak at 550 nm; the red edge rises from 690 to 740 nm to
  the plateau that scattering by cell walls causes, with a weak water absorption at 970 nm;
- soil: Stoner & Baumgardner 1981, an almost linear rise with the iron shoulder below 550 nm;
- water: Pope & Fry 1997 and Kou et al. 1993, almost complete absorption beyond 750 nm;
- snow and cloud: Warren 1982, high and flat; rock, tile, plaster, wood: the rock and man-made chapters of the
  ECOSTRESS library (Baldridge et al. 2009; Meerdink et al. 2019).
"""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from nircolor.arrays import Array, Floats

WAVELENGTHS_NM: Final = np.arange(400, 1001, 10, dtype=np.float64)
"""Wavelengths of `material_reflectance`, (61,) in nm."""

# wavelengths for everything that is not a leaf: these curves have no narrow features
_PLAIN_NM: Final = (400, 450, 500, 550, 600, 650, 700, 750, 800, 900, 1000)
# fmt: off
_LEAF_NM: Final = (400, 450, 500, 530, 550, 580, 620, 650, 675, 690,
                   700, 710, 720, 740, 760, 800, 900, 970, 1000)
# fmt: on

_PLAIN: Final[dict[str, tuple[float, ...]]] = {
    "gray": (0.18,) * 11,  # a photographer's gray card
    "cloud": (0.93, 0.93, 0.93, 0.93, 0.93, 0.93, 0.93, 0.92, 0.92, 0.91, 0.90),
    "snow": (0.92, 0.92, 0.92, 0.92, 0.92, 0.91, 0.90, 0.89, 0.88, 0.84, 0.78),
    "soil": (0.08, 0.10, 0.13, 0.18, 0.23, 0.26, 0.28, 0.30, 0.32, 0.35, 0.38),
    "rock": (0.17, 0.19, 0.21, 0.23, 0.245, 0.25, 0.255, 0.26, 0.265, 0.27, 0.28),
    "water": (0.030, 0.038, 0.045, 0.042, 0.020, 0.012, 0.008, 0.003, 0.003, 0.002, 0.001),
    "tile": (0.06, 0.065, 0.075, 0.11, 0.22, 0.28, 0.32, 0.34, 0.35, 0.36, 0.38),
    "plaster": (0.42, 0.50, 0.56, 0.61, 0.64, 0.66, 0.67, 0.68, 0.69, 0.70, 0.71),
    "wood": (0.08, 0.10, 0.13, 0.17, 0.21, 0.25, 0.29, 0.34, 0.38, 0.44, 0.48),
    "bark": (0.05, 0.06, 0.075, 0.09, 0.11, 0.13, 0.16, 0.21, 0.25, 0.32, 0.36),
    "glass": (0.05, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05),
    "petal": (0.04, 0.05, 0.12, 0.46, 0.60, 0.62, 0.63, 0.63, 0.63, 0.62, 0.61),
    "dry grass": (0.07, 0.10, 0.15, 0.21, 0.26, 0.30, 0.35, 0.39, 0.42, 0.46, 0.49),
}
# fmt: off
_LEAVES: Final[dict[str, tuple[float, ...]]] = {
    "meadow": (0.035, 0.040, 0.055, 0.105, 0.125, 0.100, 0.075, 0.062, 0.050, 0.060,
               0.105, 0.170, 0.245, 0.385, 0.445, 0.470, 0.490, 0.475, 0.485),
    "broadleaf": (0.035, 0.038, 0.045, 0.080, 0.095, 0.070, 0.052, 0.045, 0.040, 0.048,
                  0.085, 0.150, 0.230, 0.390, 0.460, 0.480, 0.500, 0.485, 0.495),
    "young leaf": (0.035, 0.042, 0.065, 0.140, 0.165, 0.130, 0.090, 0.070, 0.050, 0.065,
                   0.140, 0.230, 0.320, 0.460, 0.500, 0.515, 0.525, 0.510, 0.520),
    "conifer": (0.022, 0.025, 0.030, 0.048, 0.056, 0.045, 0.036, 0.032, 0.028, 0.034,
                0.055, 0.090, 0.140, 0.235, 0.280, 0.300, 0.315, 0.300, 0.310),
}
# fmt: on

MATERIALS: Final = tuple(sorted(_PLAIN | _LEAVES))
"""Names of the materials."""

_FOLIAGE: Final = ("broadleaf", "conifer", "dry grass", "meadow", "petal", "young leaf")
BLOCK_LINES: Final = 16  # 30 MB of an FX10 with all its bands
_BRIGHTEST: Final = 0.98
_LIGHT: Final = np.sqrt(0.5)  # light comes from the upper left: component along lines and along samples
_SHADOW_DEPTH: Final = 0.45
_TEXTURE_DEPTH: Final = 0.08


@functools.cache
def material_reflectance(material: str) -> Array:
    """Return the reflectance of one of `MATERIALS` at `WAVELENGTHS_NM`, (61,) in [0, 1].

    Examples:
        >>> meadow = material_reflectance("meadow")
        >>> bool(meadow[WAVELENGTHS_NM == 850] > 5 * meadow[WAVELENGTHS_NM == 670])
        True
    """
    at_nm, values = (_LEAF_NM, _LEAVES[material]) if material in _LEAVES else (_PLAIN_NM, _PLAIN[material])
    corners = np.pad(np.interp(WAVELENGTHS_NM, at_nm, values), 1, mode="edge")
    # round the corners of the polyline
    return np.convolve(corners, [0.25, 0.5, 0.25], mode="valid")


@dataclass(frozen=True)
class StillLife:
    """Objects on a ground; a later one covers the earlier ones.

    Lines are rendered on demand, so that a scene of any length fits in memory.

    Attributes:
        lines, samples: Height and width in pixels.
        objects: The ground, then the objects.
        spectra: Reflectance, (objects, 2, bands) float32 in [0, 1]. The surface of each object varies between
            its two spectra.
    """

    lines: int
    samples: int
    objects: tuple["SceneObject", ...]
    spectra: Floats

    def blocks(self) -> Iterator[Floats]:
        """Yield the reflectance in blocks of at most 16 lines: (bands, lines, samples) float32 in [0, 1]."""
        spectra = self.spectra.reshape(-1, self.spectra.shape[-1])
        for top in range(0, self.lines, BLOCK_LINES):
            weights = self._weights(top, min(top + BLOCK_LINES, self.lines))
            yield np.clip(np.tensordot(spectra, weights, (0, 0)), 0, 1)

    def reflectance(self) -> Floats:
        """Return the reflectance of the whole scene, (bands, lines, samples) float32 in [0, 1]."""
        return np.concatenate(list(self.blocks()), axis=1)

    def _weights(self, top: int, bottom: int) -> Floats:
        """Compute the share of each spectrum in each pixel, with shading: (2 * objects, lines, samples)."""
        weights = np.zeros((2 * len(self.objects), bottom - top, self.samples), np.float32)
        for number, item in enumerate(self.objects):
            rows = np.arange(max(top, item.top), min(bottom, item.top + item.side_px))
            columns = np.arange(max(0, item.left), min(self.samples, item.left + item.side_px))
            if not (rows.size and columns.size):
                continue
            cover, shadow, light, mixture = item.render(rows, columns)
            window = weights[:, rows[0] - top : rows[-1] + 1 - top, columns[0] : columns[-1] + 1]
            window[: 2 * number] *= shadow * (1 - cover)
            window[2 * number] = cover * light * (1 - mixture)
            window[2 * number + 1] = cover * light * mixture
        return weights


def still_life(rng: np.random.Generator, lines: int, samples: int, wavelengths_nm: Array) -> StillLife:
    """Make a random scene: 12 to 30 objects of several shapes on a ground.

    Each object is made of one of `MATERIALS`. Its spectrum is scaled, tilted and mixed with that of a second
    material, so that no two objects have the same spectrum.

    Args:
        rng: Random generator; the same state gives the same scene.
        lines, samples: Height and width in pixels.
        wavelengths_nm: Band centres, (bands,) in nm.
    """
    count = int(rng.integers(12, 31))
    half_px = (lines / 2, samples / 2)
    objects = [SceneObject(rng, GROUND, half_px, 0.0, max(half_px), max(half_px))]
    spectra = [_variants(rng, str(rng.choice(MATERIALS)), wavelengths_nm)]
    for _ in range(count):
        shape = (ELLIPSE, STRIPE, LEAF, polygon(int(rng.integers(3, 8))))[rng.integers(4)]
        long_px = float(np.sqrt(lines * samples / count) * rng.uniform(0.4, 1.0))
        slender = rng.uniform(0.3, 0.5) if shape in (LEAF, STRIPE) else rng.uniform(0.5, 1.0)
        center_px = (rng.uniform(0, lines), rng.uniform(0, samples))
        angle = rng.uniform(0, 2 * np.pi)
        objects.append(SceneObject(rng, shape, center_px, angle, long_px, slender * long_px))
        material = str(rng.choice(_FOLIAGE if shape is LEAF else MATERIALS))
        spectra.append(_variants(rng, material, wavelengths_nm))
    return StillLife(lines, samples, tuple(objects), np.stack(spectra).astype(np.float32))


def _variants(rng: np.random.Generator, material: str, wavelengths_nm: Array) -> Array:
    """Return two spectra like that of a material, the second with more of another one in it, (2, bands)."""
    own, other = (
        np.interp(wavelengths_nm, WAVELENGTHS_NM, material_reflectance(name))
        for name in (material, str(rng.choice(MATERIALS)))
    )
    tilt = (wavelengths_nm / 700) ** rng.normal(0, 0.5)
    variants = []
    for share in (rng.uniform(0, 0.15), rng.uniform(0.2, 0.6)):
        spectrum = rng.lognormal(0, 0.25) * tilt * ((1 - share) * own + share * other)
        variants.append(spectrum * min(1.0, _BRIGHTEST / spectrum.max()))
    return np.stack(variants)


# function of the position (u, v) along an object's long and short axis, and of both half axes, all in pixels
_Field = Callable[[Array, Array, float, float], Array]


@dataclass(frozen=True)
class Shape:
    """Outline and pattern of an object in its own coordinates.

    Attributes:
        outline: Distance from the edge in pixels, positive inside.
        pattern: -1 where the surface has the object's first spectrum, 1 where it has the second.
    """

    outline: _Field
    pattern: _Field


class SceneObject:
    """An object of a still life.

    Args:
        rng: Random generator of its texture.
        shape: Outline and pattern.
        center_px: Line and sample of its centre.
        angle: Rotation of its long axis in radians.
        long_px, short_px: Half axes in pixels.

    Attributes:
        top, left, side_px: The square outside of which the object and its shadow change nothing.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        shape: Shape,
        center_px: tuple[float, float],
        angle: float,
        long_px: float,
        short_px: float,
    ) -> None:
        self._shape, self._center_px = shape, center_px
        self._angle, self._axes_px = angle, (long_px, short_px)
        self._shadow_px = 0.15 * short_px
        # the shadow reaches furthest at the corner of a long triangle
        radius_px = float(np.hypot(long_px, short_px)) + 4 * self._shadow_px + 2
        self.top, self.left = (int(np.floor(at - radius_px)) for at in center_px)
        self.side_px = int(np.ceil(2 * radius_px)) + 1
        self._stains = _SmoothNoise(rng, self.side_px, (max(short_px / 1.5, 2), max(short_px / 4, 2)))
        self._grain = _SmoothNoise(rng, self.side_px, (max(short_px / 8, 3), 3.0))

    def render(self, rows: Array, columns: Array) -> tuple[Array, Array, Array, Array]:
        """Render the object at some pixels of the scene.

        Args:
            rows, columns: Lines, (h,), and samples, (w,).

        Returns:
            Four arrays, (h, w): cover in [0, 1]; share of the light that its shadow leaves to what lies
            below, in [0.55, 1]; light on its own surface in [0.2, 1.2]; share of its second spectrum
            in [0, 1].
        """
        down, across = rows[:, None] - self._center_px[0], columns[None] - self._center_px[1]
        long_px, short_px = self._axes_px
        u, v = self._rotate(down, across)
        inside_px = self._shape.outline(u, v, long_px, short_px)
        cast_px = self._shape.outline(
            *self._rotate(down - self._shadow_px, across - self._shadow_px), long_px, short_px
        )
        place = rows - self.top, columns - self.left
        facing = -_LIGHT * (down + across) / long_px
        rim = np.exp(-np.clip(inside_px, 0, None) / (0.15 * short_px))
        light = (0.88 + 0.1 * facing - 0.2 * rim) * (1 + _TEXTURE_DEPTH * self._grain(*place))
        mixture = 0.5 + 0.22 * self._stains(*place) + 0.4 * self._shape.pattern(u, v, long_px, short_px)
        return (
            np.clip(inside_px + 0.5, 0, 1),
            1 - _SHADOW_DEPTH * np.clip(0.5 + cast_px / (2 * self._shadow_px + 1), 0, 1),
            np.clip(light, 0.2, 1.2),
            np.clip(mixture, 0, 1),
        )

    def _rotate(self, down: Array, across: Array) -> tuple[Array, Array]:
        cosine, sine = np.cos(self._angle), np.sin(self._angle)
        return cosine * across + sine * down, cosine * down - sine * across


class _SmoothNoise:
    """Smooth random field over a square with mean 0 and standard deviation about 1.

    Args:
        rng: Random generator.
        side_px: Side of the square.
        cells_px: Distances of the spline's knots; one field for each is added up.
    """

    def __init__(self, rng: np.random.Generator, side_px: int, cells_px: tuple[float, ...]) -> None:
        # a cubic spline needs two more knots on each side
        sides = [int(side_px / cell) + 4 for cell in cells_px]
        self._grids = [
            (cell, rng.standard_normal((side, side), np.float32))
            for cell, side in zip(cells_px, sides, strict=True)
        ]

    def __call__(self, rows: Array, columns: Array) -> Floats:
        """Evaluate at rows, (h,), and columns, (w,), in pixels from the square's corner: (h, w)."""
        total = np.zeros((rows.size, columns.size), np.float32)
        for cell, grid in self._grids:
            down, across = _spline(rows / cell + 1, len(grid)), _spline(columns / cell + 1, len(grid))
            total += down @ grid @ across.T
        # a cubic spline in two dimensions reduces the deviation of white noise to 0.48
        return total / np.float32(0.48 * np.sqrt(len(self._grids)))


def _spline(at: Array, knots: int) -> Floats:
    """Compute the cubic B-spline's weights of all knots at some positions, (n,) in knots: (n, knots)."""
    t = np.abs(at[:, None] - np.arange(knots)).astype(np.float32)
    return np.where(t < 1, 2 / 3 - t**2 + t**3 / 2, np.clip(2 - t, 0, None) ** 3 / 6).astype(np.float32)


def polygon(corners: int) -> Shape:
    """Return a regular polygon, stretched along the long axis."""
    angles = 2 * np.pi * np.arange(corners) / corners

    def outline(u: Array, v: Array, long_px: float, short_px: float) -> Array:
        sides = [u * short_px / long_px * np.cos(angle) + v * np.sin(angle) for angle in angles]
        return short_px * np.cos(np.pi / corners) - np.maximum.reduce(sides)

    return Shape(outline, _plain)


def _plain(u: Array, v: Array, _long_px: float, _short_px: float) -> Array:
    return np.zeros(np.broadcast_shapes(u.shape, v.shape))


def _everywhere(u: Array, v: Array, _long_px: float, _short_px: float) -> Array:
    return np.full(np.broadcast_shapes(u.shape, v.shape), 1e6)


def _oval(u: Array, v: Array, long_px: float, short_px: float) -> Array:
    return (1 - np.hypot(u / long_px, v / short_px)) * short_px


def _strip(u: Array, v: Array, long_px: float, short_px: float) -> Array:
    return np.minimum(long_px - np.abs(u), short_px - np.abs(v))


def _bars(u: Array, _v: Array, _long_px: float, short_px: float) -> Array:
    return np.tanh(4 * np.sin(2 * np.pi * u / (0.8 * short_px)))


def _lens(u: Array, v: Array, long_px: float, short_px: float) -> Array:
    return short_px * (1 - (u / long_px) ** 2) - np.abs(v)


def _veins(u: Array, v: Array, _long_px: float, short_px: float) -> Array:
    midrib = np.exp(-((v / (0.06 * short_px + 0.7)) ** 2))
    side_veins = np.clip(np.cos(2 * np.pi * (u - 0.8 * np.abs(v)) / (0.5 * short_px + 3)), 0, 1) ** 8
    return np.maximum(midrib, 0.6 * side_veins) - 0.5


GROUND: Final = Shape(_everywhere, _plain)
ELLIPSE: Final = Shape(_oval, _plain)
STRIPE: Final = Shape(_strip, _bars)
LEAF: Final = Shape(_lens, _veins)
