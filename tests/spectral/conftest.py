"""Small simulated captures with the truth known."""

import math
from pathlib import Path

import numpy as np
import pytest

from nircolor.spectral.line_scanner import Camera, fx10_nm
from nircolor.spectral.simulation import write_capture


@pytest.fixture
def camera():
    """Makes FX10s of few pixels and bands, without noise."""

    def make(**settings) -> Camera:
        defaults = {
            "wavelengths_nm": fx10_nm(112),
            "samples": 20,
            "read_noise_counts": 0,
            "electrons_per_count": math.inf,
        }
        return Camera(**defaults | settings)

    return make


@pytest.fixture
def record(camera):
    """Writes a capture of reflectance (bands, lines, samples), or of patches of noise in colour."""

    def write(folder: Path, reflectance: np.ndarray | None = None, name: str = "scan_1", **settings) -> Path:
        sensor = camera(**settings)
        if reflectance is None:
            coarse = np.random.default_rng(0).uniform(0.05, 0.9, (4, 3, 5))
            at = np.linspace(0, 3, sensor.wavelengths_nm.size)
            smooth = np.stack(
                [coarse[int(i)] * (1 - i % 1) + coarse[min(3, int(i) + 1)] * (i % 1) for i in at]
            )
            reflectance = smooth.repeat(4, 1).repeat(4, 2)
        return write_capture(folder, name, reflectance.astype(np.float32), sensor, np.random.default_rng(0))

    return write
