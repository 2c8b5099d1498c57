"""One row in training for `gpu_training`: its steps are captured as CUDA graphs on a stream of its own."""

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from gpu_data import LARGEST_STEPS, Batches
from gpu_rows import Row, Table, squared, with_edges
from torch import Tensor, nn

from nircolor.models import Network, build
from nircolor.models.sshape import EdgeNet

# calls that are timed together
TIMED_CALLS = 40


class Run:
    """A row in training: its network, optimizer, stream and CUDA graphs."""

    def __init__(self, name: str, row: Row, table: Table, batches: Batches) -> None:
        self.name, self.row, self.table, self.batches = name, row, table, batches
        self.device = batches.patches.train.device
        torch.manual_seed(row.seed)
        network: nn.Module = build(row.architecture, row.arguments)
        if row.architecture == "sshape":
            network = nn.Sequential(network, EdgeNet())
        self.network = network.to(self.device).train()
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.initial = {key: value.clone() for key, value in self.network.state_dict().items()}
        self.rate = torch.tensor(row.rates[0], device=self.device)
        on_gpu = self.device.type == "cuda"
        self.optimizer = torch.optim.Adam(
            self.network.parameters(), self.rate, row.betas, capturable=on_gpu, fused=on_gpu or None
        )
        self.schedule = torch.zeros(LARGEST_STEPS, device=self.device)
        self.done = torch.zeros(1, dtype=torch.int64, device=self.device)
        self.total = torch.zeros((), device=self.device)
        self.stream = torch.cuda.Stream() if on_gpu else None  # type: ignore[no-untyped-call]
        self.graphs: dict[bool, Any] = {}
        self.curve: list[dict[str, Any]] = []

    @property
    def colour(self) -> Network:
        """The network from NIR to colour."""
        network = next(self.network.children()) if self.row.architecture == "sshape" else self.network
        assert isinstance(network, Network)
        return network

    def cast(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.table.bfloat16)

    def step(self, late: bool) -> None:
        """Take one step; everything that changes is a tensor, so that it can be captured."""
        self.rate.copy_(self.schedule[self.done].squeeze(0))
        nir, rgb = self.batches.draw(self.done)
        nir = nir[:, self.row.bands].contiguous(memory_format=torch.channels_last)
        with self.cast():
            outputs = self.row.outputs(self.network, nir, rgb)
        loss = self.row.loss(tuple(out.float() for out in outputs), nir, rgb, late)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.total += loss.detach()
        self.done += 1

    def capture(self) -> None:
        """Capture the steps early and late in the run as CUDA graphs; the weights are left as they were."""
        phases = (False, True) if self.row.loss not in (squared, with_edges) else (False,)
        with self.on_stream():
            for late in phases:
                for _ in range(3):
                    self.step(late)
        if self.stream is not None:
            torch.cuda.synchronize()
            try:
                for late in phases:
                    graph = torch.cuda.CUDAGraph()
                    self.optimizer.zero_grad(set_to_none=True)
                    with torch.cuda.graph(graph, stream=self.stream):
                        self.step(late)
                    self.graphs[late] = graph
            # an operation that cannot be captured
            except Exception as error:
                print(f"{self.name}: without a graph, {error!r}"[:2000], flush=True)
                self.graphs = {}
                torch.cuda.synchronize()
        self.restart()

    def restart(self) -> None:
        """Restore the first weights and forget all steps taken; graphs refer to these tensors."""
        with torch.no_grad():
            for key, value in self.network.state_dict().items():
                value.copy_(self.initial[key])
            for moments in self.optimizer.state.values():
                for value in moments.values():
                    value.zero_()
            for value in (self.done, self.total):
                value.zero_()

    def plan(self, steps: int) -> None:
        """Set the learning rates of all steps."""
        at = torch.arange(LARGEST_STEPS) / steps
        first, last = self.row.rates
        if self.table.cosine:
            rates = last + (first - last) * (0.5 + 0.5 * torch.cos(math.pi * at.clamp(max=1)))
        else:
            rates = first * (last / first) ** at
        self.schedule.copy_(rates)

    def on_stream(self) -> AbstractContextManager[Any]:
        return nullcontext() if self.stream is None else torch.cuda.stream(self.stream)

    def advance(self, late: bool) -> None:
        """Take one step by the captured graph."""
        with self.on_stream():
            graph = self.graphs.get(late, self.graphs.get(False))
            self.step(late) if graph is None else graph.replay()

    @torch.no_grad()
    def colorize(self, images: Tensor, at_once: int) -> Tensor:
        """Colorize stored images (N, bands + 3, h, w): (N, 3, h, w) in [0, 1]."""
        self.network.eval()
        parts = []
        with self.on_stream():
            for part in images.split(at_once):  # type: ignore[no-untyped-call]
                nir = (part.float() / self.batches.patches.scales)[:, :-3][:, self.row.bands]
                with self.cast():
                    rgb = self.colour(nir.contiguous(memory_format=torch.channels_last))
                parts.append(rgb.float().clamp(0, 1))
        self.network.train()
        return torch.cat(parts)

    def read(self, steps: int) -> None:
        """Add a point to the curve: mean loss since the last one, and PSNR of the validation images."""
        taken = steps - (self.curve[-1]["step"] if self.curve else 0)
        point = {"row": self.name, "step": steps, "loss": float(self.total) / max(1, taken)}
        self.total.zero_()
        images = self.batches.patches.val
        if len(images):
            rgb = self.colorize(images, 64 if self.batches.side_px == images.shape[3] else 8)
            truth = (images.float() / self.batches.patches.scales)[:, -3:]
            error = (rgb - truth).square().mean((1, 2, 3)).clamp(min=1e-10)
            point["val_psnr_db"] = float((-10 * error.log10()).mean())
        self.curve.append(point)


def timed(device: torch.device, call: Callable[[], object], rounds: int = TIMED_CALLS) -> float:
    """Return the mean duration of a call, in seconds, of several that follow each other."""
    for _ in range(3):
        call()
    synchronize(device)
    begun = time.perf_counter()
    calls = rounds if device.type == "cuda" else 1
    for _ in range(calls):
        call()
    synchronize(device)
    return (time.perf_counter() - begun) / calls


def synchronize(device: torch.device) -> None:
    """Wait for the GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def device_name(device: torch.device) -> str:
    """Return the name of the GPU, or the device's type."""
    return torch.cuda.get_device_name() if device.type == "cuda" else device.type
