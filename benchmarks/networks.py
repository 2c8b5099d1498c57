"""Cost of the networks of the recipes: parameters, multiply-adds per pixel, seconds per training step.

    python benchmarks/networks.py -o benchmarks/results/networks

Writes networks.md and networks.json. A step is forward pass, loss, backward pass and optimizer on random
images at the recipe's batch size, on the CPU (or `--device cuda`). Recipes are timed in turns; the result is
the median of all turns. Recipes of the papers take minutes per step on a CPU: `--timed` selects the recipes
to time.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from measuring import environment, synchronize, write
from torch.utils.flop_counter import FlopCounterMode

import nircolor.training.tasks  # noqa: F401 (defines every task)
from nircolor.pairs.recipe import read_recipe
from nircolor.training.module import Batch, ColorizationModule

RECIPES = Path(__file__).parents[1] / "recipes"


def main() -> None:
    """Measure, print and write all results."""
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

    results = environment(torch.device(arguments.device), "lightning") | {"rows": table}
    write(arguments.output, "networks", results, report(results))


def prepared(name: str, device: torch.device) -> tuple[dict[str, Any], Callable[[], None]]:
    """Return the counts of a recipe, and a function that runs one training step of it."""
    torch.manual_seed(0)
    recipe = read_recipe(RECIPES / f"{name}.yaml")
    task = task_class(recipe["model"]["class_path"])(**recipe["model"].get("init_args", {}))
    task._trainer = SimpleNamespace(global_step=0, max_steps=recipe["trainer"]["max_steps"])  # type: ignore[assignment]
    task.log = task.log_dict = lambda *_, **__: None  # type: ignore[method-assign,assignment]
    task.to(device).train()
    configured = task.configure_optimizers()
    optimizer: Any = configured["optimizer"] if isinstance(configured, dict) else configured
    batch = random_batch(task, recipe["data"]["batch_size"], recipe["data"]["tile_px"], device)

    def step() -> None:
        optimizer.zero_grad()
        torch.autograd.backward(task.training_step(batch, 0))
        optimizer.step()
        synchronize(device)

    counts = {
        "recipe": name,
        "network": task.hparams["architecture"],
        "parameters": sum(p.numel() for p in task.network.parameters()),
        "multiply_adds_a_pixel": multiply_adds(task, batch),
        "batch": f"{recipe['data']['batch_size']} of {recipe['data']['tile_px']}²",
    }
    return counts, step


def task_class(name: str) -> type[ColorizationModule]:
    """Find the task class that a recipe names."""
    found = ColorizationModule.__subclasses__()
    for task in found:
        found += task.__subclasses__()
    return next(task for task in found if task.__name__ == name)


def random_batch(task: ColorizationModule, size: int, side: int, device: torch.device) -> Batch:
    """Make noise in the shapes of a batch."""
    bands, context_px = task.network.bands, task.network.context_px
    batch: Batch = {
        "name": ["noise"] * size,
        "nir": torch.rand(size, bands, side, side, device=device),
        "rgb": torch.rand(size, 3, side, side, device=device),
        "valid": torch.ones(size, 1, side, side, device=device),
    }
    if context_px is not None:
        batch["context"] = torch.rand(size, bands + 4, context_px, context_px, device=device)
    return batch


def multiply_adds(task: ColorizationModule, batch: Batch) -> int:
    """Count the multiply-adds per pixel of convolutions and matrix products, for one training tile."""
    one = [batch[key][:1] for key in ("nir", "context") if key in batch]
    task.network.eval()
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        task.network(*one)
    task.network.train()
    return round(counter.get_total_flops() / 2 / (one[0].shape[2] * one[0].shape[3]))


def report(results: dict[str, Any]) -> str:
    """Format the results as Markdown."""
    lines = [
        "# Cost of the networks",
        "",
        f"`{results['command']}` on {results['machine']}; "
        + ", ".join(f"{name} {number}" for name, number in results["versions"].items())
        + ". Seconds are medians; the network alone, without reading images.",
        "",
        "| recipe | network | parameters | multiply-adds a pixel | batch | seconds a step |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['recipe']} | {row['network']} | {row['parameters']:,} | {row['multiply_adds_a_pixel']:,} | "
        f"{row['batch']} | {format(row['seconds_a_step'], '.3g') if 'seconds_a_step' in row else '–'} |"
        for row in results["rows"]
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
