"""Measure the flicker of colorized video, frame by frame and averaged over time, and frames per second.

    python benchmarks/video.py -o benchmarks/results/video

Flicker is the mean change of the colours between two frames, in 8-bit steps, at the pixels that show the
same point of the scene: a still scene with noise, and a camera that pans over it by whole and by half pixels.
Chroma is the colour without the mean of its channels: where the image moves by parts of a pixel, the noise of
the brightness is left as it is. The scene is the image of `nircolor demo`.
"""

import argparse
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from speed import machine

import nircolor
from nircolor.app import demo
from nircolor.arrays import Floats
from nircolor.imagery import open_raster
from nircolor.inference.sources import ArraySource
from nircolor.inference.video import VideoRun

HEIGHT, WIDTH, FRAMES, SETTLED = 240, 320, 14, 4
NOISE = 0.02
SIZES = ((480, 640), (720, 1280))
TIMED = 4


def main() -> None:
    """Run the benchmark and write its results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the results")
    parser.add_argument("--model", default="scene")
    arguments = parser.parse_args()
    colorizer = nircolor.Colorizer(arguments.model)
    with open_raster(Path(demo.__file__).parent / "nir.jpg") as raster:
        scene = raster.read()[0][0]
    results: dict[str, Any] = {"machine": machine(), "cores": os.cpu_count(), "model": arguments.model}
    results["flicker"] = {
        name: flicker(colorizer, frames, lag, right) for name, frames, lag, right in sequences(scene)
    }
    results["frames_per_second"] = {f"{w}x{h}": rate(colorizer, scene, h, w) for h, w in SIZES}
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "video.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    text = report(results)
    (arguments.output / "video.md").write_text(text, encoding="utf-8")
    print(text)


def sequences(scene: Floats) -> Iterator[tuple[str, list[Floats], int, int]]:
    """Yield name, frames (h, w), frames between two that are compared, and the pixels moved between them."""
    random = np.random.default_rng(0)

    def seen(top: int, left: int, image: Floats, noise: float = NOISE) -> Floats:
        view = image[top : top + HEIGHT, left : left + WIDTH]
        return (view + random.normal(0, noise, view.shape)).clip(0, 1).astype(np.float32)

    yield "still", [seen(200, 300, scene) for _ in range(FRAMES)], 1, 0
    yield "pan, 6 px per frame", [seen(200, 100 + 6 * i, scene) for i in range(FRAMES)], 1, 6
    halves = []
    for odd in (0, 1):
        part = scene[:, odd:][:, : (scene.shape[1] - 2) // 2 * 2]
        halves.append(part.reshape(part.shape[0] // 2, 2, -1, 2).mean((1, 3)))
    # 7 pixels of the whole image are 3.5 of the half one
    moves = [7 * i for i in range(FRAMES)]
    for noise, text in ((NOISE, ""), (0, ", no noise")):
        frames = [seen(100, 60 + x // 2, halves[x % 2], noise) for x in moves]
        yield f"pan, 3.5 px per frame{text}", frames, 2, 7


def flicker(colorizer: nircolor.Colorizer, frames: list[Floats], lag: int, right: int) -> dict[str, float]:
    """Measure the flicker of a sequence, frame by frame and averaged over time."""
    run = VideoRun(colorizer, 1.0, None)
    alone, averaged = [], []
    for nir in frames:
        source = ArraySource(nir[None])
        alone.append(colorizer.colorize_source(source, colorizer.tile_for(source)))
        averaged.append(run.colorize(source))
    found: dict[str, float] = {}
    for kind in ("colour", "chroma"):
        before, after = (change(one, lag, right, chroma=kind == "chroma") for one in (alone, averaged))
        found |= {
            f"{kind}, frame by frame": before,
            f"{kind}, averaged": after,
            f"{kind}, ratio": before / after,
        }
    return found


def change(images: list[Floats], lag: int, right: int, *, chroma: bool = False) -> float:
    """Compute the mean change of aligned pixels in 8-bit steps, without the border."""
    pairs = zip(images[SETTLED:], images[SETTLED + lag :], strict=False)
    moved = [after[:, :, : WIDTH - right] - before[:, :, right:] for before, after in pairs]
    if chroma:
        moved = [difference - difference.mean(0) for difference in moved]
    return float(np.mean([np.abs(difference[:, 8:-8, 8:-8]).mean() for difference in moved]) * 255)


def rate(colorizer: nircolor.Colorizer, scene: Floats, height: int, width: int) -> dict[str, float]:
    """Measure frames per second, with and without averaging, without decoding and encoding."""
    tiled = np.tile(scene, (2, 2))[:height, :width]
    source = ArraySource(tiled[None])
    run = VideoRun(colorizer, 1.0, None)
    tile = colorizer.tile_for(source)
    run.colorize(source)
    seconds = {"frame by frame": 0.0, "averaged": 0.0}
    for _ in range(TIMED):
        start = time.perf_counter()
        colorizer.colorize_source(source, tile)
        middle = time.perf_counter()
        run.colorize(source)
        seconds["frame by frame"] += middle - start
        seconds["averaged"] += time.perf_counter() - middle
    return {name: TIMED / total for name, total in seconds.items()}


def report(results: dict[str, Any]) -> str:
    """Format the results as Markdown."""
    lines = [
        "# Video",
        "",
        f"{results['machine']}, {results['cores']} cores, model {results['model']}.",
        "",
        "| flicker in 8-bit steps | colour, frame by frame | averaged | ratio | chroma | averaged | ratio |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, found in results["flicker"].items():
        lines.append(f"| {name} | {' | '.join(f'{value:.2f}' for value in found.values())} |")
    lines += ["", "| frames per second | frame by frame | averaged |", "|---|---|---|"]
    for size, found in results["frames_per_second"].items():
        lines.append(f"| {size} | {found['frame by frame']:.2f} | {found['averaged']:.2f} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
