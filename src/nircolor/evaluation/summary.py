"""An evaluation's numbers summed up once, for every form of its report."""

import itertools
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from nircolor.evaluation.evaluation import Comparison, Evaluation, Method
from nircolor.evaluation.measures import MEASURES, Measure
from nircolor.evaluation.plots import ranking
from nircolor.evaluation.scorecard import by_method, summarised
from nircolor.evaluation.statistics import Interval, PairedDifference


class Total(NamedTuple):
    """What stands for a method's scores by one measure, its 95% interval, and whether none is better."""

    value: float
    interval: Interval
    best: bool


class Summary(NamedTuple):
    """A subset's table, ``totals`` by method and measure, and what its methods differ by."""

    title: str
    names: tuple[str, ...]
    totals: dict[str, dict[str, Total]]
    comparisons: list[Comparison]


def summarise(evaluation: Evaluation) -> list[Summary]:
    """Each subset's summary, in order; a subset without scored images has none."""
    summaries = []
    for subset in evaluation.subsets:
        columns = by_method(evaluation.rows_of(subset))
        if not columns:
            continue
        totals: dict[str, dict[str, Total]] = {method.label: {} for method in evaluation.methods}
        for measure in MEASURES:
            found = {label: summarised(columns[label][measure.key], measure) for label in totals}
            lowest = np.min([measure.cost(value) for value, _ in found.values()])
            for label, (value, interval) in found.items():
                totals[label][measure.key] = Total(value, interval, bool(measure.cost(value) == lowest))
        summaries.append(Summary(subset.title, subset.names, totals, evaluation.comparisons(subset)))
    return summaries


def judged(evaluation: Evaluation) -> list[Method]:
    """The methods that a report is about: models and folders, or the last baseline where there are none."""
    return [one for one in evaluation.methods if one.kind != "baseline"] or list(evaluation.methods[-1:])


def ranked(evaluation: Evaluation) -> list[str]:
    """All images, by the PSNR of the first method that is judged, the best first."""
    rows = [row for row in evaluation.rows if row.method == judged(evaluation)[0].label]
    names = list(dict.fromkeys(row.name for row in rows))
    psnr_db = next(iter(by_method(rows).values()))["psnr_db"]
    return [names[place] for place in ranking(psnr_db)]


def notable(names: Sequence[str]) -> dict[str, str]:
    """Of ranked images the best, the median and the worst, each once: ``{name: what it is}``."""
    places = {"best": 0, "median": (len(names) - 1) // 2, "worst": len(names) - 1}
    found: dict[str, list[str]] = {}
    for what, place in places.items():
        found.setdefault(names[place], []).append(what)
    return {name: ", ".join(what).capitalize() for name, what in found.items()}


def chosen(names: Sequence[str], count: int) -> list[str]:
    """At most ``count`` of ranked images, in their order: the notable ones, then others evenly spread."""
    kept = list(notable(names))[:count]
    rest = [name for name in names if name not in kept]
    more = min(count - len(kept), len(rest))
    # the middles of as many equal stretches
    kept += [rest[int((place + 0.5) * len(rest) / more)] for place in range(more)]
    return [name for name in names if name in kept]


def slugs(names: Iterable[str]) -> dict[str, str]:
    """For each name one of its own that a file or link can bear: ASCII letters, digits and ``_.-``."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9_.]+", "-", name)[:80].strip("-.") or "unnamed"
        numbered = (f"{plain}-{count}" for count in itertools.count(2))
        # some file systems take A.jpg and a.jpg for one
        found[name] = next(slug for slug in itertools.chain([plain], numbered) if slug.lower() not in taken)
        taken.add(found[name].lower())
    return found


def number(value: float, measure: Measure) -> str:
    """A value as tables show it; ``inf`` where it is infinite."""
    return f"{value:.{measure.digits}f}"


def interval(ends: Interval, measure: Measure) -> str:
    """``17.20 to 20.11``; nothing where one image gives no interval."""
    return "" if np.isnan(ends.low) else f"{number(ends.low, measure)} to {number(ends.high, measure)}"


def difference(found: PairedDifference, measure: Measure) -> str:
    """``+0.52 (+0.31 to +0.73), won 83%``."""
    digits = measure.digits
    ends = "" if np.isnan(found.low) else f" ({found.low:+.{digits}f} to {found.high:+.{digits}f})"
    return f"{found.mean:+.{digits}f}{ends}, won {found.win_rate:.0%}"


def verdict(found: PairedDifference, measure: Measure) -> str:
    """``better`` or ``worse`` where the interval excludes zero, else nothing."""
    if not (found.low > 0 or found.high < 0):
        return ""
    return "better" if (found.low > 0) == (measure.better == "higher") else "worse"
