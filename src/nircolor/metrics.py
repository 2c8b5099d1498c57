"""Metrics that compare a predicted colour image with the true one.

All functions take ``predicted`` and ``target``, colour images (3, h, w), floating point in [0, 1], and
optionally ``valid`` (h, w), boolean: the values of pixels where it is False have no influence. Images are not
stretched or rescaled, so that scores can be compared between images and papers. Each function raises
ValueError if shapes differ, an image is not floating point, a valid value is NaN or outside [0, 1], or no
pixel is valid.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import structural_similarity

from nircolor.arrays import Mask

Image = NDArray[np.floating[Any]]

_SSIM_WINDOW = 11
# luma weights of ITU-R BT.601, rounded to four digits as in other code of the field
RGB_TO_GRAY = np.array([0.2989, 0.5870, 0.1140])


def psnr(predicted: Image, target: Image, valid: Mask | None = None) -> float:
    """Peak signal-to-noise ratio in dB, from one mean squared error over all three channels; peak 1.

    Higher is better; infinite for identical images. The score of a set is the mean of the PSNR over images,
    not the PSNR of the mean error.

    >>> round(psnr(np.full((3, 4, 4), 0.5), np.full((3, 4, 4), 0.6)), 3)
    20.0

    References: as in the structure-aware paper (Park et al.) and the NIR-GNN paper (Valsesia et al.).
    """
    a, b, valid = _checked(predicted, target, valid)
    error = float(np.square(a - b).sum() / (3 * valid.sum()))
    return float("inf") if error == 0 else float(-10 * np.log10(error))


def ssim(predicted: Image, target: Image, valid: Mask | None = None) -> float:
    """Structural similarity, at most 1 (identical): the Gaussian variant, mean of the three channels.

    Window 11 × 11 with σ = 1.5, K = 0.01 and 0.03, data range 1, population covariance. The mean is
    over the windows that lie inside the image; with ``valid``, over those centred on a valid pixel,
    both images being black outside ``valid``. Raises ValueError also for a side below 11 px, and
    where no window is left.

    >>> ramp = np.linspace(0, 1, 16 * 16 * 3).reshape(3, 16, 16)
    >>> ssim(ramp, ramp)
    1.0
    >>> ssim(1 - ramp, ramp) < 0.5
    True

    References: Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to
    structural similarity", IEEE TIP 13(4), 2004.
    """
    a, b, valid = _checked(predicted, target, valid)
    if min(valid.shape) < _SSIM_WINDOW:
        raise ValueError(f"SSIM: expected images of at least 11 × 11 px, got {a.shape}")
    _, similarity = structural_similarity(  # type: ignore[no-untyped-call]
        a,
        b,
        channel_axis=0,
        data_range=1.0,
        gaussian_weights=True,
        sigma=1.5,
        win_size=_SSIM_WINDOW,
        use_sample_covariance=False,
        full=True,
    )
    inside = (slice(_SSIM_WINDOW // 2, -(_SSIM_WINDOW // 2)),) * 2
    if not valid[inside].any():
        raise ValueError("SSIM: expected a valid pixel at least 5 px from the border, got none")
    return float(similarity[:, *inside][:, valid[inside]].mean())


def angular_error_deg(predicted: Image, target: Image, valid: Mask | None = None) -> float:
    """Angle between the predicted and the true RGB vector in degrees, 0 to 90, mean over the pixels.

    Lower is better. It depends on hue and saturation, not on brightness. A pixel that is black in both
    images counts 0, one that is black in one image only counts 90.

    >>> red, yellow = np.zeros((3, 4, 4)), np.zeros((3, 4, 4))
    >>> red[0] = 1; yellow[:2] = 0.5
    >>> round(angular_error_deg(yellow, red), 3)
    45.0

    References: AE of the structure-aware paper (Park et al.). The atan2 form is
    exactly 0 for identical images, where arccos of the normalized product gives 0.11° or, on black
    pixels, NaN.
    """
    a, b, valid = _checked(predicted, target, valid)
    cross = np.sqrt(
        np.square(a[1] * b[2] - a[2] * b[1])
        + np.square(a[2] * b[0] - a[0] * b[2])
        + np.square(a[0] * b[1] - a[1] * b[0])
    )
    angle = np.degrees(np.arctan2(cross, (a * b).sum(axis=0)))
    angle[a.any(axis=0) != b.any(axis=0)] = 90
    return float(angle[valid].mean())


def angular_error_whole_image_rad(predicted: Image, target: Image, valid: Mask | None = None) -> float:
    """Angle between the two images, each read as one vector of 3·h·w values, in radians, 0 to π/2.

    Lower is better. It does not depend on the overall brightness of an image. The angle between two black
    images is 0, between a black image and another π/2.

    >>> target = np.zeros((3, 4, 4))
    >>> target[0] = 1
    >>> round(angular_error_whole_image_rad(np.full((3, 4, 4), 0.5), target), 4)
    0.9553

    References: angular error of the NIR-GNN paper (Valsesia et al.). W. Kahan's formula for half angles
    is accurate for small angles.
    """
    a, b, _ = _checked(predicted, target, valid)
    norm_a, norm_b = np.linalg.norm(a), np.linalg.norm(b)
    if (norm_a == 0) != (norm_b == 0):
        return float(np.pi / 2)
    a, b = a * norm_b, b * norm_a
    return float(2 * np.arctan2(np.linalg.norm(a - b), np.linalg.norm(a + b)))


def delta_e2000(predicted: Image, target: Image, valid: Mask | None = None) -> float:
    """CIEDE2000 colour difference, mean over the pixels; both images are read as sRGB (D65).

    Lower is better: 0 for identical images, about 1 for a just noticeable difference, 100 from
    black to white. Unlike the angular error, it includes brightness and is perceptually weighted.

    >>> round(delta_e2000(np.zeros((3, 4, 4)), np.ones((3, 4, 4))), 3)
    100.0

    References: Sharma, Wu, Dalal, "The CIEDE2000 color-difference formula: implementation notes,
    supplementary test data, and mathematical observations", Color Research & Application 30(1), 2005.
    """
    difference = delta_e2000_map(predicted, target, valid)
    return float(difference[~np.isnan(difference)].mean())


def delta_e2000_map(predicted: Image, target: Image, valid: Mask | None = None) -> NDArray[np.float64]:
    """Compute the CIEDE2000 difference of each pixel, (h, w); NaN where a pixel is not valid."""
    a, b, valid = _checked(predicted, target, valid)
    lab_a, lab_b = (rgb2lab(image, channel_axis=0) for image in (a, b))
    difference = deltaE_ciede2000(lab_a, lab_b, channel_axis=0)  # type: ignore[no-untyped-call]
    return np.where(valid, difference, np.nan)


def gradient_energy_ratio(predicted: Image, target: Image, valid: Mask | None = None) -> float:
    """Sharpness: gradient energy of the predicted gray image, divided by that of the true one.

    1: as sharp as the true image; below 1: blurrier; above 1: sharper or noisier. Whether the edges are in
    the right places does not matter. The energy is the mean square of Sobel's gradients, over the pixels
    whose 3 × 3 neighbours lie inside the image and are valid. If the true image is flat, the
    ratio is 1 for a flat prediction and infinite for any other; the median is therefore the statistic to
    report over images. Raises ValueError also where no pixel has all its neighbours.

    >>> ramp = np.tile(np.linspace(0, 1, 8), (3, 8, 1))
    >>> round(gradient_energy_ratio(0.5 * ramp, ramp), 6)
    0.25

    References: the Tenengrad measure of focus; Krotkov, "Focusing", International Journal of Computer
    Vision 1, 1988.
    """
    a, b, valid = _checked(predicted, target, valid)
    inside = _with_neighbours(valid)
    if not inside.any():
        raise ValueError("gradients: expected a valid pixel with 8 valid neighbours, got none")
    return _ratio(_gradient_energy(a, inside), _gradient_energy(b, inside))


def colourfulness_ratio(predicted: Image, target: Image, valid: Mask | None = None) -> float:
    """Colourfulness of the predicted image, divided by that of the true one.

    1: as colourful as the true image; below 1: duller. Whether the hues are right does not matter.
    Colourfulness is σ + 0.3 μ, where σ is the norm of the vector of the standard deviations of R - G and
    (R + G) / 2 - B, and μ the norm of the vector of their means. If the true image is gray, the ratio is 1
    for a gray prediction and infinite for any other; the median is therefore the statistic to report over
    images.

    >>> target = np.linspace(0, 1, 48).reshape(3, 4, 4)
    >>> gray = target.mean(axis=0)
    >>> round(colourfulness_ratio(gray + 0.5 * (target - gray), target), 6)
    0.5

    References: Hasler and Süsstrunk, "Measuring colorfulness in natural images", SPIE Human Vision and
    Electronic Imaging VIII, 2003.
    """
    a, b, valid = _checked(predicted, target, valid)
    return _ratio(_colourfulness(a[:, valid]), _colourfulness(b[:, valid]))


def _gradient_energy(image: NDArray[np.float64], inside: Mask) -> float:
    # a matrix product may round equal pixels differently, but a flat image must stay flat
    gray = (RGB_TO_GRAY[:, None, None] * image).sum(axis=0)
    across = gray[:, 2:] - gray[:, :-2]
    down = gray[2:] - gray[:-2]
    across = across[:-2] + 2 * across[1:-1] + across[2:]
    down = down[:, :-2] + 2 * down[:, 1:-1] + down[:, 2:]
    return float((np.square(across) + np.square(down))[inside].mean())


def _with_neighbours(valid: Mask) -> Mask:
    """Return which pixels, without the outermost ones, are valid together with their 8 neighbours."""
    columns = valid[:, :-2] & valid[:, 1:-1] & valid[:, 2:]
    return np.asarray(columns[:-2] & columns[1:-1] & columns[2:])


def _colourfulness(pixels: NDArray[np.float64]) -> float:
    red, green, blue = pixels
    opponents = np.stack([red - green, (red + green) / 2 - blue])
    return float(np.linalg.norm(opponents.std(axis=1)) + 0.3 * np.linalg.norm(opponents.mean(axis=1)))


def _ratio(predicted: float, target: float) -> float:
    if target == 0:
        return 1.0 if predicted == 0 else float("inf")
    return predicted / target


def _checked(
    predicted: Image, target: Image, valid: Mask | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], Mask]:
    """Check both images, convert them to float64 and set invalid pixels to 0; return them and the mask."""
    for name, image in (("predicted", predicted), ("target", target)):
        if image.ndim != 3 or image.shape[0] != 3 or image.size == 0:
            raise ValueError(f"{name}: expected an array (3, height, width), got {image.shape}")
        if not np.issubdtype(image.dtype, np.floating):
            # integers wrap around when subtracted, and their range is unknown
            raise ValueError(f"{name}: expected floating point in [0, 1], got {image.dtype}")
    if predicted.shape != target.shape:
        raise ValueError(f"expected two images of one shape, got {predicted.shape} and {target.shape}")

    if valid is None:
        valid = np.ones(target.shape[1:], dtype=bool)
    if valid.shape != target.shape[1:] or valid.dtype != bool:
        raise ValueError(f"valid: expected bool {target.shape[1:]}, got {valid.dtype} {valid.shape}")
    if not valid.any():
        raise ValueError("valid: expected at least one valid pixel, got none")

    a = np.where(valid, predicted, 0).astype(np.float64)
    b = np.where(valid, target, 0).astype(np.float64)
    for name, image in (("predicted", a), ("target", b)):
        low, high = image.min(), image.max()
        # with a NaN, both extremes are NaN and the comparison is false
        if not (low >= 0 and high <= 1):
            raise ValueError(f"{name}: expected values in [0, 1], got {low} to {high}")
    return a, b, valid
