"""Counts with their noun, and abbreviated lists."""

import pytest

from nircolor.texts import abbreviate, count_of, list_names


@pytest.mark.parametrize(("count", "text"), [(0, "0 bands"), (1, "1 band"), (2, "2 bands")])
def test_plural_unless_one(count, text):
    assert count_of(count, "band") == text


@pytest.mark.parametrize(("length", "text"), [(0, ""), (3, "0, 1, 2"), (4, "0, 1, 2, …")])
def test_first_items(length, text):
    assert abbreviate([str(i) for i in range(length)], 3) == text


@pytest.mark.parametrize(("length", "text"), [(4, "0, 1, 2, 3"), (9, "0, 1, …, 7, 8")])
def test_first_and_last_items(length, text):
    assert abbreviate([str(i) for i in range(length)], 2, 2) == text


def test_file_names_are_all_listed_with_ranges_of_numbers():
    assert list_names(f"f_{i:03}.tif" for i in range(1, 501)) == "f_001.tif to f_500.tif"
    # widths that grow, gaps, another extension, and a number within the extension
    assert list_names(["9.png", "10.png", "8.png"]) == "8.png to 10.png"
    assert list_names(["a1.tif", "a2.tif", "a4.tif"]) == "a1.tif, a2.tif, a4.tif"
    assert list_names(["a1.tif", "a2.png", "a3.tif"]) == "a2.png, a1.tif, a3.tif"
    assert list_names(["b.jp2", "a.jp2", "c.jp2"]) == "a.jp2, b.jp2, c.jp2"
    assert list_names(["./x/a.png", "a.png"]) == "./x/a.png, a.png"
    # not the same width: other files may lie between
    assert list_names(["a1.png", "a02.png", "a3.png"]) == "a1.png, a02.png, a3.png"
