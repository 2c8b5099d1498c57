"""`nirgnn`: NIR-GNN (P2: Valsesia et al., VCIP 2020), which colours a pixel by the pixels that look like it.

P2, section III: a preprocessing at three scales; blocks named after a proximal gradient descent that is
unrolled, one high-pass filter (HPF) whose output enters each of two low-pass filters (LPF); and a last graph
convolution. The network estimates colour minus NIR. What the paper leaves open is as in the code of the work
that it builds on, GCDN (Valsesia et al., IEEE TIP 2020), unless a comment says otherwise.
"""

from collections.abc import Callable, Iterable
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nircolor.models.graph.graph_conv import GraphConv, glorot
from nircolor.models.graph.knn import Graph, fewest_candidates, nearest
from nircolor.models.network import Network

BatchNorm = Literal["blocks", "reference", "everywhere"]


class Connect(nn.Module):
    """The graph of features: the whole patch is searched in training, windows are in evaluation."""

    def __init__(self, neighbours: int, window_px: int) -> None:
        super().__init__()
        self.neighbours = neighbours
        self.window_px = window_px

    def forward(self, h: Tensor) -> Graph:
        return nearest(h, self.neighbours, None if self.training else self.window_px)


class Block(nn.Module):
    """Convolutions, the graph of what they give, layers that share this graph; LeakyReLU after each.

    Args:
        convolutions: with their normalisation and LeakyReLU.
        connect: from features to their graph.
        layers: each with its normalisation, graph convolutions say.
    """

    def __init__(
        self, convolutions: nn.Module, connect: nn.Module, layers: Iterable[tuple[nn.Module, nn.Module]]
    ) -> None:
        super().__init__()
        self.convolutions = convolutions
        self.connect = connect
        self.layers, self.norms = (nn.ModuleList(modules) for modules in zip(*layers, strict=True))

    def forward(self, h: Tensor) -> Tensor:
        h = self.convolutions(h)
        graph = self.connect(h)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            h = F.leaky_relu(norm(layer(h, graph)), 0.2, inplace=True)
        return h


class Unrolled(Network):
    """P2, Fig. 1, for any kind of layer: what NIR-GNN and the CNN that it is compared with have in common.

    Args:
        bands: of the input.
        width: F, features; a multiple of 3.
        layer: from features in and out to what stands for a graph convolution between them.
        connect: from features to what the layers take as their graph.
        layer_receptive_field_px: how far a layer looks.
        batch_norm: "reference" has BN after the convolution of each block and after the LPFs' layers,
            "blocks" also after the HPF's layers, "everywhere" also in the preprocessing. P2 says that "all
            layers are interleaved by Batch Normalization".
        bn_momentum: share of one step in the running statistics; runs under 20,000 steps want 0.1.

    Raises:
        ValueError: a width that is no multiple of 3.
    """

    def __init__(
        self,
        bands: int,
        width: int,
        layer: Callable[[int, int], nn.Module],
        connect: nn.Module,
        layer_receptive_field_px: int,
        batch_norm: BatchNorm,
        bn_momentum: float,
    ) -> None:
        super().__init__()
        if width % 3:
            raise ValueError(f"width: expected a multiple of 3, got {width}")
        self.bands = bands
        # the 7×7 convolutions mirror three pixels beyond the border
        self.minimum_px = 4
        # three 7×7 convolutions and a layer; three blocks, each a 3×3 convolution and three layers; a layer
        self.receptive_field_px = (
            3 * 3
            + layer_receptive_field_px
            + 3 * (1 + 3 * layer_receptive_field_px)
            + layer_receptive_field_px
        )

        def norm(features: int, wanted: bool = True) -> nn.Module:
            return nn.BatchNorm2d(features, eps=1e-3, momentum=bn_momentum) if wanted else nn.Identity()

        def scale(kernel: int) -> Block:
            third, normed = width // 3, batch_norm == "everywhere"
            convolutions = (
                _convolution(fan_in, third, kernel, False, norm(third, normed))
                for fan_in in (bands, third, third)
            )
            return Block(nn.Sequential(*convolutions), connect, [(layer(third, third), norm(third, normed))])

        def filter_(normed: bool = True) -> Block:
            convolution = _convolution(width, width, 3, True, norm(width))
            return Block(convolution, connect, [(layer(width, width), norm(width, normed)) for _ in range(3)])

        self.preprocessing = nn.ModuleList(scale(kernel) for kernel in (3, 5, 7))
        self.high_pass = filter_(batch_norm != "reference")
        self.low_pass = nn.ModuleList(filter_() for _ in range(2))
        # of each LPF
        self.alpha = nn.Parameter(torch.full((2,), 0.5))
        self.beta = nn.Parameter(torch.full((2,), 0.5))
        self.connect = connect
        self.last = layer(width, 3)
        # graph convolutions read pixel by pixel, and a CPU's convolutions are no slower
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, nir: Tensor) -> Tensor:
        """Colour a image.

        Args:
            nir: (N, bands, h, w) in [0, 1].

        Returns:
            (N, 3, h, w), not clipped.
        """
        self.check(nir)
        # the non-linearity after the concatenation is in the branches
        h = torch.cat([scale(nir) for scale in self.preprocessing], 1)
        high = self.high_pass(h)
        for low_pass, alpha, beta in zip(self.low_pass, self.alpha, self.beta, strict=True):
            h = (1 - alpha) * h + beta * high
            h = h + low_pass(h)
        # several bands: which of them colour is closest to is not said, so their mean
        return nir.mean(1, keepdim=True) + self.last(h, self.connect(h))


def _convolution(fan_in: int, fan_out: int, kernel: int, bias: bool, norm: nn.Module) -> nn.Sequential:
    convolution = nn.Conv2d(fan_in, fan_out, kernel, padding=kernel // 2, padding_mode="reflect", bias=bias)
    glorot(convolution)
    return nn.Sequential(convolution, norm, nn.LeakyReLU(0.2, inplace=True))


class NirGnn(Unrolled):
    """P2's network; 2,172,507 parameters as released ("reference"), 2,173,101 with the defaults.

    Args:
        bands: of the input.
        width: F, features; a multiple of 3.
        rank: r, of the weights of an edge.
        neighbours: k.
        decay: δ of the edge attention.
        batch_norm: where it is, see `Unrolled`.
        release_shifts: shift the circulant heads by 0, 2s and 3s as the released code does, where the third
            is the first again, rather than by 0, s and 2s.
        window_px: odd side of the window that is searched for neighbours in evaluation.
        bn_momentum: see `Unrolled`.

    Raises:
        ValueError: a width that is no multiple of 3, an even window or one with too few pixels.
    """

    engine: ClassVar[Literal["onnxruntime", "torch"]] = "torch"

    def __init__(
        self,
        bands: int = 1,
        width: int = 99,
        rank: int = 11,
        neighbours: int = 8,
        decay: float = 10.0,
        batch_norm: BatchNorm = "blocks",
        release_shifts: bool = False,
        window_px: int = 49,
        bn_momentum: float = 0.001,
    ) -> None:
        if window_px % 2 == 0 or fewest_candidates(window_px, window_px, window_px // 2) < neighbours:
            raise ValueError(
                f"window_px: expected an odd side with {neighbours} candidates in the window's quarter that "
                f"is left in a image's corner, got {window_px}"
            )
        third = width // 3
        shifts = (0, 2 * third, 3 * third) if release_shifts else (0, third, 2 * third)

        def layer(fan_in: int, fan_out: int) -> nn.Module:
            # dense in the preprocessing and where three colours come out
            wide = fan_in == width
            return GraphConv(
                fan_in,
                fan_out,
                rank,
                decay,
                psi_shifts=shifts if wide else (0,),
                phi_shifts=shifts if wide and fan_out == width else (0,),
            )

        super().__init__(
            bands, width, layer, Connect(neighbours, window_px), window_px // 2, batch_norm, bn_momentum
        )
        # a pixel from far away can change which neighbours are chosen: its say does not fade
        self.overlap_px = 2 * self.receptive_field_px
        while fewest_candidates(self.minimum_px, self.minimum_px, window_px // 2) < neighbours:
            self.minimum_px += 1
