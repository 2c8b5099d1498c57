"""The explicit stretch: black and white points from percentiles of a image, never applied unasked."""

import math
from typing import TYPE_CHECKING

import numpy as np

from nircolor.errors import NircolorError

if TYPE_CHECKING:
    from nircolor.imagery.raster import Raster

# side of the reduced view that percentiles are taken from, and its values in all: cubes have many bands
_VIEW_PX, _VIEW_VALUES = 1024, 8 << 20


def percentile_stretch(raster: "Raster", low: float, high: float) -> tuple[float, float]:
    """The file values at percentiles `low` and `high` (0 to 100) of the whole image, all bands together.

    Computed on a view reduced to at most 1,024 pixels a side, less for many bands. Raises
    `NircolorError` for percentiles out of order, and for a image without two different valid values.
    """
    if not 0 <= low < high <= 100:
        raise NircolorError(
            f"{raster.path}: expected percentiles 0 <= low < high <= 100, got {low:g}, {high:g}"
        )
    side = min(_VIEW_PX, math.isqrt(_VIEW_VALUES // raster.bands))
    shape = (min(raster.height, side), min(raster.width, side))
    values, valid = raster.read_native(shape)
    black, white = np.percentile(values[:, valid], (low, high)) if valid.any() else (0.0, 0.0)
    if not white > black:
        raise NircolorError(f"{raster.path}: nothing to stretch: all its values are equal or invalid")
    return float(black), float(white)
