"""Measure the flicker of colorized video, frame by frame and averaged over time, and frames per second.

    python benchmarks/video.py -o benchmarks/results/video

Flicker is the mean change of the colours between two frames, in 8-bit steps, at the pixels that show the
same point of the scene: a still scene with noise, and a camera that pans over it by whole and by half pixels.
Chroma is the colour without the mean of its channels. Sharpness is the gradient energy of the averaged images
divided by that of the images colorized frame by frame; without noise, which averaging removes. The scene is
the image of `nircolor demo`, seen by a camera of half its resolution.
"""

import argparse
import json
import os
import time
from dataclasses import dataclass
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
from nircolor.metrics import gradient_energy_ratio

HEIGHT, WIDTH, FRAMES, SETTLED = 240, 320, 14, 4
NOISE = 0.02
SIZES = ((480, 640), (720, 1280))
TIMED = 4


@dataclass(frozen=True)
class Pan:
    """A camera that moves over the scene.

    Attributes:
        down, right: pixels per frame.
        noise: standard deviation of its noise.
        lag: frames after which the motion is a whole number of pixels; those are compared.
    """

    down: float
    right: float
    noise: float
    lag: int


PANS = {
    "still": Pan(0, 0, NOISE, 1),
    "pan, 6 px per frame": Pan(0, 6, NOISE, 1),
    "pan, 3.5 px per frame": Pan(0, 3.5, NOISE, 2),
    "pan, 3.5 px per frame, no noise": Pan(0, 3.5, 0, 2),
    "pan, 1.5 px and 0.5 px down per frame": Pan(0.5, 1.5, NOISE, 2),
    "pan, 1.5 px and 0.5 px down per frame, no noise": Pan(0.5, 1.5, 0, 2),
}


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
    # of other processes, before this one adds its own
    results["load_average"] = os.getloadavg()[0]
    results["flicker"] = {name: flicker(colorizer, scene, pan) for name, pan in PANS.items()}
    results["frames_per_second"] = {f"{w}x{h}": rate(colorizer, scene, h, w) for h, w in SIZES}
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "video.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    text = report(results)
    (arguments.output / "video.md").write_text(text, encoding="utf-8")
    print(text)


def seen(scene: Floats, top: float, left: float, height: int, width: int) -> Floats:
    """Average the scene in squares of 2 x 2 px, from any offset on, in parts of the squares too."""
    sums = np.pad(scene.astype(np.float64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    for start, length in ((top, height), (left, width)):
        edges = 2 * (start + np.arange(length + 1))
        before = edges.astype(int)
        after, part = np.minimum(before + 1, len(sums) - 1), (edges - before)[:, None]
        # the next axis is the first one then; after both, the axes are as before
        sums = np.diff(sums[before] * (1 - part) + sums[after] * part, axis=0).T
    return (sums / 4).astype(np.float32)


def flicker(colorizer: nircolor.Colorizer, scene: Floats, pan: Pan) -> dict[str, float]:
    """Measure the flicker of a pan, frame by frame and averaged over time."""
    random = np.random.default_rng(0)
    run = VideoRun(colorizer, 1.0, None)
    alone, averaged = [], []
    for i in range(FRAMES):
        nir = seen(scene, 50 + pan.down * i, 50 + pan.right * i, HEIGHT, WIDTH)
        nir = (nir + random.normal(0, pan.noise, nir.shape)).clip(0, 1).astype(np.float32)
        source = ArraySource(nir[None])
        alone.append(colorizer.colorize_source(source, colorizer.tile_for(source)))
        averaged.append(run.colorize(source))
    found: dict[str, float] = {}
    for kind in ("colour", "chroma"):
        before, after = (change(one, pan, chroma=kind == "chroma") for one in (alone, averaged))
        found |= {
            f"{kind}, frame by frame": before,
            f"{kind}, averaged": after,
            f"{kind}, ratio": before / after,
        }
    if not pan.noise:
        pairs = zip(averaged[SETTLED:], alone[SETTLED:], strict=True)
        found["sharpness"] = float(np.mean([gradient_energy_ratio(*pair) for pair in pairs]))
    return found


def change(images: list[Floats], pan: Pan, *, chroma: bool = False) -> float:
    """Compute the mean change of aligned pixels in 8-bit steps, without the border."""
    down, right = round(pan.down * pan.lag), round(pan.right * pan.lag)
    pairs = zip(images[SETTLED:], images[SETTLED + pan.lag :], strict=False)
    moved = [after[:, : HEIGHT - down, : WIDTH - right] - before[:, down:, right:] for before, after in pairs]
    if chroma:
        moved = [difference - difference.mean(0) for difference in moved]
    return float(np.mean([np.abs(difference[:, 8:-8, 8:-8]).mean() for difference in moved]) * 255)


def rate(colorizer: nircolor.Colorizer, scene: Floats, height: int, width: int) -> dict[str, float]:
    """Measure frames per second of a pan by parts of a pixel, without decoding and encoding.

    Beside the time that passes, the seconds of CPU time per frame, which depend less on what else runs.
    """
    tiled = np.tile(scene, (2, 3))
    run = VideoRun(colorizer, 1.0, None)
    seconds = dict.fromkeys(("frame by frame", "averaged"), np.zeros(2))
    for i in range(1 + TIMED):
        source = ArraySource(seen(tiled, 0.5 * i, 3.5 * i, height, width)[None])
        tile = colorizer.tile_for(source)
        start = clocks()
        colorizer.colorize_source(source, tile)
        middle = clocks()
        run.colorize(source)
        # the first frame starts the average
        if i:
            seconds["frame by frame"] = seconds["frame by frame"] + middle - start
            seconds["averaged"] = seconds["averaged"] + clocks() - middle
    found = {name: TIMED / float(total[0]) for name, total in seconds.items()}
    return found | {f"{name}, CPU seconds": float(total[1]) / TIMED for name, total in seconds.items()}


def clocks() -> Any:
    """Return the time and the CPU time of this process, in seconds."""
    return np.array([time.perf_counter(), time.process_time()])


def report(results: dict[str, Any]) -> str:
    """Format the results as Markdown."""
    lines = [
        "# Video",
        "",
        f"{results['machine']}, {results['cores']} cores, model {results['model']}.",
        "",
        "| flicker in 8-bit steps | colour, frame by frame | averaged | ratio | chroma | averaged | ratio "
        "| sharpness |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, found in results["flicker"].items():
        sharpness = [] if "sharpness" in found else [""]
        lines.append(
            f"| {name} | {' | '.join([*(f'{value:.2f}' for value in found.values()), *sharpness])} |"
        )
    lines += [
        "",
        f"The load average of the machine was {results['load_average']:.1f} before this measurement.",
        "",
        "| size | frames per second, frame by frame | averaged | CPU seconds per frame | averaged |",
        "|---|---|---|---|---|",
    ]
    for size, found in results["frames_per_second"].items():
        lines.append(f"| {size} | {' | '.join(f'{value:.2f}' for value in found.values())} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
