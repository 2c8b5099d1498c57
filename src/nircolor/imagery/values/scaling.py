"""Map the values of a file to [0, 1], by a fixed rule or by percentiles.

The rule, in order: the user's scale and offset; the metadata (`values.products`); the range of the integer
type (of NBITS bits where the file states them); 1.0 for floating point. It does not depend on the pixels, so
that all images of a series are scaled alike.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from nircolor.arrays import Array, Floats
from nircolor.errors import NircolorError

# what a model expects: values encoded like photographs, or linear reflectance
Encoding = Literal["gamma", "reflectance"]
# reason for a scale
Source = Literal["type", "bits", "metadata", "references", "user", "stretch", "developed", "counts"]
# outside of these limits, scaling is done in float64
_SMALL, _LARGE = 1e-30, 1e30


# of integers; with a larger one, less than 50 values are between black and white
_LARGEST_FACTOR = 0.02


@dataclass(frozen=True)
class Scale:
    """Linear map from the values of a file to [0, 1].

    Attributes:
        black: value that maps to 0, one per band.
        white: value that maps to 1, one per band.
        rule: reason for these values, as text for the user.
        source: the same in one word: the data type, its stated number of bits, metadata, references, the
            user's options, a stretch, camera raw that was developed, or the black level of a sensor.
        is_reflectance: whether the result is linear reflectance; None where nothing says so. Values of which
            nothing is known are taken as the model expects them.
    """

    black: tuple[float, ...]
    white: tuple[float, ...]
    rule: str
    source: Source
    is_reflectance: bool | None = None

    @classmethod
    def same(cls, bands: int, white: float, rule: str, source: Source, *, black: float = 0.0) -> "Scale":
        """Make a scale that is the same for all bands."""
        return cls((black,) * bands, (white,) * bands, rule, source)

    @classmethod
    def by_units(cls, units: Sequence[float], offsets: Sequence[float], rule: str, source: Source) -> "Scale":
        """Make the scale of ``value / unit + offset``, one unit and offset per band."""
        black = tuple(-offset * unit for unit, offset in zip(units, offsets, strict=True))
        white = tuple((1 - offset) * unit for unit, offset in zip(units, offsets, strict=True))
        return cls(black, white, rule, source)

    @classmethod
    def developed(cls, bands: int) -> "Scale":
        """Make the scale of developed camera raw files, 16-bit values encoded like photographs."""
        rule = "camera raw, developed like a photograph: the white level maps to 1"
        return replace(cls.same(bands, 65535.0, rule, "developed"), is_reflectance=False)

    @classmethod
    def counts(cls, black: float, white: float) -> "Scale":
        """Make the scale of a sensor's counts, of one band: linear in light, but no reflectance."""
        rule = f"counts of a sensor: its black level, {black:g}, maps to 0, {white:g} to 1"
        return cls.same(1, white, rule, "counts", black=black)

    def inverted(self) -> "Scale":
        """Swap black and white, for TIFFs whose smallest value is white (MINISWHITE)."""
        rule = f"{self.rule}; the smallest value is white"
        return replace(self, black=self.white, white=self.black, rule=rule)

    def apply(self, native: Array, bands: Sequence[int]) -> Floats:
        """Scale the values of `bands` (bands, h, w) to float32, clipped to [0, 1]; NaN stays NaN."""
        black = np.array([self.black[band] for band in bands])[:, None, None]
        white = np.array([self.white[band] for band in bands])[:, None, None]
        with np.errstate(over="ignore", invalid="ignore"):
            if max(np.abs(black).max(), np.abs(white).max()) > _LARGE or np.abs(white - black).min() < _SMALL:
                # float32 would overflow or divide by zero; a quarter keeps float64 from overflowing
                scaled = (native * 0.25 - black * 0.25) / (white * 0.25 - black * 0.25)
                return np.clip(scaled, 0, 1).astype(np.float32)
            values = native.astype(np.float32)
            if black.any():
                values -= black.astype(np.float32)
            values /= (white - black).astype(np.float32)
        return np.clip(values, 0, 1, out=values)


def choose(
    path: Path | str,
    dtype: np.dtype[np.generic],
    bands: int,
    *,
    scale: float | None = None,
    offset: float | None = None,
    reflectance: bool | None = None,
    largest: int | None = None,
    stated: Scale | None = None,
) -> Scale:
    """Choose the scale by the rule.

    Args:
        path: the path that error messages name.
        dtype: type of the values.
        bands: number of bands.
        scale: value that maps to 1, given by the user, or for integers a factor below 1: see `given_unit`.
        offset: number to add after scaling, given by the user.
        reflectance: whether the scaled values are linear reflectance, where the user says so.
        largest: largest value that the file states (2 ** NBITS - 1, or that of a PGM), or None.
        stated: the scale that the metadata states, or None.

    Raises:
        NircolorError: ``scale`` or ``offset`` is not possible, or integers are declared to be reflectance and
            nothing states their scale, or they were developed from camera raw.
    """
    if reflectance and stated is not None and stated.source == "developed":
        raise NircolorError(
            f"{path}: expected no --reflectance for camera raw, which is developed like a photograph; linear "
            "values can be saved as TIFF with rawpy"
        )
    if scale is not None or offset is not None:
        chosen = _given(path, dtype, bands, scale, offset, stated)
    elif stated is not None:
        chosen = stated
    elif dtype.kind == "f":
        chosen = Scale.same(bands, 1.0, "floating point: 1 maps to 1", "type")
    elif largest is not None and 0 < largest < 2 ** (8 * dtype.itemsize) - 1:
        bits = largest.bit_length()
        reason = f"{bits}-bit integers" if largest == 2**bits - 1 else "largest value of the file"
        chosen = Scale.same(bands, float(largest), f"{reason}: {largest} maps to 1", "bits")
    else:
        top = int(np.iinfo(dtype).max)  # type: ignore[type-var]
        chosen = Scale.same(bands, float(top), f"{dtype.name} integers: {top} maps to 1", "type")
    if reflectance is None:
        return chosen
    if reflectance and dtype.kind != "f" and chosen.source in ("type", "bits", "counts"):
        example = "255" if dtype.itemsize == 1 else "10000"
        raise NircolorError(
            f"{path}: expected the value that maps to a reflectance of 1, got {dtype.name} integers "
            f"without one; give it beside --reflectance, as in --scale {example}"
        )
    return replace(chosen, is_reflectance=reflectance)


def given_unit(path: Path | str, dtype: np.dtype[np.generic], scale: float) -> float:
    """Return the value for 1 that a user's ``scale`` stands for.

    No integer is between 0 and 1, so that for integers a number below 1 is the factor instead, as the
    documentation of Landsat and GDAL's metadata give it: 0.0001 is the same as 10000.

    Raises:
        NircolorError: ``scale`` is not a positive number, or a factor that makes nearly all integers white.
    """
    if not (math.isfinite(scale) and scale > 0 and math.isfinite(1 / scale)):
        raise NircolorError(f"{path}: expected a positive --scale, got {scale:g}")
    if dtype.kind == "f" or scale >= 1:
        return float(scale)
    if scale > _LARGEST_FACTOR:
        raise NircolorError(
            f"{path}: expected the value that maps to 1 as --scale, or a factor of at most "
            f"{_LARGEST_FACTOR:g} for {dtype.name}, got {scale:g}"
        )
    return 1 / float(scale)


def _given(
    path: Path | str,
    dtype: np.dtype[np.generic],
    bands: int,
    scale: float | None,
    offset: float | None,
    stated: Scale | None,
) -> Scale:
    """Return the scale of the user's options. A scale replaces that of the metadata, offset included."""
    if scale is not None:
        units = [given_unit(path, dtype, scale)] * bands
    elif stated is not None:
        units = [white - black for black, white in zip(stated.black, stated.white, strict=True)]
    elif dtype.kind == "f":
        units = [1.0] * bands
    else:
        raise NircolorError(
            f"{path}: expected --scale beside --offset, as {dtype.name} has no scale of its own"
        )
    added = 0.0 if offset is None else float(offset)
    if not abs(added) <= 1:
        # as products of Sentinel-2 state it, or as the value that is to become 0
        stored = f"; if that is in units of the file, give --offset {-abs(added / units[0]):.6g}"
        raise NircolorError(
            f"{path}: expected an --offset from -1 to 1, as it is added after scaling, got {added:g}"
            + (stored if abs(added) <= units[0] else "")
        )
    chosen = Scale.by_units(units, [added] * bands, "", "user")
    white, black = chosen.white[0], chosen.black[0]
    rule = (
        f"{white:g} maps to 1 (as given)" if not added else f"{black:g} maps to 0, {white:g} to 1 (as given)"
    )
    return replace(chosen, rule=rule, is_reflectance=None if stated is None else stated.is_reflectance)


def percentile_stretch(path: Path, values: Array, low: float, high: float) -> tuple[float, float]:
    """Return the values that a stretch maps to 0 and 1.

    Args:
        path: the path that error messages name.
        values: valid values of the image, of any shape.
        low: percentile that maps to 0.
        high: percentile that maps to 1.

    Raises:
        NircolorError: not 0 <= low < high <= 100, or the two values are equal.
    """
    if not 0 <= low < high <= 100:
        raise NircolorError(f"{path}: expected percentiles 0 <= low < high <= 100, got {low:g}, {high:g}")
    black, white = np.percentile(values, (low, high)) if values.size else (0.0, 0.0)
    if not white > black:
        raise NircolorError(f"{path}: nothing to stretch: all its values are equal or invalid")
    return float(black), float(white)
