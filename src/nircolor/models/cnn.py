"""Convolutional counterpart of NIR-GNN (`cnn`)."""

from torch import Tensor, nn

from nircolor.models.graph import LocalConv
from nircolor.models.nirgnn import BatchNorm, Unrolled


class _NoGraph(nn.Module):
    """Stand-in for `nirgnn.Connect`: convolutions need no graph."""

    def forward(self, h: Tensor) -> None:
        pass


class Cnn(Unrolled):
    """NIR-GNN with 3×3 convolutions in place of its graph convolutions.

    The NIR-GNN paper compares its network with this one (section IV: "same overall architecture, but without
    the non-local graph-convolutional contribution"). It is wider than NIR-GNN, so that both have about as
    many parameters. A graph convolution (H^L + H^NL) / 2 + b becomes the 3×3 convolution H^L + b, without the
    factor of 1/2 for the mean of two terms. 2,165,143 parameters with ``batch_norm="reference"``,
    2,165,917 with the defaults.

    Args:
        bands: NIR bands of the input.
        width: Features, F in the paper; a multiple of 3.
        batch_norm: Position of the batch norms, see `Unrolled`.
        bn_momentum: See `Unrolled`.

    Raises:
        ValueError: An argument is out of its range.

    Shapes:
        - ``nir``: (N, bands, h, w) in [0, 1]; h and w are at least 4.
        - Output: (N, 3, h, w), not clipped.

    Reference:
        Valsesia, Fracastoro, Magli, "NIR image colorization with graph-convolutional neural networks",
        VCIP 2020.

    Example:
        >>> import torch
        >>> network = Cnn(width=6).eval()
        >>> network(torch.rand(1, 1, 20, 31)).shape
        torch.Size([1, 3, 20, 31])
    """

    def __init__(
        self,
        bands: int = 1,
        width: int = 129,
        batch_norm: BatchNorm = "blocks",
        bn_momentum: float = 0.001,
    ) -> None:
        super().__init__(
            bands,
            width,
            layer=LocalConv,
            connect=_NoGraph(),
            layer_receptive_field_px=1,
            batch_norm=batch_norm,
            bn_momentum=bn_momentum,
        )
