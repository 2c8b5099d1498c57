"""The sum over edges on a CPU: the factored form in pieces that stay in a core's cache.

A core takes some pixels at a time: their matrix product with [Ψ ψ_bias] and all edges that need the result;
then all edges that lead to some pixels, and the matrix product of their sums with [Φ φ_bias]. Nothing of the
size of V is ever in memory. For the gradient ψ h_j is kept, r numbers an edge; to compute the rest again
takes no longer than to write it and read it back.
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

# pixels between two matrix products: their V and their sums fit a core's cache
_STRIP_PX = 512


class Weights(NamedTuple):
    """What the loops and the matrix products take. F⁺ is F padded.

    Attributes:
        hidden: (F, F), W₀; hidden_bias is (F,).
        to_sources: (F, S), [Ψ ψ_bias], r · F + r columns and some of zeros.
        omega: (r, F⁺), F columns and some of zeros; omega_bias is (r,).
        to_output: (S, F′), [Φ φ_bias], r · F + r rows and some of zeros.
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
    """The weights of 𝓕 in the order in which they are multiplied."""
    features, rank, _ = net.psi.shape
    to_sources = torch.cat([net.psi.permute(2, 1, 0).flatten(1), net.psi_bias.mT], 1)
    to_output = torch.cat([net.phi.permute(1, 0, 2).flatten(0, 1), net.phi_bias])
    # rows begin where registers do, and have behind the r · F as much as the loops may touch
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
    """H^NL of eq. (1), with its gradient.

    Args:
        h: (N, F, h, w), on the CPU.
        graph: of these images.
        net: the weights, float32 or float64; it is computed in these whatever h is.

    Returns:
        (N, F′, h, w), channels last.
    """
    pixels = h.permute(0, 2, 3, 1).flatten(1, 2).to(net.hidden.dtype)
    neighbours = graph.neighbours.flatten(1, 2)
    with torch.autocast("cpu", enabled=False):
        sums: Tensor = _EdgeSums.apply(pixels, neighbours, *packed(net))  # type: ignore[no-untyped-call]
    return sums.view(len(h), *h.shape[2:], -1).permute(0, 3, 1, 2)


class _EdgeSums(torch.autograd.Function):
    """h (N, M, F) and neighbours (N, M, k) to H^NL (N, M, F′)."""

    @staticmethod
    def forward(ctx: Any, h: Tensor, neighbours: Tensor, *weights: Any) -> Tensor:
        net = Weights._make(weights)
        h = h.contiguous()
        psi_h = h.new_empty(*neighbours.shape, len(net.omega))
        out = h.new_empty(*h.shape[:2], net.to_output.shape[1])
        images = [_edges(*of_image, net) for of_image in zip(h, h @ net.hidden, neighbours, strict=True)]
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

        of_images = on_cores(differentiate, range(len(h)))
        # one after the other, so that the sum does not depend on which came first
        of_weights = [sum(parts[1:], parts[0]) for parts in zip(*of_images, strict=True)]
        return grad_h, None, *of_weights, None


def _backward(
    edges: Edges,
    by_source: edge_kernels.BySource,
    h: Tensor,
    psi_h: Tensor,
    net: Weights,
    grad: Tensor,
    grad_h: Tensor,
) -> tuple[Tensor, ...]:
    """Write a image's grad_h (M, F), from grad (M, F′); gradients of the weights in their order."""
    count, features = h.shape
    k, rank = edges.neighbours.shape[1], len(net.omega)
    shapes = ((count, k, rank), (count, k, features), (count, k))
    grads = EdgeGradients._make(h.new_empty(shape).numpy() for shape in shapes)
    of_sources, of_omega_bias = torch.zeros_like(net.to_sources), torch.zeros_like(net.omega_bias)
    # the other way round, which is a faster product
    of_output = h.new_zeros(net.to_output.shape[1], net.to_output.shape[0])
    # rows of F one behind the other, and what the loops may touch behind them
    of_omega = h.new_zeros(rank * features + LANES)
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
            of_omega.numpy(),
            of_omega_bias.numpy(),
        )
        of_output.addmm_(grad[strip].mT, sums)
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
        of_sources.addmm_(h[strip].mT, grad_sources)
    edge_kernels.backward_of_differences(edges, grads, grad_hidden.numpy(), grad_h.numpy())
    grad_h.addmm_(grad_hidden, net.hidden.mT)
    of_hidden_bias = torch.from_numpy(grads.z).sum((0, 1))
    of_omega = F.pad(of_omega[: rank * features].view(rank, features), (0, -features % LANES))
    return h.mT @ grad_hidden, of_hidden_bias, of_sources, of_omega, of_omega_bias, of_output.mT


def _strips(count: int) -> Iterator[slice]:
    for start in range(0, count, _STRIP_PX):
        yield slice(start, min(start + _STRIP_PX, count))


def _edges(h: Tensor, hidden: Tensor, neighbours: Tensor, net: Weights) -> Edges:
    """Of one image, for the kernels."""
    return Edges(
        pixels=h.numpy(),
        hidden=hidden.numpy(),
        neighbours=neighbours.numpy(),
        hidden_bias=net.hidden_bias.numpy(),
        omega=net.omega.numpy(),
        omega_bias=net.omega_bias.numpy(),
        decay=net.decay,
    )
