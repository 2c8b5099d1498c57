"""Splits that keep every image of one place on one side."""

import csv
import hashlib
import io
from collections.abc import Iterable
from pathlib import Path

from nircolor.errors import NircolorError
from nircolor.pairs.pair import Pair, listed

_TEST_SHARE, _VAL_SHARE = 0.15, 0.10


def split_pairs(pairs: Iterable[Pair], val_fraction: float, seed: int = 0) -> tuple[list[Pair], list[Pair]]:
    """Training and validation pairs of one set, in the given order, with no place on both sides.

    Where a pair of the set has the split ``val``, the splits ``train`` and ``val`` are kept as they are.
    Where none has, val is taken from the pairs of the split ``train``. Pairs without a split are shared
    out in both cases, pairs of any other split (``test``, ``validation``) are on neither side.

    The side of a pair that is shared out depends on its place and the seed alone. So it stays when pairs
    are added, and sets that share places can be split one by one. The price: ``val_fraction`` is met on
    average over places, not exactly.

    Raises:
        ValueError: the fraction is outside [0, 1].
        NircolorError: the splits put one place on both sides.
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
            f"the splits: expected each place in one of train and val, got both: {listed(shared)}"
        )
    return train, val


def write_splits(pairs: Iterable[Pair], table: Path | str) -> None:
    """Write a table of pairs and splits, sorted by name: 15% of the places test, 10% val, the rest train.

    A pair's split depends on its place alone, so a table written again says the same of it.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("pair", "split"))
    writer.writerows(sorted((pair.name, _split_of(pair.place)) for pair in pairs))
    Path(table).write_text(text.getvalue(), encoding="utf-8")


def _split_of(place: str) -> str:
    share = _uniform(place, seed=0)
    if share < _TEST_SHARE:
        return "test"
    return "val" if share < _TEST_SHARE + _VAL_SHARE else "train"


def _uniform(place: str, seed: int) -> float:
    """A number in [0, 1) from a hash that, unlike Python's, is the same in every process."""
    digest = hashlib.sha256(f"{seed}:{place}".encode()).digest()
    # 53 bits fit a float exactly, so that 1.0 cannot come out
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53
