"""Compare two images in detail under an affine map: is it the same photograph?"""

from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
from scipy.ndimage import affine_transform, gaussian_filter

from nircolor.arrays import Floats
from nircolor.pairs.compared import ComparedImage
from nircolor.pairs.correlation import scaled, texture_of
from nircolor.pairs.features import Matrix, footprint

# mean side of the images that are compared in detail, at most
_SIDE_PX = 256
# number of images kept in memory, a megabyte each
_KEPT = 64
_GRAY_PX = 512
# sigma in pixels of the windows in which details are correlated, minimum strength of the texture, and
# correlation above which they agree
_WINDOW_PX, _MIN_STRENGTH, _AGREES = 6, 0.2, 0.5
# In one photograph, noise and compression lower the correlation everywhere; in another one of the place,
# movement and parallax lower it to nothing in some places. So the 5th percentile is compared with the median:
# it was at least 0.37 of it in noisy copies, at most 0.22 in other photographs, except in the parts that two
# photographs of a panorama share (0.58). If either image shows what the other one does not, more is asked for
_MIN_MEDIAN, _MIN_RATIO, _MIN_RATIO_IF_PARTIAL, _CONTAINED = 0.5, 0.35, 0.7, 0.95
# minimum share of the area where the details of two photographs of a place agree
_PLACE = 0.15
# minimum number of matching features of the same photograph, and of the same place
MIN_MATCHES, _MIN_PLACE = 8, 15
_MIN_AREA_PX = 400


class Match(NamedTuple):
    """Two images that seem to show the same.

    Attributes:
        image: The image.
        other: The image of the other set.
        view: Which views of them match.
        matrix: (2, 3), maps pixels of the image to those of the other one.
        matches: Number of features that agree with the map; 0 if it comes from texture.
        copy: Whether the pixels are equal.
        correlation: Correlation of the texture, if the match comes from it.
    """

    image: ComparedImage
    other: ComparedImage
    view: str
    matrix: Matrix
    matches: int = 0
    copy: bool = False
    correlation: float = 0.0


class Detail(NamedTuple):
    """A reduced gray view, and the size (h, w) of the image in pixels."""

    gray: Floats
    size: tuple[int, int]


class Details:
    """Gray views of images, of which the last ones are kept."""

    def __init__(self) -> None:
        self.get = lru_cache(_KEPT)(self._get)

    def _get(self, image: ComparedImage, view: str) -> Detail:
        return reduced_gray(image.read()[view])


def reduced_gray(pixels: Floats) -> Detail:
    """Average the channels of (channels, h, w), and reduce the image to a mean side of 512 px at most."""
    gray = pixels.mean(axis=0)
    reduction = min(1.0, _GRAY_PX / float(np.sqrt(gray.size)))
    return Detail(scaled(gray, reduction), gray.shape)


Judgement = tuple[Literal["same photograph", "same place"], float, float, float]


def judge(match: Match, details: Details) -> Judgement | None:
    """Decide whether two images are one photograph, or show one place, or neither (None).

    Returns:
        The kind; the share of the common area where details agree; and the shares of either image that the
        other one shows.
    """
    a, b = details.get(match.image, match.view), details.get(match.other, match.view)
    overlap, other_overlap = footprint(match.matrix, a.size, b.size)
    values = correlations(a, b, match.matrix)
    share = float((values > _AGREES).mean()) if len(values) else match.correlation
    low, middle = np.percentile(values, [5, 50]) if len(values) else [match.correlation] * 2
    ratio = _MIN_RATIO if max(overlap, other_overlap) >= _CONTAINED else _MIN_RATIO_IF_PARTIAL
    if middle >= _MIN_MEDIAN and low >= ratio * middle:
        return "same photograph", share, overlap, other_overlap
    if match.correlation or (match.matches >= _MIN_PLACE and share >= _PLACE):
        return "same place", share, overlap, other_overlap
    return None


def correlations(a: Detail, b: Detail, matrix: Matrix) -> Floats:
    """Correlate the details of two images under a map.

    Returns:
        (n,), correlation around each pixel of the common area that has texture in both images; empty if the
        area is too small.
    """
    # the frame in which both are compared has the coarser scale of both, in each direction of the other image
    inverse = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))
    coarse = [1 / max(1.0, 1 / float(np.abs(inverse[:2, axis]).max())) for axis in (0, 1)]
    reduction = min(1.0, _SIDE_PX / float(np.sqrt(b.size[0] * b.size[1])))
    width, height = (
        max(8, round(side * min(reduction, factor)))
        for side, factor in zip(b.size[::-1], coarse, strict=True)
    )
    # pixels of the frame to those of both grays
    frame = _scaling((height, width), b.size)
    own = _scaling(a.size, a.gray.shape) @ inverse @ frame
    first, inside = _sampled(a.gray, own, (height, width))
    second, _ = _sampled(b.gray, _scaling(b.size, b.gray.shape) @ frame, (height, width))
    inside = gaussian_filter(inside.astype(np.float32), 3) > 0.98
    if inside.sum() < _MIN_AREA_PX:
        return np.zeros(0, np.float32)
    one, two = texture_of(first), texture_of(second)
    product, energy, other_energy = (gaussian_filter(x, _WINDOW_PX) for x in (one * two, one**2, two**2))
    textured = inside & (np.minimum(energy, other_energy) > _MIN_STRENGTH)
    if textured.sum() < _MIN_AREA_PX:
        return np.zeros(0, np.float32)
    return np.asarray((product / np.sqrt(energy * other_energy + 1e-9))[textured], dtype=np.float32)


def _scaling(size: tuple[int, ...], other: tuple[int, ...]) -> Matrix:
    """Return the map (3, 3) of x and y in an image (h, w) to those in its copy of another size."""
    y, x = (b / a for a, b in zip(size, other, strict=True))
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])


def _sampled(gray: Floats, matrix: Matrix, size: tuple[int, int]) -> tuple[Floats, Floats]:
    """Resample an image; ``matrix`` maps pixels of the result (h, w) to those of ``gray``.

    Returns:
        The result, and which of its pixels are inside the image.
    """
    steps = np.abs(matrix[:2, :2]).max(axis=1)[::-1]
    smooth = gaussian_filter(gray, [0.5 * np.sqrt(max(step**2 - 1, 0)) for step in steps])
    swapped = matrix[:2, :2][::-1, ::-1]
    offset = matrix[:2, 2][::-1]
    result = affine_transform(smooth, swapped, offset, size, order=1, mode="nearest")
    inside = affine_transform(np.ones_like(gray), swapped, offset, size, order=0, mode="constant")
    return np.asarray(result, dtype=np.float32), inside > 0.5
