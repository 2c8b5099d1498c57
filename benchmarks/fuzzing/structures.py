"""Mutations that keep a format's structure: checksums and lengths are right, the content is wrong."""

import json
import re
import struct
import zlib
from functools import cache
from random import Random
from typing import Any

from fuzzing.mutations import (
    BLOBS,
    BOUNDARIES,
    CANARY_FILE,
    CANARY_URL,
    WORDS,
    mutate_bytes,
    mutate_text,
    number,
)

# bytes of one value of each TIFF type
_TYPE_BYTES = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}
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


# ------------------------------------------------------------------------------------------------- TIFF, EXIF


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
        """Return (offset, number of entries) of each directory of the main chain."""
        found: list[tuple[int, int]] = []
        offset = self.at(data, self.word, self.first)
        while 0 < offset < len(data) and len(found) < 20 and offset not in {start for start, _ in found}:
            count = min(self.at(data, self.counter, offset), 500)
            found.append((offset, count))
            offset = self.at(data, self.word, self.link(offset, count))
        return found

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
            return _put(data, entry + 2, tiff.pack("H", rng.choice((*_TYPE_BYTES, 0, 14, 15, 99, 65535))))
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
    length = min(_TYPE_BYTES.get(kind, 1) * count, 1 << 16)
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
    number_of_values = max(1, len(values) // _TYPE_BYTES[kind])
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


def exif(rng: Random) -> bytes:
    """Return an EXIF block (a TIFF without pixels) with common tags, often mutated."""
    order = rng.choice("<>")
    texts = {
        271: b"Maker\0",
        306: b"2024:05:01 10:00:00\0",
        305: b"Software 1\0",
        270: rng.choice(WORDS)[:200] + b"\0",
    }
    shorts = {274: rng.choice((0, 1, 3, 6, 8, 9, 65535)), 296: 2, 40961: 1}
    places = {34665: rng.choice((8, 0, 26, 2**32 - 1)), 34853: rng.choice((8, 120, 2**31))}
    tags = rng.sample([*texts, *shorts, *places], rng.randrange(1, 8))
    values, start = b"", 8 + 2 + 12 * len(tags) + 4
    entries = b""
    for tag in sorted(tags):
        if tag in texts:
            entries += struct.pack(order + "HHII", tag, 2, len(texts[tag]), start + len(values))
            values += texts[tag]
        elif tag in shorts:
            entries += struct.pack(order + "HHIHH", tag, 3, 1, shorts[tag], 0)
        else:
            entries += struct.pack(order + "HHII", tag, 4, 1, places[tag])
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(tags))
    block = head + entries + b"\0" * 4 + values
    return mutate_tiff(rng, block) if rng.random() < 0.6 else block


# ---------------------------------------------------------------------------------------- chunks and segments


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """Return a PNG chunk with length and checksum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def mutate_png(rng: Random, data: bytes) -> bytes:
    """Mutate, remove, repeat, move or add chunks, with checksums that are right."""
    chunks: list[tuple[bytes, bytes]] = []
    at = 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    if not chunks:
        return mutate_bytes(rng, data)
    index = rng.randrange(len(chunks))
    kind, content = chunks[index]
    match rng.randrange(8):
        case 0 | 1:
            chunks[index] = (kind, mutate_bytes(rng, content))
        case 2:
            size = [rng.choice((number(rng, 4), 1, 40)) for _ in range(2)]
            header = struct.pack(
                ">II5B",
                *size,
                rng.choice((1, 2, 4, 8, 16)),
                rng.choice((0, 2, 3, 4, 6)),
                0,
                0,
                rng.randrange(2),
            )
            chunks[0] = (b"IHDR", header if rng.random() < 0.7 else mutate_bytes(rng, chunks[0][1]))
        case 3:
            pixels = b"".join(content for kind, content in chunks if kind == b"IDAT")
            try:
                pixels = zlib.compress(mutate_bytes(rng, zlib.decompress(pixels)))
            except zlib.error:
                pixels = mutate_bytes(rng, pixels)
            first = next((i for i, (kind, _) in enumerate(chunks) if kind == b"IDAT"), len(chunks))
            chunks = [one for one in chunks if one[0] != b"IDAT"]
            chunks.insert(first, (b"IDAT", pixels))
        case 4:
            del chunks[index]
        case 5:
            chunks.insert(rng.randrange(len(chunks) + 1), (kind, content))
        case _:
            place = rng.randrange(1, len(chunks) + 1)
            new = _new_png_chunk(rng)
            chunks[place:place] = [new] * (rng.choice((1, 1, 1, 2, 300)) if len(new[1]) < 5000 else 1)
    return data[:8] + b"".join(png_chunk(*one) for one in chunks)


def _new_png_chunk(rng: Random) -> tuple[bytes, bytes]:
    text = rng.choice((XMP, mutate_text(rng, XMP), rng.choice(BLOBS), rng.choice(WORDS)))
    packed = _bomb() if rng.random() < 0.05 else zlib.compress(text, 1)
    raw_profile = b"\nexif\n%8d\n%s\n" % (rng.choice((4, 10**8)), exif(rng).hex().encode())
    return rng.choice(
        (
            (b"eXIf", exif(rng)),
            (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + text),
            (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + packed),
            (b"zTXt", b"Raw profile type exif\0\0" + packed),
            (b"tEXt", b"Raw profile type exif\0" + raw_profile),
            (b"tEXt", rng.choice((b"Software", b"A" * 90, b"")) + b"\0" + text[:1000]),
            (b"iCCP", b"profile\0\0" + packed),
            (b"PLTE", rng.randbytes(rng.choice((3, 6, 768, 5, 900)))),
            (b"tRNS", rng.randbytes(rng.choice((1, 2, 6, 256, 300)))),
            (b"acTL", struct.pack(">II", number(rng, 4), 0)),
            (b"cICP", rng.randbytes(4)),
            (b"gAMA", rng.randbytes(4)),
            (b"sBIT", rng.randbytes(rng.randrange(6))),
            (b"IDAT", rng.randbytes(20)),
            (b"IEND", b""),
            (rng.choice((b"abcd", b"ABCD", b"\0\0\0\0")), rng.randbytes(10)),
        )
    )


@cache
def _bomb() -> bytes:
    return zlib.compress(b"\0" * 50_000_000, 1)


def mutate_jpeg(rng: Random, data: bytes) -> bytes:
    """Mutate, remove, repeat or add segments before the pixels, with lengths that are right."""
    segments: list[tuple[int, bytes]] = []
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        segments.append((data[at + 1], data[at + 4 : at + 2 + length]))
        at += 2 + max(length, 2)
    rest = data[at:]
    if not segments:
        return mutate_bytes(rng, data)
    index = rng.randrange(len(segments))
    marker, content = segments[index]
    match rng.randrange(6):
        case 0 | 1:
            segments[index] = (marker, mutate_bytes(rng, content))
        case 2:
            del segments[index]
        case 3:
            segments.insert(rng.randrange(len(segments) + 1), (marker, content))
        case 4:
            for i, (kind, frame) in enumerate(segments):
                if kind in (0xC0, 0xC1, 0xC2):
                    size = struct.pack(">HH", number(rng, 2), number(rng, 2))
                    kind = rng.choice((kind, 0xC0, 0xC1, 0xC2, 0xC3, 0xC9))
                    segments[i] = (kind, rng.choice((frame[:1] + size + frame[5:], mutate_bytes(rng, frame))))
        case _:
            text = rng.choice((XMP, mutate_text(rng, XMP), rng.choice(BLOBS)))
            new = rng.choice(
                (
                    (0xE1, b"Exif\0\0" + exif(rng)),
                    (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + text),
                    (
                        0xE1,
                        b"http://ns.adobe.com/xmp/extension/\0"
                        + b"0" * 32
                        + struct.pack(">II", 2**31, 0)
                        + text,
                    ),
                    (
                        0xE2,
                        b"ICC_PROFILE\0" + bytes((rng.randrange(4), rng.randrange(4))) + rng.randbytes(128),
                    ),
                    (0xE2, b"MPF\0" + exif(rng)),
                    (0xEE, b"Adobe" + rng.randbytes(7)),
                    (0xED, b"Photoshop 3.0\0" + rng.randbytes(30)),
                    (0xFE, rng.choice(WORDS)),
                    (0xDD, rng.randbytes(2)),
                )
            )
            segments.insert(rng.randrange(len(segments) + 1), new)
    body = b"".join(
        b"\xff" + bytes([kind]) + struct.pack(">H", min(len(piece) + 2, 65535)) + piece[:65533]
        for kind, piece in segments
    )
    return data[:2] + body + rest


def mutate_riff(rng: Random, data: bytes) -> bytes:
    """Mutate, remove, repeat or add chunks of a WebP file."""
    chunks: list[tuple[bytes, bytes]] = []
    at = 12
    while at + 8 <= len(data):
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        chunks.append((data[at : at + 4], data[at + 8 : at + 8 + length]))
        at += 8 + length + length % 2
    if not chunks:
        return mutate_bytes(rng, data)
    index = rng.randrange(len(chunks))
    match rng.randrange(4):
        case 0 | 1:
            chunks[index] = (chunks[index][0], mutate_bytes(rng, chunks[index][1]))
        case 2:
            chunks.insert(rng.randrange(len(chunks) + 1), chunks[index])
        case _:
            extended = (b"VP8X", rng.randbytes(10))
            new = rng.choice(
                (
                    (b"EXIF", exif(rng)),
                    (b"XMP ", mutate_text(rng, XMP)),
                    (b"ICCP", rng.randbytes(128)),
                    extended,
                )
            )
            chunks.insert(rng.randrange(len(chunks) + 1), new)
    body = b"".join(
        kind + struct.pack("<I", len(piece)) + piece + b"\0" * (len(piece) % 2) for kind, piece in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def mutate_boxes(rng: Random, data: bytes) -> bytes:
    """Mutate, remove, repeat or add boxes of a JPEG 2000 file."""
    boxes: list[tuple[bytes, bytes]] = []
    at = 0
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big") or len(data) - at
        boxes.append((data[at + 4 : at + 8], data[at + 8 : at + length]))
        at += max(length, 8)
    if not boxes:
        return mutate_bytes(rng, data)
    index = rng.randrange(len(boxes))
    match rng.randrange(4):
        case 0 | 1:
            boxes[index] = (boxes[index][0], mutate_bytes(rng, boxes[index][1]))
        case 2:
            boxes.insert(rng.randrange(len(boxes) + 1), boxes[index])
        case _:
            xmp = bytes.fromhex("BE7ACFCB97A942E89C71999491E3AFAC") + mutate_text(rng, XMP)
            geo = bytes.fromhex("B14BF8BD083D4B43A5AE8CD7D5A6CE03") + exif(rng)
            new = rng.choice(
                ((b"uuid", xmp), (b"uuid", geo), (b"xml ", rng.choice(BLOBS)), (b"jp2h", rng.randbytes(40)))
            )
            boxes.insert(rng.randrange(len(boxes) + 1), new)
    return b"".join(struct.pack(">I", len(content) + 8) + kind + content for kind, content in boxes)


def mutate_npy(rng: Random, data: bytes) -> bytes:
    """Change the header of a `.npy` file, with its length right."""
    if rng.random() < 0.3 or len(data) < 10:
        return mutate_bytes(rng, data)
    length = int.from_bytes(data[8:10], "little")
    header = rng.choice(
        (
            mutate_text(rng, data[10 : 10 + length]),
            b"{'descr': '%s', 'fortran_order': %s, 'shape': (%d, %d), }"
            % (
                rng.choice((b"|O", b"<f2", b">f8", b"<c8", b"|S4", b"<U9", b"|V3", b"<M8", b"<u2", b"|b1")),
                rng.choice((b"True", b"False", b"__import__('os')")),
                rng.choice(BOUNDARIES),
                rng.choice(BOUNDARIES),
            ),
        )
    )
    header = header[:60_000]
    return data[:8] + struct.pack("<H", len(header)) + header + data[10 + length :]


# -------------------------------------------------------------------------------------------- JSON and models


_VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    0.5,
    -0.0,
    1e308,
    -1e308,
    float("nan"),
    float("inf"),
    2**31,
    2**63,
    10**40,
    10**9,
    "",
    "a",
    "scene",
    "../x",
    "a\nb",
    "\x1b[31m",
    "\0",
    "\ud800",
    "é" * 3,
    "1" * 5000,
    CANARY_FILE.decode(),
    CANARY_URL.decode(),
    [],
    {},
    [[]],
    [None],
    {"a": 1},
    [1] * 3000,
)


def mutate_json(rng: Random, data: bytes) -> bytes:
    """Replace, remove or add one value anywhere in a JSON document."""
    if rng.random() < 0.15:
        return mutate_text(rng, data)
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return mutate_text(rng, data)
    holders: list[dict[str, Any] | list[Any]] = []
    waiting: list[Any] = [document]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict | list):
            holders.append(one)
            waiting += one.values() if isinstance(one, dict) else one
    if not holders:
        return mutate_text(rng, data)
    holder = rng.choice(holders)
    value = rng.choice(_VALUES)
    if rng.random() < 0.02:
        for _ in range(900):
            value = [value]
    if isinstance(holder, dict):
        key = rng.choice([*holder, "unknown", "\x1b[2J", ""])
        if rng.random() < 0.2:
            holder.pop(key, None)
        else:
            holder[key] = value
    elif rng.random() < 0.5 or not holder:
        holder.insert(rng.randrange(len(holder) + 1), value)
    else:
        holder[rng.randrange(len(holder))] = value
    return json.dumps(document).encode("utf-8", "surrogatepass")


def mutate_safetensors(rng: Random, data: bytes) -> bytes:
    """Mutate the header of a `.safetensors` file or the card in it, with the length right."""
    length = int.from_bytes(data[:8], "little")
    if rng.random() < 0.25 or length > len(data):
        return mutate_bytes(rng, data)
    header = data[8 : 8 + length]
    try:
        document = json.loads(header)
        metadata = document["__metadata__"]
        key = rng.choice(sorted(metadata))
        card = metadata[key].encode()
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        card = b""
    if card and rng.random() < 0.5:
        metadata[key] = mutate_json(rng, card).decode("utf-8", "replace")
        header = json.dumps(document).encode()
    else:
        header = mutate_json(rng, header)
    return struct.pack("<Q", len(header)) + header + data[8 + length :]


def mutate_onnx(rng: Random, data: bytes) -> bytes:
    """Mutate the card, an operator, an attribute, a tensor or the inputs of an ONNX model."""
    import onnx

    try:
        model = onnx.load_model_from_string(data)
    # protobuf's errors have no public base class
    except Exception:
        return mutate_bytes(rng, data)
    graph = model.graph
    match rng.randrange(8):
        case 0 | 1 | 2 if model.metadata_props:
            entry = rng.choice(model.metadata_props)
            # protobuf returns bytes where the text is not UTF-8
            value = entry.value if isinstance(entry.value, bytes) else entry.value.encode()
            entry.value = mutate_json(rng, value).decode("utf-8", "replace")
        case 3 if graph.node:
            node = rng.choice(graph.node)
            node.op_type = rng.choice(
                ("Conv", "Reshape", "Tile", "Expand", "Resize", "Loop", "If", "Pad", "Nope", "Add", "")
            )
        case 4 if graph.node:
            node = rng.choice(graph.node)
            names = [name for one in graph.node for name in (*one.input, *one.output)]
            if node.input:
                node.input[rng.randrange(len(node.input))] = rng.choice(names)
        case 5 if graph.initializer:
            tensor = rng.choice(graph.initializer)
            kind = rng.randrange(4)
            if kind == 0:
                tensor.data_type = rng.randrange(24)
            elif kind == 1:
                tensor.dims.append(rng.choice((0, 1, 2, -1, 2**31, 2**62)))
            elif kind == 2:
                tensor.raw_data = mutate_bytes(rng, tensor.raw_data)
            else:
                tensor.data_location = onnx.TensorProto.EXTERNAL
                place = rng.choice((CANARY_FILE.decode(), "../canary", "/dev/zero", "model.onnx", ""))
                tensor.external_data.add(key="location", value=place)
        case 6 if graph.input:
            one = rng.choice([*graph.input, *graph.output])
            if rng.random() < 0.3:
                one.name = rng.choice(("nir", "context", "x", ""))
            dims = one.type.tensor_type.shape.dim
            if dims:
                rng.choice(dims).dim_value = rng.choice((0, 1, 3, -1, 2**40))
        case _:
            return mutate_bytes(rng, data)
    return model.SerializeToString()


def mutate_pnm(rng: Random, data: bytes) -> bytes:
    """Change the ASCII header of a PGM or PPM file."""
    match = re.match(rb"(?s)P\d\s+.{1,40}?\d+\s+\d+\s+\d+\s", data)
    if match is None or rng.random() < 0.3:
        return mutate_bytes(rng, data)
    return mutate_text(rng, match.group()) + data[match.end() :]
