"""Command `nircolor synthesize`."""

from pathlib import Path
from typing import Annotated

import typer

from nircolor.app import stopping
from nircolor.app.options import Quiet, parse_numbers
from nircolor.app.usage import IN, OUT, RUN, whole
from nircolor.errors import NircolorError
from nircolor.texts import count_of

_BANDS = "Synthesized bands"


def synthesize(
    captures: Annotated[
        list[Path],
        typer.Argument(
            metavar="CAPTURE...", help="ENVI headers (.hdr), SPECIM capture folders, or folders of these."
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FOLDER", help="Folder of the data set.", rich_help_panel=OUT),
    ],
    bands: Annotated[
        str,
        typer.Option(
            "--bands", metavar="NM,…", help="Centres of the NIR bands in nm.", rich_help_panel=_BANDS
        ),
    ] = "780,850,940",
    fwhm: Annotated[
        float,
        typer.Option(
            min=1, metavar="NM", help="Full width at half maximum of the NIR bands.", rich_help_panel=_BANDS
        ),
    ] = 10.0,
    nearest: Annotated[
        bool,
        typer.Option(
            "--nearest",
            help="Use the capture's nearest band, at most half of --fwhm away, instead of a weighted mean.",
            rich_help_panel=_BANDS,
        ),
    ] = False,
    response: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV",
            help="Response curves of the camera that defines the colours: wavelength, red, green, blue and "
            "optionally near-infrared. Default: sRGB of the CIE 1931 observer.",
            rich_help_panel=_BANDS,
        ),
    ] = None,
    response_nm: Annotated[
        str | None,
        typer.Option(
            metavar="FIRST:LAST:STEP",
            help="Wavelengths of the rows of --response, if it has no column of wavelengths.",
            rich_help_panel=_BANDS,
        ),
    ] = None,
    dark: Annotated[
        Path | None,
        typer.Option(
            metavar="HDR",
            help="Dark reference for all captures. Default: the one beside each capture.",
            rich_help_panel=IN,
        ),
    ] = None,
    white: Annotated[
        Path | None,
        typer.Option(
            metavar="HDR",
            help="White reference for all captures. Default: the one beside each capture.",
            rich_help_panel=IN,
        ),
    ] = None,
    scale: Annotated[
        float | None,
        typer.Option(
            help="Value that maps to a reflectance of 1, for captures that contain reflectance.",
            rich_help_panel=IN,
        ),
    ] = None,
    jobs: Annotated[
        int,
        typer.Option(
            "--jobs",
            "-j",
            parser=whole(1),
            metavar="N",
            help="Number of captures processed in parallel.",
            envvar="NIRCOLOR_JOBS",
            rich_help_panel=RUN,
        ),
    ] = 1,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Replace a data set that was made with other settings.", rich_help_panel=OUT
        ),
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Make pairs of NIR and RGB images from hyperspectral captures (extra: spectral).

    Pairs that exist and are up to date are skipped, so an interrupted run can be continued.

    \b
    nircolor synthesize captures/ -o data/ --jobs 4
    nircolor synthesize scene.hdr -o data/ --bands 800,870 --fwhm 25
    """
    wavelengths, grid = parse_numbers(bands, "--bands") or (), _parse_grid(response_nm)
    stopping.promise("finished pairs are kept, and the same command continues from there")
    from nircolor.app.console import ProgressBar, conclude, show_warnings
    from nircolor.spectral import synthesize as synthesize_pairs

    with show_warnings(unit="captures", quiet=quiet), ProgressBar("captures", quiet=quiet) as bar:
        results = synthesize_pairs(
            captures,
            output,
            bands_nm=wavelengths,
            fwhm_nm=fwhm,
            nearest=nearest,
            response=response,
            response_nm=grid,
            dark=dark,
            white=white,
            scale=scale,
            jobs=jobs,
            overwrite=overwrite,
            on_progress=bar.update,
        )
    failures = [(result.capture.header, result.error) for result in results if result.error is not None]
    skipped = sum(result.skipped for result in results)
    done = len(results) - len(failures) - skipped
    parts = [count_of(done, "pair")] + ([f"{skipped} up to date"] if skipped else [])
    conclude(f"{', '.join(parts)} -> {output}", failures, quiet=quiet)


def _parse_grid(text: str | None) -> tuple[float, float, float] | None:
    if text is None:
        return None
    try:
        first, last, step = (float(part) for part in text.split(":"))
    except ValueError:
        first, last, step = 0, 0, 0
    if not (0 < first < last and 0 < step <= last - first):
        raise NircolorError(f"--response-nm: expected FIRST:LAST:STEP in nm, got {text!r}")
    return first, last, step
