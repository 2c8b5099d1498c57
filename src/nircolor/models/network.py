"""Base class of all networks."""

from collections.abc import Collection, Sequence
from numbers import Integral
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn


class Network(nn.Module):
    """Base class of the networks: NIR (N, bands, h, w) in, colour (N, 3, h, w) out.

    Both are in [0, 1]; the output is not clipped. A network with an ``error_quantile`` returns (N, 4, h, w):
    the fourth channel bounds the error of the colour. A subclass implements ``forward(nir)``, or
    ``forward(nir, context)`` where it sets ``context_px``, and sets the attributes below where its input must
    differ from the default. Training, export and inference read them. Checkpoints and model files store a
    network as its constructor's arguments and its weights, so the arguments must be plain values.

    Attributes:
        bands: Number of NIR bands of the input.
        multiple_of: Height and width must be multiples of this, in pixels.
        minimum_px: Shortest side of the input, in pixels.
        receptive_field_px: Radius of the receptive field, in pixels: no input pixel further away, by rows or
            columns, changes an output pixel.
        overlap_px: Overlap of neighbouring tiles when a large image is colorized in tiles, in pixels. None
            for the radius of the receptive field, which suffices for convolutions, as the influence of
            distant pixels is small.
        context_px: Side of the reduced view of the whole image that the network takes beside a tile (see
            `modelfile.Context`), in pixels; None where it takes the tile alone.
        working_pixels: Largest number of pixels that it colorizes; larger images are reduced (see
            `modelfile.Context`). None for any number.
        error_quantile: Share of the errors that lie below the fourth channel (see `modelfile.Card`); None
            for three channels.
        engine: The library that runs the trained network.

    Example:
        A network of one convolution:

        >>> class OneConvolution(Network):
        ...     receptive_field_px = 1
        ...
        ...     def __init__(self, bands: int = 1) -> None:
        ...         super().__init__()
        ...         self.bands = bands
        ...         self.conv = nn.Conv2d(bands, 3, 3, padding=1)
        ...
        ...     def forward(self, nir: Tensor) -> Tensor:
        ...         self.check(nir)
        ...         return self.conv(nir)
        >>> OneConvolution(bands=2)(torch.rand(1, 2, 8, 8)).shape
        torch.Size([1, 3, 8, 8])
    """

    bands: int = 1
    multiple_of: int = 1
    minimum_px: int = 1
    receptive_field_px: int = 0
    overlap_px: int | None = None
    context_px: int | None = None
    working_pixels: int | None = None
    error_quantile: float | None = None
    engine: ClassVar[Literal["onnxruntime", "torch"]] = "onnxruntime"

    def error_head(self) -> nn.Sequential | None:
        """Return the layers that bound the error, 1×1 convolutions with ReLU between them, if there are any.

        They map features of a cell of k × k pixels to the logarithms of the bounds of its pixels,
        (N, C, h / k, w / k) to (N, k², h / k, w / k), and are fitted after the others
        (`nircolor.training.bounds`). A network with an ``error_quantile`` has them.
        """
        return None

    def check(self, nir: Tensor) -> None:
        """Check the shape of an input; inputs are never padded silently.

        Raises:
            ValueError: ``nir`` is not (N, bands, h, w), or the network does not accept these sides.
        """
        if torch.compiler.is_compiling():
            # sizes are symbols in a traced graph, whose inputs declare their limits
            return
        if nir.ndim != 4 or nir.shape[1] != self.bands:
            raise ValueError(f"nir: expected (N, {self.bands}, h, w), got {tuple(nir.shape)}")
        for side in nir.shape[2:]:
            if side % self.multiple_of or side < self.minimum_px:
                raise ValueError(
                    f"nir: expected sides that are multiples of {self.multiple_of}, at least "
                    f"{self.minimum_px} px, got {tuple(nir.shape[2:])}"
                )


def check_counts(minimum: int = 1, /, **arguments: object) -> None:
    """Raise ValueError for an argument that is not a whole number of at least ``minimum``."""
    for name, value in arguments.items():
        if not isinstance(value, Integral) or value < minimum:
            raise ValueError(f"{name}: expected a whole number of at least {minimum}, got {value!r}")


def check_widths(widths: object) -> None:
    """Raise ValueError unless ``widths`` is a sequence of one or more whole numbers of at least 1."""
    if not isinstance(widths, Sequence) or isinstance(widths, str) or not widths:
        raise ValueError(f"widths: expected the channels of one or more levels, got {widths!r}")
    check_counts(**{f"widths[{level}]": width for level, width in enumerate(widths)})


def check_choice(name: str, value: str, choices: Collection[str]) -> None:
    """Raise ValueError if ``value`` is not one of ``choices``."""
    if value not in choices:
        raise ValueError(f"{name}: expected one of {', '.join(choices)}, got {value!r}")
