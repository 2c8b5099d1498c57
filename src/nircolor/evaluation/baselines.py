"""Trivial colorizers that belong in every table: what a network must beat to have learnt anything.

All take NIR pictures (1, h, w), floating point in [0, 1], and give colour (3, h, w), float32 in [0, 1].
Those that learn are fitted on `(nir, rgb, valid)` as `nircolor.pairs.read_pair` gives them, one at a time.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from nircolor.arrays import Mask

Picture = NDArray[np.floating[Any]]

_BLUR_SIGMAS_PX = (1, 2, 4, 8, 16, 32)


class NirCopied:
    """The NIR band three times: a gray picture."""

    def predict(self, nir: Picture) -> NDArray[np.float32]:
        """The gray picture (3, h, w)."""
        return np.repeat(_checked(nir)[np.newaxis], 3, axis=0).astype(np.float32)


class MeanColor:
    """One colour for all pixels: the mean over the training set's valid pixels."""

    color: NDArray[np.float64]

    def fit(self, training: Iterable[tuple[Picture, Picture, Mask]]) -> Self:
        """Average the colours; ValueError where there is no valid pixel."""
        total, count = np.zeros(3), 0
        for _, rgb, valid in training:
            total += rgb[:, valid].sum(axis=1, dtype=np.float64)
            count += int(valid.sum())
        if count == 0:
            raise ValueError("expected training pictures with valid pixels, got none")
        self.color = total / count
        return self

    def predict(self, nir: Picture) -> NDArray[np.float32]:
        """The mean colour at the picture's size."""
        height, width = _checked(nir).shape
        return np.broadcast_to(self.color[:, None, None], (3, height, width)).astype(np.float32)


class LinearRidge:
    """Colour as a linear function of 36 features of each pixel, by regularised least squares.

    The features of a pixel with value n, at y and x in units of the picture's height:

    - 4 of its value: n, 1, n², √n;
    - 4 for each of six Gaussian blurs g, σ = 1, 2, 4, 8, 16, 32 px: g, g², |n - g|, and the same blur
      of (n - g)²: 24;
    - 4 of its place: y, y², x, x²;
    - 4 of the picture's mean m and standard deviation d: m, d, y·m, y·n.

    `1e-3` on the diagonal of the normal equations keeps them solvable. They are summed picture by
    picture, so that any number of training pictures fits in memory.
    """

    weights: NDArray[np.floating[Any]]

    def fit(self, training: Iterable[tuple[Picture, Picture, Mask]]) -> Self:
        """Least squares over the valid pixels; ValueError where there is none."""
        gram, moments = np.zeros((36, 36)), np.zeros((36, 3))
        for nir, rgb, valid in training:
            features = ridge_features(nir)[:, valid]
            gram += features @ features.T
            moments += features @ rgb[:, valid].T.astype(np.float64)
        if not gram.any():
            raise ValueError("expected training pictures with valid pixels, got none")
        self.weights = np.linalg.solve(gram + 1e-3 * np.eye(36), moments)
        return self

    def predict(self, nir: Picture) -> NDArray[np.float32]:
        """The linear map of the picture's features, clipped to [0, 1]."""
        rgb = np.tensordot(self.weights.T, ridge_features(nir), axes=1)
        return np.clip(rgb, 0, 1).astype(np.float32)


def ridge_features(nir: Picture) -> NDArray[np.float64]:
    """The (36, h, w) features of `LinearRidge`, in the order of its docstring."""
    n = _checked(nir)
    features = np.empty((36, *n.shape))
    for place, feature in zip(features, _features(n), strict=True):
        place[:] = feature
    return features


def _features(n: NDArray[np.float64]) -> Iterator[NDArray[np.float64] | float]:
    yield from (n, 1.0, n**2, np.sqrt(n))
    for sigma in _BLUR_SIGMAS_PX:
        blurred = _blur(n, sigma)
        yield from (blurred, blurred**2, np.abs(n - blurred), _blur((n - blurred) ** 2, sigma))
    y, x = np.indices(n.shape) / n.shape[0]
    yield from (y, y**2, x, x**2)
    mean = float(n.mean())
    yield from (mean, float(n.std()), y * mean, y * n)


def _blur(plane: NDArray[np.float64], sigma_px: float) -> NDArray[np.float64]:
    blurred: NDArray[np.float64] = gaussian_filter(plane, sigma_px, mode="reflect")
    return blurred


def _checked(nir: Picture) -> NDArray[np.float64]:
    """The one band (h, w) in float64; ValueError where it is something else."""
    if nir.ndim != 3 or nir.shape[0] != 1 or nir.size == 0:
        raise ValueError(f"nir: expected an array (1, height, width), got {nir.shape}")
    if not np.issubdtype(nir.dtype, np.floating) or not (nir.min() >= 0 and nir.max() <= 1):
        raise ValueError(
            f"nir: expected floating point in [0, 1], got {nir.dtype} {nir.min()} to {nir.max()}"
        )
    band: NDArray[np.float64] = nir[0].astype(np.float64)
    return band
