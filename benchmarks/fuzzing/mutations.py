"""Mutations of bytes and of text that need no knowledge of a format."""

import os
import re
import struct
from collections.abc import Callable, Sequence
from random import Random

Mutation = Callable[[Random, bytes], bytes]

# number of the worker process, of two digits
WORKER = os.environ.get("NIRCOLOR_FUZZ_WORKER", "00")
# a file that no input may make nircolor open, and the address of a server that none may make it ask
CANARY_FILE = f"/tmp/nircolor-fuzz-canary-{WORKER}.tif".encode()
CANARY_URL = f"http://127.0.0.1:478{WORKER}/".encode()

BOUNDARIES = (
    0, 1, 2, 3, 7, 8, 15, 16, 17, 31, 32, 63, 64, 127, 128, 255, 256, 257, 511, 1023, 4095, 4096, 4097,
    10_000, 32767, 32768, 65534, 65535, 65536, 65537, 1_000_000, 2**24 - 1, 2**24, 2**31 - 1, 2**31,
    2**32 - 1, 2**32, 2**53, 2**63 - 1, 2**63, 2**64 - 1, -1, -2, -128, -32768, -(2**31), -(2**63),
)  # fmt: skip
NUMBERS = (
    *(str(value).encode() for value in BOUNDARIES),
    b"1e308",
    b"-1e308",
    b"1e999",
    b"1e-320",
    b"nan",
    b"NaN",
    b"inf",
    b"-inf",
    b"Infinity",
    b"-0",
    b"+1",
    b"0x10",
    b"1_000",
    b"1,5",
    b"1.",
    b".5",
    b".",
    b"",
    b"1e",
    b"9" * 400,
    b"0." + b"0" * 300 + b"1",
    "٣".encode(),
    b"1/0",
)
WORDS = (
    b"{",
    b"}",
    b"{}",
    b"{{",
    b"=",
    b";",
    b",",
    b'"',
    b"'",
    b"<",
    b"&",
    b"\0",
    b"\xff\xfe",
    b"\xc3",
    b"\x1b[31m",
    b"\x1b]0;t\x07",
    b"\r",
    b"\n",
    b"\r\n",
    b"\n\n",
    b"\t",
    b" " * 12_000,
    b"," * 5000,
    b"A" * 70_000,
    "µm".encode(),
    "\u202e".encode(),
    b"%s%n",
    b"../../",
    CANARY_FILE,
    b"/vsicurl/" + CANARY_URL,
    b"/vsimem/a",
    b"file://" + CANARY_FILE,
    b"ENVI",
    b"true",
    b"null",
)

# an image that reads another file, and one that asks a server
VRT = (
    b'<VRTDataset rasterXSize="16" rasterYSize="16"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
    b"<SourceFilename>%s</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"
)
BLOBS = (
    VRT % CANARY_FILE,
    VRT % (b"/vsicurl/" + CANARY_URL + b"a.tif"),
    b"<GDAL_WMS><Service name='TMS'><ServerUrl>"
    + CANARY_URL
    + b"${z}/${x}/${y}</ServerUrl></Service></GDAL_WMS>",
    b'<!DOCTYPE a [<!ENTITY b SYSTEM "file://' + CANARY_FILE + b'">]><a>&b;</a>',
    b'<!DOCTYPE a [<!ENTITY b "cccccccccc">'
    + b"".join(b'<!ENTITY %c "%s">' % (c + 1, b"&%c;" % c * 10) for c in range(ord("b"), ord("k")))
    + b"]><a>&k;</a>",
    b"<a>" * 20_000,
    b"[" * 20_000,
    b"",
    b"\0" * 64,
)


def mutate_bytes(rng: Random, data: bytes) -> bytes:
    """Apply one mutation that suits any file."""
    return rng.choice(_BYTES)(rng, data)


def mutate_text(rng: Random, data: bytes) -> bytes:
    """Apply one mutation that suits a text file."""
    return rng.choice(_TEXT)(rng, data)


def splice(rng: Random, data: bytes, other: bytes) -> bytes:
    """Join the beginning of one file and the end of another."""
    return data[: _place(rng, data)] + other[_place(rng, other) :]


def number(rng: Random, size: int) -> int:
    """Choose a boundary value, or a random one, that fits `size` bytes without a sign."""
    if rng.random() < 0.2:
        return rng.getrandbits(8 * size)
    return rng.choice(BOUNDARIES) % 256**size


def _place(rng: Random, data: bytes) -> int:
    """Choose an offset, often in the first bytes, where headers are."""
    span = rng.choice((16, 64, 400, len(data)))
    return rng.randrange(min(len(data), span) + 1)


def _flip_bit(rng: Random, data: bytes) -> bytes:
    at = min(_place(rng, data), len(data) - 1)
    return data if at < 0 else data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]


def _set_byte(rng: Random, data: bytes) -> bytes:
    at = _place(rng, data)
    return data[:at] + rng.randbytes(1) + data[at + 1 :]


def _set_bytes(rng: Random, data: bytes) -> bytes:
    at, count = _place(rng, data), rng.choice((2, 4, 8, 64))
    filler = rng.choice((b"\0" * count, b"\xff" * count, rng.randbytes(count)))
    return data[:at] + filler + data[at + count :]


def _set_integer(rng: Random, data: bytes) -> bytes:
    at, size = _place(rng, data), rng.choice((1, 2, 4, 8))
    return data[:at] + number(rng, size).to_bytes(size, rng.choice(("little", "big"))) + data[at + size :]


def _set_float(rng: Random, data: bytes) -> bytes:
    at, code = _place(rng, data), rng.choice(("<f", "<d", ">f", ">d"))
    packed = struct.pack(
        code, rng.choice((0.0, -0.0, 1e-38, -1.0, float("nan"), float("inf"), float("-inf")))
    )
    return data[:at] + packed + data[at + len(packed) :]


def _truncate(rng: Random, data: bytes) -> bytes:
    return data[: _place(rng, data) if rng.random() < 0.5 else max(0, len(data) - rng.randrange(1, 200))]


def _delete(rng: Random, data: bytes) -> bytes:
    at = _place(rng, data)
    return data[:at] + data[at + rng.choice((1, 2, 4, 16, 100)) :]


def _duplicate(rng: Random, data: bytes) -> bytes:
    at, count = _place(rng, data), rng.choice((1, 4, 16, 100, 1000))
    return data[:at] + data[at : at + count] * rng.choice((2, 3, 30)) + data[at + count :]


def _move(rng: Random, data: bytes) -> bytes:
    start, target, count = _place(rng, data), _place(rng, data), rng.choice((4, 16, 100))
    piece = data[start : start + count]
    return data[:target] + piece + data[target + len(piece) :]


def _insert(rng: Random, data: bytes) -> bytes:
    at = _place(rng, data)
    return data[:at] + rng.choice((rng.randbytes(rng.randrange(1, 40)), rng.choice(WORDS))) + data[at:]


def _append(rng: Random, data: bytes) -> bytes:
    return data + rng.choice((rng.randbytes(100), b"\0" * 5000, data, rng.choice(BLOBS)))


def _replace_number(rng: Random, data: bytes) -> bytes:
    found = list(re.finditer(rb"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?", data[:100_000]))
    if not found:
        return _insert(rng, data)
    match = rng.choice(found)
    return data[: match.start()] + rng.choice(NUMBERS) + data[match.end() :]


def _replace_word(rng: Random, data: bytes) -> bytes:
    found = list(re.finditer(rb"[A-Za-z_]{2,}", data[:100_000]))
    if not found:
        return _insert(rng, data)
    match = rng.choice(found)
    word = rng.choice((*WORDS, rng.choice(found).group(), match.group().upper(), match.group() * 2))
    return data[: match.start()] + word + data[match.end() :]


def _edit_lines(rng: Random, data: bytes) -> bytes:
    lines = data.split(b"\n")
    at, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    match rng.randrange(6):
        case 0:
            del lines[at]
        case 1:
            lines.insert(other, lines[at])
        case 2:
            lines[at], lines[other] = lines[other], lines[at]
        case 3:
            lines[at] = lines[at] * rng.choice((2, 2000))
        case 4:
            key = re.match(rb"[^=:]*[=:]?", lines[at])
            lines[at] = (key.group() if key else b"") + b" " + rng.choice((*WORDS, *NUMBERS))
        case 5:
            lines += [lines[at]] * 1200
    return b"\n".join(lines)


def _replace_text(rng: Random, data: bytes) -> bytes:
    at = _place(rng, data)
    return data[:at] + rng.choice(WORDS) + data[at + rng.choice((0, 1, 5)) :]


def _change_encoding(rng: Random, data: bytes) -> bytes:
    text = data.decode("latin-1")
    encoded = text.encode(rng.choice(("utf-8-sig", "utf-16", "utf-16-be", "utf-32")))
    return rng.choice(
        (encoded, data.replace(b"\n", b"\r"), data.replace(b"\n", b"\r\n"), data.replace(b" ", b"\t"))
    )


def _replace_all(rng: Random, data: bytes) -> bytes:
    return rng.choice(BLOBS) if rng.random() < 0.5 else data[:0] + rng.randbytes(rng.randrange(300))


_BYTES: Sequence[Mutation] = (
    _flip_bit,
    _flip_bit,
    _set_byte,
    _set_byte,
    _set_bytes,
    _set_integer,
    _set_integer,
    _set_integer,
    _set_float,
    _truncate,
    _delete,
    _duplicate,
    _move,
    _insert,
    _append,
    _replace_number,
)
_TEXT: Sequence[Mutation] = (
    _replace_number,
    _replace_number,
    _replace_number,
    _replace_word,
    _replace_word,
    _edit_lines,
    _edit_lines,
    _replace_text,
    _change_encoding,
    _replace_all,
    _flip_bit,
    _truncate,
    _delete,
    _insert,
    _append,
)
