"""ENVI headers: parse them, and check them against the data file."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from nircolor.errors import NircolorError
from nircolor.imagery.bands.band_info import BandInfo
from nircolor.imagery.numbers import positive_number
from nircolor.texts import count_of

# numpy types by ENVI's number, without the complex ones (6, 9)
SAMPLE_TYPES = {1: "u1", 2: "i2", 3: "i4", 4: "f4", 5: "f8", 12: "u2", 13: "u4", 14: "i8", 15: "u8"}
# fields that GDAL reads too, under names that are spelled with single blanks or underscores only
_GDAL_FIELDS = {
    "samples", "lines", "bands", "data type", "header offset", "byte order", "interleave", "file type",
    "data ignore value", "map info", "coordinate system string", "projection info", "class lookup",
}  # fmt: skip
# A header of 2,000 bands has about 50 kB and 30 fields. GDAL's time is quadratic in the number of fields.
_MAX_HEADER_BYTES, _MAX_FIELDS = 1 << 20, 1000


def expected_bytes(path: Path, fields: Mapping[str, str]) -> int:
    """Check the fields that state how the samples are stored, and return the length of the data file.

    Args:
        path: the path that error messages name.
        fields: the header's fields, from `parse_header`.

    Raises:
        NircolorError: the data is compressed, or the header lacks a field or holds an impossible value.
    """
    if fields.get("file compression", "0") not in ("", "0"):
        raise NircolorError(f"{path}: compressed ENVI data is not read; decompress it first")
    width, height, bands, kind = (
        _whole_number(path, fields, name) for name in ("samples", "lines", "bands", "data type")
    )
    offset = _whole_number(path, {"header offset": "0", **fields}, "header offset")
    if kind not in SAMPLE_TYPES:
        raise NircolorError(f"{path}: ENVI data type {kind} holds no image (expected real numbers)")
    if min(width, height, bands) < 1 or offset < 0:
        raise NircolorError(
            f"{path}: the ENVI header says {width} samples, {height} lines, {bands} bands, offset {offset}"
        )
    if (interleave := fields.get("interleave", "bsq").lower()) not in ("bsq", "bil", "bip"):
        raise NircolorError(f"{path}: expected an interleave of bil, bip or bsq, got {interleave[:40]}")
    if any(digit in fields.get("major frame offsets", "") for digit in "123456789"):
        raise NircolorError(f"{path}: ENVI data with major frame offsets is not read")
    if (order := fields.get("byte order", "0")) not in ("0", "1"):
        raise NircolorError(f"{path}: expected a byte order of 0 or 1, got {order[:40]!r}")
    return width * height * bands * np.dtype(SAMPLE_TYPES[kind]).itemsize + offset


def _whole_number(path: Path, fields: Mapping[str, str], name: str) -> int:
    """Return a field of a header as an integer; raise `NircolorError` where it is absent or not one."""
    text = fields.get(name, "")
    # ASCII digits only: int() also accepts "1_000", which GDAL reads as 1, and numbers of any length
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        found = f", got {text[:40]!r}" if text else ""
        raise NircolorError(f"{path}: the ENVI header lacks a whole number for {name!r}{found}")
    return int(text)


def parse_header(header: Path, *, path: Path | None = None) -> dict[str, str]:
    """Parse an ENVI header.

    Args:
        header: the header file, in UTF-8 or Latin-1.
        path: the path that error messages name; by default ``header``.

    Returns:
        The values as text, by field name in lower case. Lists keep their braces.

    Raises:
        NircolorError: the header is too large to be one, has too many fields, or a brace is not closed.
    """
    path = path or header
    with header.open("rb") as file:
        raw = file.read(_MAX_HEADER_BYTES + 1)
    if len(raw) > _MAX_HEADER_BYTES:
        raise NircolorError(f"{path}: expected an ENVI header of at most {_MAX_HEADER_BYTES} bytes, got more")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:  # old programs wrote "µm" in Latin-1
        text = raw.decode("latin-1")
    lines = iter(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"))
    fields: dict[str, str] = {}
    for line in lines:
        name, equals, value = line.partition("=")
        if not equals or set(name) & set(";{}"):  # a comment, or text that is no field
            continue
        spelled, name, value = name.strip().lower(), _field_name(name), value.strip()
        if name in _GDAL_FIELDS and spelled.replace("_", " ") != name:
            raise NircolorError(
                f"{path}: GDAL does not find {name!r} in the ENVI header: remove extra blanks in it"
            )
        if "{" in value and "}" not in value:
            parts = [value]
            for line_of_list in lines:
                parts.append(line_of_list.strip())
                if "}" in line_of_list:
                    break
            else:
                raise NircolorError(
                    f"{path}: the ENVI header opens a brace for {name[:40]!r} and never closes it"
                )
            value = "\n".join(parts)
        if value.startswith("{"):
            value = value[: value.index("}") + 1]
        if name:
            fields[name] = value
        if len(fields) > _MAX_FIELDS:
            raise NircolorError(f"{path}: expected an ENVI header of at most {_MAX_FIELDS} fields, got more")
    return fields


def _field_name(text: str) -> str:
    """Return a name in lower case; underscores and blanks mean the same."""
    return " ".join(text.lower().replace("_", " ").split())


def check_wavelengths(path: Path, fields: Mapping[str, str], bands: int) -> None:
    """Raise `NircolorError` where a header lists another number of wavelengths than there are bands."""
    listed = [text for text in fields.get("wavelength", "").strip("{} \n").split(",") if text.strip()]
    if listed and len(listed) != bands:
        raise NircolorError(
            f"{path}: expected a wavelength for each band of the ENVI header, got {len(listed)} for "
            f"{count_of(bands, 'band')}; name them with --bands"
        )


def check_scale(path: Path, fields: Mapping[str, str]) -> None:
    """Raise `NircolorError` where the reflectance scale factor of a header is no positive number."""
    text = fields.get("reflectance scale factor", "").strip("{} \n")
    if text and positive_number(text) is None:
        raise NircolorError(
            f"{path}: expected a reflectance scale factor above 0 in the ENVI header, got {text[:40]!r}; "
            "state it with --scale"
        )


def without_bad_bands(path: Path, bands: Sequence[BandInfo], listed: str) -> tuple[BandInfo, ...]:
    """Return the bands without the wavelengths of bad ones, so that no model is matched to them.

    Args:
        path: the path that error messages name.
        bands: those of the file.
        listed: the header's bad-bands list (``bbl``), in braces: 0 for a bad band, 1 for a good one.

    Raises:
        NircolorError: the list has another length.
    """
    marks = [text.strip() for text in listed.strip("{}").split(",")]
    if len(marks) != len(bands):
        raise NircolorError(
            f"{path}: expected a bad-bands list (bbl) of {len(bands)} bands, got {len(marks)}"
        )
    return tuple(
        BandInfo(name="bad band") if positive_number(mark) is None else band
        for mark, band in zip(marks, bands, strict=True)
    )
