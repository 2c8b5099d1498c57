"""Estimate the near-infrared image of colour photographs, to train `scene` on more places.

    python recipes/pseudo_nir.py

NIR from colour is much better determined than colour from NIR: leaves are bright, clear sky is dark. A small
network learns it from the real training pairs (`recipes/pseudo-nir.yaml`), and is applied to all images below
data/photographs; the results go to data/pseudo_nir/images, under the same names.
"""

from pathlib import Path

import numpy as np
import rasterio

import nircolor
from nircolor.training import export, train

DATA = Path("data")
OUTPUT = DATA / "pseudo_nir"
RECIPE = Path(__file__).with_name("pseudo-nir.yaml")


def main() -> None:
    """Write the targets, train, and apply the network."""
    write_targets(DATA / "vcip2020" / "NIR", OUTPUT / "targets" / "vcip2020")
    write_targets(DATA / "epfl", OUTPUT / "targets" / "epfl")
    checkpoint = train(RECIPE, resume=True)
    model = OUTPUT / "pseudo-nir.onnx"
    export(checkpoint, model, overwrite=True)
    # the network's three channels are nearly equal; saturation 0 makes them equal
    nircolor.colorize(
        DATA / "photographs",
        OUTPUT / "images",
        model=model,
        recursive=True,
        bands_nm=(620, 550, 460),
        output_format="png",
        saturation=0,
        overwrite=True,
    )


def write_targets(folder: Path, output: Path) -> None:
    """Copy the NIR images of a folder as colour images of three equal channels."""
    for path in sorted(folder.rglob("*_nir.png")):
        target = output / path.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        with rasterio.open(path) as file:
            band, profile = file.read(1), file.profile
        profile = {key: profile[key] for key in ("driver", "width", "height", "dtype")}
        with rasterio.open(target, "w", count=3, **profile) as file:
            file.write(np.stack([band] * 3))


if __name__ == "__main__":
    main()
