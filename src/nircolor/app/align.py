"""Command `nircolor align`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from nircolor.app import stopping
from nircolor.app.options import Json, Quiet
from nircolor.app.usage import IN, OUT, RUN, whole
from nircolor.texts import count_of

# the median residual from which a pair is worth a look, in pixels
_DOUBTFUL_PX = 1.0


def align(
    nir: Annotated[Path, typer.Argument(metavar="NIR", help="A NIR image, or a folder of them.")],
    rgb: Annotated[
        Path,
        typer.Argument(metavar="RGB", help="Its colour image, or a folder of them, matched by name."),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="PAIRS", help="Folder of the data set.", rich_help_panel=OUT),
    ],
    source: Annotated[
        Literal["converted"] | None,
        typer.Option(
            "--from",
            help="Take NIR images in colour as those of a camera without its infrared filter: the mean of "
            "their channels is written as NIR image.",
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
            help="Number of pairs processed in parallel.",
            envvar="NIRCOLOR_JOBS",
            rich_help_panel=RUN,
        ),
    ] = 1,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace existing pairs.", rich_help_panel=OUT)
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Register NIR and colour images of two cameras or exposures into pairs for training (extra: align).

    The colour is moved onto the NIR image. Pairs that do not match are refused; parts that do not fit are
    masked. Pairs that exist and are up to date are skipped.

    \b
    nircolor align night/ day/ -o pairs/
    nircolor align a_nir.png a_rgb.jpg -o pairs/
    """
    from nircolor.extras import require

    require("cv2", extra="align", what="nircolor align")
    stopping.promise("finished pairs are kept, and the same command continues from there")
    from nircolor.app.console import ProgressBar, conclude, errors, print_json, show_warnings
    from nircolor.pairs.alignment import align as align_pairs

    with show_warnings(unit="pairs", options=False, quiet=quiet), ProgressBar("pairs", quiet=quiet) as bar:
        results = align_pairs(
            nir, rgb, output, converted=source is not None, jobs=jobs, overwrite=overwrite,
            on_progress=bar.update,
        )  # fmt: skip
    failures = [(one.pair.rgb, one.error) for one in results if one.error is not None]
    done = [one for one in results if one.residual_px is not None and one.valid is not None]
    if as_json:
        print_json(
            [
                {
                    "name": one.pair.name,
                    "residual_px": one.residual_px,
                    "valid": one.valid,
                    "skipped": one.skipped,
                    "error": None if one.error is None else str(one.error),
                }
                for one in results
            ]
        )
    elif not quiet:
        for one in done:
            note = ", up to date" if one.skipped else ""
            if (one.residual_px or 0) > _DOUBTFUL_PX:
                note += f"; look at {output / 'residuals' / one.pair.name}.png"
            errors.print(f"{one.pair.name}: {one.residual_px:.2f} px, {one.valid:.0%} valid{note}")
    skipped = sum(one.skipped for one in done)
    parts = [count_of(len(done) - skipped, "pair")] + ([f"{skipped} up to date"] if skipped else [])
    conclude(f"{', '.join(parts)} -> {output}", failures, quiet=quiet)
