"""Command `nircolor leaks`."""

import sys
from dataclasses import asdict, replace
from typing import Annotated

import typer

from nircolor.app.options import Json, Quiet, SplitTable
from nircolor.app.terminal import printable


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
            "--same-scale", help="Do not search for enlarged crops: faster, sufficient for satellite data."
        ),
    ] = False,
    table: SplitTable = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """List images that two sets share: copies, re-encodings, shifts and crops (extra: evaluate).

    Prints one row of CSV per shared image. The exit code is 1 if there are any.

    \b
    nircolor leaks data/test data/train > shared.csv
    nircolor leaks data/test data/train --json > shared.json
    """
    from nircolor.extras import require

    require("skimage", extra="evaluate", what="nircolor leaks")
    from nircolor.app.console import ProgressBar, errors, print_json, show_warnings
    from nircolor.pairs.leaks import compare_images, open_for_comparison, write_leaks

    with (
        show_warnings(unit="images", options=False, quiet=quiet),
        ProgressBar("comparisons", quiet=quiet) as bar,
    ):
        images, others = open_for_comparison(first, second, table)
        found = compare_images(images, others, same_scale=same_scale, on_progress=bar.update)
    if as_json:
        leaked = [asdict(leak) for leak in found]
        print_json({"images": len(images), "training_images": len(others), "leaks": leaked})
    elif found:
        shown = [replace(one, name=printable(one.name), other=printable(one.other)) for one in found]
        write_leaks(shown, sys.stdout)
    if not quiet:
        errors.print(
            f"{len(found)} of {len(images)} images of {first} are among the {len(others)} of {second}"
        )
    if found:
        sys.exit(1)
