"""Where things stand in the image: a camera on a rise that looks level over flat country."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from nircolor.spectral.materials import Floats

HORIZON: Final = 0.45  # from the top, in image heights
FOCAL: Final = 1.1  # in image heights: a mild wide angle
EYE_M: Final = 6.0  # above the lake


@dataclass(frozen=True)
class View:
    """A image of `height` x `width` pixels; u and v are in image heights, u from the middle."""

    height: int
    width: int

    @property
    def v(self) -> Floats:
        """Of each row's centre, (height, 1)."""
        return ((np.arange(self.height) + 0.5) / self.height)[:, None]

    @property
    def u(self) -> Floats:
        """Of each column's centre, (1, width)."""
        return ((np.arange(self.width) + 0.5 - self.width / 2) / self.height)[None]

    @property
    def side(self) -> float:
        """Tangent of half the angle of view: `z` metres away the image reaches `side * z` either way."""
        return 0.5 * self.width / self.height / FOCAL

    def row(self, v: float) -> int:
        """The first row at or below `v`, within the image."""
        return int(np.clip(np.ceil(v * self.height - 0.5), 0, self.height))

    def project(self, points: Floats) -> Floats:
        """Pixels (column, row) of points (..., 3) in m: right of, above (the lake) and away from the eye."""
        u = FOCAL * points[..., 0] / points[..., 2]
        v = HORIZON + FOCAL * (EYE_M - points[..., 1]) / points[..., 2]
        return np.stack([u * self.height + self.width / 2, v * self.height], axis=-1) - 0.5

    def pixels_per_m(self, away_m: float) -> float:
        """The size of a metre at `away_m`."""
        return FOCAL * self.height / away_m

    def ground(self, top: int) -> tuple[Floats, Floats]:
        """Metres right of the eye, (rows, width), and away from it, (rows, 1), below row `top`."""
        away = FOCAL * EYE_M / (self.v[top:] - HORIZON)
        return self.u * away / FOCAL, away
