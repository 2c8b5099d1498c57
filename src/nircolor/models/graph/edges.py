"""Sum over the edges of a graph, eq. (1) of the NIR-GNN paper: as printed, and with fewer operations.

The weights of the sum, a matrix of low rank for every edge, are computed from the edge's label d = h_j − h_i
by a small network 𝓕 (lightweight edge-conditioned convolution). The paper writes h_i − h_j, which is the same
up to the sign of the weights.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


class EdgeNetwork(NamedTuple):
    """The weights of 𝓕 in eq. (1), for F input features, F′ output features and rank r.

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
    """Compute H^NL of eq. (1) as printed, with ψ, φ and ω of every edge: the reference for `factored`.

    Args:
        centres: (P, F), features of the pixels i whose sums are computed.
        sources: (M, F), features of the pixels that contain all neighbours.
        neighbours: (P, k), rows of ``sources``: the neighbours j of each i.
        net: The weights.

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
    """Compute V_j z_ij of all edges in one expression, which PyTorch's compiler fuses.

    Args:
        v: (M, r · F), V_j of the sources.
        neighbours: (P, k), rows of ``v``.
        z: (P, k, F), hidden layer of the edges.

    Returns:
        (P, k, r).
    """
    return (v[neighbours].view(*neighbours.shape, -1, z.shape[2]) * z[:, :, None]).sum(3)


def piecewise(v: Tensor, neighbours: Tensor, z: Tensor) -> Tensor:
    """Compute V_j z_ij of all edges without a compiler.

    V of the edges, k times as large as ``v``, is gathered in pieces.

    Args:
        v: (M, r · F), V_j of the sources.
        neighbours: (P, k), rows of ``v``.
        z: (P, k, F), hidden layer of the edges.

    Returns:
        (P, k, r).
    """
    products: Tensor = _Products.apply(v, neighbours, z)  # type: ignore[no-untyped-call]
    return products


def factored(
    centres: Tensor,
    sources: Tensor,
    neighbours: Tensor,
    net: EdgeNetwork,
    products: Callable[[Tensor, Tensor, Tensor], Tensor] = piecewise,
) -> Tensor:
    """Compute the same as `direct` up to rounding, with products by Ψ and Φ per pixel, not per edge.

    ψ and φ are linear in z. So ψ h_j = V_j z + ψ_bias h_j, where V_j = Ψ h_j does not depend on i, and the
    sum over j of φᵀ a is Φᵀ times the sum of a zᵀ, which does not depend on Φ. In the same way, W₀ d = W₀ h_j
    − W₀ h_i.

    Args:
        centres: (P, F), features of the pixels i whose sums are computed.
        sources: (M, F), features of the pixels that contain all neighbours.
        neighbours: (P, k), rows of ``sources``: the neighbours j of each i.
        net: The weights.
        products: Computes V_j z_ij: `piecewise` or `at_once`.

    Returns:
        (P, F′).
    """
    # an embedding is a gather with a fast gradient
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
            product.copy_((_gather_edges(v, j, z_ij) * z_ij[:, :, None]).sum(3))
        return products

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, Tensor]:
        v, neighbours, z = ctx.saved_tensors
        grad_v, grad_z = torch.zeros_like(v), torch.empty_like(z)
        for j, z_ij, grad_ij, grad_z_ij in _pieces(v, neighbours, z, grad, grad_z):
            grad_z_ij.copy_((_gather_edges(v, j, z_ij) * grad_ij[..., None]).sum(2))
            grad_v_j = grad_ij[..., None] * z_ij[:, :, None]
            # under autocast V has lower precision than z
            grad_v.index_add_(0, j.flatten(), grad_v_j.flatten(2).flatten(0, 1).to(v.dtype))
        return grad_v, None, grad_z


def _pieces(v: Tensor, neighbours: Tensor, *pixel_tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Split tensors along their pixels, so that V of a piece's edges fits a core's cache or fills a GPU."""
    floats = 2**19 if v.device.type == "cpu" else 2**26
    size = max(1, floats // (neighbours.shape[1] * v.shape[1]))
    return zip(*(torch.split(t, size) for t in (neighbours, *pixel_tensors)), strict=True)


def _gather_edges(v: Tensor, j: Tensor, z: Tensor) -> Tensor:
    """Gather V of the neighbours ``j`` (pixels, k): (pixels, k, r, F)."""
    return v.index_select(0, j.flatten()).view(*j.shape, -1, z.shape[2])
