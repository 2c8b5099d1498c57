"""Tests of `first_line`."""

import pytest

from nircolor.errors import first_line


@pytest.mark.parametrize(
    ("error", "line"),
    [(ValueError("one\ntwo"), "one"), (RuntimeError(), "RuntimeError"), (RuntimeError("\n"), "RuntimeError")],
)
def test_first_line(error, line):
    assert first_line(error) == line
