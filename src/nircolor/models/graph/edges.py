"""The sum of P2, eq. (1), over the edges of a graph: by the formula, and the same with fewer operations.

The weights of the sum, a matrix of low rank for every edge, are computed from the edge's label
d = h_j − h_i by a small network (lightweight edge-conditioned convolution; P2 writes h_i − h_j, which is the
same up to the sign of the weights).
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


class EdgeNetwork(NamedTuple):
    """The weights of 𝓕 in eq. (1), F features in, F′ out, rank r.

    Attributes:
        hidden: (F, F), W₀.
        hidden_bias: (F,).
        psi: (F, r, F), from the hidden layer; psi_bias is (r, F).
        phi: (F, r, F′), from the hidden layer; phi_bias is (r, F′).
        omega: (F, r), from the hidden layer; omega_bias is (r,).
        decay: δ, in squared units of the features.
    """

    hidden: Tensor
    hidden_bias: Tensor
    psi: Tensor
    psi_bias: Tensor
    phi: Tensor
    phi_bias: Tensor
    omega: Tensor
    omega_bias: Tensor
    decay: float


def direct(centres: Tensor, sources: Tensor, neighbours: Tensor, net: EdgeNetwork) -> Tensor:
    """H^NL as eq. (1) has it, ψ, φ and ω made for every edge: what `factored` is tested against.

    Args:
        centres: (P, F), the pixels i whose sum is wanted.
        sources: (M, F), the pixels among which the neighbours are.
        neighbours: (P, k), rows of ``sources``: the pixels j of each i.
        net: the weights.

    Returns:
        (P, F′).
    """
    h_j = sources[neighbours]
    d = h_j - centres[:, None]
    z = F.leaky_relu(d @ net.hidden + net.hidden_bias, 0.2)
    psi = torch.einsum("pkf,ftc->pktc", z, net.psi) + net.psi_bias
    phi = torch.einsum("pkf,fto->pkto", z, net.phi) + net.phi_bias
    omega = z @ net.omega + net.omega_bias
    gamma = torch.exp(-d.square().sum(-1) / net.decay)
    scalars = omega * torch.einsum("pktc,pkc->pkt", psi, h_j)
    messages = gamma[..., None] * torch.einsum("pkto,pkt->pko", phi, scalars)
    return messages.mean(1)


def at_once(v: Tensor, neighbours: Tensor, z: Tensor) -> Tensor:
    """V_j z_ij of all edges: v (M, r · F), neighbours (P, k), z (P, k, F) to (P, k, r). To be compiled."""
    return (v[neighbours].view(*neighbours.shape, -1, z.shape[2]) * z[:, :, None]).sum(3)


def piecewise(v: Tensor, neighbours: Tensor, z: Tensor) -> Tensor:
    """The same without a compiler: V of all edges, k times as large as V, is never there as a whole."""
    products: Tensor = _Products.apply(v, neighbours, z)  # type: ignore[no-untyped-call]
    return products


def factored(
    centres: Tensor,
    sources: Tensor,
    neighbours: Tensor,
    net: EdgeNetwork,
    products: Callable[[Tensor, Tensor, Tensor], Tensor] = piecewise,
) -> Tensor:
    """The same as `direct` up to rounding, with the products by ψ and φ once a pixel instead of once an edge.

    ψ and φ are linear in z. So ψ h_j is V_j z + ψ_bias h_j where V_j = Ψ h_j knows nothing of i, and the sum
    over j of φᵀ a is Φᵀ times the sum of a zᵀ, which knows nothing of Φ. W₀ d is W₀ h_j − W₀ h_i likewise.

    Args:
        centres: as in `direct`, as are the next three.
        sources: likewise.
        neighbours: likewise.
        net: likewise.
        products: how V_j z_ij is computed: `piecewise` or `at_once`.
    """
    # an embedding is a gather whose gradient is fast
    d = F.embedding(neighbours, sources) - centres[:, None]
    gamma = torch.exp(-d.square().sum(-1) / net.decay)
    del d
    z = F.embedding(neighbours, sources @ net.hidden + net.hidden_bias) - (centres @ net.hidden)[:, None]
    z = F.leaky_relu(z, 0.2, inplace=True)
    v = torch.einsum("mc,ftc->mtf", sources, net.psi).flatten(1)
    psi_h = products(v, neighbours, z) + F.embedding(neighbours, sources @ net.psi_bias.mT)
    scalars = gamma[..., None] * (z @ net.omega + net.omega_bias) * psi_h / neighbours.shape[1]
    aggregate = scalars.mT @ z
    return torch.einsum("ptf,fto->po", aggregate, net.phi) + scalars.sum(1) @ net.phi_bias


class _Products(torch.autograd.Function):
    """`piecewise` with its gradient."""

    @staticmethod
    def forward(ctx: Any, v: Tensor, neighbours: Tensor, z: Tensor) -> Tensor:
        ctx.save_for_backward(v, neighbours, z)
        products = z.new_empty(*neighbours.shape, v.shape[1] // z.shape[2])
        for j, z_ij, product in _pieces(v, neighbours, z, products):
            product.copy_((_of_edges(v, j, z_ij) * z_ij[:, :, None]).sum(3))
        return products

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, Tensor]:
        v, neighbours, z = ctx.saved_tensors
        grad_v, grad_z = torch.zeros_like(v), torch.empty_like(z)
        for j, z_ij, grad_ij, grad_z_ij in _pieces(v, neighbours, z, grad, grad_z):
            grad_z_ij.copy_((_of_edges(v, j, z_ij) * grad_ij[..., None]).sum(2))
            grad_v_j = grad_ij[..., None] * z_ij[:, :, None]
            # under autocast V is narrower than z
            grad_v.index_add_(0, j.flatten(), grad_v_j.flatten(2).flatten(0, 1).to(v.dtype))
        return grad_v, None, grad_z


def _pieces(v: Tensor, neighbours: Tensor, *of_pixels: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Split what is of pixels, so that V of their edges fits a core's cache, or fills a GPU."""
    floats = 2**19 if v.device.type == "cpu" else 2**26
    size = max(1, floats // (neighbours.shape[1] * v.shape[1]))
    return zip(*(torch.split(t, size) for t in (neighbours, *of_pixels)), strict=True)


def _of_edges(v: Tensor, j: Tensor, z: Tensor) -> Tensor:
    """V of the neighbours of some pixels: (pixels, k, r, F)."""
    return v.index_select(0, j.flatten()).view(*j.shape, -1, z.shape[2])
