"""A small camera without noise, for exact comparisons."""

import math

from nircolor.simulation import Camera, fx10_nm


def small_camera(**settings) -> Camera:
    """Return an FX10 with 112 bands, 20 pixels per line and no noise; ``settings`` replace any of these."""
    defaults = {
        "wavelengths_nm": fx10_nm(112),
        "samples": 20,
        "read_noise_counts": 0,
        "electrons_per_count": math.inf,
    }
    return Camera(**defaults | settings)
