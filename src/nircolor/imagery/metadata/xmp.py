"""Properties in an XMP packet, such as the band and wavelength that cameras on drones write."""

from xml.parsers.expat import ExpatError

from nircolor.imagery.metadata.safe_xml import expat_parser

_MAX_CHARACTERS = 1 << 20


def xmp_properties(packet: str) -> dict[str, list[str]]:
    """Return the simple and list properties of an XMP packet.

    Prefixes are dropped without looking at their namespaces, of which programs write variants. Entities are
    not expanded.

    Args:
        packet: the packet as text.

    Returns:
        The values by property name in lower case; several for a list (``rdf:Seq``, ``rdf:Bag``). Empty if
        the packet is larger than a megabyte, not well-formed, or declares a document type.

    Example:
        >>> xmp_properties('<x><Camera:BandName>NIR</Camera:BandName><y Camera:CentralWavelength="840"/></x>')
        {'bandname': ['NIR'], 'centralwavelength': ['840']}
    """
    if len(packet) > _MAX_CHARACTERS:
        return {}
    found: dict[str, list[str]] = {}
    open_names: list[str] = []
    text: list[str] = []

    def start(tag: str, attributes: dict[str, str]) -> None:
        open_names.append(_local(tag))
        text.clear()
        for name, value in attributes.items():
            if not name.startswith(("xmlns", "rdf:", "xml:")):
                found.setdefault(_local(name), []).append(value.strip())

    def end(_tag: str) -> None:
        value = "".join(text).strip()
        text.clear()
        name = open_names.pop()
        if name == "li":  # the property around rdf:Seq, rdf:Bag or rdf:Alt
            name = open_names[-2] if len(open_names) > 1 else ""
        if value and name:
            found.setdefault(name, []).append(value)

    parser = expat_parser()
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = text.append
    try:
        parser.Parse(packet.strip("\0 \r\n\t\ufeff").encode("utf-8"), True)
    except (ExpatError, UnicodeError, ValueError):
        return {}
    return found


def _local(name: str) -> str:
    return name.rpartition(":")[2].lower()
