"""Trivial colorizers that belong in every table: what a network must beat to have learnt anything.

All take NIR images (bands, h, w), floating point in [0, 1], and give colour (3, h, w), float32 in [0, 1].
Those that learn are linear maps of features of a pixel. What they learn from a image are sums over its
pixels (`Moments`), which add up over any number of images and can be taken away again: so each image
can be coloured by what the others taught, at no further cost.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from nircolor.arrays import Floats, Mask

Image = NDArray[np.floating[Any]]
Features = NDArray[np.float64]

_BLUR_SIGMAS_PX = (1, 2, 4, 8, 16, 32)


class Moments(NamedTuple):
    """Sums over pixels of products: feature by feature (k, k), and feature by colour (k, 3)."""

    features: NDArray[np.float64]
    colors: NDArray[np.float64]

    def __add__(self, other: object) -> "Moments":
        if not isinstance(other, Moments):
            return NotImplemented
        return Moments(self.features + other.features, self.colors + other.colors)

    def __sub__(self, other: "Moments") -> "Moments":
        return Moments(self.features - other.features, self.colors - other.colors)


class NirCopied:
    """The NIR three times, of several bands their mean: a gray image."""

    def predict(self, nir: Image) -> Floats:
        """The gray image (3, h, w)."""
        gray = _checked(nir).mean(axis=0, keepdims=True)
        return np.repeat(gray, 3, axis=0).astype(np.float32)


class LinearMap:
    """Colour as a linear function of features of a pixel, by least squares over the valid pixels.

    Args:
        features: of a image, (k, h, w).
        regularisation: on the diagonal of the normal equations.
    """

    weights: NDArray[np.float64]

    def __init__(self, features: Callable[[Image], Features], regularisation: float = 0.0) -> None:
        self._features, self._regularisation = features, regularisation

    def moments(self, nir: Image, rgb: Image, valid: Mask) -> Moments:
        """What one image teaches, as `nircolor.pairs.read_pair` gives it."""
        features = self._features(nir)[:, valid]
        return Moments(features @ features.T, features @ rgb[:, valid].T.astype(np.float64))

    def solve(self, moments: Moments) -> Self:
        """Take the weights from the sums over all training images."""
        gram = moments.features + self._regularisation * np.eye(len(moments.features))
        # features that depend on each other, such as two equal bands, have more than one best answer
        self.weights = np.linalg.lstsq(gram, moments.colors)[0].astype(np.float64)
        return self

    def fit(self, training: Iterable[tuple[Image, Image, Mask]]) -> Self:
        """Learn from images, one at a time; ValueError where there is no valid pixel."""
        taught = [self.moments(nir, rgb, valid) for nir, rgb, valid in training if valid.any()]
        if not taught:
            raise ValueError("expected training images with valid pixels, got none")
        return self.solve(sum(taught[1:], taught[0]))

    def predict(self, nir: Image) -> Floats:
        """The linear map of the image's features, clipped to [0, 1]."""
        rgb = np.tensordot(self.weights.T, self._features(nir), axes=1)
        return np.clip(rgb, 0, 1).astype(np.float32)


def mean_color() -> LinearMap:
    """One colour for all pixels: the mean over the training set's."""
    return LinearMap(lambda nir: np.ones((1, *_checked(nir).shape[1:])))


def transfer_matrix() -> LinearMap:
    """A matrix (3, bands) from a pixel's NIR to its colour: the structure-aware paper's reference [16]."""
    return LinearMap(_checked)


def linear_ridge() -> LinearMap:
    """A linear function of 36 features of a pixel (31 more for each further band): `ridge_features`."""
    return LinearMap(ridge_features, regularisation=1e-3)


def ridge_features(nir: Image) -> Features:
    """Features of each pixel, (5 + 31 bands, h, w).

    - 5 of its place, y and x in units of the image's height: 1, y, y², x, x²;
    - for each band with value n 3 of the value: n, n², √n;
    - 4 for each of six Gaussian blurs g, σ = 1, 2, 4, 8, 16, 32 px: g, g², |n - g|, and the same blur
      of (n - g)²;
    - 4 of the image's mean m and standard deviation d: m, d, y·m, y·n.
    """
    bands = _checked(nir)
    features = np.empty((5 + 31 * len(bands), *bands.shape[1:]))
    y, x = np.indices(bands.shape[1:]) / bands.shape[1]
    values = (*_of_place(y, x), *(value for n in bands for value in _of_band(n, y)))
    for place, value in zip(features, values, strict=True):
        place[:] = value
    return features


def _of_place(y: Features, x: Features) -> tuple[Features | float, ...]:
    return 1.0, y, y**2, x, x**2


def _of_band(n: Features, y: Features) -> Iterator[Features | float]:
    yield from (n, n**2, np.sqrt(n))
    for sigma in _BLUR_SIGMAS_PX:
        blurred = _blur(n, sigma)
        yield from (blurred, blurred**2, np.abs(n - blurred), _blur((n - blurred) ** 2, sigma))
    mean = float(n.mean())
    yield from (mean, float(n.std()), y * mean, y * n)


def _blur(plane: Features, sigma_px: float) -> Features:
    blurred: Features = gaussian_filter(plane, sigma_px, mode="reflect")
    return blurred


def _checked(nir: Image) -> Features:
    """The bands in float64; ValueError where they are something else."""
    if nir.ndim != 3 or nir.size == 0:
        raise ValueError(f"nir: expected an array (bands, height, width), got {nir.shape}")
    if not np.issubdtype(nir.dtype, np.floating) or not (nir.min() >= 0 and nir.max() <= 1):
        raise ValueError(
            f"nir: expected floating point in [0, 1], got {nir.dtype} {nir.min()} to {nir.max()}"
        )
    return nir.astype(np.float64)
