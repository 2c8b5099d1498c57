"""Split pairs into training and validation, keeping all pairs of one place together."""

import csv
import hashlib
import io
import os
from collections.abc import Iterable
from pathlib import Path

from nircolor.errors import NircolorError
from nircolor.pairs.pair import Pair, listed

_TEST_FRACTION, _VAL_FRACTION = 0.15, 0.10


def split_pairs(pairs: Iterable[Pair], val_fraction: float, seed: int = 0) -> tuple[list[Pair], list[Pair]]:
    """Split the pairs of one set into training and validation pairs, with no place in both.

    If a pair has the split ``val``, the splits ``train`` and ``val`` are kept as they are. Otherwise,
    validation pairs are taken from the pairs of the split ``train``. Pairs without a split are assigned in
    both cases. Pairs of any other split (``test``, ``validation``) are left out.

    The assignment depends only on the pair's place and the seed. It therefore does not change when pairs
    are added, and sets that share places can be split one by one. In exchange, ``val_fraction`` is met on
    average over places, not exactly.

    Args:
        pairs: Pairs of one set.
        val_fraction: Expected fraction of places in validation, 0 to 1.
        seed: Seed of the assignment.

    Returns:
        Training and validation pairs, in the given order.

    Raises:
        ValueError: The fraction is outside [0, 1].
        NircolorError: The given splits have one place in both.

    Example:
        >>> pairs = [Pair(f"{n}", Path(f"{n}.tif"), Path(f"{n}.tif")) for n in range(100)]
        >>> train, val = split_pairs(pairs, val_fraction=0.2)
        >>> len(train) + len(val)
        100
    """
    if not 0 <= val_fraction <= 1:
        raise ValueError(f"val_fraction: expected 0 to 1, got {val_fraction}")
    pairs = list(pairs)
    fixed = any(pair.split == "val" for pair in pairs)
    train: list[Pair] = []
    val: list[Pair] = []
    for pair in pairs:
        if pair.split == "val":
            val.append(pair)
        elif pair.split == "train" and fixed:
            train.append(pair)
        elif pair.split in ("train", None):
            (val if _uniform(pair.place, seed) < val_fraction else train).append(pair)
    shared = {pair.place for pair in train} & {pair.place for pair in val}
    if shared:
        raise NircolorError(
            f"splits: expected each place in either train or val, got both for {listed(shared)}"
        )
    return train, val


def write_splits(pairs: Iterable[Pair], table: str | os.PathLike[str]) -> None:
    """Write a CSV of pairs and splits, sorted by name: 15% of the places test, 10% val, the rest train.

    A pair's split depends on its place only, so it stays the same when the table is written again.

    Args:
        pairs: Pairs.
        table: File to write, with the columns ``pair`` and ``split``.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("pair", "split"))
    writer.writerows(sorted((pair.name, _split_of(pair.place)) for pair in pairs))
    Path(table).write_text(text.getvalue(), encoding="utf-8")


def _split_of(place: str) -> str:
    place_value = _uniform(place, seed=0)
    if place_value < _TEST_FRACTION:
        return "test"
    return "val" if place_value < _TEST_FRACTION + _VAL_FRACTION else "train"


def _uniform(place: str, seed: int) -> float:
    """Map a place to a number in [0, 1) by a hash that, unlike Python's, is the same in every process."""
    digest = hashlib.sha256(f"{seed}:{place}".encode()).digest()
    # 53 bits fit a float exactly, so that the result is below 1
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53
