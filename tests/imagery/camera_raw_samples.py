"""Write camera raw files in their real layout: DNGs, and the metadata of Fujifilm's and Canon's files."""

import struct
from pathlib import Path

import numpy as np

from nircolor.imagery.files.tiff import TagValue, directory_bytes

BLACK, WHITE = 512, 15300
CFA, LINEAR = 32803, 34892
RGGB, BGGR = (0, 1, 1, 2), (2, 1, 1, 0)
# of Fujifilm's sensors
X_TRANS = (
    1, 1, 0, 1, 1, 2,
    1, 1, 2, 1, 1, 0,
    2, 0, 1, 0, 2, 1,
    1, 1, 2, 1, 1, 0,
    1, 1, 0, 1, 1, 2,
    0, 2, 1, 2, 0, 1,
)  # fmt: skip
# from CIE XYZ to linear sRGB (IEC 61966-2-1): a camera whose channels are those of sRGB
XYZ_TO_SRGB = (3.2406, -1.5372, -0.4986, -0.9689, 1.8758, 0.0415, 0.0557, -0.2040, 1.0570)
_CODES = {1: "B", 3: "H", 4: "I", 5: "I", 10: "i"}


def value(kind: int, *numbers: float) -> TagValue:
    """Return a tag of bytes (1), short (3) or long (4) integers, or of rational numbers (5, 10)."""
    if kind in (5, 10):
        parts = [part for number in numbers for part in (round(number * 10_000), 10_000)]
        return TagValue(kind, len(numbers), struct.pack(f"<{len(parts)}{_CODES[kind]}", *parts))
    return TagValue(kind, len(numbers), struct.pack(f"<{len(numbers)}{_CODES[kind]}", *map(int, numbers)))


def text(content: str) -> TagValue:
    return TagValue(2, len(content) + 1, content.encode() + b"\0")


def mosaic(colours: np.ndarray, pattern: tuple[int, ...] = RGGB) -> np.ndarray:
    """Return what a sensor records of linear colours (channels, h, w) in [0, 1]: (h, w) uint16."""
    height, width = colours.shape[1:]
    side = int(len(pattern) ** 0.5)
    y, x = np.mgrid[:height, :width]
    index = np.array(pattern).reshape(side, side)[y % side, x % side]
    seen = np.take_along_axis(colours, index[None], 0)[0]
    return np.rint(BLACK + seen * (WHITE - BLACK)).astype(np.uint16)


def save_dng(
    path: Path,
    samples: np.ndarray,
    *,
    pattern: tuple[int, ...] | None = RGGB,
    black: tuple[int, ...] = (BLACK,),
    neutral: tuple[float, ...] = (0.5, 1.0, 0.7),
    orientation: int = 1,
    preview: bool = True,
    crop: tuple[int, int, int, int] | None = None,
    active: tuple[int, int, int, int] | None = None,
    more: dict[int, TagValue] | None = None,
    lossless: bool = False,
) -> Path:
    """Write a DNG.

    Args:
        path: the file.
        samples: (h, w) mosaic or gray values, or (h, w, 3) linear colours, uint16.
        pattern: colours of the mosaic, 0 to 2 for red, green and blue; None without a mosaic.
        black: black level, or four of a 2 x 2 pattern.
        neutral: gray under the light of the picture, as the sensor records it: its white balance.
        orientation: as EXIF states it.
        preview: whether a thumbnail comes first and the image below it, as cameras write it.
        crop: (left, top, width, height) of the area that is to be shown, inside of the active one.
        active: (top, left, bottom, right) of the area that light reaches.
        more: tags of the first directory.
        lossless: compress as lossless JPEG, as most cameras do; (h, w) alone.
    """
    height, width, *channels = samples.shape
    is_colour = bool(channels) or pattern is not None
    stored = lossless_jpeg(samples) if lossless else samples.astype("<u2").tobytes()
    main = {
        271: text("Canon"), 272: text("EOS R5"), 274: value(3, orientation), 306: text("2026:07:01 12:00:00"),
        50706: value(1, 1, 4, 0, 0), 50707: value(1, 1, 1, 0, 0), 50708: text("Canon EOS R5"), **(more or {}),
    }  # fmt: skip
    if is_colour:
        main |= {50721: value(10, *XYZ_TO_SRGB), 50778: value(3, 21), 50728: value(5, *neutral)}
    raw = {
        254: value(4, 0), 256: value(4, width), 257: value(4, height), 277: value(3, *(channels or [1])),
        258: value(3, *[16] * (channels[0] if channels else 1)), 259: value(3, 7 if lossless else 1),
        262: value(3, LINEAR if pattern is None else CFA), 278: value(4, height), 284: value(3, 1),
        279: value(4, len(stored)), 50717: value(4, WHITE), 50714: value(3, *black),
    }  # fmt: skip
    if len(black) == 4:
        raw[50713] = value(3, 2, 2)
    if pattern is not None:
        side = int(len(pattern) ** 0.5)
        raw |= {33421: value(3, side, side), 33422: value(1, *pattern), 50710: value(1, 0, 1, 2)}
    if crop is not None:
        raw |= {50719: value(3, *crop[:2]), 50720: value(3, *crop[2:])}
    if active is not None:
        raw[50829] = value(4, *active)
    small = np.full((12, 16, 3), 99, np.uint8).tobytes()
    # as cameras write it: directories, preview, image; a file that is cut off lacks pixels
    below_at, small_at = 2048, 4096
    raw[273] = value(4, small_at + len(small))
    if preview:
        main |= {
            254: value(4, 1), 256: value(4, 16), 257: value(4, 12), 258: value(3, 8, 8, 8), 259: value(3, 1),
            262: value(3, 2), 277: value(3, 3), 278: value(4, 12), 279: value(4, len(small)),
            273: value(4, small_at), 330: value(4, below_at),
        }  # fmt: skip
    head = b"II*\0" + struct.pack("<I", 8) + directory_bytes(main if preview else main | raw, 8)
    if preview:
        head = head.ljust(below_at, b"\0") + directory_bytes(raw, below_at)
    path.write_bytes(head.ljust(small_at, b"\0") + small + stored)
    return path


def lossless_jpeg(samples: np.ndarray) -> bytes:
    """Encode (h, w) uint16 as a lossless JPEG (ITU-T T.81, SOF3) of one component.

    The predictor is the value on the left; all 17 categories of differences have codes of 5 bits.
    """
    height, width = samples.shape
    values = samples.astype(np.int64)
    predicted = np.empty_like(values)
    predicted[:, 1:] = values[:, :-1]
    predicted[1:, 0] = values[:-1, 0]
    predicted[0, 0] = 1 << 15
    differences = (values - predicted + (1 << 15)) % (1 << 16) - (1 << 15)
    bits: list[str] = []
    for difference in differences.ravel().tolist():
        length = 16 if difference == -(1 << 15) else abs(difference).bit_length()
        bits.append(f"{length:05b}")
        if 0 < length < 16:
            bits.append(f"{difference if difference > 0 else difference + (1 << length) - 1:0{length}b}")
    packed = "".join(bits)
    packed += "1" * (-len(packed) % 8)
    scan = int(packed, 2).to_bytes(len(packed) // 8, "big").replace(b"\xff", b"\xff\0")
    table = bytes([0, 0, 0, 0, 0, 17, *[0] * 11, *range(17)])
    frame = struct.pack(">BHHB3B", 16, height, width, 1, 1, 0x11, 0)
    start = bytes([1, 1, 0, 1, 0, 0])

    def segment(marker: int, content: bytes) -> bytes:
        return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content

    return (
        b"\xff\xd8" + segment(0xC3, frame) + segment(0xC4, table) + segment(0xDA, start) + scan + b"\xff\xd9"
    )


def exif_tiff(*, gps: bool = True) -> bytes:
    """Return the EXIF of a camera as a TIFF: make, exposure and position."""
    main = {271: text("Maker"), 272: text("Model"), 274: value(3, 6)}
    photo = {33434: value(5, 0.004), 36867: text("2026:07:01 12:00:00")}
    position = {1: text("N"), 2: value(5, 47, 30, 0)}
    head = b"II*\0" + struct.pack("<I", 1024)
    body = (
        head + directory_bytes(photo, 8).ljust(504, b"\0") + directory_bytes(position, 512).ljust(512, b"\0")
    )
    main |= {34665: value(4, 8)} | ({34853: value(4, 512)} if gps else {})
    return body + directory_bytes(main, 1024)


def cr3_bytes() -> bytes:
    """Return the boxes of a CR3 with metadata and no image."""

    def box(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I4s", len(content) + 8, kind) + content

    def alone(tags: dict[int, TagValue]) -> bytes:
        return b"II*\0" + struct.pack("<I", 8) + directory_bytes(tags, 8)

    parts = box(b"CNCV", b"CanonCR3_001/00.11.00/00.00.00")
    parts += box(b"CMT1", alone({271: text("Canon"), 272: text("EOS R5"), 274: value(3, 1)}))
    parts += box(b"CMT2", alone({33434: value(5, 0.004), 36867: text("2026:07:01 12:00:00")}))
    parts += box(b"CMT3", alone({1: value(3, 7)}))
    parts += box(b"CMT4", alone({1: text("N"), 2: value(5, 47, 30, 0)}))
    canon = box(b"uuid", bytes.fromhex("85c0b687820f11e08111f4ce462b6a48") + parts)
    return box(b"ftyp", b"crx \0\0\0\1crx isom") + box(b"moov", canon) + box(b"mdat", bytes(64))


def raf_bytes() -> bytes:
    """Return a file of Fujifilm with metadata in a JPEG and no image."""
    exif = b"Exif\0\0" + exif_tiff()
    jpeg = b"\xff\xd8\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + b"\xff\xda\0\2"
    return b"FUJIFILMCCD-RAW 0201".ljust(84, b"\0") + struct.pack(">II", 160, len(jpeg)) + bytes(68) + jpeg
