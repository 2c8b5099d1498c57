"""Weights that mix the bands of a capture into one output band.

A response curve is integrated against a spectrum that is known only at the capture's bands. Between
neighbouring bands the spectrum is taken as a straight line, and the integral is a sum over a grid of 1 nm.
The result is a weighted mean of the bands, also for unevenly spaced or missing ones.
"""

from pathlib import Path

import numpy as np

from nircolor.arrays import Array
from nircolor.errors import NircolorError
from nircolor.texts import count_of

GRID_NM = np.arange(300.0, 2601.0)
"""Wavelengths at which all response curves are sampled, (2301,) in nm."""

# spectra of materials are close to straight over this distance
_WIDEST_GAP_NM = 20.0
# share of a curve's area that must lie where the capture has bands
_LEAST_COVERED = 0.9
# headers round wavelengths
_ROUNDING_NM = 0.5


def curve_weights(path: Path, wavelengths_nm: Array, curve: Array, name: str) -> Array:
    """Compute the weights of a response curve.

    Args:
        path: The capture, for error messages.
        wavelengths_nm: Band centres of the capture, (n,) in nm. Bands with NaN get the weight 0.
        curve: Response at `GRID_NM`, (2301,), in any unit.
        name: Name of the curve, for error messages.

    Returns:
        Weights, (n,), with a sum of 1.

    Raises:
        NircolorError: The capture lacks bands for more than a tenth of the curve, or has a gap of
            more than 20 nm there.

    Examples:
        >>> flat = np.ones_like(GRID_NM) * ((GRID_NM >= 780) & (GRID_NM <= 800))
        >>> curve_weights(Path("a.hdr"), np.array([770.0, 780, 790, 800]), flat, "a band").round(2).tolist()
        [0.0, 0.26, 0.48, 0.26]
    """
    # use only bands inside the curve: a band outside would carry its value into it by interpolation
    nonzero = np.flatnonzero(curve)
    low, high = GRID_NM[nonzero[0]], GRID_NM[nonzero[-1]]
    usable = np.flatnonzero((wavelengths_nm >= low) & (wavelengths_nm <= high))
    usable = usable[np.argsort(wavelengths_nm[usable])]
    at_nm = wavelengths_nm[usable]
    if len(at_nm):
        reached = np.clip(GRID_NM, at_nm[0] - 1, at_nm[-1] + 1) == GRID_NM
        covered = np.abs(curve[reached]).sum()
    if not len(at_nm) or covered < _LEAST_COVERED * np.abs(curve).sum():
        inside = f", {len(at_nm)} of them in this range" if len(at_nm) else ""
        raise NircolorError(
            f"{path}: expected bands from {low:g} to {high:g} nm for {name}, "
            f"got {describe_bands(wavelengths_nm)}{inside}"
        )
    gaps_nm = np.diff(at_nm)
    if (gaps_nm > _WIDEST_GAP_NM).any():
        widest = int(gaps_nm.argmax())
        raise NircolorError(
            f"{path}: expected bands at most {_WIDEST_GAP_NM:g} nm apart for {name}, got none "
            f"between {at_nm[widest]:g} and {at_nm[widest + 1]:g} nm"
        )
    weights = np.zeros(len(wavelengths_nm))
    for index, unit in zip(usable, np.eye(len(usable)), strict=True):
        weights[index] = curve @ np.interp(GRID_NM, at_nm, unit)
    return weights / weights.sum()


def gaussian_weights(path: Path, wavelengths_nm: Array, center_nm: float, fwhm_nm: float) -> Array:
    """Compute the weights of a band with a Gaussian response.

    Args:
        path: The capture, for error messages.
        wavelengths_nm: Band centres of the capture, (n,) in nm; NaN for bands that must not be used.
        center_nm: Centre of the band.
        fwhm_nm: Full width at half maximum of the band.

    Returns:
        (n,), with a sum of 1.

    Raises:
        NircolorError: The capture lacks bands for more than a tenth of the curve, or has a gap of more than
            20 nm there.
    """
    curve = np.exp(-4 * np.log(2) * ((GRID_NM - center_nm) / fwhm_nm) ** 2)
    # cut the tails, which contribute almost nothing but would require bands of the capture
    curve[curve < 1e-3] = 0
    name = f"a band of {fwhm_nm:g} nm at {center_nm:g} nm (or the nearest band, with --nearest)"
    return curve_weights(path, wavelengths_nm, curve, name)


def nearest_weights(path: Path, wavelengths_nm: Array, center_nm: float, within_nm: float) -> Array:
    """Return weights, (n,), that select the band nearest to ``center_nm``.

    Raises:
        NircolorError: No band is at most ``within_nm`` away.
    """
    distances = np.where(np.isnan(wavelengths_nm), np.inf, np.abs(wavelengths_nm - center_nm))
    nearest = int(distances.argmin())
    if distances[nearest] > within_nm + _ROUNDING_NM:
        raise NircolorError(
            f"{path}: expected a band within {within_nm:g} nm of {center_nm:g} nm, "
            f"got {describe_bands(wavelengths_nm)}"
        )
    return np.eye(len(wavelengths_nm))[nearest]


def describe_bands(wavelengths_nm: Array) -> str:
    """Describe a capture's bands for a message: ``448 bands from 397 to 1004.5 nm``."""
    known = wavelengths_nm[~np.isnan(wavelengths_nm)]
    if not len(known):
        return "no band with a wavelength"
    return f"{count_of(len(known), 'band')} from {known.min():g} to {known.max():g} nm"
