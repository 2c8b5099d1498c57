"""Training sets of an evaluation: opening them, and which of the evaluated images and places they contain."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nircolor.errors import NircolorError
from nircolor.evaluation.evaluation import Places, SeenImage
from nircolor.pairs import Pair, PairedSet, open_set
from nircolor.pairs.compared import ComparedImage, compared_files, compared_sides
from nircolor.pairs.leaks import KINDS, Leak, compare_images
from nircolor.pairs.opened_set import SetSource
from nircolor.parallel import Progress
from nircolor.texts import count_of


@dataclass(frozen=True)
class TrainingSet:
    """A training set: pairs, or the single images of a folder that is not a set of pairs.

    Attributes:
        title: Path of the set and number of pairs or images, for messages and reports.
        pairs: The pairs; none if the set has single images.
        images: The single images.
        tables: Tables from which the groups of the pairs come.
        warning: Why the table was not used, or why there are no pairs.
    """

    title: str
    pairs: list[Pair]
    images: list[ComparedImage]
    tables: frozenset[Path]
    warning: str | None = None


def open_training(source: SetSource, table: str | os.PathLike[str] | None) -> TrainingSet:
    """Open a training set, which need not be a set of pairs, nor be in the table of the evaluated set.

    Raises:
        NircolorError: There are no images.
    """
    problem: NircolorError | None = None
    for one in dict.fromkeys((table, None)):
        try:
            opened = open_set(source, "training", table=one)
        except NircolorError as error:
            problem = problem or error
            continue
        warning = f"{opened.title}: the table was not used, because {problem}" if problem else None
        return TrainingSet(opened.title, opened.pairs, [], opened.tables, warning)
    assert problem is not None
    if isinstance(source, PairedSet) or not Path(source).is_dir():
        raise problem
    images = compared_files(Path(source))
    title = f"{os.fspath(source)}, {count_of(len(images), 'single image')}"
    return TrainingSet(title, [], images, frozenset(), f"{title}: only searched for leaks, because {problem}")


def seen_places(
    pairs: Sequence[Pair], training: Sequence[Pair], seen: Sequence[SeenImage]
) -> list[SeenImage]:
    """Find further pairs whose group is in training; groups can be compared only within one table."""
    found = {one.name for one in seen}
    names = {pair.group: pair.name for pair in reversed(training) if pair.group is not None}
    return [
        SeenImage(pair.name, names[pair.group], "another image of the place, by the table")
        for pair in pairs
        if pair.name not in found and pair.group in names
    ]


def seen_single(
    pairs: Sequence[Pair], images: Sequence[ComparedImage], same_scale: bool, on_progress: Progress
) -> list[SeenImage]:
    """Find pairs whose NIR or colour is among single images; of both, the better match."""
    check = compare_images(compared_sides(pairs), images, same_scale=same_scale, on_progress=on_progress)
    best: dict[str, Leak] = {}
    for leak in sorted(check.leaks, key=lambda leak: (KINDS.index(leak.kind), -leak.matches)):
        best.setdefault(leak.name.rpartition(" (")[0], leak)
    return [SeenImage(name, leak.other, leak.description) for name, leak in best.items()]


def find_places(pairs: Sequence[Pair], seen: Sequence[SeenImage], searched: bool) -> Places | None:
    """Return the place of each pair: its group, or else what the leak check found to match one image."""
    if any(pair.group is not None for pair in pairs):
        return Places("table", {pair.name: pair.place for pair in pairs})
    if not searched:
        return None
    parts: list[set[str]] = []
    for pair in pairs:
        names = {pair.name, *(f"training: {one.other}" for one in seen if one.name == pair.name)}
        touched = [part for part in parts if part & names]
        parts = [part for part in parts if not part & names] + [names.union(*touched)]
    first = {name: min(part) for part in parts for name in part}
    return Places("leak check", {pair.name: first[pair.name] for pair in pairs})
