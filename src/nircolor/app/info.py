"""Commands `nircolor models` and `nircolor info`."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from nircolor.app.options import (
    Bands,
    MaxPixels,
    NodataValue,
    Offset,
    Reflectance,
    Scale,
    parse_bands,
    parse_nodata,
)
from nircolor.errors import NircolorError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.console import Console
    from rich.table import Table

    from nircolor.imagery import Raster
    from nircolor.modelfile import Card

# side of the reduced image from which ranges are computed
_REDUCED_PX: Final = 512
# of an image with more bands than the first number (a hyperspectral cube), only the second number is listed
_MANY_BANDS, _LISTED_BANDS = 16, 8


def models() -> None:
    """List the shipped models with their bands, training data, licence and scores.

    \b
    nircolor models
    """
    from nircolor.modelfile import read_card
    from nircolor.weights import shipped_models

    console = _console()
    for path in shipped_models().values():
        console.print(_card_table(read_card(path)))


def info(
    file: Annotated[Path, typer.Argument(help="Image, model file, or name of a shipped model.")],
    bands: Bands = None,
    scale: Scale = None,
    offset: Offset = None,
    reflectance: Reflectance = None,
    nodata: NodataValue = None,
    max_pixels: MaxPixels = None,
) -> None:
    """Show the bands, wavelengths and range of an image and the models that fit it, or a model's card.

    \b
    nircolor info night.png
    nircolor info flight.tif --bands 780,850,940
    nircolor info satellite
    """
    wavelengths, invalid_value = parse_bands(bands), parse_nodata(nodata)
    from nircolor.app.console import show_warnings
    from nircolor.imagery import open_raster
    from nircolor.modelfile import is_model_file, read_card
    from nircolor.weights import shipped_models

    console = _console()
    if not file.exists():
        file = shipped_models().get(str(file), file)
    if is_model_file(file):
        console.print(_card_table(read_card(file)))
        return
    options = "" if bands is None else f" --bands {shlex.quote(bands)}"
    options += "" if scale is None else f" --scale {scale:g}"
    options += "" if nodata is None else f" --nodata {nodata}"
    options += "" if max_pixels is None else f" --max-pixels {max_pixels}"
    with (
        show_warnings(),
        open_raster(
            file,
            bands_nm=wavelengths,
            scale=scale,
            offset=offset,
            reflectance=reflectance,
            nodata=invalid_value,
            max_pixels=max_pixels,
        ) as raster,
    ):
        console.print(_raster_table(raster, options))


def _console() -> "Console":
    from nircolor.app.console import Screen

    # no line breaks if the output is not a terminal
    return Screen(width=None if sys.stdout.isatty() else 10_000)


def _grid() -> "Table":
    from nircolor.app.console import Grid

    table = Grid.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    return table


def _card_table(card: "Card") -> "Table":
    from nircolor.modelfile import describe_bands

    table = _grid()
    table.add_row("model", f"{card.name}: {card.summary}")
    table.add_row("bands", f"{describe_bands(card.bands)}, values: {card.encoding}")
    if card.white_reflectance is not None:
        table.add_row("colour", f"1.0 means a reflectance of {card.white_reflectance:g}")
    work = f"{card.multiply_adds_per_px:,.0f} multiply-adds per pixel"
    table.add_row("network", f"{card.architecture}, {work}, runs in {card.engine}")
    table.add_row("trained on", card.licence.training_data)
    table.add_row("weights", card.licence.weights)
    for score in card.scores:
        values = f"PSNR {score.psnr_db:.2f} dB, SSIM {score.ssim:.3f}, angle {score.angular_error_deg:.2f}°"
        table.add_row("scores", f"{score.data}: {values} ({score.source})")
    return table


def _raster_table(raster: "Raster", options: str) -> "Table":
    """Describe an image; ``options`` is appended to the `colorize` command of each model that fits."""
    import numpy as np

    from nircolor.modelfile import read_card
    from nircolor.weights import shipped_models

    table = _grid()
    table.add_row("file", f"{raster.path} ({raster.driver})")
    bands = f"{raster.bands} band{'s'[: raster.bands != 1]}"
    table.add_row("size", f"{raster.width} × {raster.height} px, {bands}, {raster.dtype}")
    table.add_row("1.0 means", f"{raster.full_scale:g} ({raster.scale_rule})")
    if raster.is_georeferenced:
        table.add_row("georeference", f"{raster.crs}")
    shape = (min(raster.height, _REDUCED_PX), min(raster.width, _REDUCED_PX))
    listed = list(range(raster.bands))
    if raster.bands > _MANY_BANDS:
        listed = np.linspace(0, raster.bands - 1, _LISTED_BANDS).round().astype(int).tolist()
    values, valid = raster.read(None, listed, shape)
    for index, band in zip(listed, values, strict=True):
        name, nm = raster.names[index] or "", raster.wavelengths_nm[index]
        wavelength = "wavelength unknown" if nm is None else f"{nm:g} nm"
        title = "band" if len(listed) == raster.bands else f"band {index + 1}"
        table.add_row(title, f"{name} {wavelength}, {_range(band[valid])}".strip())
    if not valid.all():
        table.add_row("valid", f"{valid.mean():.1%} of the pixels")
    for path in shipped_models().values():
        card = read_card(path)
        table.add_row(f"model {card.name}", _fit(raster, card, options))
    return table


def _range(values: "NDArray[np.float32]") -> str:
    import numpy as np

    if not values.size:
        return "no valid pixels"
    low, middle, high = np.percentile(values, (1, 50, 99))
    return f"percentiles 1, 50, 99: {low:.3f}, {middle:.3f}, {high:.3f}"


def _fit(raster: "Raster", card: "Card", options: str) -> str:
    from nircolor.inference import RasterSource

    try:
        RasterSource(raster, card)
    except NircolorError as error:
        return f"does not fit: {str(error).removeprefix(f'{raster.path}: ')}"
    return f"fits: nircolor colorize {shlex.quote(str(raster.path))} -o colour/ --model {card.name}{options}"
