"""Structure of an image that does not depend on its brightness, and matching of blocks of it.

The direction of a gradient, doubled so that opposite gradients are equal, agrees between near-infrared and
colour where intensities do not, or are reversed. Two images match where these directions do, which is the
measure of Haber and Modersitzki, "Intensity gradient based registration and fusion of multi-modal images",
MICCAI 2006.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from nircolor.arrays import Floats, Mask

# structure of an image: complex (h, w), absolute values up to 1, directions doubled
Structure = NDArray[np.complex64]
Points = NDArray[np.float64]

# gradients per pixel (range 1) below this are noise or rounding
_NOISE = 0.01
# mean absolute structure of a block below which it counts as textureless
_MIN_TEXTURE = 0.04
# correlation of a match, and its distance from the best one elsewhere
_MIN_PEAK, _MIN_LEAD = 0.25, 0.04
# matches closer than this are the same peak
_NEAR_PX = 3
# smallest bend of the peak: below, the block shows one straight edge, along which any shift fits
_MIN_BEND = 0.004


def equalized(gray: Floats, valid: Mask) -> Floats:
    """Stretch an image (h, w) to [0, 1] by percentiles of its valid pixels; a flat one becomes zero."""
    if not valid.any():
        return np.zeros_like(gray)
    low, high = np.percentile(gray[valid], (0.5, 99.5))
    if high - low < 0.01:
        return np.zeros_like(gray)
    return np.where(valid, np.clip((gray - low) / (high - low), 0, 1), 0).astype(np.float32)


def structure_of(gray: Floats, valid: Mask, sigma: float = 1.0) -> Structure:
    """Return the directions of the gradients of an image (h, w) from `equalized`, weighted by their strength.

    Args:
        gray: The image.
        valid: (h, w). Invalid pixels, and those beside them, have no structure.
        sigma: Scale of the gradients and of the blur of the result, in pixels.
    """
    smooth = cv2.GaussianBlur(gray, (0, 0), sigma)
    across = cv2.Scharr(smooth, cv2.CV_32F, 1, 0, scale=1 / 32)
    down = cv2.Scharr(smooth, cv2.CV_32F, 0, 1, scale=1 / 32)
    reach = int(np.ceil(2 * sigma)) + 1
    inside = cv2.erode(
        valid.astype(np.uint8),
        np.ones((2 * reach + 1, 2 * reach + 1), np.uint8),
        borderType=cv2.BORDER_CONSTANT,
        borderValue=0,
    )
    energy = (across**2 + down**2) * inside
    around = cv2.GaussianBlur(energy, (0, 0), 8 * sigma)
    weight = inside / (energy + around + (_NOISE / sigma) ** 2)
    parts = [(across**2 - down**2) * weight, 2 * across * down * weight]
    real, imaginary = (cv2.GaussianBlur(part, (0, 0), sigma) for part in parts)
    return (real + 1j * imaginary).astype(np.complex64)


class Matches(NamedTuple):
    """Matches of n blocks.

    Attributes:
        centres: (n, 2), x and y of the blocks.
        offsets: (n, 2), displacement at which each block fits best.
        textured: (n,), whether there is enough structure in both images to compare.
        reliable: (n,), whether one displacement fits clearly better than all others.
    """

    centres: Points
    offsets: Points
    textured: Mask
    reliable: Mask


def grid_of(shape: tuple[int, ...], step: int, half: int, *, staggered: bool = False) -> NDArray[np.int64]:
    """Return the centres (x, y) of blocks of ``2 half + 1`` pixels in an image, (n, 2)."""
    start = half + (step // 2 if staggered else 0)
    axes = [np.arange(start, max(start + 1, side - half), step) for side in shape[:2]]
    y, x = np.meshgrid(*axes, indexing="ij")
    return np.stack([x.ravel(), y.ravel()], 1)


def match_blocks(
    fixed: Structure, moving: Structure, centres: NDArray[np.int64], half: int, search: int
) -> Matches:
    """Find for each block of one image the displacement at which it fits another image of the same size.

    Args:
        fixed: Image whose blocks are searched.
        moving: Image that they are searched in.
        centres: Centres of the blocks, (n, 2).
        half: Half of a block's side, in pixels.
        search: Largest displacement.
    """
    pad = half + search
    planes = [
        np.dstack([np.pad(part, pad) for part in (image.real, image.imag)]).astype(np.float32)
        for image in (fixed, moving)
    ]
    count = len(centres)
    offsets, textured, reliable = np.zeros((count, 2)), np.zeros(count, bool), np.zeros(count, bool)
    window = (2 * half + 1, 2 * half + 1)
    # of the block around each pixel
    textures = [cv2.blur(np.abs(plane).sum(2), window) for plane in planes]
    energies = [
        cv2.boxFilter((plane**2).sum(2), -1, window, normalize=False, borderType=cv2.BORDER_CONSTANT)
        for plane in planes
    ]
    for index, (x, y) in enumerate(centres + pad):
        if min(textures[0][y, x], textures[1][y, x]) < _MIN_TEXTURE:
            continue
        textured[index] = True
        scores = cv2.matchTemplate(
            planes[1][y - pad : y + pad + 1, x - pad : x + pad + 1],
            planes[0][y - half : y + half + 1, x - half : x + half + 1],
            cv2.TM_CCORR,
        )
        near = energies[1][y - search : y + search + 1, x - search : x + search + 1]
        # parts with little structure would correlate by chance
        scores = scores / np.sqrt(np.maximum(near, 0.5 * energies[1][y, x]) * energies[0][y, x])
        found = _peak(scores)
        if found is not None:
            reliable[index] = True
            offsets[index] = found[0] - search, found[1] - search
    return Matches(centres.astype(np.float64), offsets, textured, reliable)


def _peak(scores: Floats) -> tuple[float, float] | None:
    """Return the position (x, y) of a clear peak, to a fraction of a pixel; None if there is none."""
    y, x = np.unravel_index(int(scores.argmax()), scores.shape)
    best = float(scores[y, x])
    if best < _MIN_PEAK or not (0 < y < scores.shape[0] - 1 and 0 < x < scores.shape[1] - 1):
        return None
    others = scores.copy()
    others[max(0, y - _NEAR_PX) : y + _NEAR_PX + 1, max(0, x - _NEAR_PX) : x + _NEAR_PX + 1] = -1
    if best - float(others.max()) < _MIN_LEAD:
        return None
    near = scores[y - 1 : y + 2, x - 1 : x + 2].astype(np.float64)
    slope = np.array([near[1, 2] - near[1, 0], near[2, 1] - near[0, 1]]) / 2
    mixed = (near[2, 2] - near[2, 0] - near[0, 2] + near[0, 0]) / 4
    bend = np.array(
        [
            [near[1, 2] - 2 * near[1, 1] + near[1, 0], mixed],
            [mixed, near[2, 1] - 2 * near[1, 1] + near[0, 1]],
        ]
    )
    if float(np.linalg.eigvalsh(-bend)[0]) < _MIN_BEND:
        return None
    shift = np.clip(-np.linalg.solve(bend, slope), -1, 1)
    return float(x + shift[0]), float(y + shift[1])
