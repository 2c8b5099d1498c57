"""Command ``rio nircolor``: a plugin of rasterio's command line, with the conventions of its options."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rasterio.rio import options

from nircolor.errors import NircolorError

_DRIVERS = {"GTIFF": ".tif", "COG": ".tif", "PNG": ".png", "JPEG": ".jpg"}


@click.command("nircolor", short_help="Colorize a near-infrared raster.")
@options.file_in_arg
@options.file_out_arg
@click.option(
    "-m",
    "--model",
    default="satellite",
    show_default=True,
    metavar="MODEL",
    help="Name of a shipped model (see `nircolor models`) or path of a model file.",
)
@click.option(
    "--bands", metavar="NM,...", help="Wavelengths of the bands in nm, 850=4 or nir=4, if the file has none."
)
@click.option("--scale", type=float, help="Value of the file that maps to 1.0, such as 10000.")
@click.option("--offset", type=float, help="Number to add after scaling.")
@click.option("--reflectance/--no-reflectance", default=None, help="Scaled values are linear reflectance.")
@options.nodata_opt
@click.option("--saturation", type=float, default=1.0, show_default=True, help="0 for gray, 1 as trained.")
@click.option("--tile", "tile_px", type=click.IntRange(1), metavar="PX", help="Side of the tiles in pixels.")
@options.format_opt
@options.overwrite_opt
@options.creation_options
def nircolor(
    input: str,
    output: str,
    model: str,
    bands: str | None,
    scale: float | None,
    offset: float | None,
    reflectance: bool | None,
    nodata: float | None,
    saturation: float,
    tile_px: int | None,
    driver: str | None,
    overwrite: bool,
    creation_options: Mapping[str, str],
) -> None:
    """Colorize the near-infrared raster INPUT and write it to OUTPUT.

    The result is the same as of `nircolor colorize`: the size, the bit depth and the georeferencing of the
    input, with bands red, green and blue. Large rasters are read in windows, and written as Cloud Optimized
    GeoTIFF unless creation options or --format GTiff are given.

    \b
    rio nircolor scene.tif colour.tif --scale 10000
    rio nircolor scene.tif colour.tif --format COG --co compress=zstd
    """
    from nircolor.app.console import show_warnings
    from nircolor.app.options import parse_bands

    try:
        with show_warnings(quiet=False):
            cog = _layout(driver, Path(output), creation_options)
            from nircolor.inference import Colorizer, Reading

            Colorizer(model, tile_px=tile_px).colorize_file(
                input,
                output,
                reading=Reading(parse_bands(bands), scale, offset, reflectance, nodata=nodata),
                overwrite=overwrite,
                saturation=saturation,
                cog=cog,
                creation_options=creation_options,
            )
    except NircolorError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(2)


def _layout(driver: str | None, output: Path, creation_options: Mapping[str, Any]) -> bool | None:
    """Return whether a TIFF is cloud optimized: None for the default of `nircolor colorize`.

    Raises:
        NircolorError: The driver is not supported or does not fit the name of the output.
    """
    from nircolor.imagery import OUTPUT_DRIVERS

    if driver is None:
        # creation options are those of the driver that belongs to the name
        return False if creation_options and OUTPUT_DRIVERS.get(output.suffix.lower()) == "GTiff" else None
    extension = _DRIVERS.get(driver.upper())
    if extension is None:
        raise NircolorError(f"--format: expected GTiff, COG, PNG or JPEG, got {driver}")
    if OUTPUT_DRIVERS.get(output.suffix.lower()) != OUTPUT_DRIVERS[extension]:
        raise NircolorError(f"{output}: expected a name that ends in {extension} for --format {driver}")
    return {"COG": True, "GTIFF": False}.get(driver.upper())
