"""What is measured of a predicted image, and how the numbers are to be read."""

from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nircolor import metrics
from nircolor.arrays import Mask


@dataclass(frozen=True)
class Scores:
    """One predicted image against its target, as `nircolor.metrics` defines the measures."""

    psnr_db: float
    ssim: float
    angular_error_deg: float
    whole_image_rad: float
    delta_e2000: float
    gradient_energy_ratio: float
    colourfulness_ratio: float


@dataclass(frozen=True)
class Measure:
    """How one field of `Scores` is told.

    Attributes:
        key: the field.
        title: with its unit, for a table's head.
        digits: after the point.
        better: which values are. Of a ratio, which is best near 1 and can be infinite, the median over
            images is given in place of the mean.
    """

    key: str
    title: str
    digits: int
    better: Literal["higher", "lower", "near 1"]

    @property
    def centre(self) -> Literal["mean", "median"]:
        """What stands for many images."""
        return "median" if self.better == "near 1" else "mean"

    def cost(self, values: ArrayLike) -> NDArray[np.float64]:
        """Numbers of which the lower is better; for ratios how often they double or halve 1, at most 10."""
        array = self.bounded(values)
        return -array if self.better == "higher" else array

    def bounded(self, values: ArrayLike) -> NDArray[np.float64]:
        """What differences are taken of: of ratios the distance from 1 in powers of 2, at most 10; a perfect
        image's PSNR counts 100 dB."""
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
    "PSNR: one mean squared error over the three channels of a image, range 1.",
    "SSIM: Gaussian window 11 × 11, σ 1.5, K 0.01 and 0.03, data range 1, mean over the windows that lie "
    "inside the image and over the channels.",
    "Angular error: mean over pixels of the angle between colours as vectors, in degrees, by atan2; a pixel "
    "black in both images counts 0, in one of them 90.",
    "Whole image: the angle between whole images as vectors, in radians.",
    "ΔE2000: mean over pixels, images taken as sRGB.",
    "Sharpness: energy of the gray image's Sobel gradients, predicted over true; 1 is as sharp.",
    "Colourfulness (Hasler and Süsstrunk), predicted over true; 1 is as colourful.",
)


def score(predicted: metrics.Image, target: metrics.Image, valid: Mask | None = None) -> Scores:
    """All measures of a predicted (3, h, w) image; see `nircolor.metrics` for input and errors."""
    return Scores(
        psnr_db=metrics.psnr(predicted, target, valid),
        ssim=metrics.ssim(predicted, target, valid),
        angular_error_deg=metrics.angular_error_deg(predicted, target, valid),
        whole_image_rad=metrics.angular_error_whole_image_rad(predicted, target, valid),
        delta_e2000=metrics.delta_e2000(predicted, target, valid),
        gradient_energy_ratio=metrics.gradient_energy_ratio(predicted, target, valid),
        colourfulness_ratio=metrics.colourfulness_ratio(predicted, target, valid),
    )
