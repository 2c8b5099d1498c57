"""Splits that keep every picture of one place on one side."""

import csv
import hashlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from nircolor.errors import NircolorError
from nircolor.pairs.layouts import Pair

_COLUMNS = ("dataset", "pair", "scene_group", "flag")


def with_groups(
    pairs: Iterable[Pair], scenes_csv: Path | str, dataset: str, *, drop_flagged: bool = False
) -> list[Pair]:
    """The pairs with their ``scene_group``, read from a CSV with dataset, pair, scene_group and flag.

    Groups are shared by the data sets of one CSV: a place may appear in several of them.

    Args:
        pairs: pairs of one data set.
        scenes_csv: one row a pair; further columns are ignored.
        dataset: the rows to use, e.g. ``vcip2020`` or ``epfl``.
        drop_flagged: leave out pairs with flag = 1. In ``epfl`` these are doubtfully registered, in
            ``vcip2020`` their place appears on the other side of training and validation too.

    Raises:
        NircolorError: the CSV cannot be read or lacks a column, or a pair has no row in it.
    """
    pairs = list(pairs)
    rows = _rows(Path(scenes_csv), dataset)
    unknown = [pair.name for pair in pairs if pair.name not in rows]
    if unknown:
        raise NircolorError(
            f"{scenes_csv}: expected a row of {dataset} for each pair, none for {', '.join(unknown)}"
        )
    return [
        replace(pair, group=rows[pair.name]["scene_group"])
        for pair in pairs
        if not (drop_flagged and rows[pair.name]["flag"] == "1")
    ]


def split_by_group(
    pairs: Iterable[Pair], dev_fraction: float, seed: int = 0
) -> tuple[list[Pair], list[Pair]]:
    """Training and dev pairs, in the given order, with no group on both sides.

    A group's side depends on its name and the seed alone. So it stays when pairs are added, and sets
    that share places can be split one by one. The price: ``dev_fraction`` is met on average over
    groups, not exactly.

    Raises:
        ValueError: the fraction is outside [0, 1], or a pair has no group.
    """
    if not 0 <= dev_fraction <= 1:
        raise ValueError(f"dev_fraction: expected 0 to 1, got {dev_fraction}")
    sides: tuple[list[Pair], list[Pair]] = ([], [])
    for pair in pairs:
        if pair.group is None:
            raise ValueError(f"pair {pair.name}: expected a group (see with_groups), got None")
        sides[_uniform(pair.group, seed) < dev_fraction].append(pair)
    return sides


def _uniform(group: str, seed: int) -> float:
    """A number in [0, 1) from a hash that, unlike Python's, is the same in every process."""
    digest = hashlib.sha256(f"{seed}:{group}".encode()).digest()
    # 53 bits fit a float exactly, so that 1.0 cannot come out
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53


def _rows(scenes_csv: Path, dataset: str) -> dict[str, dict[str, str]]:
    try:
        with scenes_csv.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            missing = [column for column in _COLUMNS if column not in (reader.fieldnames or ())]
            if missing:
                raise NircolorError(
                    f"{scenes_csv}: expected columns {', '.join(_COLUMNS)}, without {', '.join(missing)}"
                )
            return {row["pair"]: row for row in reader if row["dataset"] == dataset}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise NircolorError(f"{scenes_csv}: expected a CSV of scene groups: {error}") from error
