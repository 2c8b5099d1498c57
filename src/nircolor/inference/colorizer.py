"""`Colorizer`: a loaded model that colorizes arrays and files."""

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, overload

import numpy as np
from numpy.typing import NDArray

from nircolor.arrays import Floats, Mask
from nircolor.errors import NircolorError
from nircolor.extras import require
from nircolor.imagery.video import is_video
from nircolor.inference.confidence import confidence_of, require_confidence
from nircolor.inference.engine import Device, Engine, open_engine
from nircolor.inference.outputs import writers_for, writing
from nircolor.inference.pixels import to_pixels
from nircolor.inference.reading import FileSummary, Reading, opened, summarize
from nircolor.inference.reference import Reference, Transfer, check_reference, open_reference
from nircolor.inference.sources import ArraySource, RowSource
from nircolor.inference.streaming import Part, colorize_strip, colorize_strips, saturate, whole_part
from nircolor.inference.tiling import round_tile, tile_size_px
from nircolor.inference.video import Clip, Options, check_video, colorize_video
from nircolor.modelfile import Card, CardMetadata, Context, Size
from nircolor.parallel import Progress
from nircolor.weights import find_model

if TYPE_CHECKING:
    # not imported at run time: models that run in ONNX Runtime need no PyTorch
    from torch import nn

# memory per input pixel of a network that was not measured; the shipped ones take 400 to 900 bytes
_UNKNOWN_BYTES_PER_PX = 2000.0
# far beyond any taste: a larger number is more likely a percentage
MOST_SATURATION = 10


class Colorizer:
    """A loaded model that colorizes near-infrared images of any size, in memory or in files.

    The model is loaded once; `colorize` and `colorize_file` may be called from several threads.

    Args:
        model: Name of a shipped model, or path of a model file.
        device: "auto", "cpu", "cuda", "coreml" or "openvino"; models in PyTorch run on the first three.
        tile_px: Side of the tiles in pixels; by default chosen by the free memory. A model whose card has
            ``context.working_pixels`` works in tiles on a reduced image alone.
        jobs: Number of images that will be colorized at the same time; they share the cores and the memory.

    Raises:
        NircolorError: No such model, a damaged or foreign file, the device is not available, or the model
            needs PyTorch, which is not installed.

    Examples:
        >>> import numpy as np
        >>> colorizer = Colorizer("scene")
        >>> colorizer.colorize(np.full((1, 60, 80), 0.5, np.float32)).shape
        (3, 60, 80)
        >>> colorizer.colorize(np.full((60, 80), 128, np.uint8)).shape
        (60, 80, 3)
    """

    def __init__(
        self,
        model: str | os.PathLike[str] = "scene",
        *,
        device: Device = "auto",
        tile_px: int | None = None,
        jobs: int = 1,
    ) -> None:
        self._set_engine(open_engine(find_model(model), device, jobs), tile_px, jobs)

    @classmethod
    def from_network(
        cls,
        network: "nn.Module",
        card: Card | CardMetadata,
        *,
        device: Device = "auto",
        tile_px: int | None = None,
        jobs: int = 1,
    ) -> Self:
        """Make a colorizer from a PyTorch module in memory, without a model file.

        The module is copied: training it further does not affect the colorizer.

        Args:
            network: Module from NIR (1, bands, h, w) in [0, 1], and the context (see `modelfile.Context`)
                where the card has one, to colour (1, 3, h, w), and the bound of its error as a fourth channel
                where the card has an ``error_quantile``.
            card: Card of the model; bands, encoding, size, context and error quantile are used. For a
                `nircolor.models.Network` its `CardMetadata` is enough: the network states the rest.
            device: "auto", "cpu" or "cuda".
            tile_px: As for `Colorizer`.
            jobs: As for `Colorizer`.

        Raises:
            NircolorError: The device is not available, or PyTorch is not installed.
        """
        require("torch", extra="train", what="Colorizer.from_network")
        from nircolor.inference.torch_engine import TorchEngine

        complete = card if isinstance(card, Card) else _complete_card(network, card)
        colorizer = cls.__new__(cls)
        colorizer._set_engine(TorchEngine.from_network(network, complete, device, jobs), tile_px, jobs)
        return colorizer

    def _set_engine(self, engine: Engine, tile_px: int | None, jobs: int) -> None:
        self._engine, self._jobs = engine, jobs
        self._tile_px = None if tile_px is None else round_tile(tile_px, self.card)

    def __repr__(self) -> str:
        return f"Colorizer({self.card.name!r})"

    @property
    def card(self) -> Card:
        """The model's card."""
        return self._engine.card

    @overload
    def colorize(
        self,
        image: NDArray[np.floating[Any]],
        valid: Mask | None = None,
        *,
        scale: float | None = None,
        offset: float | None = None,
        reflectance: bool | None = None,
        saturation: float = 1.0,
        reference: "str | os.PathLike[str] | Reference | None" = None,
        confidence: Literal[False] = False,
    ) -> Floats: ...

    @overload
    def colorize(
        self,
        image: NDArray[np.floating[Any]],
        valid: Mask | None = None,
        *,
        scale: float | None = None,
        offset: float | None = None,
        reflectance: bool | None = None,
        saturation: float = 1.0,
        reference: "str | os.PathLike[str] | Reference | None" = None,
        confidence: Literal[True],
    ) -> tuple[Floats, Floats]: ...

    @overload
    def colorize(
        self,
        image: Any,
        valid: Mask | None = None,
        *,
        scale: float | None = None,
        offset: float | None = None,
        reflectance: bool | None = None,
        saturation: float = 1.0,
        reference: "str | os.PathLike[str] | Reference | None" = None,
        confidence: bool = False,
    ) -> Any: ...

    def colorize(
        self,
        image: Any,
        valid: Mask | None = None,
        *,
        scale: float | None = None,
        offset: float | None = None,
        reflectance: bool | None = None,
        saturation: float = 1.0,
        reference: "str | os.PathLike[str] | Reference | None" = None,
        confidence: bool = False,
    ) -> Any:
        """Colorize an image in memory.

        | Input                                           | Result                                    |
        |-------------------------------------------------|-------------------------------------------|
        | float array (bands, h, w) in [0, 1]             | float32 array (3, h, w) in [0, 1]         |
        | uint8 or uint16 array (h, w) or (h, w, bands)   | array (h, w, 3) of the same type          |
        | PIL image (L, LA, RGB, RGBA, I;16, F, 1 or P)   | 8-bit PIL image, RGB or RGBA              |

        Bands are those of the model's card, in its order. Float arrays have the bands in the first axis,
        integer arrays always in the last. A model of one band also takes three integer channels, of which
        it colorizes the mean (with a `NircolorWarning` where they differ).

        Scaling: integers are divided by 255 or 65535, or by ``scale``, which is required for models of
        reflectance. Floats must be in [0, 1] unless ``scale`` is given. Scaled values below 0 count as 0,
        those above 1 as 1. The image's own extremes never matter. Models of photographs expect values with a
        tone curve; with ``reflectance=True`` they get linear values with the sRGB curve.

        Invalid pixels (NaN, infinite, masked by ``valid``, alpha of 0) are replaced by the band's mean before
        the model runs, and are colorized like that. The EXIF orientation of PIL images is not applied.

        Args:
            image: The image.
            valid: (h, w), False or 0 where a pixel is invalid.
            scale: Value that maps to 1.0; for integers, a number below 1 is a factor.
            offset: Number to add after scaling: -0.2 for Landsat, whose scale is 0.0000275.
            reflectance: Whether the scaled values are linear reflectance; None if unknown.
            saturation: Factor on the distance of each pixel's colour from its gray, the mean of the
                channels: 1.0 as trained for the least error, 0 for gray, at most 10.
            reference: A colour image of the same view, whose colours are taken where the scene matches; see
                `colorize_file`.
            confidence: Return how well each colour is determined as well: 1 minus the bound that the error of
                the colour stays below in 90% of cases (in the share that is the ``error_quantile`` of the
                model's card). The error is the root mean square over the three channels, in colour values
                from 0 to 1, at a saturation of 1.

        Returns:
            The colour image, of the same height and width; with ``confidence`` a pair of it and the
            confidence, of the same kind but with one channel: an array (h, w), or a PIL image of mode L or
            LA.

        Raises:
            NircolorError: Unsupported type, shape or range of values, no pixel is valid, or the model does
                not bound its errors.
        """
        check_saturation(saturation)
        check_reference(reference, confidence)
        if confidence:
            require_confidence(self.card)
        pixels = to_pixels(image, self.card, valid, scale, offset, reflectance)
        source = ArraySource(pixels.nir, pixels.valid)
        transfer = self._transfer(reference, source)
        strips = self._strips(source, self.tile_for(source), None, saturation, confidence, transfer)
        output = np.concatenate([part for _, part, _ in strips], axis=1)
        if not confidence:
            return pixels.restore(output)
        return pixels.restore(output[:3]), pixels.restore(confidence_of(output))

    def colorize_file(
        self,
        path: str | os.PathLike[str],
        output: str | os.PathLike[str],
        *,
        reading: Reading | None = None,
        depth: int | None = None,
        quality: int | None = None,
        overwrite: bool = False,
        skip_colour: bool = False,
        saturation: float = 1.0,
        reference: "str | os.PathLike[str] | Reference | None" = None,
        confidence: bool = False,
        cog: bool | None = None,
        creation_options: Mapping[str, str] | None = None,
        clip: Clip | None = None,
        on_progress: Progress | None = None,
    ) -> "FileSummary":
        """Colorize a file into a file of the same size, bit depth and georeferencing.

        The output appears when it is complete; after an error nothing is left of it. With ``confidence``, two
        files appear together. A video becomes a video with the same frames, time stamps and sound (extra
        ``video``); its colours are averaged over time where the near-infrared image does not change.

        Args:
            path: Image to colorize, in any format that `open_raster` reads, or a video.
            output: File to write; its extension selects the format.
            reading: Properties of the file that its metadata does not state.
            depth: 8 or 16 bits per channel; by default as in the input.
            quality: 1 to 100, for JPEG only; by default 95.
            overwrite: Replace an existing output.
            skip_colour: Raise `ColourPhotographError` for a colour photograph or video.
            saturation: As for `colorize`.
            reference: A colour image of the same view, or an opened `Reference`, such as the daytime image of
                a fixed camera (extra ``align``). Its colours are taken where the scene matches, and those of
                the model elsewhere. One that cannot be matched causes a warning and has no effect.
            confidence: Also write the confidence (see `colorize`) as a gray image beside the output:
                ``NAME_confidence.tif`` for a TIFF, else ``NAME_confidence.png``. The largest integer means 1.
            cog: Write a TIFF as Cloud Optimized GeoTIFF, or not; by default if it is georeferenced and has a
                side of more than 1024 pixels.
            creation_options: Creation options of GDAL's driver, which replace the usual ones.
            clip: Part of a video, or the images that are its frames.
            on_progress: Called with the pixels done and those of the image.

        Returns:
            How the file was read.

        Raises:
            NircolorError: The image cannot be read, lacks the model's bands, or cannot be written, or
                the model does not bound its errors.
        """
        check_saturation(saturation)
        check_reference(reference, confidence)
        if confidence:
            require_confidence(self.card)
        if clip is not None or is_video(path):
            if reference is not None:
                raise NircolorError(f"{path}: --reference expects images, got a video")
            options = Options(reading or Reading(), depth, quality, overwrite, skip_colour, confidence)
            return colorize_video(
                self,
                Path(path),
                Path(output),
                clip or Clip(),
                options,
                saturation=saturation,
                on_progress=on_progress,
            )
        with opened(self.card, path, reading, skip_colour) as (raster, source):
            tile_px = self.tile_for(source)
            try:
                transfer = self._transfer(reference, source, Path(path))
                with writing(
                    self.card,
                    raster,
                    Path(output),
                    depth=depth,
                    quality=quality,
                    overwrite=overwrite,
                    confidence=confidence,
                    cog=cog,
                    creation_options=creation_options,
                ) as write:
                    for top, part, valid in self._strips(
                        source, tile_px, on_progress, saturation, confidence, transfer
                    ):
                        write(top, part, valid)
                        # freed before the next strip is computed
                        del part, valid
            except MemoryError as error:
                raise NircolorError(
                    f"{path}: out of memory with tiles of {tile_px} px; "
                    f"use smaller ones, --tile {tile_px // 2}, or fewer --jobs"
                ) from error
            return summarize(raster, source)

    def _transfer(
        self,
        reference: "str | os.PathLike[str] | Reference | None",
        source: RowSource,
        path: Path | None = None,
    ) -> "Transfer | None":
        """Match a reference with an image; None where there is none, or it cannot be matched."""
        if reference is None:
            return None
        opened_reference = open_reference(reference)

        def colorize(reduced: ArraySource) -> Floats:
            return self.colorize_source(reduced, self.tile_for(reduced))

        return opened_reference.transfer(source, colorize, path)

    def _strips(
        self,
        source: RowSource,
        tile_px: int,
        on_progress: Progress | None,
        saturation: float,
        with_error: bool,
        transfer: "Transfer | None",
    ) -> Iterator[tuple[int, Floats, Mask]]:
        """Colorize as `streaming.colorize_strips`, with the colours of a reference."""
        if transfer is None:
            yield from colorize_strips(
                self._engine, source, tile_px, on_progress, saturation=saturation, with_error=with_error
            )
            return
        for top, part, valid in colorize_strips(self._engine, source, tile_px, on_progress):
            transfer.apply(part, top)
            saturate(part, saturation)
            yield top, np.clip(part, 0, 1, out=part), valid
            # freed before the next strip is computed
            del part, valid

    def colorize_source(
        self,
        source: RowSource,
        tile_px: int,
        on_progress: Progress | None = None,
        *,
        saturation: float = 1.0,
        on_view: Callable[[Floats], Floats] | None = None,
    ) -> Floats:
        """Colorize an image that is read in rows to (3, h, w): see `streaming.colorize_strips`."""
        strips = colorize_strips(
            self._engine, source, tile_px, on_progress, saturation=saturation, on_view=on_view
        )
        return np.concatenate([part for _, part, _ in strips], axis=1)

    def whole_part(self, source: RowSource, tile_px: int) -> Part:
        """Compute what tiles must know of the whole image: see `streaming.whole_part`."""
        return whole_part(self._engine, source, tile_px)

    def colorize_strip(
        self, source: RowSource, tile_px: int, index: int, part: Part, *, with_error: bool = False
    ) -> tuple[Floats, Mask]:
        """Colorize one row of tiles: see `streaming.colorize_strip`."""
        return colorize_strip(self._engine, source, tile_px, index, part, with_error=with_error)

    def tile_for(self, source: RowSource) -> int:
        """Return the side of the tiles for an image, in pixels."""
        return self._tile_px or tile_size_px(self.card, source.width, self._jobs)


def check_saturation(saturation: float) -> None:
    """Raise `NircolorError` unless a saturation is in the range that `Colorizer.colorize` takes."""
    if not 0 <= saturation <= MOST_SATURATION:
        raise NircolorError(
            f"saturation: expected a number from 0 (gray) to {MOST_SATURATION}, "
            f"1 for the colours of the model, got {saturation}"
        )


def check_file(
    card: Card,
    path: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    reading: Reading | None = None,
    depth: int | None = None,
    quality: int | None = None,
    overwrite: bool = False,
    skip_colour: bool = False,
    confidence: bool = False,
    cog: bool | None = None,
    clip: Clip | None = None,
) -> FileSummary:
    """Check whether a file can be colorized as `Colorizer.colorize_file` would, without writing anything.

    Header, bands, scale and output are checked. Pixels are decoded only as far as opening the file needs
    them, so damage inside it may not be found.

    Args:
        card: Card of the model.
        path: As for `Colorizer.colorize_file`, like the others.

    Returns:
        How the file is read.

    Raises:
        NircolorError: As `Colorizer.colorize_file`.
    """
    if confidence:
        require_confidence(card)
    if clip is not None or is_video(path):
        options = Options(reading or Reading(), depth, quality, overwrite, skip_colour, confidence)
        return check_video(card, Path(path), Path(output), clip or Clip(), options)
    with opened(card, path, reading, skip_colour) as (raster, source):
        for writer in writers_for(
            card,
            raster,
            Path(output),
            depth=depth,
            quality=quality,
            overwrite=overwrite,
            confidence=confidence,
            cog=cog,
        ):
            writer.check_folder()
        return summarize(raster, source)


def _complete_card(network: "nn.Module", metadata: CardMetadata) -> Card:
    """Add what tiling needs to the metadata of a network that has not been exported."""
    size: dict[str, Any] = {
        field: getattr(network, attribute, None)
        for field, attribute in (
            ("multiple_of", "multiple_of"),
            ("minimum", "minimum_px"),
            ("receptive_field_px", "receptive_field_px"),
        )
    }
    missing = [field for field, value in size.items() if value is None]
    if missing:
        raise NircolorError(
            f"{type(network).__name__}: expected a nircolor.models.Network or a complete Card, "
            f"got a module without {', '.join(missing)} and a CardMetadata"
        )
    context_px = getattr(network, "context_px", None)
    return Card(
        **dict(metadata),
        architecture=type(network).__name__,
        arguments={},
        engine="torch",
        size=Size(**size, overlap_px=getattr(network, "overlap_px", None)),
        context=None
        if context_px is None
        else Context(size_px=context_px, working_pixels=getattr(network, "working_pixels", None)),
        error_quantile=getattr(network, "error_quantile", None),
        bytes_per_px=_UNKNOWN_BYTES_PER_PX,
        multiply_adds_per_px=1.0,
    )
