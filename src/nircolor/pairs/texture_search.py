"""Find images of the same texture by correlating thumbnails: for images with few local features."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np

from nircolor.arrays import Floats
from nircolor.pairs.compared import ComparedImage, Views
from nircolor.pairs.correlation import correlate, overlap_px, scaled, texture_of
from nircolor.pairs.matching import Match
from nircolor.parallel import Progress

# mean side of the thumbnails for comparing all images, and of the larger views for verifying suspects
_THUMBNAIL_PX, _DETAIL_PX = 64, 256
# crops down to half a side are searched, in steps of an eighth of an octave, then in finer steps
_STEPS, _FINE_STEPS = 8, 32
# minimum correlation of the texture in a leak, and minimum excess over the correlation at other shifts. In
# the images used to choose these values, copies down to JPEG quality 10 reached 0.53 and 0.42. Different
# images may correlate more (straight shores in satellite patches), but then at other shifts too: the excess
# was at most 0.38
_MIN_CORRELATION, _MIN_EXCESS = 0.5, 0.4
# smaller overlaps may correlate by chance; their minimum correlation is higher, up to the second value
_LARGE_OVERLAP_PX, _MIN_IF_SMALL = 10_000, 0.8
# above this correlation, an image is a leak even without the excess: for example a re-encoded field with a
# single edge. Different patches of this kind reached 0.83
_CERTAIN = 0.93
# minimum excess in thumbnails for verification, and maximum number of suspects per image
_SUSPECT_EXCESS, _MAX_SUSPECTS = 0.1, 4
# number of larger views kept in memory, about half a megabyte each
_DETAILS_KEPT = 64
# minimum mean energy of the texture of an image that can be recognized; fully textured images have 1
_MIN_ENERGY = 0.1


@dataclass(frozen=True, eq=False)
class Thumbnail:
    """Reduced gray views of an image, and hashes of its pixels.

    Attributes:
        image: The image.
        grays: Gray views (h, w) by name.
        reduction: Factor of the reduction, at most 1.
        digests: Hash of the pixels of each view that is not of one colour.
    """

    image: ComparedImage
    grays: dict[str, Floats]
    reduction: float
    digests: dict[str, bytes]

    @property
    def name(self) -> str:
        """Name of the image."""
        return self.image.name

    @property
    def textured(self) -> bool:
        """Whether a view has enough texture to be recognized."""
        return any(float(np.square(texture_of(gray)).mean()) >= _MIN_ENERGY for gray in self.grays.values())

    @classmethod
    def of(
        cls, image: ComparedImage, views: Views | None = None, side_px: int = _THUMBNAIL_PX
    ) -> "Thumbnail":
        """Reduce an image to a mean side of ``side_px``; a smaller image is kept as it is.

        Args:
            image: The image.
            views: Its views, if they have been read already.
            side_px: Mean side of the result.
        """
        views = image.read() if views is None else views
        reduction = min(1.0, side_px / float(np.sqrt(next(iter(views.values()))[0].size)))
        return cls(
            image,
            {view: scaled(pixels.mean(axis=0), reduction) for view, pixels in views.items()},
            reduction,
            # two black images are not copies of each other
            {view: _digest(pixels) for view, pixels in views.items() if pixels.min() < pixels.max()},
        )


class _Suspect(NamedTuple):
    """Two images with similar thumbnails; objects are ``scale`` times as large in the other one."""

    image: "Thumbnail"
    other: "Thumbnail"
    view: str
    correlation: float
    excess: float
    scale: float


def _digest(image: Floats) -> bytes:
    # 16 bits, so that 8-bit and 16-bit versions of an image are equal; tobytes() does not contain the shape
    pixels = np.rint(65535 * image).astype("<u2")
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).digest()


def copies(own: Sequence[Thumbnail], their: Sequence[Thumbnail], within: bool) -> Iterator[Match]:
    """Find exact copies by the hash of their pixels: the first one of each image.

    Args:
        own: Images to look for.
        their: Images to compare with.
        within: Whether both are one set: images that follow are compared only.
    """
    known: dict[tuple[str, bytes], ComparedImage] = {}
    if not within:
        known = {item: one.image for one in reversed(their) for item in one.digests.items()}
    for one in reversed(own):
        found = [
            (view, known[view, digest]) for view, digest in one.digests.items() if (view, digest) in known
        ]
        if within:
            known |= dict.fromkeys(one.digests.items(), one.image)
        if found:
            view, other = found[0]
            yield Match(one.image, other, view, np.eye(2, 3), copy=True)


def search_texture(
    own: Sequence[Thumbnail],
    their: Sequence[Thumbnail],
    same_scale: bool,
    within: bool,
    on_progress: Progress | None = None,
) -> list[Match]:
    """Find images of the same texture, shifted or uniformly scaled: for each image the best match.

    Thumbnails are correlated at seventeen relative scales, and the best matches are verified on larger views.

    Args:
        own: Images to look for.
        their: Images to compare with.
        same_scale: Compare at one scale only.
        within: Whether both are one set: an image is not compared with itself.
        on_progress: Called with the amount of work done and its total.

    Raises:
        NircolorError: An image cannot be read again.
    """
    if not own or not their:
        return []
    suspects: dict[ComparedImage, list[_Suspect]] = {one.image: [] for one in own}
    views = dict.fromkeys(view for one in own for view in one.grays)
    rounds = list(_rounds(own, their, same_scale))
    for done, (some, some_others, factor) in enumerate(rounds):
        if on_progress is not None:
            on_progress(done, len(rounds))
        for view in views:
            for suspect in _suspects(some, some_others, view, factor, within):
                suspects[suspect.image.image].append(suspect)
    # cached, because an image is often a suspect for several others
    detailed = lru_cache(_DETAILS_KEPT)(_detailed)
    matches: list[Match] = []
    for candidates in suspects.values():
        # dict.fromkeys removes duplicates: the first of both lists is often the same
        likeliest = dict.fromkeys(
            [
                *sorted(candidates, key=lambda suspect: -suspect.excess)[:_MAX_SUSPECTS],
                *sorted(candidates, key=lambda suspect: -suspect.correlation)[:1],
            ]
        )
        found = [
            match for match in (_verify(one, same_scale, detailed) for one in likeliest) if match is not None
        ]
        if found:
            matches.append(max(found, key=lambda match: match.correlation))
    return matches


def _rounds(
    own: Sequence[Thumbnail], their: Sequence[Thumbnail], same_scale: bool
) -> Iterator[tuple[Sequence[Thumbnail], Sequence[Thumbnail], float]]:
    """Yield thumbnails to compare, and the assumed size of objects in the others relative to the first."""
    if not same_scale:
        for step in range(-_STEPS, _STEPS + 1):
            yield own, their, 2 ** (step / _STEPS)
        return
    # thumbnails of images of different size have different scales
    for a, b in product({one.reduction for one in own}, {one.reduction for one in their}):
        yield [one for one in own if one.reduction == a], [one for one in their if one.reduction == b], b / a


def _suspects(
    own: Sequence[Thumbnail], their: Sequence[Thumbnail], view: str, factor: float, within: bool
) -> Iterator[_Suspect]:
    """Find the best matches of each of ``own`` if objects in ``their`` images are larger by ``factor``."""
    images, others = ([one for one in side if view in one.grays] for side in (own, their))
    if not images or not others:
        return
    found = correlate(
        *_at_one_scale([one.grays[view] for one in images], [o.grays[view] for o in others], factor)
    )
    if within:
        itself = {id(other): column for column, other in enumerate(others)}
        for row, one in enumerate(images):
            if id(one) in itself:
                found.correlation[row, itself[id(one)]] = found.runner_up[row, itself[id(one)]] = 0
    excess = found.correlation - found.runner_up
    for row, one in enumerate(images):
        for best in {int(excess[row].argmax()), int(found.correlation[row].argmax())}:
            values = float(found.correlation[row, best]), float(excess[row, best])
            if values[0] >= _CERTAIN or values[1] >= _SUSPECT_EXCESS:
                scale = factor * one.reduction / others[best].reduction
                yield _Suspect(one, others[best], view, *values, scale)


def _detailed(thumbnail: Thumbnail) -> Thumbnail:
    """Read an image again as a larger view, unless the thumbnail has its full resolution."""
    return thumbnail if thumbnail.reduction == 1 else Thumbnail.of(thumbnail.image, side_px=_DETAIL_PX)


def _verify(suspect: _Suspect, same_scale: bool, detailed: Callable[[Thumbnail], Thumbnail]) -> Match | None:
    """Compare two images on larger views; return None if they are no leak."""
    a, b = detailed(suspect.image), detailed(suspect.other)
    own, their = a.grays[suspect.view], b.grays[suspect.view]
    best: Match | None = None
    steps = 0 if same_scale else _FINE_STEPS // _STEPS // 2
    for step in range(-steps, steps + 1):
        scale = suspect.scale * 2 ** (step / _FINE_STEPS)
        textures = _at_one_scale([own], [their], scale * b.reduction / a.reduction)
        found = correlate(*textures)
        correlation = float(found.correlation[0, 0])
        shared_px = overlap_px(textures[0][0].shape, textures[1][0].shape, found.shifts_px[0, 0])
        minimum = min(_MIN_IF_SMALL, _MIN_CORRELATION * max(1.0, (_LARGE_OVERLAP_PX / shared_px) ** 0.5))
        distinct = correlation - float(found.runner_up[0, 0]) >= _MIN_EXCESS
        better = best is None or correlation > best.correlation
        if better and correlation >= minimum and (distinct or correlation >= _CERTAIN):
            # pixels of the other image per pixel of its texture
            px = 1 / (b.reduction * min(1.0, a.reduction / (scale * b.reduction)))
            down, right = found.shifts_px[0, 0] * px
            matrix = np.array([[scale, 0, right], [0, scale, down]])
            best = Match(a.image, b.image, suspect.view, matrix, correlation=correlation)
    return best


def _at_one_scale(own: Sequence[Floats], their: Sequence[Floats], factor: float) -> list[list[Floats]]:
    """Return textures at one scale: ``their`` images are reduced if ``factor`` is above 1, else ``own``."""
    return [
        [texture_of(scaled(gray, min(1.0, reduction))) for gray in grays]
        for grays, reduction in ((own, factor), (their, 1 / factor))
    ]
