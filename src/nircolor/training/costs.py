"""Measure the multiply-adds and the memory that a model needs per pixel."""

import pickle
import subprocess
import sys
from collections.abc import Sequence
from copy import deepcopy
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from nircolor.arrays import Floats
from nircolor.modelfile import Card, open_session
from nircolor.models import Network
from nircolor.models.loading import load_network

# Sides of two tiles by engine. Larger tiles give better estimates, but networks that run in PyTorch need
# minutes per megapixel.
_COUNTED_PX = {"onnxruntime": (256, 512), "torch": (96, 192)}
_RUN_PX = {"onnxruntime": (256, 1024), "torch": (128, 256)}


def random_inputs(card: Card, height: int, width: int, batch: int = 1) -> list[Floats]:
    """Return random inputs of a network, the same at each call.

    Returns:
        ``nir`` (batch, bands, height, width) and, where the card has a ``context``, ``context``
        (batch, bands + 4, s, s), both in [0, 1].
    """
    rng = np.random.default_rng(0)
    bands = len(card.bands)
    inputs = [rng.random((batch, bands, height, width), np.float32)]
    if card.context is not None:
        shape = card.context.size_px, card.context.size_px
        view = rng.random((batch, bands, *shape), np.float32)
        edges = np.array([0.1, 0.6, 0.2, 0.9], np.float32)[:, None, None]
        inputs.append(np.concatenate([view, np.broadcast_to(edges, (batch, 4, *shape))], 1))
    return inputs


def run_file(path: Path, card: Card, inputs: Sequence[Floats]) -> Floats:
    """Run a model file with the engine of its card; returns the network's output (N, 3 or 4, h, w)."""
    if card.engine == "onnxruntime":
        session, _ = open_session(path)
        return session.run(None, dict(zip(("nir", "context"), inputs, strict=False)))[0]
    network, _ = load_network(path)
    with torch.inference_mode():
        return network(*map(torch.from_numpy, inputs)).numpy()


def multiply_adds_per_px(network: Network, card: Card, sides_px: tuple[int, int] | None = None) -> float:
    """Count multiply-adds per pixel.

    The difference between the counts of two tile sizes is divided by the difference between their areas.
    Convolutions and matrix products are counted. The network is moved to the meta device, since the counter
    misses operations in other threads and in compiled code.

    Args:
        network: The network.
        card: Its card, which defines the inputs and their possible sizes.
        sides_px: Sides of the two tiles. Default: the largest that take a reasonable time with the engine.
    """
    shapes = deepcopy(network).to("meta")

    def count(side: int) -> int:
        counter = FlopCounterMode(display=False)
        with counter, torch.no_grad():
            shapes(*(torch.from_numpy(array).to("meta") for array in random_inputs(card, side, side)))
        return counter.get_total_flops() // 2

    small, large = map(card.size.fit, sides_px or _COUNTED_PX[network.engine])
    return round((count(large) - count(small)) / (large**2 - small**2), 1)


def bytes_per_px(path: Path, card: Card) -> float:
    """Measure memory per pixel: the difference in peak memory of two tile sizes, each in a new process."""
    small, large = map(card.size.fit, _RUN_PX[card.engine])
    # the first run compiles machine code that the others reuse
    _, *peaks = (_peak(path, card, side) for side in (small, small, large))
    # at least four floats, for the tile and its colour: the memory of small networks cannot be measured
    return max(16.0, round((peaks[1] - peaks[0]) / (large**2 - small**2), 1))


# Not `multiprocessing`: its new processes import the user's script, which would train and export once more.
# Ctrl-C reaches this process too, which should end without a traceback.
_PROGRAM = """
import pickle, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
sys.path = pickle.load(sys.stdin.buffer)
print(pickle.load(sys.stdin.buffer)())
"""


def _peak(path: Path, card: Card, side: int) -> int:
    """Peak resident memory in bytes of a new process that runs the model on one tile."""
    task = pickle.dumps(sys.path) + pickle.dumps(partial(_run_and_measure, path, card, side))
    command = [sys.executable, "-c", _PROGRAM]
    return int(subprocess.run(command, input=task, stdout=subprocess.PIPE, check=True).stdout.split()[-1])


def _run_and_measure(path: Path, card: Card, side: int) -> int:
    run_file(path, card, random_inputs(card, side, side))
    return _peak_bytes()


def _peak_bytes() -> int:
    status = Path("/proc/self/status")
    if status.exists():
        # getrusage's peak would include that of the parent process
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) << 10
    # macOS; Windows is not supported here, except in WSL
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
