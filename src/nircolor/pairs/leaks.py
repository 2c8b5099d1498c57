"""Images that two sets share: copies pixel by pixel, and the same photograph in another form.

A published test set of this field holds training images under new names; a score on it says little.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from nircolor.arrays import Floats
from nircolor.errors import NircolorError
from nircolor.imagery import find_images, open_raster
from nircolor.modelfile import Band
from nircolor.pairs.likeness import likenesses, overlap_px, scaled, textured
from nircolor.pairs.pair import Pair
from nircolor.pairs.reading import read_colour, read_pair

# mean side of the thumbnails that all are compared by, and of the images that suspects are compared by
_THUMBNAIL_PX, _DETAIL_PX = 64, 256
# crops down to half a side are looked for, in steps of an eighth of an octave, then finer
_STEPS, _FINE_STEPS = 8, 32
# of texture, the least correlation of a leak, and by how much it must exceed that at other shifts. Of the
# images that this was made with, versions down to JPEG at quality 10 reached 0.53 and 0.42. Others may
# correlate more (straight shores in satellite patches), but then at other shifts too, all but 0.38 of it
_ALIKE, _DISTINCT = 0.5, 0.4
# where two overlap by fewer pixels they correlate by chance: more is asked, up to so much
_ENOUGH_PX, _ALIKE_IF_SMALL = 10_000, 0.8
# what correlates so much is a leak wherever else it fits: a field with one edge, re-encoded. Other such
# patches reached 0.83
_CERTAIN = 0.93
# what a thumbnail must have of the latter to be suspected, and how many suspects there can be
_SUSPECT, _SUSPECTS = 0.1, 4

Views = Mapping[str, Floats]
Progress = Callable[[int, int], None]
Kind = Literal["exact copy", "same view", "shifted", "rescaled"]


@dataclass(frozen=True)
class Leak:
    """A image of one set that another shows too.

    Attributes:
        name: of the image.
        other: what the other set calls it.
        kind: pixel by pixel; the same view, re-encoded, retouched or taken again; shifted too; or a crop at
            another scale.
        view: what of the pair is alike: ``NIR``, ``colour`` or, of single images, ``image``.
        correlation: of their texture where they overlap; 1 for an exact copy.
        scale: how much larger the other shows things, to about 2%.
    """

    name: str
    other: str
    kind: Kind
    view: str
    correlation: float
    scale: float

    @property
    def how(self) -> str:
        """In words: ``rescaled, there 1.33 times as large; NIR alike by 0.93``."""
        size = f", there {self.scale:.2f} times as large" if self.kind == "rescaled" else ""
        return f"{self.kind}{size}; {self.view} alike by {self.correlation:.2f}"


@dataclass(frozen=True)
class Photograph:
    """A image to be compared: a name, and how to read its views (channels, h, w)."""

    name: str
    read: Callable[[], Views]


def photographs(pairs: Sequence[Pair], bands: Sequence[Band] | None = None) -> list[Photograph]:
    """Pairs, to be compared by their NIR (``bands`` of it, where files hold many) and by their colour."""
    return [Photograph(pair.name, lambda pair=pair: _views(pair, bands)) for pair in pairs]  # type: ignore[misc]


def single_photographs(pairs: Sequence[Pair]) -> list[Photograph]:
    """Both sides of pairs as images of their own, to be compared with `photographs_in`."""
    return [
        Photograph(f"{one.name} ({view})", lambda one=one, view=view: {"image": one.read()[view]})  # type: ignore[misc]
        for pair, one in zip(pairs, photographs(pairs), strict=True)
        for view in (["colour"] if pair.nir == pair.rgb else ["NIR", "colour"])
    ]


def photographs_in(folder: Path) -> list[Photograph]:
    """All images of a folder and its subfolders, whatever they show.

    Raises:
        NircolorError: there are none.
    """
    files = find_images(folder, recursive=True)
    if not files:
        raise NircolorError(f"{folder}: expected images, found none")
    return [
        Photograph(path.relative_to(folder).as_posix(), lambda path=path: {"image": _read(path)})  # type: ignore[misc]
        for path in files
    ]


def find_leaks(
    images: Sequence[Photograph],
    others: Sequence[Photograph],
    *,
    same_scale: bool = False,
    on_progress: Progress = lambda _done, _total: None,
) -> list[Leak]:
    """Images that ``others`` show too, sorted by name, each with the one that is most alike.

    Copies are found by a hash of the pixels, all else by the texture of thumbnails: re-encoded, paler,
    shifted (by up to half a side) and cropped (down to about half a side) versions of a photograph.
    Suspects are compared again in detail. Mirrored and turned images are not looked for.

    Args:
        images: those in question.
        others: those that they are compared with.
        same_scale: do not look for crops that were enlarged; quicker.
        on_progress: called with how many comparisons of how many are done.

    Raises:
        NircolorError: a image cannot be read.
    """
    own = [_Reduced.of(one, _THUMBNAIL_PX) for one in images]
    their = [_Reduced.of(one, _THUMBNAIL_PX) for one in others]
    found = dict(_copies(own, their))
    open_ones = [one for one in own if one.photograph not in found]
    suspects: dict[Photograph, list[_Suspect]] = {one.photograph: [] for one in open_ones}
    views = dict.fromkeys(view for one in own for view in one.grays)
    rounds = list(_rounds(open_ones, their, same_scale))
    for done, (some, some_others, factor) in enumerate(rounds):
        on_progress(done, len(rounds))
        for view in views:
            for suspect in _suspects(some, some_others, view, factor):
                suspects[suspect.image].append(suspect)
    for image, of_one in suspects.items():
        # often one and the same leads both lists
        likeliest = dict.fromkeys(
            [
                *sorted(of_one, key=lambda suspect: -suspect.distinctness)[:_SUSPECTS],
                *sorted(of_one, key=lambda suspect: -suspect.correlation)[:1],
            ]
        )
        leaks = [leak for leak in (_verified(one, same_scale) for one in likeliest) if leak is not None]
        if leaks:
            found[image] = max(leaks, key=lambda leak: leak.correlation)
    return sorted(found.values(), key=lambda leak: leak.name)


class _Suspect(NamedTuple):
    """Two images that look alike in a thumbnail's view, things in the other ``scale`` times as large."""

    image: Photograph
    other: Photograph
    view: str
    correlation: float
    distinctness: float
    scale: float


@dataclass(frozen=True)
class _Reduced:
    """A photograph's views as gray images (h, w), how far they were reduced, and the pixels' hashes."""

    photograph: Photograph
    grays: dict[str, Floats]
    reduction: float
    digests: dict[str, bytes]

    @property
    def name(self) -> str:
        """The photograph's."""
        return self.photograph.name

    @classmethod
    def of(cls, photograph: Photograph, side_px: int) -> "_Reduced":
        """Reduced to a mean side of ``side_px``, or as it is where it is smaller."""
        views = photograph.read()
        reduction = min(1.0, side_px / float(np.sqrt(next(iter(views.values()))[0].size)))
        return cls(
            photograph,
            {view: scaled(image.mean(axis=0), reduction) for view, image in views.items()},
            reduction,
            # two black images are no copies of each other
            {view: _digest(image) for view, image in views.items() if image.min() < image.max()},
        )


def _digest(image: Floats) -> bytes:
    # one hash for 8 and 16 bits of one image; the shape belongs to it, since bytes do not tell rows
    pixels = np.rint(65535 * image).astype("<u2")
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).digest()


def _copies(own: Sequence[_Reduced], their: Sequence[_Reduced]) -> Iterator[tuple[Photograph, Leak]]:
    known = {item: one.name for one in reversed(their) for item in one.digests.items()}
    for one in own:
        for view, digest in one.digests.items():
            if (view, digest) in known:
                yield one.photograph, Leak(one.name, known[view, digest], "exact copy", view, 1.0, 1.0)
                break


def _rounds(
    own: Sequence[_Reduced], their: Sequence[_Reduced], same_scale: bool
) -> Iterator[tuple[Sequence[_Reduced], Sequence[_Reduced], float]]:
    """Who is compared with whom, and how much larger the others' thumbnails are then taken to show things."""
    if not same_scale:
        for step in range(-_STEPS, _STEPS + 1):
            yield own, their, 2 ** (step / _STEPS)
        return
    # thumbnails of images of different size are at different scales
    for a, b in product({one.reduction for one in own}, {one.reduction for one in their}):
        yield [one for one in own if one.reduction == a], [one for one in their if one.reduction == b], b / a


def _suspects(
    own: Sequence[_Reduced], their: Sequence[_Reduced], view: str, factor: float
) -> Iterator[_Suspect]:
    """The likeliest of ``their`` for each of ``own`` if thumbnails show things ``factor`` times as large."""
    images, others = ([one for one in side if view in one.grays] for side in (own, their))
    if not images or not others:
        return
    alike = likenesses(
        *_at_one_scale([one.grays[view] for one in images], [o.grays[view] for o in others], factor)
    )
    distinctness = alike.correlation - alike.runner_up
    for row, one in enumerate(images):
        for best in {int(distinctness[row].argmax()), int(alike.correlation[row].argmax())}:
            found = float(alike.correlation[row, best]), float(distinctness[row, best])
            if found[0] >= _CERTAIN or found[1] >= _SUSPECT:
                scale = factor * one.reduction / others[best].reduction
                yield _Suspect(one.photograph, others[best].photograph, view, *found, scale)


def _verified(suspect: _Suspect, same_scale: bool) -> Leak | None:
    """Whether a suspect is alike in detail too, and in what form."""
    a, b = (_Reduced.of(one, _DETAIL_PX) for one in (suspect.image, suspect.other))
    own, their = a.grays[suspect.view], b.grays[suspect.view]
    best: Leak | None = None
    reach = 0 if same_scale else _FINE_STEPS // _STEPS // 2
    for step in range(-reach, reach + 1):
        scale = suspect.scale * 2 ** (step / _FINE_STEPS)
        textures = _at_one_scale([own], [their], scale * b.reduction / a.reduction)
        alike = likenesses(*textures)
        correlation = float(alike.correlation[0, 0])
        shared_px = overlap_px(textures[0][0].shape, textures[1][0].shape, alike.shifts_px[0, 0])
        least = min(_ALIKE_IF_SMALL, _ALIKE * max(1.0, (_ENOUGH_PX / shared_px) ** 0.5))
        distinct = correlation - float(alike.runner_up[0, 0]) >= _DISTINCT
        better = best is None or correlation > best.correlation
        if better and correlation >= least and (distinct or correlation >= _CERTAIN):
            moved = np.abs(alike.shifts_px[0, 0]).max() > 1 or own.shape != their.shape
            same = abs(scale - 1) < 2 ** (0.5 / _FINE_STEPS) - 1
            kind: Kind = "rescaled" if not same else "shifted" if moved else "same view"
            best = Leak(a.name, b.name, kind, suspect.view, correlation, scale)
    return best


def _at_one_scale(own: Sequence[Floats], their: Sequence[Floats], factor: float) -> list[list[Floats]]:
    """Textures, of those that show things larger reduced: ``their`` by a ``factor`` above 1, else ``own``."""
    return [
        [textured(scaled(gray, min(1.0, reduction))) for gray in grays]
        for grays, reduction in ((own, factor), (their, 1 / factor))
    ]


def _views(pair: Pair, bands: Sequence[Band] | None) -> Views:
    if bands is None and pair.nir == pair.rgb:
        # which of its many bands are NIR is not known
        return {"colour": read_colour(pair.rgb, pair.name, rgb_nm=pair.rgb_nm, scale=pair.rgb_scale)[0]}
    nir, rgb, _ = read_pair(pair, bands)
    return {"NIR": nir, "colour": rgb}


def _read(path: Path) -> Floats:
    with open_raster(path) as raster:
        return raster.read()[0]
