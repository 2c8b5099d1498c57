"""Functions that the benchmarks of networks share: timing, memory, results files."""

import argparse
import json
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import torch
from speed import machine

# timed calls of each function: at most, at least, and the total time after which no more follow
ROUNDS, FEWEST_ROUNDS, PATIENCE_S = 9, 3, 6
# a function that takes longer than this needs no warm-up call
SLOW_S = 2

Result = TypeVar("Result")


def parse_arguments(description: str) -> tuple[Path, torch.device]:
    """Parse the command line: the folder for the results and the device."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the results")
    parser.add_argument("--device", type=torch.device, default="cpu")
    arguments = parser.parse_args()
    return arguments.output, arguments.device


def environment(device: torch.device, *packages: str) -> dict[str, Any]:
    """Collect the command, the machine and the versions of packages."""
    return {
        "command": shlex.join(["python", *sys.argv]),
        "machine": torch.cuda.get_device_name() if device.type == "cuda" else machine(),
        "versions": {p: v for p in ("nircolor", "torch", *packages) if (v := installed(p))},
    }


def installed(package: str) -> str | None:
    """Return the version of a package, or None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def write(folder: Path, name: str, results: dict[str, Any], text: str) -> None:
    """Write results as JSON and Markdown, and print them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", "utf-8")
    (folder / f"{name}.md").write_text(text, encoding="utf-8")
    print(text)


def in_rounds(calls: Mapping[str, Callable[[], object]], device: torch.device) -> dict[str, float]:
    """Time functions in turns: median seconds of each. Slow ones are called less often, without warm-up."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for name, call in calls.items():
        if (first := _seconds(call, device)) > SLOW_S:
            times[name].append(first)
    for _ in range(ROUNDS):
        for name, call in calls.items():
            if len(times[name]) < FEWEST_ROUNDS or sum(times[name]) < PATIENCE_S:
                times[name].append(_seconds(call, device))
    return {name: statistics.median(seconds) for name, seconds in times.items()}


def _seconds(call: Callable[[], object], device: torch.device) -> float:
    synchronize(device)
    start = time.perf_counter()
    call()
    synchronize(device)
    return time.perf_counter() - start


def synchronize(device: torch.device) -> None:
    """Wait until a GPU has finished all its work."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def in_fresh_process(call: Callable[..., Result], *arguments: Any) -> Result:
    """Call a function of a module in a new process and return its result."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(call, *arguments).result()


def growth_mb(call: Callable[[], object], device: torch.device) -> float:
    """Measure the peak of additional memory during a call, in MB (on a CPU as Linux reports it)."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated() / 2**20
    else:
        # resets the peak
        Path("/proc/self/clear_refs").write_text("5")
        before = process_mb("VmRSS")
    call()
    return peak_mb(device) - before


def peak_mb(device: torch.device) -> float:
    """Return the peak memory of the process since its start, or since `growth_mb` reset it, in MB."""
    return torch.cuda.max_memory_allocated() / 2**20 if device.type == "cuda" else process_mb("VmHWM")


def process_mb(what: str) -> float:
    """Return the memory of this process in MB: VmRSS is the current value, VmHWM the peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(what))


def table(heading: str, rows: Iterable[Iterable[str]]) -> list[str]:
    """Format a table as lines of Markdown."""
    rule = "|---" * (heading.count("|") + 1) + "|"
    return [f"| {heading} |", rule, *(f"| {' | '.join(cells)} |" for cells in rows)]
