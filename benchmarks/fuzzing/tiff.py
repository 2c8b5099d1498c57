"""Mutations of TIFF directories and EXIF blocks."""

import struct
from random import Random

from fuzzing.mutations import BLOBS, WORDS, mutate_bytes, mutate_text, number
from nircolor.imagery.files.tiff import TYPE_BYTES

# tags of directories within a directory: previews, EXIF, GPS
_POINTERS = (330, 34665, 34853)
# tags that GDAL, libtiff or nircolor interpret
_TAGS = (
    254, 255, 256, 257, 258, 259, 262, 266, 269, 270, 271, 272, 273, 274, 277, 278, 279, 280, 281, 282,
    283, 284, 296, 297, 301, 305, 306, 317, 318, 319, 320, 322, 323, 324, 325, 330, 332, 333, 334, 338,
    339, 340, 341, 347, 512, 513, 514, 529, 530, 531, 532, 700, 33432, 33434, 33550, 33723, 33922,
    34016, 34264, 34377, 34665, 34675, 34735, 34736, 34737, 34853, 37724, 42112, 42113, 42114, 50674,
    50706, 50714, 50717, 50838, 50839, 50844, 50909, 51125, 65000,
)  # fmt: skip
XMP = (
    b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    b'xmlns:Camera="http://pix4d.com/camera/1.0/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" '
    b'tiff:Orientation="6" Camera:CentralWavelength="850" Camera:WavelengthFWHM="40"><Camera:BandName>'
    b"<rdf:Seq><rdf:li>NIR</rdf:li></rdf:Seq></Camera:BandName></rdf:Description>"
    b"</rdf:RDF></x:xmpmeta><?xpacket end='w'?>"
)


class _Tiff:
    """Byte order and sizes of a TIFF, classic or BigTIFF."""

    def __init__(self, data: bytes) -> None:
        self.order = ">" if data[:2] == b"MM" else "<"
        self.big = len(data) > 3 and struct.unpack(self.order + "H", data[2:4])[0] == 43
        self.word, self.width = ("Q", 8) if self.big else ("I", 4)
        self.counter, self.entry_bytes = ("Q", 20) if self.big else ("H", 12)
        self.first = 8 if self.big else 4

    def at(self, data: bytes, code: str, offset: int) -> int:
        """Read an integer; 0 beyond the end."""
        size = struct.calcsize(code)
        piece = data[offset : offset + size]
        return int(struct.unpack(self.order + code, piece)[0]) if len(piece) == size else 0

    def directories(self, data: bytes) -> list[tuple[int, int]]:
        """Return (offset, number of entries) of each directory, those that an entry points to included."""
        found: dict[int, int] = {}
        waiting = [self.at(data, self.word, self.first)]
        while waiting and len(found) < 20:
            offset = waiting.pop()
            if not 0 < offset < len(data) or offset in found:
                continue
            count = found[offset] = min(self.at(data, self.counter, offset), 500)
            waiting.append(self.at(data, self.word, self.link(offset, count)))
            waiting += [
                self.at(data, self.word, entry + 4 + self.width)
                for entry in (self.entry(offset, i) for i in range(count))
                if self.at(data, "H", entry) in _POINTERS
            ]
        return sorted(found.items())

    def link(self, offset: int, count: int) -> int:
        """Return where a directory holds the offset of the next one."""
        return offset + struct.calcsize(self.counter) + count * self.entry_bytes

    def entry(self, offset: int, index: int) -> int:
        """Return the offset of an entry."""
        return offset + struct.calcsize(self.counter) + index * self.entry_bytes

    def pack(self, code: str, value: int) -> bytes:
        """Pack an integer, cut to its size."""
        return struct.pack(self.order + code, value % 256 ** struct.calcsize(code))


def _put(data: bytes, at: int, piece: bytes) -> bytes:
    return data[:at] + piece + data[at + len(piece) :]


def mutate_tiff(rng: Random, data: bytes) -> bytes:
    """Change an entry or a link of a TIFF's directories, the values behind an entry, or add an entry."""
    tiff = _Tiff(data)
    directories = [found for found in tiff.directories(data) if found[1]]
    if not directories:
        return mutate_bytes(rng, data)
    offset, count = rng.choice(directories)
    entry = tiff.entry(offset, rng.randrange(count))
    half = 4 + tiff.width
    match rng.randrange(9):
        case 0:
            return _put(data, entry, tiff.pack("H", rng.choice(_TAGS)))
        case 1:
            return _put(data, entry + 2, tiff.pack("H", rng.choice((*TYPE_BYTES, 0, 14, 15, 99, 65535))))
        case 2:
            return _put(data, entry + 4, tiff.pack(tiff.word, number(rng, tiff.width)))
        case 3 | 4:
            value = rng.choice(
                (number(rng, tiff.width), number(rng, 2), rng.choice(directories)[0], entry, len(data))
            )
            return _put(data, entry + half, tiff.pack(tiff.word, value))
        case 5:
            target = rng.choice(
                (offset, directories[0][0], rng.choice(directories)[0], number(rng, tiff.width), len(data))
            )
            return _put(
                data, rng.choice((tiff.first, tiff.link(offset, count))), tiff.pack(tiff.word, target)
            )
        case 6:
            return _put(
                data,
                offset,
                tiff.pack(tiff.counter, rng.choice((0, 1, count - 1, count + 1, count + 300, 65535))),
            )
        case 7:
            return _mutate_tiff_values(rng, data, tiff, entry)
        case _:
            return _with_entry(rng, data, tiff, offset, count)


def _mutate_tiff_values(rng: Random, data: bytes, tiff: _Tiff, entry: int) -> bytes:
    """Mutate the values of an entry without changing their number."""
    kind, count = tiff.at(data, "H", entry + 2), tiff.at(data, tiff.word, entry + 4)
    length = min(TYPE_BYTES.get(kind, 1) * count, 1 << 16)
    start = entry + 4 + tiff.width
    if length > tiff.width:
        start = tiff.at(data, tiff.word, start)
    values = data[start : start + length]
    mutated = (mutate_text if kind == 2 else mutate_bytes)(rng, values)
    return _put(data, start, mutated[: len(values)])


def _with_entry(rng: Random, data: bytes, tiff: _Tiff, offset: int, count: int) -> bytes:
    """Append a copy of a directory that has one more entry, with values of any kind, and link it."""
    tag = rng.choice(_TAGS)
    doubles = [rng.choice((0.0, 1e300, float("nan"), 1.0, -10.0)) for _ in range(6)]
    values = rng.choice(
        (
            XMP,
            mutate_text(rng, XMP),
            exif(rng),
            rng.choice(BLOBS),
            rng.choice(WORDS),
            rng.randbytes(rng.choice((1, 2, 8, 48))),
            _GDAL_XML,
            mutate_text(rng, _GDAL_XML),
            struct.pack(tiff.order + "6d", *doubles),
        )
    )
    kind = rng.choice((1, 2, 2, 3, 4, 7, 12, 13))
    number_of_values = max(1, len(values) // TYPE_BYTES[kind])
    data += b"\0" * (len(data) % 2)
    if len(values) > tiff.width:
        place, data = tiff.pack(tiff.word, len(data)), data + values + b"\0" * (len(values) % 2)
    else:
        place = values.ljust(tiff.width, b"\0")
    added = tiff.pack("H", tag) + tiff.pack("H", kind) + tiff.pack(tiff.word, number_of_values) + place
    entries = [data[tiff.entry(offset, i) :][: tiff.entry_bytes] for i in range(count)]
    entries = [one for one in entries if one[:2] != added[:2]] + [added]
    entries.sort(key=lambda one: struct.unpack(tiff.order + "H", one[:2].ljust(2, b"\0")))
    link = data[tiff.link(offset, count) :][: tiff.width].ljust(tiff.width, b"\0")
    start = len(data)
    # the new directory becomes the first one
    data += tiff.pack(tiff.counter, len(entries)) + b"".join(entries) + link
    return _put(data, tiff.first, tiff.pack(tiff.word, start))


_GDAL_XML = (
    b'<GDALMetadata><Item name="CENTRAL_WAVELENGTH_UM" sample="0" role="" domain="IMAGERY">0.85</Item>'
    b'<Item name="wavelength" sample="0">850</Item><Item name="OFFSET" sample="0" role="offset">0</Item>'
    b'<Item name="SCALE" sample="0" role="scale">0.0001</Item><Item name="a">b</Item>'
    b'<Item name="DESCRIPTION" sample="0" role="description">NIR (850 nm)</Item></GDALMetadata>'
)


def exif(rng: Random, *, mutated: bool = True) -> bytes:
    """Return an EXIF block: a TIFF without pixels, with camera, date, GPS and a thumbnail; often mutated."""
    order = rng.choice("<>")
    rational = struct.pack(order + "6I", 48, 1, 8, 1, 30, 1)
    directories: list[dict[int, tuple[int, bytes]]] = [
        {
            270: (2, rng.choice(WORDS)[:200] + b"\0"),
            271: (2, b"Maker\0"),
            274: (3, struct.pack(order + "H", rng.choice((0, 1, 3, 6, 8, 9, 65535)) if mutated else 6)),
            306: (2, b"2024:05:01 10:00:00\0"),
            34665: (4, b""),
            34853: (4, b""),
        },
        {
            36867: (2, b"2024:05:01 10:00:00\0"),
            37500: (7, b"MakerNote" * 4),
            40961: (3, struct.pack(order + "H", 1)),
        },
        {0: (1, b"\2\3\0\0"), 1: (2, b"N\0"), 2: (5, rational), 3: (2, b"E\0"), 4: (5, rational)},
        {513: (4, struct.pack(order + "I", 8)), 514: (4, struct.pack(order + "I", 20))},
    ]
    starts = [8]
    for directory in directories:
        starts.append(starts[-1] + 2 + 12 * len(directory) + 4)
    directories[0][34665] = (4, struct.pack(order + "I", starts[1]))
    directories[0][34853] = (4, struct.pack(order + "I", starts[2]))
    block = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    values, place = b"", starts[-1]
    for i, directory in enumerate(directories):
        block += struct.pack(order + "H", len(directory))
        for tag, (kind, content) in sorted(directory.items()):
            block += struct.pack(order + "HHI", tag, kind, max(1, len(content) // TYPE_BYTES[kind]))
            if len(content) <= 4:
                block += content.ljust(4, b"\0")
            else:
                block += struct.pack(order + "I", place + len(values))
                values += content + b"\0" * (len(content) % 2)
        # the thumbnail's directory follows the first one
        block += struct.pack(order + "I", starts[3] if i == 0 else 0)
    block += values
    return mutate_tiff(rng, block) if mutated and rng.random() < 0.6 else block
