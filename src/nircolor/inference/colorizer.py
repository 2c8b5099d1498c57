"""`Colorizer`: the one way from NIR to colour, shared by the command line and everything above it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nircolor.arrays import Floats, Mask
from nircolor.errors import NircolorError
from nircolor.imagery import create_like, open_raster
from nircolor.inference.devices import Device
from nircolor.inference.engine import open_engine
from nircolor.inference.memory import round_tile, tile_size_px
from nircolor.inference.sources import ArraySource, RasterSource
from nircolor.inference.streaming import Progress, Source, colorize_strips
from nircolor.modelfile import Card
from nircolor.weights import find_model


def _no_progress(_done: float, _total: int) -> None:
    pass


@dataclass(frozen=True)
class Reading:
    """How to read a image, where the file does not say so itself.

    Attributes:
        bands_nm: wavelengths of its bands.
        scale: the value that maps to 1.0.
        stretch: percentiles that map to 0 and 1, e.g. (1, 99).
    """

    bands_nm: Sequence[float] | None = None
    scale: float | None = None
    stretch: tuple[float, float] | None = None


class Colorizer:
    """Colours near-infrared images of any size.

    Example:
        >>> import numpy as np
        >>> nir = np.full((1, 60, 80), 0.5, np.float32)
        >>> Colorizer("scene").colorize(nir).shape
        (3, 60, 80)

    Args:
        model: the name of a model that ships, or the path of a model file.
        device: "auto", "cpu", "cuda", "coreml" or "openvino"; the first three for models in PyTorch.
        tile_px: side of the tiles; by default from the memory at hand.
        jobs: images that will be coloured at once; they share the cores and the memory.

    Raises:
        NircolorError: no such model, a damaged or foreign file, the device is not there, or the model runs in
            PyTorch, which is not installed.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] = "scene",
        *,
        device: Device = "auto",
        tile_px: int | None = None,
        jobs: int = 1,
    ) -> None:
        self._engine = open_engine(find_model(model), device, jobs)
        self._jobs = jobs
        self._tile_px = None if tile_px is None else round_tile(tile_px, self.card)

    @property
    def card(self) -> Card:
        """The model's card."""
        return self._engine.card

    def colorize(self, nir: Floats, valid: Mask | None = None) -> Floats:
        """Colour a image in memory.

        Args:
            nir: (bands, height, width) in [0, 1], the card's bands in its order; NaN counts as invalid.
            valid: (height, width), False where a pixel means nothing.

        Returns:
            (3, height, width) float32 in [0, 1].

        Raises:
            ValueError: the shape is not the model's, or the values are integers.
        """
        bands = len(self.card.bands)
        if nir.ndim != 3 or len(nir) != bands or 0 in nir.shape:
            raise ValueError(f"nir: expected ({bands}, height, width), got {nir.shape}")
        if nir.dtype.kind != "f":
            raise ValueError(f"nir: expected floats in [0, 1], got {nir.dtype}")
        if valid is not None and valid.shape != nir.shape[1:]:
            raise ValueError(f"valid: expected {nir.shape[1:]}, got {valid.shape}")
        source = ArraySource(nir, valid)
        strips = colorize_strips(self._engine, source, self._tile_for(source), _no_progress)
        return np.concatenate([rgb for _, rgb, _ in strips], axis=1)

    def colorize_file(
        self,
        path: str | os.PathLike[str],
        output: str | os.PathLike[str],
        *,
        reading: Reading | None = None,
        depth: int | None = None,
        overwrite: bool = False,
        on_progress: Progress = _no_progress,
    ) -> None:
        """Colour a file into a file of the same size and place; nothing is left of it on failure.

        Args:
            path: the image.
            output: where to; the extension says the format.
            reading: what the file does not say itself.
            depth: 8 or 16 bits; by default as the input.
            overwrite: replace an output that is there.
            on_progress: called now and then with the pixels done since, and the image's.

        Raises:
            NircolorError: the image cannot be read, has not the model's bands, or cannot be written.
        """
        reading = reading or Reading()
        with open_raster(
            path, bands_nm=reading.bands_nm, scale=reading.scale, stretch=reading.stretch
        ) as raster:
            source = RasterSource(raster, self.card)
            tile_px = self._tile_for(source)
            try:
                with create_like(raster, output, depth=depth, overwrite=overwrite) as writer:
                    for top, rgb, valid in colorize_strips(self._engine, source, tile_px, on_progress):
                        writer.write(rgb, valid, (top, top + rgb.shape[1], 0, source.width))
                        # let go before the next strip is begun
                        del rgb, valid
            except MemoryError as error:
                raise NircolorError(
                    f"{path}: out of memory with tiles of {tile_px} px; "
                    f"use smaller ones, --tile {tile_px // 2}, or fewer --jobs"
                ) from error

    def _tile_for(self, source: Source) -> int:
        return self._tile_px or tile_size_px(self.card, source.width, self._jobs)
