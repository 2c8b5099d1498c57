"""Small pairs on disk, and methods with known results."""

import numpy as np

from nircolor.evaluation.methods import MethodRun
from nircolor.modelfile import Band
from nircolor.pairs import Pair
from tests.imagery.imagery_samples import save

RNG = np.random.default_rng(0)
SIZE = (24, 30)


def bands(*centres):
    return tuple(Band(center_nm=nm, fwhm_nm=20, tolerance_nm=15) for nm in centres)


def made_pair(folder, name, rgb=None, mask=None, group=None):
    """Write a pair whose colour is independent of its NIR."""
    nir = RNG.integers(0, 255, (1, *SIZE), "uint8")
    rgb = RNG.integers(0, 255, (3, *SIZE), "uint8") if rgb is None else rgb
    paths = [save(folder / f"{name}_{side}.png", a, "PNG") for side, a in (("nir", nir), ("rgb", rgb))]
    if mask is not None:
        mask = save(folder / f"{name}_mask.png", 255 * mask[None].astype("uint8"), "PNG")
    return Pair(name, *paths, mask, group)


def gray(label="gray", value=0.5, **fields):
    return MethodRun(label, "folder", label, lambda *_: np.full((3, *SIZE), value), **fields)


def truth_plus(label, error, kind="folder"):
    def predict(_pair, images):
        return np.clip(images.rgb + error, 0, 1)

    return MethodRun(label, kind, label, predict)


def many_bands(folder, name):
    """Write a file whose colour is a linear function of all three NIR bands."""
    nir = RNG.integers(0, 10000, (3, *SIZE), "uint16")
    rgb = np.tensordot([[0.6, 0.2, 0.1], [0.1, 0.1, 0.7], [0.3, 0.5, 0.1]], nir, 1).round().astype("uint16")

    def set_wavelengths(dataset):
        for i, nm in enumerate((665, 560, 490, 783, 842, 945), start=1):
            dataset.update_tags(i, ns="IMAGERY", CENTRAL_WAVELENGTH_UM=f"{nm / 1000}")

    path = save(folder / f"{name}.tif", np.concatenate([rgb, nir]), "GTiff", setup=set_wavelengths)
    return Pair(name, path, path, rgb_nm=(665, 560, 490), nir_scale=10000, rgb_scale=10000)
