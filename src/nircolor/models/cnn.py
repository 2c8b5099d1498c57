"""`cnn`: what NIR-GNN is compared with (P2, section IV), the same network without its graphs.

"Same overall architecture, but without the non-local graph-convolutional contribution", as wide as makes it
about as large. A graph convolution (H^L + H^NL) / 2 + b becomes the 3×3 convolution H^L + b: the half is that
of a mean of two, and one of them is gone.
"""

from torch import Tensor, nn

from nircolor.models.graph.graph_conv import LocalConv
from nircolor.models.nirgnn import BatchNorm, Unrolled


class _NoGraph(nn.Module):
    def forward(self, h: Tensor) -> None:
        pass


class Cnn(Unrolled):
    """P2's CNN; 2,165,143 parameters with ``batch_norm="reference"``, 2,165,917 with the defaults.

    Args:
        bands: of the input.
        width: F, features; a multiple of 3.
        batch_norm: see `Unrolled`.
        bn_momentum: see `Unrolled`.

    Raises:
        ValueError: a width that is no multiple of 3.
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
