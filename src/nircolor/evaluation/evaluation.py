"""`Evaluation`: the result of an evaluation, with summary statistics."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from nircolor.evaluation.scores import MEASURES, Measure, Row, by_method, ranking
from nircolor.evaluation.statistics import Interval, PairedDifference, average, paired_difference
from nircolor.modelfile import Card
from nircolor.texts import count_of


@dataclass(frozen=True)
class Method:
    """Description of an evaluated method, one row of the tables.

    Attributes:
        label: Label in the tables.
        kind: ``model``, ``folder`` (of colorized images) or ``baseline`` (trivial colorizer).
        origin: One line per run: the file or folder, or how the baseline was fitted.
        card: Card of the model (of the first run).
    """

    label: str
    kind: Literal["model", "folder", "baseline"]
    origin: tuple[str, ...]
    card: Card | None = None


class Places(NamedTuple):
    """Places that the evaluated images show; intervals resample places, each with all its images.

    Attributes:
        source: How they are known: from the table, or from the leak check, which found images that match.
        of: Place of each image, by its name.
    """

    source: Literal["table", "leak check"]
    of: Mapping[str, str]


class Subset(NamedTuple):
    """Names of the images of one table."""

    title: str
    names: tuple[str, ...]


class MethodComparison(NamedTuple):
    """Differences between two methods on the same images, by measure."""

    method: str
    other: str
    differences: dict[str, PairedDifference]


@dataclass(frozen=True)
class SeenImage:
    """An evaluated image that a training set contains too.

    Attributes:
        name: Name of the evaluated image.
        other: Name of the training image.
        how: Description of the match.
    """

    name: str
    other: str
    how: str


class Total(NamedTuple):
    """Mean or median of a method's scores by one measure, its 95% interval, and whether it is the best."""

    value: float
    interval: Interval
    best: bool


class ScoreTable(NamedTuple):
    """Summary of a subset: ``totals`` by method and measure, and comparisons of methods.

    ``places`` is the number of places that the intervals resample; None if places are unknown, where they
    resample images.
    """

    title: str
    names: tuple[str, ...]
    places: int | None
    totals: dict[str, dict[str, Total]]
    comparisons: list[MethodComparison]

    @property
    def heading(self) -> str:
        """Title with the number of places, where it is known."""
        return self.title if self.places is None else f"{self.title}, {count_of(self.places, 'place')}"


@dataclass(frozen=True, repr=False)
class Evaluation:
    """Scores of methods on the pairs of a set.

    ``print(evaluation)`` shows the tables, `summary` returns them as rows, and ``evaluation.rows`` holds the
    scores of each image.

    Attributes:
        data: Title of the evaluated set, with the number of pairs and their split.
        training: Title of the training sets with which images were compared, and on which baselines were
            fitted; empty if there are none.
        methods: Methods in the order of the tables, baselines first.
        rows: Scores of every image by every method and run.
        subsets: Images of each table. The first holds all images.
        command: Command or call that made the evaluation, for reports.
        versions: Versions of the packages on which the scores depend.
        conventions: Description of the measures, one line each.
        places: Places of the images; None if they are unknown.
        seen: Images that training contains too.
        failures: Images that could not be scored and were left out for all methods, one line each.
        warnings: Warnings, such as permuted names, one line each.
    """

    data: str
    training: str
    methods: tuple[Method, ...]
    rows: tuple[Row, ...]
    subsets: tuple[Subset, ...]
    command: str
    versions: dict[str, str]
    conventions: tuple[str, ...]
    places: Places | None = None
    seen: tuple[SeenImage, ...] = ()
    failures: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def summary(self) -> list[dict[str, Any]]:
        """Return the tables as rows of plain values, for example for ``pandas.DataFrame``.

        Returns:
            One dict per subset and method: ``subset``, ``images`` (their number), ``places`` (their number,
            None if unknown), ``method``, and for each measure (``psnr_db``, ``ssim``, ``angular_error_deg``,
            …) the mean, or the median of ratios, with its 95% interval as ``psnr_db_low`` and
            ``psnr_db_high`` (NaN for fewer than 5 places, or images if places are unknown).
        """
        return [
            {"subset": table.title, "images": len(table.names), "places": table.places, "method": label}
            | {
                key: value
                for measure, total in totals.items()
                for key, value in (
                    (measure, total.value),
                    (f"{measure}_low", total.interval.low),
                    (f"{measure}_high", total.interval.high),
                )
            }
            for table in self.tables()
            for label, totals in table.totals.items()
        ]

    def tables(self) -> list[ScoreTable]:
        """Summarize each subset, in order. Subsets without scored images are left out."""
        tables = []
        for subset in self.subsets:
            columns = by_method(self.rows_of(subset))
            if not columns:
                continue
            totals: dict[str, dict[str, Total]] = {method.label: {} for method in self.methods}
            places = self._places_of(subset)
            for measure in MEASURES:
                found = {label: average(columns[label][measure.key], measure, places) for label in totals}
                lowest = np.min([measure.cost(value) for value, _ in found.values()])
                for label, (value, ends) in found.items():
                    totals[label][measure.key] = Total(value, ends, bool(measure.cost(value) == lowest))
            number_of_places = None if places is None else len(set(places))
            tables.append(
                ScoreTable(subset.title, subset.names, number_of_places, totals, self.comparisons(subset))
            )
        return tables

    def rows_of(self, subset: Subset) -> list[Row]:
        """Return the rows of a subset's images."""
        names = set(subset.names)
        return [row for row in self.rows if row.name in names]

    def _places_of(self, subset: Subset) -> list[str] | None:
        """Return the place of each image of a subset, in the order of the rows; None if they are unknown."""
        if self.places is None:
            return None
        return [self.places.of[name] for name in dict.fromkeys(row.name for row in self.rows_of(subset))]

    def comparisons(self, subset: Subset) -> list[MethodComparison]:
        """Compare each model or folder with each one before it and with each baseline."""
        columns = by_method(self.rows_of(subset))
        evaluated = [method.label for method in self.methods if method.kind != "baseline"]
        baselines = [method.label for method in self.methods if method.kind == "baseline"]
        places = self._places_of(subset)
        return [
            MethodComparison(one, other, _differences(columns[one], columns[other], places))
            for place, one in enumerate(evaluated)
            for other in [*evaluated[:place], *baselines]
        ]

    def evaluated(self) -> list[Method]:
        """Return the methods that are not baselines; the last baseline if there are only baselines."""
        return [one for one in self.methods if one.kind != "baseline"] or list(self.methods[-1:])

    def ranked(self) -> list[str]:
        """Return all images by the PSNR of the first method that is not a baseline, best first."""
        rows = [row for row in self.rows if row.method == self.evaluated()[0].label]
        names = list(dict.fromkeys(row.name for row in rows))
        psnr_db = next(iter(by_method(rows).values()))["psnr_db"]
        return [names[place] for place in ranking(psnr_db)]

    def __str__(self) -> str:
        return "\n".join(f"{table.heading}\n\n{_markdown(table)}" for table in self.tables())

    def _repr_markdown_(self) -> str:
        # used by Jupyter to show the tables
        return str(self)

    def __repr__(self) -> str:
        methods = ", ".join(method.label for method in self.methods)
        return f"<Evaluation: {self.data}; {methods}>"


def _markdown(table: ScoreTable) -> str:
    """Format a table as Markdown: means (medians for ratios) with 95% intervals, one row per method."""
    lines = [
        f"| method | images | {' | '.join(measure.title for measure in MEASURES)} |",
        "|---" * (2 + len(MEASURES)) + "|",
    ]
    for label, totals in table.totals.items():
        cells = [cell(totals[measure.key], measure) for measure in MEASURES]
        lines.append(f"| {label} | {len(table.names)} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def cell(total: Total, measure: Measure) -> str:
    """Format ``18.71 (17.20 to 20.11)``; without the interval if there are fewer than 5 images."""
    ends = interval(total.interval, measure)
    return f"{number(total.value, measure)} ({ends})" if ends else number(total.value, measure)


def number(value: float, measure: Measure) -> str:
    """Format a value for tables; ``inf`` if it is infinite."""
    return f"{value:.{measure.digits}f}"


def interval(ends: Interval, measure: Measure) -> str:
    """Format ``17.20 to 20.11``; nothing if there are too few images for one."""
    return "" if np.isnan(ends.low) else f"{number(ends.low, measure)} to {number(ends.high, measure)}"


def _differences(
    one: dict[str, list[float]], other: dict[str, list[float]], places: list[str] | None
) -> dict[str, PairedDifference]:
    return {
        measure.key: paired_difference(one[measure.key], other[measure.key], measure, places)
        for measure in MEASURES
    }
