"""Hold out some of a few pairs for a test: the last ones by time, or by name."""

import re
from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Literal, NamedTuple

from nircolor.errors import NircolorError
from nircolor.imagery.files.locate import locate
from nircolor.imagery.metadata.carried import read_metadata
from nircolor.pairs.pair import Pair
from nircolor.texts import count_of

# how pairs are put in order
Order = Literal["time", "name"]

# EXIF tags in order of preference: when the image was taken, as photographs and as TIFF/EP have it; when the
# file was made
_TAKEN, _MADE = 36867, 306
_DATE = re.compile(rb"(\d{4})[:-](\d\d)[:-](\d\d)[ T](\d\d):(\d\d):(\d\d)")


class Holdout(NamedTuple):
    """Pairs to train on and pairs held out, and how they were chosen.

    Attributes:
        train: Pairs to train on, in order.
        test: Pairs held out.
        order: "time" or "name"; None if a table names the pairs held out.
    """

    train: list[Pair]
    test: list[Pair]
    order: Order | None


def hold_out(pairs: Sequence[Pair], count: int, order: Order | None = None) -> Holdout:
    """Hold out the last pairs, since neighbouring images are too similar for a fair test.

    Pairs of one place stay together, so more pairs than asked for may be held out. Pairs whose table gives
    the split ``val`` are held out instead, if there are any.

    Args:
        pairs: The pairs.
        count: Number of pairs to hold out.
        order: "time" for the EXIF date, "name" for the name, with numbers by their value. None: by time if
            all pairs have dates that differ, else by name.

    Raises:
        NircolorError: A pair has no date and ``order`` is "time", or all pairs show one place.

    Example:
        >>> names = ["a_10", "a_9", "a_8"]
        >>> found = hold_out([Pair(name, Path("a.png"), Path("b.png")) for name in names], 1, "name")
        >>> [pair.name for pair in found.test]
        ['a_10']
    """
    named = [pair for pair in pairs if pair.split == "val"]
    if named:
        return Holdout([pair for pair in pairs if pair.split != "val"], named, None)
    ordered = sorted(pairs, key=lambda pair: _natural(pair.name))
    times = [_time_of(pair) for pair in ordered] if order != "name" else []
    if order == "time" and None in times:
        missing = ordered[times.index(None)]
        raise NircolorError(
            f"{missing.nir}: expected an EXIF date to split by time, got none; give --order name"
        )
    known = [time for time in times if time is not None]
    if len(known) == len(ordered) and (order == "time" or len(set(known)) > 1):
        ordered = [ordered[i] for i in sorted(range(len(ordered)), key=known.__getitem__)]
        used: Order = "time"
    else:
        used = "name"
    # the last pairs, and all others of their places
    places: list[str] = []
    held = 0
    for place, _ in groupby(reversed(ordered), key=lambda pair: pair.place):
        if held >= count:
            break
        if place not in places:
            places.append(place)
            held += sum(pair.place == place for pair in ordered)
    train = [pair for pair in ordered if pair.place not in places]
    if not train:
        raise NircolorError(
            f"expected pairs of several places in the table, got {count_of(len(ordered), 'pair')} of one"
        )
    return Holdout(train, [pair for pair in ordered if pair.place in places], used)


def capture_time(path: Path) -> datetime | None:
    """Return the EXIF date of an image, local time of the camera; None where there is none."""
    try:
        file = locate(path)
        exif = read_metadata(file.data, file.driver).exif
    except NircolorError:
        return None
    if exif is None:
        return None
    tags = (exif.photo.get(_TAKEN), exif.main.get(_TAKEN), exif.main.get(_MADE))
    for tag in tags:
        found = None if tag is None else _DATE.match(tag.raw)
        if found is not None:
            try:
                return datetime(*map(int, found.groups()))  # type: ignore[arg-type]
            except ValueError:
                continue
    return None


def _time_of(pair: Pair) -> datetime | None:
    return capture_time(pair.nir) or capture_time(pair.rgb)


def _natural(name: str) -> list[tuple[int, str]]:
    """Key that sorts numbers in names by their value."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name) if part]
