"""Simulated hyperspectral captures with known reflectance, for tests and for trying the tools.

Still lifes of known materials are recorded by a model of SPECIM's FX10 line scanner and written in the
file layout of the vendor's software. On the command line::

    python -m nircolor.simulation -o captures/ --count 12

No other package imports this one.
"""

import os
from pathlib import Path

import numpy as np

from nircolor.simulation.camera import Camera, fx10_nm, write_capture
from nircolor.simulation.scene import MATERIALS, WAVELENGTHS_NM, StillLife, material_reflectance, still_life

__all__ = [
    "MATERIALS",
    "WAVELENGTHS_NM",
    "Camera",
    "StillLife",
    "fx10_nm",
    "material_reflectance",
    "simulate_captures",
    "still_life",
    "write_capture",
]


def simulate_captures(
    output: str | os.PathLike[str],
    *,
    count: int = 12,
    lines: int = 256,
    samples: int = 256,
    bands: int = 224,
    seed: int = 0,
) -> list[Path]:
    """Write simulated captures of random still lifes: ``OUTPUT/still_000/capture/still_000.hdr`` and so on.

    Args:
        output: Folder, created if needed. Existing files are replaced.
        count: Number of captures.
        lines, samples: Height and width of each in pixels.
        bands: 448, or 224, 112, 56, … by binning.
        seed: The same seed gives the same files.

    Returns:
        The headers.

    Raises:
        ValueError: The camera cannot have so many bands, or a size is not positive.
    """
    camera = Camera(fx10_nm(bands), samples)
    headers = []
    for number in range(count):
        rng = np.random.default_rng((seed, number))
        scene = still_life(rng, lines, samples, camera.wavelengths_nm)
        name = f"still_{number:03d}"
        headers.append(write_capture(Path(output) / name, name, scene.blocks(), camera, rng))
    return headers
