"""Mutations of images made of chunks, segments or boxes, with checksums and lengths that are right."""

import re
import struct
import zlib
from collections.abc import Callable, Iterable
from functools import cache
from random import Random

from fuzzing.mutations import BLOBS, BOUNDARIES, WORDS, mutate_bytes, mutate_text, number
from fuzzing.tiff import XMP, exif


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """Return a PNG chunk with length and checksum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def with_segment(jpeg: bytes, content: bytes, marker: int = 0xE1) -> bytes:
    """Add a segment to the beginning of a JPEG."""
    return jpeg[:2] + b"\xff" + bytes([marker]) + struct.pack(">H", len(content) + 2) + content + jpeg[2:]


def riff(chunks: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return a WebP file of chunks (kind, content)."""
    body = b"".join(
        kind + struct.pack("<I", len(piece)) + piece + b"\0" * (len(piece) % 2) for kind, piece in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def with_box(jp2: bytes, kind: bytes, content: bytes) -> bytes:
    """Add a box to a JPEG 2000 file, before that of the pixels."""
    at = jp2.index(b"jp2c") - 4
    return jp2[:at] + struct.pack(">I", len(content) + 8) + kind + content + jp2[at:]


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


def _mutate_parts(
    rng: Random, parts: list[tuple[bytes, bytes]], new: Callable[[], tuple[bytes, bytes]]
) -> None:
    """Mutate, repeat or add one of the parts (kind, content) of a file, in place."""
    index = rng.randrange(len(parts))
    match rng.randrange(4):
        case 0 | 1:
            parts[index] = (parts[index][0], mutate_bytes(rng, parts[index][1]))
        case 2:
            parts.insert(rng.randrange(len(parts) + 1), parts[index])
        case _:
            part = new()
            parts.insert(rng.randrange(len(parts) + 1), part)


def mutate_riff(rng: Random, data: bytes) -> bytes:
    """Mutate, repeat or add chunks of a WebP file."""
    chunks: list[tuple[bytes, bytes]] = []
    at = 12
    while at + 8 <= len(data):
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        chunks.append((data[at : at + 4], data[at + 8 : at + 8 + length]))
        at += 8 + length + length % 2
    if not chunks:
        return mutate_bytes(rng, data)

    def new() -> tuple[bytes, bytes]:
        extended = (b"VP8X", rng.randbytes(10))
        return rng.choice(
            (
                (b"EXIF", exif(rng)),
                (b"XMP ", mutate_text(rng, XMP)),
                (b"ICCP", rng.randbytes(128)),
                extended,
            )
        )

    _mutate_parts(rng, chunks, new)
    return riff(chunks)


def mutate_boxes(rng: Random, data: bytes) -> bytes:
    """Mutate, repeat or add boxes of a JPEG 2000 file."""
    boxes: list[tuple[bytes, bytes]] = []
    at = 0
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big") or len(data) - at
        boxes.append((data[at + 4 : at + 8], data[at + 8 : at + length]))
        at += max(length, 8)
    if not boxes:
        return mutate_bytes(rng, data)

    def new() -> tuple[bytes, bytes]:
        xmp = bytes.fromhex("BE7ACFCB97A942E89C71999491E3AFAC") + mutate_text(rng, XMP)
        geo = bytes.fromhex("B14BF8BD083D4B43A5AE8CD7D5A6CE03") + exif(rng)
        return rng.choice(
            ((b"uuid", xmp), (b"uuid", geo), (b"xml ", rng.choice(BLOBS)), (b"jp2h", rng.randbytes(40)))
        )

    _mutate_parts(rng, boxes, new)
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


def mutate_pnm(rng: Random, data: bytes) -> bytes:
    """Change the ASCII header of a PGM or PPM file."""
    match = re.match(rb"(?s)P\d\s+.{1,40}?\d+\s+\d+\s+\d+\s", data)
    if match is None or rng.random() < 0.3:
        return mutate_bytes(rng, data)
    return mutate_text(rng, match.group()) + data[match.end() :]
