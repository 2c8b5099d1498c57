"""Area averages of a image that is read strip by strip, with invalid pixels left out."""

from typing import Any

import numpy as np

from nircolor.arrays import Floats, Mask


class AreaMean:
    """Averages (bands, H, W) down to (bands, h, w): each output pixel is the mean of the area it covers.

    Feed strips of rows from `add`, in any order, each row once; `result` gives the means and a mask
    (h, w) of the pixels that cover anything valid. Pixels on an output pixel's border count by the
    share they lie inside, so that any size works, a larger one (repeating pixels) included.
    """

    def __init__(self, bands: int, shape: tuple[int, int], out_shape: tuple[int, int]) -> None:
        self._shape, self._out_shape = shape, out_shape
        self._total = np.zeros((bands, *out_shape), np.float64)
        self._weight = np.zeros(out_shape, np.float64)

    def add(self, row0: int, values: Floats, valid: Mask) -> None:
        """Take in rows from `row0`: values (bands, n, W), which must be 0 where valid (n, W) is not."""
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

    def result(self) -> tuple[Floats, Mask]:
        """Means (bands, h, w) float32, 0 where nothing valid is covered, and the mask (h, w)."""
        valid = self._weight > 1e-6
        means = self._total / np.where(valid, self._weight, 1)
        return np.where(valid, means, 0).astype(np.float32), valid


def _sum_columns(values: Floats | Mask, width: int) -> np.ndarray[Any, np.dtype[Any]]:
    """Sum (..., W) over `width` equal stretches of columns -> (..., width)."""
    full = values.shape[-1]
    if width == full:
        return values.astype(np.float32, copy=False)
    edges = np.arange(width + 1) * (full / width)
    # rounding must not leave a rest of the last column, which its stretch holds already
    edges[-1] = full
    whole = np.minimum(edges.astype(np.int64), full)
    part = edges - whole
    sums = np.add.reduceat(values, whole[:-1], axis=-1, dtype=np.float32)
    sums[..., whole[1:] == whole[:-1]] = 0  # reduceat gives the pixel itself for an empty stretch
    # each stretch begins inside its first pixel and ends inside the one after its last
    sums -= part[:-1] * values[..., whole[:-1]]
    sums += part[1:] * values[..., np.minimum(whole[1:], full - 1)]
    return sums
