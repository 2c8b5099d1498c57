"""Evaluation protocol: score every method on the same images with the same measures."""

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

_THUMBNAIL_PX = 16
_MIN_GAIN_DB = 3.0


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
    set_bands: Bands = None,
    average_px: int = 1,
    gallery: Gallery | None = None,
    on_read: Callable[[Pair, PairImages], None] | None = None,
    on_progress: Progress | None = None,
) -> Scored:
    """Score every method on every pair. A pair on which one method fails is left out for all.

    Args:
        methods: Methods, in the order of the tables.
        pairs: Pairs to evaluate on.
        set_bands: NIR bands to read for methods that name none.
        average_px: Side of the square windows whose means are compared; 1 = compare pixels.
        gallery: Stores the images (of the first run of each method).
        on_read: Called with each scored pair, and its images in the bands ``set_bands``.
        on_progress: Called with the pairs done and their number.

    Raises:
        NircolorError: No pair could be scored.
    """
    found = Scored()
    runs = list(_runs(methods))
    # thumbnails of the predictions of each method that is not a baseline, and of the true images
    thumbnails: list[list[NDArray[np.float32]]] = [[] for _ in methods]
    true_thumbnails: list[NDArray[np.float32]] = []
    names = []
    for done, pair in enumerate(pairs):
        if on_progress is not None:
            on_progress(done, len(pairs))
        try:
            nir, images, predicted = _predict(methods, pair, set_bands, read_set_bands=on_read is not None)
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
        true_thumbnails.append(thumbnail(rgb, valid))
        for one, colour, own in zip(methods, predicted, thumbnails, strict=True):
            if one.kind != "baseline":
                own.append(thumbnail(colour, valid))
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
    for one, own in zip(methods, thumbnails, strict=True):
        found.warnings += one.warnings
        if one.kind != "baseline":
            found.warnings += _check_images(one, names, np.stack(own), np.stack(true_thumbnails))
    return found


def averaged(image: Floats, valid: Mask, window_px: int) -> tuple[Floats, Mask]:
    """Average over windows (window_px, window_px) around each pixel; valid where all of the window is."""
    if window_px == 1:
        return image, valid
    size = (1, window_px, window_px)
    means = uniform_filter(np.where(valid, image, 0), size, mode="constant")
    fraction = uniform_filter(valid.astype(np.float64), window_px, mode="constant")
    # the filter has rounding errors
    return np.clip(means, 0, 1), fraction > 1 - 0.5 / window_px**2


def thumbnail(image: Floats, valid: Mask) -> NDArray[np.float32]:
    """Reduce an image (3, h, w) to (3 × 16 × 16,) by averaging its valid pixels."""
    mean = AreaMean(len(image), valid.shape, (_THUMBNAIL_PX, _THUMBNAIL_PX))
    mean.add(0, np.where(valid, image, 0).astype(np.float32), valid)
    return mean.result()[0].ravel()


def _predict(
    methods: Sequence[MethodRun], pair: Pair, set_bands: Bands, *, read_set_bands: bool
) -> tuple[Floats, PairImages, list[Floats]]:
    """Colorize a pair by all methods.

    Returns:
        NIR in the bands of the first model; the images in the bands ``set_bands``, or else in those of that
        model, where only pixels that are valid for all methods are valid; and a colour image (3, h, w) per
        method.
    """
    choices = list(dict.fromkeys(one.bands or set_bands for one in methods))
    extra = [set_bands] if read_set_bands and set_bands not in choices else []
    images = dict(zip([*choices, *extra], read_images(pair, [*choices, *extra]), strict=True))
    predicted = [np.clip(one.predict(pair, images[one.bands or set_bands]), 0, 1) for one in methods]
    first = next((one for one in methods if one.kind == "model"), methods[0])
    shown = images[first.bands or set_bands]
    # a pixel that is invalid in the bands of one model is not scored for any
    valid = np.logical_and.reduce([images[bands].valid for bands in choices])
    return shown.nir, images.get(set_bands, shown)._replace(valid=valid), predicted


def _runs(methods: Sequence[MethodRun]) -> Iterator[tuple[MethodRun, int]]:
    """Yield each run of a method and its number, counted from 0."""
    counts: dict[str, int] = {}
    for one in methods:
        run = counts.get(one.label, 0)
        counts[one.label] = run + 1
        yield one, run


def _check_images(
    one: MethodRun, names: list[str], predicted: NDArray[np.float32], target: NDArray[np.float32]
) -> Iterator[str]:
    """Yield warnings about permuted names, and about predictions that equal the true images."""
    permutation = find_permutation(names, predicted, target)
    if permutation is not None:
        yield (
            f"{one.origin}: the images match the true images {permutation.gain_db:.1f} dB better in another "
            f"order; {permutation.name} looks like {permutation.belongs_to}: are names permuted?"
        )
    same = [name for name, a, b in zip(names, predicted, target, strict=True) if np.array_equal(a, b)]
    if same:
        yield (
            f"{one.origin}: {len(same)} of {len(names)} images equal the true images, for example {same[0]}: "
            "is this the folder of the true images?"
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

    Code that pairs files by the order of a directory listing may write its results under permuted names,
    which costs about 10 dB when they are scored by name. The best order is found by linear assignment of the
    PSNR. Since another order often fits slightly better by chance, the result is None unless the mean PSNR of
    the thumbnails rises by 3 dB.
    """
    a, b = (values.astype(np.float64) for values in (predicted, target))
    errors = np.square(a).sum(1)[:, None] + np.square(b).sum(1) - 2 * a @ b.T
    # equal images differ by about 1e-16 due to rounding
    decibels = -10 * np.log10(np.maximum(errors / a.shape[1], 1e-10))
    own, other = linear_sum_assignment(decibels, maximize=True)
    gains = decibels[own, other] - np.diag(decibels)
    if gains.mean() < _MIN_GAIN_DB:
        return None
    most = int(gains.argmax())
    return Permutation(float(gains.mean()), names[most], names[other[most]])
