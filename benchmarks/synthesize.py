"""Time `nircolor synthesize` on a full FX10 capture: throughput compared with plain reading, peak memory.

    python benchmarks/synthesize.py -o benchmarks/results/synthesize

Writes synthesize.md and synthesize.json. The capture is synthetic, with 448 bands and 4,000 lines of 1,024
pixels: 3.7 GB on disk while it runs; `--lines 500` is faster. Plain reading reads the same file in pieces of
8 MB. Both are medians of several runs in turns, with the file in the system's cache as far as memory allows.
"""

import argparse
import json
import shlex
import shutil
import statistics
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from speed import machine, measured_run, page

BANDS, SAMPLES, LINES = 448, 1024, 4000
REFERENCE_LINES, BLOCK_LINES = 100, 50
RUNS = 3
PIECE_BYTES = 8 << 20


def main() -> None:
    """Write the capture, measure and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the results")
    parser.add_argument("--lines", type=int, default=LINES, help="lines of the capture")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        raw = write_capture(folder, arguments.lines)
        reading, making, peaks = [], [], []
        for _ in range(RUNS):
            reading.append(plain_reading_s(raw))
            seconds, peak_mb = measured_run("synthesize", str(folder / "scan"), "-o", str(folder / "set"))
            making.append(seconds)
            peaks.append(peak_mb)
            shutil.rmtree(folder / "set")
        plain_s, seconds = statistics.median(reading), statistics.median(making)
        results = {
            "command": shlex.join(["python", *sys.argv]),
            "machine": machine(),
            "versions": {p: version(p) for p in ("nircolor", "numpy", "colour-science", "rasterio")},
            "bands": BANDS,
            "samples": SAMPLES,
            "lines": arguments.lines,
            "gb": round(raw.stat().st_size / 1e9, 2),
            "plain_reading_s": round(plain_s, 2),
            "seconds": round(seconds, 1),
            "mb_per_s": round(raw.stat().st_size / 1e6 / seconds),
            "share_of_plain_reading": round(plain_s / seconds, 3),
            "peak_mb": round(max(peaks)),
        }
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "synthesize.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    (arguments.output / "synthesize.md").write_text(report(results), encoding="utf-8")
    print(report(results))


def write_capture(folder: Path, lines: int) -> Path:
    """Write counts of smooth fields with noise, one block of lines repeated; returns the data file."""
    rng = np.random.default_rng(0)
    white = 600 + 2400 * np.hanning(BANDS + 2)[1:-1, None] * np.ones(SAMPLES)
    fields = rng.random((1, SAMPLES // 32)).repeat(32, 1)
    reflectance = 0.1 + 0.7 * fields * np.linspace(0.5, 1, BANDS)[:, None]
    scene = reflectance * white + 10 * rng.standard_normal((BLOCK_LINES, BANDS, SAMPLES))
    capture = folder / "scan" / "capture"
    capture.mkdir(parents=True)
    write(capture / "scan", scene + 50, lines)
    write(capture / "DARKREF_scan", np.full_like(scene, 50), REFERENCE_LINES)
    write(capture / "WHITEREF_scan", np.broadcast_to(white + 50, scene.shape), REFERENCE_LINES)
    return capture / "scan.raw"


def write(stem: Path, block: Any, lines: int) -> None:
    """Write an ENVI file of 12-bit counts, interleaved by line."""
    counts = np.clip(np.rint(block), 0, 4095).astype("<u2")
    with stem.with_suffix(".raw").open("wb") as file:
        for start in range(0, lines, BLOCK_LINES):
            file.write(counts[: lines - start].tobytes())
    wavelengths = ", ".join(f"{nm:.2f}" for nm in np.linspace(397, 1004.5, BANDS))
    stem.with_suffix(".hdr").write_text(
        f"ENVI\nsamples = {SAMPLES}\nlines = {lines}\nbands = {BANDS}\nheader offset = 0\ndata type = 12\n"
        f"interleave = bil\nbyte order = 0\ntint = 5\nwavelength = {{{wavelengths}}}\n"
    )


def plain_reading_s(path: Path) -> float:
    """Time reading all of a file, in pieces into one buffer, in seconds."""
    buffer = bytearray(PIECE_BYTES)
    start = time.perf_counter()
    with path.open("rb", buffering=0) as file:
        while file.readinto(buffer):
            pass
    return time.perf_counter() - start


def report(results: dict[str, Any]) -> str:
    """Format the results as Markdown."""
    size = f"{results['bands']} bands, {results['samples']:,} pixels, {results['lines']:,} lines"
    rows = {
        "capture": f"{size}: {results['gb']} GB",
        "plain reading of the file": f"{results['plain_reading_s']} s",
        "`nircolor synthesize`, start to end": f"{results['seconds']} s, {results['mb_per_s']} MB/s",
        "as a share of plain reading": f"{results['share_of_plain_reading']:.1%}",
        "peak memory": f"{results['peak_mb']:,} MB",
    }
    return page("A full hyperspectral capture", results, rows)


if __name__ == "__main__":
    main()
