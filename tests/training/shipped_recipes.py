"""The recipes that ship, how small their networks can be made, and images to train them on."""

from pathlib import Path

import numpy as np
import rasterio

REPOSITORY = Path(__file__).parents[2]
RECIPES = sorted((REPOSITORY / "recipes").glob("*.yaml"))

# constructor arguments that make each network tiny
TINY = {
    "scene": {"context_width": 4, "widths": [4, 6], "context_px": 32},
    "convnext_unet": {"widths": [4, 6]},
    "unet": {"width": 4},
    "structure_aware": {"width": 4},
    "sshape": {"width": 4},
    "nirgnn": {"width": 6, "rank": 2},
    "cnn": {"width": 6},
}
ARCHITECTURE_OF = {
    "SceneTask": "scene",
    "StructureAwareTask": "structure_aware",
    "SShapeTask": "sshape",
    "ContentTask": "unet",
    "LogErrorTask": "convnext_unet",
    "SquaredErrorTask": "nirgnn",
}


# Required fields of a card.
CARD = {
    "name": "tiny",
    "summary": "for tests",
    "bands": [{"center_nm": nm, "fwhm_nm": 10, "tolerance_nm": 15} for nm in (780, 850, 940)],
    "encoding": "gamma",
    "licence": {"weights": "as you like", "training_data": "none"},
}


def write_image(
    path: Path, bands: np.ndarray, wavelengths_nm: tuple[float, ...] = (), scale: float | None = None
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    driver = {".jpg": "JPEG", ".png": "PNG", ".tif": "GTiff"}[path.suffix]
    profile = {"driver": driver, "count": len(bands), "dtype": bands.dtype}
    with rasterio.open(path, "w", height=bands.shape[1], width=bands.shape[2], **profile) as file:
        file.write(bands)
        for index, nm in enumerate(wavelengths_nm, 1):
            file.update_tags(index, ns="IMAGERY", CENTRAL_WAVELENGTH_UM=nm / 1000)
        if scale is not None:
            file.scales = (scale,) * len(bands)
