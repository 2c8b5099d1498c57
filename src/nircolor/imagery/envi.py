"""ENVI captures: a text header beside a raw data file. GDAL reads them; here the two are brought together."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from nircolor.errors import NircolorError
from nircolor.imagery.gdal import positive_number

DATA_EXTENSIONS = ("", ".raw", ".img", ".dat", ".bil", ".bip", ".bsq", ".bin", ".envi", ".cube")

# what the files of SPECIM's references begin with, before the capture's own name
REFERENCES = ("DARKREF_", "WHITEREF_", "WHITEDARKREF_")

# numpy's types by ENVI's number; complex ones (6, 9) hold no image
SAMPLE_TYPES = {1: "u1", 2: "i2", 3: "i4", 4: "f4", 5: "f8", 12: "u2", 13: "u4", 14: "i8", 15: "u8"}
# a header of 2,000 bands is some 50 kB; more than this is no header
_MAX_HEADER = 4 << 20


def is_reference(path: Path) -> bool:
    """Whether the name is that of a dark or white reference, which is no image of its own."""
    return path.name.upper().startswith(REFERENCES)


def stem(path: Path) -> Path:
    """The capture's name without header and data extensions: `a.raw.hdr`, `a.hdr`, `a.raw` -> `a`."""
    for extensions in ((".hdr",), DATA_EXTENSIONS[1:]):
        if path.suffix.lower() in extensions:
            path = path.with_suffix("")
    return path


def data_file(header: Path) -> Path:
    """The data file beside `header`, in any case; raises `NircolorError` naming what was looked for."""
    base = header.with_suffix("").name
    names = [base] if Path(base).suffix.lower() in DATA_EXTENSIONS[1:] else []
    names += [base + extension for extension in DATA_EXTENSIONS]
    found = siblings(header, names)
    if not found:
        looked = ", ".join(f"{base}{extension}" for extension in DATA_EXTENSIONS[:8])
        raise NircolorError(
            f"{header}: expected the ENVI data file beside its header, found none of {looked}"
        )
    return found[0]


def header_file(data: Path) -> Path | None:
    """The ENVI header beside a data file (`a.hdr`, else `a.raw.hdr`), or None."""
    for candidate in siblings(data, [data.with_suffix(".hdr").name, f"{data.name}.hdr"]):
        with candidate.open("rb") as file:
            if file.read(4) == b"ENVI":
                return candidate
    return None


def check_length(path: Path, data: Path, fields: Mapping[str, str]) -> None:
    """Raise `NircolorError` where the data file is shorter than its header (`parse_header`) says.

    GDAL reads the missing part as zeros.
    """
    if fields.get("file compression", "0") not in ("", "0"):
        raise NircolorError(f"{path}: compressed ENVI data is not read; decompress it first")
    try:
        width, height, bands = (int(fields[name]) for name in ("samples", "lines", "bands"))
        kind = int(fields["data type"])
        offset = int(fields.get("header offset", "0"))
    except (KeyError, ValueError) as error:
        raise NircolorError(f"{path}: the ENVI header lacks a whole number for {error}") from error
    if kind not in SAMPLE_TYPES:
        raise NircolorError(f"{path}: ENVI data type {kind} holds no image (expected real numbers)")
    if min(width, height, bands) < 1 or offset < 0:
        raise NircolorError(
            f"{path}: the ENVI header says {width} samples, {height} lines, {bands} bands, offset {offset}"
        )
    sample_bytes = np.dtype(SAMPLE_TYPES[kind]).itemsize
    expected, got = width * height * bands * sample_bytes + offset, data.stat().st_size
    if got < expected:
        raise NircolorError(
            f"{path}: the data file {data.name} is cut off: expected {expected} bytes, got {got}"
        )


def parse_header(header: Path) -> dict[str, str]:
    """The fields of an ENVI header, names in lower case, values as text (braces kept)."""
    with header.open("rb") as file:
        raw = file.read(_MAX_HEADER)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:  # "µm", as old programs wrote it
        text = raw.decode("latin-1")
    fields = re.findall(r"^[ \t]*([^=\n;{}]+?)[ \t]*=[ \t]*(\{[^}]*\}|[^\n]*)", text, flags=re.MULTILINE)
    return {" ".join(name.lower().split()): value.strip() for name, value in fields}


def without_bad_bands(
    path: Path, wavelengths_nm: Sequence[float | None], listed: str
) -> tuple[float | None, ...]:
    """The wavelengths, with None for bands that the bad-bands list ``bbl`` marks by 0: nobody picks them."""
    marks = [text.strip() for text in listed.strip("{}").split(",")]
    if len(marks) != len(wavelengths_nm):
        raise NircolorError(
            f"{path}: expected a bad-bands list (bbl) of {len(wavelengths_nm)} bands, got {len(marks)}"
        )
    return tuple(
        None if positive_number(mark) is None else nm for mark, nm in zip(marks, wavelengths_nm, strict=True)
    )


def siblings(path: Path, names: list[str]) -> list[Path]:
    """Files beside `path` with one of `names` in any case: the wanted order, exact spelling first."""
    present: dict[str, list[str]] = {}
    wanted = {name.lower() for name in names}
    with os.scandir(path.parent) as entries:
        for entry in entries:
            if entry.name.lower() in wanted and entry.name != path.name and entry.is_file():
                present.setdefault(entry.name.lower(), []).append(entry.name)
    ordered: list[str] = []
    for name in names:
        found = present.get(name.lower(), [])
        ordered += [name] if name in found else sorted(found)
    return [path.parent / name for name in dict.fromkeys(ordered)]
