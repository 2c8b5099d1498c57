"""Baselines: trivial colorizers, to which trained networks are compared.

All take NIR images (bands, h, w), floating point in [0, 1], and return colour (3, h, w), float32 in [0, 1].
Fitted baselines are linear maps of the features of a pixel. They are fitted from sums over the pixels of each
image (`Moments`), which can be added and subtracted. Fitting on all images except one therefore takes hardly
longer than fitting on all.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from nircolor.arrays import Floats, Mask
from nircolor.errors import NircolorError
from nircolor.evaluation.methods import MethodRun
from nircolor.metrics import RGB_TO_GRAY
from nircolor.pairs import Pair
from nircolor.pairs.pair import Bands, PairImages, read_images

Nir = NDArray[np.floating[Any]]
Features = NDArray[np.float64]

_BLUR_SIGMAS_PX = (1, 2, 4, 8, 16, 32)
_MEAN = "mean colour"
_COPIED = "the NIR band in all three channels; of several bands, their mean"
# with the gray image as input, this is reference [16] of the structure-aware paper (Park et al.): Fu, Jung,
# Su, "Color Recovery from Multi-Spectral NIR Images Using Gray Information", ACM Multimedia Asia 2019
_GIVEN_GRAY = "transfer matrix given gray"


class Moments(NamedTuple):
    """Sums of products over pixels: of features with features (k, k), and with colours (k, 3)."""

    features: NDArray[np.float64]
    colors: NDArray[np.float64]

    def __add__(self, other: object) -> "Moments":
        if not isinstance(other, Moments):
            return NotImplemented
        return Moments(self.features + other.features, self.colors + other.colors)

    def __sub__(self, other: "Moments") -> "Moments":
        return Moments(self.features - other.features, self.colors - other.colors)


class NirCopied:
    """Baseline that returns a gray image: the mean of the NIR bands in all three channels."""

    def predict(self, nir: Nir) -> Floats:
        """Return the gray image (3, h, w)."""
        gray = _checked(nir).mean(axis=0, keepdims=True)
        return np.repeat(gray, 3, axis=0).astype(np.float32)


class LinearMap:
    """Baseline that computes colour as a linear function of the features of a pixel, fitted by least squares.

    Args:
        features: Computes the features (k, h, w) of a NIR image.
        regularisation: Added to the diagonal of the normal equations.
    """

    weights: NDArray[np.float64]

    def __init__(self, features: Callable[[Nir], Features], regularisation: float = 0.0) -> None:
        self._features, self._regularisation = features, regularisation

    def moments(self, nir: Nir, rgb: Floats, valid: Mask) -> Moments:
        """Compute the sums over the valid pixels of one image, as read by `nircolor.pairs.read_pair`."""
        features = self._features(nir)[:, valid]
        return Moments(features @ features.T, features @ rgb[:, valid].T.astype(np.float64))

    def solve(self, moments: Moments) -> Self:
        """Compute the weights from the sums over all training images."""
        gram = moments.features + self._regularisation * np.eye(len(moments.features))
        # lstsq, because dependent features, such as two equal bands, make the equations singular
        self.weights = np.linalg.lstsq(gram, moments.colors)[0].astype(np.float64)
        return self

    def fit(self, training: Iterable[tuple[Nir, Floats, Mask]]) -> Self:
        """Fit on images; ValueError if they have no valid pixel."""
        sums = [self.moments(nir, rgb, valid) for nir, rgb, valid in training if valid.any()]
        if not sums:
            raise ValueError("expected training images with valid pixels, got none")
        return self.solve(sum(sums[1:], sums[0]))

    def predict(self, nir: Nir) -> Floats:
        """Colorize an image; the result is clipped to [0, 1]."""
        rgb = np.tensordot(self.weights.T, self._features(nir), axes=1)
        return np.clip(rgb, 0, 1).astype(np.float32)


def mean_color() -> LinearMap:
    """Create the baseline that gives all pixels one colour: the mean over the training pixels."""
    return LinearMap(lambda nir: np.ones((1, *_checked(nir).shape[1:])))


def transfer_matrix() -> LinearMap:
    """Create the baseline that multiplies the NIR of a pixel by a matrix (3, bands)."""
    return LinearMap(_checked)


def linear_ridge() -> LinearMap:
    """Create the baseline that is linear in the 36 `ridge_features` of a pixel (31 more per further band)."""
    return LinearMap(ridge_features, regularisation=1e-3)


def ridge_features(nir: Nir) -> Features:
    """Compute features of each pixel, (5 + 31 bands, h, w).

    - 5 of its position, y and x in units of the height of the image: 1, y, y², x, x²;
    - for each band with value n, 3 of the value: n, n², √n;
    - 4 of each of six Gaussian blurs g, σ = 1, 2, 4, 8, 16, 32 px: g, g², |n - g|, and the same blur
      of (n - g)²;
    - 4 of the mean m and standard deviation d of the image: m, d, y·m, y·n.
    """
    bands = _checked(nir)
    features = np.empty((5 + 31 * len(bands), *bands.shape[1:]))
    y, x = np.indices(bands.shape[1:]) / bands.shape[1]
    values = (*_position_features(y, x), *(value for n in bands for value in _band_features(n, y)))
    for feature, value in zip(features, values, strict=True):
        feature[:] = value
    return features


def _position_features(y: Features, x: Features) -> tuple[Features | float, ...]:
    return 1.0, y, y**2, x, x**2


def _band_features(n: Features, y: Features) -> Iterator[Features | float]:
    yield from (n, n**2, np.sqrt(n))
    for sigma in _BLUR_SIGMAS_PX:
        blurred = _blur(n, sigma)
        yield from (blurred, blurred**2, np.abs(n - blurred), _blur((n - blurred) ** 2, sigma))
    mean = float(n.mean())
    yield from (mean, float(n.std()), y * mean, y * n)


def _blur(plane: Features, sigma_px: float) -> Features:
    blurred: Features = gaussian_filter(plane, sigma_px, mode="reflect")
    return blurred


def _checked(nir: Nir) -> Features:
    """Convert the bands to float64; ValueError for wrong shapes, types or ranges."""
    if nir.ndim != 3 or nir.size == 0:
        raise ValueError(f"nir: expected an array (bands, height, width), got {nir.shape}")
    if not np.issubdtype(nir.dtype, np.floating) or not (nir.min() >= 0 and nir.max() <= 1):
        raise ValueError(
            f"nir: expected floating point in [0, 1], got {nir.dtype} {nir.min()} to {nir.max()}"
        )
    return nir.astype(np.float64)


def distinct_bands(methods: Iterable[MethodRun], set_bands: Bands, pairs: Sequence[Pair]) -> list[Bands]:
    """List the distinct NIR bands that the methods take; ``set_bands`` if no method names any.

    Bands that read the same values from a pair count once. For example, any single band reads the same values
    from an image of one band without wavelength.

    Args:
        methods: Methods.
        set_bands: NIR bands that the set names, if any.
        pairs: Evaluated pairs.

    Raises:
        NircolorError: No pair has these bands.
    """
    wanted: list[Bands] = list(dict.fromkeys(one.bands for one in methods if one.bands is not None))
    if len(wanted) <= 1:
        return wanted or [set_bands]
    for pair in pairs:
        try:
            images = read_images(pair, wanted)
        # scoring reports the error
        except NircolorError as error:
            unreadable = error
            continue
        different: dict[bytes, Bands] = {}
        for bands, bands_images in zip(wanted, images, strict=True):
            different.setdefault(bands_images.nir.tobytes(), bands)
        return list(different.values())
    raise unreadable


def fitted_baselines(
    pairs: Sequence[Pair],
    training: Sequence[Pair],
    bands: Sequence[Bands],
    *,
    given_gray: bool = False,
    also_read: Bands = None,
    on_read: Callable[[Pair, PairImages], None] | None = None,
) -> list[MethodRun]:
    """Fit the trivial colorizers for each choice of bands.

    They are fitted on ``training``. If it is empty, they are fitted for each evaluated image on the evaluated
    pairs of all other places; if there is only one place, baselines that need fitting are left out.

    Args:
        pairs: Evaluated pairs.
        training: Training pairs.
        bands: Choices of NIR bands.
        given_gray: Add a baseline that takes the gray version of the true image in addition to the bands. It
            uses information that no other method has.
        also_read: NIR bands to read for ``on_read``.
        on_read: Called with each pair that has been read, and its images of the bands ``also_read``.

    Raises:
        NircolorError: A training pair cannot be read.
    """
    learners = {choice: _learners(choice, bands, given_gray) for choice in bands}
    choices = [*bands, *([] if on_read is None else [also_read])]
    for pair in training or pairs:
        try:
            found = read_images(pair, choices)
        except NircolorError:
            if training:
                raise
            # scoring reports the error
            continue
        for choice, images in zip(bands, found, strict=False):
            for one in learners[choice]:
                one.add(None if training else pair.place, images)
        if on_read is not None:
            on_read(pair, found[-1])
    origin = (
        f"fitted on {len(training)} training pairs"
        if training
        else "fitted, for each image, on the set's images of all other places"
    )
    fitted: list[MethodRun] = []
    for choice in bands:
        fitted.append(MethodRun(f"NIR copied{_suffix(choice, bands)}", "baseline", _COPIED, _copied, choice))
        fitted += [
            MethodRun(one.label, "baseline", origin, one.predict, choice)
            for one in learners[choice]
            if one.is_fitted
        ]
    return fitted


def _suffix(choice: Bands, bands: Sequence[Bands]) -> str:
    return f", {'/'.join(f'{band.center_nm:g}' for band in choice)} nm" if choice and bands[1:] else ""


def _learners(choice: Bands, bands: Sequence[Bands], given_gray: bool) -> "list[_Learner]":
    suffix = _suffix(choice, bands)
    learners = [
        _Learner("transfer matrix" + suffix, transfer_matrix()),
        _Learner("linear ridge" + suffix, linear_ridge()),
    ]
    if given_gray:
        learners.append(_Learner(_GIVEN_GRAY + suffix, transfer_matrix(), given_gray=True))
    # the mean colour does not depend on the bands
    return [_Learner(_MEAN, mean_color()), *learners] if choice == bands[0] else learners


def _copied(_pair: Pair, images: PairImages) -> Floats:
    return NirCopied().predict(images.nir)


@dataclass
class _Learner:
    """Linear map that colorizes each image after fitting on all other places; place None: training pairs."""

    label: str
    linear: LinearMap
    given_gray: bool = False
    sums: dict[str | None, Moments] = field(default_factory=dict)
    total: Moments | None = None

    def add(self, place: str | None, images: PairImages) -> None:
        moments = self.linear.moments(self._input(images), images.rgb, images.valid)
        self.sums[place] = self.sums[place] + moments if place in self.sums else moments
        self.total = moments if self.total is None else self.total + moments

    @property
    def is_fitted(self) -> bool:
        return None in self.sums or len(self.sums) > 1

    def predict(self, pair: Pair, images: PairImages) -> Floats:
        assert self.total is not None
        own = self.sums.get(pair.place)
        linear = self.linear.solve(self.total if own is None else self.total - own)
        return linear.predict(self._input(images))

    def _input(self, images: PairImages) -> Floats:
        if not self.given_gray:
            return images.nir
        gray = np.tensordot(RGB_TO_GRAY.astype(np.float32)[None], images.rgb, 1)
        return np.concatenate([images.nir, gray])
