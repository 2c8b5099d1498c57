"""Command `nircolor evaluate`."""

import shlex
import shutil
import sys
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from nircolor.app.options import SET_FORMATS, DeviceName, Json, Quiet, SplitTable
from nircolor.app.terminal import printable, show
from nircolor.app.usage import IN, OUT, RUN, whole
from nircolor.errors import NircolorError

if TYPE_CHECKING:
    from nircolor.evaluation import Evaluation

# longest label of a method on the screen
_LABEL: Final = 28


def evaluate(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...",
            help="Shipped models, model files, folders of colorized images, or patterns such as "
            "'out/*_fake_B.png' where * is the name of the pair. LABEL=MODEL sets the label; models with the "
            "same label are runs of one method.",
        ),
    ],
    data: Annotated[
        str,
        typer.Option(metavar="SET", help=f"Pairs to evaluate on: {SET_FORMATS}.", rich_help_panel=IN),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER",
            help="Folder of the report. Default: tables on the screen only.",
            rich_help_panel=OUT,
        ),
    ] = None,
    train: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SET",
            help="Training data of the models: the baselines are fitted on it, and it is searched for "
            "images of --data.",
            rich_help_panel=IN,
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="Split of --data. Default: validation in VCIP's layout, otherwise test if there is one.",
            rich_help_panel=IN,
        ),
    ] = None,
    table: SplitTable = None,
    average: Annotated[
        int,
        typer.Option(
            parser=whole(1),
            metavar="PX",
            help="Compare means over square windows of this side, for bands coarser than the pixel grid.",
            rich_help_panel=RUN,
        ),
    ] = 1,
    same_scale: Annotated[
        bool,
        typer.Option(
            "--same-scale",
            help="Do not search --train for enlarged crops: faster, sufficient for satellite data.",
            rich_help_panel=RUN,
        ),
    ] = False,
    images: Annotated[
        int,
        typer.Option(
            parser=whole(0),
            metavar="N",
            help="Number of images in the report; 0 for tables only.",
            rich_help_panel=OUT,
        ),
    ] = 24,
    given_gray: Annotated[
        bool,
        typer.Option(
            "--given-gray",
            help="Add a baseline that also takes the gray version of the true colours.",
            rich_help_panel=RUN,
        ),
    ] = False,
    figure: Annotated[
        str | None,
        typer.Option(metavar="NAME,…", help="Also write figure.png with these pairs.", rich_help_panel=OUT),
    ] = None,
    device: DeviceName = "auto",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing report.", rich_help_panel=OUT)
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Score models and colorized images under one protocol, and write a report (extra: evaluate).

    Simple baselines are evaluated as well, for comparison.

    \b
    nircolor evaluate scene --data pairs/
    nircolor evaluate scene --data pairs/ -o report/
    nircolor evaluate scene theirs=out/ --data test/ --train train/ -o report/
    """
    from nircolor.extras import require

    if figure and output is None:
        raise NircolorError("--figure: expected a folder for the figure as well, -o FOLDER")
    for package in ("skimage", "matplotlib", "jinja2", "yaml"):
        require(package, extra="evaluate", what="nircolor evaluate")
    from nircolor.app.console import ProgressBar, errors, print_json, show_warnings
    from nircolor.evaluation import evaluate as evaluate_methods
    from nircolor.evaluation.report import record

    with show_warnings(unit="images", options=False, quiet=quiet), ProgressBar("pairs", quiet=quiet) as bar:
        evaluation = evaluate_methods(
            models,
            data,
            training=train,
            split=split,
            table=table,
            output=output,
            images=images,
            figure=[name.strip() for name in figure.split(",")] if figure else [],
            overwrite=overwrite,
            average_px=average,
            same_scale=same_scale,
            given_gray=given_gray,
            device=device,
            command=shlex.join(["nircolor", *sys.argv[1:]]),
            on_progress=bar.update,
        )
    if as_json:
        print_json(record(evaluation, evaluation.tables(), per_image=True))
    else:
        show(tables_for_screen(evaluation, shutil.get_terminal_size().columns).rstrip("\n"))
    if not quiet:
        for line in evaluation.warnings:
            errors.print(f"warning: {line}", style="yellow")
        if output is not None:
            errors.print(f"report -> {output / 'report.html'}")
    if evaluation.failures:
        errors.print(f"{len(evaluation.failures)} left out:", style="red")
        for line in evaluation.failures:
            errors.print(f"  {line}", style="red")
        sys.exit(1)


def tables_for_screen(evaluation: "Evaluation", width: int) -> str:
    """Format the tables of an evaluation with as many measures as fit in ``width`` columns."""
    from nircolor.evaluation.evaluation import cell
    from nircolor.evaluation.scores import MEASURES

    parts, left_out = [], 0
    for table in evaluation.tables():
        columns = [["", *table.totals]] + [
            [measure.title, *(cell(totals[measure.key], measure) for totals in table.totals.values())]
            for measure in MEASURES
        ]
        columns[0] = [printable(text) for text in columns[0]]
        columns[0] = [text if len(text) <= _LABEL else f"{text[: _LABEL - 1]}…" for text in columns[0]]
        widths = [max(map(len, column)) for column in columns]
        # the labels and the first measure are always shown
        shown = max(2, sum(total - 2 <= width for total in accumulate(one + 2 for one in widths)))
        left_out = max(left_out, len(columns) - shown)
        rows = zip(
            *(
                [text.ljust(one) for text in column]
                for column, one in zip(columns[:shown], widths, strict=False)
            ),
            strict=True,
        )
        parts.append("\n".join([printable(table.heading), *("  ".join(row).rstrip() for row in rows)]) + "\n")
    if left_out:
        parts.append(
            f"{left_out} more measures: in the report (-o FOLDER), with --json or on a wider terminal\n"
        )
    return "\n".join(parts)
