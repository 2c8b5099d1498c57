"""Carry colours over to the full size of an image, along the edges of the near-infrared image."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nircolor.arrays import Array, Floats, Mask

# side of the cells in pixels of the image that the colours were computed for, and levels of brightness
_CELL_PX, _LEVELS = 12, 48
# mean squared deviation of the averaged colours, summed over the channels, at which they count one half
_UNCERTAIN = 0.01
# standard deviation of the Gaussian that smooths the grid, and where it is cut off, in cells and in levels
_SIGMA, _CUT_OFF = 1.0, 4
# weight of the mean over all levels of a cell, and of the mean of the image, where nothing else is known
_SHARE_OF_CELL, _SHARE_OF_IMAGE = 1e-3, 1e-6
# weight of no difference, for an image without a valid pixel
_SHARE_OF_NOTHING = 1e-12
# pixels computed at a time, few enough for the cache of a processor
_BLOCK_PX = 1 << 16

# nodes before some positions, and the shares of the nodes after them
_Places = tuple[NDArray[np.intp], Floats]


@dataclass(frozen=True)
class ColourGrid:
    """Difference of the colour from the near-infrared value, by place and brightness.

    A bilateral grid: differences are averaged among pixels that are close to each other and of similar
    brightness. Colours that leak across an edge are averaged away, and the detail is that of the
    near-infrared image. Where colours of one brightness differ, as of the sky and of gaps in a tree that are
    as bright, the averages give way to the colours themselves. The grid applies to the image at any size.

    Attributes:
        sums: (rows, levels, columns, channels): sums of the differences of red, green and blue, of the bound
            of the error where there is one, of the squares of the differences, and at last the weight. The
            image begins half a cell after the first rows and columns.
        cells: Height and width of the image in cells.
        differences: Differences themselves (3, h, w), at the size that the colours were computed at.

    Reference:
        Chen, Paris, Durand, "Real-Time Edge-Aware Image Processing with the Bilateral Grid", SIGGRAPH 2007;
        Chen, Adams, Wadhwa, Hasinoff, "Bilateral Guided Upsampling", SIGGRAPH Asia 2016.
    """

    sums: Floats
    cells: tuple[float, float]
    differences: Floats

    @classmethod
    def fit(cls, nir: Floats, output: Floats, valid: Mask) -> "ColourGrid":
        """Average the colours of an image.

        Args:
            nir: Near-infrared values (h, w) from 0 to 1, the mean of the bands.
            output: Colour (3, h, w), or colour and bound of its error (4, h, w).
            valid: (h, w); other pixels do not count.
        """
        cells = nir.shape[0] / _CELL_PX, nir.shape[1] / _CELL_PX
        rows, columns = (
            np.rint(_positions(side, pixels, 0, pixels)).astype(np.intp)
            for side, pixels in zip(cells, nir.shape, strict=True)
        )
        levels = np.rint(nir * (_LEVELS - 1)).astype(np.intp)
        shape = int(cells[0]) + 3, _LEVELS, int(cells[1]) + 3
        nodes = np.ravel_multi_index((rows[:, None], levels, columns), shape)[valid]
        differences = output[:3] - nir
        planes = [*differences, *output[3:], np.square(differences).sum(0), np.ones_like(nir)]
        sums: Floats = np.empty((*shape, len(planes)), np.float32)
        for channel, plane in enumerate(planes):
            sums[..., channel] = np.bincount(nodes, plane[valid], int(np.prod(shape))).reshape(shape)
        for axis in range(3):
            sums = _smoothed(sums, axis)
        sums += _SHARE_OF_CELL * sums.mean(1, keepdims=True)
        sums += _SHARE_OF_IMAGE * sums.mean((0, 1, 2))
        sums[..., -1] += _SHARE_OF_NOTHING
        grid = cls(sums, cells, differences)
        if not valid.all():
            # what invalid pixels hold would reach their neighbours
            averages, _ = grid._averages(nir, *grid._nodes([(pixels, 0, pixels) for pixels in nir.shape]))
            np.copyto(differences, averages[:3], where=~valid)
        return grid

    def apply(
        self, nir: Floats, corner: tuple[int, int], shape: tuple[int, int], *, with_error: bool = False
    ) -> Floats:
        """Compute the colours of a window of the image.

        Args:
            nir: Near-infrared values of the window (n, m) from 0 to 1, the mean of the bands.
            corner: First row and column of the window in the image.
            shape: Height and width of the image, at any scale.
            with_error: Add the bound of the error.

        Returns:
            (3, n, m), or (4, n, m) with ``with_error``, not clipped.
        """
        window = list(zip(shape, corner, nir.shape, strict=True))
        rows, columns = self._nodes(window)
        own_rows, own_columns = (
            _split(_positions(side, *place) - 1, side)
            for side, place in zip(self.differences.shape[1:], window, strict=True)
        )
        output = np.empty((3 + with_error, *nir.shape), np.float32)
        step = max(1, _BLOCK_PX // nir.shape[1])
        for top in range(0, len(nir), step):
            block = slice(top, top + step)
            averages, deviation = self._averages(nir[block], _part(rows, block), columns)
            output[:, block] = averages[: len(output)]
            colours = output[:3, block]
            own = _between(_between(self.differences, _part(own_rows, block), 1), own_columns, 2)
            colours += (own - colours) * (deviation / (deviation + np.float32(_UNCERTAIN)))
            colours += nir[block]
        return output

    def _nodes(self, window: Sequence[tuple[int, int, int]]) -> tuple[_Places, _Places]:
        """Return where the pixels of a window lie among the rows and the columns of the grid.

        Args:
            window: Length of the image, first pixel and number of pixels, down and across.
        """
        down, across = (
            _split(_positions(side, *place), nodes)
            for side, place, nodes in zip(self.cells, window, self.sums.shape[::2], strict=True)
        )
        return down, across

    def _averages(self, nir: Floats, rows: _Places, columns: _Places) -> tuple[Floats, Floats]:
        """Look up the averages (3 or 4, n, m) of pixels (n, m) and their mean squared deviation (n, m)."""
        levels = _split(nir * np.float32(_LEVELS - 1), _LEVELS)
        # (n, levels, columns, channels)
        found = self._sliced(_between(self.sums, rows, 0), levels, columns)
        found /= found[..., -1:].copy()
        planes = np.moveaxis(found, -1, 0)
        return planes[:-2], np.maximum(planes[-2] - np.square(planes[:3]).sum(0), 0)

    @staticmethod
    def _sliced(table: Floats, levels: _Places, columns: _Places) -> Floats:
        """Interpolate between levels and columns: (n, levels, columns, channels) to (n, m, channels)."""
        count, _, width, channels = table.shape
        (level, level_share), (column, column_share) = levels, columns
        node = (np.arange(count)[:, None] * _LEVELS + level) * width + column
        flat = table.reshape(-1, channels)
        lower, upper = (
            _mix(flat.take(first, 0), flat.take(first + 1, 0), column_share[:, None])
            for first in (node, node + width)
        )
        return _mix(lower, upper, level_share[..., None])


def _positions(nodes: float, pixels: int, start: int, count: int) -> Array:
    """Return where pixels of an image that spans this number of nodes lie, its border being at 0.5."""
    return (np.arange(start, start + count) + 0.5) * (nodes / pixels) + 0.5


def _split(positions: Array, nodes: int) -> _Places:
    """Return the node before each position and the share of the node after it, inside the grid."""
    node = np.clip(np.floor(positions), 0, max(0, nodes - 2)).astype(np.intp)
    return node, np.clip(positions - node, 0, 1).astype(np.float32)


def _part(places: _Places, block: slice) -> _Places:
    return places[0][block], places[1][block]


def _between(values: Floats, places: _Places, axis: int) -> Floats:
    """Interpolate along an axis."""
    node, share = places
    after = np.minimum(node + 1, values.shape[axis] - 1)
    others = [1] * values.ndim
    others[axis] = len(share)
    return _mix(values.take(node, axis), values.take(after, axis), share.reshape(others))


def _mix(before: Floats, after: Floats, share: Floats) -> Floats:
    """Interpolate; the second array is overwritten with the result."""
    after -= before
    after *= share
    after += before
    return after


def _smoothed(sums: Floats, axis: int) -> Floats:
    """Convolve with a Gaussian along an axis."""
    weights = np.exp(-0.5 * (np.arange(-_CUT_OFF, _CUT_OFF + 1) / _SIGMA) ** 2)
    padding = [(0, 0)] * sums.ndim
    padding[axis] = _CUT_OFF, _CUT_OFF
    padded = np.moveaxis(np.pad(sums, padding), axis, 0)
    smoothed = np.zeros_like(np.moveaxis(sums, axis, 0))
    for step, weight in enumerate((weights / weights.sum()).astype(np.float32)):
        smoothed += weight * padded[step : step + len(smoothed)]
    return np.moveaxis(smoothed, 0, axis)
