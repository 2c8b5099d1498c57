"""Local features of images (SIFT), and the affine map between two images that they support.

Sources: Lowe, "Distinctive image features from scale-invariant keypoints", IJCV 2004; Arandjelović and
Zisserman, "Three things everyone should know to improve object retrieval", CVPR 2012 (square roots of
descriptors); Morel and Yu, "ASIFT", SIAM Journal on Imaging Sciences 2009 (simulated squashing).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nircolor.arrays import Floats

Matrix = NDArray[np.float64]
Descriptors = NDArray[np.uint8]

# maximum number of features per image
_FEATURES = 800
# SIFT's default of 0.04 finds few features in hazy images
_CONTRAST = 0.01
# descriptors are stored as bytes; components above 255 / 512 do not occur in practice
_UNIT = 512
# descriptors match if their distance is below this, and below this ratio of the next distance
_MAX_DISTANCE, _MAX_RATIO = 0.8, 0.88
# matches agree with a map if they are closer than this, in pixels of the reduced image
_TOLERANCE_PX = 3.0
# limits of maps: ratio of the scales in the two directions, and the scale between the reduced images
_MAX_ASPECT, _MAX_SCALE = 3.6, 8.0
# shapes that are tried: log2 of height to width, relative to the image. SIFT tolerates half an octave
SHAPES = (0.0, -0.75, 0.75, -1.5, 1.5)


class Features(NamedTuple):
    """Local features of an image.

    Attributes:
        points: (n, 2), x and y in pixels of the image.
        log_sizes: (n,), log2 of the size in pixels of the image.
        angles: (n,), orientation in degrees, clockwise from x.
        descriptors: (n, 128), square roots of SIFT descriptors, of length 512.
        px: Side of a pixel of the reduced image in which the features were found.
    """

    points: NDArray[np.float32]
    log_sizes: NDArray[np.float32]
    angles: NDArray[np.float32]
    descriptors: Descriptors
    px: float

    def strongest(self, count: int) -> "Features":
        """Return the first ``count`` features, which are the strongest."""
        return Features(
            self.points[:count],
            self.log_sizes[:count],
            self.angles[:count],
            self.descriptors[:count],
            self.px,
        )

    def mirrored(self) -> "Features":
        """Return the features of the mirrored image; points remain those of this image."""
        return self._replace(angles=(180 - self.angles) % 360, descriptors=self.descriptors[:, _MIRRORED])


def _mirrored_order() -> NDArray[np.int64]:
    """Return the components of a descriptor in the order that they have in a mirrored image."""
    # a descriptor has 4 x 4 cells in the frame of its orientation, with 8 orientations each
    cells = np.arange(128).reshape(4, 4, 8)
    return np.asarray(cells[::-1, :, (-np.arange(8)) % 8].reshape(-1))


_MIRRORED = _mirrored_order()


def find_features(
    gray: Floats, image_size: tuple[int, int], shape: float = 0.0, count: int = _FEATURES
) -> Features:
    """Find the strongest features of a gray image.

    Args:
        gray: (h, w) in [0, 1], the image or a reduced version of it.
        image_size: Size (h, w) of the image, for positions.
        shape: Change of shape before the search, log2 of height to width; the area remains.
        count: Maximum number of features.
    """
    import cv2

    low, high = (float(value) for value in (gray.min(), gray.max()))
    # a gain of 5 at most, so that noise does not become texture
    pixels = np.rint((gray - low) * (255 / max(high - low, 0.2))).astype(np.uint8)
    height, width = pixels.shape
    size = max(8, round(width * 2 ** (-shape / 2))), max(8, round(height * 2 ** (shape / 2)))
    if size != (width, height):
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR)
    found, raw = cv2.SIFT_create(nfeatures=count, contrastThreshold=_CONTRAST).detectAndCompute(pixels, None)
    if raw is None:
        raw = np.zeros((0, 128), np.float32)
    strongest = np.argsort([-one.response for one in found], kind="stable")
    found, raw = [found[place] for place in strongest], raw[strongest]
    ratios = np.array([image_size[1] / size[0], image_size[0] / size[1]])
    px = float(np.sqrt(image_size[0] * image_size[1] / (height * width)))
    # OpenCV's positions are a quarter of a pixel too far right and down
    points = (np.array([one.pt for one in found]).reshape(-1, 2) + 0.25) * ratios - 0.5
    roots = np.sqrt(raw / np.maximum(raw.sum(axis=1, keepdims=True), 1e-6))
    return Features(
        points.astype(np.float32),
        np.log2(np.array([one.size for one in found]) * px).astype(np.float32),
        np.array([one.angle for one in found], np.float32),
        np.rint(np.minimum(_UNIT * roots, 255)).astype(np.uint8),
        px,
    )


def squared_distances(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.float32]:
    """Return the squared distances (n, m) of descriptors, 0 to 2."""
    a, b = a.astype(np.float32) / _UNIT, b.astype(np.float32) / _UNIT
    products = a @ b.T
    squares = np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1)
    return np.asarray(squares - 2 * products, dtype=np.float32)


class Fit(NamedTuple):
    """Affine map of an image to another one.

    Attributes:
        matrix: (2, 3), maps x and y in pixels to those of the other image.
        matches: Number of features that agree with it.
    """

    matrix: Matrix
    matches: int


def fit_map(own: Features, other: Features) -> Fit | None:
    """Fit the affine map that most features of two images support; None if there is no plausible one."""
    import cv2

    if min(len(own.points), len(other.points)) < 4:
        return None
    distances = squared_distances(own.descriptors, other.descriptors)
    nearest = distances.argmin(axis=1)
    rows = np.arange(len(nearest))
    best = distances[rows, nearest]
    # the next feature at another place: one place may have several orientations
    apart = np.square(other.points[nearest][:, None] - other.points).sum(axis=2) > (4 * other.px) ** 2
    second = np.where(apart, distances, 2.0).min(axis=1)
    good = np.flatnonzero((best < _MAX_DISTANCE**2) & (best < _MAX_RATIO**2 * second))
    # several features may have one nearest: keep the closest
    order = good[np.argsort(best[good])]
    _, first = np.unique(nearest[order], return_index=True)
    chosen = order[first]
    if len(chosen) < 4:
        return None
    source, target = own.points[chosen], other.points[nearest[chosen]]
    cv2.setRNGSeed(0)
    matrix, inside = cv2.estimateAffine2D(
        source, target, method=cv2.RANSAC, ransacReprojThreshold=_TOLERANCE_PX * other.px, maxIters=5000,
        confidence=0.999, refineIters=10,
    )  # fmt: skip
    if matrix is None or not _plausible(matrix[:, :2] * own.px / other.px):
        return None
    # features at one place count once
    places = np.unique(np.rint(source[inside.ravel() > 0] / (2 * own.px)), axis=0)
    return Fit(np.asarray(matrix, dtype=np.float64), len(places))


def _plausible(linear: Matrix) -> bool:
    large, small = np.linalg.svd(linear, compute_uv=False)
    return bool(
        small > 0 and large / small < _MAX_ASPECT and 1 / _MAX_SCALE**2 < large * small < _MAX_SCALE**2
    )


def footprint(matrix: Matrix, size: Sequence[int], other_size: Sequence[int]) -> tuple[float, float]:
    """Return the shares of an image (h, w) and of another one that show the same, under a map."""
    import cv2

    def corners(h: int, w: int) -> NDArray[np.float32]:
        return np.array([[0, 0], [w, 0], [w, h], [0, h]], np.float32) - 0.5

    mapped = (corners(*size) @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
    area, _ = cv2.intersectConvexConvex(mapped, corners(*other_size))
    determinant = abs(float(np.linalg.det(matrix[:, :2])))
    return area / determinant / (size[0] * size[1]), area / (other_size[0] * other_size[1])
