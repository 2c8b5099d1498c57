"""Normalized cross-correlation of the texture of images, at the shift where they match best.

Source: Lewis, "Fast normalized cross-correlation", Vision Interface 1995. The correlation at all shifts is
computed by Fourier transforms, the energy in the overlap from running sums. The input is texture
(`texture_of`), whose mean is near zero everywhere; the mean of the overlap is therefore not subtracted.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.ndimage import gaussian_filter
from skimage.transform import resize

from nircolor.arrays import Floats

# differences between neighbouring pixels below this are noise or rounding (range 1; one 8-bit step is 0.004)
_NOISE_LEVEL = 0.01
# minimum energy per pixel of the overlap; fully textured images have 1
_MIN_TEXTURE = 0.1
# minimum overlap in each direction, as a fraction of the shorter of the two sides
_MIN_OVERLAP = 0.45
# shifts closer than this cannot be distinguished, given the size of the texture
_NEAR_PX = 6
# images correlated at once, which bounds the memory
_CHUNK = 128


class Correlations(NamedTuple):
    """Correlation of n images with m others.

    Attributes:
        correlation: (n, m), -1 to 1, at the best shift.
        runner_up: (n, m), the best correlation at clearly different shifts; nearly as high as
            ``correlation`` if two images have only a long straight edge in common.
        shifts_px: (n, m, 2), position (down, right) of the image's top left corner in the other image.
    """

    correlation: NDArray[np.float32]
    runner_up: NDArray[np.float32]
    shifts_px: NDArray[np.int64]


def scaled(gray: Floats, factor: float) -> Floats:
    """Resize an image (h, w) by a factor, smoothing it if the factor is below 1."""
    size = tuple(max(1, round(side * factor)) for side in gray.shape)
    if size == gray.shape:
        return gray
    smaller = resize(gray, size, order=1, anti_aliasing=factor < 1)  # type: ignore[no-untyped-call]
    return np.asarray(smaller, dtype=np.float32)


def texture_of(gray: Floats) -> Floats:
    """Extract the texture of one to four pixels in size of an image (h, w), normalized to equal strength.

    The result hardly depends on brightness and contrast. Flat areas become zero.
    """
    detail = gaussian_filter(gray, 1) - gaussian_filter(gray, 4)
    strength = np.sqrt(gaussian_filter(detail**2, 8) + _NOISE_LEVEL**2)
    return np.asarray(detail / strength, dtype=np.float32)


def correlate(images: Sequence[Floats], others: Sequence[Floats]) -> Correlations:
    """Correlate each of ``images`` with each of ``others`` at their best shift.

    Shifts at which two images overlap by less than 45% of the smaller side are not considered.

    Args:
        images: Textures (h, w) from `texture_of`.
        others: Textures (h, w) to compare with; sizes may differ.
    """
    size = len(images), len(others)
    found = Correlations(
        np.zeros(size, np.float32), np.zeros(size, np.float32), np.zeros((*size, 2), np.int64)
    )
    for other_size, places in _by_size(others):
        for start in range(0, len(places), _CHUNK):
            chunk = places[start : start + _CHUNK]
            _correlate(images, np.stack([others[place] for place in chunk]), other_size, chunk, found)
    return found


def overlap_px(size: Sequence[int], other_size: Sequence[int], shift_px: Sequence[int]) -> int:
    """Count the pixels in which an image of ``size`` (h, w), shifted, overlaps one of ``other_size``."""
    sides = [min(b, s + a) - max(0, s) for a, b, s in zip(size, other_size, shift_px, strict=True)]
    return int(sides[0] * sides[1])


def _by_size(images: Sequence[Floats]) -> Iterator[tuple[tuple[int, ...], list[int]]]:
    """Yield each size and the indices of the images of that size."""
    for size in dict.fromkeys(image.shape for image in images):
        yield size, [place for place, image in enumerate(images) if image.shape == size]


def _correlate(
    images: Sequence[Floats],
    others: NDArray[np.float32],
    other_size: tuple[int, ...],
    columns: list[int],
    found: Correlations,
) -> None:
    """Compute the columns of ``found`` that belong to ``others`` (n, h, w), which all have one size."""
    # large enough that no considered shift wraps around
    side = fft.next_fast_len(max(other_size) + max(max(image.shape) for image in images), real=True)
    spectra = fft.rfft2(others, (side, side), workers=-1)
    sums = _running_sums(others)
    for size, rows in _by_size(images):
        shifts = [_shifts(a, b) for a, b in zip(size, other_size, strict=True)]
        (image_y, other_y), (image_x, other_x) = (
            _overlap(a, b, s) for a, b, s in zip(size, other_size, shifts, strict=True)
        )
        pixels = np.diff(image_y, axis=0)[0][:, None] * np.diff(image_x, axis=0)[0]
        other_energy = np.maximum(_sums_over(sums, other_y, other_x), _MIN_TEXTURE * pixels)
        wrapped = (shifts[0] % side)[:, None], shifts[1] % side
        for row in rows:
            spectrum = np.conj(fft.rfft2(images[row], (side, side)))
            product = fft.irfft2(spectra * spectrum, (side, side), workers=-1)[:, *wrapped]
            image_energy = _sums_over(_running_sums(images[row][None]), image_y, image_x)
            # the lower bound keeps nearly flat overlaps from correlating by chance
            energy = np.sqrt(np.maximum(image_energy, _MIN_TEXTURE * pixels) * other_energy)
            for column, correlation in zip(columns, product / energy, strict=True):
                y, x = np.unravel_index(correlation.argmax(), correlation.shape)
                found.correlation[row, column] = correlation[y, x]
                found.shifts_px[row, column] = shifts[0][y], shifts[1][x]
                # exclude the neighbourhood of the best shift
                correlation[
                    max(0, y - _NEAR_PX) : y + _NEAR_PX + 1, max(0, x - _NEAR_PX) : x + _NEAR_PX + 1
                ] = -1
                found.runner_up[row, column] = correlation.max()


def _shifts(a: int, b: int) -> NDArray[np.int64]:
    """Return the shifts of a side of length ``a`` along one of length ``b`` with enough overlap."""
    minimum = max(1, round(_MIN_OVERLAP * min(a, b)))
    return np.arange(minimum - a, b - minimum + 1)


def _overlap(a: int, b: int, shifts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return start and end of the overlap, (2, shifts), in the first and in the second image."""
    own = np.stack([np.maximum(0, -shifts), np.minimum(a, b - shifts)])
    return own, own + shifts


def _running_sums(images: NDArray[np.float32]) -> NDArray[np.float64]:
    """Sum the squares of (n, h, w) over all pixels above and to the left: (n, h + 1, w + 1)."""
    sums = np.zeros((len(images), images.shape[1] + 1, images.shape[2] + 1))
    np.cumsum(np.cumsum(np.square(images, dtype=np.float64), axis=1), axis=2, out=sums[:, 1:, 1:])
    return sums


def _sums_over(sums: NDArray[np.float64], y: NDArray[np.int64], x: NDArray[np.int64]) -> NDArray[np.float32]:
    """Sum over all rectangles from y[0] to y[1] and x[0] to x[1]: (n, shifts in y, shifts in x)."""
    rows = sums[:, y[1]] - sums[:, y[0]]
    return (rows[:, :, x[1]] - rows[:, :, x[0]]).astype(np.float32)
