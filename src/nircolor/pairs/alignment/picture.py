"""Picture of a registration, to judge it by eye."""

import cv2
import numpy as np

from nircolor.arrays import Array, Floats, Mask
from nircolor.pairs.alignment.register import Registration
from nircolor.pairs.alignment.structure import equalized

_TILE_PX = 96
# residuals are drawn this much longer
_LONGER = 10
_GOOD, _FAIR, _BAD, _MASKED = (60, 200, 60), (240, 200, 40), (230, 50, 50), (120, 40, 120)


def residual_picture(found: Registration, nir: Floats, colour: Floats, mask: Mask) -> Array:
    """Draw NIR and registered colour in alternating squares, and beside them the displacements that remain.

    Args:
        found: The registration.
        nir: (h, w), at the size at which it was registered.
        colour: (H, W, 3), registered colour in [0, 1].
        mask: (H, W), pixels that are valid and fit.

    Returns:
        (h, 2 w, 3), 8 bits. Dots are green up to 1 px, yellow up to 2 px, else red; lines are displacements,
        10 times longer; masked parts are purple.
    """
    size = (found.frame.width, found.frame.height)
    gray = np.rint(255 * equalized(nir, np.ones(nir.shape, bool))).astype(np.uint8)
    left = np.dstack([gray] * 3)
    small = np.rint(255 * cv2.resize(colour, size, interpolation=cv2.INTER_AREA)).astype(np.uint8)
    y, x = np.mgrid[: size[1], : size[0]]
    squares = (x // _TILE_PX + y // _TILE_PX) % 2 == 1
    left[squares] = small[squares]
    right = np.dstack([gray // 2] * 3)
    hidden = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) == 0
    right[hidden] = right[hidden] // 2 + np.array(_MASKED, np.uint8) // 2
    known = found.matches
    for (cx, cy), (dx, dy) in zip(known.centres[known.reliable], known.offsets[known.reliable], strict=True):
        distance = float(np.hypot(dx, dy))
        ink = _GOOD if distance <= 1 else _FAIR if distance <= 2 else _BAD
        start, end = (round(cx), round(cy)), (round(cx + _LONGER * dx), round(cy + _LONGER * dy))
        cv2.line(right, start, end, ink, 1, cv2.LINE_AA)
        cv2.circle(right, start, 3, ink, -1, cv2.LINE_AA)
    return np.ascontiguousarray(np.concatenate([left, right], 1))
