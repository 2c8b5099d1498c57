"""Train the networks of both papers on one GPU, all at the same time, within minutes.

    python benchmarks/gpu_training.py pack vcip2020 data/vcip2020 -o packed/
    python benchmarks/gpu_training.py pack sentinel2 recipes/unet-3bands.yaml -o packed/
    python benchmarks/gpu_training.py speed -o trained/
    python benchmarks/gpu_training.py train nirgnn packed/ --minutes 6 -o trained/
    python benchmarks/gpu_training.py train structure_aware packed/ --minutes 4 -o trained/

`pack` stores the pairs without loss in a few small files. The other commands need only PyTorch, NumPy,
Pillow and the networks of this package. `speed` compares the gradients of a graph convolution with those of
the direct formula, and times training steps. `train` trains all rows of a table for the number of steps that
fits into the time. On a GPU a step is captured as a CUDA graph, one for each row, and the graphs of all rows
run concurrently: networks of this size leave most of a GPU idle. Output: weights (`.pt`) of the NIR-GNN rows,
colorized test patches (`.npz`; `unpack` makes images of them) of the others, curves (CSV), a summary (JSON).
"""

import argparse
import csv
import io
import json
import time
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from gpu_data import FILES, LARGEST_STEPS, Batches, load_vcip2020, pack_sentinel2, pack_vcip2020, unpack
from gpu_rows import SSIM_FROM, TABLES, Row, Table
from gpu_run import Run, device_name, synchronize, timed
from gpu_speed import FORMS, measure

from nircolor.models.graph import graph_conv

# share of the time that is kept for loading, validation and saving
RESERVE = 0.1
# times at which a curve is read
POINTS = 25


def main() -> None:
    """Run one of the commands."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("pack", "speed", "train", "unpack"):
        command = commands.add_parser(name)
        if name in ("pack", "train"):
            tables = ("vcip2020", "sentinel2") if name == "pack" else tuple(TABLES)
            command.add_argument("which", choices=tables)
        if name != "speed":
            command.add_argument("data", type=Path)
        command.add_argument("-o", "--output", type=Path, required=True)
        if name in ("speed", "train"):
            command.add_argument("--device", default="cuda", type=torch.device)
        if name == "train":
            command.add_argument("--minutes", type=float, default=6)
            command.add_argument("--steps", type=int, help="instead of --minutes")
            command.add_argument("--width", type=int, help="of all networks, for a trial on a CPU")
            command.add_argument("--rates", type=float, nargs="*", help="compare learning rates instead")
            command.add_argument("--form", help="of graph convolutions, as `speed` names them")
            command.add_argument("--bfloat16", action="store_true", help="run NIR-GNN in bfloat16")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    # of float32, the GPU's matrix units keep 10 bits of the mantissa
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    if arguments.command == "pack":
        (pack_vcip2020 if arguments.which == "vcip2020" else pack_sentinel2)(arguments.data, arguments.output)
    elif arguments.command == "unpack":
        unpack(arguments.data, arguments.output)
    elif arguments.command == "speed":
        measure(arguments.device, arguments.output)
    else:
        train(arguments)


def train(arguments: argparse.Namespace) -> None:
    """Train all rows of a table and write the results."""
    begun = time.perf_counter()
    table, output = TABLES[arguments.which], arguments.output
    if arguments.bfloat16:
        table = table._replace(bfloat16=True)
    if arguments.form is not None:
        graph_conv.sum_edges = FORMS[arguments.form]  # type: ignore[attr-defined]
    comparing = bool(arguments.rates)
    load = partial(load_vcip2020, hold_back=True) if comparing else table.load
    patches = load(arguments.data, arguments.device)
    rows = chosen_rows(table, arguments.width, arguments.rates)
    batches = {row.seed: Batches(patches, *table.batch, row.seed) for row in rows.values()}
    runs = prepared([Run(name, row, table, batches[row.seed]) for name, row in rows.items()])
    print(f"{len(runs)} rows ready after {time.perf_counter() - begun:.0f} s", flush=True)

    seconds = seconds_per_round(runs, arguments.device)
    left = arguments.minutes * 60 * (1 - RESERVE) - (time.perf_counter() - begun)
    steps = arguments.steps or min(LARGEST_STEPS, max(1, int(left / seconds)))
    summary = {
        "device": device_name(arguments.device),
        "torch": torch.__version__,
        "steps": steps,
        "ms_per_round": 1e3 * seconds,
        "batch": table.batch,
        "bfloat16": table.bfloat16,
        "form": arguments.form,
    }
    print(summary, flush=True)
    take_steps(runs, steps, 1 if comparing else POINTS, output / f"{arguments.which}_curves.csv")
    summary["rows"] = {
        run.name: {
            "architecture": run.row.architecture,
            "arguments": run.row.arguments,
            "seed": run.row.seed,
            "rates": run.row.rates,
            "parameters": sum(p.numel() for p in run.colour.parameters()),
            **run.curve[-1],
        }
        for run in runs
    }
    summary["seconds"] = time.perf_counter() - begun
    (output / f"{arguments.which}.json").write_text(json.dumps(summary, indent=1) + "\n")
    print(json.dumps(summary, indent=1))
    if not comparing:
        (save_weights if table.weights else save_colorized)(runs, output)


def chosen_rows(table: Table, width: int | None, rates: Sequence[float] | None) -> dict[str, Row]:
    """Return the rows to train: with another width, or several times with other learning rates."""
    rows = table.rows
    if width:
        rows = {n: row._replace(arguments=row.arguments | {"width": width}) for n, row in rows.items()}
    if rates:
        pairs = [(name, row, rate) for name, row in rows.items() for rate in rates]
        rows = {f"{name}-{rate:g}": row._replace(rates=(rate, rate / 100)) for name, row, rate in pairs}
    return rows


def prepared(runs: Sequence[Run]) -> list[Run]:
    """Capture the steps of runs; return those that can take one."""
    ready = []
    for run in runs:
        try:
            run.capture()
            ready.append(run)
        # one row that fails must not take the others with it
        except Exception as error:
            print(f"{run.name}: {error!r}"[:2000], flush=True)
            synchronize(run.device)
    if not ready:
        raise SystemExit("expected a row that can be trained, got none")
    return ready


def seconds_per_round(runs: Sequence[Run], device: torch.device) -> float:
    """Time a step of all rows, early and late in the run; the weights are left as they were."""
    seconds = 0.0
    for late, share in ((False, SSIM_FROM), (True, 1 - SSIM_FROM)):
        seconds += share * timed(device, partial(one_round, runs, late))
    for run in runs:
        run.restart()
    return seconds


def take_steps(runs: Sequence[Run], steps: int, count: int, curves: Path) -> None:
    """Train for a number of steps, and write ``count`` points of each curve as CSV."""
    for run in runs:
        run.plan(steps)
    points = {max(1, round(steps * (i + 1) / count)) for i in range(count)}
    with curves.open("w", newline="") as file:
        writer = csv.DictWriter(file, ("row", "step", "loss", "val_psnr_db"))
        writer.writeheader()
        for step in range(steps):
            one_round(runs, step >= SSIM_FROM * steps)
            if step + 1 in points:
                synchronize(runs[0].device)
                for run in runs:
                    run.read(step + 1)
                    writer.writerow(run.curve[-1])
                file.flush()
                read = [run.curve[-1].get("val_psnr_db", run.curve[-1]["loss"]) for run in runs]
                print(step + 1, [round(value, 4) for value in read], flush=True)


def save_weights(runs: Sequence[Run], output: Path) -> None:
    """Store the weights of all rows."""
    for run in runs:
        weights = {key: value.cpu() for key, value in run.colour.state_dict().items()}
        torch.save({"arguments": run.row.arguments, "weights": weights}, output / f"{run.name}.pt")


def one_round(runs: Iterable[Run], late: bool) -> None:
    """Take one step of each row."""
    for run in runs:
        run.advance(late)


def save_colorized(runs: Sequence[Run], output: Path) -> None:
    """Store the colorized test patches of all rows as WebP without loss, in `FILES` archives."""
    from PIL import Image

    for part in range(FILES):
        encoded = {}
        for run in runs[part::FILES]:
            rgb = run.colorize(run.batches.patches.test, 64).mul(255).round().byte().permute(0, 2, 3, 1).cpu()
            for name, image in zip(run.batches.patches.names, rgb.numpy(), strict=True):
                stream = io.BytesIO()
                Image.fromarray(image).save(stream, "WEBP", lossless=True, quality=50, method=2)
                encoded[f"{run.name}/{name}"] = np.frombuffer(stream.getvalue(), np.uint8)
        np.savez(output / f"colorized_{part}.npz", **encoded)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
