"""Small images on disk for the tests of pairs."""

from pathlib import Path

import numpy as np

from tests.imagery.imagery_samples import save

DRIVERS = {".png": "PNG", ".jpg": "JPEG", ".tif": "GTiff"}
RNG = np.random.default_rng(0)


def noise(*shape: int, dtype: str = "uint8") -> np.ndarray:
    """Return random values over the whole range of the type."""
    return RNG.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def write(
    path: Path,
    bands: np.ndarray,
    wavelengths_nm: tuple[float, ...] = (),
    *,
    scale: float | None = None,
    offset: float = 0.0,
) -> Path:
    """Write an image (bands, h, w) in the format of its extension, with metadata as GDAL stores it."""

    def set_metadata(dataset):
        if scale is not None:
            dataset.scales, dataset.offsets = (scale,) * len(bands), (offset,) * len(bands)
        for i, nm in enumerate(wavelengths_nm, start=1):
            dataset.update_tags(i, ns="IMAGERY", CENTRAL_WAVELENGTH_UM=f"{nm / 1000}")

    path.parent.mkdir(parents=True, exist_ok=True)
    return save(path, bands, DRIVERS[path.suffix], setup=set_metadata)


def touch(root: Path, *names: str) -> None:
    """Create empty files."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
