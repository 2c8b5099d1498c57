"""XML of files: read without entities, of bounded size."""

import pytest

from nircolor.imagery.metadata.safe_xml import parse_xml

BOMB = '<!DOCTYPE a [<!ENTITY b "bbbbbbbb">]><a>&b;</a>'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
def test_reads_the_encodings_of_xmp(encoding):
    mark = b"\xfe\xff" if encoding == "utf-16-be" else b""
    raw = mark + '<?xml version="1.0"?><a b="µ"/>'.encode(encoding)
    assert parse_xml(raw).get("b") == "µ"


@pytest.mark.parametrize(
    "raw",
    [
        BOMB,
        BOMB.encode(),
        BOMB.encode("utf-16"),
        "<a>",
        "",
        b"\xff\xfe",
        b"\x80",
        "<a>&b;</a>",
        "<a/>" + " " * (5 << 20),
        # an encoding that is declared, not used: UTF-7 could hide the document type
        b'<?xml version="1.0" encoding="utf-7"?>+ADwAIQ-DOCTYPE a [+ADwAIQ-ENTITY b "c">]>+ADw-a>+ACY-b;'
        b"+ADw-/a>",
    ],
)
def test_refuses_entities_and_damage_in_one_line(raw):
    with pytest.raises(ValueError, match=r"(?s)XML|codec") as refusal:
        parse_xml(raw)
    assert "\n" not in str(refusal.value)


def test_deep_nesting_is_read_or_refused():
    parse_xml("<a>" * 50_000 + "</a>" * 50_000)


def test_zeros_at_the_end_are_ignored():
    assert parse_xml(b"<a/>\n\0\0").tag == "a"
