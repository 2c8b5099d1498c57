"""H^NL of `graph_conv`, in the fastest way that there is on a device; all ways differ by rounding alone.

On a CPU machine code made by Numba (`edge_sums_cpu`); on a GPU what PyTorch's compiler makes of
`edges.factored`; without Numba or the compiler, and for weights in half precision, `edges.factored` as it is.
"""

import warnings
from collections.abc import Callable
from functools import cache, partial

import torch
from torch import Tensor

from nircolor.errors import NircolorWarning, first_line
from nircolor.models.graph.edges import EdgeNetwork, at_once, factored
from nircolor.models.graph.knn import Graph, blocks

_sum_on_cpu: Callable[[Tensor, Graph, EdgeNetwork], Tensor] | None
_missing = ""
try:
    from nircolor.models.graph.edge_sums_cpu import sum_edges as _sum_on_cpu
# it needs Numba, which may be there and refuse NumPy's release
except ImportError as error:
    _sum_on_cpu, _missing = None, first_line(error)

# side of the blocks that are computed at once without machine code; V of a block and its surroundings is what
# takes memory. Larger ones compute less of V twice, smaller ones stay in the allocator's hands
_BLOCK_PX = 64


def sum_edges(h: Tensor, graph: Graph, net: EdgeNetwork) -> Tensor:
    """H^NL of eq. (1), differentiable; a large image's edges never lie in memory together.

    Args:
        h: (N, F, h, w).
        graph: of these images.
        net: the weights.

    Returns:
        (N, F′, h, w).
    """
    if h.device.type == "cpu":
        if _sum_on_cpu is None:
            _say_once(
                f"Numba cannot be used ({_missing}): graph convolutions take several times as long; "
                "pip install 'nircolor[train]' brings it"
            )
        elif net.hidden.dtype in (torch.float32, torch.float64):
            return _sum_on_cpu(h, graph, net)
    return in_blocks(h, graph, net, compiled(h.device) if h.is_cuda else factored)


def in_blocks(h: Tensor, graph: Graph, net: EdgeNetwork, form: Callable[..., Tensor]) -> Tensor:
    """`sum_edges` by ``form``, which is one of `edges` or does the same; a training patch is one block."""
    images, _, height, width = h.shape
    out = h.new_empty(images, net.phi.shape[2], height, width)
    for block, around in blocks(height, width, _BLOCK_PX, graph.radius_px):
        centres, sources = (area.vectors(h).flatten(0, 1) for area in (block, around))
        sums = form(centres, sources, graph.part(block, around), net)
        out[:, :, *block.cut] = sums.view(images, block.height, block.width, -1).permute(0, 3, 1, 2)
    return out


@cache
def compiled(device: torch.device) -> Callable[..., Tensor]:
    """`factored` with its gathers, products and sums fused, where PyTorch's compiler has what it needs."""
    try:
        torch.compile(torch.square)(torch.ones(2, device=device))
    # Triton, a C compiler, a driver: each fails with exceptions of its own
    except Exception as error:
        _say_once(
            f"PyTorch's compiler cannot be used ({first_line(error)}): graph convolutions take several times "
            "as long"
        )
        return factored
    return torch.compile(partial(factored, products=at_once))


@cache
def _say_once(text: str) -> None:
    warnings.warn(text, NircolorWarning, stacklevel=2)
