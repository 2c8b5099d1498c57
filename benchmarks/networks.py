"""Cost of the networks of the recipes: parameters, multiply-adds per pixel, seconds per training step.

    python benchmarks/networks.py -o benchmarks/results/networks

Writes networks.md and networks.json. A step is forward pass, loss, backward pass and optimizer on random
images at the recipe's batch size, on the CPU (or `--device cuda`). Recipes are timed in turns; the result is
the median of all turns. Recipes of the papers take minutes per step on a CPU: `--timed` selects the recipes
to time.
"""

import argparse
import json
import os
import platform
import shlex
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

import nircolor.training.tasks  # noqa: F401 (defines every task)
from nircolor.pairs.recipe import read_recipe
from nircolor.training.module import Batch, ColorizationModule

RECIPES = Path(__file__).parents[1] / "recipes"


def main() -> None:
    """Build, count, time and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipes", nargs="+", default=sorted(path.stem for path in RECIPES.glob("*.yaml")))
    parser.add_argument("--timed", nargs="*", help="recipes to time; by default all of them")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the results")
    arguments = parser.parse_args()

    rows = {name: prepared(name, torch.device(arguments.device)) for name in arguments.recipes}
    timed = rows.keys() if arguments.timed is None else arguments.timed
    seconds: dict[str, list[float]] = {name: [] for name in timed}
    for turn in range(arguments.turns + 1):
        for name in timed:
            start = time.perf_counter()
            rows[name][1]()
            # the first turn is a warm-up
            if turn:
                seconds[name].append(time.perf_counter() - start)
    for name in timed:
        rows[name][0]["seconds_a_step"] = statistics.median(seconds[name])
    table = [counts for counts, _ in rows.values()]

    where = torch.cuda.get_device_name() if arguments.device == "cuda" else f"{cpu()}, {os.cpu_count()} cores"
    about = {
        "command": shlex.join(["python", *sys.argv]),
        "machine": where,
        "versions": {name: version(name) for name in ("nircolor", "torch", "lightning")},
    }
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "networks.json").write_text(json.dumps(about | {"rows": table}, indent=2) + "\n")
    (arguments.output / "networks.md").write_text(markdown(about, table), encoding="utf-8")


def prepared(name: str, device: torch.device) -> tuple[dict[str, Any], Callable[[], None]]:
    """Return the counts of a recipe, and a function that runs one training step of it."""
    torch.manual_seed(0)
    recipe = read_recipe(RECIPES / f"{name}.yaml")
    training = training_class(recipe["model"]["class_path"])(**recipe["model"].get("init_args", {}))
    training._trainer = SimpleNamespace(global_step=0, max_steps=recipe["trainer"]["max_steps"])  # type: ignore[assignment]
    training.log = training.log_dict = lambda *_, **__: None  # type: ignore[method-assign,assignment]
    training.to(device).train()
    configured = training.configure_optimizers()
    optimizer: Any = configured["optimizer"] if isinstance(configured, dict) else configured
    batch = random_batch(training, recipe["data"]["batch_size"], recipe["data"]["tile_px"], device)

    def step() -> None:
        optimizer.zero_grad()
        torch.autograd.backward(training.training_step(batch, 0))
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize()

    counts = {
        "recipe": name,
        "network": training.hparams["architecture"],
        "parameters": sum(p.numel() for p in training.network.parameters()),
        "multiply_adds_a_pixel": multiply_adds(training, batch),
        "batch": f"{recipe['data']['batch_size']} of {recipe['data']['tile_px']}²",
    }
    return counts, step


def training_class(name: str) -> type[ColorizationModule]:
    """Find the task class that a recipe names."""
    found = ColorizationModule.__subclasses__()
    for training in found:
        found += training.__subclasses__()
    return next(training for training in found if training.__name__ == name)


def random_batch(training: ColorizationModule, size: int, side: int, device: torch.device) -> Batch:
    """Make noise in the shapes of a batch."""
    bands, context_px = training.network.bands, training.network.context_px
    batch: Batch = {
        "name": ["noise"] * size,
        "nir": torch.rand(size, bands, side, side, device=device),
        "rgb": torch.rand(size, 3, side, side, device=device),
        "valid": torch.ones(size, 1, side, side, device=device),
    }
    if context_px is not None:
        batch["context"] = torch.rand(size, bands + 4, context_px, context_px, device=device)
    return batch


def multiply_adds(training: ColorizationModule, batch: Batch) -> int:
    """Count the multiply-adds per pixel of convolutions and matrix products, for one training tile."""
    one = [batch[key][:1] for key in ("nir", "context") if key in batch]
    training.network.eval()
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        training.network(*one)
    training.network.train()
    return round(counter.get_total_flops() / 2 / (one[0].shape[2] * one[0].shape[3]))


def cpu() -> str:
    """Return the name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown processor"


def markdown(about: dict[str, Any], table: list[dict[str, Any]]) -> str:
    """Format the table as Markdown."""
    lines = [
        "# What the networks cost",
        "",
        f"`{about['command']}` on {about['machine']}; "
        + ", ".join(f"{name} {number}" for name, number in about["versions"].items())
        + ". Seconds are medians; the network alone, without reading images.",
        "",
        "| recipe | network | parameters | multiply-adds a pixel | batch | seconds a step |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['recipe']} | {row['network']} | {row['parameters']:,} | {row['multiply_adds_a_pixel']:,} | "
        f"{row['batch']} | {format(row['seconds_a_step'], '.3g') if 'seconds_a_step' in row else '–'} |"
        for row in table
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
