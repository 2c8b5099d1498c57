"""Compare implementations of one graph convolution: time, memory, fraction of the matrix-product rate.

    pip install torch_geometric
    python benchmarks/graph_conv.py -o benchmarks/results/graph_conv

Writes graph_conv.md and graph_conv.json. Takes a quarter of an hour on two cores (or `--device cuda`). The
layer is NIR-GNN's, with 99 input and output features, rank 11 and circulant heads. The sum over edges, H^NL,
is compared, without the 3×3 convolution. All methods run on the same random features and graph, in turns.
Peak memory is measured in a new process for each method, relative to the memory before the call.
"""

import tempfile
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import torch
from measuring import (
    environment,
    growth_mb,
    in_fresh_process,
    in_rounds,
    installed,
    parse_arguments,
    table,
    write,
)
from speed import page
from torch import Tensor, nn

from nircolor.memory import available_bytes
from nircolor.models.graph.edge_sums import in_blocks, sum_edges
from nircolor.models.graph.edges import EdgeNetwork, direct, factored
from nircolor.models.graph.graph_conv import GraphConv
from nircolor.models.graph.knn import Area, Graph, nearest
from nircolor.models.nirgnn import NirGnn

FEATURES, RANK = 99, 11
WINDOW_PX = 49
PRODUCT_SIDE = 2048
TOLERANCE = 1e-4

SUMS: dict[str, Callable[[Tensor, Graph, EdgeNetwork], Tensor]] = {
    "ours": sum_edges,
    "direct": partial(in_blocks, form=direct),
    "plain PyTorch": partial(in_blocks, form=factored),
}
NNCONV, CONVOLUTION, PRODUCT = "NNConv", "3×3 convolution", "matrix product"
METHODS = (*SUMS, NNCONV, CONVOLUTION)


class Case(NamedTuple):
    """Images and the window that is searched for neighbours; None searches the whole image."""

    images: int
    side_px: int
    window_px: int | None
    k: int

    @property
    def name(self) -> str:
        return f"{self.images} of {self.side_px}², k = {self.k}"

    @property
    def pixels(self) -> int:
        return self.images * self.side_px**2


class Inputs(NamedTuple):
    """Features and the gradient with respect to the output, both (N, F, h, w), and the graph."""

    h: Tensor
    grad: Tensor
    graph: Graph


class Method(NamedTuple):
    """A function from features and graph to (N, F, h, w), and its parameters."""

    forward: Callable[[Tensor, Graph], Tensor]
    parameters: list[nn.Parameter]


PATCHES = [Case(10, 42, None, k) for k in (8, 16)]
IMAGES = [Case(1, 256, WINDOW_PX, k) for k in (8, 16)]
# a first call loads libraries and compiles loops before memory is measured
TINY = Case(2, 8, None, 8)
EXACT = Case(2, 42, None, 8)
BY_SIZE = [Case(1, side, WINDOW_PX, 8) for side in (42, 84, 168, 336)]
BY_NEIGHBOURS = [Case(10, 42, None, k) for k in (4, 8, 16, 32)]


def main() -> None:
    """Measure, print and write all results."""
    output, device = parse_arguments(__doc__)
    results = environment(device, "numba", "numpy", "torch_geometric") | {
        "gradient_differences_float64": disagreement_of_gradients(device),
        "methods": [row for case in PATCHES + IMAGES for row in compared(case, device)],
        "growth_by_size": growth(BY_SIZE, device),
        "growth_by_neighbours": growth(BY_NEIGHBOURS, device),
        "search": search(PATCHES + IMAGES, device),
    }
    write(output, "graph_conv", results, report(results))


def inputs(case: Case, device: torch.device) -> Inputs:
    """Make noise with ‖d‖² near δ. Its nearest neighbours are anywhere, the worst case for caches."""
    torch.manual_seed(0)
    shape = case.images, FEATURES, case.side_px, case.side_px
    h, grad = (torch.randn(shape).to(device, memory_format=torch.channels_last) for _ in range(2))
    h *= 0.2
    return Inputs(h, grad, nearest(h, case.k, case.window_px))


def method(name: str, device: torch.device, dtype: torch.dtype = torch.float32) -> Method:
    """Make one of METHODS, with the same weights each time."""
    torch.manual_seed(0)
    layer = NirGnn().high_pass.layers[0].to(device, dtype)
    assert isinstance(layer, GraphConv)
    if name == CONVOLUTION:
        return Method(layer.local, list(layer.local.parameters()))
    if name == NNCONV:
        return nnconv(device)
    parameters = [p for part in (layer.hidden, layer.psi, layer.phi, layer.omega) for p in part.parameters()]
    return Method(lambda h, graph: SUMS[name](h, graph, layer.edge_network()), parameters)


def nnconv(device: torch.device) -> Method:
    """Make PyTorch Geometric's edge-conditioned convolution, with a full F × F matrix for each edge."""
    edge_network = nn.Linear(FEATURES, FEATURES**2)
    convolution = (
        import_module("torch_geometric.nn")
        .NNConv(FEATURES, FEATURES, edge_network, aggr="mean", root_weight=False, bias=False)
        .to(device)
    )

    def forward(h: Tensor, graph: Graph) -> Tensor:
        images, _, height, width = h.shape
        whole = Area(0, height, 0, width)
        vectors = whole.vectors(h).flatten(0, 1)
        j = graph.part(whole, whole)
        i = torch.arange(len(vectors), device=h.device)[:, None].expand_as(j)
        edges = torch.stack([j.flatten(), i.flatten()])
        sums = convolution(vectors, edges, vectors[edges[0]] - vectors[edges[1]])
        return sums.view(images, height, width, -1).permute(0, 3, 1, 2)

    return Method(forward, list(convolution.parameters()))


def run(m: Method, given: Inputs, backward: bool) -> list[Tensor]:
    """Return the output and, with ``backward``, the gradients of features and parameters."""
    if not backward:
        with torch.no_grad():
            return [m.forward(given.h, given.graph)]
    h = given.h.detach().requires_grad_()
    out = m.forward(h, given.graph)
    return [out.detach(), *torch.autograd.grad(out, [h, *m.parameters], given.grad)]


def multiply_adds(name: str, case: Case) -> int:
    """Count the multiply-adds of a forward pass. The gradient takes twice as many.

    Values that are computed twice, at the borders of pieces or in the backward pass, are counted once.
    """
    f, rf = FEATURES, RANK * FEATURES
    # a pixel's [Ψ W₀ ψ_bias] and [Φ φ_bias]; an edge's ‖d‖², V_j z, ω and a zᵀ
    factored_pixel, factored_edge = f * (rf + f + RANK) + (rf + RANK) * f, f + 3 * rf
    pixel, edge = {
        "ours": (factored_pixel, factored_edge),
        "plain PyTorch": (factored_pixel, factored_edge),
        # ‖d‖², W₀ d, ψ, φ, ω, ψ h_j and φᵀ a
        "direct": (0, f + f * f + 2 * f * rf + f * RANK + 2 * rf),
        # the matrix from d, and the matrix times h_j
        NNCONV: (0, f * f * f + f * f),
        CONVOLUTION: (9 * f * f, 0),
    }[name]
    return case.pixels * (pixel + case.k * edge)


def compared(case: Case, device: torch.device) -> list[dict[str, Any]]:
    """Measure all methods, one row each; with backward, only ours on large images."""
    given = inputs(case, device)
    rows: list[dict[str, Any]] = [
        {"case": case.name, "method": name, "multiply_adds": multiply_adds(name, case)} for name in METHODS
    ]
    for key, backward in (("forward", False), ("with_backward", True)):
        reasons = {name: left_out(name, case, backward, device) for name in METHODS}
        made = {name: method(name, device) for name in METHODS if not reasons[name]}
        calls = {name: partial(run, m, given, backward) for name, m in made.items()}
        differences = {} if backward else disagreement({name: calls[name]() for name in SUMS})
        seconds = in_rounds({**calls, PRODUCT: product(device)}, device)
        rate = PRODUCT_SIDE**3 / seconds[PRODUCT]
        for row in rows:
            name: str = row["method"]
            if reasons[name]:
                row[key] = {"left_out": reasons[name]}
                continue
            counted = multiply_adds(name, case) * (3 if backward else 1)
            row[key] = {
                "seconds": seconds[name],
                **{f"{other}_over_it": seconds[other] / seconds[name] for other in made},
                "extra_peak_mb": extra_peak_mb(name, given, backward, device),
                "matrix_product_gmac_per_s": rate / 1e9,
                "share_of_matrix_product": counted / seconds[name] / rate,
            }
            if name in differences:
                row[key]["difference"] = differences[name]
    return rows


def left_out(name: str, case: Case, backward: bool, device: torch.device) -> str | None:
    """Return the reason why a method is not measured, or None."""
    if backward and case in IMAGES and name != "ours":
        return "–"
    if name != NNCONV:
        return None
    if not installed("torch_geometric"):
        return "not installed: pip install torch_geometric"
    # the matrices of all edges, and their gradient
    needed = case.pixels * case.k * FEATURES**2 * 4 * (2 if backward else 1)
    free = torch.cuda.mem_get_info()[0] if device.type == "cuda" else available_bytes()
    return f"does not fit: {needed / 1e9:.1f} GB" if needed > 0.8 * free else None


def disagreement(results: dict[str, list[Tensor]]) -> dict[str, float]:
    """Compute the largest difference to "direct", relative to the largest number of each tensor."""
    found = {}
    for name, tensors in results.items():
        pairs = zip(tensors, results["direct"], strict=True)
        found[name] = max(((a - b).abs().max() / b.abs().max()).item() for a, b in pairs)
        if found[name] > TOLERANCE:
            raise RuntimeError(f"{name} differs from direct by {found[name]}")
    return found


def disagreement_of_gradients(device: torch.device) -> dict[str, float]:
    """Compare gradients in float64: in float32 rounding changes the sign of LeakyReLU arguments near 0."""
    h, grad, graph = inputs(EXACT, device)
    given = Inputs(h.double(), grad.double(), graph)
    return disagreement({name: run(method(name, device, torch.float64), given, True) for name in SUMS})


def product(device: torch.device) -> Callable[[], object]:
    """Make a large product of float32 matrices, which measures the machine's peak rate."""
    a, b, out = (torch.rand(PRODUCT_SIDE, PRODUCT_SIDE, device=device) for _ in range(3))
    return partial(torch.mm, a, b, out=out)


def extra_peak_mb(name: str, given: Inputs, backward: bool, device: torch.device) -> float:
    """Measure the peak memory of a method beyond its input and weights, in MB."""
    with tempfile.TemporaryDirectory() as folder:
        # read from a file: memory freed after making them in the new process would be reused
        torch.save([given.h, given.grad, *given.graph], file := Path(folder, "inputs"))
        return in_fresh_process(_growth_of_method_mb, name, file, backward, device)


def _growth_of_method_mb(name: str, file: Path, backward: bool, device: torch.device) -> float:
    h, grad, *graph = torch.load(file, weights_only=True)
    given, m = Inputs(h, grad, Graph(*graph)), method(name, device)
    run(m, inputs(TINY, device), backward)
    return growth_mb(lambda: run(m, given, backward), device)


def growth(cases: list[Case], device: torch.device) -> list[dict[str, Any]]:
    """Time our forward pass for growing images or numbers of neighbours."""
    ours = method("ours", device)
    calls = {case.name: partial(run, ours, inputs(case, device), False) for case in cases}
    seconds = in_rounds(calls, device)
    return [_timed_row(case, seconds[case.name]) for case in cases]


def search(cases: list[Case], device: torch.device) -> list[dict[str, Any]]:
    """Time the search for the nearest neighbours."""
    calls = {case.name: partial(nearest, inputs(case, device).h, case.k, case.window_px) for case in cases}
    seconds = in_rounds(calls, device)
    return [_timed_row(case, seconds[case.name]) for case in cases]


def _timed_row(case: Case, seconds: float) -> dict[str, Any]:
    return {
        "case": case.name,
        "window_px": case.window_px,
        "seconds": seconds,
        "us_a_pixel": 1e6 * seconds / case.pixels,
        "ns_an_edge": 1e9 * seconds / case.pixels / case.k,
    }


def report(results: dict[str, Any]) -> str:
    """Format the results as Markdown."""
    measured = [row[key] for row in results["methods"] for key in ("forward", "with_backward")]
    rates = [m["matrix_product_gmac_per_s"] for m in measured if "seconds" in m]
    differences = [m["difference"] for m in measured if "difference" in m]
    facts = {
        "layer": f"{FEATURES} features in and out, rank {RANK}, circulant heads; its sum over edges alone",
        "patches of 42²": "the whole patch is searched for neighbours",
        "images of 256²": f"a window of {WINDOW_PX} px is searched",
        "float32 matrix product": f"{min(rates):.3g} to {max(rates):.3g} G multiply-adds/s",
        "largest relative difference to direct, plain and ours": f"{max(differences):.1g}",
        "the same of gradients, in float64": f"{max(results['gradient_differences_float64'].values()):.1g}",
    }
    by_method = table(
        "case | method | forward, s | × direct | × NNConv | of matrix product | extra peak, MB | "
        "with backward, s | × direct | × NNConv | of matrix product | extra peak, MB | "
        "G multiply-adds forward | difference",
        (_method_cells(row) for row in results["methods"]),
    )
    return "\n".join(
        [
            page("One graph convolution", results, facts),
            "× direct and × NNConv: how many times as fast. Of matrix product: multiply-adds counted by "
            "formula, three times those for forward with backward, over seconds, over the rate of a product "
            f"of {PRODUCT_SIDE}² matrices timed in the same rounds. NNConv's weights are full matrices, so "
            "it is another function with the same purpose.",
            "",
            *by_method,
            "",
            "## Growth of our forward pass",
            "",
            *_timed_table(results["growth_by_size"] + results["growth_by_neighbours"]),
            "",
            "## The search for neighbours",
            "",
            *_timed_table(results["search"]),
            "",
        ]
    )


def _method_cells(row: dict[str, Any]) -> list[str]:
    cells = [row["case"], row["method"]]
    for key in ("forward", "with_backward"):
        m = row[key]
        if "left_out" in m:
            cells += [m["left_out"], *"––––"]
            continue
        ratios = (m.get(f"{other}_over_it") for other in ("direct", NNCONV))
        cells += [
            f"{m['seconds']:.3g}",
            *("–" if ratio is None else f"{ratio:.3g}" for ratio in ratios),
            f"{m['share_of_matrix_product']:.0%}",
            f"{m['extra_peak_mb']:,.0f}",
        ]
    difference = row["forward"].get("difference")
    return [*cells, f"{row['multiply_adds'] / 1e9:.3g}", "–" if difference is None else f"{difference:.1g}"]


def _timed_table(rows: list[dict[str, Any]]) -> list[str]:
    return table(
        "case | searched | seconds | µs a pixel | ns an edge",
        (
            (
                row["case"],
                "whole patch" if row["window_px"] is None else f"{row['window_px']} px window",
                f"{row['seconds']:.3g}",
                f"{row['us_a_pixel']:.3g}",
                f"{row['ns_an_edge']:.3g}",
            )
            for row in rows
        ),
    )


if __name__ == "__main__":
    main()
