"""`PairedSet`: the base class of paired data sets, and tables of groups and splits."""

import csv
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from nircolor.errors import NircolorError
from nircolor.pairs.pair import Pair, listed

_GROUP_COLUMNS = ("group", "scene_group")
_COLUMNS = (*_GROUP_COLUMNS, "split", "flag")

TableRow = dict[str, str]


class PairedSet(ABC):
    """Pairs on disk. A recipe names a subclass: ``class_path: nircolor.pairs.Folders`` with ``init_args``.

    Args:
        table: CSV with one row per pair: its name in ``pair``, and any of ``group`` (or ``scene_group``:
            the place that it shows), ``split`` (``train``, ``val``, or any other name, which keeps the pair
            out of training) and ``flag``. Other columns are ignored. Groups are shared by all sets of one
            table: a place may appear in several sets.
        dataset: Rows to use if the table has a column ``dataset``.
        drop_flagged: Leave out pairs with flag = 1. In the Scene set these are pairs of doubtful
            registration, in VCIP 2020 pairs whose place appears in both training and validation.
    """

    def __init__(self, table: str | os.PathLike[str] | None, dataset: str | None, drop_flagged: bool) -> None:
        self.table = None if table is None else Path(table)
        self._dataset, self._drop_flagged = dataset, drop_flagged

    def pairs(self) -> list[Pair]:
        """Return all pairs, sorted by name.

        Raises:
            NircolorError: A folder is missing or holds no pairs, an image has no partner, or the table
                cannot be read or lacks a pair.
        """
        found = self._find_pairs()
        if self.table is None:
            return found
        return _with_table(found, self.table, self._dataset, drop_flagged=self._drop_flagged)

    @abstractmethod
    def _find_pairs(self) -> list[Pair]:
        """Return the pairs on disk, sorted by name, without the table's groups and splits."""


def _with_table(pairs: Iterable[Pair], table: Path, dataset: str | None, *, drop_flagged: bool) -> list[Pair]:
    """Set the group and split of each pair from its row; see `PairedSet` for the columns.

    Rows of other pairs are ignored, and an empty cell changes nothing.

    Raises:
        NircolorError: The table cannot be read, lacks a column, or does not have one row for each pair.
    """
    rows = _read_rows(table, dataset, drop_flagged)
    pairs = list(pairs)
    unknown = [pair.name for pair in pairs if pair.name not in rows]
    if unknown:
        raise NircolorError(f"{table}: expected a row for each pair, got none for {listed(unknown)}")
    return [
        _with_row(pair, rows[pair.name])
        for pair in pairs
        if not (drop_flagged and rows[pair.name]["flag"] == "1")
    ]


def _with_row(pair: Pair, row: TableRow) -> Pair:
    groups = (row.get(column) for column in _GROUP_COLUMNS)
    return replace(pair, group=next(filter(None, groups), pair.group), split=row.get("split") or pair.split)


def _read_rows(table: Path, dataset: str | None, drop_flagged: bool) -> dict[str, TableRow]:
    try:
        # spreadsheets write a byte order mark before the first column's name
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            _check_columns(table, reader.fieldnames or (), dataset, drop_flagged)
            rows: dict[str, TableRow] = {}
            for row in reader:
                if row.get("dataset", dataset) != dataset:
                    continue
                if row["pair"] in rows:
                    raise NircolorError(f"{table}: expected one row per pair, got two for {row['pair']}")
                rows[row["pair"]] = row
            return rows
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise NircolorError(f"{table}: expected a CSV of pairs: {reason}") from error


def _check_columns(table: Path, columns: Iterable[str], dataset: str | None, drop_flagged: bool) -> None:
    columns = set(columns)
    if "pair" not in columns or not columns & set(_COLUMNS):
        got = listed(columns) or "none"
        raise NircolorError(f"{table}: expected a column pair and one of {', '.join(_COLUMNS)}, got {got}")
    if drop_flagged and "flag" not in columns:
        raise NircolorError(f"{table}: expected a column flag, as drop_flagged is set, got none")
    if dataset is None and "dataset" in columns:
        raise NircolorError(
            f"{table}: expected the name of a dataset, as the table has a column dataset, got none; "
            "set `dataset`"
        )
