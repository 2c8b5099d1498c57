"""What an evaluation found: everything that its reports tell, in whatever form."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from nircolor.evaluation.measures import MEASURES
from nircolor.evaluation.scorecard import Row, by_method
from nircolor.evaluation.statistics import PairedDifference, paired_difference
from nircolor.modelfile import Card


@dataclass(frozen=True)
class Method:
    """One line of the tables.

    Attributes:
        label: its name there.
        kind: a model file, a folder of colorized images, or a trivial colorizer.
        origin: a line a run: the file or folder, or how the baseline was fitted.
        card: of the model file (of the first run).
    """

    label: str
    kind: Literal["model", "folder", "baseline"]
    origin: tuple[str, ...]
    card: Card | None = None


class Subset(NamedTuple):
    """Images that a table is about."""

    title: str
    names: tuple[str, ...]


class Comparison(NamedTuple):
    """How much ``method`` differs from ``other`` on the same images, by measure."""

    method: str
    other: str
    differences: dict[str, PairedDifference]


@dataclass(frozen=True)
class Seen:
    """An evaluated image that training shows too: ``name`` was seen as ``other``, and how."""

    name: str
    other: str
    how: str


@dataclass(frozen=True)
class Evaluation:
    """The whole of an evaluation.

    Attributes:
        data: what was evaluated on, in words.
        training: what the evaluated images were compared with, and the baselines fitted on, in words.
        methods: in the tables' order, baselines first.
        rows: every image by every method and run.
        subsets: the first holds all images.
        seen: leaks.
        failures: images that could not be scored and were left out for all methods, a line each.
        warnings: doubts, a line each.
        conventions: how was measured, a line each.
        command: what was typed.
        versions: of the packages that the scores depend on.
    """

    data: str
    training: str
    methods: tuple[Method, ...]
    rows: tuple[Row, ...]
    subsets: tuple[Subset, ...]
    command: str
    versions: dict[str, str]
    conventions: tuple[str, ...]
    seen: tuple[Seen, ...] = ()
    failures: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def rows_of(self, subset: Subset) -> list[Row]:
        """The rows of a subset's images."""
        names = set(subset.names)
        return [row for row in self.rows if row.name in names]

    def comparisons(self, subset: Subset) -> list[Comparison]:
        """Each model or folder with every one named before it and with every baseline."""
        columns = by_method(self.rows_of(subset))
        judged = [method.label for method in self.methods if method.kind != "baseline"]
        baselines = [method.label for method in self.methods if method.kind == "baseline"]
        return [
            Comparison(one, other, _differences(columns[one], columns[other]))
            for place, one in enumerate(judged)
            for other in [*judged[:place], *baselines]
        ]


def _differences(one: dict[str, list[float]], other: dict[str, list[float]]) -> dict[str, PairedDifference]:
    return {
        measure.key: paired_difference(one[measure.key], other[measure.key], measure) for measure in MEASURES
    }
