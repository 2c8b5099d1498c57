"""Scores image by image, the file that holds them, and the table that sums them up."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict, astuple
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nircolor.errors import NircolorError
from nircolor.evaluation.measures import MEASURES, Measure, Scores
from nircolor.evaluation.statistics import Interval, bootstrap_interval


class Row(NamedTuple):
    """The scores of one image by one method; ``run`` counts the runs (seeds) of a method from 0."""

    name: str
    method: str
    run: int
    scores: Scores


# {method: {measure: [a value a image]}}
Columns = dict[str, dict[str, list[float]]]


def write_csv(rows: Iterable[Row], path: Path | str) -> None:
    """One line a image, method and run; in full, so that `read_csv` gives back the same rows."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_HEADER)
    writer.writerows((row.name, row.method, row.run, *astuple(row.scores)) for row in rows)
    Path(path).write_text(text.getvalue(), encoding="utf-8")


def read_csv(path: Path | str) -> list[Row]:
    """The rows that `write_csv` wrote.

    Raises:
        NircolorError: the file cannot be read, or is not such a table.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8") as file:
            header, *lines = csv.reader(file)
            if header != _HEADER:
                raise ValueError(f"its columns are {', '.join(header)}")
            return [
                Row(name, method, int(run), Scores(*map(float, scores)))
                for name, method, run, *scores in lines
            ]
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise NircolorError(f"{path}: expected a CSV with columns {', '.join(_HEADER)}: {error}") from error


def by_method(rows: Iterable[Row]) -> Columns:
    """Scores by method and measure, images and methods in the order of the rows.

    Of a method with several runs, a image's score is the mean over them.
    """
    runs: dict[str, dict[str, list[Scores]]] = {}
    for row in rows:
        runs.setdefault(row.method, {}).setdefault(row.name, []).append(row.scores)
    return {
        method: {
            measure.key: [
                float(np.mean([getattr(scores, measure.key) for scores in of_runs]))
                for of_runs in images.values()
            ]
            for measure in MEASURES
        }
        for method, images in runs.items()
    }


def summarised(values: Sequence[float], measure: Measure) -> tuple[float, Interval]:
    """Mean or median, as the measure has it, and its 95% interval."""
    middle = np.mean if measure.centre == "mean" else np.median
    return float(middle(values)), bootstrap_interval(values, centre=measure.centre)


def markdown_table(rows: Sequence[Row]) -> str:
    """Means (of ratios medians) over images with 95% intervals, one line a method."""
    lines = [
        f"| method | images | {' | '.join(measure.title for measure in MEASURES)} |",
        "|---" * (2 + len(MEASURES)) + "|",
    ]
    for method, columns in by_method(rows).items():
        cells = [cell(columns[measure.key], measure) for measure in MEASURES]
        lines.append(f"| {method} | {len(columns['psnr_db'])} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def cell(values: Sequence[float], measure: Measure) -> str:
    """``18.71 (17.20 to 20.11)``; without an interval where there is one value only."""
    middle, (low, high) = summarised(values, measure)
    text = f"{middle:.{measure.digits}f}"
    return text if np.isnan(low) else f"{text} ({low:.{measure.digits}f} to {high:.{measure.digits}f})"


_HEADER = ["name", "method", "run", *asdict(Scores(*[0.0] * len(MEASURES)))]
