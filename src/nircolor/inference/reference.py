"""Colours from a reference: a colour image of the same view, such as the daytime image of a night camera.

The reference is registered to the near-infrared image as in `nircolor align`. Where the scene still matches,
its colours are used; elsewhere those of the model. By night, when the image is much darker than the
reference, the result has the reference's exposure: the model's colours get the transform that fits them best
to the reference where both are known.
"""

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nircolor.arrays import Array, Floats, Mask
from nircolor.errors import NircolorError, NircolorWarning
from nircolor.extras import require
from nircolor.imagery import open_raster
from nircolor.imagery.bands.converted import refuse_one_tint
from nircolor.inference.sources import ArraySource, RowSource

if TYPE_CHECKING:
    from nircolor.pairs.alignment import Frame, Registration, Warp

# columns and rows that `cv2.remap` can address
_LARGEST_SIDE = 32_766
_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)
# standard deviations of the windows, in pixels of the reduced image: of the agreement of structure, from fine
# to coarse, and of the local regressions
_WINDOWS = (5.0, 14.0, 36.0)
_REGRESSION = 24.0
# log-odds that a pixel matches: constant, agreement of structure in each of `_WINDOWS`, and residuals of the
# near-infrared image given the reference, and reversed. Fitted by logistic regression to images with objects
# pasted into either (benchmarks/reference.py), then moved by 0.5 and made steeper by half, since an object
# that shines through is worse than a colour of the model
_LOG_ODDS = (0.42, 2.75, 3.77, 5.64, -3.65, -2.90)
# differences of exposure, in factors of two, up to which that of the model is used, and from which that of
# the reference
_EXPOSURES = (0.35, 0.6)
# the colours of the reference fade out over this distance from the edge of its view, in reduced pixels
_FADE_PX = 12


class Reference:
    """A colour image of the view of a fixed camera, from which images of the camera take their colours.

    It is read once and may be used for many images, by several threads.

    Args:
        path: The colour image, of any size.

    Raises:
        NircolorError: It cannot be read, or is gray, or OpenCV is not installed (extra ``align``).
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        require("cv2", extra="align", what="--reference")
        self.path = Path(path)
        with warnings.catch_warnings():
            # it is meant to be a colour photograph
            warnings.simplefilter("ignore", NircolorWarning)
            raster = open_raster(path)
        with raster:
            if raster.bands == 1:
                raise NircolorError(f"{path}: --reference expects a colour image, got a gray one")
            if raster.bands != 3:
                raise NircolorError(
                    f"{path}: --reference expects the 3 bands of a colour image, got {raster.bands}"
                )
            if max(raster.width, raster.height) > _LARGEST_SIDE:
                raise NircolorError(
                    f"{path}: --reference expects sides of at most {_LARGEST_SIDE} px, "
                    f"got {raster.width} × {raster.height}"
                )
            values, self._valid = raster.read()
            refuse_one_tint(values[:, self._valid], path)
            top, dtype = (255, np.uint8) if raster.depth == 8 else (65535, np.uint16)
        # (h, w, 3); integers take a quarter or half of the memory
        self._colour: Array = np.rint(values.transpose(1, 2, 0) * top).astype(dtype)
        self._top = float(top)

    def transfer(
        self, source: RowSource, colorize: Callable[[ArraySource], Floats], path: Path | None = None
    ) -> "Transfer | None":
        """Match the reference with an image.

        Args:
            source: The near-infrared image.
            colorize: Returns the model's colours (3, h, w) of a reduced version of it.
            path: File of the image, for the warning.

        Returns:
            What adds the reference's colours to those of the model, or None if the images do not match.

        Warns:
            NircolorWarning: They do not match.
        """
        from nircolor.pairs.alignment.register import LARGEST_PX
        from nircolor.pairs.alignment.warp import Frame

        zoom = min(1.0, LARGEST_PX / max(source.height, source.width))
        shape = max(1, round(source.height * zoom)), max(1, round(source.width * zoom))
        nir, valid = source.reduced(*shape)
        gray = np.asarray(nir.mean(0), np.float32)
        try:
            found = self._register(gray, valid)
        except NircolorError as error:
            problem = f"{self.path} cannot be matched ({error}); the colours are the model's alone"
            warnings.warn(NircolorWarning(problem, path=path), stacklevel=2)
            return None
        reduced = Frame(shape[1], shape[0])
        moved, inside = _Warped(self, found.warp, reduced).rows(0, shape[0])
        inside &= valid
        match = _match(gray, moved, inside)
        model = colorize(ArraySource(nir, valid)).transpose(1, 2, 0)
        full = Frame(source.width, source.height)
        gain, transform = _toned(model, moved, match)
        return Transfer(_Warped(self, found.warp, full), match, gain, transform)

    def _register(self, nir: Floats, valid: Mask) -> "Registration":
        """Register the reference; at half the size where noise hides the structure of a night image."""
        from nircolor.pairs.alignment.register import LARGEST_PX, Gray, register

        gray = (self._colour @ (_LUMINANCE / np.float32(self._top))).astype(np.float32)
        fixed, moving = Gray(nir, valid), Gray(gray, self._valid).reduced(2 * LARGEST_PX)
        try:
            return register(fixed, moving)
        except NircolorError as error:
            try:
                return register(fixed.reduced(LARGEST_PX // 2), moving)
            except NircolorError:
                raise error from None


def open_reference(reference: str | os.PathLike[str] | Reference) -> Reference:
    """Return a reference, which is read where a path is given."""
    return reference if isinstance(reference, Reference) else Reference(reference)


def check_reference(reference: object, confidence: bool) -> None:
    """Raise `NircolorError` where the confidence is asked for: it is that of the model's colours."""
    if reference is not None and confidence:
        raise NircolorError("expected either --reference or --confidence, got both")


class _Warped:
    """A reference at the pixels of an image.

    Args:
        reference: The reference.
        warp: From the image to the reference.
        frame: Size of the image.
    """

    def __init__(self, reference: Reference, warp: "Warp", frame: "Frame") -> None:
        import cv2

        from nircolor.pairs.alignment.warp import Frame

        self._warp, self.frame, self._top = warp, frame, reference._top
        self._colour, self._valid = reference._colour, reference._valid.astype(np.uint8)
        height, width = self._valid.shape
        shrinkage = warp.shrinkage(frame, Frame(width, height))
        if shrinkage > 1.2:
            # means of pixels, so that resampling does not skip any
            size = max(1, round(width / shrinkage)), max(1, round(height / shrinkage))
            self._colour = cv2.resize(self._colour, size, interpolation=cv2.INTER_AREA)
            self._valid = cv2.resize(self._valid, size, interpolation=cv2.INTER_NEAREST)

    def rows(self, first: int, end: int) -> tuple[Floats, Mask]:
        """Return the colours (rows, width, 3) in [0, 1] of some rows, and where there are any."""
        import cv2

        from nircolor.pairs.alignment.warp import Frame, resample

        height, width = self._valid.shape
        maps = self._warp.maps(self.frame, Frame(width, height), (first, end))
        colour = resample(self._colour, maps, cv2.INTER_CUBIC, cv2.BORDER_REPLICATE)
        inside = resample(self._valid.astype(np.float32), maps) > 0.99
        return np.clip(colour / self._top, 0, 1), inside


@dataclass(frozen=True)
class Transfer:
    """Adds the colours of a reference to those of the model, in strips of rows.

    Attributes:
        reference: The reference at the pixels of the image.
        match: Weight of the reference, (h, w) in [0, 1], of the reduced image.
        gain: Factor on the reference.
        transform: (4, 3), from the model's colour and 1 to the colour that is used where nothing matches.
    """

    reference: _Warped
    match: Floats
    gain: float
    transform: Floats

    def apply(self, colour: Floats, top: int) -> None:
        """Change the model's colours (3, rows, width), from row ``top`` on, in place."""
        from nircolor.pairs.alignment.warp import resample

        rows, width = colour.shape[1:]
        frame = self.reference.frame
        y, x = np.mgrid[top : top + rows, :width].astype(np.float32)
        height, across = self.match.shape
        places = (x + 0.5) * (across / width) - 0.5, (y + 0.5) * (height / frame.height) - 0.5
        bounds = across - 1, height - 1
        places = tuple(np.clip(axis, 0, end) for axis, end in zip(places, bounds, strict=True))
        weight = resample(self.match, places)[None]
        moved = self.reference.rows(top, top + rows)[0].transpose(2, 0, 1)
        model = np.einsum("chw,cd->dhw", colour, self.transform[:3]) + self.transform[3][:, None, None]
        np.clip(weight * np.minimum(self.gain * moved, 1) + (1 - weight) * model, 0, 1, out=colour)


def _blur(image: Floats, sigma: float) -> Floats:
    import cv2

    blurred = cv2.GaussianBlur(np.ascontiguousarray(image, np.float32), (0, 0), sigma)
    return np.asarray(blurred, np.float32)


def _match(nir: Floats, reference: Floats, inside: Mask) -> Floats:
    """Return how certainly the pixels of both images show the same: (h, w) in [0, 1].

    An object in one of the images has edges that the other lacks. Where there are none, local regressions
    tell it: its near-infrared values do not follow from the reference's colours as those around it do, or
    the reference's brightness does not follow from the near-infrared values.
    """
    import cv2

    from nircolor.pairs.alignment.structure import equalized, structure_of

    grays = equalized(nir, inside), equalized(reference @ _LUMINANCE, inside)
    one, other = (structure_of(gray, inside, 1.5) for gray in grays)
    product, energies = (one * other.conj()).real, (np.abs(one) ** 2, np.abs(other) ** 2)
    agreements: list[Floats] = []
    for sigma in _WINDOWS:
        energy = np.maximum(_blur(energies[0], sigma), _blur(energies[1], sigma))
        agreements.append(np.asarray(_blur(product, sigma) / (energy + 0.01), np.float32))
    weight = inside * np.clip((agreements[1] - 0.1) / 0.3, 0, 1) + 1e-3 * inside
    smooth, colours = _blur(grays[0], 2), _blur(reference, 2)
    residuals = [
        _relative(_residual(smooth, list(colours.transpose(2, 0, 1)), weight), inside),
        _relative(_residual(colours @ _LUMINANCE, [smooth], weight), inside),
    ]
    odds = np.full(nir.shape, _LOG_ODDS[0], np.float32)
    terms: list[Floats] = [*agreements, *residuals]
    for factor, term in zip(_LOG_ODDS[1:], terms, strict=True):
        odds += np.float32(factor) * term
    certainty = np.asarray(1 / (1 + np.exp(-odds)), np.float32)
    edge = np.pad(inside.astype(np.uint8), 1)
    distance = cv2.distanceTransform(edge, cv2.DIST_L2, 3)[1:-1, 1:-1]
    return np.asarray(np.clip(distance / _FADE_PX, 0, 1) * _blur(certainty, 1.5), np.float32)


def _residual(target: Floats, predictors: list[Floats], weight: Floats) -> Floats:
    """Return what of an image (h, w) does not follow from others by a linear regression around each pixel."""
    total = _blur(weight, _REGRESSION) + 1e-4

    def mean(image: Floats) -> Floats:
        return _blur(weight * image, _REGRESSION) / total

    means, target_mean = [mean(one) for one in predictors], mean(target)
    count = len(predictors)
    covariance = np.empty((*target.shape, count, count), np.float32)
    shared = np.empty((*target.shape, count, 1), np.float32)
    for i, one in enumerate(predictors):
        shared[..., i, 0] = mean(one * target) - means[i] * target_mean
        for j in range(i, count):
            between = mean(one * predictors[j]) - means[i] * means[j]
            covariance[..., i, j] = covariance[..., j, i] = between
        covariance[..., i, i] += 1e-3
    factors = np.linalg.solve(covariance, shared)[..., 0]
    explained = sum(factors[..., i] * (one - means[i]) for i, one in enumerate(predictors))
    return np.asarray(target - target_mean - explained, np.float32)


def _relative(residual: Floats, inside: Mask) -> Floats:
    """Return the size of a residual relative to its median, at most 3, as the log-odds were fitted."""
    size = np.abs(_blur(residual, 2))
    median = float(np.median(size[inside])) if inside.any() else 0.0
    return _blur(np.asarray(np.minimum(size / (median + 0.003), 12) / 4, np.float32), 6)


def _toned(model: Floats, reference: Floats, weight: Floats) -> tuple[float, Floats]:
    """Return the gain of the reference, and the transform of the model's colours, at which both agree.

    Up to a difference of `_EXPOSURES`, the exposure is that of the model's colours, which estimate that of
    the image. Beyond, by night, it is that of the reference, and the model's colours are brought to it.
    """
    seen, wanted = (float((weight * (one @ _LUMINANCE)).sum()) + 1e-6 for one in (model, reference))
    gain = seen / wanted
    near, far = _EXPOSURES
    night = float(np.clip((abs(np.log2(gain)) - near) / (far - near), 0, 1))
    transform = night * _colour_transform(model, reference, weight) + (1 - night) * np.eye(4, 3)
    return gain ** (1 - night), transform.astype(np.float32)


def _colour_transform(model: Floats, reference: Floats, weight: Floats) -> Floats:
    """Fit the affine transform (4, 3) from the model's colours to the reference's, close to none."""
    colours = np.concatenate([model, np.ones_like(model[..., :1])], 2).reshape(-1, 4).astype(np.float64)
    weights = weight.reshape(-1, 1).astype(np.float64)
    total = weights.sum() + 1
    prior = np.diag([0.02, 0.02, 0.02, 0.005])
    unchanged = np.eye(4, 3)
    left = (colours * weights).T @ colours / total + prior
    right = (colours * weights).T @ reference.reshape(-1, 3) / total + prior @ unchanged
    return np.linalg.solve(left, right).astype(np.float32)
