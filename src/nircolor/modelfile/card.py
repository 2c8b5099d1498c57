"""The card: everything the engine and the user must know of a model, carried inside its file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from nircolor.errors import NircolorError

# where in a file's metadata the card lies, as JSON
CARD_KEY = "nircolor.card"

EngineName = Literal["onnxruntime", "torch"]
Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class _Part(BaseModel):
    # a card written by a newer nircolor must not be half understood
    model_config = ConfigDict(frozen=True, extra="forbid")


class Band(_Part):
    """One input band: where it lies, how wide it is, how far off a file's band may lie."""

    center_nm: Positive
    fwhm_nm: Positive
    tolerance_nm: Positive

    @property
    def is_broad(self) -> bool:
        """Broad bands are averaged from a cube's lines; narrow ones take the nearest line."""
        return self.fwhm_nm > 50


class Size(_Part):
    """Image sizes that the network takes; ``receptive_field_px``: radius of the receptive field.

    Tiles overlap by ``overlap_px``, or by the reach where nothing is said.
    """

    multiple_of: Annotated[int, Field(ge=1)]
    minimum: Annotated[int, Field(ge=1)]
    # model files of version 0.1 call it reach_px
    receptive_field_px: Annotated[
        int, Field(ge=0, validation_alias=AliasChoices("receptive_field_px", "reach_px"))
    ]
    overlap_px: Annotated[int, Field(ge=0)] | None = None

    @property
    def shared_px(self) -> int:
        """How much neighbouring tiles share."""
        return self.receptive_field_px if self.overlap_px is None else self.overlap_px

    def fit(self, px: int) -> int:
        """The shortest side that the network takes and that is no shorter than ``px``."""
        return -(-max(px, self.minimum) // self.multiple_of) * self.multiple_of


class Context(_Part):
    """The reduced view of the whole image that goes in beside a tile.

    Input ``context`` is (N, bands + 4, size_px, size_px): the image's bands reduced by area averaging, then
    the tile's top, bottom, left and right edge as constant planes, 0 to 1 across the image.
    """

    size_px: Annotated[int, Field(ge=8)]


class Licence(_Part):
    """Under which terms the weights stand (the code is Apache-2.0) and what they were trained on."""

    weights: str
    training_data: str


class Score(_Part):
    """One row of ``scores``: what was measured on what, and the command's output it is taken from."""

    data: str
    psnr_db: float
    ssim: float
    angular_error_deg: float
    source: str


class CardMetadata(_Part):
    """The part of a card that only the author of a model knows: a recipe's ``about``."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$")]
    summary: str
    bands: Annotated[tuple[Band, ...], Field(min_length=1)]
    # "gamma": photographs as cameras store them; "reflectance": linear
    encoding: Literal["gamma", "reflectance"]
    # the reflectance that a colour of 1 stands for; None where colour is encoded as cameras store it
    white_reflectance: Fraction | None = None
    licence: Licence


class Card(CardMetadata):
    """A model's only source of truth; nothing is guessed from file names."""

    card_version: Literal[1] = 1
    architecture: str
    arguments: dict[str, Any]
    engine: EngineName = "onnxruntime"
    size: Size
    context: Context | None = None
    # memory that one input pixel takes while the network runs, measured at export
    bytes_per_px: Positive
    multiply_adds_per_px: Positive
    scores: tuple[Score, ...] = ()


def card_in(metadata: Mapping[str, str], path: Path, *, kind: str, engine: EngineName) -> Card:
    """The card in a file's metadata.

    Args:
        metadata: of the file.
        path: of the file, for messages.
        kind: of the file, for messages: "an ONNX file".
        engine: what runs files of this kind.

    Raises:
        NircolorError: there is none, it is not valid, or it is that of another kind of file.
    """
    if CARD_KEY not in metadata:
        raise NircolorError(f"{path}: expected a nircolor model file, got {kind} without a card")
    try:
        card = Card.model_validate_json(metadata[CARD_KEY])
    except ValidationError as error:
        raise NircolorError(
            f"{path}: the model's card is not valid at {first_fault(error, 'card')}"
        ) from error
    if card.engine != engine:
        raise NircolorError(f"{path}: the card asks for {card.engine}, but {kind} runs in {engine}")
    return card


def first_fault(error: ValidationError, root: str) -> str:
    """Where the first fault lies, and what it is; ``root`` names the whole."""
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc']) or root}: {first['msg']}"
