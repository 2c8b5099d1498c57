"""Find leaks: images that two data sets share, as copies, in a modified form, or as views of the same place.

A score on a test set that contains training images says little about new images. A published test set of this
field contains training images under new names; a published training set contains the photographs from which
the test images were cropped, squashed to squares.
"""

import csv
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import groupby
from typing import IO, Any, Literal, NamedTuple

import numpy as np

from nircolor.errors import NircolorError, NircolorWarning
from nircolor.extras import install_command
from nircolor.pairs.compared import ComparedImage, open_for_comparison
from nircolor.pairs.feature_search import search_features
from nircolor.pairs.matching import Details, Match, judge
from nircolor.pairs.opened_set import SetSource
from nircolor.pairs.texture_search import Thumbnail, copies, search_texture
from nircolor.parallel import Progress
from nircolor.texts import count_of

Kind = Literal["exact copy", "same photograph", "same place"]
KINDS: tuple[Kind, ...] = ("exact copy", "same photograph", "same place")


@dataclass(frozen=True)
class Leak:
    """An image of one set that another set contains too, or whose place another set shows.

    Attributes:
        name: Name of the image.
        other: Name of the image in the other set.
        kind: ``exact copy``: equal pixels. ``same photograph``: encoded again, retouched, cropped, scaled,
            squashed, mirrored or rotated. ``same place``: another photograph of what this one shows, or the
            same one altered beyond recognition, such as NIR and colour.
        view: Which images of the pairs match: ``NIR`` or ``colour``; ``image`` for single images.
        matches: Number of local features that agree with ``transform``; 0 if the images were compared by
            texture only.
        agreement: Share of the common textured area where the details of both images agree, 0 to 1.
        overlap: Share of this image that the other one shows, 0 to 1.
        other_overlap: Share of the other image that this one shows, 0 to 1.
        transform: Affine map (a, b, c, d, e, f) of this image to the other one, in pixels from the centre of
            the top left pixel: x' = a x + b y + c, y' = d x + e y + f.
    """

    name: str
    other: str
    kind: Kind
    view: str
    matches: int
    agreement: float
    overlap: float
    other_overlap: float
    transform: tuple[float, float, float, float, float, float]

    @property
    def scales(self) -> tuple[float, float]:
        """Size of objects in the other image relative to this one, along this image's x and y."""
        a, b, _, d, e, _ = self.transform
        return float(np.hypot(a, d)), float(np.hypot(b, e))

    @property
    def mirrored(self) -> bool:
        """Whether one image is a mirror image of the other."""
        a, b, _, d, e, _ = self.transform
        return a * e < b * d

    @property
    def turned_deg(self) -> float:
        """Clockwise angle by which this image is turned, -180 to 180, after mirroring left to right."""
        a, _, _, d, _, _ = self.transform
        sign = -1 if self.mirrored else 1
        return float(np.degrees(np.arctan2(sign * d, sign * a)))

    @property
    def description(self) -> str:
        """Summary in one line.

        Such as ``same photograph, scaled 0.44; 96% of it shows 18% of the other; 86 matches, 100% of the
        details of NIR agree``.
        """
        parts: list[str] = [self.kind]
        across, down = self.scales
        if max(abs(across - 1), abs(down - 1)) >= 0.02:
            alike = abs(across - down) < 0.02 * down
            parts.append(f"scaled {across:.2f}" if alike else f"scaled {across:.2f} × {down:.2f}")
        if self.mirrored:
            parts.append("mirrored")
        if abs(self.turned_deg) >= 2:
            parts.append(f"turned {self.turned_deg:.0f}°")
        if self.kind == "exact copy":
            return f"{self.kind} of the {self.view}" if self.view != "image" else self.kind
        evidence = f"{self.matches} matches" if self.matches else "compared by texture"
        details = "details" if self.view == "image" else f"details of {self.view}"
        return (
            f"{', '.join(parts)}; {self.overlap:.0%} of it shows {self.other_overlap:.0%} of the other; "
            f"{evidence}, {self.agreement:.0%} of the {details} agree"
        )


class Unreadable(NamedTuple):
    """An image that could not be read, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class LeakCheck:
    """Result of comparing two sets.

    Attributes:
        leaks: All matches, sorted by name; those of one image in the order of `KINDS`, then by evidence.
        images: Number of images compared.
        others: Number of images of the other set.
        unclear: Names of images with too little texture to tell, such as sky or snow.
        unreadable: Images of either set that could not be read, and were left out.
        within: Whether a set was compared with itself: ``leaks`` are duplicates within it, each pair once.
    """

    leaks: tuple[Leak, ...]
    images: int
    others: int
    unclear: tuple[str, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    within: bool = False

    def names(self, *kinds: Kind) -> list[str]:
        """Return the names of the images that leak, of all kinds or of some."""
        return list(dict.fromkeys(leak.name for leak in self.leaks if not kinds or leak.kind in kinds))

    @property
    def best(self) -> list[Leak]:
        """The best match of each image."""
        return [next(group) for _, group in groupby(self.leaks, key=lambda leak: leak.name)]

    @property
    def summary(self) -> str:
        """One sentence: how many images leak, by kind, and about how many nothing can be said."""
        counts = {kind: len(self.names(kind)) for kind in KINDS}
        found = ", ".join(f"{kind} {count}" for kind, count in counts.items() if count)
        where = "other images of the set" if self.within else f"the {self.others} training images"
        text = f"{len(self.names())} of {count_of(self.images, 'image')} match {where}"
        text += f" ({found})" if found else ""
        if self.unclear:
            text += f"; cannot tell for {len(self.unclear)} with too little texture"
        if self.unreadable:
            text += f"; {len(self.unreadable)} could not be read"
        return text


def find_leaks(
    evaluated: SetSource,
    training: SetSource,
    *,
    table: str | os.PathLike[str] | None = None,
    same_scale: bool = False,
    on_progress: Progress | None = None,
) -> LeakCheck:
    """Find images of an evaluated set that a training set contains too, in any form.

    Finds exact copies, and photographs that were encoded again, retouched, cropped to a fifth of the area,
    scaled, squashed up to 1:3, mirrored or rotated. Other photographs of the same place are reported as such.

    Args:
        evaluated: Evaluated set, as for `open_set`, or any folder of images. If a folder is not a set of
            pairs, its single images are compared, with a warning.
        training: Set to compare with. If it is the evaluated set, duplicates within it are found.
        table: CSV of groups and splits of both sets, see `PairedSet`.
        same_scale: Find only copies of the same scale and orientation, which is faster. For satellite images.
        on_progress: Called with the amount of work done and its total.

    Returns:
        The matches with their evidence, and the images for which there is no answer.

    Raises:
        NircolorError: A set cannot be opened, or none of its images can be read.

    Example:
        >>> check = find_leaks("test/", "train/")  # doctest: +SKIP
        >>> for leak in check.best:  # doctest: +SKIP
        ...     print(leak.name, leak.other, leak.kind, leak.matches)
        validation_0011 mountain_0086 same photograph 86
    """
    images, others = open_for_comparison(evaluated, training, table)
    return compare_images(images, others, same_scale=same_scale, on_progress=on_progress)


def compare_images(
    images: Sequence[ComparedImage],
    others: Sequence[ComparedImage],
    *,
    same_scale: bool = False,
    on_progress: Progress | None = None,
) -> LeakCheck:
    """Find images that are also among ``others``; see `find_leaks`.

    Args:
        images: Images to look for.
        others: Images to compare with. If both have the same files, duplicates among them are found.
        same_scale: See `find_leaks`.
        on_progress: See `find_leaks`.

    Raises:
        NircolorError: None of the images, or none of the others, can be read.
    """
    within = bool(images) and bool(images[0].files) and [i.files for i in images] == [o.files for o in others]
    unreadable: list[Unreadable] = []

    def reduced(side: Sequence[ComparedImage]) -> list[Thumbnail]:
        found = []
        for one in side:
            try:
                found.append(Thumbnail.of(one))
            except NircolorError as error:
                unreadable.append(Unreadable(one.name, str(error)))
        if side and not found:
            raise NircolorError(unreadable[-1].reason)
        return found

    own = reduced(images)
    return compare_thumbnails(
        own, own if within else reduced(others), same_scale=same_scale, on_progress=on_progress,
        unreadable=unreadable,
    )  # fmt: skip


def compare_thumbnails(
    own: Sequence[Thumbnail],
    their: Sequence[Thumbnail],
    *,
    same_scale: bool = False,
    on_progress: Progress | None = None,
    unreadable: Sequence[Unreadable] = (),
) -> LeakCheck:
    """Find leaks from thumbnails; the images are read again where details are needed.

    Exact copies are found by a hash of the pixels, other images by local features, those with few features by
    their texture.

    Args:
        own: Thumbnails of the images to look for.
        their: Thumbnails of the images to compare with; if it is ``own`` itself, duplicates are found.
        same_scale: See `find_leaks`.
        on_progress: See `find_leaks`.
        unreadable: Images that were left out before.

    Raises:
        NircolorError: An image cannot be read again.
    """
    within = own is their
    found: list[Match] = list(copies(own, their, within))
    copied = {match.image for match in found}
    rest = [one for one in own if within or one.image not in copied]
    by_features = not same_scale and _has_opencv()
    plain = rest
    share = 0.9 if by_features else 0.0

    def part(start: float, size: float) -> Progress | None:
        if on_progress is None:
            return None
        return lambda done, total: on_progress(start + size * done / max(total, 1), 1.0)

    details = Details()
    if by_features:
        matches, plain = search_features(rest, their, within, part(0.0, share))
        found += matches
    texture = search_texture(plain, their, same_scale, within, part(share, 1 - share))
    known = {(match.image, match.other) for match in found}
    for match in texture:
        # within a set, two images may find each other
        if (match.image, match.other) not in known and not (within and (match.other, match.image) in known):
            found.append(match)
            known.add((match.image, match.other))
    leaks = [leak for leak in (_leak(match, details) for match in _one_per_pair(found)) if leak is not None]
    matched = {id(match.image) for match, _ in leaks}
    few = {id(one) for one in plain} if by_features else set()
    unclear = [
        one.name for one in own if id(one.image) not in matched and (id(one) in few or not one.textured)
    ]
    order = {id(one.image): place for place, one in enumerate(own)}
    leaks.sort(
        key=lambda item: (
            item[1].name, order[id(item[0].image)], KINDS.index(item[1].kind), -item[1].matches,
            -item[1].agreement,
        )
    )  # fmt: skip
    if on_progress is not None:
        on_progress(1.0, 1.0)
    return LeakCheck(
        tuple(leak for _, leak in leaks), len(own), len(their), tuple(unclear), tuple(unreadable), within
    )


def write_leaks(leaks: Sequence[Leak], file: IO[str]) -> None:
    """Write leaks as CSV, one row per leak, with the keys of `leak_row` as columns."""
    writer: csv.DictWriter[str] | None = None
    for leak in leaks:
        row = leak_row(leak)
        if writer is None:
            writer = csv.DictWriter(file, list(row), lineterminator="\n")
            writer.writeheader()
        writer.writerow(row | {"transform": " ".join(f"{value:.6g}" for value in leak.transform)})


def leak_row(leak: Leak) -> dict[str, Any]:
    """Return a leak as plain values, with shares in percent."""
    across, down = leak.scales
    return {
        "name": leak.name,
        "other": leak.other,
        "kind": leak.kind,
        "view": leak.view,
        "matches": leak.matches,
        "agreement_percent": round(100 * leak.agreement),
        "overlap_percent": round(100 * leak.overlap),
        "other_overlap_percent": round(100 * leak.other_overlap),
        "scale_x": round(across, 3),
        "scale_y": round(down, 3),
        "mirrored": leak.mirrored,
        "turned_deg": round(leak.turned_deg, 1),
        "transform": [float(f"{value:.6g}") for value in leak.transform],
    }


def _has_opencv() -> bool:
    if find_spec("cv2") is not None:
        return True
    warnings.warn(
        "leaks: without OpenCV, only copies and uniformly scaled crops are found; for all forms: "
        f"{install_command('evaluate')}",
        NircolorWarning,
        stacklevel=3,
    )
    return False


def _one_per_pair(matches: Sequence[Match]) -> list[Match]:
    """Keep the best match of each two images: they may match by NIR and by colour."""
    best: dict[tuple[int, int], Match] = {}
    for match in matches:
        key = id(match.image), id(match.other)
        if key not in best or (match.copy, match.matches) > (best[key].copy, best[key].matches):
            best[key] = match
    return list(best.values())


def _leak(match: Match, details: Details) -> tuple[Match, Leak] | None:
    kind: Kind = "exact copy"
    agreement = overlap = other_overlap = 1.0
    if not match.copy:
        judged = judge(match, details)
        if judged is None:
            return None
        kind, agreement, overlap, other_overlap = judged
    a, b, c, d, e, f = (float(value) for value in match.matrix.ravel())
    return match, Leak(
        match.image.name, match.other.name, kind, match.view, match.matches, agreement, overlap,
        other_overlap, (a, b, c, d, e, f),
    )  # fmt: skip
