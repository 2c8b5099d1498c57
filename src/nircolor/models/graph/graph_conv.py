"""The graph convolution of P2, eq. (1): a 3×3 convolution and a sum over alike pixels far away."""

import torch
from torch import Tensor, nn

from nircolor.models.graph.edge_sums import sum_edges
from nircolor.models.graph.edges import EdgeNetwork
from nircolor.models.graph.knn import Graph


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
        """(N, fan_in, h, w) and its graph to (N, fan_out, h, w)."""
        out: Tensor = self.local(h)
        out += sum_edges(h, graph, self.edge_network())
        return out.mul_(0.5).add_(self.bias[:, None, None])


def glorot(layer: nn.Conv2d | nn.Linear) -> None:
    """Glorot normal weights, biases 0."""
    nn.init.xavier_normal_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
