"""Command `nircolor leaks`."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from nircolor.app.options import Json, Quiet, SplitTable
from nircolor.app.terminal import printable
from nircolor.errors import NircolorError


def leaks(
    first: Annotated[
        str, typer.Argument(metavar="EVALUATED", help="Evaluation set: a paired set or a folder of images.")
    ],
    second: Annotated[
        str, typer.Argument(metavar="TRAINING", help="Training set: a paired set or a folder of images.")
    ],
    same_scale: Annotated[
        bool,
        typer.Option(
            "--same-scale",
            help="Find only copies of the same scale and orientation: faster, sufficient for satellite data.",
        ),
    ] = False,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write a page that shows the matches side by side."),
    ] = None,
    table: SplitTable = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """List images that two sets share, in whatever form (extra: evaluate).

    Finds copies, encoded again, retouched, cropped, scaled, squashed, mirrored or rotated; and other
    photographs of the same place. Prints one row of CSV per match, with its evidence. If both sets are the
    same, duplicates within it are listed. The exit code is 1 if there are matches or unreadable images.

    \b
    nircolor leaks data/test data/train > shared.csv
    nircolor leaks data/test data/train --html shared.html
    """
    from nircolor.extras import require

    require("skimage", extra="evaluate", what="nircolor leaks")
    if html is not None and html.suffix.lower() not in (".html", ".htm"):
        raise NircolorError(f"{html}: expected a file name that ends in .html for --html")
    from nircolor.app.console import ProgressBar, errors, print_json, show_warnings
    from nircolor.pairs.compared import open_for_comparison
    from nircolor.pairs.leaks import compare_images, leak_row, write_leaks

    with (
        show_warnings(unit="images", options=False, quiet=quiet),
        ProgressBar("comparisons", quiet=quiet) as bar,
    ):
        images, others = open_for_comparison(first, second, table)
        check = compare_images(images, others, same_scale=same_scale, on_progress=bar.update)
        if html is not None:
            from nircolor.evaluation.leak_page import write_leak_page

            write_leak_page(check, images, others, html, title=f"{first} and {second}")
    for one in check.unreadable:
        errors.print(f"not compared: {one.reason}")
    if as_json:
        print_json(
            {
                "images": check.images,
                "training_images": check.others,
                "within": check.within,
                "leaks": [leak_row(leak) for leak in check.leaks],
                "unclear": list(check.unclear),
                "unreadable": [one._asdict() for one in check.unreadable],
            }
        )
    else:
        write_leaks(
            [replace(one, name=printable(one.name), other=printable(one.other)) for one in check.leaks],
            sys.stdout,
        )
    if not quiet:
        errors.print(check.summary)
    if check.leaks or check.unreadable:
        sys.exit(1)
