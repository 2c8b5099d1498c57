"""Map the values of a file to [0, 1], by a fixed rule or by percentiles, and linear values to sRGB.

The rule, in order: the scale given by the user; a reflectance scale in the metadata; the range of the integer
type (of NBITS bits where the file states them); 1.0 for floating point. It does not depend on the pixels, so
that all images of a series are scaled alike.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nircolor.arrays import Array, Floats
from nircolor.errors import NircolorError
from nircolor.imagery.calibration import Calibration
from nircolor.imagery.gdal import positive_number

_REFLECTANCE_TAGS = (
    "reflectance_scale_factor", "quantification_value", "boa_quantification_value",
    "reflectance_scale", "reflectance_quantification_value",
)  # fmt: skip


@dataclass(frozen=True)
class Scale:
    """Linear map from the values of a file to [0, 1].

    Attributes:
        black: value that maps to 0, one per band.
        white: value that maps to 1, one per band.
        rule: reason for these values, as text for the user.
        by_type: whether the reason is the type alone, so that the values should be checked (`doubt`).
        is_reflectance: whether the result is linear reflectance, not encoded as cameras do.
    """

    black: tuple[float, ...]
    white: tuple[float, ...]
    rule: str
    by_type: bool = False
    is_reflectance: bool = False

    @classmethod
    def same(
        cls,
        bands: int,
        white: float,
        rule: str,
        *,
        black: float = 0.0,
        by_type: bool = False,
        is_reflectance: bool = False,
    ) -> "Scale":
        """Make a scale that is the same for all bands."""
        return cls((black,) * bands, (white,) * bands, rule, by_type, is_reflectance)

    def inverted(self) -> "Scale":
        """Swap black and white, for TIFFs whose smallest value is white (MINISWHITE)."""
        rule = f"{self.rule}; the smallest value is white"
        return replace(self, black=self.white, white=self.black, rule=rule)

    def apply(self, native: Array, bands: Sequence[int]) -> Floats:
        """Scale the values of `bands` (bands, h, w) to float32, clipped to [0, 1]; NaN stays NaN."""
        black = np.array([self.black[band] for band in bands])[:, None, None]
        white = np.array([self.white[band] for band in bands])[:, None, None]
        with np.errstate(over="ignore", invalid="ignore"):
            values = native.astype(np.float32)
            if black.any():
                values -= black.astype(np.float32)
            values /= (white - black).astype(np.float32)
        return np.clip(values, 0, 1, out=values)


def choose(
    path: Path,
    dtype: np.dtype[np.generic],
    *,
    scale: float | None,
    nbits: int | None,
    scales: Sequence[float],
    offsets: Sequence[float],
    tags: Mapping[str, str],
) -> Scale:
    """Choose the scale of a file by the rule.

    Args:
        path: the path that error messages name.
        dtype: type of the values.
        scale: value that maps to 1, given by the user, or None.
        nbits: number of bits in use, stated by the file, or None.
        scales: GDAL's scale of each band: reflectance = value * scale + offset.
        offsets: GDAL's offset of each band.
        tags: metadata of the file, ENVI fields included; names in any case.

    Raises:
        NircolorError: ``scale`` is not a positive number.
    """
    bands = len(scales)
    if scale is not None:
        if not (math.isfinite(scale) and scale > 0):
            raise NircolorError(f"{path}: expected a positive --scale, got {scale:g}")
        return Scale.same(bands, float(scale), f"{scale:g} maps to 1 (as given)")
    lower = {name.lower().replace(" ", "_"): value for name, value in tags.items()}
    for name in _REFLECTANCE_TAGS:
        factor = positive_number(lower.get(name))
        if factor is not None:
            rule = f"reflectance: {factor:g} maps to 1 ({name.replace('_', ' ')})"
            return Scale.same(bands, factor, rule, is_reflectance=True)
    reflectance = _band_scales(dtype, scales, offsets)
    if reflectance is not None:
        return reflectance
    if dtype.kind == "f":
        return Scale.same(bands, 1.0, "floating point: 1 maps to 1", by_type=True)
    if nbits is not None and 0 < nbits < 8 * dtype.itemsize:
        return Scale.same(bands, 2.0**nbits - 1, f"{nbits}-bit integers: {2**nbits - 1} maps to 1")
    top = int(np.iinfo(dtype).max)  # type: ignore[type-var]
    return Scale.same(bands, float(top), f"{dtype.name} integers: {top} maps to 1", by_type=True)


def doubt(
    path: Path, dtype: np.dtype[np.generic], largest: float, rule: Scale | Calibration, *, spectral: bool
) -> str | None:
    """Return a warning where the values do not suit the rule: 12-bit data in 16 bits, or floats far above 1.

    Args:
        path: the path that the warning names.
        dtype: type of the values.
        largest: largest value found.
        rule: the scale in use.
        spectral: whether bands have wavelengths. Their values are more likely scaled reflectances than
            the output of a converter of few bits, and the advice does not depend on ``largest``.
    """
    if not rule.by_type or not math.isfinite(largest) or largest <= 0:
        return None
    if dtype.kind == "f":
        if largest <= 2:
            return None
        return (
            f"{path}: floating point with values up to {largest:g}, of which all above 1 become white; "
            "give the value that should map to 1 with --scale"
        )
    for bits in (8, 10, 12, 14):
        if 8 * dtype.itemsize > bits and largest < 2**bits:
            advice = "10000 for reflectances times 10000" if spectral else f"{2**bits - 1}"
            return (
                f"{path}: {dtype.name} whose values (up to {largest:g}) fit {bits} bits reads as very dark; "
                f"give the value that should map to 1 with --scale {advice}"
            )
    return None


def _band_scales(
    dtype: np.dtype[np.generic], scales: Sequence[float], offsets: Sequence[float]
) -> Scale | None:
    """Return GDAL's band scale and offset as a reflectance scale, or None where they cannot be one."""
    if all(scale == 1 for scale in scales) and not any(offsets):
        return None
    if not all(math.isfinite(s) and s > 0 and math.isfinite(o) for s, o in zip(scales, offsets, strict=True)):
        return None
    black = tuple(-o / s for s, o in zip(scales, offsets, strict=True))
    white = tuple((1 - o) / s for s, o in zip(scales, offsets, strict=True))
    # gains of another kind: integer reflectances have more than some steps between 0 and 1
    if dtype.kind != "f" and min(w - b for w, b in zip(white, black, strict=True)) < 50:
        return None
    rule = f"reflectance: {white[0]:g} maps to 1 (band scale and offset)"
    return Scale(black, white, rule, is_reflectance=True)


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


def encode_srgb(linear: Floats) -> Floats:
    """Encode linear values with the sRGB tone curve (IEC 61966-2-1).

    Args:
        linear: array of any shape; values are clipped to [0, 1].

    Returns:
        float32 array of the same shape.

    Example:
        >>> encode_srgb(np.array([0.0, 0.214041, 1.0], np.float32)).round(3).tolist()
        [0.0, 0.5, 1.0]
    """
    linear = np.clip(linear, 0, 1).astype(np.float32)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
