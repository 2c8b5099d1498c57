"""Find leaks: images that two data sets share, as exact copies or in another form.

A score on a test set that contains training images says little about new images. A published test set of this
field contains training images under new names.
"""

import csv
import hashlib
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import IO, Literal, NamedTuple

import numpy as np

from nircolor.arrays import Floats
from nircolor.errors import NircolorError, NircolorWarning
from nircolor.imagery import find_images, open_raster
from nircolor.pairs.correlation import correlate, overlap_px, scaled, texture_of
from nircolor.pairs.opened_set import Role, SetSource, open_set
from nircolor.pairs.pair import Bands, Pair, read_colour, read_pair
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

Views = Mapping[str, Floats]
Kind = Literal["exact copy", "same view", "shifted", "rescaled"]


@dataclass(frozen=True)
class Leak:
    """An image of one set that another set contains too.

    Attributes:
        name: Name of the image.
        other: Name of the image in the other set.
        kind: ``exact copy``: equal pixels. ``same view``: re-encoded, retouched or photographed again.
            ``shifted``: the same, shifted. ``rescaled``: a crop at another scale.
        view: Which images of the pairs match: ``NIR`` or ``colour``; ``image`` for single images.
        correlation: Correlation of the texture where they overlap; 1 for an exact copy.
        scale: Size of objects in the other image relative to this one, accurate to about 2%.
    """

    name: str
    other: str
    kind: Kind
    view: str
    correlation: float
    scale: float

    @property
    def description(self) -> str:
        """Summary in one phrase: ``rescaled, 1.33 times as large there; correlation of NIR 0.93``."""
        size = f", {self.scale:.2f} times as large there" if self.kind == "rescaled" else ""
        return f"{self.kind}{size}; correlation of {self.view} {self.correlation:.2f}"


@dataclass(frozen=True)
class ComparedImage:
    """An image, or a pair, to compare with others.

    Attributes:
        name: Name for `Leak`.
        read: Function that returns its views, arrays (channels, h, w) by name: NIR and colour of a pair.
    """

    name: str
    read: Callable[[], Views]


def find_leaks(
    evaluated: SetSource,
    training: SetSource,
    *,
    table: str | os.PathLike[str] | None = None,
    same_scale: bool = False,
    on_progress: Progress | None = None,
) -> list[Leak]:
    """Find images of an evaluated set that a training set contains too.

    Finds exact copies and images of the same texture: re-encoded, brightened, shifted by up to half a side,
    or cropped to at least about half a side and enlarged. Does not find mirrored or rotated copies, or other
    views of the same place.

    Args:
        evaluated: Evaluated set, as for `open_set`, or any folder of images. If a folder is not a set of
            pairs, its single images are compared, with a warning.
        training: Set to compare with.
        table: CSV of groups and splits of both sets, see `PairedSet`.
        same_scale: Do not search for enlarged or reduced copies, which is faster. For satellite images.
        on_progress: Called with the comparisons done and their total number.

    Returns:
        Leaks, sorted by name; for each image the best match.

    Raises:
        NircolorError: A set cannot be opened, or an image cannot be read.

    Example:
        >>> for leak in find_leaks("test/", "train/"):  # doctest: +SKIP
        ...     print(leak.name, leak.other, leak.description)
        validation_0012 mountain_0082 rescaled, 1.31 times as large there; correlation of NIR 0.95
    """
    images, others = open_for_comparison(evaluated, training, table)
    return compare_images(images, others, same_scale=same_scale, on_progress=on_progress)


def open_for_comparison(
    evaluated: SetSource, training: SetSource, table: str | os.PathLike[str] | None = None
) -> tuple[list[ComparedImage], list[ComparedImage]]:
    """Open two sets for `compare_images`: as pairs if both are sets of pairs, else as single images.

    Args:
        evaluated: As for `find_leaks`.
        training: As for `find_leaks`.
        table: As for `find_leaks`.

    Raises:
        NircolorError: A set cannot be opened.
    """
    opened = _open(evaluated, "evaluated", table), _open(training, "training", table)
    as_pairs = all(pairs for pairs, _ in opened)
    images, others = (pairs if as_pairs else single for pairs, single in opened)
    return images, others


def compare_images(
    images: Sequence[ComparedImage],
    others: Sequence[ComparedImage],
    *,
    same_scale: bool = False,
    on_progress: Progress | None = None,
) -> list[Leak]:
    """Find images that are also among ``others``; see `find_leaks`.

    Args:
        images: Images to look for.
        others: Images to compare with.
        same_scale: See `find_leaks`.
        on_progress: See `find_leaks`.

    Raises:
        NircolorError: An image cannot be read.
    """
    own, their = ([Thumbnail.of(one) for one in side] for side in (images, others))
    return compare_thumbnails(own, their, same_scale=same_scale, on_progress=on_progress)


def compare_thumbnails(
    own: "Sequence[Thumbnail]",
    their: "Sequence[Thumbnail]",
    *,
    same_scale: bool = False,
    on_progress: Progress | None = None,
) -> list[Leak]:
    """Find leaks from thumbnails; only suspects are read again.

    Exact copies are found by a hash of the pixels. For the other images, thumbnails are correlated at
    seventeen relative scales, and the best matches are verified on larger views.

    Args:
        own: Thumbnails of the images to look for.
        their: Thumbnails of the images to compare with.
        same_scale: See `find_leaks`.
        on_progress: See `find_leaks`.

    Raises:
        NircolorError: An image cannot be read.
    """
    found = dict(_copies(own, their))
    unmatched = [one for one in own if one.image not in found]
    suspects: dict[ComparedImage, list[_Suspect]] = {one.image: [] for one in unmatched}
    views = dict.fromkeys(view for one in own for view in one.grays)
    rounds = list(_rounds(unmatched, their, same_scale))
    for done, (some, some_others, factor) in enumerate(rounds):
        if on_progress is not None:
            on_progress(done, len(rounds))
        for view in views:
            for suspect in _suspects(some, some_others, view, factor):
                suspects[suspect.image.image].append(suspect)
    # cached, because an image is often a suspect for several others
    detailed = lru_cache(_DETAILS_KEPT)(_detailed)
    for image, candidates in suspects.items():
        # dict.fromkeys removes duplicates: the first of both lists is often the same
        likeliest = dict.fromkeys(
            [
                *sorted(candidates, key=lambda suspect: -suspect.excess)[:_MAX_SUSPECTS],
                *sorted(candidates, key=lambda suspect: -suspect.correlation)[:1],
            ]
        )
        leaks = [
            leak for leak in (_verify(one, same_scale, detailed) for one in likeliest) if leak is not None
        ]
        if leaks:
            found[image] = max(leaks, key=lambda leak: leak.correlation)
    if on_progress is not None:
        on_progress(len(rounds), len(rounds))
    return sorted(found.values(), key=lambda leak: leak.name)


def write_leaks(leaks: Sequence[Leak], file: IO[str]) -> None:
    """Write leaks as CSV, one row per leak, with the fields of `Leak` as columns."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(field.name for field in fields(Leak))
    for leak in leaks:
        *words, correlation, scale = astuple(leak)
        writer.writerow([*words, f"{correlation:.3f}", f"{scale:.3f}"])


def compared_pairs(pairs: Sequence[Pair], bands: Bands = None) -> list[ComparedImage]:
    """Prepare pairs for comparison; multi-band files are compared by colour only if ``bands`` is None."""
    return [ComparedImage(pair.name, lambda pair=pair: _views(pair, bands)) for pair in pairs]  # type: ignore[misc]


def compared_sides(pairs: Sequence[Pair]) -> list[ComparedImage]:
    """Prepare NIR and colour images of pairs for comparison with single images (`compared_files`)."""
    return [
        ComparedImage(f"{one.name} ({view})", lambda one=one, view=view: {"image": one.read()[view]})  # type: ignore[misc]
        for pair, one in zip(pairs, compared_pairs(pairs), strict=True)
        for view in (["colour"] if pair.nir == pair.rgb else ["NIR", "colour"])
    ]


def compared_files(folder: Path) -> list[ComparedImage]:
    """Prepare all images of a folder and its subfolders for comparison.

    Raises:
        NircolorError: There are no images.
    """
    files = find_images(folder, recursive=True)
    if not files:
        raise NircolorError(f"{folder}: expected images, found none")
    return [
        ComparedImage(path.relative_to(folder).as_posix(), lambda path=path: {"image": _read(path)})  # type: ignore[misc]
        for path in files
    ]


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


def _open(
    source: SetSource, role: Role, table: str | os.PathLike[str] | None
) -> tuple[list[ComparedImage], list[ComparedImage]]:
    """Return a set as pairs and as single images; any other folder as single images only."""
    try:
        opened = open_set(source, role, table=table)
    except NircolorError as error:
        if table is not None or not isinstance(source, str | os.PathLike) or not Path(source).is_dir():
            raise
        single = compared_files(Path(source))
        warnings.warn(
            f"{source}: compared as {len(single)} single images, because it is not a set of pairs: {error}",
            NircolorWarning,
            stacklevel=4,
        )
        return [], single
    return compared_pairs(opened.pairs, opened.bands), compared_sides(opened.pairs)


def _digest(image: Floats) -> bytes:
    # 16 bits, so that 8-bit and 16-bit versions of an image are equal; tobytes() does not contain the shape
    pixels = np.rint(65535 * image).astype("<u2")
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).digest()


def _copies(own: Sequence[Thumbnail], their: Sequence[Thumbnail]) -> Iterator[tuple[ComparedImage, Leak]]:
    known = {item: one.name for one in reversed(their) for item in one.digests.items()}
    for one in own:
        for view, digest in one.digests.items():
            if (view, digest) in known:
                yield one.image, Leak(one.name, known[view, digest], "exact copy", view, 1.0, 1.0)
                break


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
    own: Sequence[Thumbnail], their: Sequence[Thumbnail], view: str, factor: float
) -> Iterator[_Suspect]:
    """Find the best matches of each of ``own`` if objects in ``their`` images are larger by ``factor``."""
    images, others = ([one for one in side if view in one.grays] for side in (own, their))
    if not images or not others:
        return
    found = correlate(
        *_at_one_scale([one.grays[view] for one in images], [o.grays[view] for o in others], factor)
    )
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


def _verify(suspect: _Suspect, same_scale: bool, detailed: Callable[[Thumbnail], Thumbnail]) -> Leak | None:
    """Compare two images on larger views; return None if they are no leak."""
    a, b = detailed(suspect.image), detailed(suspect.other)
    own, their = a.grays[suspect.view], b.grays[suspect.view]
    best: Leak | None = None
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
            shifted = np.abs(found.shifts_px[0, 0]).max() > 1 or own.shape != their.shape
            same = abs(scale - 1) < 2 ** (0.5 / _FINE_STEPS) - 1
            kind: Kind = "rescaled" if not same else "shifted" if shifted else "same view"
            best = Leak(a.name, b.name, kind, suspect.view, correlation, scale)
    return best


def _at_one_scale(own: Sequence[Floats], their: Sequence[Floats], factor: float) -> list[list[Floats]]:
    """Return textures at one scale: ``their`` images are reduced if ``factor`` is above 1, else ``own``."""
    return [
        [texture_of(scaled(gray, min(1.0, reduction))) for gray in grays]
        for grays, reduction in ((own, factor), (their, 1 / factor))
    ]


def _views(pair: Pair, bands: Bands) -> Views:
    if bands is None and pair.nir == pair.rgb:
        # it is unknown which of the bands are NIR
        return {"colour": read_colour(pair.rgb, pair.name, rgb_nm=pair.rgb_nm, scale=pair.rgb_scale)[0]}
    nir, rgb, _ = read_pair(pair, bands)
    return {"NIR": nir, "colour": rgb}


def _read(path: Path) -> Floats:
    with open_raster(path) as raster:
        return raster.read()[0]
