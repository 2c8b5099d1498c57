"""The protocol: score every method on the same images by the same measures."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter
from scipy.optimize import linear_sum_assignment

from nircolor.arrays import Floats, Mask
from nircolor.errors import NircolorError
from nircolor.evaluation.gallery import Gallery
from nircolor.evaluation.methods import MethodRun
from nircolor.evaluation.scores import Row, score
from nircolor.imagery.reduction import AreaMean
from nircolor.pairs import Pair
from nircolor.pairs.pair import Bands, PairImages, read_images
from nircolor.parallel import Progress

_SIDE = 16
_SUSPICIOUS_DB = 3.0


@dataclass
class Scored:
    """Result of `score_all`: a row for each image, method and run; failures and warnings, one line each."""

    rows: list[Row] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def score_all(
    methods: Sequence[MethodRun],
    pairs: Sequence[Pair],
    *,
    of_set: Bands = None,
    average_px: int = 1,
    gallery: Gallery | None = None,
    on_read: Callable[[Pair, PairImages], None] | None = None,
    on_progress: Progress | None = None,
) -> Scored:
    """Score every method on every pair. A pair on which one method fails is left out for all.

    Args:
        methods: Methods, in the order of the tables.
        pairs: Pairs to evaluate on.
        of_set: NIR bands to read for methods that name none.
        average_px: Compare means over windows of this many pixels, instead of pixels.
        gallery: Stores the images (of the first run of each method).
        on_read: Called with each scored pair, and its images of the bands ``of_set``.
        on_progress: Called with the pairs done and their number.

    Raises:
        NircolorError: No pair could be scored.
    """
    found = Scored()
    runs = list(_runs(methods))
    # thumbnails of the results of each method that is not a baseline, and of the truth
    small: list[list[NDArray[np.float32]]] = [[] for _ in methods]
    small_truth: list[NDArray[np.float32]] = []
    names = []
    for done, pair in enumerate(pairs):
        if on_progress is not None:
            on_progress(done, len(pairs))
        try:
            nir, images, predicted = _predict(methods, pair, of_set, read_of_set=on_read is not None)
            rgb, valid = images.rgb, images.valid
            target, inside = averaged(rgb, valid, average_px)
            if not inside.any():
                raise NircolorError(f"expected valid windows of {average_px} × {average_px} px, got none")
            rows = [
                Row(pair.name, one.label, run, score(averaged(colour, valid, average_px)[0], target, inside))
                for (one, run), colour in zip(runs, predicted, strict=True)
            ]
        except (NircolorError, ValueError) as error:
            line = str(error)
            found.failures.append(line if line.startswith(f"{pair.name}:") else f"{pair.name}: {line}")
            continue
        found.rows += rows
        names.append(pair.name)
        small_truth.append(thumbnail(rgb, valid))
        for one, colour, thumbnails in zip(methods, predicted, small, strict=True):
            if one.kind != "baseline":
                thumbnails.append(thumbnail(colour, valid))
        if gallery is not None:
            shown = {
                one.label: colour for (one, run), colour in zip(runs, predicted, strict=True) if run == 0
            }
            gallery.add(pair.name, nir, rgb, valid, shown)
        if on_read is not None:
            on_read(pair, images)
    if on_progress is not None:
        on_progress(len(pairs), len(pairs))
    if not names:
        first = found.failures[0] if found.failures else "no pairs"
        raise NircolorError(f"expected images that can be scored, got none: {first}")
    for one, thumbnails in zip(methods, small, strict=True):
        found.warnings += one.warnings
        if one.kind != "baseline":
            found.warnings += _doubts(one, names, np.stack(thumbnails), np.stack(small_truth))
    return found


def averaged(image: Floats, valid: Mask, window_px: int) -> tuple[Floats, Mask]:
    """Average over windows (window_px, window_px) around each pixel; valid where all of the window is."""
    if window_px == 1:
        return image, valid
    size = (1, window_px, window_px)
    means = uniform_filter(np.where(valid, image, 0), size, mode="constant")
    share = uniform_filter(valid.astype(np.float64), window_px, mode="constant")
    # the filter has rounding errors
    return np.clip(means, 0, 1), share > 1 - 0.5 / window_px**2


def thumbnail(image: Floats, valid: Mask) -> NDArray[np.float32]:
    """Reduce an image (3, h, w) to (3 × 16 × 16,) by averaging its valid pixels."""
    mean = AreaMean(len(image), valid.shape, (_SIDE, _SIDE))
    mean.add(0, np.where(valid, image, 0).astype(np.float32), valid)
    return mean.result()[0].ravel()


def _predict(
    methods: Sequence[MethodRun], pair: Pair, of_set: Bands, *, read_of_set: bool
) -> tuple[Floats, PairImages, list[Floats]]:
    """Colorize a pair by all methods.

    Returns:
        NIR as the first model takes it; the images of the bands ``of_set``, or else of that model, with only
        those pixels valid that are valid for all methods; and a colour image (3, h, w) per method.
    """
    choices = list(dict.fromkeys(one.bands or of_set for one in methods))
    extra = [of_set] if read_of_set and of_set not in choices else []
    images = dict(zip([*choices, *extra], read_images(pair, [*choices, *extra]), strict=True))
    predicted = [np.clip(one.predict(pair, images[one.bands or of_set]), 0, 1) for one in methods]
    first = next((one for one in methods if one.kind == "model"), methods[0])
    shown = images[first.bands or of_set]
    # a pixel that is invalid in the bands of one model is not scored for any
    valid = np.logical_and.reduce([images[bands].valid for bands in choices])
    return shown.nir, images.get(of_set, shown)._replace(valid=valid), predicted


def _runs(methods: Sequence[MethodRun]) -> Iterator[tuple[MethodRun, int]]:
    """Yield each run of a method and its number, counted from 0."""
    counts: dict[str, int] = {}
    for one in methods:
        run = counts.get(one.label, 0)
        counts[one.label] = run + 1
        yield one, run


def _doubts(
    one: MethodRun, names: list[str], predicted: NDArray[np.float32], target: NDArray[np.float32]
) -> Iterator[str]:
    permutation = find_permutation(names, predicted, target)
    if permutation is not None:
        yield (
            f"{one.origin}: the images match the truth {permutation.gain_db:.1f} dB better in another order; "
            f"{permutation.name} looks like {permutation.belongs_to}: are names permuted?"
        )
    same = [name for name, a, b in zip(names, predicted, target, strict=True) if np.array_equal(a, b)]
    if same:
        yield (
            f"{one.origin}: {len(same)} of {len(names)} images equal the truth, for example {same[0]}: "
            "is this the folder of the truth?"
        )


class Permutation(NamedTuple):
    """A better order of predictions: gain in mean PSNR of thumbnails, and one image that it moves."""

    gain_db: float
    name: str
    belongs_to: str


def find_permutation(
    names: list[str], predicted: NDArray[np.floating], target: NDArray[np.floating]
) -> Permutation | None:
    """Test whether thumbnails (N, d) of predictions match the targets better in another order.

    Code that pairs files by the order of a listing writes its results under permuted names, and loses about
    10 dB when they are scored by name. The best order is found by linear assignment on squared errors. Since
    some gain is always possible, the result is None unless the mean PSNR of the thumbnails rises by 3 dB.
    """
    a, b = (values.astype(np.float64) for values in (predicted, target))
    errors = np.square(a).sum(1)[:, None] + np.square(b).sum(1) - 2 * a @ b.T
    # equal images differ by about 1e-16 due to rounding
    decibels = -10 * np.log10(np.maximum(errors / a.shape[1], 1e-10))
    own, other = linear_sum_assignment(decibels, maximize=True)
    gains = decibels[own, other] - np.diag(decibels)
    if gains.mean() < _SUSPICIOUS_DB:
        return None
    most = int(gains.argmax())
    return Permutation(float(gains.mean()), names[most], names[other[most]])
