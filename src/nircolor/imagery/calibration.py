"""Dark and white references beside a raw capture, and the reflectance that they make of it.

SPECIM's software writes `X.hdr`, `DARKREF_X.hdr`, `WHITEREF_X.hdr` and, where the white reference was taken
with an exposure of its own, `WHITEDARKREF_X.hdr`, each beside its data file.
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
from nircolor.imagery import envi
from nircolor.imagery.cube import Cube
from nircolor.imagery.gdal import positive_number

# the largest values of converters of 12 and 14 bits, and of the same shifted to the left of 16
CONVERTER_TOPS = (4095, 16383, 65520, 65532)
# lines read at a time
_BLOCK_LINES = 32
# of a band's sensor pixels: a few are dead on any sensor, more means that something else is wrong
_MOST_DEAD, _MOST_SATURATED = 0.05, 0.01
# a white reference this little above the dark one, in steps of the converter, says nothing
_LEAST_SIGNAL = 1.0


class References(NamedTuple):
    """Headers of the reference captures; ``white_dark`` is the dark one at the white one's exposure."""

    dark: Path
    white: Path
    white_dark: Path | None = None


def find_references(header: Path) -> References | None:
    """The references beside the header of a capture, or None where there are none.

    Raises NircolorError where one of the two is missing.
    """
    if envi.is_reference(header):
        return None
    stem = envi.stem(header).name
    found = [
        envi.siblings(header, [f"{prefix}{stem}.hdr", f"{prefix}{stem}.raw.hdr"])
        for prefix in envi.REFERENCES
    ]
    dark, white, white_dark = (paths[0] if paths else None for paths in found)
    if dark is None and white is None:
        return None
    if dark is None or white is None:
        missing = envi.REFERENCES[1 if white is None else 0]
        raise NircolorError(
            f"{header}: expected a dark and a white reference beside it, found no {missing}{stem}.hdr"
        )
    return References(dark, white, white_dark)


@dataclass(frozen=True, eq=False)
class Calibration:
    """What reflectance 0 and 1 read as, for each band and column of a line-scan camera.

    Attributes:
        name: of the white reference, for messages.
        dark, white: (bands, samples), in raw values, at the exposure of the capture.
        columns: (bands, samples): the column to read in place of each; another one for dead sensor pixels.
        dead, saturated: (bands,): share of the sensor's pixels where the white reference is not above the
            dark one; share where it reaches ``limit``.
        limit: the largest raw value that the camera's converter can give; infinite for floating point.
        rule: in words.
    """

    name: Path
    dark: Floats
    white: Floats
    columns: Array
    dead: Floats
    saturated: Floats
    limit: float
    rule: str
    by_type: ClassVar[bool] = False
    is_reflectance: ClassVar[bool] = True

    def check(self, bands: Sequence[int]) -> None:
        """Raise NircolorError where the references say nothing about one of ``bands``."""
        for faults, most, what in (
            (self.dead, _MOST_DEAD, "not above the dark one"),
            (self.saturated, _MOST_SATURATED, f"saturated, at {self.limit:g},"),
        ):
            worst = max(bands, key=lambda band: faults[band])
            if faults[worst] > most:
                raise NircolorError(
                    f"{self.name}: the white reference is {what} in {faults[worst]:.0%} "
                    f"of the pixels of band {worst + 1}, which is needed"
                )

    def apply(self, native: Array, bands: Sequence[int]) -> Floats:
        """Reflectance in [0, 1], float32, of raw values (bands, h, samples)."""
        self.check(bands)
        gain, offset = self.gain_and_offset(bands)
        values: Floats = np.multiply(native, gain[:, None], dtype=np.float32)
        self.mend(values, bands)
        values -= offset[:, None]
        return np.clip(values, 0, 1, out=values)

    def gain_and_offset(self, bands: Sequence[int]) -> tuple[Floats, Floats]:
        """Each (bands, samples): reflectance = gain · raw − offset, once `mend` went over gain · raw."""
        which = list(bands)
        dark, columns = self.dark[which], self.columns[which]
        signal = self.white[which] - dark
        alive = columns == np.arange(columns.shape[1])
        gain = np.divide(1, signal, out=np.zeros_like(signal), where=alive)
        # a dead pixel is given its neighbour's value, whose offset it is then
        return gain, np.take_along_axis(dark * gain, columns, 1)

    def mend(self, values: Floats, bands: Sequence[int]) -> None:
        """Give the dead pixels of (bands, h, samples) what their nearest live neighbours saw, in place."""
        own = np.arange(self.columns.shape[1])
        for plane, columns in zip(values, self.columns[list(bands)], strict=True):
            dead = columns != own
            if dead.any():
                plane[:, dead] = plane[:, columns[dead]]

    def mend_valid(self, valid: Mask, bands: Sequence[int]) -> Mask:
        """Valid pixels (h, samples) after `mend`: nothing comes of a neighbour that is invalid itself."""
        if not valid.all():
            for columns in self.columns[list(bands)]:
                valid = valid & valid[:, columns]
        return valid


def load_calibration(cube: Cube, references: References) -> Calibration:
    """Average the references over their lines; exposures (``tint``) may differ.

    Raises:
        NircolorError: a reference cannot be read or does not have the capture's bands and samples.
    """
    dark, _ = _mean(references.dark, cube)
    white, highest = _mean(references.white, cube)
    white_dark = dark if references.white_dark is None else _mean(references.white_dark, cube)[0]
    above = white - white_dark
    # floating point may hold steps of any size
    alive = above > 0 if cube.dtype.kind == "f" else above >= _LEAST_SIGNAL
    signal = above * _exposure(cube, Cube(references.white))
    if not math.isclose(_exposure(cube, Cube(references.dark)), 1, rel_tol=0.01):
        warnings.warn(
            f"{references.dark}: the dark reference has another exposure (tint) than {cube.path}",
            NircolorWarning,
            stacklevel=2,
        )
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
    """Mean and largest value over a reference's lines, each (bands, samples)."""
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
    """Exposure of the capture, in those of a reference."""
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
    """For each column itself, or the nearest that is alive; itself where none is."""
    own, living = np.arange(len(alive)), np.flatnonzero(alive)
    if not len(living):
        return own
    after = np.searchsorted(living, own).clip(max=len(living) - 1)
    before = (after - 1).clip(min=0)
    closer = np.abs(living[before] - own) <= np.abs(living[after] - own)
    return np.where(alive, own, living[np.where(closer, before, after)])
