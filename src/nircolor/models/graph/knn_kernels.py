"""Loops over candidates for `knn`, compiled to machine code."""

from typing import Any

import numpy as np

from nircolor.models.graph.machine_code import machine_code


@machine_code()
def keep_smallest(
    values: Any,
    pixels: Any,
    candidates: Any,
    radius_px: int,
    width: int,
    smallest: Any,
    neighbours: Any,
) -> None:
    """Update the k best candidates of some pixels with further candidates.

    Candidates in a pixel's own 3×3 window and outside its search window are skipped. Calls must be in the
    order of the candidates' indices: only a smaller value replaces another, so that ties are resolved in
    favour of the smaller index. NaN is ignored.

    Args:
        values: (pixels, candidates), both row by row.
        pixels: Top, bottom, left and right of the pixels in the image; bottom and right are exclusive.
        candidates: Top, bottom, left and right of the candidates.
        radius_px: Radius of the search window.
        width: Width of the image.
        smallest: (rows, columns, k) of the pixels, their k smallest values so far, in order; updated.
        neighbours: (rows, columns, k) int64, row · width + column of each; updated.
    """
    first_row, end_row, first_column, end_column = pixels
    top, bottom, left, right = candidates
    last = smallest.shape[2] - 1
    pixel = 0
    for y in range(first_row, end_row):
        for x in range(first_column, end_column):
            best = smallest[y - first_row, x - first_column]
            best_index = neighbours[y - first_row, x - first_column]
            pixel_values = values[pixel]
            pixel += 1
            limit = best[last]
            for row in range(max(top, y - radius_px), min(bottom, y + radius_px + 1)):
                near = abs(row - y) <= 1
                for right_part in range(1 + near):
                    begin, end = max(left, x - radius_px), min(right, x + radius_px + 1)
                    if right_part:
                        begin = x + 2
                    elif near:
                        end = x - 1
                    start = (row - top) * (right - left) - left
                    # indices of a slice cannot be negative, which allows vector instructions
                    segment = pixel_values[start + begin : start + max(begin, end)]
                    any_smaller = False
                    for at in range(segment.size):
                        any_smaller |= segment[at] < limit
                    if not any_smaller:
                        continue
                    for at in range(segment.size):
                        value = segment[at]
                        if value < limit:
                            place = last
                            while place > 0 and best[place - 1] > value:
                                best[place] = best[place - 1]
                                best_index[place] = best_index[place - 1]
                                place -= 1
                            best[place] = value
                            best_index[place] = row * width + begin + at
                            limit = best[last]


@machine_code()
def measure_candidates(
    vectors: Any,
    around: Any,
    tile: Any,
    radius_px: int,
    width: int,
    bounds: Any,
    chosen: Any,
    neighbours: Any,
) -> None:
    """Find the neighbours of a tile's pixels among the candidates with the smallest lower bounds.

    The bounds of all other candidates are at least the last of these. Where the k-th distance found is not
    below that, the pixel's whole window is measured.

    Args:
        vectors: (rows, columns, F) float64, whole numbers: the features of ``around``.
        around: Top, bottom, left and right of the area within ``radius_px`` of the tile, in the image.
        tile: Top, bottom, left and right of the tile.
        radius_px: Radius of the search window.
        width: Width of the image.
        bounds: (rows, columns, more than k) of the tile, in order: lower bounds of (‖b − a‖² − ‖a‖²) / 2 for
            candidates b of pixel a; infinite where there are no more candidates.
        chosen: (rows, columns, more than k) int64, row · width + column of these candidates.
        neighbours: (rows, columns, k) int64, written. It must hold valid indices before the call, as it is
            left unchanged where features are NaN.
    """
    top, bottom, left, right = around
    k = neighbours.shape[2]
    squared, origin = np.empty(k), np.zeros(vectors.shape[2])
    for y in range(tile[0], tile[1]):
        for x in range(tile[2], tile[3]):
            a = vectors[y - top, x - left]
            pixel_bounds = bounds[y - tile[0], x - tile[2]]
            candidates = chosen[y - tile[0], x - tile[2]]
            found = neighbours[y - tile[0], x - tile[2]]
            squared[:] = np.inf
            for place in range(pixel_bounds.size):
                if pixel_bounds[place] < np.inf:
                    row, column = candidates[place] // width, candidates[place] % width
                    distance = _distance(a, vectors[row - top, column - left])
                    _insert(distance, candidates[place], squared, found)
            if (squared[k - 1] - _distance(a, origin)) / 2 < pixel_bounds[pixel_bounds.size - 1]:
                continue
            squared[:] = np.inf
            for row in range(max(top, y - radius_px), min(bottom, y + radius_px + 1)):
                # k candidates at distance 0 cannot be improved, which makes constant areas cheap
                if squared[k - 1] == 0:
                    break
                for column in range(max(left, x - radius_px), min(right, x + radius_px + 1)):
                    if abs(row - y) > 1 or abs(column - x) > 1:
                        distance = _distance(a, vectors[row - top, column - left])
                        _insert(distance, row * width + column, squared, found)


# sums of whole numbers are exact in any order
@machine_code(fastmath={"reassoc", "contract"})
def _distance(a: Any, b: Any) -> Any:
    """‖b − a‖²."""
    total = 0.0
    for i in range(a.size):
        total += (b[i] - a[i]) ** 2
    return total


@machine_code()
def _insert(value: Any, index: Any, smallest: Any, indices: Any) -> None:
    """Insert a value into a list sorted by value, then index; the last entry is dropped."""
    place = smallest.size - 1
    if not (value < smallest[place] or (value == smallest[place] and index < indices[place])):
        return
    while place > 0 and (
        smallest[place - 1] > value or (smallest[place - 1] == value and indices[place - 1] > index)
    ):
        smallest[place] = smallest[place - 1]
        indices[place] = indices[place - 1]
        place -= 1
    smallest[place] = value
    indices[place] = index
