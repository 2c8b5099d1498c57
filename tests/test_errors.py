"""Tests of `first_line` and of the length of messages."""

import pytest

from nircolor.errors import NircolorError, first_line


@pytest.mark.parametrize(
    ("error", "line"),
    [(ValueError("one\ntwo"), "one"), (RuntimeError(), "RuntimeError"), (RuntimeError("\n"), "RuntimeError")],
)
def test_first_line(error, line):
    assert first_line(error) == line


def test_a_message_with_the_content_of_a_damaged_file_is_cut():
    assert str(NircolorError("a.csv: " + "x" * 100_000)) == "a.csv: " + "x" * 1493 + " …"
    assert str(NircolorError("a.csv: short")) == "a.csv: short"


def test_line_breaks_in_names_and_headers_are_escaped():
    assert str(NircolorError("a\nb.hdr: got 'x\r\ny'")) == r"a\nb.hdr: got 'x\r\ny'"
