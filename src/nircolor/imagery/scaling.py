"""The fixed rule that maps a file's values to [0, 1]: never by what one image happens to hold.

In this order: `scale` given by the user; a reflectance scale in the metadata; the range of the
integer type (of NBITS bits where the file says so); 1.0 for floating point.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nircolor.arrays import Floats
from nircolor.errors import NircolorError
from nircolor.imagery.calibration import Calibration
from nircolor.imagery.gdal import positive_number

_REFLECTANCE_TAGS = (
    "reflectance_scale_factor", "quantification_value", "boa_quantification_value",
    "reflectance_scale", "reflectance_quantification_value",
)  # fmt: skip


@dataclass(frozen=True)
class Scale:
    """`black` maps to 0 and `white` to 1, in the file's own values, one pair a band; `rule` says why."""

    black: tuple[float, ...]
    white: tuple[float, ...]
    rule: str
    by_type: bool = False  # nothing but the type was known, so the values deserve a look
    is_reflectance: bool = False  # linear, not as a camera encodes photographs

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
        return cls((black,) * bands, (white,) * bands, rule, by_type, is_reflectance)

    def inverted(self) -> "Scale":
        """For TIFFs whose smallest value is white, as scanners and faxes write them."""
        rule = f"{self.rule}; the smallest value is white"
        return replace(self, black=self.white, white=self.black, rule=rule)

    def apply(self, native: np.ndarray[Any, np.dtype[Any]], bands: Sequence[int]) -> Floats:
        """Native values of `bands` (bands, h, w) as float32, clipped to [0, 1]; NaN stays NaN."""
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
    """Apply the rule.

    `scales` and `offsets` are GDAL's, one a band: reflectance = value * scale + offset. `tags` are
    the file's own and its ENVI fields, names in any case. Raises `NircolorError` for a `scale` that
    is no positive number.
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
    """A warning where the values seen do not suit the rule: 12-bit data in 16 bits, or floats far above 1.

    `spectral`: the bands have wavelengths, so that the values are rather scaled reflectances than
    what a converter of few bits gave; the advice then does not depend on the largest value.
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
    """GDAL's band scale and offset as a reflectance scale, where they can be one."""
    if all(scale == 1 for scale in scales) and not any(offsets):
        return None
    if not all(math.isfinite(s) and s > 0 and math.isfinite(o) for s, o in zip(scales, offsets, strict=True)):
        return None
    black = tuple(-o / s for s, o in zip(scales, offsets, strict=True))
    white = tuple((1 - o) / s for s, o in zip(scales, offsets, strict=True))
    # integers that span 0 to 1 in a step or two are no reflectances: these are gains of another kind
    if dtype.kind != "f" and min(w - b for w, b in zip(white, black, strict=True)) < 50:
        return None
    rule = f"reflectance: {white[0]:g} maps to 1 (band scale and offset)"
    return Scale(black, white, rule, is_reflectance=True)
