"""Scores of pictures, their means with intervals, and the files that hold them."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nircolor import metrics
from nircolor.arrays import Mask
from nircolor.errors import NircolorError

HIGHER_IS_BETTER = {"psnr_db": True, "ssim": True, "angular_error_deg": False, "whole_image_rad": False}


@dataclass(frozen=True)
class Scores:
    """One predicted picture against its target, as `nircolor.metrics` defines the measures."""

    psnr_db: float
    ssim: float
    angular_error_deg: float
    whole_image_rad: float


class Row(NamedTuple):
    """The scores of one picture by one method."""

    name: str
    method: str
    scores: Scores


class Interval(NamedTuple):
    """Where a mean lies, at the level asked for; both ends NaN where one value gives no interval."""

    low: float
    high: float


class PairedDifference(NamedTuple):
    """Mean of ``a - b`` over pictures, its interval, and the share of pictures on which ``a`` wins."""

    mean: float
    low: float
    high: float
    win_rate: float


def score(predicted: metrics.Picture, target: metrics.Picture, valid: Mask | None = None) -> Scores:
    """All measures of a predicted (3, h, w) picture; see `nircolor.metrics` for input and errors."""
    return Scores(
        psnr_db=metrics.psnr_db(predicted, target, valid),
        ssim=metrics.ssim(predicted, target, valid),
        angular_error_deg=metrics.angular_error_deg(predicted, target, valid),
        whole_image_rad=metrics.angular_error_whole_image_rad(predicted, target, valid),
    )


def bootstrap_interval(
    values: ArrayLike, level: float = 0.95, seed: int = 0, resamples: int = 10_000
) -> Interval:
    """Percentile bootstrap interval for the mean of independent values.

    Resamples pictures, so it says how the mean varies with the choice of pictures. Pictures of one
    place are not independent: where a set has several, the interval is optimistic.

    Raises:
        ValueError: no values, or a level outside 0 to 1.
    """
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or sample.size == 0:
        raise ValueError(f"expected a list of values, got shape {sample.shape}")
    if not 0 < level < 1:
        raise ValueError(f"level: expected a value between 0 and 1, got {level}")
    if sample.size == 1:
        return Interval(float("nan"), float("nan"))
    chosen = np.random.default_rng(seed).integers(sample.size, size=(resamples, sample.size))
    # inverted_cdf interpolates nothing, so that the infinite PSNR of a perfect picture gives no NaN
    low, high = np.quantile(
        sample[chosen].mean(axis=1), [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf"
    )
    return Interval(float(low), float(high))


def paired_difference(a: ArrayLike, b: ArrayLike, *, higher_is_better: bool = True) -> PairedDifference:
    """How much ``a`` differs from ``b`` on the same pictures in the same order, with a 95% interval.

    A tie counts as half a win.

    Raises:
        ValueError: the two differ in length, or are empty.
    """
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.shape != second.shape:
        raise ValueError(f"expected scores of the same pictures, got {first.shape} and {second.shape}")
    # two perfect pictures differ by nothing, where inf - inf is NaN
    same = first == second
    difference: NDArray[Any] = np.subtract(first, second, out=np.zeros_like(first), where=~same)
    low, high = bootstrap_interval(difference)
    wins = difference > 0 if higher_is_better else difference < 0
    return PairedDifference(float(difference.mean()), low, high, float((wins + 0.5 * same).mean()))


def write_csv(rows: Iterable[Row], path: Path | str) -> None:
    """One line a picture and method; numbers in full, so that `read_csv` gives back the same rows."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_HEADER)
    writer.writerows((row.name, row.method, *astuple(row.scores)) for row in rows)
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
            return [Row(name, method, Scores(*map(float, scores))) for name, method, *scores in lines]
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise NircolorError(f"{path}: expected a CSV with columns {', '.join(_HEADER)}: {error}") from error


def by_method(rows: Iterable[Row]) -> dict[str, dict[str, list[float]]]:
    """``{method: {measure: [a value a picture]}}``, pictures and methods in the order of the rows."""
    table: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        columns = table.setdefault(row.method, {measure: [] for measure in HIGHER_IS_BETTER})
        for measure, value in asdict(row.scores).items():
            columns[measure].append(value)
    return table


def markdown_table(rows: Sequence[Row]) -> str:
    """Means over pictures with 95% bootstrap intervals, one line a method."""
    lines = [
        "| method | pictures | PSNR, dB | SSIM | angular error, ° | whole image, rad |",
        "|---|---|---|---|---|---|",
    ]
    for method, columns in by_method(rows).items():
        cells = [_cell(columns[measure], digits) for measure, digits in _DIGITS.items()]
        lines.append(f"| {method} | {len(columns['psnr_db'])} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(values: Sequence[float], digits: int) -> str:
    mean = f"{np.mean(values):.{digits}f}"
    low, high = bootstrap_interval(values)
    return mean if np.isnan(low) else f"{mean} ({low:.{digits}f} to {high:.{digits}f})"


_HEADER = ["name", "method", *(field.name for field in fields(Scores))]
_DIGITS = {"psnr_db": 2, "ssim": 3, "angular_error_deg": 2, "whole_image_rad": 3}
