"""Whether images carry each other's names.

Code that pairs files by the order of a listing writes outputs under permuted names; scored by name, they lose
ten decibels that were never the method's fault.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from nircolor.arrays import Floats

_SIDE = 16
_SUSPICIOUS_DB = 3.0


def thumbnail(image: Floats) -> NDArray[np.float32]:
    """A image (3, h, w) reduced to (3 × 16 × 16,) by means over its parts."""
    rows, columns = (
        np.linspace(0, size, _SIDE + 1).astype(int) if size >= _SIDE else np.arange(size + 1)
        for size in image.shape[1:]
    )
    sums = np.add.reduceat(np.add.reduceat(image, rows[:-1], axis=1), columns[:-1], axis=2)
    small = sums / (np.diff(rows)[:, None] * np.diff(columns))
    return np.asarray(
        np.pad(small, [(0, 0), (0, _SIDE - len(rows) + 1), (0, _SIDE - len(columns) + 1)]).ravel()
    )


class Permutation(NamedTuple):
    """That another order of the predictions fits far better: by how much, and one that it moves."""

    gain_db: float
    name: str
    belongs_to: str


def find_permutation(
    names: list[str], predicted: NDArray[np.floating], target: NDArray[np.floating]
) -> Permutation | None:
    """Whether thumbnails (N, d) of predictions would fit the targets better in another order.

    The best order is found by linear assignment on squared errors. Any method's score can be raised a little
    so; None unless the mean PSNR of the thumbnails rises by 3 dB.
    """
    a, b = (values.astype(np.float64) for values in (predicted, target))
    errors = np.square(a).sum(1)[:, None] + np.square(b).sum(1) - 2 * a @ b.T
    # of two equal images rounding leaves some 1e-16
    decibels = -10 * np.log10(np.maximum(errors / a.shape[1], 1e-10))
    own, other = linear_sum_assignment(decibels, maximize=True)
    gains = decibels[own, other] - np.diag(decibels)
    if gains.mean() < _SUSPICIOUS_DB:
        return None
    most = int(gains.argmax())
    return Permutation(float(gains.mean()), names[most], names[other[most]])
