"""Scores of `scene` beside the trivial baselines on the 18 VCIP validation pairs, and on the 14 among
them whose place no training pair shows.

    python benchmarks/scene_scores.py --data ../shared/data --model scene -o results/scene

writes per_image.csv, summary.md, summary.json and, for `nircolor export --scores`, card_scores.json.
`--model none` scores the baselines alone.
"""

import argparse
import json
import platform
import shlex
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from nircolor.evaluation import baselines, scorecard
from nircolor.pairs import Pair, Vcip, read_pair

CONVENTIONS = (
    "PSNR from one mean squared error over the three channels; Gaussian SSIM (11 × 11, σ 1.5, data range 1, "
    "windows inside the picture); angular error per pixel in degrees and of whole pictures in radians. "
    "Means over pictures with 95% bootstrap intervals; pictures of one place are not independent, so these "
    "are optimistic."
)


def main() -> None:
    """Fit, predict, score, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with vcip2020/ and scenes.csv")
    parser.add_argument(
        "--model", required=True, help="name or file of a model; 'none' for the baselines alone"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the results")
    arguments = parser.parse_args()

    root, table = arguments.data / "vcip2020", arguments.data / "scenes.csv"
    methods = fitted_baselines(Vcip(root).pairs())
    packages = ["nircolor", "numpy", "scipy", "scikit-image"]
    model = None
    if arguments.model != "none":
        from nircolor.inference import Colorizer

        model = Path(arguments.model).stem
        methods[model] = Colorizer(arguments.model).colorize
        packages.append("onnxruntime")

    validation = Vcip(root, "validation").pairs()
    rows = scored(methods, validation)
    names = {pair.name for pair in Vcip(root, "validation", table=table, drop_flagged=True).pairs()}
    subsets = {
        f"All {len(validation)} validation pairs": rows,
        f"The {len(names)} of places not in training": [row for row in rows if row.name in names],
    }
    summary: dict[str, Any] = {
        "command": shlex.join(["python", *sys.argv]),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in packages},
        "conventions": CONVENTIONS,
        "scores": {title: summarised(subset, model) for title, subset in subsets.items()},
    }

    arguments.output.mkdir(parents=True, exist_ok=True)
    scorecard.write_csv(rows, arguments.output / "per_image.csv")
    text = json.dumps(summary, indent=2, ensure_ascii=False) + "\n"
    (arguments.output / "summary.json").write_text(text, encoding="utf-8")
    if model is not None:
        card = [card_score(title, summary["scores"][title][model], arguments.output) for title in subsets]
        (arguments.output / "card_scores.json").write_text(json.dumps(card, indent=2) + "\n")
    (arguments.output / "summary.md").write_text(as_markdown(summary, subsets), encoding="utf-8")


def fitted_baselines(training: list[Pair]) -> dict[str, Any]:
    """Functions from NIR to colour, by name."""
    return {
        "NIR copied": baselines.NirCopied().predict,
        "mean colour": baselines.MeanColor().fit(map(read_pair, training)).predict,
        "linear ridge": baselines.LinearRidge().fit(map(read_pair, training)).predict,
    }


def scored(methods: dict[str, Any], pairs: list[Pair]) -> list[scorecard.Row]:
    """One row a picture and method."""
    rows = []
    for pair in pairs:
        nir, rgb, valid = read_pair(pair)
        for name, colorize in methods.items():
            rows.append(scorecard.Row(pair.name, name, scorecard.score(colorize(nir), rgb, valid)))
    return rows


def summarised(rows: list[scorecard.Row], model: str | None) -> dict[str, Any]:
    """Means with intervals by method, and the model's paired difference to the ridge."""
    columns = scorecard.by_method(rows)
    summary: dict[str, Any] = {
        method: {
            measure: {"mean": float(np.mean(values))} | scorecard.bootstrap_interval(values)._asdict()
            for measure, values in measures.items()
        }
        for method, measures in columns.items()
    }
    if model is not None:
        summary[f"{model} minus linear ridge"] = {
            measure: scorecard.paired_difference(
                columns[model][measure], columns["linear ridge"][measure], higher_is_better=better
            )._asdict()
            for measure, better in scorecard.HIGHER_IS_BETTER.items()
        }
    return summary


def card_score(title: str, measures: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A row for the model's card, as `nircolor export --scores` takes it."""
    means = {measure: round(values["mean"], 3) for measure, values in measures.items()}
    kept = ("psnr_db", "ssim", "angular_error_deg")
    return {
        "data": f"VCIP 2020, {title[0].lower()}{title[1:]}",
        **{measure: means[measure] for measure in kept},
        "source": (folder / "summary.md").as_posix(),
    }


def as_markdown(summary: dict[str, Any], subsets: dict[str, list[scorecard.Row]]) -> str:
    """The same content to read."""
    versions = ", ".join(f"{name} {number}" for name, number in summary["versions"].items())
    parts = ["# Scores on VCIP 2020's validation pairs\n", f"{CONVENTIONS}\n"]
    for title, rows in subsets.items():
        parts += [f"## {title}\n", scorecard.markdown_table(rows)]
        for name, measures in summary["scores"][title].items():
            if name.endswith(" minus linear ridge"):
                parts.append(f"On the same pictures, {name}:\n")
                parts.append(
                    "\n".join(
                        f"- {measure}: {d['mean']:+.3f} ({d['low']:+.3f} to {d['high']:+.3f}), "
                        f"better on {d['win_rate']:.0%}"
                        for measure, d in measures.items()
                    )
                    + "\n"
                )
    parts.append(f"Made by `{summary['command']}` with {versions}.\n")
    return "\n".join(parts)


if __name__ == "__main__":
    main()
