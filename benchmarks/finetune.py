"""Gain by `nircolor finetune` on kinds of scenes that its base model has never seen.

The base is the network of `scene`, trained on the VCIP and RGB-NIR Scene pairs without any place that the
kinds left out show. Of each of these kinds, up to 20 pairs (two thirds where there are fewer than 30) go to
`finetune`, which holds a fifth of them out; the base and the fine-tuned model colorize the other pairs.
Settings were chosen on `water`, `indoor` and `street`; nothing was chosen by looking at `country`.

    python benchmarks/finetune.py /data -o results/finetune
"""

import argparse
import csv
import json
import random
import time
from pathlib import Path
from typing import Any

import numpy as np

from nircolor import metrics
from nircolor.errors import NircolorError
from nircolor.inference import Colorizer
from nircolor.pairs import Pair, PairedSet, Scenes
from nircolor.pairs.pair import read_pair
from nircolor.training import ImagePair, NotBetterError, export, finetune, train
from nircolor.training.sampling import resize

_LEFT_OUT = ("water", "country", "indoor", "street")
_REPORTED = _LEFT_OUT[1:]
_MOST_PAIRS = 20
_BAR_DB = 1.5
# Reduced images are scored, which takes a quarter of the time.
_SCORED_PX, _VALID = 512, 0.99
_MEASURES = {"psnr_db": metrics.psnr, "ssim": metrics.ssim, "angle_deg": metrics.angular_error_deg}


class Chosen(PairedSet):
    """Given pairs as a data set."""

    def __init__(self, pairs: list[Pair]) -> None:
        super().__init__(None, None, False)
        self._chosen = pairs

    def _find_pairs(self) -> list[Pair]:
        return self._chosen


def main() -> None:
    """Train the base unless it exists, fine-tune it for each kind, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with vcip2020, epfl and scenes.csv")
    parser.add_argument("-o", "--output", type=Path, default=Path("results/finetune"))
    parser.add_argument("--runs", type=Path, default=Path("runs/finetune"), help="folder of the models")
    parser.add_argument("--base-steps", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=200, help="largest number of steps of finetune")
    parser.add_argument("--kinds", nargs="+", default=list(_REPORTED), choices=_LEFT_OUT)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    base = options.runs / "base.safetensors"
    if not base.exists():
        export(train_base(options.data, options.runs, options.base_steps), base)
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / "finetune.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    for kind in options.kinds:
        tuned = options.runs / f"{kind}.safetensors"
        found[kind] = measure(kind, options.data, base, tuned, options.steps, options.seed)
        path.write_text(json.dumps(found, indent=1) + "\n")
        (options.output / "README.md").write_text(summary(found, options.base_steps))


def kind_of(name: str) -> str:
    """Return the kind in the name of a pair, ``country/0003`` or ``country_0003``."""
    return name.replace("/", "_").split("_")[0]


def write_table(data: Path, table: Path) -> None:
    """Copy scenes.csv; all pairs of a place that a kind left out shows get a split of their own."""
    with (data / "scenes.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    places = {row["scene_group"] for row in rows if kind_of(row["pair"]) in _LEFT_OUT}
    for row in rows:
        if row["scene_group"] in places:
            row["split"] = "left out"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def train_base(data: Path, folder: Path, steps: int) -> Path:
    """Train the network of `scene` without the kinds left out, from the encoder's ImageNet weights."""
    folder.mkdir(parents=True, exist_ok=True)
    table = (folder / "base.csv").resolve()
    write_table(data, table)
    sets = [
        {
            "class_path": kind,
            "init_args": {"root": str(data / name), "table": str(table), "dataset": name} | extra,
        }
        for kind, name, extra in (("Vcip", "vcip2020", {}), ("Scenes", "epfl", {"drop_flagged": True}))
    ]
    return train(
        Path(__file__).parents[1] / "recipes" / "scene.yaml",
        {
            "data.sets": sets,
            "data.sampling_weights": [0.7, 0.3],
            "data.batch_size": 4,
            "data.tile_px": 128,
            "trainer.max_steps": steps,
            "trainer.val_check_interval": steps,
            "trainer.default_root_dir": str(folder / "base"),
            "ema.decay": 0.99,
        },
        resume=True,
    )


def measure(kind: str, data: Path, base: Path, tuned: Path, steps: int, seed: int) -> dict[str, Any]:
    """Fine-tune for a kind, and score both models on the pairs of it that did not take part."""
    pairs = [
        pair
        for pair in Scenes(data / "epfl", table=data / "scenes.csv").pairs()
        if kind_of(pair.name) == kind
    ]
    places = sorted({pair.place for pair in pairs})
    random.Random(seed).shuffle(places)
    wanted = min(_MOST_PAIRS, len(pairs) * 2 // 3)
    chosen: list[Pair] = []
    for place in places:
        of_place = [pair for pair in pairs if pair.place == place]
        if len(chosen) + len(of_place) <= wanted:
            chosen += of_place
    rest = [pair for pair in pairs if pair not in chosen]
    start = time.process_time()
    row: dict[str, Any] = {"given": sorted(pair.name for pair in chosen)}
    try:
        result = finetune(base, Chosen(chosen), tuned, steps=steps, seed=seed, overwrite=True)
    except NotBetterError as error:
        result = error.result
        row["refused"] = str(error)
    was, now = result.means()
    row |= {
        "trained_on": len(result.trained_on),
        "steps": result.steps,
        "cpu_seconds": round(time.process_time() - start),
        "held_out_psnr_db": [round(was.psnr_db, 3), round(now.psnr_db, 3)],
        "rest": {},
    }
    models = {"before": base} | ({} if "refused" in row else {"after": tuned})
    for when, path in models.items():
        colorizer = Colorizer(path)
        for pair in rest:
            row["rest"].setdefault(pair.name, {})[when] = scores(colorizer, pair)
    print(kind, json.dumps({key: value for key, value in row.items() if key != "rest"}), flush=True)
    return row


def scores(colorizer: Colorizer, pair: Pair) -> dict[str, float]:
    """Score one pair, reduced to 512 px on the longer side."""
    planes = ImagePair.from_arrays(pair.name, *read_pair(pair, colorizer.card.bands)).as_float()
    factor = min(1.0, _SCORED_PX / max(planes.shape[1:]))
    size = round(planes.shape[1] * factor), round(planes.shape[2] * factor)
    image = resize(planes, size).numpy()
    nir, rgb, valid = image[:1], image[1:4], image[4] > _VALID
    predicted = np.clip(colorizer.colorize(nir), 0, 1)
    return {key: round(float(measure(predicted, rgb, valid)), 4) for key, measure in _MEASURES.items()}


def summary(found: dict[str, Any], base_steps: int) -> str:
    """Describe the results as Markdown."""
    lines = [
        "# Fine-tuning on few pairs",
        "",
        "Written by `python benchmarks/finetune.py DATA -o results/finetune`. The base model is the network "
        f"of `scene`, trained for {base_steps} steps of 4 samples on VCIP and RGB-NIR Scene pairs, without "
        f"any place shown by {', '.join(_LEFT_OUT)}. `scene` itself has seen most of these pairs, so that "
        "nothing could be measured with it. It was trained on seven times as many, larger samples and more "
        "photographs: the base is weaker, and has more to gain. "
        f"Bar: {_BAR_DB:g} dB on the pairs that did not take part, scored at {_SCORED_PX} px. Settings of "
        "`finetune` were chosen on water, indoor and street, with other choices of the pairs; nothing was "
        "chosen by looking at country.",
        "",
        "| kind | pairs given | trained on | steps | CPU time | pairs scored | PSNR before | after | gain "
        "| better | SSIM | angular error |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for kind, row in found.items():
        rest = list(row["rest"].values())
        before = {key: np.mean([one["before"][key] for one in rest]) for key in _MEASURES}
        if "refused" in row:
            lines.append(f"| {kind} | {len(row['given'])} | refused: no gain on the pairs held out |")
            continue
        after = {key: np.mean([one["after"][key] for one in rest]) for key in _MEASURES}
        better = sum(one["after"]["psnr_db"] > one["before"]["psnr_db"] for one in rest)
        cells = [
            kind,
            f"{len(row['given'])}",
            f"{row['trained_on']}",
            f"{row['steps']}",
            f"{row['cpu_seconds'] / 60:.1f} min",
            f"{len(rest)}",
            f"{before['psnr_db']:.2f} dB",
            f"{after['psnr_db']:.2f} dB",
            f"**{after['psnr_db'] - before['psnr_db']:+.2f} dB**",
            f"{better} of {len(rest)}",
            f"{before['ssim']:.3f} to {after['ssim']:.3f}",
            f"{before['angle_deg']:.2f}° to {after['angle_deg']:.2f}°",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    try:
        main()
    except NircolorError as error:
        raise SystemExit(str(error)) from error
