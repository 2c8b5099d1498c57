"""The loops of `knn` over candidates, as machine code."""

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
    """Let some pixels choose among some candidates, after those of the calls before.

    A pixel's own 3×3 and what is outside its window are passed over. Candidates come in the order of their
    indices, and only a smaller value displaces another: so ties go to the smaller index. What is no number
    displaces none.

    Args:
        values: (pixels, candidates), both row by row.
        pixels: top, bottom, left and right in the image.
        candidates: the same.
        radius_px: rows and columns from a pixel to the border of its window.
        width: of the image.
        smallest: (rows, columns, k) of the pixels: their k smallest values yet, in order; updated.
        neighbours: (rows, columns, k) int64: row · width + column of each; updated.
    """
    first_row, end_row, first_column, end_column = pixels
    top, bottom, left, right = candidates
    last = smallest.shape[2] - 1
    pixel = 0
    for y in range(first_row, end_row):
        for x in range(first_column, end_column):
            mine = smallest[y - first_row, x - first_column]
            whose = neighbours[y - first_row, x - first_column]
            of_pixel = values[pixel]
            pixel += 1
            limit = mine[last]
            for row in range(max(top, y - radius_px), min(bottom, y + radius_px + 1)):
                near = abs(row - y) <= 1
                for right_of_it in range(1 + near):
                    begin, end = max(left, x - radius_px), min(right, x + radius_px + 1)
                    if right_of_it:
                        begin = x + 2
                    elif near:
                        end = x - 1
                    start = (row - top) * (right - left) - left
                    # indices of a slice are known not to be negative: so it becomes vector instructions
                    segment = of_pixel[start + begin : start + max(begin, end)]
                    found = False
                    for at in range(segment.size):
                        found |= segment[at] < limit
                    if not found:
                        continue
                    for at in range(segment.size):
                        value = segment[at]
                        if value < limit:
                            place = last
                            while place > 0 and mine[place - 1] > value:
                                mine[place] = mine[place - 1]
                                whose[place] = whose[place - 1]
                                place -= 1
                            mine[place] = value
                            whose[place] = row * width + begin + at
                            limit = mine[last]


@machine_code()
def settle(
    vectors: Any,
    around: Any,
    tile: Any,
    radius_px: int,
    width: int,
    bounds: Any,
    chosen: Any,
    neighbours: Any,
) -> None:
    """Find the neighbours of a tile's pixels among those whose distances are least by a lower bound.

    The bound of a candidate that is not among them is no smaller than the last of theirs. Where the k-th
    distance found is not below that, the pixel's whole window is measured.

    Args:
        vectors: (rows, columns, F) float64 of ``around``, whole numbers.
        around: top, bottom, left and right in the image of what is within reach of the tile.
        tile: the same of the tile.
        radius_px: rows and columns from a pixel to the border of its window.
        width: of the image.
        bounds: (rows, columns, more than k) of the tile, in order: no more than (‖b − a‖² − ‖a‖²) / 2 of each
            candidate b of pixel a; infinite where there is none.
        chosen: the same shape, int64: row · width + column of each.
        neighbours: (rows, columns, k) int64: what is found. It must be filled with what is valid, since
            features that are no numbers leave it as it was.
    """
    top, bottom, left, right = around
    k = neighbours.shape[2]
    squared, origin = np.empty(k), np.zeros(vectors.shape[2])
    for y in range(tile[0], tile[1]):
        for x in range(tile[2], tile[3]):
            a = vectors[y - top, x - left]
            of_pixel = bounds[y - tile[0], x - tile[2]]
            among = chosen[y - tile[0], x - tile[2]]
            found = neighbours[y - tile[0], x - tile[2]]
            squared[:] = np.inf
            for place in range(of_pixel.size):
                if of_pixel[place] < np.inf:
                    row, column = among[place] // width, among[place] % width
                    _insert(_distance(a, vectors[row - top, column - left]), among[place], squared, found)
            if (squared[k - 1] - _distance(a, origin)) / 2 < of_pixel[of_pixel.size - 1]:
                continue
            squared[:] = np.inf
            for row in range(max(top, y - radius_px), min(bottom, y + radius_px + 1)):
                # nothing is nearer than k that are the same: so constant areas cost little
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
def _insert(value: Any, index: Any, smallest: Any, whose: Any) -> None:
    """Put a value where it belongs in a list in order of value, then index; the last falls out."""
    place = smallest.size - 1
    if not (value < smallest[place] or (value == smallest[place] and index < whose[place])):
        return
    while place > 0 and (
        smallest[place - 1] > value or (smallest[place - 1] == value and whose[place - 1] > index)
    ):
        smallest[place] = smallest[place - 1]
        whose[place] = whose[place - 1]
        place -= 1
    smallest[place] = value
    whose[place] = index
