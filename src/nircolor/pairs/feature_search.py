"""Find images that have local features in common, under any affine map."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

from nircolor.pairs.feature_index import Candidate, FeatureIndex
from nircolor.pairs.features import SHAPES, Features, find_features, fit_map
from nircolor.pairs.matching import MIN_MATCHES, Match, reduced_gray
from nircolor.pairs.texture_search import Thumbnail
from nircolor.parallel import Progress, in_parallel

# images of the other set per index, and images that are looked for in it at once: bounds the memory to 1 GB
_BLOCK, _OWN_BLOCK = 1000, 200
# images searched together, which is faster
_BATCH = 8
# maximum number of features for the search, in the image and in each of its other shapes, and for fitting
_SEARCHED, _SEARCHED_SHAPES, _FITTED_SHAPES = 400, 200, 400
# images that are fitted, per image that is looked for
_CANDIDATES = 12
# an image with fewer features is compared by its texture instead
_FEW = 40

T = TypeVar("T")
R = TypeVar("R")


class _Variants(NamedTuple):
    """An image, and the features of one view in all shapes, as they are and mirrored."""

    thumbnail: Thumbnail
    view: str
    features: list[Features]


def search_features(
    own: Sequence[Thumbnail],
    their: Sequence[Thumbnail],
    within: bool,
    on_progress: Progress | None = None,
) -> tuple[list[Match], list[Thumbnail]]:
    """Find images with features in common.

    Args:
        own: Images to look for.
        their: Images to compare with.
        within: Whether both are one set: an image is compared with those after it only.
        on_progress: Called with the amount of work done and its total.

    Returns:
        Matches, and the images of ``own`` with few features in all views.

    Raises:
        NircolorError: An image cannot be read again.
    """
    views = list(dict.fromkeys(view for one in own for view in one.grays))
    blocks = [their[start : start + _BLOCK] for start in range(0, len(their), _BLOCK)]
    own_blocks = [own[start : start + _OWN_BLOCK] for start in range(0, len(own), _OWN_BLOCK)]
    total = len(own) * (len(views) * len(blocks) + 1) + len(their) * len(own_blocks) / 5
    done = 0.0

    def advance(steps: float) -> None:
        nonlocal done
        done += steps
        if on_progress is not None:
            on_progress(done, total)

    found: list[Match] = []
    rich: set[int] = set()
    place = {id(one.image): index for index, one in enumerate(own)}
    for own_block in own_blocks:
        variants: list[_Variants] = []
        for thumbnail, by_view in _mapped(_variants, own_block):
            advance(1)
            some = [
                _Variants(thumbnail, view, one) for view, one in by_view.items() if len(one[0].points) >= _FEW
            ]
            variants += some
            if some:
                rich.add(id(thumbnail))
        for block in blocks:
            features: dict[int, dict[str, Features]] = {}
            for thumbnail, one in _mapped(_features, block):
                advance(0.2)
                features[id(thumbnail)] = one
            for view in views:
                known = [one for one in block if view in features[id(one)]]
                others = [features[id(one)][view] for one in known]
                wanted = [one for one in variants if one.view == view]
                if known and wanted:
                    index = FeatureIndex(others)
                    batches = [wanted[start : start + _BATCH] for start in range(0, len(wanted), _BATCH)]
                    for batch, candidates in _mapped(partial(_search, index), batches):
                        for one_image, likely in zip(batch, candidates, strict=True):
                            found += _fitted(one_image, likely, known, others, place if within else None)
                        advance(len(batch))
    return found, [one for one in own if id(one) not in rich]


def _fitted(
    one: _Variants,
    candidates: Sequence[Candidate],
    known: Sequence[Thumbnail],
    others: Sequence[Features],
    place: Mapping[int, int] | None,
) -> Iterator[Match]:
    """Fit a map to each candidate; within a set, to those whose ``place`` in it follows."""
    for candidate in candidates:
        image, other = one.thumbnail.image, known[candidate.image].image
        if place is not None and place[id(other)] <= place[id(image)]:
            continue
        fit = fit_map(one.features[candidate.variant], others[candidate.image])
        if fit is not None and fit.matches >= MIN_MATCHES:
            yield Match(image, other, one.view, fit.matrix, fit.matches)


def _features(thumbnail: Thumbnail) -> dict[str, Features]:
    details = {view: reduced_gray(pixels) for view, pixels in thumbnail.image.read().items()}
    return {view: find_features(*detail) for view, detail in details.items() if view in thumbnail.grays}


def _variants(thumbnail: Thumbnail) -> dict[str, list[Features]]:
    found = {}
    for view, pixels in thumbnail.image.read().items():
        gray, size = reduced_gray(pixels)
        plain = find_features(gray, size)
        found[view] = [plain]
        if len(plain.points) >= _FEW:
            shapes = [plain, *(find_features(gray, size, shape, _FITTED_SHAPES) for shape in SHAPES if shape)]
            found[view] = [*shapes, *(one.mirrored() for one in shapes)]
    return found


def _search(index: FeatureIndex, batch: Sequence[_Variants]) -> list[list[Candidate]]:
    """Find candidates for each image, by its strongest features."""
    searched = [
        [
            features.strongest(_SEARCHED if place % len(SHAPES) == 0 else _SEARCHED_SHAPES)
            for place, features in enumerate(one.features)
        ]
        for one in batch
    ]
    return index.search(searched, _CANDIDATES)


def _mapped(run: Callable[[T], R], jobs: Iterable[T]) -> Iterator[tuple[T, R]]:
    """Run jobs in parallel; yield each with its result, in order of completion."""
    return in_parallel(jobs, lambda job, _: (job, run(job)), parallel=os.cpu_count() or 1)
