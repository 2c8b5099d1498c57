"""Measure `nircolor colorize --cluster` on this machine: one worker against two, and the overhead per file.

    python benchmarks/cluster.py -o benchmarks/results/cluster

Writes cluster.md and cluster.json. Run it on an idle machine of at least two cores; takes some minutes.
"""

import argparse
import json
import os
import shlex
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import ray
from speed import machine, page

from nircolor.imagery import encode_png
from nircolor.inference import Colorizer
from nircolor.inference.cluster import colorize_on_cluster, plan_tasks

SIDE_PX, TINY_PX = 640, 16
# files at the start that are not timed: workers load their model then
WARM_UP = 8


def main() -> None:
    """Make images, colorize them, and write what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the results")
    parser.add_argument("--model", default="scene", help="name of a shipped model of one band, or path")
    parser.add_argument("--files", type=int, default=60, help="number of images")
    parser.add_argument("--side", type=int, default=5000, help="of the large raster, in pixels")
    arguments = parser.parse_args()

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        files, tiny = (make_files(folder / str(px), px, arguments.files) for px in (SIDE_PX, TINY_PX))
        large = make_raster(folder / "large.tif", arguments.side)
        rates = {workers: files_per_s(files, arguments.model, workers) for workers in (1, 2)}
        raster_s = {workers: raster_seconds(large, arguments.model, workers) for workers in (1, 2)}
        tiny_s = 1 / files_per_s(tiny, arguments.model, 1)
        local_s = local_seconds(tiny, arguments.model)
    ray.shutdown()
    results: dict[str, Any] = {
        "command": shlex.join(["python", *sys.argv]),
        "machine": machine(),
        "versions": {package: version(package) for package in ("nircolor", "ray", "onnxruntime")},
        "model": arguments.model,
        "files": arguments.files,
        "side_px": SIDE_PX,
        "files_per_s": {str(workers): round(rate, 3) for workers, rate in rates.items()},
        "efficiency_files": round(rates[2] / (2 * rates[1]), 3),
        "raster_megapixels": round(arguments.side**2 / 1e6, 1),
        "raster_seconds": {str(workers): round(seconds, 1) for workers, seconds in raster_s.items()},
        "efficiency_raster": round(raster_s[1] / (2 * raster_s[2]), 3),
        "tiny_file_ms": {"cluster": round(tiny_s * 1000, 1), "local": round(local_s * 1000, 1)},
        "overhead_ms": round((tiny_s - local_s) * 1000, 1),
    }
    arguments.output.mkdir(parents=True, exist_ok=True)
    content = json.dumps(results, indent=2, ensure_ascii=False) + "\n"
    (arguments.output / "cluster.json").write_text(content, "utf-8")
    report = to_markdown(results)
    (arguments.output / "cluster.md").write_text(report, "utf-8")
    print(report)


def make_files(folder: Path, side_px: int, count: int) -> list[Path]:
    """Write smooth images of noise."""
    folder.mkdir()
    random = np.random.default_rng(0)
    paths = [folder / f"{number}.png" for number in range(count)]
    for path in paths:
        coarse = random.random((1, side_px // 8, side_px // 8), dtype=np.float32)
        path.write_bytes(encode_png(coarse.repeat(8, 1).repeat(8, 2)).data)
    return paths


def make_raster(path: Path, side_px: int) -> Path:
    """Write a large TIFF."""
    coarse = np.random.default_rng(0).integers(0, 256, (1, side_px // 8, side_px // 8), np.uint8)
    image = coarse.repeat(8, 1).repeat(8, 2)
    profile = {"width": image.shape[2], "height": image.shape[1], "count": 1, "dtype": "uint8"}
    with rasterio.open(path, "w", driver="GTiff", compress="deflate", tiled=True, **profile) as dataset:
        dataset.write(image)
    return path


def files_per_s(paths: list[Path], model: str, workers: int) -> float:
    """Return the rate at which files are finished once the workers have loaded their models."""
    with tempfile.TemporaryDirectory() as output:
        tasks = plan_tasks([str(path) for path in paths], f"{output}/")
        finished = []
        for outcome in colorize_on_cluster(tasks, output, model=model, workers=workers):
            assert outcome.status == "done", outcome
            finished.append(time.perf_counter())
    return (len(finished) - WARM_UP) / (finished[-1] - finished[WARM_UP - 1])


def raster_seconds(path: Path, model: str, workers: int) -> float:
    """Return the time of a large raster, without the start of the processes."""
    with tempfile.TemporaryDirectory() as output:
        tasks = plan_tasks([str(path)], f"{output}/")
        # tiles of a size that one worker would not take by itself: the work is the same
        (outcome,) = colorize_on_cluster(
            tasks, output, model=model, workers=workers, tile_px=512, split_px=1_000_000
        )
        assert outcome.status == "done", outcome
    return outcome.seconds


def local_seconds(paths: list[Path], model: str) -> float:
    """Return the time per file without a cluster, on one core as a worker."""
    colorizer = Colorizer(model, jobs=os.cpu_count() or 1)
    with tempfile.TemporaryDirectory() as output:
        for number, path in enumerate(paths):
            if number == WARM_UP:
                start = time.perf_counter()
            colorizer.colorize_file(path, Path(output, path.name))
        return (time.perf_counter() - start) / (len(paths) - WARM_UP)


def to_markdown(results: dict[str, Any]) -> str:
    """Write the results as a page."""
    rates, raster, tiny = results["files_per_s"], results["raster_seconds"], results["tiny_file_ms"]
    rows = {
        f"{results['files']} images of {SIDE_PX} × {SIDE_PX}": f"{rates['1']:.2f} files/s with one worker, "
        f"{rates['2']:.2f} with two: {results['efficiency_files']:.0%} efficient",
        f"one raster of {results['raster_megapixels']} megapixels": f"{raster['1']} s with one worker, "
        f"{raster['2']} s with two: {results['efficiency_raster']:.0%} efficient",
        f"a tiny file, {TINY_PX} × {TINY_PX}": f"{tiny['cluster']} ms with one worker, "
        f"{tiny['local']} ms without a cluster",
        "overhead per file": f"{results['overhead_ms']} ms",
    }
    return page("Cluster on one machine", results, rows)


if __name__ == "__main__":
    main()
