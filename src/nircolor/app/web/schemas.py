"""Data that the API takes and returns. The page of the API shows these descriptions."""

from typing import Annotated, Any, Literal, TypeAlias

from fastapi import UploadFile
from pydantic import BaseModel, ConfigDict, Field, model_validator

from nircolor.app.options import parse_bands, parse_nodata, parse_percentiles
from nircolor.app.web.settings import AUTO
from nircolor.inference import Reading

State: TypeAlias = Literal["ready", "queued", "running", "done", "failed", "cancelled"]


class Options(BaseModel):
    """How to colorize an image: the options of `nircolor colorize`."""

    model_config = ConfigDict(extra="forbid")

    model: Annotated[
        str,
        Field(description="Name of a model, or auto for the one that fits the bands of the image best."),
    ] = AUTO
    bands: Annotated[
        str | None,
        Field(
            max_length=10_000,
            description="Wavelengths of the bands in nm, such as 780,850,940; or of some bands by their "
            "number, 850=4,940=5; or the one near-infrared band, nir=4.",
        ),
    ] = None
    scale: Annotated[
        float | None,
        Field(
            allow_inf_nan=False,
            description="Value that maps to 1.0, such as 4095 for 12-bit data; for integers, a number below "
            "1 is a factor.",
        ),
    ] = None
    offset: Annotated[
        float | None,
        Field(allow_inf_nan=False, description="Number to add after scaling: -0.2 for Landsat."),
    ] = None
    reflectance: Annotated[
        bool | None, Field(description="Whether the scaled values are linear reflectance.")
    ] = None
    stretch: Annotated[
        str | None,
        Field(max_length=100, description="Percentiles of the image that become 0 and 1, such as 1,99."),
    ] = None
    nodata: Annotated[
        str | None,
        Field(max_length=100, description="Value of invalid pixels, such as 0 or -9999, or none."),
    ] = None
    saturation: Annotated[
        float, Field(ge=0, le=10, description="1 as trained for the least error, 0 for gray, at most 10.")
    ] = 1.0
    confidence: Annotated[
        bool,
        Field(
            description="Also make an image of how well the colour of each pixel is determined, for models "
            "that estimate their errors."
        ),
    ] = False
    format: Annotated[
        Literal["png", "jpg", "tif"] | None,
        Field(description="Format of the result; by default that of the image where it can be written."),
    ] = None
    depth: Annotated[
        Literal["8", "16"] | None,
        Field(description="Bits per channel of the result; by default those of the image."),
    ] = None
    quality: Annotated[
        int | None, Field(ge=1, le=100, description="Quality of JPEG results; by default 95.")
    ] = None

    @model_validator(mode="before")
    @classmethod
    def _without_empty(cls, values: Any) -> Any:
        # an empty field of a form is not given
        if not isinstance(values, dict):
            return values
        return {name: value for name, value in values.items() if value not in ("", None)}

    def reading(self, max_pixels: int) -> Reading:
        """Return how the file is read.

        Raises:
            NircolorError: A text has another form than described.
        """
        return Reading(
            parse_bands(self.bands),
            self.scale,
            self.offset,
            self.reflectance,
            parse_percentiles(self.stretch),
            parse_nodata(self.nodata),
            max_pixels,
        )


class ColorizeForm(Options):
    """Form of `POST /api/colorize`."""

    file: Annotated[
        list[UploadFile],
        Field(description="The image; repeated for files that belong to it, as ENVI header and data."),
    ]

    @property
    def options(self) -> Options:
        """The fields other than the files."""
        return Options(**self.model_dump(exclude={"file"}))


class Fit(BaseModel):
    """Whether a model fits an image."""

    name: str
    fits: bool
    reason: Annotated[str | None, Field(description="Why it does not fit.")]
    options: Annotated[
        str, Field(description="Options that the image probably needs with it, mostly empty: --scale 10000.")
    ]


class ResultFile(BaseModel):
    """A file to download."""

    name: str
    bytes: int


class ImageState(BaseModel):
    """An uploaded image and what became of it."""

    id: Annotated[str, Field(description="Secret name of the image; whoever knows it may read the image.")]
    name: str
    state: State
    position: Annotated[int, Field(description="Images before it in the queue.")]
    progress: Annotated[float, Field(description="Share of the pixels that are colorized, 0 to 1.")]
    run: Annotated[int, Field(description="Number of times that it was colorized.")]
    format: str
    width: int
    height: int
    dtype: str
    wavelengths_nm: Annotated[
        list[float | None], Field(description="Of each band, at most 16 bands; null where unknown.")
    ]
    bands: int
    crs: str | None
    models: Annotated[list[Fit], Field(description="All models, the best one first.")]
    model: Annotated[str | None, Field(description="The model that was used.")]
    summary: Annotated[str | None, Field(description="Bands and scale that were used.")]
    warnings: list[str]
    error: str | None
    result: Annotated[ResultFile | None, Field(description="The colour image.")]
    confidence: Annotated[
        ResultFile | None, Field(description="Image of the confidence, where it was asked for.")
    ]
    expires_in: Annotated[float, Field(description="Seconds until it is deleted.")]


class OfferedModel(BaseModel):
    """A model of the server."""

    name: str
    summary: str
    bands: Annotated[str, Field(description="Its bands in words.")]
    confidence: Annotated[bool, Field(description="Whether it estimates its errors.")]
    licence: Annotated[str, Field(description="Licence of its weights.")]


class ServerInfo(BaseModel):
    """Limits and models of the server."""

    version: str
    max_upload_bytes: int
    max_pixels: int
    keep_seconds: float
    extensions: Annotated[list[str], Field(description="Of the images that are read.")]
    models: list[OfferedModel]


class Health(BaseModel):
    """Sign of life."""

    status: Literal["ok"] = "ok"
    version: str


class Problem(BaseModel):
    """Any error."""

    detail: Annotated[str, Field(description="One line: what was expected and what was found.")]
