"""What a table says of pairs: which place each shows, and what it is kept for."""

import csv
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from nircolor.errors import NircolorError
from nircolor.pairs.pair import Pair, listed

_GROUP_COLUMNS = ("group", "scene_group")
_COLUMNS = (*_GROUP_COLUMNS, "split", "flag")

Row = dict[str, str]


def with_table(pairs: Iterable[Pair], table: Path, dataset: str | None, *, drop_flagged: bool) -> list[Pair]:
    """The pairs with the group and split that their rows give; see `PairedSet` for the columns.

    Rows of pairs that are not asked for are passed over, and an empty cell says nothing.

    Raises:
        NircolorError: the table cannot be read, lacks a column, has two rows for a pair or none.
    """
    rows = _rows(table, dataset, drop_flagged)
    pairs = list(pairs)
    unknown = [pair.name for pair in pairs if pair.name not in rows]
    if unknown:
        raise NircolorError(f"{table}: expected a row for each pair, got none for {listed(unknown)}")
    return [
        _told(pair, rows[pair.name])
        for pair in pairs
        if not (drop_flagged and rows[pair.name]["flag"] == "1")
    ]


def _told(pair: Pair, row: Row) -> Pair:
    groups = (row.get(column) for column in _GROUP_COLUMNS)
    return replace(pair, group=next(filter(None, groups), pair.group), split=row.get("split") or pair.split)


def _rows(table: Path, dataset: str | None, drop_flagged: bool) -> dict[str, Row]:
    try:
        # spreadsheets put a byte order mark before the first column's name
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            _check_columns(table, reader.fieldnames or (), dataset, drop_flagged)
            rows: dict[str, Row] = {}
            for row in reader:
                if row.get("dataset", dataset) != dataset:
                    continue
                if row["pair"] in rows:
                    raise NircolorError(f"{table}: expected one row a pair, got two for {row['pair']}")
                rows[row["pair"]] = row
            return rows
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise NircolorError(f"{table}: expected a CSV of pairs: {error}") from error


def _check_columns(table: Path, columns: Iterable[str], dataset: str | None, drop_flagged: bool) -> None:
    columns = set(columns)
    if "pair" not in columns or not columns & set(_COLUMNS):
        got = listed(columns) or "none"
        raise NircolorError(f"{table}: expected a column pair and one of {', '.join(_COLUMNS)}, got {got}")
    if drop_flagged and "flag" not in columns:
        raise NircolorError(
            f"{table}: expected a column flag, since flagged pairs are to be dropped, got none"
        )
    if dataset is None and "dataset" in columns:
        raise NircolorError(f"{table}: expected to be told which dataset of its column dataset, got none")
