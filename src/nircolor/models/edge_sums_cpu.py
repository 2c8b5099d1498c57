"""The sum over edges on a CPU: the factored form in pieces that stay in a core's cache.

A piece is a picture, or a part of a large one. From its matrix product with [Ψ W₀ ψ_bias] through the loop
over its edges to its matrix product with [Φ φ_bias] it is one core's. Nothing but the layer's input and
weights is kept for the gradient: to compute the rest again takes no longer than to write it and read it back.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from nircolor.models import edge_kernels
from nircolor.models.cores import on_cores
from nircolor.models.edge_kernels import LANES, EdgeGradients, Edges
from nircolor.models.edges import EdgeNetwork
from nircolor.models.knn import Area, Graph

# the pixels whose edges are summed between two matrix products: few enough that their sums stay in the cache
_STRIP_PX = 512
# columns of a piece, at least: wider ones compute less twice, and keep more in memory
_PIECE_PX = 256


class Weights(NamedTuple):
    """What the loops and the matrix products take.

    Attributes:
        to_sources: (F, S), [Ψ W₀ ψ_bias], r · F + F + r columns and some of zeros.
        hidden_bias: (F,).
        omega: (r, F⁺), F columns and some of zeros; omega_bias is (r,).
        to_output: (A, F′), [Φ φ_bias], r · F + r rows and some of zeros.
        decay: δ.
    """

    to_sources: Tensor
    hidden_bias: Tensor
    omega: Tensor
    omega_bias: Tensor
    to_output: Tensor
    decay: float


def packed(net: EdgeNetwork) -> Weights:
    """The weights of 𝓕 in the order in which they are multiplied."""
    of_psi, of_phi = net.psi.permute(2, 1, 0).flatten(1), net.phi.permute(1, 0, 2).flatten(0, 1)
    to_sources = torch.cat([of_psi, net.hidden, net.psi_bias.mT], 1)
    to_output = torch.cat([of_phi, net.phi_bias])
    return Weights(
        F.pad(to_sources, (0, _padding(to_sources.shape[1], len(of_phi)))),
        net.hidden_bias,
        F.pad(net.omega.mT, (0, -len(net.hidden) % LANES)),
        net.omega_bias,
        F.pad(to_output, (0, 0, 0, _padding(len(to_output), len(of_phi)))),
        net.decay,
    )


def _padding(size: int, rank_features: int) -> int:
    """To whole registers, and as much behind the r · F as the loops may read."""
    size_padded = max(size, rank_features + LANES)
    return size_padded + -size_padded % LANES - size


def sum_edges(h: Tensor, graph: Graph, net: EdgeNetwork) -> Tensor:
    """H^NL of eq. (1), with its gradient.

    Args:
        h: (N, F, h, w), on the CPU.
        graph: of these pictures.
        net: the weights, float32 or float64; it is computed in these whatever h is.

    Returns:
        (N, F′, h, w), channels last.
    """
    vectors = h.permute(0, 2, 3, 1).to(net.hidden.dtype)
    sums: Tensor = _EdgeSums.apply(vectors, *graph, *packed(net))  # type: ignore[no-untyped-call]
    return sums.permute(0, 3, 1, 2)


class _EdgeSums(torch.autograd.Function):
    """h (N, h, w, F) to H^NL (N, h, w, F′)."""

    @staticmethod
    def forward(ctx: Any, h: Tensor, neighbours: Tensor, reach_px: int, *weights: Any) -> Tensor:
        h = h.contiguous()
        ctx.save_for_backward(h, neighbours, *weights[:-1])
        ctx.decay = weights[-1]
        pictures, height, width, _ = h.shape
        net = Weights(*weights)
        out = h.new_empty(pictures, height, width, net.to_output.shape[1])

        def sum_piece(piece: tuple[int, Area]) -> None:
            picture, area = piece
            _forward(h[picture], neighbours[picture], reach_px, net, area, out[picture])

        cut = list(_pieces(pictures, height, width, reach_px))
        on_cores(sum_piece, cut)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        h, neighbours, *weights = ctx.saved_tensors
        net = Weights._make([*weights, ctx.decay])
        grad, grad_h = grad.contiguous(), torch.empty_like(h)

        def differentiate(n: int) -> tuple[Tensor, ...]:
            return _backward(h[n], neighbours[n], net, grad[n], grad_h[n])

        of_pictures = on_cores(differentiate, range(len(h)))
        # one after the other, so that the sum does not depend on which came first
        of_weights = [sum(parts[1:], parts[0]) for parts in zip(*of_pictures, strict=True)]
        return grad_h, None, None, *of_weights, None


def _pieces(pictures: int, height: int, width: int, reach_px: int) -> Iterator[tuple[int, Area]]:
    """Cut pictures into pieces, so that all cores have one; what lies around a piece is computed with it."""
    columns = max(1, width // max(_PIECE_PX, 2 * reach_px))
    rows = 1
    while pictures * columns * rows % torch.get_num_threads() and height // (rows + 1) > 2 * reach_px:
        rows += 1
    for n in range(pictures):
        for top, bottom in pairwise(height * row // rows for row in range(rows + 1)):
            for left, right in pairwise(width * column // columns for column in range(columns + 1)):
                yield n, Area(top, bottom, left, right)


def _forward(h: Tensor, neighbours: Tensor, reach_px: int, net: Weights, area: Area, out: Tensor) -> None:
    """Write an area's sums: h (h, w, F), neighbours (h, w, k), out (h, w, F′)."""
    height, width, features = h.shape
    left, right = max(area.left - reach_px, 0), min(area.right + reach_px, width)
    strip_rows = max(1, _STRIP_PX // (area.right - area.left))
    # what the strip at hand can reach, in turns
    sources = h.new_empty(min(height, strip_rows + 2 * reach_px), right - left, net.to_sources.shape[1])
    sums = h.new_zeros(strip_rows * (area.right - area.left), len(net.to_output))
    edges = _edges(h, sources, left, neighbours, net)
    ready = max(area.top - reach_px, 0)
    for top in range(area.top, area.bottom, strip_rows):
        strip = area._replace(top=top, bottom=min(top + strip_rows, area.bottom))
        while ready < min(strip.bottom + reach_px, height):
            turn = ready % len(sources)
            until = min(ready + strip_rows, strip.bottom + reach_px, height, ready - turn + len(sources))
            rows = h[ready:until, left:right].reshape(-1, features)
            torch.mm(rows, net.to_sources, out=sources[turn : turn + until - ready].flatten(0, 1))
            ready = until
        of_strip = sums[: strip.height * strip.width]
        edge_kernels.sum_edges(edges, strip, of_strip.numpy())
        out[strip.cut] = (of_strip @ net.to_output).view(strip.height, strip.width, -1)


def _backward(
    h: Tensor, neighbours: Tensor, net: Weights, grad: Tensor, grad_h: Tensor
) -> tuple[Tensor, ...]:
    """Write a picture's grad_h (h, w, F), from grad (h, w, F′); gradients of the weights in their order."""
    height, width, features = h.shape
    k, rank = neighbours.shape[2], len(net.omega)
    sources = (h.flatten(0, 1) @ net.to_sources).view(height, width, -1)
    edges = _edges(h, sources, 0, neighbours, net)
    shapes = ((k, rank), (k, features), (k,))
    of_edges = EdgeGradients._make(h.new_empty(height * width, *shape).numpy() for shape in shapes)
    of_sources, of_omega_bias, of_output = (
        torch.zeros_like(weight) for weight in (net.to_sources, net.omega_bias, net.to_output)
    )
    # rows of F one behind the other, and what the loops may touch behind them
    of_omega = h.new_zeros(rank * features + LANES)
    strips = [slice(first, first + _STRIP_PX) for first in range(0, height * width, _STRIP_PX)]
    pixels, grad, grad_h = h.flatten(0, 1), grad.flatten(0, 1), grad_h.flatten(0, 1)
    for strip in strips:
        grad_sums = grad[strip] @ net.to_output.mT
        sums = torch.zeros_like(grad_sums)
        edge_kernels.backward_of_targets(
            edges,
            strip.start,
            grad_sums.numpy(),
            sums.numpy(),
            of_edges,
            of_omega.numpy(),
            of_omega_bias.numpy(),
        )
        of_output.addmm_(sums.mT, grad[strip])
    from_pixel = edges.neighbours.reshape(-1)
    leaving = np.argsort(from_pixel, kind="stable")
    starts = np.append(0, np.cumsum(np.bincount(from_pixel, minlength=len(pixels))))
    for strip in strips:
        grad_sources = torch.empty_like(sources.flatten(0, 1)[strip])
        edge_kernels.backward_of_sources(
            edges, leaving, starts, strip.start, of_edges, grad_sources.numpy(), grad_h[strip].numpy()
        )
        grad_h[strip].addmm_(grad_sources, net.to_sources.mT)
        of_sources.addmm_(pixels[strip].mT, grad_sources)
    of_omega = F.pad(of_omega[: rank * features].view(rank, features), (0, net.omega.shape[1] - features))
    of_hidden_bias = torch.from_numpy(of_edges.hidden).sum((0, 1))
    return of_sources, of_hidden_bias, of_omega, of_omega_bias, of_output


def _edges(h: Tensor, sources: Tensor, left_px: int, neighbours: Tensor, net: Weights) -> Edges:
    """For the kernels; pixels in a row each."""
    return Edges(
        pixels=h.flatten(0, 1).numpy(),
        width_px=h.shape[1],
        sources=sources.numpy(),
        left_px=left_px,
        neighbours=neighbours.flatten(0, 1).numpy(),
        hidden_bias=net.hidden_bias.numpy(),
        omega=net.omega.numpy(),
        omega_bias=net.omega_bias.numpy(),
        decay=net.decay,
    )
