"""TIFF on the way out: creation options, and the check that a finished file is whole."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nircolor.errors import NircolorError
from nircolor.imagery.gdal import open_dataset

if TYPE_CHECKING:
    from nircolor.imagery.raster import Raster


def tiff_profile(raster: "Raster", bands: int, dtype: np.dtype[Any], *, final: bool) -> dict[str, Any]:
    """rasterio's creation profile for an RGB or RGBA TIFF with the size of `raster`.

    `final` files are tiled and compressed; the others are plain strips,
    from which PNG, JPEG and GeoTIFF with overviews are copied.
    """
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "width": raster.width,
        "height": raster.height,
        "count": bands,
        "dtype": dtype.name,
        "photometric": "RGB",
        "interleave": "pixel",
        "bigtiff": "IF_SAFER",
    }
    if bands == 4:
        profile["alpha"] = "NON-PREMULTIPLIED"
    if not final:
        return profile | {"blockysize": 16}
    profile |= {"compress": "deflate", "predictor": 2, "num_threads": "ALL_CPUS"}
    side = min(raster.width, raster.height)
    if side >= 256:  # smaller ones stay in strips: a tile would be mostly padding
        tile = 512 if side >= 1024 else 256
        profile |= {"tiled": True, "blockxsize": tile, "blockysize": tile}
    return profile


def check_whole(path: Path, shown: Path) -> None:
    """Raise `NircolorError` if a block of the TIFF, overviews included, is missing or lies beyond its end.

    GDAL writes compressed blocks late, and a full disk then goes unreported. The error names `shown`.
    """
    with open_dataset(path, driver="GTiff") as dataset:
        whole = _has_all_blocks(dataset, path)
        levels = len(dataset.overviews(1))
    for level in range(levels):
        with open_dataset(path, driver="GTiff", overview_level=level) as overview:
            whole = whole and _has_all_blocks(overview, path)
    if not whole:
        raise NircolorError(f"{shown}: could not be written in full (is the disk full?)")


def _has_all_blocks(dataset: Any, path: Path) -> bool:
    length = path.stat().st_size
    rows, cols = dataset.block_shapes[0]
    bands = dataset.indexes if dataset.profile.get("interleave") == "band" else [1]
    for band in bands:
        for y in range(-(-dataset.height // rows)):
            for x in range(-(-dataset.width // cols)):
                start = dataset.get_tag_item(f"BLOCK_OFFSET_{x}_{y}", "TIFF", band)
                size = dataset.get_tag_item(f"BLOCK_SIZE_{x}_{y}", "TIFF", band)
                if start is None or size is None or int(start) + int(size) > length:
                    return False
    return True
