"""Nodata values, and the values that replace invalid pixels for training, evaluation and colorizing alike."""

import math
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from nircolor.arrays import Floats, Mask
from nircolor.errors import NircolorError
from nircolor.imagery.reduction import AreaMean

# value that marks invalid pixels, given by the user; "none": the values of the file mark none; "declared":
# what the file declares and nothing else
Nodata: TypeAlias = float | Literal["none", "declared"]

# longest side of the reduced view from which the fill values are computed
_VIEW_PX = 256


def check_nodata(path: Path, nodata: float | Literal["none"], dtype: np.dtype[Any]) -> float | None:
    """Check a nodata value given by the user, and return it as a number, or None for "none".

    Args:
        path: the path that error messages name.
        nodata: the value, in the units of the file.
        dtype: type of the values in the file.

    Raises:
        NircolorError: no pixel of this type can have the value.
    """
    if isinstance(nodata, str):
        return None
    if dtype.kind == "f" and not math.isfinite(nodata):
        return float(nodata)
    if as_stored(nodata, dtype) is None:
        limits: Any = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
        kind = "number" if dtype.kind == "f" else "whole number"
        raise NircolorError(
            f"{path}: expected --nodata to be a {kind} from {limits.min:g} to {limits.max:g}, "
            f"the values of {dtype.name}, got {nodata:g}"
        )
    return float(nodata)


def as_stored(nodata: float | None, dtype: np.dtype[Any]) -> Any:
    """Return a nodata value in the type of a band, or None where no finite value of the band can equal it."""
    if nodata is None or not math.isfinite(nodata):
        return None
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            value = dtype.type(nodata)
        return value if np.isfinite(value) else None
    limits = np.iinfo(dtype)
    if not limits.min <= nodata <= limits.max:
        return None
    return dtype.type(int(nodata)) if nodata == int(nodata) else None


def fill_values(view: Floats, valid: Mask) -> Floats:
    """Compute the value that replaces invalid pixels in each band: the mean of the valid ones.

    A neutral value matters because networks look at the surroundings of a pixel: zeros would read as
    black objects with sharp edges.

    Args:
        view: (bands, h, w), the whole image or a reduced view of it.
        valid: (h, w), False where ``view`` is invalid.

    Returns:
        (bands,) float32; zeros where no pixel is valid.
    """
    count = max(1, int(valid.sum()))
    return (np.where(valid, view, 0).sum((1, 2), dtype=np.float64) / count).astype(np.float32)


def fill_invalid(image: Floats, valid: Mask) -> Floats:
    """Replace the invalid pixels of a whole image with each band's mean (`fill_values`).

    Args:
        image: (bands, h, w) float32.
        valid: (h, w), False where ``image`` is invalid.

    Returns:
        (bands, h, w) float32; ``image`` itself where all pixels are valid.

    Examples:
        >>> image = np.array([[[0.5, 0.5, 0.0]]], np.float32)
        >>> fill_invalid(image, np.array([[True, True, False]])).tolist()
        [[[0.5, 0.5, 0.5]]]
    """
    if valid.all():
        return image
    height, width = valid.shape
    mean = AreaMean(len(image), (height, width), (min(height, _VIEW_PX), min(width, _VIEW_PX)))
    mean.add(0, np.where(valid, image, 0), valid)
    return np.where(valid, image, fill_values(*mean.result())[:, None, None]).astype(np.float32, copy=False)
