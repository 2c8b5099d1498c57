"""Measure the effect of `--saturation` on scores, on the validation split of the pairs.

    python benchmarks/scene_saturation.py --data data -o results/scene/saturation.md

The official validation pairs are not read.
"""

import argparse
import shlex
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nircolor.evaluation.scores import score
from nircolor.inference import Colorizer
from nircolor.pairs import Vcip, read_pair, split_pairs

SATURATIONS = (1.0, 1.15, 1.3, 1.5, 1.75, 2.0)


def main() -> None:
    """Score each saturation and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with vcip2020/ and scenes.csv")
    parser.add_argument("--model", default="scene", help="name of a shipped model, or a model file")
    parser.add_argument("--val-fraction", type=float, default=0.13, help="as in the recipe")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the Markdown file")
    arguments = parser.parse_args()

    pairs = Vcip(arguments.data / "vcip2020", table=arguments.data / "scenes.csv").pairs()
    _, val = split_pairs(pairs, arguments.val_fraction)
    colorizer = Colorizer(arguments.model)
    rows: dict[float, list[tuple[float, ...]]] = {saturation: [] for saturation in SATURATIONS}
    for pair in val:
        nir, target, _ = read_pair(pair)
        for saturation in SATURATIONS:
            coloured = colorizer.colorize(nir, saturation=saturation)
            s = score(coloured, target)
            share = colour(coloured) / colour(target)
            rows[saturation].append((s.psnr_db, s.ssim, s.angular_error_deg, share))

    lines = [
        f"# Saturation on the {len(val)} validation pairs",
        "",
        f"`{shlex.join(['python', *sys.argv])}`",
        "",
        "Means over images; colour: mean distance of the channels from their mean, as a share of the "
        "truth's (median over images).",
        "",
        "| saturation | PSNR dB | SSIM | angular error ° | colour |",
        "|---|---|---|---|---|",
    ]
    for saturation, values in rows.items():
        psnr, ssim, angle = np.mean([v[:3] for v in values], axis=0)
        lines.append(
            f"| {saturation} | {psnr:.3f} | {ssim:.4f} | {angle:.3f} | "
            f"{np.median([v[3] for v in values]):.2f} |"
        )
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def colour(rgb: NDArray[np.float32]) -> float:
    """Compute the mean distance of the channels (3, h, w) from their mean."""
    return float(np.abs(rgb - rgb.mean(0)).mean())


if __name__ == "__main__":
    main()
