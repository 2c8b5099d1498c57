"""The graph convolution of P2, eq. (1): a 3×3 convolution and a sum over alike pixels far away.

The weights of the sum, a matrix of low rank for every edge, are computed from the edge's label
d = h_j − h_i by a small network (lightweight edge-conditioned convolution; P2 writes h_i − h_j, which is the
same up to the sign of the weights).
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from nircolor.models.knn import Graph, blocks

# side of the blocks that are computed at once; V of a block and its surroundings is what takes memory. Larger
# ones compute less of V twice, smaller ones stay in the allocator's hands
_BLOCK_PX = 64


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


def factored(centres: Tensor, sources: Tensor, neighbours: Tensor, net: EdgeNetwork) -> Tensor:
    """The same as `direct` up to rounding, with the products by ψ and φ once a pixel instead of once an edge.

    ψ and φ are linear in z. So ψ h_j is V_j z + ψ_bias h_j where V_j = Ψ h_j knows nothing of i, and the sum
    over j of φᵀ a is Φᵀ times the sum of a zᵀ, which knows nothing of Φ. W₀ d is W₀ h_j − W₀ h_i likewise.
    """
    # an embedding is a gather whose gradient is fast
    d = F.embedding(neighbours, sources) - centres[:, None]
    gamma = torch.exp(-d.square().sum(-1) / net.decay)
    del d
    z = F.embedding(neighbours, sources @ net.hidden + net.hidden_bias) - (centres @ net.hidden)[:, None]
    z = F.leaky_relu(z, 0.2, inplace=True)
    v = torch.einsum("mc,ftc->mtf", sources, net.psi).flatten(1)
    products: Tensor = _Products.apply(v, neighbours, z)  # type: ignore[no-untyped-call]
    psi_h = products + F.embedding(neighbours, sources @ net.psi_bias.mT)
    scalars = gamma[..., None] * (z @ net.omega + net.omega_bias) * psi_h / neighbours.shape[1]
    aggregate = scalars.mT @ z
    return torch.einsum("ptf,fto->po", aggregate, net.phi) + scalars.sum(1) @ net.phi_bias


class _Products(torch.autograd.Function):
    """V_j z_ij of all edges: v (M, r · F), neighbours (P, k), z (P, k, F) to (P, k, r).

    V of all edges is k times as large as V. It is never made whole, nor kept for the gradient.
    """

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


class Head(nn.Module):
    """A last layer of 𝓕: from the hidden layer (F) to r vectors of ``fan_out``.

    Args:
        fan_in: F.
        fan_out: length of each vector.
        rank: r.
        shifts: circular shifts of the hidden layer. Each is multiplied by the same weights (F, s·r), s =
            fan_out / number of shifts; the results side by side are the r vectors: a stack of circulant
            matrices. The one shift 0 is a dense layer.
    """

    def __init__(self, fan_in: int, fan_out: int, rank: int, shifts: tuple[int, ...]) -> None:
        super().__init__()
        self.shifts = shifts
        self.weight = nn.Parameter(torch.empty(fan_in, fan_out // len(shifts) * rank))
        self.bias = nn.Parameter(torch.zeros(rank, fan_out))
        nn.init.normal_(self.weight, std=1 / fan_in)

    def dense(self) -> Tensor:
        """(F, r, fan_out), the weights of the dense layer that does the same."""
        # shifting the input one way is shifting the weights' rows the other way
        shifted = [self.weight.roll(-shift, 0) for shift in self.shifts]
        return torch.cat(shifted, 1).view(-1, *self.bias.shape)


class LocalConv(nn.Conv2d):
    """H^L of eq. (1): 3×3 convolution, mirrored borders, Glorot initialisation.

    It takes a graph as `GraphConv` does, and leaves it: so it can stand where a graph convolution stands.
    """

    def __init__(self, fan_in: int, fan_out: int, bias: bool = True) -> None:
        super().__init__(fan_in, fan_out, 3, padding=1, padding_mode="reflect", bias=bias)
        glorot(self)

    def forward(self, h: Tensor, graph: Graph | None = None) -> Tensor:  # noqa: ARG002
        return super().forward(h)


class GraphConv(nn.Module):
    """Eq. (1): (H^L + H^NL) / 2 + b.

    Args:
        fan_in: features of its input.
        fan_out: features of its output.
        rank: r.
        decay: δ of the edge attention γ = exp(−‖d‖² / δ).
        psi_shifts: of the ψ head, see `Head`.
        phi_shifts: of the φ head.
    """

    def __init__(
        self,
        fan_in: int,
        fan_out: int,
        rank: int,
        decay: float,
        psi_shifts: tuple[int, ...] = (0,),
        phi_shifts: tuple[int, ...] = (0,),
    ) -> None:
        super().__init__()
        self.decay = decay
        self.local = LocalConv(fan_in, fan_out, bias=False)
        self.hidden = nn.Linear(fan_in, fan_in)
        self.psi = Head(fan_in, fan_in, rank, psi_shifts)
        self.phi = Head(fan_in, fan_out, rank, phi_shifts)
        self.omega = nn.Linear(fan_in, rank)
        self.bias = nn.Parameter(torch.zeros(fan_out))
        glorot(self.hidden)
        nn.init.normal_(self.omega.weight, std=rank**-0.5)
        nn.init.zeros_(self.omega.bias)

    def edge_network(self) -> EdgeNetwork:
        """𝓕 with its circulant heads written out."""
        return EdgeNetwork(
            hidden=self.hidden.weight.mT,
            hidden_bias=self.hidden.bias,
            psi=self.psi.dense(),
            psi_bias=self.psi.bias,
            phi=self.phi.dense(),
            phi_bias=self.phi.bias,
            omega=self.omega.weight.mT,
            omega_bias=self.omega.bias,
            decay=self.decay,
        )

    def forward(self, h: Tensor, graph: Graph) -> Tensor:
        """(N, fan_in, h, w) and its graph to (N, fan_out, h, w).

        Computed in blocks, so that a large picture's edges never lie in memory together; a training patch is
        one block.
        """
        net = self.edge_network()
        pictures, _, height, width = h.shape
        out: Tensor = self.local(h)
        for block, around in blocks(height, width, _BLOCK_PX, graph.reach_px):
            centres, sources = (area.vectors(h).flatten(0, 1) for area in (block, around))
            sums = factored(centres, sources, graph.part(block, around), net)
            out[:, :, *block.cut] += sums.view(pictures, block.height, block.width, -1).permute(0, 3, 1, 2)
        return out.mul_(0.5).add_(self.bias[:, None, None])


def glorot(layer: nn.Conv2d | nn.Linear) -> None:
    """Glorot normal weights, biases 0."""
    nn.init.xavier_normal_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
