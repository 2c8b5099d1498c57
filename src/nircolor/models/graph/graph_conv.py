"""Graph convolution of NIR-GNN: a 3×3 convolution and a sum over pixels with similar features."""

import torch
from torch import Tensor, nn

from nircolor.models.graph.edge_sums import sum_edges
from nircolor.models.graph.edges import EdgeNetwork
from nircolor.models.graph.knn import Graph


class Head(nn.Module):
    """An output layer of 𝓕: from the hidden layer (F) to r vectors of ``fan_out`` numbers.

    Args:
        fan_in: F.
        fan_out: Length of each vector.
        rank: r.
        shifts: Circular shifts of the hidden layer. Each shifted copy is multiplied by the same weights
            (F, s · r), where s = fan_out / number of shifts; the concatenated results are the r vectors. The
            weight matrix is thus a stack of circulant matrices. A single shift of 0 is a dense layer.
    """

    def __init__(self, fan_in: int, fan_out: int, rank: int, shifts: tuple[int, ...]) -> None:
        super().__init__()
        self.shifts = shifts
        self.weight = nn.Parameter(torch.empty(fan_in, fan_out // len(shifts) * rank))
        self.bias = nn.Parameter(torch.zeros(rank, fan_out))
        nn.init.normal_(self.weight, std=1 / fan_in)

    def dense(self) -> Tensor:
        """Compute the weights of the equivalent dense layer: (F, r, fan_out)."""
        # shifting the input in one direction equals shifting the rows of the weights in the other
        shifted = [self.weight.roll(-shift, 0) for shift in self.shifts]
        return torch.cat(shifted, 1).view(-1, *self.bias.shape)


class LocalConv(nn.Conv2d):
    """H^L of eq. (1): 3×3 convolution with mirrored borders and Glorot initialization.

    Takes and ignores a graph, so that it can replace a `GraphConv`.
    """

    def __init__(self, fan_in: int, fan_out: int, bias: bool = True) -> None:
        super().__init__(fan_in, fan_out, 3, padding=1, padding_mode="reflect", bias=bias)
        glorot(self)

    def forward(self, h: Tensor, graph: Graph | None = None) -> Tensor:  # noqa: ARG002
        """Convolve ``h`` (N, fan_in, h, w); returns (N, fan_out, h, w)."""
        return super().forward(h)


class GraphConv(nn.Module):
    """Graph convolution, eq. (1) of the NIR-GNN paper: (H^L + H^NL) / 2 + b.

    H^L is a 3×3 convolution. H^NL is the mean over the k neighbours j of a pixel i of φᵀ (γ ω ∘ ψ h_j), where
    a small network 𝓕 computes ψ, φ and ω from d = h_j − h_i; see `edges.direct`.

    Args:
        fan_in: Features of the input.
        fan_out: Features of the output.
        rank: r, rank of the weight matrix of an edge.
        decay: δ of the edge attention γ = exp(−‖d‖² / δ).
        psi_shifts: Shifts of the head that computes ψ, see `Head`.
        phi_shifts: Shifts of the head that computes φ.

    Reference:
        Valsesia, Fracastoro, Magli, "NIR image colorization with graph-convolutional neural networks",
        VCIP 2020.

    Example:
        >>> from nircolor.models.graph import nearest
        >>> layer, h = GraphConv(6, 4, rank=2, decay=10.0), torch.randn(1, 6, 16, 16)
        >>> layer(h, nearest(h, k=8)).shape
        torch.Size([1, 4, 16, 16])
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
        """Return the weights of 𝓕, with circulant heads as dense matrices."""
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
        """Run the layer.

        Args:
            h: (N, fan_in, h, w).
            graph: Neighbours of the pixels of ``h``.

        Returns:
            (N, fan_out, h, w).
        """
        out: Tensor = self.local(h)
        out += sum_edges(h, graph, self.edge_network())
        return out.mul_(0.5).add_(self.bias[:, None, None])


def glorot(layer: nn.Conv2d | nn.Linear) -> None:
    """Initialize with Glorot's normal distribution and zero biases."""
    nn.init.xavier_normal_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
