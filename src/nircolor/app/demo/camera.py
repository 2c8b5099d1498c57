"""From spectra to what two cameras record: colour as the eye sees it, and one broad near-infrared band."""

from typing import Final

import numpy as np
import numpy.typing as npt

from nircolor.imagery.srgb import encode_srgb
from nircolor.spectral.materials import WAVELENGTHS_NM, Floats

# IEC 61966-2-1: CIE XYZ to linear sRGB
_XYZ_TO_SRGB: Final = np.array(
    [[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]]
)
# height, centre, width below and above the centre, in nm: the CIE 1931 observer as sums of two-sided
# Gaussians (Wyman, Sloan & Shirley 2013, "Simple analytic approximations to the CIE XYZ color matching
# functions", Journal of Computer Graphics Techniques 2(2))
_OBSERVER: Final = (
    ((1.056, 599.8, 37.9, 31.0), (0.362, 442.0, 16.0, 26.7), (-0.065, 501.1, 20.4, 26.2)),
    ((0.821, 568.8, 46.9, 40.5), (0.286, 530.9, 16.3, 31.1)),
    ((1.217, 437.0, 11.8, 36.0), (0.681, 459.0, 26.0, 13.8)),
)
EXPOSURE: Final = 1.25
LONG_PASS_NM: Final = 750.0  # where the filter before the near-infrared camera lets half of the light through
# quantum efficiency of an ordinary silicon sensor: it ends where the photon is too weak for the band gap
_SILICON: Final = ((400, 0.35), (550, 0.60), (700, 0.55), (800, 0.40), (900, 0.22), (1000, 0.06))


def _responses() -> Floats:
    """Red, green, blue and near-infrared response to a unit of light, (4, 61)."""
    nm = WAVELENGTHS_NM
    observer = [
        sum(
            top * np.exp(-0.5 * ((nm - centre) / np.where(nm < centre, below, above)) ** 2)
            for top, centre, below, above in lobes
        )
        for lobes in _OBSERVER
    ]
    rgb = _XYZ_TO_SRGB @ np.stack(observer)
    nir = np.interp(nm, *np.transpose(_SILICON)) / (1 + np.exp((LONG_PASS_NM - nm) / 6))
    return np.vstack([rgb, nir])


_RESPONSES: Final = _responses()


def see(spectra: Floats) -> Floats:
    """Linear red, green, blue and near-infrared of `spectra`, (..., 61) -> (..., 4), unbalanced."""
    return spectra @ _RESPONSES.T


def develop(linear: Floats) -> npt.NDArray[np.float32]:
    """Linear values, a white sheet in the sun at 1, as a camera's JPEG encodes them, in [0, 1].

    Exposed for the land rather than the clouds: straight up to half of white, then a shoulder that keeps
    what is brighter from burning out, then the sRGB curve.
    """
    linear = EXPOSURE * linear
    straight = np.clip(linear, 0, 0.5)
    shoulder = 0.5 * -np.expm1(-np.clip(linear - 0.5, 0, None) / 0.5)
    return encode_srgb(straight + shoulder)
