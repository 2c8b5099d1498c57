"""Pairs that are held out: by name, by date, by place, or as a table says."""

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("PIL", reason="writes EXIF with Pillow")
from PIL import Image

from nircolor.errors import NircolorError
from nircolor.pairs import Pair
from nircolor.pairs.holdout import capture_time, hold_out


def pair(name, **fields):
    return Pair(name, Path(f"{name}.png"), Path(f"{name}.png"), **fields)


def photograph(path, date, tag=36867):
    exif = Image.Exif()
    if date is not None:
        (exif.get_ifd(34665) if tag == 36867 else exif)[tag] = date
    Image.new("L", (8, 8)).save(path, exif=exif)
    return Pair(path.stem, path, path)


def names(pairs):
    return [one.name for one in pairs]


def test_the_last_by_name_with_numbers_by_value():
    found = hold_out([pair(f"img{n}") for n in (10, 9, 1, 2, 11)], 2)
    assert (names(found.train), names(found.test), found.order) == (
        ["img1", "img2", "img9"],
        ["img10", "img11"],
        "name",
    )


def test_the_last_by_date(tmp_path):
    dates = {"a": "2026:03:01 10:00:00", "b": "2025:12:31 23:59:59", "c": "2026:03:01 09:59:59"}
    pairs = [photograph(tmp_path / f"{name}.jpg", date) for name, date in dates.items()]
    found = hold_out(pairs, 1)
    assert (names(found.train), names(found.test), found.order) == (["b", "c"], ["a"], "time")
    assert names(hold_out(pairs, 1, "name").test) == ["c"]


def test_one_without_a_date(tmp_path):
    pairs = [photograph(tmp_path / "a.jpg", "2026:03:01 10:00:00"), photograph(tmp_path / "b.jpg", None)]
    assert hold_out(pairs, 1).order == "name"
    with pytest.raises(NircolorError, match=r"b.jpg: expected an EXIF date .* give --order name"):
        hold_out(pairs, 1, "time")


def test_dates_that_are_all_equal_say_nothing(tmp_path):
    pairs = [photograph(tmp_path / f"{name}.jpg", "2026:03:01 10:00:00", 306) for name in "ab"]
    assert hold_out(pairs, 1).order == "name"


@pytest.mark.parametrize("date", ["0000:00:00 00:00:00", "yesterday", ""])
def test_dates_that_are_none(tmp_path, date):
    assert capture_time(photograph(tmp_path / "a.jpg", date).nir) is None
    assert capture_time(tmp_path / "missing.jpg") is None


def test_pairs_of_a_place_stay_together():
    pairs = [pair(f"{n}", group="tower" if n in (1, 5) else None) for n in range(6)]
    found = hold_out(pairs, 2)
    assert (names(found.train), names(found.test)) == (["0", "2", "3", "4"], ["1", "5"])
    with pytest.raises(NircolorError, match="pairs of several places in the table, got 6 pairs of one"):
        hold_out([replace(one, group="tower") for one in pairs], 2)


def test_a_table_names_the_pairs_held_out():
    pairs = [pair(f"{n}", split="val" if n == 0 else "train") for n in range(3)]
    found = hold_out(pairs, 2)
    assert (names(found.train), names(found.test), found.order) == (["1", "2"], ["0"], None)
