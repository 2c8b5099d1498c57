"""The model card: metadata that is stored in each model file and describes how to use the model."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError, model_validator

from nircolor.errors import NircolorError

# key of the card, as JSON, in a model file's metadata
CARD_KEY = "nircolor.card"

EngineName = Literal["onnxruntime", "torch"]
Fraction = Annotated[float, Field(ge=0, le=1)]
Quantile = Annotated[float, Field(gt=0, lt=1)]
# Upper bounds, far above those of real models: a model file comes from others, and its card decides how much
# memory and time an image takes.
_MAX_JSON_BYTES = 1 << 20
_MAX_INPUT_BYTES = 1 << 30
Nanometers = Annotated[float, Field(gt=0, le=1e6)]
# with more, tiles would be so small that an image takes hours
BytesPerPixel = Annotated[float, Field(gt=0, le=1e6)]
MultiplyAdds = Annotated[float, Field(gt=0, le=1e12)]
Score = Annotated[float, Field(allow_inf_nan=False)]
Text = Annotated[str, Field(max_length=2000)]
ShortText = Annotated[str, Field(max_length=200)]


class _Part(BaseModel):
    # unknown fields are refused: a card of a newer nircolor must not be misread
    model_config = ConfigDict(frozen=True, extra="forbid")


class Band(_Part):
    """An input band of a model.

    Attributes:
        center_nm: Centre wavelength in nm.
        fwhm_nm: Full width at half maximum in nm.
        tolerance_nm: Largest distance in nm between ``center_nm`` and the band of a file that is used for it.

    Examples:
        >>> Band(center_nm=850, fwhm_nm=250, tolerance_nm=125).is_broad
        True
    """

    center_nm: Nanometers
    fwhm_nm: Nanometers
    tolerance_nm: Nanometers

    @property
    def is_broad(self) -> bool:
        """Whether the band is the average of a file's narrow bands, rather than the nearest of them."""
        return self.fwhm_nm > 50


class Size(_Part):
    """Image sizes that a network accepts, and the overlap of tiles.

    Attributes:
        multiple_of: Height and width must be multiples of this number of pixels.
        minimum: Shortest side in pixels.
        receptive_field_px: Receptive-field radius in pixels (``reach_px`` in model files of version 0.1).
        overlap_px: Overlap of neighbouring tiles in pixels; None for the receptive-field radius.
    """

    multiple_of: Annotated[int, Field(ge=1, le=4096)]
    minimum: Annotated[int, Field(ge=1, le=8192)]
    receptive_field_px: Annotated[
        int, Field(ge=0, le=8192, validation_alias=AliasChoices("receptive_field_px", "reach_px"))
    ]
    overlap_px: Annotated[int, Field(ge=0, le=16384)] | None = None

    @property
    def tile_overlap_px(self) -> int:
        """Overlap of neighbouring tiles in pixels, with the default applied."""
        return self.receptive_field_px if self.overlap_px is None else self.overlap_px

    @property
    def smallest_tile_px(self) -> int:
        """Shortest side of a tile that is well above the overlap."""
        radius, overlap = (self._on_grid(px) for px in (self.receptive_field_px, self.tile_overlap_px))
        return max(
            2 * radius + self.multiple_of,
            self._on_grid(overlap * 3 // 2) + self.multiple_of,
            self._on_grid(self.minimum),
        )

    def fit(self, px: int) -> int:
        """Return the shortest accepted side that is at least ``px`` long.

        Examples:
            >>> Size(multiple_of=16, minimum=32, receptive_field_px=75).fit(100)
            112
        """
        return self._on_grid(max(px, self.minimum))

    def _on_grid(self, px: int) -> int:
        return -(-px // self.multiple_of) * self.multiple_of


class Context(_Part):
    """Second input of models that see the whole image beside each tile.

    The input ``context`` has the shape (N, bands + 4, size_px, size_px): the bands of the whole image,
    reduced by area averaging, then the tile's top, bottom, left and right edge as constant planes, in
    fractions of the image's height and width.

    Attributes:
        size_px: Side of the reduced view in pixels.
        working_pixels: Largest number of pixels that the network colorizes. A larger image is reduced to at
            most as many; the colours are smoothed along the edges of the image and carried over to its full
            size (`nircolor.colour_grid`). For models of one band. None where the network runs at the full
            size of any image and its colours stay as they are.
    """

    size_px: Annotated[int, Field(ge=8, le=4096)]
    working_pixels: Annotated[int, Field(ge=1 << 12, le=1 << 21)] | None = None


class Licence(_Part):
    """Terms of use of the weights (the code is under Apache-2.0).

    Attributes:
        weights: Licence of the weights.
        training_data: Data that the weights were trained on, and its terms.
    """

    weights: Text
    training_data: Text


class CardScore(_Part):
    """Scores of a model on one data set.

    Attributes:
        data: Name of the data set.
        psnr_db: Mean PSNR in dB.
        ssim: Mean SSIM.
        angular_error_deg: Mean angular error in degrees.
        source: Report or command that the scores are taken from.
    """

    data: Text
    psnr_db: Score
    ssim: Score
    angular_error_deg: Score
    source: Text


class CardMetadata(_Part):
    """The part of a card that the author of a model writes: ``card`` in a recipe.

    Attributes:
        name: Name of the model: lower-case letters, digits, ``_``, ``.`` and ``-``.
        summary: One sentence for users.
        bands: Input bands, in order.
        encoding: "gamma" for values encoded like photographs (sRGB), "reflectance" for linear values.
        white_reflectance: Reflectance that a colour value of 1.0 stands for; None where colours are encoded
            like photographs.
        licence: Terms of use.
    """

    name: Annotated[str, Field(max_length=200, pattern=r"^[a-z0-9][a-z0-9_.-]*$")]
    summary: Text
    bands: Annotated[tuple[Band, ...], Field(min_length=1, max_length=1024)]
    encoding: Literal["gamma", "reflectance"]
    white_reflectance: Fraction | None = None
    licence: Licence


class Card(CardMetadata):
    """A complete model card, as stored in a model file. Nothing is inferred from file names.

    Attributes:
        card_version: Version of the format.
        architecture: Name of the network in `nircolor.models.ARCHITECTURES`.
        arguments: Arguments of its constructor.
        engine: Engine that runs the model file.
        size: Image sizes that the network accepts.
        context: Second input of the network, None for networks without it.
        error_quantile: None for a network that returns colour alone. Otherwise it returns a fourth channel:
            the bound below which this share of the errors lie, 0.9 for 90%. The error of a pixel is the root
            mean square over its three channels, in colour values from 0 to 1.
        bytes_per_px: Memory in bytes per input pixel while the network runs, measured at export.
        multiply_adds_per_px: Multiply-adds per input pixel, measured at export.
        scores: Scores on data sets.
    """

    card_version: Literal[1] = 1
    architecture: ShortText
    arguments: dict[str, Any]
    engine: EngineName = "onnxruntime"
    size: Size
    context: Context | None = None
    error_quantile: Quantile | None = None
    bytes_per_px: BytesPerPixel
    multiply_adds_per_px: MultiplyAdds
    scores: Annotated[tuple[CardScore, ...], Field(max_length=100)] = ()

    @property
    def channels(self) -> int:
        """Number of channels that the network returns: 3, or 4 with an `error_quantile`."""
        return 3 if self.error_quantile is None else 4

    @property
    def working_pixels(self) -> int | None:
        """Largest number of pixels that the network colorizes, see `Context`; None for any number."""
        return None if self.context is None else self.context.working_pixels

    def working_shape(self, height: int, width: int) -> tuple[int, int] | None:
        """Return the size at which the network colorizes an image; None without `working_pixels`."""
        limit = self.working_pixels
        if limit is None:
            return None
        zoom = min(1.0, math.sqrt(limit / (height * width)))
        rows, columns = max(1, int(height * zoom)), max(1, int(width * zoom))
        # one side of a thin image cannot become shorter
        return min(rows, limit // columns or 1), min(columns, limit // rows or 1)

    @model_validator(mode="after")
    def _check_working_pixels(self) -> Self:
        if self.working_pixels is not None and len(self.bands) > 1:
            raise ValueError(f"context.working_pixels: expected a model of one band, got {len(self.bands)}")
        return self

    @model_validator(mode="after")
    def _check_memory(self) -> Self:
        tile = len(self.bands) * self.size.smallest_tile_px**2
        view = 0 if self.context is None else (len(self.bands) + 4) * self.context.size_px**2
        needed = 4 * max(tile, view)
        if needed > _MAX_INPUT_BYTES:
            raise ValueError(
                f"the inputs of the network take {needed / 1e9:.1f} GB, expected at most "
                f"{_MAX_INPUT_BYTES / 1e9:.1f} GB"
            )
        return self


def card_in(metadata: Mapping[str, str], path: Path, *, kind: str, engine: EngineName) -> Card:
    """Read the card in a model file's metadata.

    Args:
        metadata: Metadata of the file.
        path: The file, for messages.
        kind: Kind of the file, for messages: "an ONNX file".
        engine: Engine that runs files of this kind.

    Raises:
        NircolorError: There is no card, it is invalid, or it is for another engine.
    """
    if CARD_KEY not in metadata:
        raise NircolorError(f"{path}: expected a nircolor model file, got {kind} without a card")
    text = metadata[CARD_KEY]
    if len(text) > _MAX_JSON_BYTES:
        raise NircolorError(
            f"{path}: expected a card of at most {_MAX_JSON_BYTES >> 20} MiB, "
            f"got {len(text) / (1 << 20):.1f} MiB"
        )
    try:
        card = Card.model_validate_json(text)
    except ValidationError as error:
        raise NircolorError(
            f"{path}: the model's card is not valid at {first_fault(error, 'card')}"
        ) from error
    if card.engine != engine:
        raise NircolorError(f"{path}: the card asks for {card.engine}, but {kind} runs in {engine}")
    return card


def first_fault(error: ValidationError, root: str) -> str:
    """Format the first error of a validation as ``location: message``; ``root`` names the whole."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"]) or root
    return f"{place}: {first['msg'].removeprefix('Value error, ')}"
