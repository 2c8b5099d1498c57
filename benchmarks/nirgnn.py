"""Time NIR-GNN at full width: a training step and its parts, eq. (1) as printed, the CNN, and whole images.

    python benchmarks/nirgnn.py -o benchmarks/results/nirgnn_speed

Writes nirgnn_speed.md and nirgnn_speed.json. Takes a quarter of an hour on two cores (or `--device cuda`),
and 16 GB of memory for eq. (1). A step is forward pass, mean squared error, backward pass and Adam on noise,
at the paper's batch of 10 patches of 42². Images are smooth fields with noise, which a network with random
weights colorizes as a whole, without tiles. Peak memory is measured in a new process each.
"""

import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
from measuring import (
    environment,
    growth_mb,
    in_fresh_process,
    in_rounds,
    parse_arguments,
    peak_mb,
    synchronize,
    table,
    write,
)
from speed import median, page
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from nircolor.models import nirgnn
from nircolor.models.cnn import Cnn
from nircolor.models.graph import edge_sums, graph_conv, knn
from nircolor.models.graph.edge_sums import in_blocks, sum_edges
from nircolor.models.graph.edges import EdgeNetwork, direct
from nircolor.models.graph.knn import Graph, nearest
from nircolor.models.nirgnn import NirGnn

PATCHES, PATCH_PX, STEPS = 10, 42, 300_000
PROFILED_STEPS = 3
# sides of the images, and how often each is colorized
IMAGES_PX = {256: 3, 1024: 1}
OURS, PLAIN, DIRECT, CNN = "NIR-GNN", "NIR-GNN without Numba", "NIR-GNN by eq. (1)", "CNN"


def main() -> None:
    """Measure, print and write all results."""
    output, device = parse_arguments(__doc__)
    results = environment(device, "numba", "numpy") | {
        "steps": steps(device),
        "profiles": {name: profile(name, device) for name in (OURS, PLAIN)},
        "images": [in_fresh_process(colorized, side, device) for side in IMAGES_PX],
    }
    write(output, "nirgnn_speed", results, report(results))


class Batch(NamedTuple):
    """NIR (N, 1, h, w) and colour (N, 3, h, w)."""

    nir: Tensor
    rgb: Tensor


def noise(images: int, side_px: int, device: torch.device) -> Batch:
    """Make a batch of noise."""
    torch.manual_seed(0)
    return Batch(*(torch.rand(images, bands, side_px, side_px, device=device) for bands in (1, 3)))


def stepper(name: str, device: torch.device) -> Callable[[Batch], None]:
    """Make a function that runs one training step of a new network."""
    torch.manual_seed(0)
    network = (Cnn() if name == CNN else NirGnn()).to(device).train()
    adam = torch.optim.Adam(network.parameters(), 1e-4)

    def step(batch: Batch) -> None:
        adam.zero_grad()
        with {DIRECT: by_formula, PLAIN: without_numba}.get(name, nullcontext)():
            F.mse_loss(network(batch.nir), batch.rgb).backward()  # type: ignore[no-untyped-call]
        adam.step()
        synchronize(device)

    return step


def by_formula() -> AbstractContextManager[Any]:
    """Compute graph convolutions by eq. (1) as printed."""
    return patch.object(graph_conv, "sum_edges", partial(in_blocks, form=direct))


@contextmanager
def without_numba() -> Iterator[None]:
    """Run graph convolutions and the search as without Numba."""
    with (
        patch.object(edge_sums, "_sum_on_cpu", None),
        patch.object(knn, "knn_kernels", None),
        warnings.catch_warnings(action="ignore"),
    ):
        yield


def steps(device: torch.device) -> list[dict[str, Any]]:
    """Time a training step of each network, in turns."""
    batch = noise(PATCHES, PATCH_PX, device)
    calls = {name: partial(stepper(name, device), batch) for name in (OURS, PLAIN, DIRECT, CNN)}
    seconds = in_rounds(calls, device)
    return [
        {
            "network": name,
            "seconds": seconds[name],
            "direct_over_it": seconds[DIRECT] / seconds[name],
            "images_a_second": PATCHES / seconds[name],
            "hours_for_all_steps": STEPS * seconds[name] / 3600,
            "extra_peak_mb": in_fresh_process(growth_of_step_mb, name, device),
        }
        for name in calls
    ]


def growth_of_step_mb(name: str, device: torch.device) -> float:
    """Measure the memory of a step beyond weights, Adam's moments and the batch, in MB."""
    step, batch = stepper(name, device), noise(PATCHES, PATCH_PX, device)
    step(noise(2, 12, device))
    return growth_mb(lambda: step(batch), device)


class Clock:
    """Measures seconds by part of a step."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        synchronize(self.device)
        start = time.perf_counter()
        yield
        synchronize(self.device)
        self.seconds[name] += time.perf_counter() - start

    def both(self, forward: str, backward: str, call: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
        """Call a function of tensors; its time and the time of its gradient are added to two parts."""
        out: Tensor = _Timed.apply(self, forward, backward, call, *tensors)  # type: ignore[no-untyped-call]
        return out


class _Timed(torch.autograd.Function):
    """Runs a function so that its gradient can be timed separately."""

    @staticmethod
    def forward(
        ctx: Any, clock: Clock, forward: str, backward: str, call: Callable[..., Tensor], *tensors: Tensor
    ) -> Tensor:
        ctx.clock, ctx.part = clock, backward
        ctx.inputs = [tensor.detach().requires_grad_(tensor.requires_grad) for tensor in tensors]
        with torch.enable_grad(), clock.part(forward):
            ctx.out = call(*ctx.inputs)
        return ctx.out.detach()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        with ctx.clock.part(ctx.part):
            found = iter(torch.autograd.grad(ctx.out, [t for t in ctx.inputs if t.requires_grad], grad))
        return None, None, None, None, *(next(found) if t.requires_grad else None for t in ctx.inputs)


def profile(name: str, device: torch.device) -> dict[str, Any]:
    """Measure the mean seconds of the parts of a step, which add up to the step."""
    step, batch, clock = stepper(name, device), noise(PATCHES, PATCH_PX, device), Clock(device)
    step(batch)
    with timed(clock):
        for _ in range(PROFILED_STEPS):
            with clock.part("step"):
                step(batch)
    seconds = {name: total / PROFILED_STEPS for name, total in clock.seconds.items()}
    whole = seconds.pop("step")
    seconds["activations, sums, loss, Adam"] = whole - sum(seconds.values())
    return {"seconds": whole, "parts": seconds}


@contextmanager
def timed(clock: Clock) -> Iterator[None]:
    """Time search, sums over edges, convolutions (with padding) and batch norm."""
    convolve, normalise = nn.Conv2d._conv_forward, F.batch_norm

    def search(*arguments: Any) -> Graph:
        with clock.part("search for neighbours"):
            return nearest(*arguments)

    def sums(h: Tensor, graph: Graph, net: EdgeNetwork) -> Tensor:
        def call(h: Tensor, *weights: Tensor) -> Tensor:
            return sum_edges(h, graph, EdgeNetwork._make([*weights, net.decay]))

        return clock.both("sums over edges", "sums over edges, backward", call, h, *net[:-1])

    def convolution(self: nn.Conv2d, h: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        def call(h: Tensor, weight: Tensor, *bias: Tensor) -> Tensor:
            return convolve(self, h, weight, *(bias or (None,)))

        part = "convolutions {0}×{0}".format(*self.kernel_size)
        return clock.both(part, part, call, h, weight, *([] if bias is None else [bias]))

    def norm(h: Tensor, mean: Tensor, variance: Tensor, weight: Tensor, bias: Tensor, *rest: Any) -> Tensor:
        def call(h: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
            return normalise(h, mean, variance, weight, bias, *rest)

        return clock.both("batch norm", "batch norm", call, h, weight, bias)

    with ExitStack() as patches:
        patches.enter_context(patch.object(nirgnn, "nearest", search))
        patches.enter_context(patch.object(graph_conv, "sum_edges", sums))
        patches.enter_context(patch.object(nn.Conv2d, "_conv_forward", convolution))
        patches.enter_context(patch.object(F, "batch_norm", norm))
        yield


def colorized(side_px: int, device: torch.device) -> dict[str, float]:
    """Colorize a whole image in evaluation mode: seconds, and peak memory of the process."""
    torch.manual_seed(0)
    network = NirGnn().to(device).eval()
    nir = texture(side_px).to(device)

    @torch.inference_mode()
    def colorize(nir: Tensor) -> None:
        network(nir)
        synchronize(device)

    colorize(nir[..., :64, :64])
    seconds = median(lambda: colorize(nir), IMAGES_PX[side_px])
    return {
        "side_px": side_px,
        "seconds": seconds,
        "megapixels_a_second": side_px**2 / 1e6 / seconds,
        "peak_mb": peak_mb(device),
    }


def texture(side_px: int) -> Tensor:
    """Make smooth fields with noise, (1, 1, side, side)."""
    torch.manual_seed(0)
    fields = F.interpolate(torch.rand(1, 1, side_px // 32, side_px // 32), side_px, mode="bilinear")
    return 0.8 * fields + 0.1 * torch.rand(fields.shape)


def report(results: dict[str, Any]) -> str:
    """Format the results as Markdown."""
    profiles = results["profiles"]
    facts = {
        "batch": f"{PATCHES} of {PATCH_PX}², the whole patch searched for 8 neighbours",
        "images": "searched in a window of 49 px, random weights, not cut into tiles",
    }
    by_network = table(
        f"network | seconds a step | × eq. (1) | images/s | hours for {STEPS:,} steps | extra peak, MB",
        (
            (
                row["network"],
                f"{row['seconds']:.3g}",
                f"{row['direct_over_it']:.3g}",
                f"{row['images_a_second']:.3g}",
                f"{row['hours_for_all_steps']:.3g}",
                f"{row['extra_peak_mb']:,.0f}",
            )
            for row in results["steps"]
        ),
    )
    by_part = table(
        f"part of a step, seconds and share | {' | '.join(profiles)}",
        (
            (
                part,
                *(
                    f"{p['parts'][part]:.3g} ({p['parts'][part] / p['seconds']:.0%})"
                    for p in profiles.values()
                ),
            )
            for part in profiles[OURS]["parts"]
        ),
    )
    by_size = table(
        "image | seconds | megapixels/s | peak of the process, MB",
        (
            (
                f"{row['side_px']:,}²",
                f"{row['seconds']:.3g}",
                f"{row['megapixels_a_second']:.3g}",
                f"{row['peak_mb']:,.0f}",
            )
            for row in results["images"]
        ),
    )
    title = page("NIR-GNN's speed", results, facts)
    return "\n".join([title, *by_network, "", *by_part, "", *by_size, ""])


if __name__ == "__main__":
    main()
