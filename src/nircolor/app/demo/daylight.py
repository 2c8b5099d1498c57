"""The light of a clear day: what the sun sends, what the air takes from it, scatters and adds.

A one-layer atmosphere. Its optical depths are those of the simple spectral model of Bird & Riordan 1986
(Rayleigh after Leckner 1978, Ångström's law for the haze, the oxygen and water bands as two dips), the
sun is a black body, and scattered light comes from one source function for sky, sky light and haze
alike, so that hills far away fade into the very sky behind them.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from nircolor.app.demo.camera import see
from nircolor.spectral.materials import WAVELENGTHS_NM, Floats, reflectance

SUN: Final = np.array([-0.62, 0.58, -0.53])  # towards the sun: x right, y up, z away from the camera
SUN_TEMPERATURE_K: Final = 5800.0
AEROSOL_DEPTH: Final = 0.045  # at 500 nm: a clear day after rain
ANGSTROM_EXPONENT: Final = 1.3
# light scattered towards the eye, as a share of the sun's on top of the air: a quarter for isotropic single
# scattering, more with what is scattered again and what the ground sends back
SCATTERED_SHARE: Final = 0.45
DIFFUSIVITY: Final = 1.66  # the air mass that stands for the whole hemisphere (Elsasser 1942)
SCALE_HEIGHT_KM: Final = 5.0  # vertical optical depth / this = extinction per km near the ground

_um = WAVELENGTHS_NM / 1000
_depth = 0.008735 * _um**-4.08 + AEROSOL_DEPTH * (_um / 0.5) ** -ANGSTROM_EXPONENT
_dips = 0.25 * np.exp(-(((_um - 0.762) / 0.006) ** 2)) + 0.45 * np.exp(-(((_um - 0.94) / 0.022) ** 2))
# the sun above the air, less what oxygen and water take on any way through it
_planck = _um**-5 / np.expm1(14387.77 / (_um * SUN_TEMPERATURE_K)) * np.exp(-_dips)
_height = float(SUN[1] / np.linalg.norm(SUN))


def _scattered(air_mass: npt.ArrayLike) -> Floats:
    """Light that a path through `air_mass` atmospheres adds, (..., 61)."""
    filled: Floats = -np.expm1(-np.multiply.outer(np.asarray(air_mass), _depth))
    return SCATTERED_SHARE * _planck * filled


_sun_light = _height * _planck * np.exp(-_depth / _height)
_sky_light = _scattered(DIFFUSIVITY)
# a white sheet on the ground is 1 in every channel: white balance and exposure at once
_white = see(_sun_light + _sky_light)


def sky(air_mass: npt.ArrayLike) -> Floats:
    """Radiance of the clear sky through `air_mass` atmospheres (1 overhead), (..., 4)."""
    return see(_scattered(air_mass)) / _white


def lit(material: str, distance_km: float = 0.0) -> Floats:
    """How `material` looks in each kind of light, (3, 4): a row for sun, sky and its own kind's glow.

    The third is light that has met the same material once already: leaves among leaves, which is green
    to the eye and makes near-infrared foliage shine from inside. A sheet that lies in the open gets one
    part of sun and one of sky; the caller weighs the rows by what reaches the pixel. `distance_km` of air
    dims all three.
    """
    kept = reflectance(material) * np.exp(-_depth * distance_km / SCALE_HEIGHT_KM)
    glow = reflectance(material) * (_sun_light + _sky_light)
    return see(kept * np.stack([_sun_light, _sky_light, glow])) / _white


def haze(distance_km: float) -> Floats:
    """What `distance_km` of air adds to whatever stands behind it, (4,)."""
    return sky(distance_km / SCALE_HEIGHT_KM)
