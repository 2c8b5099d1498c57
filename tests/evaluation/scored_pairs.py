"""Small pairs on disk, and contestants whose images are known."""

import numpy as np

from nircolor.evaluation.contestants import Contestant
from nircolor.modelfile import Band
from nircolor.pairs import Pair, read_pair
from tests.imagery.imagery_samples import save

RNG = np.random.default_rng(0)
SIZE = (24, 30)


def silent(_what, _done, _total):
    pass


def bands(*centres):
    return tuple(Band(center_nm=nm, fwhm_nm=20, tolerance_nm=15) for nm in centres)


def made_pair(folder, name, rgb=None, mask=None, group=None):
    """A pair whose colour is not its NIR's."""
    nir = RNG.integers(0, 255, (1, *SIZE), "uint8")
    rgb = RNG.integers(0, 255, (3, *SIZE), "uint8") if rgb is None else rgb
    paths = [save(folder / f"{name}_{side}.png", a, "PNG") for side, a in (("nir", nir), ("rgb", rgb))]
    if mask is not None:
        mask = save(folder / f"{name}_mask.png", 255 * mask[None].astype("uint8"), "PNG")
    return Pair(name, *paths, mask, group)


def gray(label="gray", value=0.5, **fields):
    return Contestant(label, "folder", label, lambda *_: np.full((3, *SIZE), value), **fields)


def truth_but(label, error, kind="folder"):
    def predict(pair, _nir, _valid):
        return np.clip(read_pair(pair)[1] + error, 0, 1)

    return Contestant(label, kind, label, predict)


def many_bands(folder, name):
    """A file of NIR bands from which colour follows linearly, and only from all three."""
    nir = RNG.integers(0, 10000, (3, *SIZE), "uint16")
    rgb = np.tensordot([[0.6, 0.2, 0.1], [0.1, 0.1, 0.7], [0.3, 0.5, 0.1]], nir, 1).round().astype("uint16")

    def tell(dataset):
        for i, nm in enumerate((665, 560, 490, 783, 842, 945), start=1):
            dataset.update_tags(i, ns="IMAGERY", CENTRAL_WAVELENGTH_UM=f"{nm / 1000}")

    path = save(folder / f"{name}.tif", np.concatenate([rgb, nir]), "GTiff", setup=tell)
    return Pair(name, path, path, rgb_nm=(665, 560, 490), nir_scale=10000, rgb_scale=10000)
