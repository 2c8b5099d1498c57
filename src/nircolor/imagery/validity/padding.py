"""Black padding: zeros around a registered, rectified or rotated image, beyond straight edges.

A network takes padding for an object and colours it. Padding is recognized by its outline alone: the image
inside is convex, its outline keeps to straight edges to within a pixel, and everything beyond them is zero.
Skies and shadows that are clipped to zero have ragged outlines. A single straight edge may be the horizon of
a sea, so there must be edges of two sides, parallel or perpendicular as those of a frame, or else an edge
along a column, exact to the pixel, which no horizon is.

Buildings have straight edges and right angles too, against a black sky. Registration and rectification move
and turn an image a little, so padding is thin, unless it surrounds an image that was turned as a whole and
reaches all four sides, as in scenes of satellites.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nircolor.arrays import Array, Floats, Mask
from nircolor.imagery.gdal import tags_of
from nircolor.imagery.orientation import Window

if TYPE_CHECKING:
    from nircolor.imagery.stored import StoredImage

# outlines are found in every n-th row and column, at most this many
_LONGEST_PX = 4096
# bands that are looked at: cubes have hundreds
_BANDS = 4
# an outline may leave its straight edges by this much: interpolation makes the first pixels inside dark
_TOLERANCE_PX = 1.5
# share of the outline that keeps to the tolerance, and of the zeros along the border that padding explains
_LEAST_STRAIGHT, _LEAST_EXPLAINED = 0.9, 0.9
# share of a bar that ends at one row or column; pixels beside it may be black by chance
_LEAST_EXACT = 0.97
# smallest share of an image, and smallest depth, that counts as padding
_LEAST_AREA, _LEAST_DEPTH_PX = 0.002, 3
_LEAST_SIDE_PX = 32  # of an image; straight edges in smaller ones prove nothing
# edges are parallel or perpendicular to this angle: perspective changes those of a frame a little
_ANGLE_DEG = 6.0
# largest share of an image, and of its height or width, that is padding of an image that was hardly turned;
# of 111 registered photographs the largest ones are 0.23 and 0.15
_LARGEST_AREA, _LARGEST_DEPTH = 0.3, 0.2
# the same share for an image that was turned; by 45 degrees, half of the area is padding
_LARGEST_TURNED_AREA = 0.75
# angles up to which an image was hardly turned, and from which it was turned as a whole
_HARDLY_DEG, _TURNED_DEG = 20.0, 2.0
# compression blurs edges into 8-bit padding, by more for a lower quality; most of its pixels remain zero
_LOSSY_DRIVERS, _LOSSY_COMPRESSIONS = {"JPEG", "WEBP", "JP2OpenJPEG"}, {"JPEG", "WEBP"}
_LOSSY_LIMITS, _LOSSY_MEDIAN = (8, 16, 24), 1


@dataclass(frozen=True)
class Padding:
    """Padding of a stored image: pixels that are black and lie beyond straight edges.

    Attributes:
        depths: depth in px at the top and bottom of each column, (width,), and at the left and right of each
            row, (height,).
        limit: largest value that is black: 0, or more after lossy compression.
        share: share of the pixels of the image.
    """

    depths: tuple[Floats, Floats, Floats, Floats]
    limit: int
    share: float

    def covers(self, window: Window, values: Array) -> Mask:
        """Return the mask (h, w) of padding in a window, of which `values` (bands, h, w) were read."""
        top, bottom, left, right = self.depths
        row0, row1, col0, col1 = window
        beyond = _beyond(
            top[col0:col1] - row0,
            bottom[col0:col1] - (len(left) - row1),
            left[row0:row1] - col0,
            right[row0:row1] - (len(top) - col1),
        )
        if beyond.any():
            for band in values:
                beyond &= band <= self.limit if self.limit else band == 0
        return beyond

    def warning(self) -> str:
        """Return the warning about this padding."""
        return (
            f"black padding (zeros beyond straight edges, {max(self.share, 0.01):.0%} of the area) is taken "
            "as invalid; it stays black, --nodata none colorizes it"
        )


def find_padding(stored: "StoredImage", dataset: Any) -> Padding | None:
    """Find the padding of an image that marks no invalid pixels otherwise (alpha, mask, nodata).

    Only the corners are read where none of them is black, since some corner is part of any padding; of an
    image that has to be decoded from the top, and is too large to be kept in memory, only the upper ones.
    Otherwise the whole image is read once, in parts.

    Args:
        stored: the image.
        dataset: its rasterio dataset.

    Returns:
        The padding, or None where there is none for certain.
    """
    if stored.marks_invalid or min(stored.height, stored.width) < _LEAST_SIDE_PX:
        return None
    if tags_of(dataset, 0, "IMAGE_STRUCTURE").get("MINISWHITE") == "YES":
        return None
    compression = tags_of(dataset, 0, "IMAGE_STRUCTURE").get("COMPRESSION", "")
    lossy = dataset.driver in _LOSSY_DRIVERS or any(name in compression for name in _LOSSY_COMPRESSIONS)
    limits = _LOSSY_LIMITS if lossy and dataset.dtypes[0] == "uint8" else (0,)
    bands = stored.spread_bands(_BANDS)
    height, width = stored.height, stored.width
    if not (stored.corners() <= limits[-1]).all(axis=0).any():
        return None
    step = -(-max(height, width) // _LONGEST_PX)
    brightest = np.empty((-(-height // step), -(-width // step)), np.uint8)
    for row0, row1, col0, col1 in stored.parts():
        first_row, first_col = -row0 % step, -col0 % step
        values = stored.load((row0, row1, col0, col1), bands)[0][:, first_row::step, first_col::step]
        place = np.s_[-(-row0 // step) : -(-row1 // step), -(-col0 // step) : -(-col1 // step)]
        brightest[place] = values.max(axis=0) if limits != (0,) else (values != 0).any(axis=0)
    for limit in limits:
        outline = find_outline(brightest <= limit)
        if outline is not None and np.median(brightest[_beyond(*outline)]) <= _LOSSY_MEDIAN * (limit > 0):
            top, bottom, left, right = outline
            depths = (
                _enlarged(top, step, width),
                _enlarged(bottom, step, width, (height - 1) % step),
                _enlarged(left, step, height),
                _enlarged(right, step, height, (width - 1) % step),
            )
            share = float((_beyond(*outline) & (brightest <= limit)).mean())
            return Padding(depths, limit, share)
    return None


def _enlarged(depth: Floats, step: int, length: int, left_out: int = 0) -> Floats:
    """Interpolate depths of every `step`-th row or column, and add a margin where there is padding.

    Args:
        depth: depths in steps.
        step: rows or columns in a step.
        length: number of all rows or columns.
        left_out: px between the border of the image and the first step from there.
    """
    if step > 1:
        positions, known = np.arange(length), np.arange(len(depth)) * step
        between = np.interp(positions, known, depth)
        # where padding begins between two rows, take the depth of the one that has it
        pairs = np.stack([depth[positions // step], depth[np.minimum(positions // step + 1, len(depth) - 1)]])
        depth = np.where(pairs.min(axis=0) > 0, between, pairs.max(axis=0))
        depth = np.where(depth > 0, depth * step + left_out, 0)
    return np.where(depth > 0, depth + _TOLERANCE_PX + step - 1, 0).astype(np.float32)


class Side(NamedTuple):
    """Zeros along one side of an image.

    Attributes:
        runs: (n,) number of zeros from the border inwards, in each row or column.
        depth: (n,) that of straight edges, at most ``runs``; 0 where there is no padding, and all of a row
            or column that is zero all over.
        straight, outline: number of rows or columns whose run ends at an edge, and of all that have one.
        edges: of each straight edge its length and the direction across it, in px and radians.
        is_bar: whether the one edge runs along all rows or columns and is exact to the pixel.
    """

    runs: Array
    depth: Floats
    straight: int
    outline: int
    edges: tuple[tuple[float, float], ...]
    is_bar: bool


def find_outline(zero: Mask) -> tuple[Floats, Floats, Floats, Floats] | None:
    """Find padding in a map of zeros.

    Args:
        zero: (h, w), True where all bands are zero.

    Returns:
        Depth of the padding in px at the top and bottom of each column, (w,), and at the left and right of
        each row, (h,); None where there is no padding for certain.
    """
    if not (zero[0, 0] or zero[0, -1] or zero[-1, 0] or zero[-1, -1]) or zero.all():
        return None
    top, bottom = _side(zero.T, (0, -1), (1, 0)), _side(zero[::-1].T, (0, 1), (1, 0))
    left, right = _side(zero, (-1, 0), (0, 1)), _side(zero[:, ::-1], (1, 0), (0, 1))
    sides = top, bottom, left, right
    outline = sum(side.outline for side in sides)
    if sum(side.straight for side in sides) < _LEAST_STRAIGHT * max(1, outline):
        return None
    edges = [edge for side in sides for edge in side.edges]
    if not (_is_frame(edges) or any(side.is_bar for side in (left, right))):
        return None
    runs = _beyond(*(side.runs for side in sides))
    depths = top.depth, bottom.depth, left.depth, right.depth
    beyond = _beyond(*(np.where(depth > 0, depth + _TOLERANCE_PX, 0) for depth in depths)) & zero
    if beyond.sum() < _LEAST_EXPLAINED * runs.sum() or beyond.mean() < _LEAST_AREA:
        return None
    if beyond.mean() > _LARGEST_TURNED_AREA:  # a window at night
        return None
    if not _is_turned(edges):
        typical = [float(np.median(side.depth)) for side in sides]
        deepest = max(max(typical[:2]) / zero.shape[0], max(typical[2:]) / zero.shape[1])
        if beyond.mean() > _LARGEST_AREA or deepest > _LARGEST_DEPTH or _tilt_deg(edges) > _HARDLY_DEG:
            return None
    return depths


def _side(zero: Mask, outwards: tuple[int, int], along: tuple[int, int]) -> Side:
    """Find straight edges from the first column of `zero` inwards.

    Args:
        zero: (n, depth) map, turned so that the side is its first column.
        outwards: (x, y) out of the image.
        along: (x, y) from row to row of ``zero``.
    """
    inside = ~zero
    depth = zero.shape[1]
    runs = np.where(inside.any(axis=1), inside.argmax(axis=1), depth)
    rows = np.flatnonzero(runs < depth)
    if len(rows) < 2:
        return Side(runs, np.zeros(len(runs), np.float32), 0, 0, (), is_bar=False)
    corners = _lower_hull(rows, runs[rows])
    edge = np.interp(rows, corners[:, 0], corners[:, 1])
    slopes = np.diff(corners[:, 1]) / np.diff(corners[:, 0])
    slope = slopes[np.searchsorted(corners[1:-1, 0], rows, side="right")]
    off = (runs[rows] - edge) / np.hypot(1, slope)
    touched = edge >= 1
    edges = []
    for (row0, depth0), (row1, depth1) in _simplified(corners):
        length = float(np.hypot(row1 - row0, depth1 - depth0))
        if max(depth0, depth1) >= _LEAST_DEPTH_PX and length >= 0.02 * max(zero.shape):
            tilt = (depth1 - depth0) / (row1 - row0)
            x, y = (out + tilt * step for out, step in zip(outwards, along, strict=True))
            edges.append((length, float(np.arctan2(y, x))))
    depths = runs.astype(np.float32)  # of rows that are zero all over
    depths[rows] = np.where(touched, edge, 0)
    same = np.bincount(runs).max() if len(rows) == len(runs) else 0
    is_bar = bool(np.median(runs) >= _LEAST_DEPTH_PX and same >= _LEAST_EXACT * len(runs))
    straight = int((off[touched] <= _TOLERANCE_PX).sum())
    return Side(runs, depths, straight, int(touched.sum()), tuple(edges), is_bar)


def _lower_hull(x: Array, y: Array) -> Floats:
    """Return the corners (n, 2) of the largest convex function that is nowhere above the points."""
    hull: list[tuple[int, int]] = []
    for x2, y2 in zip(x.tolist(), y.tolist(), strict=True):
        while len(hull) > 1:
            (x0, y0), (x1, y1) = hull[-2:]
            if (x1 - x0) * (y2 - y0) > (y1 - y0) * (x2 - x0):
                break
            hull.pop()
        hull.append((x2, y2))
    return np.array(hull, np.float64)


def _simplified(corners: Floats) -> list[tuple[Floats, Floats]]:
    """Return the ends of the edges of a polygon, after merging those that are straight to within a pixel."""
    first, last = corners[0], corners[-1]
    direction = (last - first) / np.hypot(*(last - first))
    off = np.abs((corners - first) @ np.array([-direction[1], direction[0]]))
    farthest = int(off.argmax())
    if off[farthest] <= 1:
        return [(first, last)]
    return _simplified(corners[: farthest + 1]) + _simplified(corners[farthest:])


def _is_frame(edges: Sequence[tuple[float, float]]) -> bool:
    """Return whether edges lie on several sides, and are parallel or perpendicular."""
    lengths, angles = np.array(edges, np.float64).reshape(-1, 2).T
    if not len(lengths):
        return False
    # four times the angle: the same for all four sides of a rectangle
    mean = np.angle((lengths * np.exp(4j * angles)).sum())
    off = np.abs(np.angle(np.exp(1j * (4 * angles - mean)))) / 4
    apart = np.abs(np.angle(np.exp(1j * (angles[:, None] - angles))))
    return bool(off.max() <= np.radians(_ANGLE_DEG) and apart.max() > np.radians(60))


def _tilt_deg(edges: Sequence[tuple[float, float]]) -> float:
    """Return the mean angle of edges to the rows or columns, 0 to 45 degrees."""
    if not edges:
        return 0.0
    lengths, angles = np.array(edges, np.float64).T
    return float(np.degrees(np.abs(np.angle((lengths * np.exp(4j * angles)).sum())) / 4))


def _is_turned(edges: Sequence[tuple[float, float]]) -> bool:
    """Return whether edges are those of a rectangle that was turned, with all its four sides."""
    if _tilt_deg(edges) < _TURNED_DEG:
        return False
    lengths, angles = np.array(edges, np.float64).T
    tilt = np.angle((lengths * np.exp(4j * angles)).sum()) / 4
    return len(set((np.rint((angles - tilt) / (np.pi / 2)).astype(int) % 4).tolist())) == 4


def _beyond(top: Array, bottom: Array, left: Array, right: Array) -> Mask:
    """Return (h, w), True at less than the given depths from the borders."""
    height, width = len(left), len(top)
    beyond = np.zeros((height, width), bool)
    rows, cols = np.arange(height, dtype=np.int32)[:, None], np.arange(width, dtype=np.int32)
    # only as far as the padding reaches: strips of large images are read often
    if (stop := min(height, int(np.ceil(top.max())))) > 0:
        beyond[:stop] |= rows[:stop] < np.ceil(top).astype(np.int32)
    if (start := max(0, height - int(np.ceil(bottom.max())))) < height:
        beyond[start:] |= rows[start:] >= height - np.ceil(bottom).astype(np.int32)
    if (stop := min(width, int(np.ceil(left.max())))) > 0:
        beyond[:, :stop] |= cols[:stop] < np.ceil(left).astype(np.int32)[:, None]
    if (start := max(0, width - int(np.ceil(right.max())))) < width:
        beyond[:, start:] |= cols[start:] >= width - np.ceil(right).astype(np.int32)[:, None]
    return beyond
