"""`nircolor evaluate`: progress around `evaluation.evaluate`, and where its report lies."""

import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

from nircolor.app.console import WorkBar, errors, show_warnings
from nircolor.errors import NircolorError
from nircolor.evaluation import Gallery, evaluate, write_figure, write_report
from nircolor.evaluation.report import FILES
from nircolor.evaluation.scorecard import markdown_table
from nircolor.inference import Device

FIGURE = "figure.png"


def run(
    models: Sequence[str],
    data: str,
    output: Path,
    *,
    training: Sequence[str],
    split: str | None,
    table: Path | None,
    average_px: int,
    same_scale: bool,
    images: int,
    given_gray: bool,
    figure: Sequence[str],
    device: Device,
    overwrite: bool,
    command: str,
) -> None:
    """Evaluate, print the table, write the report.

    Raises:
        NircolorError: something cannot be opened, or nothing could be scored.
        SystemExit: with code 1 where some images could not be scored, 130 after Ctrl-C.
    """
    if output.exists() and not output.is_dir():
        raise NircolorError(f"{output}: expected a folder for the report, got a file")
    there = [name for name in (*FILES, FIGURE) if (output / name).exists()]
    if there and not overwrite:
        raise NircolorError(f"{output / there[0]}: expected no report there yet; --overwrite replaces it")
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        show_warnings()
        gallery = Gallery(Path(folder)) if images or figure else None
        with WorkBar() as bar:
            evaluation = evaluate(
                models,
                data,
                training=training,
                split=split,
                table=table,
                average_px=average_px,
                same_scale=same_scale,
                given_gray=given_gray,
                device=device,
                gallery=gallery,
                shown=figure,
                command=command,
                on_progress=bar.update,
            )
        for subset in evaluation.subsets:
            print(f"{subset.title}\n\n{markdown_table(evaluation.rows_of(subset))}")
        write_report(evaluation, output, gallery if images else None, images)
        if figure:
            assert gallery is not None
            judged = [method.label for method in evaluation.methods if method.kind != "baseline"]
            write_figure(output / FIGURE, figure, judged, gallery)
    for line in evaluation.warnings:
        errors.print(f"warning: {line}", style="yellow")
    errors.print(f"report -> {output / 'report.html'}")
    if evaluation.failures:
        errors.print(f"{len(evaluation.failures)} left out:", style="red")
        for line in evaluation.failures:
            errors.print(f"  {line}", style="red")
        sys.exit(1)
