"""An open dataset as it is stored: native values and validity by window, before turning and scaling."""

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.enums import MaskFlags
from rasterio.windows import Window as RasterioWindow

from nircolor.arrays import Array, Mask
from nircolor.errors import NircolorError
from nircolor.imagery.layout import Layout
from nircolor.imagery.orientation import Window

# No image compresses better than this; a header that claims more lies about its size.
_MAX_RATIO, _ALWAYS_FINE_BYTES = 20_000, 64 << 20
_MAX_BLOCK_BYTES = 2 << 30
_MAX_BANDS = 4096  # hyperspectral cameras have some hundreds
# A image to be turned is read across its rows; decoding it once is worth this many bytes.
_KEEP_WHOLE_BYTES = 512 << 20
_SAMPLE_STRIPS, _SAMPLE_ROWS, _SAMPLE_COLUMNS = 6, 16, 8192
_SAMPLE_ALL_PIXELS = 1 << 20
_SAMPLE_BANDS = 8
# 8-bit gray that went through JPEG's colour transform comes back a step or two apart
_GRAY_TOLERANCE = 4


def check_size(path: Path, dataset: Any, length: int) -> None:
    """Raise `NircolorError` where the header claims far more pixels than a file of `length` bytes holds."""
    if not dataset.count:
        raise NircolorError(f"{path}: holds no image")
    if dataset.count > _MAX_BANDS:  # asking each for its type would take minutes
        raise NircolorError(f"{path}: expected at most {_MAX_BANDS} bands, the header claims {dataset.count}")
    itemsize = np.dtype(dataset.dtypes[0]).itemsize
    claimed = dataset.width * dataset.height * dataset.count * itemsize
    if claimed > max(_ALWAYS_FINE_BYTES, _MAX_RATIO * length):
        raise NircolorError(
            f"{path}: the header claims {dataset.width} x {dataset.height} pixels, {dataset.count} band(s), "
            f"which {length} bytes cannot hold"
        )
    rows, cols = dataset.block_shapes[0]
    if rows * cols * itemsize > _MAX_BLOCK_BYTES:
        raise NircolorError(f"{path}: stored in one piece of {rows} x {cols} pixels, too large to decode")


@dataclass(frozen=True)
class Looks:
    """What samples show: the largest valid value, and how far apart the bands of a pixel get."""

    largest: float = 0.0
    spread: float = 0.0  # beyond what JPEG does to gray


def look_at(samples: Iterable[tuple[Array, Mask]]) -> Looks:
    """Take in the windows of `StoredImage.sample`, one at a time."""
    largest = spread = 0.0
    for values, valid in samples:
        if not valid.any():
            continue
        highest, lowest = values.max(axis=0)[valid], values.min(axis=0)[valid]
        largest = max(largest, float(highest.max()))
        tolerance = _GRAY_TOLERANCE if values.dtype == np.uint8 else 0
        spread = max(spread, float((highest.astype(np.float64) - lowest).max()) - tolerance)
    return Looks(largest, spread)


class StoredImage:
    """Reads windows of a rasterio dataset through a `Layout`; safe to call from several threads."""

    def __init__(self, dataset: Any, layout: Layout) -> None:
        self.layout = layout
        self.height, self.width = int(dataset.height), int(dataset.width)
        self._dataset = dataset
        self._lock = threading.Lock()  # GDAL datasets belong to one thread at a time
        self._whole: tuple[Array, Mask] | None = None
        flags = set(dataset.mask_flag_enums[layout.stored[0] - 1])
        # a mask band or a transparent colour, which only GDAL's own mask knows
        self._has_mask_band = not flags & {MaskFlags.all_valid, MaskFlags.alpha} and flags != {
            MaskFlags.nodata
        }
        self.has_mask = self._has_mask_band or layout.opaque is not None
        self._nodata = [
            _as_stored(dataset.nodatavals[i - 1], np.dtype(dataset.dtypes[i - 1])) for i in layout.stored
        ]
        self.may_have_invalid = bool(
            self.has_mask
            or layout.alpha
            or any(value is not None for value in self._nodata)
            or any(np.dtype(dataset.dtypes[i - 1]).kind == "f" for i in layout.stored)
        )

    def load(self, window: Window, bands: Sequence[int]) -> tuple[Array, Mask]:
        """Native values (bands, h, w) and valid (h, w): no alpha of 0, nodata, mask, NaN or infinity.

        A pixel is valid where all of `bands` (0-based data bands) are.
        """
        if self._whole is not None:
            row0, row1, col0, col1 = window
            values, valid = self._whole
            part = values[list(bands), row0:row1, col0:col1]
            return part, valid[row0:row1, col0:col1] & _finite(part)
        with self._lock:
            return self._load(window, bands)

    def keep_whole(self) -> None:
        """Decode everything once, if it is small enough, for reading that goes across the rows."""
        size = self.layout.bands * self.height * self.width
        size *= np.dtype(self._dataset.dtypes[0]).itemsize
        if self._whole is None and size <= _KEEP_WHOLE_BYTES:
            bands = range(self.layout.bands)
            if np.dtype(self._dataset.dtypes[0]).kind == "f" or any(
                value is not None for value in self._nodata
            ):
                return  # validity depends on the bands asked for; such files are tiled TIFFs, quick to read
            self._whole = self.load((0, self.height, 0, self.width), bands)

    def sample(self) -> Iterator[tuple[Array, Mask]]:
        """Windows that show what the image holds, of up to 8 data bands; all of a small image."""
        bands = np.unique(np.linspace(0, self.layout.bands - 1, _SAMPLE_BANDS).astype(int)).tolist()
        if self.height * self.width <= _SAMPLE_ALL_PIXELS:
            yield self.load((0, self.height, 0, self.width), bands)
            return
        rows, cols = min(_SAMPLE_ROWS, self.height), min(_SAMPLE_COLUMNS, self.width)
        strips = min(_SAMPLE_STRIPS, self.height // rows)
        for i in range(strips):  # downwards, as PNG and JPEG are decoded
            share = i / max(strips - 1, 1)
            row0, col0 = int(share * (self.height - rows)), int(share * (self.width - cols))
            yield self.load((row0, row0 + rows, col0, col0 + cols), bands)

    def _load(self, window: Window, bands: Sequence[int]) -> tuple[Array, Mask]:
        row0, row1, col0, col1 = window
        valid: Mask
        place = RasterioWindow(col0, row0, col1 - col0, row1 - row0)
        if self.layout.palette is not None:
            indices = self._dataset.read(1, window=place)
            values = np.moveaxis(self.layout.palette[indices][..., list(bands)], -1, 0)
            valid = np.ones(indices.shape, bool)
            if self.layout.opaque is not None:
                valid &= self.layout.opaque[indices]
            if self._nodata[0] is not None:
                valid &= np.asarray(indices != self._nodata[0])
        else:
            values = self._dataset.read([self.layout.stored[i] for i in bands], window=place)
            valid = _finite(values)
            for value, band in zip(values, bands, strict=True):
                if self._nodata[band] is not None:
                    valid &= np.asarray(value != self._nodata[band])
        if self.layout.alpha is not None:
            valid &= self._dataset.read(self.layout.alpha, window=place) > 0
        if self._has_mask_band:
            valid &= self._dataset.read_masks(self.layout.stored[0], window=place) > 0
        return values, valid


def _finite(values: Array) -> Mask:
    if values.dtype.kind != "f":
        return np.ones(values.shape[1:], bool)
    finite: Mask = np.asarray(np.isfinite(values).all(axis=0))
    return finite


def _as_stored(nodata: float | None, dtype: np.dtype[Any]) -> Any:
    """`nodata` in the band's own type, or None where no value can equal it (NaN is found as not finite)."""
    if nodata is None or np.isnan(nodata):
        return None
    if dtype.kind == "f":
        return dtype.type(nodata)
    limits = np.iinfo(dtype)
    if not limits.min <= nodata <= limits.max:
        return None
    return dtype.type(int(nodata)) if nodata == int(nodata) else None
