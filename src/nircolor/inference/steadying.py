"""Steady the colours of a video: average them over time where the near-infrared frame does not change."""

from dataclasses import dataclass

import numpy as np

from nircolor.arrays import Floats, Mask

# frames that are averaged where nothing changes: a longer memory would hold on to the first impression
_MOST_FRAMES = 12
# a difference of the near-infrared values is a change from the first multiple of the noise on, partly, and
# entirely from the second
_UNCHANGED, _CHANGED = 2.5, 5.0
# one step of 8 bits: no camera has less noise
_LEAST_NOISE = 1 / 255
# side of the windows in which differences are averaged, which lets small contrasts stand out from the noise
_WINDOW_PX = 5
# a quarter of the differences of a normal distribution are smaller than this share of its deviation
_QUARTILE = 0.3186
# frames are compared in a reduced view of this side at most
_VIEW_PX = 256
# correlation of the details of two frames, once aligned, below which there is a cut between them
_SAME_SCENE = 0.5
# pixels on each side that are interpolated between
_LANCZOS = 3
_BLOCK_ROWS = 32
# a motion that is this close to whole pixels is one: interpolation blurs a little
_WHOLE_PX = 0.06


@dataclass(frozen=True)
class Motion:
    """Motion of the whole image since the frame before, and whether it shows another scene.

    Attributes:
        down, right: pixels that the content has moved.
        is_cut: the frames show different scenes.
    """

    down: float
    right: float
    is_cut: bool


class Steadying:
    """Recursive filter of the colours of a video.

    Call for each frame `begin`, then `view` with the reduced view of the whole image where the model takes
    one, then `finish`.

    The state is an average of the frames, near-infrared values and colours together, which follows the motion
    of the whole image and its brightness. It moves by whole pixels only: the rest of the motion, at most half
    a pixel, is interpolated in each frame that is added, and in each result, so that interpolation does not
    add up to a blur. Where the new near-infrared values differ from their average by more than the noise, the
    average starts again with the new frame, so that nothing is left behind moving things. Elsewhere a frame
    counts 1/n, n being the number of frames since the last change and at most 12.

    Attributes:
        cuts: number of cuts so far.
    """

    def __init__(self) -> None:
        self._average: Floats | None = None
        self._count: Floats | None = None
        self._view: Floats | None = None
        self._view_frames = 0
        self._motion = Motion(0, 0, is_cut=True)
        # motion of the frame before that its average has not followed: parts of a pixel
        self._rest = (0.0, 0.0)
        self.cuts = 0

    def begin(self, nir: Floats) -> Motion:
        """Compare a frame (h, w) with those before it."""
        if self._average is None:
            return self._motion
        self._motion = estimate_motion(self._average[0], nir)
        if self._motion.is_cut:
            self.cuts += 1
            self._average = self._view = None
            return self._motion
        return Motion(self._motion.down - self._rest[0], self._motion.right - self._rest[1], is_cut=False)

    def view(self, view: Floats) -> Floats:
        """Average the reduced view (bands, s, s) of the whole image over time, where it does not change."""
        if self._view is None or self._view.shape != view.shape or self._average is None:
            self._view, self._view_frames = view, 1
            return view
        side = np.array(view.shape[1:]) / np.array(self._average.shape[1:])
        down, right = self._motion.down - self._rest[0], self._motion.right - self._rest[1]
        moved, is_known = shift(self._view, down * side[0], right * side[1])
        self._view_frames = min(self._view_frames + 1, _MOST_FRAMES)
        moved = moved * _gain(moved, view)
        changed = _smooth_step(np.abs(moved - view).max(0), 0.02, 0.06)
        weight = (1 - 1 / self._view_frames) * (1 - changed) * is_known
        self._view = (view + weight * (moved - view)).astype(np.float32)
        return self._view

    def finish(self, nir: Floats, colour: Floats) -> Floats:
        """Average the colours (3, h, w) of the frame that `begin` was called with; return them."""
        frame = np.concatenate([nir[None], colour])
        if self._average is None or self._count is None:
            self._average, self._count, self._rest = frame, np.ones(nir.shape, np.float32), (0.0, 0.0)
            return colour
        whole = round(self._motion.down), round(self._motion.right)
        self._rest = self._motion.down - whole[0], self._motion.right - whole[1]
        average, _ = shift(self._average, *whole)
        before, is_known = shift(self._average, self._motion.down, self._motion.right)
        count = shift(self._count[None], *whole)[0][0]
        gain = _gain(before[0], nir)
        average *= gain
        before *= gain
        difference = box_mean(before[0] - nir)
        noise = max(_LEAST_NOISE, noise_of(difference, nir))
        unchanged = 1 - _smooth_step(np.abs(difference), _UNCHANGED * noise, _CHANGED * noise)
        unchanged *= is_known
        self._count = 1 + unchanged * np.minimum(count, _MOST_FRAMES - 1)
        weight = (1 - 1 / self._count) * unchanged
        result = colour + weight * (before[1:] - colour)
        added, _ = shift(frame, -self._rest[0], -self._rest[1])
        average -= added
        average *= weight
        average += added
        self._average = average
        return np.clip(result, 0, 1)


def estimate_motion(before: Floats, after: Floats) -> Motion:
    """Estimate the motion of the whole image between two frames (h, w), and whether there is a cut.


    Phase correlation of reduced views finds the motion up to half the frame; least squares on gradients
    refine it to parts of a pixel. Both look at details, so that flickering light is no cut.
    """
    step = max(1, -(-max(before.shape) // _VIEW_PX))
    first, second = _reduced(before, step), _reduced(after, step)
    candidates = {(0, 0), _phase_correlation(first, second)}
    scores = {candidate: _correlation(first, second, candidate) for candidate in candidates}
    # noise in both frames correlates nowhere: without details only brightness is left to tell scenes apart
    best = max(scores, key=lambda candidate: scores[candidate] + 0.02 * (candidate == (0, 0)))
    if scores[best] < _SAME_SCENE:
        both_flat = max(_contrast(first), _contrast(second)) < 0.02
        is_cut = not both_flat or abs(float(first.mean() - second.mean())) > 0.1
        return Motion(0, 0, is_cut)
    down, right = _refine(first, second, *map(float, best))
    down, right = _refine(before, after, down * step, right * step)
    rounded = [float(round(x)) if abs(x - round(x)) < _WHOLE_PX else x for x in (down, right)]
    return Motion(rounded[0], rounded[1], is_cut=False)


def shift(image: Floats, down: float, right: float) -> tuple[Floats, Mask]:
    """Move an image (bands, h, w); return it and where (h, w) its content is known. Elsewhere it is 0."""
    height, width = image.shape[1:]
    top, left = round(down), round(right)
    moved, is_known = np.zeros_like(image), np.zeros((height, width), bool)
    rows, columns = _places(height, top), _places(width, left)
    if rows.stop > rows.start and columns.stop > columns.start:
        parts = _interpolated(image, down - top, right - left)
        moved[:, rows, columns] = parts[
            :, rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
        ]
        is_known[
            max(rows.start, int(np.ceil(down))) : min(rows.stop, height + int(np.floor(down))),
            max(columns.start, int(np.ceil(right))) : min(columns.stop, width + int(np.floor(right))),
        ] = True
    return moved, is_known


def _places(length: int, offset: int) -> slice:
    """Pixels of an axis that are in the image before and after a motion."""
    return slice(max(0, offset), max(0, min(length, length + offset)))


def _interpolated(image: Floats, down: float, right: float) -> Floats:
    """Move an image (bands, h, w) by at most half a pixel by Lanczos' interpolation; edges are repeated."""
    if not (down or right):
        return image
    padded = np.pad(image, ((0, 0), (_LANCZOS, _LANCZOS), (_LANCZOS, _LANCZOS)), mode="edge")
    result = np.empty_like(image)
    # in blocks that fit into the cache of a processor
    for top in range(0, image.shape[1], _BLOCK_ROWS):
        rows = slice(top, min(top + _BLOCK_ROWS, image.shape[1]))
        for band, block in zip(result, padded[:, top : rows.stop + 2 * _LANCZOS], strict=True):
            band[rows] = _weighted(_weighted(block, down).T, right).T
    return result


def _weighted(block: Floats, offset: float) -> Floats:
    """Interpolate an array along its first axis, which loses three pixels at both ends."""
    length = len(block) - 2 * _LANCZOS
    if not offset:
        return block[_LANCZOS : _LANCZOS + length]
    steps = np.arange(-_LANCZOS, _LANCZOS + 1)
    distance = steps - offset
    weights = np.sinc(distance) * np.sinc(distance / _LANCZOS) * (np.abs(distance) < _LANCZOS)
    weights = (weights / weights.sum()).astype(np.float32)
    total = weights[0] * block[2 * _LANCZOS :]
    term = np.empty_like(total)
    for step, weight in zip(steps[1:], weights[1:], strict=True):
        total += np.multiply(block[_LANCZOS - step :][:length], weight, out=term)
    return total


def box_mean(image: Floats, window: int = _WINDOW_PX) -> Floats:
    """Average an image (h, w) in square windows, with its edges repeated."""
    padded = np.pad(image, window // 2 + 1, mode="edge")[:-1, :-1]
    sums = padded.cumsum(0, dtype=np.float64)
    rows = (sums[window:] - sums[:-window]).cumsum(1)
    return ((rows[:, window:] - rows[:, :-window]) / window**2).astype(np.float32)


def noise_of(difference: Floats, nir: Floats) -> float:
    """Estimate the standard deviation of the noise in an averaged difference (h, w) of two frames.

    A quarter of the pixels is taken as unchanged, and the noise is never more than the finest details of the
    frame allow: otherwise a frame that moves as a whole would count as noise.
    """
    temporal = float(np.quantile(np.abs(difference[::3, ::3]), 0.25)) / _QUARTILE
    # the kernel (1, -2, 1) in both directions responds to noise with 6 times its deviation (Immerkær 1996)
    rows = nir[:, 2:] - 2 * nir[:, 1:-1] + nir[:, :-2]
    details = rows[2:] - 2 * rows[1:-1] + rows[:-2]
    spatial = float(np.median(np.abs(details[::3, ::3]))) / 0.6745 / 6 if details.size else 0.0
    return min(temporal, 2 * spatial / _WINDOW_PX * np.sqrt(2))


def _gain(before: Floats, after: Floats) -> np.float32:
    """Ratio of the brightness of two aligned images, as light flickers or exposure adapts."""
    first, second = before[..., ::8, ::8].ravel(), after[..., ::8, ::8].ravel()
    lit = (first > 0.02) & (second > 0.02) & (first < 0.98) & (second < 0.98)
    if lit.sum() < 16:
        return np.float32(1)
    ratio = float(np.median(second[lit] / first[lit]))
    return np.float32(np.clip(ratio, 0.5, 2)) if abs(ratio - 1) > 0.004 else np.float32(1)


def _smooth_step(values: Floats, low: float, high: float) -> Floats:
    part = np.clip((values - low) / (high - low), 0, 1)
    return part * part * (3 - 2 * part)


def _reduced(image: Floats, step: int) -> Floats:
    """Means of squares of ``step`` pixels."""
    rows, columns = image.shape[0] // step, image.shape[1] // step
    return image[: rows * step, : columns * step].reshape(rows, step, columns, step).mean((1, 3))


def _details(image: Floats) -> Floats:
    return image - box_mean(image, 31)


def _contrast(image: Floats) -> float:
    return float(_details(image).std())


def _phase_correlation(first: Floats, second: Floats) -> tuple[int, int]:
    """Whole pixels (down, right) from the first to the second image."""
    height, width = first.shape
    window = (np.hanning(height + 2)[1:-1, None] * np.hanning(width + 2)[1:-1]).astype(np.float32)
    spectra = [np.fft.rfft2(_details(image) * window) for image in (first, second)]
    cross = spectra[1] * spectra[0].conj()
    response = np.fft.irfft2(
        cross / np.maximum(np.abs(cross), 1e-9 + 1e-3 * np.abs(cross).max()), (height, width)
    )
    down, right = np.unravel_index(int(response.argmax()), response.shape)
    return (int(down) - height * (down > height // 2), int(right) - width * (right > width // 2))


def _correlation(first: Floats, second: Floats, offset: tuple[int, int]) -> float:
    """Correlation of the overlap of two images, without its mean; 0 where the overlap is small."""
    one, other = _overlap(first, second, offset)
    if one.size < first.size / 8:
        return 0.0
    one, other = one - one.mean(), other - other.mean()
    scale = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float((one * other).sum()) / scale if scale > 1e-9 else 0.0


def _overlap(first: Floats, second: Floats, offset: tuple[int, int]) -> tuple[Floats, Floats]:
    """Parts of two images that show the same, where the content has moved by ``offset``."""
    down, right = offset
    height, width = first.shape
    rows, columns = slice(max(0, down), height + min(0, down)), slice(max(0, right), width + min(0, right))
    moved_rows = slice(rows.start - down, rows.stop - down)
    moved_columns = slice(columns.start - right, columns.stop - right)
    return first[moved_rows, moved_columns], second[rows, columns]


def _refine(first: Floats, second: Floats, down: float, right: float) -> tuple[float, float]:
    """Refine a motion by least squares on gradients (Lucas and Kanade), without the pixels that fit least."""
    for _ in range(3):
        moved, is_known = shift(first[None], down, right)
        gradient_down = (moved[0, 2:, 1:-1] - moved[0, :-2, 1:-1]) / 2
        gradient_right = (moved[0, 1:-1, 2:] - moved[0, 1:-1, :-2]) / 2
        residual = (second - moved[0])[1:-1, 1:-1]
        inside = is_known[2:, 1:-1] & is_known[:-2, 1:-1] & is_known[1:-1, 2:] & is_known[1:-1, :-2]
        stride = 1 + inside.size // 300_000
        gradients = np.stack([gradient_down[inside][::stride], gradient_right[inside][::stride]])
        residual = residual[inside][::stride]
        if residual.size < 100:
            break
        residual = residual - np.median(residual)
        trusted = np.abs(residual) <= 3 * np.median(np.abs(residual)) + 1e-4
        gradients, residual = gradients[:, trusted].astype(np.float64), residual[trusted]
        system = gradients @ gradients.T
        if np.linalg.det(system) < 1e-9 * np.trace(system) ** 2 or np.trace(system) < 1e-6:
            break
        # content that moves down by d appears as first(y - d): the residual is minus the gradient times d
        step = np.clip(-np.linalg.solve(system, gradients @ residual), -1, 1)
        down, right = down + float(step[0]), right + float(step[1])
        if np.abs(step).max() < 0.01:
            break
    return down, right
