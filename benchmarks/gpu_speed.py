"""Time training steps of NIR-GNN on a GPU, and check its gradients and neighbours, for `gpu_training`."""

import json
from collections.abc import Callable
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from gpu_data import Batches, Patches
from gpu_rows import TABLES, Row, colour, squared
from gpu_run import Run, device_name, synchronize, timed
from torch import Tensor
from torch.nn import functional as F

from nircolor.models.graph import EdgeNetwork, GraphConv, edge_sums, graph_conv, nearest
from nircolor.models.graph.edge_sums import in_blocks
from nircolor.models.graph.edges import direct


def measure(device: torch.device, output: Path) -> None:
    """Time training steps and compare gradients."""
    results: dict[str, Any] = {"device": device_name(device), "torch": torch.__version__}
    a = (
        torch.randn(8192, 8192, device=device, dtype=torch.bfloat16)
        if device.type == "cuda"
        else torch.randn(512, 512)
    )
    results["matrix_tflops"] = 2 * len(a) ** 3 / timed(device, lambda: a @ a) / 1e12
    results["same_neighbours"] = same_neighbours(device)
    results["gradient_errors"] = gradient_errors(device)
    print(json.dumps(results), flush=True)
    noise = torch.randint(256, (20, 4, 64, 64), dtype=torch.uint8, device=device)
    patches = Patches(noise, noise[:0], noise[:0], torch.full((4, 1, 1), 255.0, device=device))
    width = {} if device.type == "cuda" else {"width": 6}
    steps: dict[str, float] = {}
    for (name, form), bfloat16 in product(FORMS.items(), (False, True)):
        with patch.object(graph_conv, "sum_edges", form):
            label = f"NIR-GNN, {name}{', bfloat16' * bfloat16}"
            steps |= time_steps(
                label, Row("nirgnn", width, colour, squared, (1e-4, 1e-4)), bfloat16, patches, results
            )
        print(steps, flush=True)
    steps |= time_steps("CNN", Row("cnn", width, colour, squared, (1e-4, 1e-4)), False, patches, results)
    results["ms_per_step"] = steps
    (output / "speed.json").write_text(json.dumps(results, indent=1) + "\n")


def time_steps(
    label: str, row: Row, bfloat16: bool, patches: Patches, results: dict[str, Any]
) -> dict[str, float]:
    """Time a step with and without a CUDA graph, in ms, and add its kernels to ``results``."""
    table = TABLES["nirgnn"]._replace(bfloat16=bfloat16)
    try:
        run = Run(label, row, table, Batches(patches, *table.batch, 0))
        eager = 1e3 * timed(run.device, partial(run.step, False), 10)
        run.capture()
        steps = {
            f"{label}, without a graph": eager,
            label: 1e3 * timed(run.device, partial(run.advance, False)),
        }
        if run.stream is not None:
            results[f"kernels of {label}"] = profile(run)
        return steps
    # the others are timed all the same
    except Exception as error:
        print(f"{label}: {error!r}"[:2000], flush=True)
        synchronize(patches.train.device)
        return {}


def by_edges(centres: Tensor, sources: Tensor, neighbours: Tensor, net: EdgeNetwork) -> Tensor:
    """Compute the same as `edges.factored`, with Ψ z of every edge instead of V of every pixel.

    More operations, but in one large matrix product, which a GPU's matrix units compute in less time than it
    takes to gather V of the edges and to add up its gradient.
    """
    h_j = F.embedding(neighbours, sources)
    gamma = torch.exp(-(h_j - centres[:, None]).square().sum(-1) / net.decay)
    z = F.embedding(neighbours, sources @ net.hidden + net.hidden_bias) - (centres @ net.hidden)[:, None]
    z = F.leaky_relu(z, 0.2)
    psi = torch.einsum("pkf,ftc->pktc", z, net.psi) + net.psi_bias
    psi_h = (psi * h_j[:, :, None]).sum(-1)
    scalars = gamma[..., None] * (z @ net.omega + net.omega_bias) * psi_h / neighbours.shape[1]
    return torch.einsum("ptf,fto->po", scalars.mT @ z, net.phi) + scalars.sum(1) @ net.phi_bias


@cache
def _compiled() -> Callable[..., Tensor]:
    return torch.compile(by_edges, dynamic=False)


FORMS: dict[str, Callable[..., Tensor]] = {
    "V of pixels": edge_sums.sum_edges,
    "by edges": partial(in_blocks, form=by_edges),
    # compiled at the first call, not where a command only packs data
    "by edges, compiled": lambda h, graph, net: in_blocks(h, graph, net, _compiled()),
}


def profile(run: Run) -> list[str]:
    """Return the kernels that take most of three steps."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profiled:
        for _ in range(3):
            run.advance(False)
        torch.cuda.synchronize()
    table = profiled.key_averages().table(
        sort_by="self_cuda_time_total", row_limit=14, max_name_column_width=60
    )
    print(table, flush=True)
    return [line.strip() for line in table.splitlines()]


def same_neighbours(device: torch.device) -> bool:
    """Return whether the device finds the same neighbours as the CPU, of a patch and in windows."""

    features = torch.randn(2, 33, 42, 42, generator=torch.Generator().manual_seed(0))
    return all(
        torch.equal(
            nearest(features, 8, window).neighbours, nearest(features.to(device), 8, window).neighbours.cpu()
        )
        for window in (None, 25)
    )


def gradient_errors(device: torch.device) -> dict[str, float]:
    """Compute the largest error of a graph convolution's gradients in float32 and under bfloat16 autocast.

    Relative, for each tensor, to the largest gradient of the direct formula in float64.
    """

    torch.manual_seed(0)
    layer = GraphConv(33, 33, 5, 10.0).to(device)
    h = torch.randn(2, 33, 24, 24, device=device)
    graph, weights = nearest(h, 8), torch.randn(2, 33, 24, 24, device=device)

    def gradients(dtype: torch.dtype, autocast: bool, formula: bool) -> list[Tensor]:
        converted = layer.to(dtype)
        features = h.to(dtype).requires_grad_()
        with torch.autocast(device.type, torch.bfloat16, enabled=autocast):
            if formula:
                sums = in_blocks(features, graph, converted.edge_network(), direct)
                out = (converted.local(features) + sums) / 2 + converted.bias[:, None, None]
            else:
                out = converted(features, graph)
            loss = (out.to(weights.dtype) * weights).sum()
        return [g.double() for g in torch.autograd.grad(loss, [features, *converted.parameters()])]

    exact = gradients(torch.float64, False, True)
    errors = {}
    for name, tf32, autocast in (("float32", False, False), ("tf32", True, False), ("bfloat16", True, True)):
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
        got = gradients(torch.float32, autocast, False)
        errors[name] = max(
            float((a - b).abs().max() / b.abs().max()) for a, b in zip(got, exact, strict=True)
        )
    return errors
