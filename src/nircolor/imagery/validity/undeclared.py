"""Nodata values that a file uses without declaring them: -9999, the lowest value of a type, 1e20, …"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nircolor.arrays import Array

if TYPE_CHECKING:
    from nircolor.imagery.stored import StoredImage

# values below 0 that programs write for missing data
_LOW = (-999, -9999, -99999, -32767, -32768, -2147483648)
# floating point of this size and more measures nothing: 1e20, 9.97e36 and the limits of the type are in use
_HUGE = 1e15
# smallest shares of the pixels; a value that sensors reach, as 0 and 65535, has to be frequent
_LEAST_SHARE, _LEAST_SHARE_IN_RANGE = 0.001, 0.02
# saturated pixels are not alone at the top of the range
_TOP, _BELOW_TOP = 65535, 0.75


@dataclass(frozen=True)
class UndeclaredNodata:
    """A value that seems to mark missing data.

    Attributes:
        value: the value.
        share: share of a sample of the pixels.
        is_certain: whether it cannot be a measured value.
    """

    value: Any
    share: float
    is_certain: bool

    def warning(self) -> str:
        """Return the warning about this value."""
        with np.printoptions(legacy=False):  # other packages shorten what NumPy prints
            text = str(self.value).removesuffix(".0")
        pixels = f"{max(self.share, 0.01):.0%} of the pixels are {text}"
        if self.is_certain:
            return (
                f"{pixels}, taken as nodata, which the file does not declare; --nodata {text} confirms it, "
                "--nodata none takes it as a value"
            )
        return f"{pixels}, which may mark missing data; if so, give --nodata {text}"


def find_undeclared(stored: "StoredImage", *, is_map: bool) -> UndeclaredNodata | None:
    """Look for an undeclared nodata value in a sample of an image that marks no invalid pixels otherwise.

    Args:
        stored: the image. Of unsigned integers, only the corners are read where they suggest nothing.
        is_map: whether the image is georeferenced: maps show no sky, which can be 0 as well.

    Returns:
        The value, or None.
    """
    if stored.marks_invalid or stored.layout.palette is not None:
        return None
    if stored.dtype.kind in "if":
        values = _sample(stored)
        for value in (values.min(), values.max()) if values.size else ():
            found = _extreme(values, value)
            if found is not None:
                return found
    return _in_range(stored, is_map=is_map)


def _extreme(values: Array, value: Any) -> UndeclaredNodata | None:
    """Return the lowest or highest of `values` (bands, n) if it marks missing data."""
    if not (value in _LOW or abs(float(value)) >= _HUGE):
        return None
    is_it = values == value
    others = values[~is_it]
    half = float(value) / 2
    # a value that has neighbours is a measured one
    if others.size and (others.max() > half if half > 0 else others.min() < half):
        return None
    # bands may miss data in different places
    share = float(is_it.any(axis=0).mean())
    return UndeclaredNodata(value, share, is_certain=True) if share >= _LEAST_SHARE else None


def _in_range(stored: "StoredImage", *, is_map: bool) -> UndeclaredNodata | None:
    """Return 0 or 65535 if a corner has it in all bands, and many pixels do."""
    candidates = [0] * is_map + [_TOP] * (stored.dtype == np.uint16)
    corners = stored.corners()
    for value in candidates:
        if not (corners == value).all(axis=0).any():
            continue
        values = _sample(stored)
        is_it = (values == value).all(axis=0)
        others = values[:, ~is_it]
        if value == _TOP and others.size and others.max() > _BELOW_TOP * _TOP:
            continue
        if is_it.mean() >= _LEAST_SHARE_IN_RANGE and others.size:
            return UndeclaredNodata(value, float(is_it.mean()), is_certain=False)
    return None


def _sample(stored: "StoredImage") -> Array:
    """Return valid pixels that are spread over an image: (bands, n)."""
    return np.concatenate([values[:, valid] for values, valid in stored.sample()], axis=1)
