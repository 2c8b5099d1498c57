"""Counts with their noun, and abbreviated lists."""

import pytest

from nircolor.texts import abbreviate, count_of


@pytest.mark.parametrize(("count", "text"), [(0, "0 bands"), (1, "1 band"), (2, "2 bands")])
def test_plural_unless_one(count, text):
    assert count_of(count, "band") == text


@pytest.mark.parametrize(("length", "text"), [(0, ""), (3, "0, 1, 2"), (4, "0, 1, 2, …")])
def test_first_items(length, text):
    assert abbreviate([str(i) for i in range(length)], 3) == text


@pytest.mark.parametrize(("length", "text"), [(4, "0, 1, 2, 3"), (9, "0, 1, …, 7, 8")])
def test_first_and_last_items(length, text):
    assert abbreviate([str(i) for i in range(length)], 2, 2) == text
