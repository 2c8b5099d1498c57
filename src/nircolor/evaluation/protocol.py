"""The protocol: every method on the same images, by the same measures."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from nircolor.arrays import Floats, Mask
from nircolor.errors import NircolorError
from nircolor.evaluation.contestants import Bands, Contestant, Progress
from nircolor.evaluation.gallery import Gallery
from nircolor.evaluation.measures import score
from nircolor.evaluation.pairing import find_permutation, thumbnail
from nircolor.evaluation.scorecard import Row
from nircolor.pairs import Pair, read_pair


@dataclass
class Scored:
    """What the protocol gives: a row for each image, method and run; lines on what it noticed."""

    rows: list[Row] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def score_all(
    contestants: Sequence[Contestant],
    pairs: Sequence[Pair],
    *,
    of_set: Bands = None,
    average_px: int = 1,
    gallery: Gallery | None = None,
    on_progress: Progress = lambda _what, _done, _total: None,
) -> Scored:
    """Score every contestant on every pair; a pair that one of them fails on is left out for all.

    Args:
        contestants: in the order of the tables.
        pairs: what is evaluated on.
        of_set: the bands read for contestants that name none.
        average_px: compare means over windows of so many pixels rather than pixels.
        gallery: takes the images (of each method's first run).
        on_progress: called with what is done, and how far.

    Raises:
        NircolorError: no pair could be scored.
    """
    found = Scored()
    runs = list(_runs(contestants))
    # of each contestant that is judged, and of the truth
    small: list[list[NDArray[np.float32]]] = [[] for _ in contestants]
    small_truth: list[NDArray[np.float32]] = []
    names = []
    for done, pair in enumerate(pairs):
        on_progress("scoring", done, len(pairs))
        try:
            seen, rgb, valid, predicted = _predicted(contestants, pair, of_set)
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
        small_truth.append(thumbnail(np.where(valid, rgb, 0)))
        for one, colour, thumbnails in zip(contestants, predicted, small, strict=True):
            if one.kind != "baseline":
                thumbnails.append(thumbnail(np.where(valid, colour, 0)))
        if gallery is not None:
            shown = {
                one.label: colour for (one, run), colour in zip(runs, predicted, strict=True) if run == 0
            }
            gallery.add(pair.name, seen, rgb, valid, shown)
    if not names:
        raise NircolorError(f"expected images that can be scored, got none: {found.failures[0]}")
    for one, thumbnails in zip(contestants, small, strict=True):
        found.warnings += one.warnings
        if one.kind != "baseline":
            found.warnings += _doubts(one, names, np.stack(thumbnails), np.stack(small_truth))
    return found


def averaged(image: Floats, valid: Mask, window_px: int) -> tuple[Floats, Mask]:
    """Means over windows (window_px, window_px) around each pixel, valid where the whole window is."""
    if window_px == 1:
        return image, valid
    size = (1, window_px, window_px)
    means = uniform_filter(np.where(valid, image, 0), size, mode="constant")
    share = uniform_filter(valid.astype(np.float64), window_px, mode="constant")
    # running sums round
    return np.clip(means, 0, 1), share > 1 - 0.5 / window_px**2


def _predicted(
    contestants: Sequence[Contestant], pair: Pair, of_set: Bands
) -> tuple[Floats, Floats, Mask, list[Floats]]:
    """NIR as the first judged method sees it, truth, valid pixels, and a colour image a contestant."""
    read: dict[Bands, tuple[Floats, Floats, Mask]] = {}
    predicted = []
    for one in contestants:
        bands = one.bands or of_set
        if bands not in read:
            read[bands] = read_pair(pair, bands)
        nir, _, valid = read[bands]
        predicted.append(np.clip(one.predict(pair, nir, valid), 0, 1))
    judged = next((one for one in contestants if one.kind == "model"), contestants[0])
    nir, rgb, _ = read[judged.bands or of_set]
    # what one model's bands lack, no model is scored on
    return nir, rgb, np.logical_and.reduce([valid for _, _, valid in read.values()]), predicted


def _runs(contestants: Sequence[Contestant]) -> Iterator[tuple[Contestant, int]]:
    """Each contestant, and how many of its label come before it."""
    counts: dict[str, int] = {}
    for one in contestants:
        run = counts.get(one.label, 0)
        counts[one.label] = run + 1
        yield one, run


def _doubts(
    one: Contestant, names: list[str], predicted: NDArray[np.float32], target: NDArray[np.float32]
) -> Iterator[str]:
    permutation = find_permutation(names, predicted, target)
    if permutation is not None:
        yield (
            f"{one.origin}: its images fit the truth {permutation.gain_db:.1f} dB better under each "
            f"other's names; {permutation.name} looks like {permutation.belongs_to}: are names permuted?"
        )
    same = [name for name, a, b in zip(names, predicted, target, strict=True) if np.array_equal(a, b)]
    if same:
        yield (
            f"{one.origin}: {len(same)} of {len(names)} images equal the truth, {same[0]} for one: "
            "is it the truth itself?"
        )
