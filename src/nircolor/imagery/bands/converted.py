"""Images of converted cameras: colour cameras without their infrared filter, with a filter that blocks light.

Near-infrared passes the red, green and blue filters of the sensor to different degrees, and the camera
writes the three as a red-tinted colour image. Their mean is the near-infrared image.
"""

import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from rasterio.enums import ColorInterp

from nircolor.arrays import Array, Mask
from nircolor.errors import NircolorError
from nircolor.imagery.bands.roles import Layout
from nircolor.imagery.gdal import tags_of

# the channels of a red-tinted image show the same structure, the red one brighter than the others. The blue
# filter passes more near-infrared than the green one; in warm light and in sepia, blue is the darkest channel
_MIN_CORRELATION, _MIN_RED, _MIN_BLUE = 0.95, 1.15, 0.98
# root mean square distance of colours from one line, full scale 1: less in 1 of 3,057 photographs, 0.008
# in a gray image with noise
_LEAST_SPREAD = 0.01
# part of the full scale from which a value may be clipped
_CLIPPED = 0.97
_MIN_PIXELS = 64


class ConvertedDataset:
    """A dataset of three colour channels as one of a single gray band: their mean.

    Args:
        dataset: An open dataset, as `metadata.side_files.DatasetWithSideFiles`.
        layout: Its layout: three channels, and possibly alpha.
    """

    def __init__(self, dataset: Any, layout: Layout) -> None:
        self._dataset, self._channels = dataset, list(layout.stored)
        self._bands = [layout.stored[0], *([layout.alpha] if layout.alpha else [])]
        self.count, self.indexes = len(self._bands), tuple(range(1, len(self._bands) + 1))
        self.colorinterp = (ColorInterp.gray, ColorInterp.alpha)[: self.count]
        self.descriptions = (None,) * self.count

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._dataset, name)
        if name in ("dtypes", "mask_flag_enums", "nodatavals", "block_shapes", "scales", "offsets", "units"):
            return tuple(value[band - 1] for band in self._bands)
        return value

    def tags(self, band: int = 0, ns: str | None = None) -> dict[str, str]:
        """Return the tags of the dataset (band 0) or of a band."""
        return tags_of(self._dataset, self._bands[band - 1] if band else 0, ns)

    def read(self, bands: int | Sequence[int], window: Any = None) -> Array:
        """Read a band (h, w) or several (bands, h, w), as rasterio does."""
        if isinstance(bands, int):
            return self.read([bands], window)[0]
        alpha = self._bands[1:] if 2 in bands else []
        values: Array = self._dataset.read([*self._channels, *alpha], window=window)
        mean = values[:3].mean(0, dtype=np.float64)
        if values.dtype.kind in "ui":
            mean = np.rint(mean)
        planes = {1: mean.astype(values.dtype), 2: values[-1]}
        return np.stack([planes[band] for band in bands])

    def read_masks(self, band: int, window: Any = None) -> Array:
        """Read GDAL's mask of a band (h, w)."""
        mask: Array = self._dataset.read_masks(self._bands[band - 1], window=window)
        return mask

    def close(self) -> None:
        """Close the dataset."""
        self._dataset.close()


def looks_converted(parts: Iterable[tuple[Array, Mask]]) -> bool:
    """Return whether three channels look like the red-tinted image of a converted camera.

    Args:
        parts: Windows of the image, values (3, h, w) and validity (h, w).
    """
    read = [values[:, valid].astype(np.float64) for values, valid in parts if len(values) == 3]
    if not read:
        return False
    top = max(float(values.max(initial=0)) for values in read)
    pixels = np.concatenate(read, 1)
    # a clipped channel does not follow the others
    pixels = pixels[:, pixels.max(0) < _CLIPPED * top]
    if pixels.shape[1] < _MIN_PIXELS or not (pixels.std(1) > 0).all():
        return False
    correlations = np.asarray(np.corrcoef(pixels))[0, 1:]
    red, green, blue = pixels.mean(1)
    is_tinted = red >= _MIN_RED * max(green, blue) and blue >= _MIN_BLUE * green
    return bool((correlations >= _MIN_CORRELATION).all() and is_tinted)


def refuse_one_tint(colours: Array, path: str | os.PathLike[str]) -> None:
    """Refuse what holds one quantity in one tint, as a gray or sepia image does, in place of a colour image.

    Args:
        colours: Pixels of a photograph (3, n) in [0, 1].
        path: Its file, for the message.

    Raises:
        NircolorError: The channels follow each other.
    """
    # a clipped channel does not follow the others
    known = colours[:, colours.max(0) < _CLIPPED].astype(np.float64)
    if known.shape[1] < _MIN_PIXELS:
        return
    spread = np.linalg.eigvalsh(np.cov(known))[:2].sum()
    if spread < _LEAST_SPREAD**2:
        raise NircolorError(
            f"{os.fspath(path)}: expected a colour image, got shades of one colour (as of a camera by night, "
            "or without its infrared filter)"
        )
