"""Reduce an image that is read in strips to area means, without its invalid pixels."""

from typing import Any

import numpy as np

from nircolor.arrays import Floats, Mask


class AreaMean:
    """Area means (bands, h, w) of an image (bands, H, W): each pixel is the mean of the area that it covers.

    Pixels on the border of an area count by the share inside it, so that any output size is possible. Where
    it is larger than the input, pixels are repeated.

    Args:
        bands: number of bands.
        shape: (H, W) of the input.
        out_shape: (h, w) of the result.

    Example:
        >>> mean = AreaMean(1, (2, 4), (1, 2))
        >>> mean.add(0, np.array([[[0, 1, 4, 4]]], np.float32), np.ones((1, 4), bool))
        >>> mean.add(1, np.array([[[2, 3, 0, 4]]], np.float32), np.array([[True, True, False, True]]))
        >>> mean.result()[0].tolist()
        [[[1.5, 4.0]]]
    """

    def __init__(self, bands: int, shape: tuple[int, int], out_shape: tuple[int, int]) -> None:
        self._shape, self._out_shape = shape, out_shape
        self._total = np.zeros((bands, *out_shape), np.float64)
        self._weight = np.zeros(out_shape, np.float64)

    def add(self, row0: int, values: Floats, valid: Mask) -> None:
        """Add a strip of rows. Strips come in any order, each row once.

        Args:
            row0: first row of the strip.
            values: (bands, n, W), 0 for invalid pixels.
            valid: (n, W), False for invalid pixels.
        """
        rows = values.shape[1]
        step = self._shape[0] / self._out_shape[0]
        first = int(row0 / step)
        last = min(self._out_shape[0], int(np.ceil((row0 + rows) / step)))
        edges = np.arange(first, last + 1) * step
        pixels = np.arange(row0, row0 + rows)
        # (touched output rows, n): the share of each input row that lies inside each output row
        cover = np.minimum(pixels + 1, edges[1:, None]) - np.maximum(pixels, edges[:-1, None])
        cover = cover.clip(min=0)
        self._total[:, first:last] += cover @ _sum_columns(values, self._out_shape[1])
        if valid.all():
            covered = np.full((rows, self._out_shape[1]), self._shape[1] / self._out_shape[1])
        else:
            covered = _sum_columns(valid, self._out_shape[1])
        self._weight[first:last] += cover @ covered

    def plus(self, other: "AreaMean") -> "AreaMean":
        """Return the means over the strips of both; neither is changed."""
        both = AreaMean(len(self._total), self._shape, self._out_shape)
        both._total, both._weight = self._total + other._total, self._weight + other._weight
        return both

    def result(self) -> tuple[Floats, Mask]:
        """Return means (bands, h, w), float32, and a mask (h, w), False (and mean 0) where none was valid."""
        valid = self._weight > 1e-6
        means = self._total / np.where(valid, self._weight, 1)
        return np.where(valid, means, 0).astype(np.float32), valid


def _sum_columns(values: Floats | Mask, width: int) -> np.ndarray[Any, np.dtype[Any]]:
    """Sum (..., W) over `width` column ranges of equal size: (..., width)."""
    full = values.shape[-1]
    if width == full:
        return values.astype(np.float32, copy=False)
    edges = np.arange(width + 1) * (full / width)
    # rounding must not leave a part of the last column, which its range already includes
    edges[-1] = full
    whole = np.minimum(edges.astype(np.int64), full)
    part = edges - whole
    sums = np.add.reduceat(values, whole[:-1], axis=-1, dtype=np.float32)
    sums[..., whole[1:] == whole[:-1]] = 0  # reduceat returns the pixel itself for an empty range
    # each range begins inside its first pixel and ends inside the one after its last
    sums -= part[:-1] * values[..., whole[:-1]]
    sums += part[1:] * values[..., np.minimum(whole[1:], full - 1)]
    return sums
