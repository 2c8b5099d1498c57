"""Parse XML from files (XMP, GDAL's `.aux.xml`) without entities, of bounded size."""

from xml.etree import ElementTree
from xml.etree.ElementTree import Element
from xml.parsers.expat import ExpatError, ParserCreate, XMLParserType

from nircolor.imagery.metadata.text_files import MAX_BYTES

_BYTE_ORDER_MARKS = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


def parse_xml(raw: bytes | str) -> Element:
    """Parse an XML document.

    Args:
        raw: the document, in UTF-8 or UTF-16 if bytes. NUL bytes at its end are ignored.

    Raises:
        ValueError: not well-formed, larger than 4 MB, or with a document type: its entities could expand to
            gigabytes or name files. The message is one line.

    Example:
        >>> parse_xml('<a><b c="1"/></a>').find("b").get("c")
        '1'
    """
    if len(raw) > MAX_BYTES:
        raise ValueError(f"expected at most {MAX_BYTES >> 20} MB of XML, got {len(raw) >> 20} MB")
    text = raw if isinstance(raw, str) else _decode(raw)
    # decoded here, so that no other encoding can hide the declaration from this check
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ValueError("XML with a document type is not read")
    try:
        return ElementTree.fromstring(text.rstrip("\0 \r\n").lstrip("\ufeff"))
    except (ElementTree.ParseError, ValueError) as error:
        raise ValueError(f"no well-formed XML: {error}") from error


def expat_parser() -> XMLParserType:
    """Return a parser that raises `ExpatError` at a document type or an entity, as `parse_xml` refuses them.

    It reads prefixes of namespaces that are not declared, unlike `parse_xml`; some programs write such XML.
    """

    def refuse(*_: object) -> None:
        raise ExpatError("XML with a document type is not read")

    parser = ParserCreate()
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    return parser


def _decode(raw: bytes) -> str:
    for mark, encoding in _BYTE_ORDER_MARKS:
        if raw.startswith(mark):
            return raw.decode(encoding)
    return raw.decode("utf-8")
