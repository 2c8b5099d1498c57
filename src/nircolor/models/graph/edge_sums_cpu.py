"""Sums over edges on a CPU: the factored form, in pieces that fit a core's cache.

In a first pass a core multiplies the features of a strip of pixels by [Ψ ψ_bias], and processes all edges
that start there. In a second pass it processes all edges that end in a strip of pixels, and multiplies their
sums by [Φ φ_bias]. V is never stored as a whole. For the gradient ψ h_j is stored, r numbers per edge; the
rest is computed again, which takes no longer than writing and reading it.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from nircolor.models.graph import edge_kernels
from nircolor.models.graph.cores import on_cores
from nircolor.models.graph.edge_kernels import LANES, EdgeGradients, Edges
from nircolor.models.graph.edges import EdgeNetwork
from nircolor.models.graph.knn import Graph

# pixels of a strip: their V and their sums fit a core's cache
_STRIP_PX = 512


class Weights(NamedTuple):
    """Weights of 𝓕 in the layout of the loops and matrix products; F⁺ is F, padded to vector registers.

    Attributes:
        hidden: (F, F), W₀; hidden_bias is (F,).
        to_sources: (F, S), [Ψ ψ_bias], r · F + r columns, then zeros.
        omega: (r, F⁺), F columns, then zeros; omega_bias is (r,).
        to_output: (S, F′), [Φ φ_bias], r · F + r rows, then zeros.
        decay: δ.
    """

    hidden: Tensor
    hidden_bias: Tensor
    to_sources: Tensor
    omega: Tensor
    omega_bias: Tensor
    to_output: Tensor
    decay: float


def packed(net: EdgeNetwork) -> Weights:
    """Arrange the weights of 𝓕 for `_EdgeSums`."""
    features, rank, _ = net.psi.shape
    to_sources = torch.cat([net.psi.permute(2, 1, 0).flatten(1), net.psi_bias.mT], 1)
    to_output = torch.cat([net.phi.permute(1, 0, 2).flatten(0, 1), net.phi_bias])
    # rows are aligned to vector registers, and are followed by as many numbers as the loops may read
    size = rank * features + max(rank, LANES)
    padding = size + -size % LANES - len(to_output)
    return Weights(
        net.hidden,
        net.hidden_bias,
        F.pad(to_sources, (0, padding)),
        F.pad(net.omega.mT, (0, -features % LANES)),
        net.omega_bias,
        F.pad(to_output, (0, 0, 0, padding)),
        net.decay,
    )


def sum_edges(h: Tensor, graph: Graph, net: EdgeNetwork) -> Tensor:
    """Compute H^NL of eq. (1), with gradients.

    Args:
        h: (N, F, h, w), features, on the CPU.
        graph: The neighbours of their pixels.
        net: The weights, float32 or float64, which is the precision of the computation.

    Returns:
        (N, F′, h, w), channels last.
    """
    pixels = h.permute(0, 2, 3, 1).flatten(1, 2).to(net.hidden.dtype)
    neighbours = graph.neighbours.flatten(1, 2)
    with torch.autocast("cpu", enabled=False):
        sums: Tensor = _EdgeSums.apply(pixels, neighbours, *packed(net))  # type: ignore[no-untyped-call]
    return sums.view(len(h), *h.shape[2:], -1).permute(0, 3, 1, 2)


class _EdgeSums(torch.autograd.Function):
    """Map h (N, M, F) and neighbours (N, M, k) to H^NL (N, M, F′), with M pixels per image."""

    @staticmethod
    def forward(ctx: Any, h: Tensor, neighbours: Tensor, *weights: Any) -> Tensor:
        net = Weights._make(weights)
        h = h.contiguous()
        psi_h = h.new_empty(*neighbours.shape, len(net.omega))
        out = h.new_empty(*h.shape[:2], net.to_output.shape[1])
        images = [_edges(*arrays, net) for arrays in zip(h, h @ net.hidden, neighbours, strict=True)]
        by_source = on_cores(edge_kernels.sort_by_source, [edges.neighbours for edges in images])

        def project(piece: tuple[int, slice]) -> None:
            n, strip = piece
            sources = h[n, strip] @ net.to_sources
            edge_kernels.project(images[n], by_source[n], strip.start, sources.numpy(), psi_h[n].numpy())

        def aggregate(piece: tuple[int, slice]) -> None:
            n, strip = piece
            sums = h.new_empty(strip.stop - strip.start, len(net.to_output))
            edge_kernels.aggregate(images[n], psi_h[n].numpy(), strip.start, sums.numpy())
            torch.mm(sums, net.to_output, out=out[n, strip])

        pieces = [(n, strip) for n in range(len(h)) for strip in _strips(h.shape[1])]
        on_cores(project, pieces)
        on_cores(aggregate, pieces)
        ctx.save_for_backward(h, neighbours, psi_h, *weights[:-1])
        ctx.decay, ctx.by_source = net.decay, by_source
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        h, neighbours, psi_h, *weights = ctx.saved_tensors
        net = Weights._make([*weights, ctx.decay])
        grad, grad_h = grad.contiguous(), torch.empty_like(h)

        def differentiate(n: int) -> tuple[Tensor, ...]:
            edges = _edges(h[n], h[n] @ net.hidden, neighbours[n], net)
            return _backward(edges, ctx.by_source[n], h[n], psi_h[n], net, grad[n], grad_h[n])

        per_image = on_cores(differentiate, range(len(h)))
        # summed in the order of the images, so that the result does not depend on the threads
        grad_weights = [sum(parts[1:], parts[0]) for parts in zip(*per_image, strict=True)]
        return grad_h, None, *grad_weights, None


def _backward(
    edges: Edges,
    by_source: edge_kernels.BySource,
    h: Tensor,
    psi_h: Tensor,
    net: Weights,
    grad: Tensor,
    grad_h: Tensor,
) -> tuple[Tensor, ...]:
    """Compute the gradients of one image from ``grad`` (M, F′).

    ``grad_h`` (M, F) is written.

    Returns:
        The gradients of the weights, in the order of `Weights`.
    """
    count, features = h.shape
    k, rank = edges.neighbours.shape[1], len(net.omega)
    shapes = ((count, k, rank), (count, k, features), (count, k))
    grads = EdgeGradients._make(h.new_empty(shape).numpy() for shape in shapes)
    grad_to_sources, grad_omega_bias = torch.zeros_like(net.to_sources), torch.zeros_like(net.omega_bias)
    # transposed, which makes the product faster
    grad_to_output = h.new_zeros(net.to_output.shape[1], net.to_output.shape[0])
    # r rows of F numbers without gaps, then as many numbers as the loops may read
    grad_omega = h.new_zeros(rank * features + LANES)
    for strip in _strips(count):
        grad_sums = grad[strip] @ net.to_output.mT
        sums = torch.empty_like(grad_sums)
        edge_kernels.backward_of_targets(
            edges,
            psi_h.numpy(),
            strip.start,
            grad_sums.numpy(),
            sums.numpy(),
            grads,
            grad_omega.numpy(),
            grad_omega_bias.numpy(),
        )
        grad_to_output.addmm_(grad[strip].mT, sums)
    grad_hidden = torch.empty_like(h)
    for strip in _strips(count):
        sources = h[strip] @ net.to_sources
        grad_sources = torch.empty_like(sources)
        edge_kernels.backward_of_sources(
            edges,
            by_source,
            strip.start,
            sources.numpy(),
            grads,
            grad_sources.numpy(),
            grad_hidden.numpy(),
            grad_h.numpy(),
        )
        grad_h[strip].addmm_(grad_sources, net.to_sources.mT)
        grad_to_sources.addmm_(h[strip].mT, grad_sources)
    edge_kernels.backward_of_differences(edges, grads, grad_hidden.numpy(), grad_h.numpy())
    grad_h.addmm_(grad_hidden, net.hidden.mT)
    grad_hidden_bias = torch.from_numpy(grads.z).sum((0, 1))
    grad_omega = F.pad(grad_omega[: rank * features].view(rank, features), (0, -features % LANES))
    return (
        h.mT @ grad_hidden,
        grad_hidden_bias,
        grad_to_sources,
        grad_omega,
        grad_omega_bias,
        grad_to_output.mT,
    )


def _strips(count: int) -> Iterator[slice]:
    for start in range(0, count, _STRIP_PX):
        yield slice(start, min(start + _STRIP_PX, count))


def _edges(h: Tensor, hidden: Tensor, neighbours: Tensor, net: Weights) -> Edges:
    """Collect the arrays of one image for the kernels."""
    return Edges(
        pixels=h.numpy(),
        hidden=hidden.numpy(),
        neighbours=neighbours.numpy(),
        hidden_bias=net.hidden_bias.numpy(),
        omega=net.omega.numpy(),
        omega_bias=net.omega_bias.numpy(),
        decay=net.decay,
    )
