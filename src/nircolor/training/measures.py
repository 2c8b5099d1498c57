"""What a model costs: multiply-adds and memory a pixel, measured on the network and its written file."""

import multiprocessing
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from nircolor.arrays import Floats
from nircolor.modelfile import Card, open_session
from nircolor.models import Network
from nircolor.models.loading import load_network

# sides of two tiles: the larger, the less weighs what does not grow with their area; but networks that run in
# PyTorch are slow, some minutes a megapixel
_COUNTED_PX = {"onnxruntime": (256, 512), "torch": (96, 192)}
_RUN_PX = {"onnxruntime": (256, 1024), "torch": (128, 256)}


def random_inputs(card: Card, height: int, width: int, batch: int = 1) -> list[Floats]:
    """A network's inputs, the same each time: ``nir`` and, where the card asks for it, ``context``."""
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
    """Run a written model file as its engine will: (N, 3, h, w). Its name need not say its format."""
    if card.engine == "onnxruntime":
        session, _ = open_session(path)
        return session.run(None, dict(zip(("nir", "context"), inputs, strict=False)))[0]
    network, _ = load_network(path)
    with torch.inference_mode():
        return network(*map(torch.from_numpy, inputs)).numpy()


def multiply_adds_per_px(network: Network, card: Card) -> float:
    """Of the part that grows with the image: the difference between two tile sizes.

    Convolutions and matrix products are counted, which is nearly all that most networks do. They are counted
    in a network without numbers: what runs on other threads or as machine code would escape.
    """
    shapes = deepcopy(network).to("meta")

    def count(side: int) -> int:
        counter = FlopCounterMode(display=False)
        with counter, torch.no_grad():
            shapes(*(torch.from_numpy(array).to("meta") for array in random_inputs(card, side, side)))
        return counter.get_total_flops() // 2

    small, large = map(card.size.fit, _COUNTED_PX[network.engine])
    return round((count(large) - count(small)) / (large**2 - small**2), 1)


def bytes_per_px(path: Path, card: Card) -> float:
    """Peak memory of a tile over that of a small one, per pixel, each in a process of its own."""
    small, large = map(card.size.fit, _RUN_PX[card.engine])
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        # the first compiles what the others find compiled
        _, *peaks = pool.map(_Peak(path, card), [small, small, large], chunksize=1)
    # a small network hides in the noise; the tile and its colour alone are four floats
    return max(16.0, round((peaks[1] - peaks[0]) / (large**2 - small**2), 1))


class _Peak:
    """Peak resident memory in bytes of one call at a side; a class since closures do not travel."""

    def __init__(self, path: Path, card: Card) -> None:
        self.path, self.card = path, card

    def __call__(self, side: int) -> int:
        run_file(self.path, self.card, random_inputs(self.card, side, side))
        return _peak_bytes()


def _peak_bytes() -> int:
    status = Path("/proc/self/status")
    if status.exists():
        # unlike getrusage's, this peak begins anew with the process: ours was begun by one that holds PyTorch
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) << 10
    # macOS; not on Windows, where training is for WSL
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
