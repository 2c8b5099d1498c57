"""From a cube's lines to bands: each output is a weighted mean of the lines.

A response curve meets a spectrum that is known at the lines only. Between them it is taken as straight, and
the curve is integrated against that on a grid of 1 nm: so lines may lie unevenly, and bad ones be left out.
"""

from pathlib import Path

import numpy as np

from nircolor.arrays import Array
from nircolor.errors import NircolorError

GRID_NM = np.arange(300.0, 2601.0)
"""Wavelengths of all response curves, (2301,)."""

# between lines a spectrum is taken as straight; materials' spectra are, over this much
_WIDEST_GAP_NM = 20.0
# of a curve's area, how much must lie where the cube has lines
_LEAST_COVERED = 0.9
# wavelengths in headers are rounded
_ROUNDING_NM = 0.5


def curve_weights(path: Path, lines_nm: Array, curve: Array, what: str) -> Array:
    """Weights (lines,), of sum 1, of a response curve.

    Args:
        path: of the cube, for messages.
        lines_nm: (lines,) in nm, NaN for lines that must not be used, which get 0.
        curve: response at `GRID_NM`; any unit.
        what: the curve, for messages.

    Raises:
        NircolorError: too much of the curve lies where the cube has no lines.
    """
    # a line beyond the curve's end must not lend it its value
    inside = np.flatnonzero(curve)
    low, high = GRID_NM[inside[0]], GRID_NM[inside[-1]]
    usable = np.flatnonzero((lines_nm >= low) & (lines_nm <= high))
    usable = usable[np.argsort(lines_nm[usable])]
    at_nm = lines_nm[usable]
    if len(at_nm):
        reached = np.clip(GRID_NM, at_nm[0] - 1, at_nm[-1] + 1) == GRID_NM
        covered = np.abs(curve[reached]).sum()
    if not len(at_nm) or covered < _LEAST_COVERED * np.abs(curve).sum():
        there = f", {len(at_nm)} of them there" if len(at_nm) else ""
        raise NircolorError(
            f"{path}: expected lines from {low:g} to {high:g} nm for {what}, got {span(lines_nm)}{there}"
        )
    gaps_nm = np.diff(at_nm)
    if (gaps_nm > _WIDEST_GAP_NM).any():
        widest = int(gaps_nm.argmax())
        raise NircolorError(
            f"{path}: expected lines at most {_WIDEST_GAP_NM:g} nm apart for {what}, got none "
            f"between {at_nm[widest]:g} and {at_nm[widest + 1]:g} nm"
        )
    weights = np.zeros(len(lines_nm))
    for index, unit in zip(usable, np.eye(len(usable)), strict=True):
        weights[index] = curve @ np.interp(GRID_NM, at_nm, unit)
    return weights / weights.sum()


def gaussian_weights(path: Path, lines_nm: Array, center_nm: float, fwhm_nm: float) -> Array:
    """Weights (lines,), of sum 1, of a band with a Gaussian response; raises as `curve_weights`."""
    curve = np.exp(-4 * np.log(2) * ((GRID_NM - center_nm) / fwhm_nm) ** 2)
    # further out it weighs nothing, and the cube may have no lines
    curve[curve < 1e-3] = 0
    what = f"a band of {fwhm_nm:g} nm at {center_nm:g} nm (or the nearest line, with --nearest)"
    return curve_weights(path, lines_nm, curve, what)


def nearest_weights(path: Path, lines_nm: Array, center_nm: float, within_nm: float) -> Array:
    """Weights (lines,), 1 for the line nearest to ``center_nm``.

    Raises:
        NircolorError: none lies ``within_nm``.
    """
    distances = np.where(np.isnan(lines_nm), np.inf, np.abs(lines_nm - center_nm))
    nearest = int(distances.argmin())
    if distances[nearest] > within_nm + _ROUNDING_NM:
        raise NircolorError(
            f"{path}: expected a line within {within_nm:g} nm of {center_nm:g} nm, got {span(lines_nm)}"
        )
    return np.eye(len(lines_nm))[nearest]


def span(lines_nm: Array) -> str:
    """The lines in words: ``448 lines from 397 to 1004.5 nm``."""
    known = lines_nm[~np.isnan(lines_nm)]
    if not len(known):
        return "no line with a wavelength"
    return f"{len(known)} line{'s'[: len(known) != 1]} from {known.min():g} to {known.max():g} nm"
