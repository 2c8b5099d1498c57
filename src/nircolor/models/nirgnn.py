"""NIR-GNN (`nirgnn`), and the structure that it shares with its convolutional counterpart `cnn`."""

from collections.abc import Callable, Iterable
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nircolor.models.graph.graph_conv import GraphConv, glorot
from nircolor.models.graph.knn import Graph, fewest_candidates, nearest
from nircolor.models.network import Network, check_choice, check_counts

BatchNorm = Literal["blocks", "reference", "everywhere"]
"""Position of the batch norms, see `Unrolled`."""


class Connect(nn.Module):
    """Nearest-neighbour graph of features: of the whole patch in training, of windows in evaluation.

    Args:
        neighbours: k, neighbours of a pixel.
        window_px: Odd side of the window around a pixel that is searched in evaluation.
    """

    def __init__(self, neighbours: int, window_px: int) -> None:
        super().__init__()
        self.neighbours = neighbours
        self.window_px = window_px

    def forward(self, h: Tensor) -> Graph:
        """Find the neighbours of all pixels of ``h`` (N, F, rows, columns)."""
        return nearest(h, self.neighbours, None if self.training else self.window_px)


class Block(nn.Module):
    """Convolutions, then a graph of their output, then layers that share this graph.

    LeakyReLU follows each layer.

    Args:
        convolutions: With their normalization and LeakyReLU.
        connect: Computes the graph of features.
        layers: Pairs of a layer, called with features and graph, and its normalization.
    """

    def __init__(
        self, convolutions: nn.Module, connect: nn.Module, layers: Iterable[tuple[nn.Module, nn.Module]]
    ) -> None:
        super().__init__()
        self.convolutions = convolutions
        self.connect = connect
        self.layers, self.norms = (nn.ModuleList(modules) for modules in zip(*layers, strict=True))

    def forward(self, h: Tensor) -> Tensor:
        """Run the block on ``h`` (N, channels, rows, columns); rows and columns are kept."""
        h = self.convolutions(h)
        graph = self.connect(h)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            h = F.leaky_relu(norm(layer(h, graph)), 0.2, inplace=True)
        return h


class Unrolled(Network):
    """Structure of NIR-GNN (Fig. 1 of its paper) for any kind of layer.

    Preprocessing at three scales is followed by blocks named after an unrolled proximal gradient descent: one
    high-pass filter (HPF), whose output is added to the input of each of two low-pass filters (LPF), and a
    last layer. The network estimates the difference between colour and NIR. Details that the paper leaves
    open follow the code of GCDN, on which it builds, unless a comment says otherwise.

    Args:
        bands: NIR bands of the input.
        width: Features, F in the paper; a multiple of 3.
        layer: Called with the numbers of input and output features; returns the layer that is used in the
            place of a graph convolution.
        connect: Module that computes the graph from features; its output is the layers' second argument.
        layer_receptive_field_px: receptive-field radius of a layer, in pixels.
        batch_norm: ``"reference"`` has batch norm after the convolution of each block and after the layers of
            the LPFs, ``"blocks"`` also after the layers of the HPF, ``"everywhere"`` also in the
            preprocessing. The paper says that "all layers are interleaved by Batch Normalization".
        bn_momentum: Weight of one batch in the running statistics, above 0 and at most 1; runs of fewer than
            20,000 steps need about 0.1.

    Raises:
        ValueError: An argument is out of its range.

    Reference:
        GCDN: Valsesia, Fracastoro, Magli, "Deep Graph-Convolutional Image Denoising", IEEE TIP 2020.
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
        check_counts(bands=bands)
        _check_width(width)
        check_choice("batch_norm", batch_norm, get_args(BatchNorm))
        if not 0 < bn_momentum <= 1:
            raise ValueError(f"bn_momentum: expected above 0 and at most 1, got {bn_momentum}")
        self.bands = bands
        # the 7×7 convolutions are padded with three mirrored pixels
        self.minimum_px = 4
        # three 7×7 convolutions and a layer; three blocks of a 3×3 convolution and three layers; a layer
        self.receptive_field_px = (
            3 * 3
            + layer_receptive_field_px
            + 3 * (1 + 3 * layer_receptive_field_px)
            + layer_receptive_field_px
        )

        def norm(features: int, enabled: bool = True) -> nn.Module:
            return nn.BatchNorm2d(features, eps=1e-3, momentum=bn_momentum) if enabled else nn.Identity()

        def make_scale(kernel: int) -> Block:
            third, enabled = width // 3, batch_norm == "everywhere"
            convolutions = (
                _convolution(fan_in, third, kernel, False, norm(third, enabled))
                for fan_in in (bands, third, third)
            )
            return Block(nn.Sequential(*convolutions), connect, [(layer(third, third), norm(third, enabled))])

        def make_filter(enabled: bool = True) -> Block:
            convolution = _convolution(width, width, 3, True, norm(width))
            return Block(
                convolution, connect, [(layer(width, width), norm(width, enabled)) for _ in range(3)]
            )

        self.preprocessing = nn.ModuleList(make_scale(kernel) for kernel in (3, 5, 7))
        self.high_pass = make_filter(batch_norm != "reference")
        self.low_pass = nn.ModuleList(make_filter() for _ in range(2))
        # one value for each LPF
        self.alpha = nn.Parameter(torch.full((2,), 0.5))
        self.beta = nn.Parameter(torch.full((2,), 0.5))
        self.connect = connect
        self.last = layer(width, 3)
        # graph convolutions read all channels of a pixel; convolutions are not slower on a CPU
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, nir: Tensor) -> Tensor:
        """Compute the colour (N, 3, h, w) of ``nir`` (N, bands, h, w), not clipped.

        Raises:
            ValueError: Another number of bands, or sides below ``minimum_px``.
        """
        self.check(nir)
        # the paper's non-linearity after the concatenation is applied in the branches
        h = torch.cat([scale(nir) for scale in self.preprocessing], 1)
        high = self.high_pass(h)
        for low_pass, alpha, beta in zip(self.low_pass, self.alpha, self.beta, strict=True):
            h = (1 - alpha) * h + beta * high
            h = h + low_pass(h)
        # the paper has one band; the mean of several is used
        return nir.mean(1, keepdim=True) + self.last(h, self.connect(h))


def _convolution(fan_in: int, fan_out: int, kernel: int, bias: bool, norm: nn.Module) -> nn.Sequential:
    convolution = nn.Conv2d(fan_in, fan_out, kernel, padding=kernel // 2, padding_mode="reflect", bias=bias)
    glorot(convolution)
    return nn.Sequential(convolution, norm, nn.LeakyReLU(0.2, inplace=True))


def _check_width(width: int) -> None:
    check_counts(width=width)
    if width % 3:
        raise ValueError(f"width: expected a multiple of 3, got {width}")


class NirGnn(Unrolled):
    """NIR-GNN: colorizes a pixel from the pixels with the most similar features, near or distant.

    Its layers are graph convolutions (see `graph.GraphConv`), the mean of a 3×3 convolution and a weighted
    sum over the k nearest neighbours in feature space. Training searches the whole patch for neighbours,
    evaluation a window around each pixel. It runs in PyTorch, not in ONNX Runtime. 2,172,507
    parameters as released (``batch_norm="reference"``), 2,173,101 with the defaults.

    Args:
        bands: NIR bands of the input.
        width: Features, F in the paper; a multiple of 3.
        rank: r, rank of the weight matrix of an edge.
        neighbours: k, neighbours of a pixel.
        decay: δ of the edge attention exp(−‖d‖² / δ), above 0.
        batch_norm: Position of the batch norms, see `Unrolled`.
        release_shifts: Shift the circulant heads by 0, 2s and 3s as in the released code, where the third
            equals the first, rather than by 0, s and 2s.
        window_px: Odd side of the window that is searched for neighbours in evaluation, in pixels.
        bn_momentum: See `Unrolled`.

    Raises:
        ValueError: An argument is out of its range, or the window has too few pixels for ``neighbours``.

    Shapes:
        - ``nir``: (N, bands, h, w) in [0, 1]; h and w are at least 5 with the defaults.
        - Output: (N, 3, h, w), not clipped.

    Reference:
        Valsesia, Fracastoro, Magli, "NIR image colorization with graph-convolutional neural networks",
        VCIP 2020.

    Example:
        >>> network = NirGnn(width=6, rank=2).eval()
        >>> with torch.inference_mode():
        ...     rgb = network(torch.rand(1, 1, 20, 31))
        >>> rgb.shape
        torch.Size([1, 3, 20, 31])
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
        _check_width(width)
        check_counts(rank=rank, neighbours=neighbours, window_px=window_px)
        if not 0 < decay < float("inf"):
            raise ValueError(f"decay: expected a number above 0, got {decay}")
        if window_px % 2 == 0 or fewest_candidates(window_px, window_px, window_px // 2) < neighbours:
            raise ValueError(
                f"window_px: expected an odd side whose window holds {neighbours} candidates for neighbours "
                f"in the corner of an image, got {window_px}"
            )
        third = width // 3
        shifts = (0, 2 * third, 3 * third) if release_shifts else (0, third, 2 * third)

        def layer(fan_in: int, fan_out: int) -> nn.Module:
            # heads are dense in the preprocessing and in the last layer, whose output is three colours
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
        # a distant pixel can change which neighbours are chosen, so that its influence does not decrease
        # with distance
        self.overlap_px = 2 * self.receptive_field_px
        while fewest_candidates(self.minimum_px, self.minimum_px, window_px // 2) < neighbours:
            self.minimum_px += 1
