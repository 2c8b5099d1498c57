"""S-shape: the other comparison of the multi-band paper, a U-Net with an edge network behind it.

Dong, Kamata, Breckon, "Infrared Image Colorization Using a S-Shape Network", ICIP 2018. The edge network
serves training alone: from the colour's error it must give the edges of the truth.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nircolor.models.network import Network
from nircolor.models.unet import Encoder, receptive_field_px


def _double_conv(channels_in: int, channels_out: int) -> nn.Sequential:
    """Two times (conv 3×3, batch normalisation, ReLU)."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(),
        nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(),
    )


class SShape(Network):
    """ColorNet, the part that colours; 13.4 M parameters at the default width.

    Args:
        bands: NIR bands of the input.
        width: channels at the full resolution; 2, 4, 8 and again 8 times as many after the four poolings.
    """

    multiple_of = minimum_px = 16
    # interpolation on the way up sees a cell further, of 1, 2, 4 and 8 px
    receptive_field_px = receptive_field_px(convs=2) + 15

    def __init__(self, bands: int = 1, width: int = 64) -> None:
        super().__init__()
        self.bands = bands
        down = [width, 2 * width, 4 * width, 8 * width, 8 * width]
        up = [8 * width, 4 * width, 2 * width, width, width]
        self.encoder = Encoder(bands, down, _double_conv)
        self.decoder = nn.ModuleList(
            _double_conv(a + skip, b) for (a, b), skip in zip(pairwise(up), reversed(down[:-1]), strict=True)
        )
        self.leave = nn.Conv2d(width, 3, 1)

    def forward(self, nir: Tensor) -> Tensor:
        """Colour of ``nir`` (N, bands, h, w), values in [0, 1]: (N, 3, h, w), not clipped.

        Raises ValueError for other bands, and for sides that are not multiples of 16.
        """
        self.check(nir)
        *skips, h = self.encoder(nir)
        for block, skip in zip(self.decoder, reversed(skips), strict=True):
            h = block(torch.cat([skip, F.interpolate(h, scale_factor=2.0, mode="bilinear")], 1))
        return self.leave(h)


class EdgeNet(nn.Module):
    """Shallow encoder and decoder, from the error of a colouring to the edges of the truth.

    Args:
        width: channels between the two.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        # 4×4 holds the Sobel windows of the four pixels that it stands for; the error shrinks in training,
        # and normalised it stays visible
        self.encoder = nn.Sequential(
            nn.Conv2d(3, width, 4, stride=2, padding=1, bias=False), nn.BatchNorm2d(width), nn.LeakyReLU(0.2)
        )
        self.decoder = nn.ConvTranspose2d(width, 1, 4, stride=2, padding=1)
        # from zero it learns many times faster, and has no say in the colours before it has learnt anything
        nn.init.zeros_(self.decoder.weight)
        assert self.decoder.bias is not None
        nn.init.zeros_(self.decoder.bias)

    def forward(self, difference: Tensor) -> Tensor:
        """Edges (N, 1, h, w) as `losses.edge_map` has them.

        ``difference`` is (N, 3, h, w): predicted − true colour, 0 where the truth is not valid; even sides.
        """
        return self.decoder(self.encoder(difference))
