"""Options that several commands share, and the conversion of their values."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import typer

from nircolor.app.usage import IN, OUT, RUN, complete_model, whole
from nircolor.errors import NircolorError

if TYPE_CHECKING:
    from nircolor.imagery import GivenBands

ShippedModel: TypeAlias = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        metavar="MODEL",
        help="Name of a shipped model (see `nircolor models`) or path of a model file.",
        envvar="NIRCOLOR_MODEL",
        rich_help_panel=RUN,
        autocompletion=complete_model,
    ),
]
DeviceName: TypeAlias = Annotated[
    Literal["auto", "cpu", "cuda", "coreml", "openvino"],
    typer.Option(
        "--device",
        help="Processor; auto uses a GPU if the model can run on one.",
        envvar="NIRCOLOR_DEVICE",
        rich_help_panel=RUN,
    ),
]
Bands: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--bands",
        metavar="NM,…",
        help="Wavelengths of the bands in nm, in the order of the file, if its metadata does not give them; "
        "or of some bands by their number, 850=4,940=5; or the one near-infrared band, nir=4.",
        rich_help_panel=IN,
    ),
]
Scale: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--scale",
        metavar="NUMBER",
        help="Value that maps to 1.0, such as 4095 for 12-bit data; for integers, a number below 1 is a "
        "factor. Default: from the metadata or data type.",
        rich_help_panel=IN,
    ),
]
Offset: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--offset",
        metavar="NUMBER",
        help="Number to add after scaling. Landsat Collection 2: --scale 0.0000275 --offset -0.2.",
        rich_help_panel=IN,
    ),
]
Reflectance: TypeAlias = Annotated[
    bool | None,
    typer.Option(
        "--reflectance/--no-reflectance",
        help="Scaled values are linear reflectance, or are not. Default: from the metadata.",
        rich_help_panel=IN,
        show_default=False,
    ),
]
Source: TypeAlias = Annotated[
    Literal["converted"] | None,
    typer.Option(
        "--from",
        help="Read colour images as near-infrared: converted for those of a colour camera without its "
        "infrared filter, whose three channels are averaged.",
        rich_help_panel=IN,
    ),
]
NodataValue: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--nodata",
        metavar="VALUE",
        help="Value of invalid pixels in the file, such as 0 or -9999, or none. Default: from the metadata.",
        rich_help_panel=IN,
    ),
]
MaxPixels: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--max-pixels",
        envvar="NIRCOLOR_MAX_PIXELS",
        parser=whole(1),
        metavar="N",
        help="Largest number of pixels of an image that is opened. Default: no limit, but files that are far "
        "too small for their number of pixels (decompression bombs) are refused.",
        rich_help_panel=IN,
    ),
]
Json: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print the result as JSON, and nothing else, on standard output.")
]
Quiet: TypeAlias = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="Print errors only, no warnings, progress and summary."),
]
Verbose: TypeAlias = Annotated[
    bool,
    typer.Option("--verbose", "-v", help="Print a line per image: model, bands, scale and time."),
]
OutputFolder: TypeAlias = Annotated[
    Path, typer.Option("--output", "-o", help="Output folder.", rich_help_panel=OUT)
]
SplitTable: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--table",
        metavar="CSV",
        help="Table with the group (place) and split of each pair, for all sets.",
        rich_help_panel=IN,
    ),
]
SET_FORMATS = (
    "a folder with nir/ and rgb/, with NAME_nir and NAME_rgb images, with multi-band files or in the layout "
    "of VCIP; two folders as NIR,RGB; or a recipe (YAML)"
)


def parse_bands(text: str | None) -> "GivenBands | None":
    """Parse ``--bands``: wavelengths, or wavelength=band number, or nir=band number.

    Raises:
        NircolorError: A part has another form.

    Example:
        >>> parse_bands("850,940"), parse_bands("850=4,940=5"), parse_bands("nir=4")
        ((850.0, 940.0), {850.0: 4, 940.0: 5}, {'nir': 4})
    """
    if text is None or "=" not in text:
        return parse_numbers(text, "--bands")
    bands: dict[float | str, int] = {}
    try:
        for part in text.split(","):
            meaning, number = (side.strip().lower() for side in part.split("="))
            key = meaning if meaning == "nir" else float(meaning)
            if key in bands or not number.isdecimal():
                raise ValueError
            bands[key] = int(number)
        if "nir" in bands and len(bands) > 1:
            raise ValueError
    except ValueError:
        raise NircolorError(
            f"--bands: expected wavelengths such as 780,850,940, or nir=4 or 850=4,940=5 with the numbers of "
            f"the bands, got {text!r}"
        ) from None
    return bands


def parse_numbers(text: str | None, option: str) -> tuple[float, ...] | None:
    """Parse numbers that are separated by commas.

    Args:
        text: Value of the option, None if it was not given.
        option: Name of the option, for the message.

    Raises:
        NircolorError: A part is not a number.

    Example:
        >>> parse_numbers("850,940", "--bands")
        (850.0, 940.0)
    """
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise NircolorError(f"{option}: expected numbers separated by commas, got {text!r}") from None


def parse_percentiles(text: str | None) -> tuple[float, float] | None:
    """Parse ``--stretch``: two percentiles.

    Raises:
        NircolorError: They are not two numbers from 0 to 100, the lower one first.

    Example:
        >>> parse_percentiles("1,99")
        (1.0, 99.0)
    """
    numbers = parse_numbers(text, "--stretch")
    if numbers is None:
        return None
    if len(numbers) != 2 or not 0 <= numbers[0] < numbers[1] <= 100:
        raise NircolorError(f"--stretch: expected two percentiles, the lower one first, got {text!r}")
    return numbers[0], numbers[1]


def parse_nodata(text: str | None) -> float | Literal["none"] | None:
    """Parse the value of ``--nodata``: a number, ``nan`` or ``none``.

    Raises:
        NircolorError: It is neither.

    Example:
        >>> parse_nodata("-9999"), parse_nodata("none")
        (-9999.0, 'none')
    """
    if text is None:
        return None
    if text.lower() == "none":
        return "none"
    try:
        return float(text)
    except ValueError:
        raise NircolorError(f"--nodata: expected a number or none, got {text!r}") from None
