"""What simulated scenes are made of: reflectance from 400 to 1000 nm.

Each curve is drawn through a few points that hold its published *shape* (where it rises, where it
absorbs, about how high), not copied from one measured sample:

- leaves, grass, bark: Gates et al. 1965, "Spectral properties of plants"; Jacquemoud & Baret 1990
  (PROSPECT): chlorophyll absorbs at 450 and 670 nm, a green peak stands at 550 nm, the red edge climbs
  from 690 to 740 nm to a plateau that cell walls scatter, with a weak water dip at 970 nm;
- soil: Stoner & Baumgardner 1981, an almost straight rise with the iron shoulder below 550 nm;
- water: Pope & Fry 1997 and Kou et al. 1993, absorption that leaves next to nothing beyond 750 nm;
- snow and cloud: Warren 1982, flat and high; rock, tile, plaster, wood: the rock and man-made chapters
  of the ECOSTRESS library (Baldridge et al. 2009; Meerdink et al. 2019).
"""

import functools
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]

WAVELENGTHS_NM: Final = np.arange(400, 1001, 10, dtype=np.float64)

# one row of wavelengths for everything that is not a leaf: these curves have no narrow features
_PLAIN_NM: Final = (400, 450, 500, 550, 600, 650, 700, 750, 800, 900, 1000)
_LEAF_NM: Final = (
    400,
    450,
    500,
    530,
    550,
    580,
    620,
    650,
    675,
    690,
    700,
    710,
    720,
    740,
    760,
    800,
    900,
    970,
    1000,
)

_PLAIN: Final[dict[str, tuple[float, ...]]] = {
    "gray": (0.18,) * 11,  # the photographer's card: it must come out neutral
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


@functools.cache
def reflectance(material: str) -> Floats:
    """The share of light that `material` sends back, (61,), in [0, 1], at `WAVELENGTHS_NM`."""
    at_nm, values = (_LEAF_NM, _LEAVES[material]) if material in _LEAVES else (_PLAIN_NM, _PLAIN[material])
    corners = np.pad(np.interp(WAVELENGTHS_NM, at_nm, values), 1, mode="edge")
    # rounds the corners of the polyline: nature has none
    return np.convolve(corners, [0.25, 0.5, 0.25], mode="valid")
