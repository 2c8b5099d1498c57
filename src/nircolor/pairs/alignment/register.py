"""Register two images of one scene by their structure, from coarse to fine, and measure what remains."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from nircolor.arrays import Floats, Mask
from nircolor.errors import NircolorError
from nircolor.pairs.alignment.structure import (
    Matches,
    Structure,
    equalized,
    grid_of,
    match_blocks,
    structure_of,
)
from nircolor.pairs.alignment.warp import Frame, Lens, Points, Warp, resample

# longer sides in pixels at which images are registered, from coarse to fine
_COARSE_PX = 112
_SIDES_PX = (224, 448, 1024)
LARGEST_PX = _SIDES_PX[-1]
# the search: fields of view of the colour image relative to that of the NIR image, and angles in degrees
_ZOOMS = np.geomspace(0.6, 1.7, 15)
_ANGLES = np.arange(-16, 17, 4.0)
# shifts at which less than this part of the images overlaps are not considered
_MIN_OVERLAP = 0.3
_CANDIDATES = 8
# at the finest of `_SIDES_PX`: blocks, their distances and the tolerance of a match, in pixels
_HALF_PX, _STEP_PX = 24, 40
_FITS_PX, _MISFIT_PX = 1.5, 3.0
# acceptance: number of blocks that fit, their part of the blocks with structure, part of the image with some
_MIN_FITTING, _MIN_SHARE, _MIN_QUARTERS = 12, 0.3, 0.25


@dataclass(frozen=True)
class Gray:
    """A gray image (h, w) in [0, 1] with the validity of its pixels."""

    values: Floats
    valid: Mask

    @property
    def frame(self) -> Frame:
        """Size of the image."""
        return Frame(self.values.shape[1], self.values.shape[0])

    def reduced(self, side: int) -> "Gray":
        """Return the image with this longer side, at most its own."""
        longest = max(self.values.shape)
        if longest <= side:
            return self
        width, height = (max(16, round(part * side / longest)) for part in self.values.shape[::-1])
        values = np.asarray(
            cv2.resize(self.values, (width, height), interpolation=cv2.INTER_AREA), np.float32
        )
        share = cv2.resize(self.valid.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
        return Gray(values, share > 0.99)


@dataclass(frozen=True)
class Registration:
    """Result of `register`.

    Attributes:
        warp: Map from the NIR image to the colour image.
        frame: Size at which the NIR image was registered; all pixels here are its pixels.
        matches: Displacements that remain, of blocks that were not fitted.
    """

    warp: Warp
    frame: Frame
    matches: Matches

    @property
    def distances(self) -> Points:
        """Lengths of the displacements of the reliable blocks, in pixels."""
        found: Points = np.linalg.norm(self.matches.offsets, axis=1)[self.matches.reliable]
        return found

    def fitting(self) -> Mask:
        """Return where the images fit, (h, w): everywhere except around structure that does not."""
        known = self.matches
        far = np.linalg.norm(known.offsets, axis=1) > _MISFIT_PX
        fits = known.reliable & ~far
        # near-infrared and colour may differ in a block that fits: its neighbours decide
        distance = np.abs(known.centres[:, None] - known.centres[None]).max(2)
        near = distance <= 1.5 * _STEP_PX
        textured = (near & known.textured).sum(1)
        wrong = ~fits & (textured > 1) & ((near & fits).sum(1) < 0.4 * textured) | (known.reliable & far)
        good = np.ones((self.frame.height, self.frame.width), bool)
        reach = _STEP_PX // 2
        for x, y in known.centres[wrong].astype(int):
            good[max(0, y - reach) : y + reach, max(0, x - reach) : x + reach] = False
        return good


def register(nir: Gray, colour: Gray) -> Registration:
    """Find the warp from a NIR image to the gray version of a colour image of the same scene.

    Args:
        nir: The NIR image, which stays as it is.
        colour: The colour image.

    Raises:
        NircolorError: They have too little structure, or do not match. The message has no file name.
    """
    nir, colour = (Gray(equalized(one.values, one.valid), one.valid) for one in (nir, colour))
    _require_structure(nir, "NIR")
    _require_structure(colour, "colour")
    best, share = Lens(), -1.0
    level = nir.reduced(_SIDES_PX[0])
    for lens in _candidates(nir.reduced(_COARSE_PX), colour.reduced(_COARSE_PX)):
        refined = _refined(lens, level, colour, searches=(14, 8), half=20, step=20)
        found = _share_of_fits(_matched(Warp(refined), level, colour, 20, 20, 6), 2.0)
        if found > share:
            best, share = refined, found
    best = _refined(best, nir.reduced(_SIDES_PX[1]), colour, searches=(10, 6), half=_HALF_PX, step=30)
    level = nir.reduced(_SIDES_PX[2])
    best = _refined(best, level, colour, searches=(8, 5, 5), half=_HALF_PX, step=_STEP_PX)
    _checked(Warp(best), level, colour)
    warp = Warp(best, _local_shifts(best, level, colour))
    return _checked(warp, level, colour)


def _require_structure(image: Gray, kind: str) -> None:
    small = image.reduced(_SIDES_PX[1])
    structure = np.abs(structure_of(small.values, small.valid))
    share = float((cv2.blur(structure, (33, 33)) > 0.04).mean())
    if share < 0.1:
        raise NircolorError(
            f"the {kind} image has structure in {share:.0%} of its area, too little to align it"
        )


def _moved(image: Gray, warp: Warp, fixed: Frame) -> Gray:
    """Return the moving image at the size of the fixed one."""
    # reduced first, so that resampling does not skip pixels
    reduced = image.reduced(max(32, round(max(image.values.shape) / warp.shrinkage(fixed, image.frame))))
    maps = warp.maps(fixed, reduced.frame)
    valid = resample(reduced.valid.astype(np.float32), maps) > 0.99
    return Gray(resample(reduced.values, maps), valid)


def _structures(warp: Warp, nir: Gray, colour: Gray, sigma: float = 1.0) -> tuple[Structure, Structure]:
    moved = _moved(colour, warp, nir.frame)
    return structure_of(nir.values, nir.valid, sigma), structure_of(moved.values, moved.valid, sigma)


def _matched(
    warp: Warp, nir: Gray, colour: Gray, half: int, step: int, search: int, *, staggered: bool = False
) -> Matches:
    fixed, moved = _structures(warp, nir, colour)
    return match_blocks(fixed, moved, grid_of(fixed.shape, step, half, staggered=staggered), half, search)


def _share_of_fits(matches: Matches, tolerance: float) -> float:
    """Return the part of the blocks with structure that fit where they are."""
    fits = matches.reliable & (np.linalg.norm(matches.offsets, axis=1) <= tolerance)
    # the constant keeps few blocks from counting as certain
    return float(fits.sum()) / (float(matches.textured.sum()) + 4)


def _refined(lens: Lens, nir: Gray, colour: Gray, *, searches: tuple[int, ...], half: int, step: int) -> Lens:
    frame = nir.frame
    for search in searches:
        matches = _matched(Warp(lens), nir, colour, half, step, search)
        used = matches.reliable
        if used.sum() < 8:
            return lens
        # a match at an offset in the warped image is that of a point beside it in the fixed image
        points = frame.normalized(matches.centres[used])
        targets = lens(frame.normalized(matches.centres[used] + matches.offsets[used]))
        lens = lens.fitted(points, targets, 1.0 / frame.unit, search / frame.unit)
    return lens


def _candidates(nir: Gray, colour: Gray) -> list[Lens]:
    """Return similarities at which the coarse images correlate best, best first."""
    frame = nir.frame
    fixed = structure_of(nir.values, nir.valid, 1.2)
    size = [cv2.getOptimalDFTSize(2 * side) for side in fixed.shape]
    spectrum = np.conj(np.fft.fft2(fixed, size))
    area = np.conj(np.fft.rfft2(nir.valid.astype(np.float32), size))
    energy = np.conj(np.fft.rfft2(np.abs(fixed) ** 2, size))
    found: list[tuple[float, Lens]] = []
    least = _MIN_OVERLAP * fixed.size
    for zoom in _ZOOMS:
        for angle in np.deg2rad(_ANGLES):
            turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / zoom
            matrix = np.eye(3)
            matrix[:2, :2] = turn
            moved = _moved(colour, Warp(Lens(matrix)), frame)
            structure = structure_of(moved.values, moved.valid, 1.2)
            valid = np.fft.rfft2(moved.valid.astype(np.float32), size)
            overlap = np.fft.irfft2(valid * area, size)
            product = np.fft.ifft2(np.fft.fft2(structure, size) * spectrum).real
            energies = [
                np.fft.irfft2(np.fft.rfft2(np.abs(structure) ** 2, size) * area, size),
                np.fft.irfft2(valid * energy, size),
            ]
            weak = 0.2 * float((np.abs(fixed) ** 2).sum())
            score = product / np.sqrt(np.maximum(energies[0], weak) * np.maximum(energies[1], weak))
            # chance correlates small overlaps best: its spread is that of a mean over the overlap
            score *= np.sqrt(np.clip(overlap, 0, None) / fixed.size)
            score[overlap < least] = -1
            y, x = np.unravel_index(int(score.argmax()), score.shape)
            shift = np.array([x - size[1] * (x > size[1] // 2), y - size[0] * (y > size[0] // 2)])
            placed = matrix.copy()
            placed[:2, 2] = turn @ (shift / frame.unit)
            found.append((float(score[y, x]), Lens(placed)))
    found.sort(key=lambda one: -one[0])
    kept: list[Lens] = []
    for _, lens in found:
        # neighbours of a candidate are refined to the same result
        if all(np.abs(lens.matrix - other.matrix).max() > 0.1 for other in kept):
            kept.append(lens)
    return kept[:_CANDIDATES]


def _local_shifts(lens: Lens, nir: Gray, colour: Gray) -> Floats:
    """Return smooth shifts of what a plane and two lenses do not explain, as in `Warp`."""
    frame = nir.frame
    step = 16
    rows, columns = max(2, frame.height // step), max(2, frame.width // step)
    total = np.zeros((rows, columns, 2), np.float32)
    x = (np.arange(columns) + 0.5) * frame.width / columns - 0.5
    y = (np.arange(rows) + 0.5) * frame.height / rows - 0.5
    nodes = np.stack([part.ravel() for part in np.meshgrid(x, y)], 1)
    for half, search, blur in ((28, 10, 3.0), (20, 4, 2.0)):
        fixed, moved = _structures(Warp(lens, total), nir, colour)
        centres = np.rint(nodes).astype(np.int64)
        inside = (np.minimum(centres, np.array([frame.width, frame.height]) - 1 - centres) >= half // 2).all(
            1
        )
        matches = match_blocks(fixed, moved, centres[inside], half, search)
        offsets, weights = np.zeros((rows, columns, 2), np.float32), np.zeros((rows, columns), np.float32)
        offsets.reshape(-1, 2)[inside], weights.reshape(-1)[inside] = matches.offsets, matches.reliable
        # a match that differs from those around it is rather wrong than a detail
        for _ in range(2):
            mean = _smooth(offsets, weights, blur)
            weights = weights * (np.linalg.norm(offsets - mean, axis=2) < max(1.5, search / 3))
        total = total + _smooth(offsets, weights, blur) / np.float32(frame.unit)
    return total


def _smooth(offsets: Floats, weights: Floats, blur: float) -> Floats:
    """Return means of the offsets around each node, which go to zero where no block is reliable."""
    total = cv2.GaussianBlur(weights, (0, 0), blur, borderType=cv2.BORDER_CONSTANT)
    parts = cv2.GaussianBlur(offsets * weights[..., None], (0, 0), blur, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(parts / (total + 0.05)[..., None], dtype=np.float32)


def _checked(warp: Warp, level: Gray, colour: Gray) -> Registration:
    """Measure the residual on blocks between those that were fitted; refuse what does not fit."""
    matches = _matched(warp, level, colour, _HALF_PX, _STEP_PX, 12, staggered=True)
    distances = np.linalg.norm(matches.offsets, axis=1)
    fits = matches.reliable & (distances <= _FITS_PX)
    share = float(fits.sum() / max(1, matches.textured.sum()))
    quarters = _spread(matches.centres[fits], level.frame)
    if fits.sum() < _MIN_FITTING or share < _MIN_SHARE or quarters < _MIN_QUARTERS:
        raise NircolorError(
            f"the images do not match: {fits.sum()} of {matches.textured.sum()} parts with structure fit, "
            f"in {quarters:.0%} of the area"
        )
    return Registration(warp, level.frame, matches)


def _spread(points: Points, frame: Frame) -> float:
    """Return the part of the image, in 4 × 4 cells, that holds a point."""
    cells: NDArray[np.int64] = (points / np.array([frame.width, frame.height]) * 4).astype(np.int64)
    return len({tuple(cell) for cell in cells}) / 16
