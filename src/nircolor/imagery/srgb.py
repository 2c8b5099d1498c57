"""The sRGB tone curve: from linear light to what images store (IEC 61966-2-1)."""

import numpy as np

from nircolor.arrays import Floats


def encode_srgb(linear: Floats) -> Floats:
    """Linear values, clipped to [0, 1], as an sRGB image stores them; float32, the same shape."""
    linear = np.clip(linear, 0, 1).astype(np.float32)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
