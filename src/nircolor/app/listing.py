"""`nircolor models` and `nircolor info`."""

import shlex
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from nircolor.app.console import show_warnings
from nircolor.errors import NircolorError
from nircolor.imagery import Raster, open_raster
from nircolor.inference.sources import RasterSource
from nircolor.modelfile import Card, describe_bands, is_model_file, read_card
from nircolor.weights import shipped_models

# side of the reduced view that ranges are taken from
_VIEW_PX = 512
# cubes have hundreds of bands: more than this, and some stand for all
_MANY_BANDS, _SHOWN_BANDS = 16, 8


def print_models() -> None:
    """What ships."""
    console = _console()
    for path in shipped_models().values():
        console.print(_card_table(read_card(path)))


def print_info(file: Path, *, bands_nm: Sequence[float] | None, scale: float | None) -> None:
    """What a image or a model file holds.

    Raises:
        NircolorError: it is neither.
    """
    console = _console()
    if is_model_file(file):
        console.print(_card_table(read_card(file)))
        return
    with warnings.catch_warnings():
        show_warnings()
        with open_raster(file, bands_nm=bands_nm, scale=scale) as raster:
            console.print(_raster_table(raster, _options(bands_nm, scale)))


def _options(bands_nm: Sequence[float] | None, scale: float | None) -> str:
    """What `colorize` must be told as well to see the file like this."""
    bands = "" if bands_nm is None else f" --bands {','.join(f'{nm:g}' for nm in bands_nm)}"
    return bands + ("" if scale is None else f" --scale {scale:g}")


def _console() -> Console:
    # file names are printed as they are, and on one line where a program reads them
    width = None if sys.stdout.isatty() else 10_000
    return Console(markup=False, emoji=False, highlight=False, width=width)


def _grid() -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    return table


def _card_table(card: Card) -> Table:
    table = _grid()
    table.add_row("model", f"{card.name}: {card.summary}")
    table.add_row("bands", f"{describe_bands(card.bands)}, values: {card.encoding}")
    if card.white_reflectance is not None:
        table.add_row("colour", f"1.0 means a reflectance of {card.white_reflectance:g} in each")
    work = f"{card.multiply_adds_per_px:,.0f} multiply-adds a pixel"
    table.add_row("network", f"{card.architecture}, {work}, runs in {card.engine}")
    table.add_row("trained on", card.licence.training_data)
    table.add_row("weights", card.licence.weights)
    for score in card.scores:
        values = f"PSNR {score.psnr_db:.2f} dB, SSIM {score.ssim:.3f}, angle {score.angular_error_deg:.2f}°"
        table.add_row("scores", f"{score.data}: {values} ({score.source})")
    return table


def _raster_table(raster: Raster, options: str) -> Table:
    table = _grid()
    table.add_row("file", f"{raster.path} ({raster.driver})")
    bands = f"{raster.bands} band{'s'[: raster.bands != 1]}"
    table.add_row("size", f"{raster.width} × {raster.height} px, {bands}, {raster.dtype}")
    table.add_row("1.0 means", f"{raster.full_scale:g} ({raster.scale_rule})")
    if raster.is_georeferenced:
        table.add_row("place", f"{raster.crs}")
    shape = (min(raster.height, _VIEW_PX), min(raster.width, _VIEW_PX))
    shown = list(range(raster.bands))
    if raster.bands > _MANY_BANDS:
        shown = np.linspace(0, raster.bands - 1, _SHOWN_BANDS).round().astype(int).tolist()
    values, valid = raster.read(None, shown, shape)
    for index, band in zip(shown, values, strict=True):
        name, nm = raster.names[index] or "", raster.wavelengths_nm[index]
        wavelength = "wavelength unknown" if nm is None else f"{nm:g} nm"
        title = "band" if len(shown) == raster.bands else f"band {index + 1}"
        table.add_row(title, f"{name} {wavelength}, {_range(band[valid])}".strip())
    if not valid.all():
        table.add_row("valid", f"{valid.mean():.1%} of the pixels")
    for path in shipped_models().values():
        card = read_card(path)
        table.add_row(f"model {card.name}", _fit(raster, card, options))
    return table


def _range(values: NDArray[np.float32]) -> str:
    if not values.size:
        return "no valid pixel"
    low, middle, high = np.percentile(values, (1, 50, 99))
    return f"1%, 50%, 99% at {low:.3f}, {middle:.3f}, {high:.3f}"


def _fit(raster: Raster, card: Card, options: str) -> str:
    try:
        RasterSource(raster, card)
    except NircolorError as error:
        return f"does not fit: {str(error).removeprefix(f'{raster.path}: ')}"
    return f"fits: nircolor colorize {shlex.quote(str(raster.path))} -o colour/ --model {card.name}{options}"
