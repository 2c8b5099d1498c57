"""Time `nircolor colorize` on a Sentinel-2 tile: seconds, peak memory, and opening the output.

    python benchmarks/large_raster.py MODEL -o benchmarks/results/large_raster

Writes large_raster.md and large_raster.json. The tile is synthetic: it has the bands of the model's card,
16-bit reflectances times 10,000, and an empty edge without data. Takes minutes; `--side 3000` is faster.
"""

import argparse
import json
import shlex
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.transform import from_origin
from rasterio.windows import Window
from speed import machine, measured_run, page

from nircolor.inference import Colorizer
from nircolor.modelfile import Card

TILE_SIDE_PX = 10_980
REFLECTANCE_SCALE = 10_000
VIEW_PX = 1000
PLACE = {"crs": "EPSG:32632", "transform": from_origin(500_000, 5_000_000, 10, 10), "nodata": 0}


def main() -> None:
    """Write the tile, colorize it and check the output."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="name of a shipped model, or path of a model file")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the results")
    parser.add_argument("--side", type=int, default=TILE_SIDE_PX, help="of the tile, in pixels")
    arguments = parser.parse_args()

    card = Colorizer(arguments.model).card
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "tile.tif"), Path(folder, "colour.tif")
        write_tile(source, card, arguments.side)
        options = ("--model", arguments.model, "--scale", str(REFLECTANCE_SCALE))
        seconds, peak_mb = measured_run("colorize", str(source), "-o", str(target), *options)
        results = {
            "command": shlex.join(["python", *sys.argv]),
            "machine": machine(),
            "versions": {p: version(p) for p in ("nircolor", "numpy", "onnxruntime", "rasterio")}
            | {"GDAL": rasterio.__gdal_version__},
            "model": card.name,
            "bands_nm": [band.center_nm for band in card.bands],
            "side_px": arguments.side,
            "seconds": round(seconds, 1),
            "megapixels_per_s": round(arguments.side**2 / 1e6 / seconds, 2),
            "peak_mb": round(peak_mb),
            "output": check_output(target, arguments.side),
        }
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "large_raster.json").write_text(
        json.dumps(results, indent=2) + "\n", encoding="utf-8"
    )
    (arguments.output / "large_raster.md").write_text(report(results), encoding="utf-8")
    print(report(results))


def write_tile(path: Path, card: Card, side_px: int) -> None:
    """Write smooth fields with noise, which compress about as well as a real scene."""
    rng = np.random.default_rng(0)
    coarse = rng.random((len(card.bands), side_px // 64 + 1, side_px // 64 + 1), np.float32)
    size = {"height": side_px, "width": side_px, "count": len(card.bands), "dtype": "uint16"}
    with rasterio.open(path, "w", driver="GTiff", tiled=True, compress="deflate", **size, **PLACE) as file:
        for i, band in enumerate(card.bands, 1):
            file.update_tags(i, wavelength=band.center_nm, wavelength_units="nm")
        for row in range(0, side_px, 64):
            rows = min(64, side_px - row)
            fields = coarse[:, row // 64].repeat(64, axis=1)[:, None, :side_px]
            values = 0.05 + 0.4 * fields + 0.02 * rng.random((len(fields), rows, side_px), np.float32)
            values[:, :, : (side_px - row) // 8] = 0
            stored = (values * REFLECTANCE_SCALE).astype(np.uint16)
            file.write(stored, window=Window(0, row, side_px, rows))


def check_output(path: Path, side_px: int) -> dict[str, Any]:
    """Check that a GIS can open the output in place at once, and return its profile; else RuntimeError."""
    start = time.perf_counter()
    with rasterio.open(path) as file:
        file.read(out_shape=(3, VIEW_PX, VIEW_PX))
        view_s = time.perf_counter() - start
        found = {
            "size_px": [file.width, file.height],
            "crs": file.crs.to_string(),
            "in_place": file.transform == PLACE["transform"],
            "bands": [colour.name for colour in file.colorinterp],
            "dtype": file.dtypes[0],
            "nodata": file.nodata,
            "compression": file.compression.value,
            "tile_px": list(file.block_shapes[0]),
            "overviews": file.overviews(1),
        }
    expected = {
        "size_px": [side_px, side_px],
        "crs": PLACE["crs"],
        "in_place": True,
        "bands": ["red", "green", "blue"],
        "dtype": "uint16",
        "nodata": PLACE["nodata"],
        "compression": "DEFLATE",
        "tile_px": [512, 512],
    }
    if found | expected != found or not found["overviews"]:
        raise RuntimeError(f"expected an output with {expected} and overviews, got {found}")
    return {**found, "mb": round(path.stat().st_size / 1e6), "view_s": round(view_s, 3)}


def report(results: dict[str, Any]) -> str:
    """Format the results as Markdown."""
    output = results["output"]
    side = f"{results['side_px']:,}"
    bands = ", ".join(f"{nm:g}" for nm in results["bands_nm"])
    rows = {
        "input": f"{side} × {side} px, {bands} nm, 16-bit",
        "model": results["model"],
        "time": f"{results['seconds']} s, {results['megapixels_per_s']} megapixels/s",
        "peak memory": f"{results['peak_mb']:,} MB",
        "output": f"{' '.join(output['bands'])}, {output['dtype']}, {output['crs']}, {output['mb']} MB",
        "tiles, overviews": f"{output['tile_px'][0]} px, 1/{', 1/'.join(map(str, output['overviews']))}",
        f"open the output and draw all of it in {VIEW_PX:,}² px": f"{output['view_s']} s",
    }
    return page("A Sentinel-2 tile", results, rows)


if __name__ == "__main__":
    main()
