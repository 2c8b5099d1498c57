"""How alike two images are where one lies best on the other, by normalized cross-correlation.

Source: Lewis, "Fast normalized cross-correlation", Vision Interface 1995: the correlation at all shifts by
Fourier transforms, the energies in the overlap from running sums. Compared is texture (`textured`), whose
mean is near zero everywhere, so that the overlap's means need not be taken off.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.ndimage import gaussian_filter
from skimage.transform import resize

from nircolor.arrays import Floats

# differences between neighbours below this are noise and rounding (of 1; an 8-bit step is 0.004)
_NOISE = 0.01
# energy that the overlap must have for each pixel, of 1 where all is textured
_LEAST_TEXTURE = 0.1
# each way, of the shorter of the two sides
_LEAST_OVERLAP = 0.45
# shifts that texture of this size does not tell apart
_NEAR_PX = 6
# images at once, which bounds the memory
_CHUNK = 128


class Likenesses(NamedTuple):
    """Of images and others: correlation (n, m), -1 to 1, and the shift at which it is reached, (n, m, 2).

    A image's corner then lies at ``shifts_px`` (down, right) of the other's. ``runner_up`` (n, m) is the
    best correlation at shifts a good way off: little less, where all that two images share is a long edge.
    """

    correlation: NDArray[np.float32]
    runner_up: NDArray[np.float32]
    shifts_px: NDArray[np.int64]


def scaled(gray: Floats, factor: float) -> Floats:
    """The image (h, w) at another size, smoothed where that is smaller."""
    size = tuple(max(1, round(side * factor)) for side in gray.shape)
    if size == gray.shape:
        return gray
    smaller = resize(gray, size, order=1, anti_aliasing=factor < 1)  # type: ignore[no-untyped-call]
    return np.asarray(smaller, dtype=np.float32)


def textured(gray: Floats) -> Floats:
    """What of a image (h, w) has the size of one to four pixels, of like strength everywhere.

    So images are alike whatever was done to their brightness and contrast. What is flat counts nothing.
    """
    detail = gaussian_filter(gray, 1) - gaussian_filter(gray, 4)
    strength = np.sqrt(gaussian_filter(detail**2, 8) + _NOISE**2)
    return np.asarray(detail / strength, dtype=np.float32)


def likenesses(images: Sequence[Floats], others: Sequence[Floats]) -> Likenesses:
    """How alike textures (h, w) are, each of ``images`` with each of ``others``.

    Of all shifts where two overlap by nearly half of the smaller's sides, the one that suits them best.
    """
    size = len(images), len(others)
    found = Likenesses(np.zeros(size, np.float32), np.zeros(size, np.float32), np.zeros((*size, 2), np.int64))
    for other_size, places in _by_size(others):
        for start in range(0, len(places), _CHUNK):
            chunk = places[start : start + _CHUNK]
            _correlate(images, np.stack([others[place] for place in chunk]), other_size, chunk, found)
    return found


def overlap_px(size: Sequence[int], other_size: Sequence[int], shift_px: Sequence[int]) -> int:
    """Pixels that a image of ``size`` (h, w), moved by ``shift_px``, shares with one of ``other_size``."""
    sides = [min(b, s + a) - max(0, s) for a, b, s in zip(size, other_size, shift_px, strict=True)]
    return int(sides[0] * sides[1])


def _by_size(images: Sequence[Floats]) -> Iterator[tuple[tuple[int, ...], list[int]]]:
    for size in dict.fromkeys(image.shape for image in images):
        yield size, [place for place, image in enumerate(images) if image.shape == size]


def _correlate(
    images: Sequence[Floats],
    others: NDArray[np.float32],
    other_size: tuple[int, ...],
    columns: list[int],
    found: Likenesses,
) -> None:
    """Fill the columns of ``found`` that belong to ``others``, (n, h, w) of one size."""
    # no shift that is looked at wraps around
    side = fft.next_fast_len(max(other_size) + max(max(image.shape) for image in images), real=True)
    spectra = fft.rfft2(others, (side, side), workers=-1)
    sums = _running_sums(others)
    for size, rows in _by_size(images):
        shifts = [_shifts(a, b) for a, b in zip(size, other_size, strict=True)]
        (own_y, their_y), (own_x, their_x) = (
            _overlap(a, b, s) for a, b, s in zip(size, other_size, shifts, strict=True)
        )
        pixels = np.diff(own_y, axis=0)[0][:, None] * np.diff(own_x, axis=0)[0]
        their_energy = np.maximum(_sums_over(sums, their_y, their_x), _LEAST_TEXTURE * pixels)
        wrapped = (shifts[0] % side)[:, None], shifts[1] % side
        for row in rows:
            spectrum = np.conj(fft.rfft2(images[row], (side, side)))
            product = fft.irfft2(spectra * spectrum, (side, side), workers=-1)[:, *wrapped]
            own_energy = _sums_over(_running_sums(images[row][None]), own_y, own_x)
            # too little texture counts as if there were a little of it, and none of that alike
            energy = np.sqrt(np.maximum(own_energy, _LEAST_TEXTURE * pixels) * their_energy)
            for column, correlation in zip(columns, product / energy, strict=True):
                y, x = np.unravel_index(correlation.argmax(), correlation.shape)
                found.correlation[row, column] = correlation[y, x]
                found.shifts_px[row, column] = shifts[0][y], shifts[1][x]
                # nothing below uses the neighbourhood any more
                correlation[
                    max(0, y - _NEAR_PX) : y + _NEAR_PX + 1, max(0, x - _NEAR_PX) : x + _NEAR_PX + 1
                ] = -1
                found.runner_up[row, column] = correlation.max()


def _shifts(a: int, b: int) -> NDArray[np.int64]:
    """Of a side of length ``a`` along one of ``b``: all at which they overlap enough."""
    least = max(1, round(_LEAST_OVERLAP * min(a, b)))
    return np.arange(least - a, b - least + 1)


def _overlap(a: int, b: int, shifts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where the overlap begins and ends, (2, shifts), in the first and in the second."""
    own = np.stack([np.maximum(0, -shifts), np.minimum(a, b - shifts)])
    return own, own + shifts


def _running_sums(images: NDArray[np.float32]) -> NDArray[np.float64]:
    """Sums of squares of (n, h, w) over all that is above and left: (n, h + 1, w + 1)."""
    sums = np.zeros((len(images), images.shape[1] + 1, images.shape[2] + 1))
    np.cumsum(np.cumsum(np.square(images, dtype=np.float64), axis=1), axis=2, out=sums[:, 1:, 1:])
    return sums


def _sums_over(sums: NDArray[np.float64], y: NDArray[np.int64], x: NDArray[np.int64]) -> NDArray[np.float32]:
    """Sums over all rectangles from y[0] to y[1] and x[0] to x[1]: (n, len(y), len(x))."""
    rows = sums[:, y[1]] - sums[:, y[0]]
    return (rows[:, :, x[1]] - rows[:, :, x[0]]).astype(np.float32)
