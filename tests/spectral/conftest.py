"""Simulated captures for the tests of this package."""

from pathlib import Path

import numpy as np
import pytest

from nircolor.simulation import write_capture
from tests.simulation.small_camera import small_camera


@pytest.fixture
def record():
    """Return a function that writes a capture of a reflectance, (bands, lines, samples)."""

    def write(folder: Path, reflectance: np.ndarray | None = None, name: str = "scan_1", **settings) -> Path:
        camera = small_camera(**settings)
        if reflectance is None:
            coarse = np.random.default_rng(0).uniform(0.05, 0.9, (4, 3, 5))
            at = np.linspace(0, 3, camera.wavelengths_nm.size)
            smooth = np.stack(
                [coarse[int(i)] * (1 - i % 1) + coarse[min(3, int(i) + 1)] * (i % 1) for i in at]
            )
            reflectance = smooth.repeat(4, 1).repeat(4, 2)
        return write_capture(folder, name, reflectance.astype(np.float32), camera, np.random.default_rng(0))

    return write
