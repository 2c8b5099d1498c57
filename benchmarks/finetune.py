"""Gain by `nircolor finetune` on kinds of scenes that its base model has never seen.

Usage: python benchmarks/finetune.py DATA -o results/finetune
"""

import argparse
import csv
from pathlib import Path

KINDS = ("water", "country", "indoor", "street")


def write_table(data: Path, table: Path) -> None:
    """Copy scenes.csv, with all pairs that show a place of the kinds left out marked as such."""
    with (data / "scenes.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))

    def kind(row: dict[str, str]) -> str:
        return row["pair"].replace("/", "_").split("_")[0]

    places = {row["scene_group"] for row in rows if kind(row) in KINDS}
    for row in rows:
        if row["scene_group"] in places:
            row["split"] = "left out"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def train_base(data: Path, folder: Path, steps: int) -> Path:
    """Train `scene` without the kinds that are left out, from the encoder's ImageNet weights."""
    from nircolor.training import train

    folder.mkdir(parents=True, exist_ok=True)
    write_table(data, table := (folder / "base.csv").resolve())
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


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--steps", type=int, default=600)
    options = parser.parse_args()
    train_base(options.data, Path("runs/finetune-bench"), options.steps)
