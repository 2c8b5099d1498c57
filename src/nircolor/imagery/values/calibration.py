"""Calibrate raw captures of line scanners to reflectance with dark and white references.

SPECIM's software writes `X.hdr`, `DARKREF_X.hdr`, `WHITEREF_X.hdr` and, where the white reference has another
exposure, `WHITEDARKREF_X.hdr`, each beside its data file.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np

from nircolor.arrays import Array, Floats, Mask
from nircolor.errors import NircolorError, NircolorWarning
from nircolor.imagery.cube import Cube
from nircolor.imagery.files import envi_files
from nircolor.imagery.numbers import positive_number
from nircolor.imagery.values.scaling import Source

# largest values of converters of 12 and 14 bits, and of the same shifted to the top of 16 bits
CONVERTER_TOPS = (4095, 16383, 65520, 65532)
# image lines read at a time
_BLOCK_LINES = 32
# largest shares of a band's sensor pixels; every sensor has some dead ones
_MOST_DEAD, _MOST_SATURATED = 0.05, 0.01
# smallest useful difference between white and dark reference, in steps of the converter
_LEAST_SIGNAL = 1.0


class References(NamedTuple):
    """Headers of the reference captures.

    Attributes:
        dark: dark reference.
        white: white reference.
        white_dark: dark reference at the exposure of the white one, or None.
    """

    dark: Path
    white: Path
    white_dark: Path | None = None


def reference_names(header: Path) -> str:
    """Return the names of the references that calibrate a capture, as text."""
    dark, white = (f"{prefix}{envi_files.stem(header).name}.hdr" for prefix in envi_files.REFERENCES[:2])
    return f"{dark} and {white}"


def find_references(header: Path) -> References | None:
    """Find the references beside the header of a capture; return None where there are none.

    Raises:
        NircolorError: one of dark and white is missing.
    """
    if envi_files.is_reference(header):
        return None
    stem, siblings = envi_files.stem(header).name, envi_files.Siblings(header.parent)
    found = [
        siblings.named(f"{prefix}{stem}.hdr", f"{prefix}{stem}.raw.hdr") for prefix in envi_files.REFERENCES
    ]
    dark, white, white_dark = (paths[0] if paths else None for paths in found)
    if dark is None and white is None:
        return None
    if dark is None or white is None:
        missing = envi_files.REFERENCES[1 if white is None else 0]
        raise NircolorError(
            f"{header}: expected a dark and a white reference beside it, found no {missing}{stem}.hdr"
        )
    return References(dark, white, white_dark)


@dataclass(frozen=True, eq=False)
class Calibration:
    """Raw values for reflectance 0 and 1, for each band and column (sample) of a line scanner.

    Attributes:
        name: the white reference, for messages.
        dark: (bands, samples), raw value for reflectance 0, at the exposure of the capture.
        white: (bands, samples), raw value for reflectance 1, at the exposure of the capture.
        columns: (bands, samples), the column to read in place of each: another one for dead sensor pixels.
        dead: (bands,), share of sensor pixels whose white reference is not above the dark one.
        saturated: (bands,), share of sensor pixels whose white reference reaches ``limit``.
        limit: largest raw value of the camera's converter; infinite for floating point.
        rule: description, as text for the user.
    """

    name: Path
    dark: Floats
    white: Floats
    columns: Array
    dead: Floats
    saturated: Floats
    limit: float
    rule: str
    source: ClassVar[Source] = "references"
    is_reflectance: ClassVar[bool] = True

    def check(self, bands: Sequence[int]) -> None:
        """Raise `NircolorError` where one of ``bands`` (0-based) has too many dead or saturated pixels."""
        for faults, most, problem in (
            (self.dead, _MOST_DEAD, "not above the dark one"),
            (self.saturated, _MOST_SATURATED, f"saturated, at {self.limit:g},"),
        ):
            worst = max(bands, key=lambda band: faults[band])
            if faults[worst] > most:
                raise NircolorError(
                    f"{self.name}: the white reference is {problem} in {faults[worst]:.0%} "
                    f"of the pixels of band {worst + 1}, which is needed"
                )

    def apply(self, native: Array, bands: Sequence[int]) -> Floats:
        """Convert raw values of ``bands`` (bands, h, samples) to reflectance, float32, clipped to [0, 1]."""
        self.check(bands)
        gain, offset = self.gain_and_offset(bands)
        values: Floats = np.multiply(native, gain[:, None], dtype=np.float32)
        self.mend(values, bands)
        values -= offset[:, None]
        return np.clip(values, 0, 1, out=values)

    def gain_and_offset(self, bands: Sequence[int]) -> tuple[Floats, Floats]:
        """Return gain and offset, each (bands, samples): reflectance = mend(gain * raw) - offset."""
        which = list(bands)
        dark, columns = self.dark[which], self.columns[which]
        signal = self.white[which] - dark
        alive = columns == np.arange(columns.shape[1])
        gain = np.divide(1, signal, out=np.zeros_like(signal), where=alive)
        # a dead pixel gets the value of its neighbour, and so the offset of it
        return gain, np.take_along_axis(dark * gain, columns, 1)

    def mend(self, values: Floats, bands: Sequence[int]) -> None:
        """Replace dead pixels of (bands, h, samples) with their nearest live neighbours, in place."""
        own = np.arange(self.columns.shape[1])
        for plane, columns in zip(values, self.columns[list(bands)], strict=True):
            dead = columns != own
            if dead.any():
                plane[:, dead] = plane[:, columns[dead]]

    def mend_valid(self, valid: Mask, bands: Sequence[int]) -> Mask:
        """Return the valid pixels (h, samples) after `mend`: no dead ones with invalid neighbours."""
        if not valid.all():
            for columns in self.columns[list(bands)]:
                valid = valid & valid[:, columns]
        return valid


def load_calibration(cube: Cube, references: References) -> Calibration:
    """Compute the calibration of a capture from its references, averaged over their lines.

    The exposure (``tint`` in the headers) of the white reference may differ from that of the capture; a
    `NircolorWarning` is given where that of the dark one does.

    Args:
        cube: the capture.
        references: headers of the references.

    Raises:
        NircolorError: a reference cannot be read or has other numbers of bands or samples than the capture.
    """
    dark, _ = _mean(references.dark, cube)
    white, highest = _mean(references.white, cube)
    white_dark = dark if references.white_dark is None else _mean(references.white_dark, cube)[0]
    above = white - white_dark
    # floating point has no steps
    alive = above > 0 if cube.dtype.kind == "f" else above >= _LEAST_SIGNAL
    signal = above * _exposure(cube, Cube(references.white))
    if not math.isclose(_exposure(cube, Cube(references.dark)), 1, rel_tol=0.01):
        problem = f"the dark reference has another exposure (tint) than {cube.path}"
        warnings.warn(NircolorWarning(problem, path=references.dark), stacklevel=2)
    limit = _limit(cube, highest.max())
    return Calibration(
        name=references.white,
        dark=dark.astype(np.float32),
        white=(dark + signal).astype(np.float32),
        columns=np.stack([_nearest(row) for row in alive]),
        dead=(~alive).mean(1),
        saturated=(highest == limit).mean(1),
        limit=limit,
        rule=f"reflectance: by {references.dark.name} and {references.white.name}",
    )


def _mean(path: Path, capture: Cube) -> tuple[Array, Array]:
    """Return mean and largest value over the lines of a reference, each (bands, samples)."""
    cube = Cube(path)
    if (cube.bands, cube.samples) != (capture.bands, capture.samples):
        raise NircolorError(
            f"{path}: expected {capture.bands} bands of {capture.samples} samples as {capture.path}, "
            f"got {cube.bands} of {cube.samples}"
        )
    total = np.zeros((cube.bands, cube.samples))
    highest = np.full(total.shape, -np.inf)
    for start in range(0, cube.lines, _BLOCK_LINES):
        block = cube.read(start, min(start + _BLOCK_LINES, cube.lines))
        total += block.sum(0, dtype=np.float64)
        np.maximum(highest, block.max(0), out=highest)
    return total / cube.lines, highest


def _exposure(capture: Cube, reference: Cube) -> float:
    """Return the exposure of the capture divided by that of a reference; 1 where one is not stated."""
    times = [positive_number(cube.header.get("tint")) for cube in (capture, reference)]
    if None in times:
        return 1.0
    return times[0] / times[1]  # type: ignore[operator]


def _limit(capture: Cube, highest: float) -> float:
    if capture.dtype.kind == "f":
        return np.inf
    of_type = int(np.iinfo(capture.dtype).max)
    return float(next((top for top in CONVERTER_TOPS if highest <= top < of_type), of_type))


def _nearest(alive: Array) -> Array:
    """Return for each column (samples,) its own index if alive, else that of the nearest that is."""
    own, living = np.arange(len(alive)), np.flatnonzero(alive)
    if not len(living):
        return own
    after = np.searchsorted(living, own).clip(max=len(living) - 1)
    before = (after - 1).clip(min=0)
    closer = np.abs(living[before] - own) <= np.abs(living[after] - own)
    return np.where(alive, own, living[np.where(closer, before, after)])
