"""Synthetic scenes as two cameras see them: the same shapes, other and reversed intensities, a known warp."""

import numpy as np
import pytest

cv2 = pytest.importorskip("cv2", reason="needs the extra align")

WIDTH, HEIGHT = 360, 280
UNIT = np.hypot(WIDTH, HEIGHT) / 2


def scene(seed, width=WIDTH, height=HEIGHT):
    """NIR (h, w) and colour (h, w, 3), 8 bits, of random shapes whose brightness is not related."""
    rng = np.random.default_rng(seed)
    nir = np.full((height, width), 90, np.uint8)
    colour = np.full((height, width, 3), 140, np.uint8)
    for _ in range(260):
        centre = tuple(int(v) for v in rng.integers(0, (width, height)))
        axes = tuple(int(v) for v in rng.integers(4, 26, 2))
        angle, end = float(rng.uniform(0, 180)), int(rng.choice([200, 360]))
        bright = int(rng.integers(20, 235))
        tint = [int(np.clip(255 - bright + v, 0, 255)) for v in rng.integers(-60, 60, 3)]
        for image, ink in ((nir, bright), (colour, tint)):
            cv2.ellipse(image, centre, axes, angle, 0, end, ink, -1, cv2.LINE_AA)
    return nir, colour


def warped(image, degrees=0.0, zoom=1.0, shift=(0.0, 0.0), k1=0.0):
    """The image as another camera sees it, and where in the original each of its pixels lies (x, y)."""
    height, width = image.shape[:2]
    unit = np.hypot(width, height) / 2
    y, x = np.mgrid[:height, :width].astype(np.float64)
    u, v = (x - (width - 1) / 2) / unit, (y - (height - 1) / 2) / unit
    bent = 1 + k1 * (u**2 + v**2)
    u, v, a = u * bent, v * bent, np.deg2rad(degrees)
    x0 = zoom * (np.cos(a) * u - np.sin(a) * v) * unit + shift[0] * width + (width - 1) / 2
    y0 = zoom * (np.sin(a) * u + np.cos(a) * v) * unit + shift[1] * width + (height - 1) / 2
    maps = x0.astype(np.float32), y0.astype(np.float32)
    return cv2.remap(image, *maps, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT), maps


def save(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image if image.ndim == 2 else image[..., ::-1])
    return path
