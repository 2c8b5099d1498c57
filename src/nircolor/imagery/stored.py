"""Read windows of a dataset as stored: native values and validity, before rotation and scaling."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np
from rasterio.enums import MaskFlags
from rasterio.windows import Window as RasterioWindow

from nircolor.arrays import Array, Mask
from nircolor.errors import NircolorError
from nircolor.imagery.bands.roles import Layout
from nircolor.imagery.gdal import MAX_BANDS
from nircolor.imagery.orientation import Window
from nircolor.imagery.validity.invalid import as_stored
from nircolor.imagery.validity.padding import Padding

# Above this many pixels (a Sentinel-2 tile has 121 million, and may be empty but for a corner) a file needs a
# byte for each 200 samples (pixels times bands). A picture without any detail takes a byte per 190 samples as
# JPEG, and per 1000 where it is deflated (PNG, TIFF).
_PLAUSIBLE_PIXELS, _SAMPLES_PER_BYTE = 125_000_000, 200
_MAX_BLOCK_BYTES = 2 << 30
# Images up to these sizes stay in memory once decoded: PNG and JPEG, which can only be decoded from the top
# (96 MiB are 33 megapixels in RGB), and images that are read across their rows. GDAL's own cache is shared by
# all open files and not used when an image is read as a whole.
_KEEP_BYTES, _KEEP_ROTATED_BYTES = 96 << 20, 512 << 20
# A row of blocks that is larger does not fit into GDAL's cache beside others, so that each strip of an image
# would decode all of it again: JPEG 2000 without tiles. Such images stay in memory as well.
_ROW_OF_BLOCKS_BYTES = 64 << 20
# values read at a time when a whole image is scanned
_SCAN_VALUES = 4 << 20
_SAMPLE_STRIPS, _SAMPLE_ROWS, _SAMPLE_COLUMNS = 6, 16, 8192
_SAMPLE_ALL_PIXELS = 1 << 20
_SAMPLE_BANDS, _CORNER_BANDS = 8, 4
# 8-bit gray that went through JPEG's colour transform comes back a step or two apart
_GRAY_TOLERANCE = 4


def check_size(path: Path, dataset: Any, length: int, max_pixels: int | None = None) -> None:
    """Check the size of an image before anything of it is decoded.

    Args:
        path: the path that error messages name.
        dataset: the open rasterio dataset.
        length: bytes of the file.
        max_pixels: largest height times width that is accepted. If None, an image of more than 125
            megapixels is refused where its file has less than a byte for 200 samples, as decompression bombs.

    Raises:
        NircolorError: the image is too large, or its header claims more than the file can hold.
    """
    if not dataset.count:
        raise NircolorError(f"{path}: holds no image")
    if dataset.count > MAX_BANDS:
        raise NircolorError(f"{path}: expected at most {MAX_BANDS} bands, the header claims {dataset.count}")
    check_pixels(path, (dataset.height, dataset.width), dataset.count, length, max_pixels)
    rows, cols = dataset.block_shapes[0]
    if rows * cols * np.dtype(dataset.dtypes[0]).itemsize > _MAX_BLOCK_BYTES:
        raise NircolorError(f"{path}: stored in one piece of {rows} x {cols} pixels, too large to decode")


def check_pixels(path: Path, size: tuple[int, int], bands: int, length: int, max_pixels: int | None) -> None:
    """Check the number of pixels, as a part of `check_size`; ``size`` is (height, width)."""
    height, width = size
    pixels = height * width
    if max_pixels is not None and pixels > max_pixels:
        raise NircolorError(
            f"{path}: expected at most {max_pixels} pixels (--max-pixels), got {pixels} ({width} x {height})"
        )
    is_dense = pixels * bands <= _SAMPLES_PER_BYTE * length
    if max_pixels is None and pixels > _PLAUSIBLE_PIXELS and not is_dense:
        raise NircolorError(
            f"{path}: the header claims {width} x {height} pixels, {bands} band(s), "
            f"which {length} bytes hardly hold: damaged, or made to exhaust the computer "
            f"(--max-pixels {pixels} reads it nevertheless)"
        )


class StoredImage:
    """Windows of a rasterio dataset, read through a `Layout`. Several threads may use one.

    Args:
        dataset: the dataset, open for reading; `close` closes it.
        layout: the meaning of its bands.
        nodata: value that marks invalid pixels in place of the one that the file declares, checked.
        across_rows: whether windows will be read column by column, as of an image to be rotated.

    Attributes:
        layout: the meaning of the bands.
        height, width: in pixels, as stored.
        dtype: type of the values.
        has_mask: whether there is a mask band or a transparent colour.
        may_have_invalid: whether pixels can be invalid: alpha, mask, nodata or floating point.
        marks_invalid: whether the file or the user says which pixels are invalid.
        padding: black padding, whose pixels are invalid too; None until it is set.
    """

    def __init__(
        self,
        dataset: Any,
        layout: Layout,
        *,
        nodata: float | Literal["none"] | None = None,
        across_rows: bool = False,
    ) -> None:
        self.layout = layout
        self.height, self.width = int(dataset.height), int(dataset.width)
        self._dataset = dataset
        self.dtype: np.dtype[Any] = np.dtype(dataset.dtypes[0])
        self._lock = threading.Lock()  # a GDAL dataset may be used by one thread at a time
        flags = set(dataset.mask_flag_enums[layout.stored[0] - 1])
        # a mask band or a transparent colour, for which GDAL computes a mask
        self._has_mask_band = not flags & {MaskFlags.all_valid, MaskFlags.alpha} and flags != {
            MaskFlags.nodata
        }
        self.has_mask = self._has_mask_band or layout.opaque is not None
        # a transparent colour is one value in each band, invalid where all match; others apply band by band
        by_colour = flags == {MaskFlags.per_dataset, MaskFlags.nodata}
        declared = [None if by_colour else dataset.nodatavals[i - 1] for i in layout.stored]
        if nodata is not None:
            declared = [None if nodata == "none" else nodata] * len(layout.stored)
        self._nodata = [
            as_stored(value, np.dtype(dataset.dtypes[i - 1]))
            for value, i in zip(declared, layout.stored, strict=True)
        ]
        # the user means values that are shown, a file with a palette means indices
        self._nodata_is_index = layout.palette is not None and nodata is None
        self.may_have_invalid = bool(
            self.has_mask
            or layout.alpha
            or any(value is not None for value in self._nodata)
            or any(np.dtype(dataset.dtypes[i - 1]).kind == "f" for i in layout.stored)
        )
        self.marks_invalid = bool(
            self.has_mask
            or layout.alpha
            or nodata is not None
            or any(value is not None for value in self._nodata)
        )
        self.padding: Padding | None = None
        self._corners: Array | None = None
        # decoded rows that stay in memory: (stored bands, h, w) up to row `_kept_rows`
        self._kept: Array | None = None
        self._kept_mask: Array | None = None
        self._kept_rows = 0
        planes = [*layout.stored, *([layout.alpha] if layout.alpha else [])]
        self._plane_of = {band: plane for plane, band in enumerate(planes)}
        self._decodes_in_order = dataset.driver in ("PNG", "JPEG")
        bytes_per_row = len(planes) * self.width * self.dtype.itemsize
        self._blocks_are_tall = dataset.block_shapes[0][0] * bytes_per_row > _ROW_OF_BLOCKS_BYTES
        limit = _KEEP_BYTES if self._decodes_in_order else 0
        if across_rows or self._blocks_are_tall:
            limit = _KEEP_ROTATED_BYTES
        if self.height * bytes_per_row <= limit:
            # memory is taken row by row, as rows are filled in
            self._kept = np.empty((len(planes), self.height, self.width), self.dtype)
            if self._has_mask_band:
                self._kept_mask = np.empty((self.height, self.width), np.uint8)

    def spread_bands(self, count: int) -> list[int]:
        """Return up to `count` data bands, spread evenly: cubes have hundreds."""
        return np.unique(np.linspace(0, self.layout.bands - 1, count).astype(int)).tolist()

    def corners(self) -> Array:
        """Read the pixels in the four corners, of up to 4 bands: (bands, 4).

        Only the upper two, (bands, 2), of an image that is decoded from the top and not kept in memory: the
        lower ones would take a second decoding of all rows.
        """
        if self._corners is None:
            bands, read = self.spread_bands(_CORNER_BANDS), []
            # no comprehension: an error's traceback would keep the image in memory through it
            for row, col in product((0,) if self.rereads else (0, self.height - 1), (0, self.width - 1)):
                read.append(self.load((row, row + 1, col, col + 1), bands)[0][:, 0])
            self._corners = np.concatenate(read, axis=1)
        return self._corners

    @property
    def rereads(self) -> bool:
        """Whether the image is decoded from the top each time that rows are read again."""
        return self._decodes_in_order and self._kept is None

    def load(self, window: Window, bands: Sequence[int]) -> tuple[Array, Mask]:
        """Read a window.

        Args:
            window: (row0, row1, col0, col1) of the stored image.
            bands: 0-based data bands.

        Returns:
            Native values (bands, h, w), and (h, w) where all of ``bands`` are valid: not nodata, masked,
            NaN, infinite or of alpha 0.
        """
        with self._lock:
            return self._load(window, bands)

    def is_gray(self) -> bool:
        """Return whether three channels are equal at every valid pixel, up to the rounding of JPEG.

        Only a coloured image is settled without reading all of it.
        """
        tolerance = _GRAY_TOLERANCE if self.dtype == np.uint8 else 0
        if not self._decodes_in_order and any(_spread(*part) > tolerance for part in self.sample()):
            return False
        return not any(
            _spread(*self.load(window, range(self.layout.bands))) > tolerance for window in self.parts()
        )

    def reduce_to_gray(self) -> None:
        """Use the first of three equal channels alone from now on."""
        self.layout = replace(self.layout, stored=self.layout.stored[:1], is_colour=False)
        if self._kept is not None:
            planes = [self._plane_of[self.layout.stored[0]]]
            planes += [self._plane_of[self.layout.alpha]] if self.layout.alpha else []
            self._kept = self._kept[planes]
            self._plane_of = {
                band: planes.index(plane) for band, plane in self._plane_of.items() if plane in planes
            }

    def sample(self) -> Iterator[tuple[Array, Mask]]:
        """Read windows that are spread over the image, of up to 8 data bands; all of a small image."""
        bands = self.spread_bands(_SAMPLE_BANDS)
        if self.height * self.width <= _SAMPLE_ALL_PIXELS:
            yield self.load((0, self.height, 0, self.width), bands)
            return
        rows, cols = min(_SAMPLE_ROWS, self.height), min(_SAMPLE_COLUMNS, self.width)
        strips = min(_SAMPLE_STRIPS, self.height // rows)
        for i in range(strips):  # from the top, the order in which PNG and JPEG are decoded
            share = i / max(strips - 1, 1)
            row0, col0 = int(share * (self.height - rows)), int(share * (self.width - cols))
            yield self.load((row0, row0 + rows, col0, col0 + cols), bands)

    def close(self) -> None:
        """Close the dataset and release the memory; a second call does nothing."""
        self._kept = self._kept_mask = None
        self._dataset.close()

    def parts(self) -> Iterator[Window]:
        """Windows that cover the image, each block of the file in one of them where blocks are small."""
        block_rows, block_cols = self._dataset.block_shapes[0]
        values = _SCAN_VALUES // self.layout.bands
        rows = block_rows * max(1, values // (block_rows * self.width))
        cols = min(self.width, block_cols * max(1, values // (rows * block_cols)))
        rows = min(self.height, rows, max(1, values // cols))
        for row in range(0, self.height, rows):
            for col in range(0, self.width, cols):
                yield row, min(row + rows, self.height), col, min(col + cols, self.width)

    def _load(self, window: Window, bands: Sequence[int]) -> tuple[Array, Mask]:
        valid: Mask
        layout = self.layout
        if layout.palette is not None:
            indices = self._read([1], window)[0]
            values = np.moveaxis(layout.palette[indices][..., list(bands)], -1, 0)
            valid = np.ones(indices.shape, bool)
            if layout.opaque is not None:
                valid &= layout.opaque[indices]
            if self._nodata[0] is not None:
                marked = indices if self._nodata_is_index else values
                valid &= (marked != self._nodata[0]).reshape(-1, *valid.shape).all(axis=0)
        else:
            values = self._read([layout.stored[i] for i in bands], window)
            valid = _finite(values)
            for value, band in zip(values, bands, strict=True):
                if self._nodata[band] is not None:
                    valid &= np.asarray(value != self._nodata[band])
        if layout.alpha is not None:
            valid &= self._read([layout.alpha], window)[0] > 0
        if self._has_mask_band:
            valid &= self._read_mask(window) > 0
        if self.padding is not None:
            valid &= ~self.padding.covers(window, values)
        return values, valid

    def _read(self, stored: list[int], window: Window) -> Array:
        """Read stored bands (1-based) of a window: (bands, h, w), a copy."""
        row0, row1, col0, col1 = window
        if self._kept is None:
            values: Array = self._dataset.read(stored, window=_place(window))
            return values
        self._keep(row1)
        return self._kept[[self._plane_of[band] for band in stored], row0:row1, col0:col1]

    def _read_mask(self, window: Window) -> Array:
        """Read GDAL's mask of a window (h, w): 0 where invalid."""
        row0, row1, col0, col1 = window
        if self._kept_mask is None:
            mask: Array = self._dataset.read_masks(self.layout.stored[0], window=_place(window))
            return mask
        self._keep(row1)
        return self._kept_mask[row0:row1, col0:col1]

    def _keep(self, stop: int) -> None:
        """Decode rows up to `stop` into memory, after those that were decoded before."""
        if self._kept is None or stop <= self._kept_rows:
            return
        if self._kept_mask is not None or self._blocks_are_tall:
            # reading bands and mask in turns, part by part, would restart the decoder each time
            stop = self.height
        place = _place((self._kept_rows, stop, 0, self.width))
        self._kept[:, self._kept_rows : stop] = self._dataset.read(list(self._plane_of), window=place)
        if self._kept_mask is not None:
            self._kept_mask[self._kept_rows : stop] = self._dataset.read_masks(
                self.layout.stored[0], window=place
            )
        self._kept_rows = stop


def _place(window: Window) -> RasterioWindow:
    row0, row1, col0, col1 = window
    return RasterioWindow(col0, row0, col1 - col0, row1 - row0)


def _spread(values: Array, valid: Mask) -> float:
    """Return the largest difference between the bands (bands, h, w) of a valid pixel."""
    if not valid.any():
        return 0.0
    highest, lowest = values.max(axis=0)[valid], values.min(axis=0)[valid]
    return float((highest.astype(np.float64) - lowest).max())


def _finite(values: Array) -> Mask:
    if values.dtype.kind != "f":
        return np.ones(values.shape[1:], bool)
    finite: Mask = np.asarray(np.isfinite(values).all(axis=0))
    return finite
