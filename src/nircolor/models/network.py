"""What every network says of itself, so that training, export and engines ask rather than guess."""

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn


class Network(nn.Module):
    """From NIR (N, bands, h, w) to colour (N, 3, h, w), both in [0, 1], the colour not clipped.

    A network is its class and its constructor's arguments: both are saved with its weights.

    Attributes:
        bands: of its input.
        multiple_of: what both sides of its input must be multiples of.
        minimum_px: shortest side that it takes.
        receptive_field_px: how far away a pixel of the input can be that still has a say in an answer.
        overlap_px: by how much tiles of a image must overlap, None where the reach will do: a convolution's
            say fades out well before.
        context_px: side of the whole image's reduced view that goes in beside a tile (see
            `modelfile.Context`), None where the network takes the tile alone.
        engine: what runs it once it is trained.
    """

    bands: int = 1
    multiple_of: int = 1
    minimum_px: int = 1
    receptive_field_px: int = 0
    overlap_px: int | None = None
    context_px: int | None = None
    engine: ClassVar[Literal["onnxruntime", "torch"]] = "onnxruntime"

    def check(self, nir: Tensor) -> None:
        """Raises ValueError where ``nir`` is not what the network takes; it is never padded in silence."""
        if torch.compiler.is_compiling():
            # sizes are symbols then, and the graph's own inputs say what they may be
            return
        if nir.ndim != 4 or nir.shape[1] != self.bands:
            raise ValueError(f"nir: expected (N, {self.bands}, h, w), got {tuple(nir.shape)}")
        for side in nir.shape[2:]:
            if side % self.multiple_of or side < self.minimum_px:
                raise ValueError(
                    f"nir: expected sides that are multiples of {self.multiple_of}, at least "
                    f"{self.minimum_px} px, got {tuple(nir.shape[2:])}"
                )
