"""Colour of a spectrum, for the CIE 1931 observer under D65 or for a camera with known response curves.

Colour is restricted to 400 to 700 nm so that NIR cannot leak into the target of a colorization.
"""

import functools
import hashlib
import math
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np

from nircolor.arrays import Array
from nircolor.errors import NircolorError
from nircolor.imagery.output.bands_writer import SpectralBand
from nircolor.spectral.weights import GRID_NM, curve_weights

_VISIBLE = (GRID_NM >= 400) & (GRID_NM <= 700)


@functools.cache
def colour_science() -> ModuleType:
    """Import colour-science, which takes seconds, without its warnings about optional packages.

    It sets NumPy's print options for the whole process when it is imported; here they are restored.
    """
    with warnings.catch_warnings(), np.printoptions():
        warnings.simplefilter("ignore")
        import colour
    return colour


@functools.cache
def daylight() -> Array:
    """Return CIE illuminant D65 at `GRID_NM`, (2301,); 0 where it is not defined."""
    d65 = colour_science().SDS_ILLUMINANTS["D65"]
    return np.interp(GRID_NM, d65.wavelengths, d65.values, left=0, right=0)


def observer_weights(path: Path, wavelengths_nm: Array) -> Array:
    """Compute the weights from reflectance to linear sRGB of the CIE 1931 2° observer under D65.

    Args:
        path: The capture, for error messages.
        wavelengths_nm: Band centres of the capture, (n,) in nm; NaN for bands that must not be used.

    Returns:
        (3, n); a reflectance of 1 everywhere gives (1, 1, 1).

    Raises:
        NircolorError: The capture lacks bands from 400 to 700 nm.
    """
    colour = colour_science()
    observer = colour.MSDS_CMFS["CIE 1931 2 Degree Standard Observer"]
    white = colour.xy_to_XYZ(colour.CCS_ILLUMINANTS["CIE 1931 2 Degree Standard Observer"]["D65"])
    light = daylight() * _VISIBLE
    xyz = [
        tristimulus
        * curve_weights(
            path,
            wavelengths_nm,
            light * np.interp(GRID_NM, observer.wavelengths, values, left=0, right=0),
            "colour",
        )
        for tristimulus, values in zip(white, observer.values.T, strict=True)
    ]
    weights: Array = colour.RGB_COLOURSPACES["sRGB"].matrix_XYZ_to_RGB @ np.stack(xyz)
    # the published matrix has four digits
    return weights / weights.sum(1, keepdims=True)


@dataclass(frozen=True, eq=False)
class CameraResponse:
    """Response curves of a camera with red, green, blue and optionally NIR channels; made by `read_response`.

    Attributes:
        path: The CSV file.
        curves: (3 or 4, 2301), at `nircolor.spectral.weights.GRID_NM`, in any unit; 0 outside of the file's
            range.
        sha256: Hash of the file.
        grid_nm: First and last wavelength and step that were given for a file without wavelengths.
    """

    path: Path
    curves: Array
    sha256: str
    grid_nm: Sequence[float] | None = None

    def rgb_weights(self, path: Path, wavelengths_nm: Array) -> Array:
        """Compute the weights from reflectance to linear, white-balanced camera RGB under D65.

        Args:
            path: The capture, for error messages.
            wavelengths_nm: Band centres of the capture, (n,) in nm; NaN for bands that must not be used.

        Returns:
            (3, n); a reflectance of 1 everywhere gives (1, 1, 1).

        Raises:
            NircolorError: The capture lacks bands from 400 to 700 nm.
        """
        light = daylight() * _VISIBLE
        return np.stack(
            [
                curve_weights(path, wavelengths_nm, light * curve, f"the {name} of {self.path.name}")
                for name, curve in zip(("red", "green", "blue"), self.curves, strict=False)
            ]
        )

    @property
    def has_nir(self) -> bool:
        """Whether the camera has an NIR channel."""
        return len(self.curves) == 4

    def nir_weights(self, path: Path, wavelengths_nm: Array) -> Array:
        """Compute the weights of the NIR channel under light of equal energy at all wavelengths.

        The whole curve is used, including its response to visible light.

        Args:
            path: The capture, for error messages.
            wavelengths_nm: Band centres of the capture, (n,) in nm; NaN for bands that must not be used.

        Returns:
            (n,), with a sum of 1.

        Raises:
            NircolorError: The capture lacks bands where the channel responds.
        """
        return curve_weights(path, wavelengths_nm, self.curves[3], f"the near-infrared of {self.path.name}")

    def nir_band(self) -> SpectralBand:
        """Return centre (mean wavelength of the response) and width (area over height) of the NIR channel."""
        curve = self.curves[3].clip(min=0)
        return SpectralBand(
            round(float(curve @ GRID_NM / curve.sum()), 1), round(float(curve.sum() / curve.max()), 1)
        )


def read_response(
    path: str | os.PathLike[str], grid_nm: tuple[float, float, float] | None = None
) -> CameraResponse:
    """Read the response curves of a camera from a CSV file.

    A row holds a wavelength in nm, the response of red, green and blue, and optionally of NIR. Commas,
    semicolons (also with decimal commas) and tabs separate the columns; a header row and comments (``#``) are
    skipped.

    Args:
        path: The CSV file.
        grid_nm: First and last wavelength and step in nm, for a file without a column of wavelengths.

    Raises:
        NircolorError: The file cannot be read, has other columns, or does not match ``grid_nm``.

    Examples:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "camera.csv")
        >>> _ = path.write_text("nm,R,G,B,NIR\\n400,0,0,1,0\\n600,1,1,0,0\\n850,0,0,0,1\\n1000,0,0,0,0\\n")
        >>> read_response(path).has_nir
        True
    """
    path = Path(path)
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
                "for a file without this column, give its range: --response-nm 420:1000:10"
            )
    else:
        first, last, step = grid_nm
        if not (0 < first < last and 0 < step <= last - first):
            raise NircolorError(
                f"--response-nm: expected first wavelength, last wavelength, step, got {grid_nm}"
            )
        at_nm, curves = np.arange(first, last + step / 2, step), table
        if len(at_nm) != len(curves):
            raise NircolorError(
                f"{path}: expected {len(at_nm)} rows from {first:g} to {last:g} nm in steps of {step:g}, "
                f"got {len(curves)}"
            )
        if np.allclose(table[:, 0], at_nm):
            raise NircolorError(
                f"{path}: expected no column of wavelengths with --response-nm, got one; leave out the option"
            )
    if curves.shape[1] not in (3, 4):
        raise NircolorError(
            f"{path}: expected 3 or 4 columns of response (red, green, blue, near-infrared), "
            f"got {curves.shape[1]}"
        )
    on_grid = np.stack([np.interp(GRID_NM, at_nm, curve, left=0, right=0) for curve in curves.T])
    if not (on_grid.sum(1) > 0).all():
        raise NircolorError(f"{path}: expected a positive response in each column, got one without")
    if not (on_grid[:3, _VISIBLE].sum(1) > 0).all():
        raise NircolorError(
            f"{path}: expected red, green and blue in this order, got a column without a response "
            "from 400 to 700 nm"
        )
    return CameraResponse(path, on_grid, hashlib.sha256(content).hexdigest(), grid_nm)


def _table(text: str) -> Array:
    """Parse the numbers of a CSV file as spreadsheets export it."""
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
