"""Compute the sums over edges of a graph convolution by the fastest method for the device.

On a CPU this is machine code made by Numba (`edge_sums_cpu`), on a GPU `edges.factored` compiled by PyTorch.
Without Numba or the compiler, and for weights in half precision, it is `edges.factored` without compilation.
The results differ only by rounding.
"""

import warnings
from collections.abc import Callable
from functools import cache, partial

import torch
from torch import Tensor

from nircolor.errors import NircolorWarning, first_line
from nircolor.extras import install_command
from nircolor.models.graph.edges import EdgeNetwork, at_once, factored
from nircolor.models.graph.knn import Graph, blocks

_sum_on_cpu: Callable[[Tensor, Graph, EdgeNetwork], Tensor] | None
_import_error = ""
try:
    from nircolor.models.graph.edge_sums_cpu import sum_edges as _sum_on_cpu
# Numba is missing, or refuses the installed version of NumPy
except ImportError as error:
    _sum_on_cpu, _import_error = None, first_line(error)

# side of the blocks that are computed at once without Numba. V of a block and its surroundings takes most of
# the memory; larger blocks compute less of V twice, smaller ones let the allocator reuse memory
_BLOCK_PX = 64


def sum_edges(h: Tensor, graph: Graph, net: EdgeNetwork) -> Tensor:
    """Compute H^NL of eq. (1), with gradients; the edges of a large image are processed in pieces.

    Args:
        h: (N, F, h, w), features.
        graph: The neighbours of their pixels.
        net: The weights.

    Returns:
        (N, F′, h, w).
    """
    if h.device.type == "cpu":
        if _sum_on_cpu is None:
            _warn_once(
                f"Numba cannot be used ({_import_error}): graph convolutions take several times as long; "
                f"{install_command('train')} installs it"
            )
        elif net.hidden.dtype in (torch.float32, torch.float64):
            return _sum_on_cpu(h, graph, net)
    return in_blocks(h, graph, net, compiled(h.device) if h.is_cuda else factored)


def in_blocks(h: Tensor, graph: Graph, net: EdgeNetwork, form: Callable[..., Tensor]) -> Tensor:
    """Compute `sum_edges` block by block with one of the functions of `edges`.

    Args:
        h: (N, F, h, w), features; a patch of up to 64×64 px is one block.
        graph: The neighbours of their pixels.
        net: The weights.
        form: `edges.direct`, `edges.factored` or another function with their arguments and result.

    Returns:
        (N, F′, h, w).
    """
    images, _, height, width = h.shape
    out = h.new_empty(images, net.phi.shape[2], height, width)
    for block, around in blocks(height, width, _BLOCK_PX, graph.radius_px):
        centres, sources = (area.vectors(h).flatten(0, 1) for area in (block, around))
        sums = form(centres, sources, graph.part(block, around), net)
        out[:, :, *block.slices] = sums.view(images, block.height, block.width, -1).permute(0, 3, 1, 2)
    return out


@cache
def compiled(device: torch.device) -> Callable[..., Tensor]:
    """Compile `factored`, which fuses its operations; without a working compiler, return it uncompiled."""
    try:
        torch.compile(torch.square)(torch.ones(2, device=device))
    # Triton, a C compiler and a driver raise exceptions without a common base class
    except Exception as error:
        _warn_once(
            f"PyTorch's compiler cannot be used ({first_line(error)}): graph convolutions take several times "
            "as long"
        )
        return factored
    return torch.compile(partial(factored, products=at_once))


@cache
def _warn_once(text: str) -> None:
    warnings.warn(text, NircolorWarning, stacklevel=2)
