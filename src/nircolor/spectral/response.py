"""What a cube's colour is: to the CIE 1931 observer in daylight, or to a camera of known response.

Only light from 400 to 700 nm counts: colour is what networks are to find, and near-infrared in it would tell.
"""

import hashlib
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nircolor.arrays import Array
from nircolor.errors import NircolorError
from nircolor.imagery.bands_writer import SpectralBand
from nircolor.spectral.weights import GRID_NM, curve_weights

with warnings.catch_warnings():
    # it tells everybody what else it could do with SciPy and Matplotlib
    warnings.simplefilter("ignore")
    import colour

_VISIBLE = (GRID_NM >= 400) & (GRID_NM <= 700)


def daylight() -> Array:
    """CIE D65 at `weights.GRID_NM`, 0 where it is not defined."""
    d65 = colour.SDS_ILLUMINANTS["D65"]
    return np.interp(GRID_NM, d65.wavelengths, d65.values, left=0, right=0)


def observer_weights(path: Path, lines_nm: Array) -> Array:
    """Weights (3, lines) from reflectance to linear sRGB in D65, white to (1, 1, 1).

    Raises NircolorError where the cube has not the lines.
    """
    observer = colour.MSDS_CMFS["CIE 1931 2 Degree Standard Observer"]
    white = colour.xy_to_XYZ(colour.CCS_ILLUMINANTS["CIE 1931 2 Degree Standard Observer"]["D65"])
    light = daylight() * _VISIBLE
    xyz = [
        tristimulus
        * curve_weights(
            path,
            lines_nm,
            light * np.interp(GRID_NM, observer.wavelengths, values, left=0, right=0),
            "colour",
        )
        for tristimulus, values in zip(white, observer.values.T, strict=True)
    ]
    weights = colour.RGB_COLOURSPACES["sRGB"].matrix_XYZ_to_RGB @ np.stack(xyz)
    # the published matrix has four digits
    return weights / weights.sum(1, keepdims=True)


@dataclass(frozen=True, eq=False)
class CameraResponse:
    """Response curves of a camera with red, green, blue and, it may be, near-infrared pixels.

    Attributes:
        path: of the file.
        curves: (3 or 4, grid) at `weights.GRID_NM`, any unit; 0 outside of the file's wavelengths.
        sha256: of the file.
        grid_nm: its wavelengths' first, last and step, where it does not hold them itself.
    """

    path: Path
    curves: Array
    sha256: str
    grid_nm: Sequence[float] | None = None

    def rgb_weights(self, path: Path, lines_nm: Array) -> Array:
        """Weights (3, lines) from reflectance to linear camera RGB in D65, white to (1, 1, 1).

        Raises NircolorError where the cube has not the lines.
        """
        light = daylight() * _VISIBLE
        return np.stack(
            [
                curve_weights(path, lines_nm, light * curve, f"the {name} of {self.path.name}")
                for name, curve in zip(("red", "green", "blue"), self.curves, strict=False)
            ]
        )

    @property
    def has_nir(self) -> bool:
        """Whether there is a fourth channel."""
        return len(self.curves) == 4

    def nir_weights(self, path: Path, lines_nm: Array) -> Array:
        """Weights (lines,) of the near-infrared channel, in light of equal energy; what it lets through of
        visible light counts as the camera would count it. Raises as `rgb_weights`."""
        return curve_weights(path, lines_nm, self.curves[3], f"the near-infrared of {self.path.name}")

    def nir_band(self) -> SpectralBand:
        """Centre and width of the near-infrared channel: mean and area over height of its response."""
        curve = self.curves[3].clip(min=0)
        return SpectralBand(
            round(float(curve @ GRID_NM / curve.sum()), 1), round(float(curve.sum() / curve.max()), 1)
        )


def read_response(path: Path, grid_nm: tuple[float, float, float] | None = None) -> CameraResponse:
    """Read a CSV of a camera's response: rows of wavelength, red, green, blue and, it may be, near-infrared.

    Args:
        path: of the file; a line of titles at its top is passed over.
        grid_nm: first and last wavelength and step, for a file that has no column of wavelengths.

    Raises:
        NircolorError: it is no such file, or the grid does not fit it.
    """
    try:
        content = path.read_bytes()
        table = _table(content.decode("utf-8-sig"))
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise NircolorError(f"{path}: expected a CSV of response curves: {error}") from error
    if grid_nm is None:
        table = table[table[:, 0].argsort()] if table[0, 0] > table[-1, 0] else table
        at_nm, curves = table[:, 0], table[:, 1:]
        rising = len(at_nm) > 1 and (np.diff(at_nm) > 0).all() and at_nm[0] >= 200 and at_nm[-1] <= 3000
        if not rising:
            raise NircolorError(
                f"{path}: expected wavelengths in nm in the first column; "
                "where there is no such column, say its grid: --response-nm 420:1000:10"
            )
    else:
        first, last, step = grid_nm
        at_nm, curves = np.arange(first, last + step / 2, step), table
        if len(at_nm) != len(curves):
            raise NircolorError(
                f"{path}: expected {len(at_nm)} rows from {first:g} to {last:g} nm in steps of {step:g}, "
                f"got {len(curves)}"
            )
        if np.allclose(table[:, 0], at_nm):
            raise NircolorError(
                f"{path}: expected no column of wavelengths, whose grid was given (leave out --response-nm)"
            )
    if curves.shape[1] not in (3, 4):
        raise NircolorError(
            f"{path}: expected 3 or 4 columns of response (red, green, blue, near-infrared), "
            f"got {curves.shape[1]}"
        )
    on_grid = np.stack([np.interp(GRID_NM, at_nm, curve, left=0, right=0) for curve in curves.T])
    if not (on_grid.sum(1) > 0).all():
        raise NircolorError(f"{path}: expected a response in each column, got one of zeros or less")
    if not (on_grid[:3, _VISIBLE].sum(1) > 0).all():
        raise NircolorError(
            f"{path}: expected red, green and blue in this order, got a column without a response "
            "from 400 to 700 nm"
        )
    return CameraResponse(path, on_grid, hashlib.sha256(content).hexdigest(), grid_nm)


def _table(text: str) -> Array:
    """Numbers of a CSV as spreadsheets write it: commas, semicolons or tabs between, titles, comments."""
    lines = [line for line in text.splitlines() if line.strip(" ,;\t") and not line.startswith("#")]
    separator = next((mark for mark in ";\t" if lines and mark in lines[0]), ",")
    rows = [[cell.strip(' "') for cell in line.rstrip(f"{separator} ").split(separator)] for line in lines]
    if separator != ",":
        rows = [[cell.replace(",", ".") for cell in row] for row in rows]
    if rows and not any(_is_number(cell) for cell in rows[0]):
        del rows[0]
    if not rows:
        raise ValueError("got no numbers")
    for row in rows:
        if len(row) != len(rows[0]):
            raise ValueError(f"got rows of {len(rows[0])} and of {len(row)} columns")
        wrong = next((cell for cell in row if not _is_number(cell)), None)
        if wrong is not None:
            raise ValueError(f"got {wrong!r} in the row {separator.join(row)!r}")
    return np.array(rows, float)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
