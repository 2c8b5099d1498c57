"""Where a capture's files lie: a SPECIM folder, or the header of an ENVI cube."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from nircolor.errors import NircolorError
from nircolor.imagery import envi

_RAW_FOLDER = "capture"


class Capture(NamedTuple):
    """A cube to make a pair of, and the pair's name."""

    name: str
    header: Path


def find_captures(paths: Iterable[Path]) -> list[Capture]:
    """The captures that paths name: headers, data files, captures' folders, and folders of any of these.

    The vendor's software keeps a capture in ``{name}/capture/{id}.hdr`` with its references; the folder's
    name is the capture's then, the id may be another.

    Raises:
        NircolorError: a path holds no capture, or two captures have one name.
    """
    captures = [capture for path in paths for capture in _at(path)]
    seen: dict[str, Path] = {}
    for name, header in captures:
        if name in seen:
            raise NircolorError(
                f"{header}: expected captures of different names, {seen[name]} is {name} as well"
            )
        seen[name] = header
    return captures


def _at(path: Path) -> list[Capture]:
    if not path.is_dir():
        return [Capture(envi.stem(path).name, path)]
    found = _in_folder(path)
    if not found:
        found = [capture for folder in _folders(path) for capture in _in_folder(folder)]
    if not found:
        raise NircolorError(f"{path}: expected an ENVI cube (.hdr) or a folder with {_RAW_FOLDER}/ in it")
    return found


def _in_folder(folder: Path) -> list[Capture]:
    raw = folder / _RAW_FOLDER
    if not raw.is_dir():
        return [Capture(envi.stem(header).name, header) for header in _headers(folder)]
    headers = _headers(raw)
    if len(headers) != 1:
        names = ", ".join(header.name for header in headers) or "none"
        raise NircolorError(f"{raw}: expected one capture's header, got {names}")
    return [Capture(folder.resolve().name, headers[0])]


def _headers(folder: Path) -> Sequence[Path]:
    headers = (path for path in folder.iterdir() if path.suffix.lower() == ".hdr")
    return sorted(h for h in headers if not envi.is_reference(h) and not h.name.startswith("."))


def _folders(folder: Path) -> Sequence[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
