"""Speed and memory of `nircolor colorize`, compared with the machine's limits and the network in PyTorch.

    python benchmarks/speed.py -o benchmarks/results/speed

Writes speed.md and speed.json. Needs the `train` extra for PyTorch; takes a few minutes. Times are medians of
several runs, peak memory is the maximum of all runs.
"""

import argparse
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.transform import from_origin

from nircolor.inference import Colorizer

RUNS = 5
LARGE_RUNS = 3
TILE_PX = 1024
# pip compiles the modules of an installation; without this, a checkout would be compiled by every process
COMPILED = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def main() -> None:
    """Measure, print and write all results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the results")
    output: Path = parser.parse_args().output
    with tempfile.TemporaryDirectory() as folder:
        results = {
            "command": shlex.join(["python", *sys.argv]),
            "machine": machine(),
            "versions": {p: version(p) for p in ("nircolor", "numpy", "onnxruntime", "rasterio", "torch")},
            "start": {"help_s": median(lambda: run("--help"))},
            "cold": cold(Path(folder)),
            "network": network(),
            "large": [large(Path(folder), side) for side in (2048, 4096, 8192)],
        }
    output.mkdir(parents=True, exist_ok=True)
    (output / "speed.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    (output / "speed.md").write_text(report(results), encoding="utf-8")
    print(report(results))


def machine() -> str:
    """Return processor and cores, as Linux reports them."""
    cpus = Path("/proc/cpuinfo")
    names = [line.split(":", 1)[1].strip() for line in cpus.read_text().splitlines() if "model name" in line]
    return f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores"


def median(call: Callable[[], object], runs: int = RUNS) -> float:
    """Time a call several times and return the median in seconds."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return round(statistics.median(times), 4)


def run(*arguments: str) -> None:
    """Run the command `nircolor` in a new process."""
    command = [sys.executable, "-m", "nircolor", *arguments]
    subprocess.run(command, check=True, capture_output=True, env=COMPILED)


def measured_run(*arguments: str) -> tuple[float, float]:
    """Run the command `nircolor` in a new process; return seconds and peak memory in MB (Linux only)."""
    # the child reports its own peak; that of getrusage includes the peak of this process
    code = (
        "import sys; sys.argv = ['nircolor', *sys.argv[1:]]\n"
        "from nircolor.__main__ import main\n"
        "try: main()\n"
        "finally: print(next(line.split()[1] for line in open('/proc/self/status') if 'VmHWM' in line))"
    )
    start = time.perf_counter()
    ended = subprocess.run(
        [sys.executable, "-c", code, *arguments], check=True, stdout=subprocess.PIPE, text=True, env=COMPILED
    )
    return time.perf_counter() - start, int(ended.stdout.split()[-1]) / 1024


def page(title: str, results: dict[str, Any], rows: dict[str, str]) -> str:
    """Format a benchmark as Markdown: command, machine, versions and a table of figures."""
    versions = ", ".join(f"{name} {number}" for name, number in results["versions"].items())
    lines = [
        f"# {title}",
        "",
        f"`{results['command']}` on {results['machine']}; {versions}",
        "",
        "| what | figure |",
        "|---|---|",
        *(f"| {what} | {figure} |" for what, figure in rows.items()),
    ]
    return "\n".join(lines) + "\n"


def image(path: Path, height: int, width: int, dtype: str) -> Path:
    """Write smooth fields with noise, which compress about as well as a photograph."""
    rng = np.random.default_rng(0)
    coarse = rng.random((height // 64 + 2, width // 64 + 2), np.float32)
    top = np.iinfo(dtype).max
    tiff: dict[str, Any] = {}
    if path.suffix == ".tif":
        transform = from_origin(500_000, 5_000_000, 10, 10)
        tiff = {"crs": "EPSG:32632", "transform": transform, "tiled": True, "compress": "deflate"}
    driver = {".tif": "GTiff", ".png": "PNG"}[path.suffix]
    with rasterio.open(
        path, "w", driver=driver, height=height, width=width, count=1, dtype=dtype, **tiff
    ) as file:
        for row in range(0, height, 64):
            rows = min(64, height - row)
            block = np.kron(coarse[row // 64 : row // 64 + 1], np.ones((64, 64), np.float32))[:rows, :width]
            block = 0.8 * block + 0.1 * rng.random(block.shape, np.float32)
            window = rasterio.windows.Window(0, row, width, rows)
            file.write((block * top).astype(dtype)[None], window=window)
    return path


def cold(folder: Path) -> dict[str, float]:
    """Time one megapixel in a new process, from its start until the file is written."""
    source, target = image(folder / "cold.png", 1000, 1000, "uint8"), folder / "cold_out.png"
    return {"colorize_1mp_s": median(lambda: run("colorize", str(source), "-o", str(target), "--overwrite"))}


def in_turns(*calls: Callable[[], object]) -> list[float]:
    """Time calls in turns, as the speed of a shared machine varies within minutes: median seconds."""
    for call in calls:
        call()
    rounds = [[median(call, 1) for call in calls] for _ in range(2 * RUNS)]
    return [statistics.median(column) for column in zip(*rounds, strict=True)]


def network() -> dict[str, float]:
    """Time one tile in ONNX Runtime, compared with a matrix product, then with PyTorch."""
    colorizer = Colorizer("scene", tile_px=TILE_PX)
    card = colorizer.card
    assert card.context is not None
    side = card.context.size_px
    rng = np.random.default_rng(0)
    nir = rng.random((1, TILE_PX, TILE_PX), np.float32)
    context = rng.random((5, side, side), np.float32)
    a, b = (rng.random((2048, 2048), np.float32) for _ in range(2))

    def in_onnxruntime() -> None:
        colorizer._engine.run(nir, context)

    # before PyTorch is imported: its threads keep spinning for a while after each call
    ours, product = in_turns(in_onnxruntime, lambda: a @ b)

    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from nircolor.models import build

    twin = build(card.architecture, card.arguments).eval()
    inputs = torch.from_numpy(nir[None]), torch.from_numpy(context[None])

    def in_torch() -> None:
        with torch.no_grad():
            twin(*inputs)

    beside_torch, torchs = in_turns(in_onnxruntime, in_torch)
    with FlopCounterMode(display=False) as counter:
        in_torch()
    multiply_adds = counter.get_total_flops() // 2
    rate, product_rate = multiply_adds / ours, 2048**3 / product
    return {
        "tile_px": TILE_PX,
        "multiply_adds_per_px": round(multiply_adds / TILE_PX**2),
        "onnxruntime_s": ours,
        "onnxruntime_beside_pytorch_s": beside_torch,
        "pytorch_s": torchs,
        "pytorch_over_onnxruntime": round(torchs / beside_torch, 2),
        "megapixels_per_s": round(TILE_PX**2 / 1e6 / ours, 2),
        "matrix_product_gmac_per_s": round(product_rate / 1e9, 1),
        "network_gmac_per_s": round(rate / 1e9, 1),
        "share_of_matrix_product": round(rate / product_rate, 3),
    }


def large(folder: Path, side: int) -> dict[str, float]:
    """Time a 16-bit GeoTIFF in a new process: seconds and peak memory (as Linux reports it)."""
    source, target = image(folder / f"{side}.tif", side, side, "uint16"), folder / f"{side}_out.tif"
    runs = [
        measured_run("colorize", str(source), "-o", str(target), "--overwrite") for _ in range(LARGE_RUNS)
    ]
    times, peaks = zip(*runs, strict=True)
    target.unlink()
    source.unlink()
    seconds, megapixels = statistics.median(times), side**2 / 1e6
    return {
        "side_px": side,
        "seconds": round(seconds, 1),
        "megapixels_per_s": round(megapixels / seconds, 2),
        "peak_mb": round(max(peaks)),
    }


def report(results: dict[str, Any]) -> str:
    """Format the results as Markdown."""
    n = results["network"]
    lines = [
        "# Speed and memory",
        "",
        f"`{results['command']}` on {results['machine']}; "
        + ", ".join(f"{name} {number}" for name, number in results["versions"].items()),
        "",
        "| what | figure |",
        "|---|---|",
        f"| `nircolor --help` | {results['start']['help_s']:.2f} s |",
        f"| `nircolor colorize` of one 1-megapixel PNG, cold | {results['cold']['colorize_1mp_s']:.2f} s |",
        f"| network on a tile of {n['tile_px']}² px | {n['megapixels_per_s']} megapixels/s |",
        f"| multiply-adds a pixel, the view of the whole included | {n['multiply_adds_per_px']:,.0f} |",
        f"| its rate / the machine's float32 matrix product | {n['network_gmac_per_s']} / "
        f"{n['matrix_product_gmac_per_s']} G multiply-adds/s = {n['share_of_matrix_product']:.0%} |",
        f"| PyTorch's time over ONNX Runtime's, same network and tile | {n['pytorch_over_onnxruntime']} |",
    ]
    lines += [
        f"| {row['side_px']}² 16-bit GeoTIFF | {row['seconds']} s, {row['megapixels_per_s']} megapixels/s, "
        f"peak {row['peak_mb']} MB |"
        for row in results["large"]
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
