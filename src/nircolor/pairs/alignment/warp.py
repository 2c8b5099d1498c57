"""Geometry between two images: a homography with the radial distortion of both lenses, and local shifts."""

from dataclasses import dataclass, field
from typing import Any, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from nircolor.arrays import Floats

Points = NDArray[np.float64]

# deviations that are unlikely in two images of one scene: of the perspective, and of the distortions
_PRIOR = np.array([0, 0, 0, 0, 0, 0, 3.0, 3.0, 1.0, 1.0])
_STEPS = 12


@dataclass(frozen=True)
class Lens:
    """Map from a fixed to a moving image, in coordinates with the centre at 0 and the half diagonal 1.

    Attributes:
        matrix: (3, 3), homography from the fixed image without distortion to the moving one without.
        fixed_k1: Radial distortion of the fixed image: ``x (1 + k1 r²)`` is the point without distortion.
        moving_k1: Radial distortion of the moving image, in which ``x (1 + k1 r²)`` is the distorted point.
    """

    matrix: Points = field(default_factory=lambda: np.eye(3))
    fixed_k1: float = 0.0
    moving_k1: float = 0.0

    def __call__(self, points: Points) -> Points:
        """Map points (n, 2)."""
        straight = points * (1 + self.fixed_k1 * (points**2).sum(1, keepdims=True))
        mapped = straight @ self.matrix[:, :2].T + self.matrix[:, 2]
        flat = mapped[:, :2] / np.maximum(mapped[:, 2:], 1e-3)
        return flat * (1 + self.moving_k1 * (flat**2).sum(1, keepdims=True))

    @property
    def _parameters(self) -> Points:
        return np.array([*self.matrix.ravel()[:8], self.fixed_k1, self.moving_k1])

    @classmethod
    def _of(cls, parameters: Points) -> Self:
        return cls(np.append(parameters[:8], 1).reshape(3, 3), float(parameters[8]), float(parameters[9]))

    def fitted(self, points: Points, targets: Points, tolerance: float, start: float) -> Self:
        """Fit to matches of which some are wrong.

        Args:
            points: (n, 2), in the fixed image.
            targets: (n, 2), in the moving image.
            tolerance: Deviation, in the same units, from which matches hardly count.
            start: The same in the first step; it shrinks to ``tolerance``.
        """
        parameters = self._parameters
        for scale in np.geomspace(max(start, tolerance), tolerance, _STEPS):
            deviations = type(self)._of(parameters)(points) - targets
            weights = 1 / (1 + (deviations**2).sum(1) / scale**2)
            jacobian = np.stack(
                [
                    (type(self)._of(parameters + step)(points) - targets - deviations).ravel() / 1e-5
                    for step in 1e-5 * np.eye(10)
                ],
                1,
            )
            weight = np.repeat(weights**2, 2)[:, None]
            # a deviation of one unit of the prior counts as the tolerance in a hundredth of the matches
            prior = np.diag((_PRIOR * scale * 10) ** 2) * len(points) / 100 + 1e-9 * np.eye(10)
            zero = np.where(_PRIOR > 0, parameters, 0)
            gradient = (jacobian * weight).T @ deviations.ravel() + prior @ zero
            parameters = parameters - np.linalg.solve((jacobian * weight).T @ jacobian + prior, gradient)
        return type(self)._of(parameters)


@dataclass(frozen=True)
class Frame:
    """Pixel coordinates of an image, (x, y) with the centre of the first pixel at 0.

    Attributes:
        width, height: In pixels.
    """

    width: int
    height: int

    @property
    def unit(self) -> float:
        """Half diagonal in pixels."""
        return float(np.hypot(self.width, self.height)) / 2

    @property
    def _centre(self) -> Points:
        return np.array([(self.width - 1) / 2, (self.height - 1) / 2])

    def normalized(self, points: Points) -> Points:
        """Convert pixels (n, 2) to units of half the diagonal from the centre."""
        return (points - self._centre) / self.unit

    def pixels(self, points: Points) -> Points:
        """Convert back to pixels."""
        return points * self.unit + self._centre


@dataclass(frozen=True)
class Warp:
    """Map from the pixels of a fixed image to those of a moving one: `Lens`, after a smooth local shift.

    Attributes:
        lens: The map of the whole image.
        shifts: (rows, columns, 2), x and y on a grid over the image, in units of its half diagonal, that are
            added to the points of the fixed image; None for none.
    """

    lens: Lens = field(default_factory=Lens)
    shifts: Floats | None = None

    def maps(self, fixed: Frame, moving: Frame, rows: tuple[int, int] | None = None) -> tuple[Floats, Floats]:
        """Return x and y in the moving image of each pixel of the fixed one, or of some rows of it."""
        first, end = rows or (0, fixed.height)
        y, x = np.mgrid[first:end, : fixed.width]
        shape = x.shape
        points = fixed.normalized(np.stack([x.ravel(), y.ravel()], 1).astype(np.float64))
        if self.shifts is not None:
            # position in the grid, whose nodes are centres of equal parts of the image
            height, width = self.shifts.shape[:2]
            across = ((x + 0.5) * width / fixed.width - 0.5).astype(np.float32)
            down = ((y + 0.5) * height / fixed.height - 0.5).astype(np.float32)
            shifts = cv2.remap(self.shifts, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            points += shifts.reshape(-1, 2)
        found = moving.pixels(self.lens(points)).astype(np.float32)
        return found[:, 0].reshape(shape), found[:, 1].reshape(shape)

    def shrinkage(self, fixed: Frame, moving: Frame) -> float:
        """Return how many pixels of the moving image one of the fixed image is wide; 1 if less."""
        zoom = np.sqrt(abs(float(np.linalg.det(self.lens.matrix[:2, :2]))))
        return max(1.0, zoom * moving.unit / fixed.unit)

    def describe(self) -> dict[str, Any]:
        """Return the transform as plain data for a manifest."""
        return {
            "homography": [[round(float(value), 7) for value in row] for row in self.lens.matrix],
            "nir_k1": round(self.lens.fixed_k1, 6),
            "rgb_k1": round(self.lens.moving_k1, 6),
        }


def resample(
    image: Floats,
    maps: tuple[Floats, Floats],
    interpolation: int = cv2.INTER_LINEAR,
    outside: int = cv2.BORDER_CONSTANT,
) -> Floats:
    """Resample an image (h, w) or (h, w, 3) at positions; outside of it, values are 0 by default."""
    found = cv2.remap(image, *maps, interpolation, borderMode=outside, borderValue=0)
    return np.asarray(found, dtype=np.float32)
