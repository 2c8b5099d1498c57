"""S-shape network (`sshape`): a U-Net with batch normalization, and an edge network for its training."""

from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nircolor.models.network import Network, check_counts
from nircolor.models.unet import Encoder, double_conv, unet_receptive_field_px


class SShape(Network):
    """ColorNet of the S-shape network: a U-Net with batch normalization and bilinear upsampling.

    The multi-band colorization paper (Park et al., see `StructureAware`) compares its network with this one.
    The second half of the S-shape network, `EdgeNet`, is used only in training. 13.4 M parameters at the
    default width.

    Args:
        bands: NIR bands of the input.
        width: Channels at full resolution; 2, 4, 8 and again 8 times as many after the four poolings.

    Raises:
        ValueError: An argument is out of its range.

    Shapes:
        - ``nir``: (N, bands, h, w) in [0, 1]; h and w are multiples of 16.
        - Output: (N, 3, h, w), not clipped.

    Reference:
        Dong, Kamata, Breckon, "Infrared Image Colorization Using a S-Shape Network", ICIP 2018.

    Example:
        >>> network = SShape(bands=3, width=8).eval()
        >>> network(torch.rand(1, 3, 32, 48)).shape
        torch.Size([1, 3, 32, 48])
    """

    multiple_of = minimum_px = 16
    # bilinear upsampling reads one more cell at each level: 1, 2, 4 and 8 px
    receptive_field_px = unet_receptive_field_px(convs=2) + 15

    def __init__(self, bands: int = 1, width: int = 64) -> None:
        super().__init__()
        check_counts(bands=bands, width=width)
        self.bands = bands
        block = partial(double_conv, norm="batch")
        down = [width, 2 * width, 4 * width, 8 * width, 8 * width]
        up = [8 * width, 4 * width, 2 * width, width, width]
        self.encoder = Encoder(bands, down, block)
        self.decoder = nn.ModuleList(
            block(a + skip, b) for (a, b), skip in zip(pairwise(up), reversed(down[:-1]), strict=True)
        )
        self.leave = nn.Conv2d(width, 3, 1)

    def forward(self, nir: Tensor) -> Tensor:
        """Compute the colour (N, 3, h, w) of ``nir`` (N, bands, h, w), not clipped.

        Raises:
            ValueError: Another number of bands, or sides that are not multiples of 16.
        """
        self.check(nir)
        *skips, h = self.encoder(nir)
        for block, skip in zip(self.decoder, reversed(skips), strict=True):
            h = block(torch.cat([skip, F.interpolate(h, scale_factor=2.0, mode="bilinear")], 1))
        return self.leave(h)


class EdgeNet(nn.Module):
    """Edge network of the S-shape network: estimates the edges of the true image from the colour error.

    A shallow encoder and decoder, used only in training; see `losses.edge_loss`.

    Args:
        width: Channels between encoder and decoder.

    Raises:
        ValueError: ``width`` is below 1.

    Example:
        >>> EdgeNet(width=8).eval()(torch.rand(1, 3, 32, 48)).shape
        torch.Size([1, 1, 32, 48])
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        check_counts(width=width)
        # a 4×4 kernel covers the Sobel windows of the four pixels that share a cell; batch normalization
        # keeps the error in range while it shrinks during training
        self.encoder = nn.Sequential(
            nn.Conv2d(3, width, 4, stride=2, padding=1, bias=False), nn.BatchNorm2d(width), nn.LeakyReLU(0.2)
        )
        self.decoder = nn.ConvTranspose2d(width, 1, 4, stride=2, padding=1)
        # training starts several times faster from zero weights, and until then the colour network gets no
        # gradient
        nn.init.zeros_(self.decoder.weight)
        assert self.decoder.bias is not None
        nn.init.zeros_(self.decoder.bias)

    def forward(self, difference: Tensor) -> Tensor:
        """Estimate edges as `losses.edge_map` computes them.

        Args:
            difference: (N, 3, h, w), predicted minus true colour, 0 at invalid pixels; h and w are even.

        Returns:
            (N, 1, h, w).
        """
        return self.decoder(self.encoder(difference))
