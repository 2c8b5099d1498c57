"""Scores of predicted images, the measures behind them, and the CSV file of scores by image."""

import csv
import io
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nircolor import metrics
from nircolor.arrays import Mask
from nircolor.errors import NircolorError


@dataclass(frozen=True)
class Scores:
    """Scores of one predicted image, as defined in `nircolor.metrics`. PSNR is in dB."""

    psnr_db: float
    ssim: float
    angular_error_deg: float
    whole_image_rad: float
    delta_e2000: float
    gradient_energy_ratio: float
    colourfulness_ratio: float


@dataclass(frozen=True)
class Measure:
    """Display and statistics of one field of `Scores`.

    Attributes:
        key: Name of the field.
        title: Title with unit, for the head of a table.
        digits: Number of decimals.
        better: Which values are better. Ratios are best near 1 and can be infinite; their median over images
            is reported instead of the mean.
    """

    key: str
    title: str
    digits: int
    better: Literal["higher", "lower", "near 1"]

    @property
    def centre(self) -> Literal["mean", "median"]:
        """Statistic that is reported over many images."""
        return "median" if self.better == "near 1" else "mean"

    def cost(self, values: ArrayLike) -> NDArray[np.float64]:
        """Map values to costs, where lower is better; for ratios see `bounded`."""
        array = self.bounded(values)
        return -array if self.better == "higher" else array

    def bounded(self, values: ArrayLike) -> NDArray[np.float64]:
        """Map values to finite values for computing differences.

        Ratios become their distance from 1 in powers of 2, at most 10. PSNR is limited to 100 dB.
        """
        array = np.asarray(values, dtype=np.float64)
        if self.better == "near 1":
            return np.abs(np.log2(np.clip(array, 2**-10, 2**10)))
        return np.minimum(array, 100) if self.key == "psnr_db" else array


MEASURES = (
    Measure("psnr_db", "PSNR, dB", 2, "higher"),
    Measure("ssim", "SSIM", 3, "higher"),
    Measure("angular_error_deg", "angular error, °", 2, "lower"),
    Measure("whole_image_rad", "whole image, rad", 3, "lower"),
    Measure("delta_e2000", "ΔE2000", 2, "lower"),
    Measure("gradient_energy_ratio", "sharpness", 2, "near 1"),
    Measure("colourfulness_ratio", "colourfulness", 2, "near 1"),
)
assert [measure.key for measure in MEASURES] == [field.name for field in fields(Scores)]

CONVENTIONS = (
    "PSNR: one mean squared error over the three channels of an image, range 1.",
    "SSIM: Gaussian window 11 × 11, σ 1.5, K 0.01 and 0.03, data range 1, mean over the windows that lie "
    "inside the image and over the channels.",
    "Angular error: mean over pixels of the angle between colours as vectors, in degrees, by atan2; a pixel "
    "that is black in both images counts 0, one that is black in one image only counts 90.",
    "Whole image: angle between the whole images as vectors, in radians.",
    "ΔE2000: mean over pixels, images read as sRGB.",
    "Sharpness: energy of the gray image's Sobel gradients, predicted divided by true; 1: equally sharp.",
    "Colourfulness (Hasler and Süsstrunk), predicted divided by true; 1: equally colourful.",
)


def score(predicted: metrics.Image, target: metrics.Image, valid: Mask | None = None) -> Scores:
    """Score a predicted image (3, h, w) by all measures; see `nircolor.metrics` for input and errors."""
    return Scores(
        psnr_db=metrics.psnr(predicted, target, valid),
        ssim=metrics.ssim(predicted, target, valid),
        angular_error_deg=metrics.angular_error_deg(predicted, target, valid),
        whole_image_rad=metrics.angular_error_whole_image_rad(predicted, target, valid),
        delta_e2000=metrics.delta_e2000(predicted, target, valid),
        gradient_energy_ratio=metrics.gradient_energy_ratio(predicted, target, valid),
        colourfulness_ratio=metrics.colourfulness_ratio(predicted, target, valid),
    )


class Row(NamedTuple):
    """Scores of one image by one method; ``run`` numbers the runs (seeds) of the method from 0."""

    name: str
    method: str
    run: int
    scores: Scores


# {method: {measure: [one value per image]}}
Columns = dict[str, dict[str, list[float]]]


def write_csv(rows: Iterable[Row], path: str | os.PathLike[str]) -> None:
    """Write one row per image, method and run, in full precision: `read_csv` returns the same rows."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_HEADER)
    writer.writerows((row.name, row.method, row.run, *astuple(row.scores)) for row in rows)
    Path(path).write_text(text.getvalue(), encoding="utf-8")


def read_csv(path: str | os.PathLike[str]) -> list[Row]:
    """Read the rows that `write_csv` wrote.

    Raises:
        NircolorError: The file cannot be read, or is not such a table.
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
    """Group scores by method and measure, with images and methods in the order of the rows.

    The score of a method with several runs is the mean over its runs.
    """
    runs: dict[str, dict[str, list[Scores]]] = {}
    for row in rows:
        runs.setdefault(row.method, {}).setdefault(row.name, []).append(row.scores)
    return {
        method: {
            measure.key: [
                float(np.mean([getattr(scores, measure.key) for scores in run_scores]))
                for run_scores in images.values()
            ]
            for measure in MEASURES
        }
        for method, images in runs.items()
    }


def ranking(values: Sequence[float]) -> list[int]:
    """Return indices that sort values from high to low; equal values keep their order."""
    return sorted(range(len(values)), key=lambda index: -values[index])


_HEADER = ["name", "method", "run", *asdict(Scores(*[0.0] * len(MEASURES)))]
