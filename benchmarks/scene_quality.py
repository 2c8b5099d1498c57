"""Measure what limits a model of photographs, on the validation splits of the training pairs.

    python benchmarks/scene_quality.py --data data -o results/scene/quality

Scores, halos beside edges, noise, saturation, mirrored images averaged, the sizes of the view of the whole
image and of what the network colorizes, the calibration of the bound of the error, and oracles: what the
score would be if a part of the colours were known. The official validation pairs are not read.
"""

import argparse
import json
import shlex
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import ndimage

from nircolor import metrics
from nircolor.arrays import Floats, Mask
from nircolor.errors import NircolorWarning
from nircolor.inference import Colorizer
from nircolor.models import load
from nircolor.pairs import Pair, Scenes, Vcip, read_pair, split_pairs

# values of each column, by row
Rows = dict[str, list[float]]

SATURATIONS = (1.0, 1.3, 1.6, 2.0)
NOISES = (0.0, 0.02, 0.05, 0.1)
# sides of the view of the whole image, for a model that takes one; its weights stay as they are
VIEWS_PX = (256, 320, 352, 384, 512)
# pixels that the network colorizes of an image
WORKING_PIXELS = (50_000, 100_000, 200_000, 400_000)
ALONE = "network alone, at the full size"
# bounds of the error at which the calibration is listed
BOUNDS = (0.05, 0.1, 0.15, 0.2, 0.3)
# fewer pixels are not listed there
SMALLEST_SHARE_OF_PIXELS = 0.001
# cells of the coarse oracles, in pixels
CELL_PX = 16
# Edges of large regions: the NIR gradient is a local maximum above the first value, and the means of 25 px on
# both sides differ by more than the second. Pixels beside them are compared with others further away.
EDGE_GRADIENT, EDGE_CONTRAST = 0.04, 0.25
REGION_PX, REGION_DISTANCE_PX = 25, 16
BESIDE_PX, FURTHER_PX = (2, 12), (16, 48)
BESIDE_WINDOW_PX, FURTHER_WINDOW_PX = 33, 97
# share of a window that must consist of such pixels
SMALLEST_SHARE = 0.1
# the true chroma changes by less than this, so that a change is a halo
UNCHANGED = 4 / 255


class Image(NamedTuple):
    """A validation pair: NIR (1, h, w), colour (3, h, w), valid pixels (h, w)."""

    name: str
    nir: Floats
    rgb: Floats
    valid: Mask


def main() -> None:
    """Measure a model on both data sets and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with vcip2020/, epfl/, scenes.csv")
    parser.add_argument("--model", default="scene", help="name of a shipped model, or a model file")
    parser.add_argument("--val-fraction", type=float, default=0.13, help="as in the recipe")
    parser.add_argument("-o", "--output", type=Path, required=True, help="file to write, without extension")
    arguments = parser.parse_args()

    table = arguments.data / "scenes.csv"
    sets = {
        "VCIP 2020": Vcip(arguments.data / "vcip2020", table=table),
        "RGB-NIR Scene": Scenes(arguments.data / "epfl", table=table, drop_flagged=True),
    }
    colorizer = Colorizer(arguments.model)
    results: dict[str, dict[str, Rows]] = {}
    counts = {}
    for name, paired in sets.items():
        _, val = split_pairs(paired.pairs(), arguments.val_fraction)
        counts[name] = len(val)
        variants = {
            "view": with_views(arguments.model, colorizer),
            "size": with_sizes(arguments.model, colorizer),
        }
        results[name] = measure(colorizer, val, variants)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    command = shlex.join(["python", *sys.argv])
    arguments.output.with_suffix(".json").write_text(
        json.dumps(
            {"command": command, "model": colorizer.card.name, "images": counts, "sets": results}, indent=1
        )
        + "\n"
    )
    text = render(command, counts, results)
    arguments.output.with_suffix(".md").write_text(text)
    print(text)


def with_views(model: str, colorizer: Colorizer) -> dict[str, Colorizer]:
    """Return the model with views of other sizes, by their side; nothing for a model without a view."""
    if colorizer.card.context is None:
        return {}
    return {str(side): with_context(model, colorizer, size_px=side) for side in VIEWS_PX}


def with_sizes(model: str, colorizer: Colorizer) -> dict[str, Colorizer]:
    """Return the model with colours of other numbers of pixels, and without the grid that carries them."""
    if colorizer.card.working_pixels is None:
        return {}
    sizes = {ALONE: None, **{f"{pixels:,}": pixels for pixels in WORKING_PIXELS}}
    return {label: with_context(model, colorizer, working_pixels=pixels) for label, pixels in sizes.items()}


def with_context(model: str, colorizer: Colorizer, **changes: int | None) -> Colorizer:
    """Return the model with other values in the context of its card; its weights stay as they are."""
    assert colorizer.card.context is not None
    context = colorizer.card.context.model_copy(update=changes)
    network: Any = load(model)
    network.context_px = context.size_px
    return Colorizer.from_network(network, colorizer.card.model_copy(update={"context": context}))


def measure(
    colorizer: Colorizer, pairs: list[Pair], variants: dict[str, dict[str, Colorizer]]
) -> dict[str, Rows]:
    """Return the means over images of each table's rows; the variants are rows of the table of their name."""
    rows: dict[str, dict[str, list[list[float]]]] = {}

    def add(table: str, row: str, values: list[float]) -> None:
        rows.setdefault(table, {}).setdefault(row, []).append(values)

    bounds, errors = [], []
    rng = np.random.default_rng(0)
    for image in images(pairs):
        if colorizer.card.error_quantile is not None:
            rgb, confidence = colorizer.colorize(image.nir, confidence=True)
            bounds.append((1 - confidence)[image.valid])
            errors.append(np.sqrt(np.square(rgb - image.rgb).mean(0))[image.valid])
        else:
            rgb = colorizer.colorize(image.nir)
        for row, colours in candidates(image, rgb).items():
            add("oracles", row, scores(image, colours))
        mirrored = colorizer.colorize(np.ascontiguousarray(image.nir[..., ::-1]))[..., ::-1].astype(
            np.float32
        )
        add(
            "mirrored",
            "averaged with its mirror image",
            scores(image, np.asarray((rgb + mirrored) / 2, np.float32)),
        )
        for table, changed in variants.items():
            for row, variant in changed.items():
                colours = variant.colorize(image.nir)
                add(table, row, scores(image, colours))
                if row == ALONE and (found := halo(image, colours)):
                    add("halos", row, found)
        if found := halo(image, rgb):
            add("halos", "change towards an edge", found)
        for deviation in NOISES:
            noise = rng.normal(0, 1, image.nir.shape) * deviation * np.sqrt(1 + 3 * image.nir)
            noisy = np.clip(image.nir + noise, 0, 1).astype(np.float32)
            coloured = colorizer.colorize(noisy) if deviation else rgb
            add("noise", f"{deviation:g}", [*scores(image, coloured), speckle(coloured, noisy)])
        for saturation in SATURATIONS:
            vivid = colorizer.colorize(image.nir, saturation=saturation) if saturation != 1 else rgb
            share = colourfulness(vivid, image.valid) / colourfulness(image.rgb, image.valid)
            add("saturation", f"{saturation:g}", [*scores(image, vivid), share])
    result = {
        table: {row: np.mean(values, 0).round(5).tolist() for row, values in of.items()}
        for table, of in rows.items()
    }
    if bounds:
        result["confidence"] = calibration(np.concatenate(bounds), np.concatenate(errors))
    return result


def images(pairs: list[Pair]) -> Iterator[Image]:
    """Read the pairs; padding counts as invalid, of which no warning is needed."""
    for pair in pairs:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NircolorWarning)
            yield Image(pair.name, *read_pair(pair))


def scores(image: Image, rgb: Floats) -> list[float]:
    """Return PSNR in dB, SSIM and angular error in degrees."""
    arguments = rgb, image.rgb, image.valid
    return [metrics.psnr(*arguments), metrics.ssim(*arguments), metrics.angular_error_deg(*arguments)]


def candidates(image: Image, rgb: Floats) -> dict[str, Floats]:
    """Return the model's colours, and what they would be if a part of the truth were known."""
    truth, valid = image.rgb, image.valid

    def mean(x: Floats) -> Floats:
        return x[:, valid].mean(1)[:, None, None]

    def gray(x: Floats) -> Floats:
        return x.mean(0, keepdims=True)

    def coarse(x: Floats) -> Floats:
        # the mean of the valid pixels around each, as wide as a cell
        weight = ndimage.uniform_filter(valid.astype(np.float32), CELL_PX)
        means = np.stack([ndimage.uniform_filter(plane * valid, CELL_PX) for plane in x])
        return means / np.maximum(weight, 1e-6)

    made = {
        "model": rgb,
        "true mean gray": rgb + mean(gray(truth)) - mean(gray(rgb)),
        "true mean colour": rgb + mean(truth) - mean(rgb),
        f"true chroma over {CELL_PX} px": gray(rgb) + coarse(truth - gray(truth)),
        "true chroma": gray(rgb) + truth - gray(truth),
        f"true colour over {CELL_PX} px": rgb + coarse(truth) - coarse(rgb),
        "true gray": rgb - gray(rgb) + gray(truth),
    }
    return {name: np.clip(x, 0, 1).astype(np.float32) for name, x in made.items()}


def halo(image: Image, rgb: Floats) -> list[float]:
    """Return how much the chroma changes towards an edge where the true chroma does not: model, truth.

    Chroma beside an edge is compared with chroma further away on the same side of it, both averaged locally,
    so that texture does not count.

    Returns:
        Root mean square over the pixels in 8-bit steps; nothing for an image without such edges.
    """
    nir = image.nir[0]
    gradient = np.hypot(*(ndimage.gaussian_filter(nir, 1, order) for order in ((0, 1), (1, 0))))
    mean = ndimage.uniform_filter(nir, REGION_PX)
    contrast = np.hypot(
        *(
            np.roll(mean, REGION_DISTANCE_PX, axis) - np.roll(mean, -REGION_DISTANCE_PX, axis)
            for axis in (0, 1)
        )
    )
    peaks = (gradient >= ndimage.maximum_filter(gradient, 5)) & (gradient > EDGE_GRADIENT)
    edges = ndimage.binary_dilation(peaks & (contrast > EDGE_CONTRAST))
    distance = ndimage.distance_transform_cdt(~edges, "chessboard")
    bright = nir > ndimage.uniform_filter(nir, FURTHER_WINDOW_PX)

    changes = []
    for side in (bright, ~bright):
        beside, further = (
            (side & image.valid & (distance >= least) & (distance <= most)).astype(np.float32)
            for least, most in (BESIDE_PX, FURTHER_PX)
        )
        near, chosen = local_chroma([rgb, image.rgb], beside, BESIDE_WINDOW_PX)
        far, chosen_further = local_chroma([rgb, image.rgb], further, FURTHER_WINDOW_PX)
        change = np.square(near - far).sum(1)[:, chosen & chosen_further]
        changes.append(change[:, change[1] < UNCHANGED**2])
    found = np.concatenate(changes, 1)
    return (255 * np.sqrt(found.mean(1))).tolist() if found.size else []


def local_chroma(colours: list[Floats], chosen: Floats, window_px: int) -> tuple[Floats, Mask]:
    """Return the mean chroma of the chosen pixels in a window around each, and where there are enough."""
    share = ndimage.uniform_filter(chosen, window_px)
    sums = [[ndimage.uniform_filter(plane * chosen, window_px) for plane in x - x.mean(0)] for x in colours]
    return np.asarray(sums) / np.maximum(share, 1e-3), share > SMALLEST_SHARE


def speckle(rgb: Floats, nir: Floats) -> float:
    """Return the deviation of the chroma from its surroundings, as a share of that of the NIR input."""

    def fine(x: Floats) -> float:
        return float(np.std(x - ndimage.uniform_filter(x, (0, 5, 5))))

    return fine(rgb - rgb.mean(0)) / fine(nir)


def colourfulness(rgb: Floats, valid: Mask) -> float:
    """Return the mean distance of the channels (3, h, w) from their mean."""
    return float(np.abs(rgb - rgb.mean(0))[:, valid].mean())


def calibration(bounds: Floats, errors: Floats) -> Rows:
    """Return, for pixels whose bound is below a value, their share, the share below it, and their error."""
    rows = {}
    for limit in BOUNDS:
        chosen = errors[bounds < limit]
        if len(chosen) >= SMALLEST_SHARE_OF_PIXELS * len(errors):
            rows[f"{limit:g}"] = [
                len(chosen) / len(errors),
                float((chosen < limit).mean()),
                float(np.sqrt(np.square(chosen).mean())),
            ]
    rows["all"] = [1.0, float((errors < bounds).mean()), float(np.sqrt(np.square(errors).mean()))]
    return rows


COLUMNS = {
    "oracles": ("known", "PSNR dB", "SSIM", "angular error °"),
    "mirrored": ("result", "PSNR dB", "SSIM", "angular error °"),
    "view": ("side of the view, px", "PSNR dB", "SSIM", "angular error °"),
    "size": ("pixels that the network colorizes", "PSNR dB", "SSIM", "angular error °"),
    "halos": ("chroma where it does not change in truth", "model, 8-bit steps", "truth, 8-bit steps"),
    "noise": ("deviation of the noise at black", "PSNR dB", "SSIM", "angular error °", "speckle"),
    "saturation": ("--saturation", "PSNR dB", "SSIM", "angular error °", "colour / truth"),
    "confidence": ("bound below", "share of the pixels", "error below that", "root mean square error"),
}


def render(command: str, counts: dict[str, int], results: dict[str, dict[str, Rows]]) -> str:
    """Render the tables in Markdown."""
    lines = ["# Quality on the validation splits", "", f"`{command}`", ""]
    for name, tables in results.items():
        lines += [f"## {name}, {counts[name]} images", ""]
        for table, columns in COLUMNS.items():
            if table not in tables:
                continue
            lines += ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
            for row, values in tables[table].items():
                lines.append(f"| {row} | " + " | ".join(f"{value:.4g}" for value in values) + " |")
            lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
