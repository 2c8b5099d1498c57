"""Command `nircolor evaluate`."""

import shlex
import sys
from typing import Annotated

import typer

from nircolor.app.options import IN, OUT, RUN, SET_FORMATS, DeviceName, OutputFolder, SplitTable
from nircolor.app.usage import whole


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
    output: OutputFolder,
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
) -> None:
    """Score models and colorized images under one protocol, and write a report (extra: evaluate).

    Simple baselines are evaluated as well, for comparison.

    \b
    nircolor evaluate scene --data pairs/ -o report/
    nircolor evaluate scene theirs=out/ --data test/ --train train/ -o report/
    """
    from nircolor.extras import require

    for package in ("skimage", "matplotlib", "jinja2", "yaml"):
        require(package, extra="evaluate", what="nircolor evaluate")
    from nircolor.app.console import ProgressBar, errors, show_warnings
    from nircolor.evaluation import evaluate as evaluate_methods

    with show_warnings(unit="images", options=False), ProgressBar("pairs") as bar:
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
    print(evaluation)
    for line in evaluation.warnings:
        errors.print(f"warning: {line}", style="yellow")
    errors.print(f"report -> {output / 'report.html'}")
    if evaluation.failures:
        errors.print(f"{len(evaluation.failures)} left out:", style="red")
        for line in evaluation.failures:
            errors.print(f"  {line}", style="red")
        sys.exit(1)
