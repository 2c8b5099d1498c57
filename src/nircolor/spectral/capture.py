"""Where a capture's files lie: a SPECIM folder, or the header of an ENVI cube."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from nircolor.errors import NircolorError
from nircolor.imagery import envi

_RAW_FOLDER = "capture"


class Capture(NamedTuple):
    """A cube to make a pair of, and the pair's name; ``fault`` where the folder of a capture holds none."""

    name: str
    header: Path
    fault: str | None = None


def find_captures(paths: Iterable[Path]) -> list[Capture]:
    """The captures that paths name: headers, data files, captures' folders, and folders of any of these.

    The vendor's software keeps a capture in ``{name}/capture/{id}.hdr`` with its references; the folder's
    name is the capture's then, the id may be another. References are no captures.

    Raises:
        NircolorError: a path holds no capture, or two captures have one name, or all are references.
    """
    seen: dict[str, Capture] = {}
    for capture in (capture for path in paths for capture in _at(path)):
        known = seen.setdefault(capture.name, capture)
        if known.header.resolve() != capture.header.resolve():
            raise NircolorError(
                f"{capture.header}: expected captures of different names, {known.header} is "
                f"{capture.name} as well"
            )
    if not seen:
        raise NircolorError("expected captures, got dark and white references alone")
    return list(seen.values())


def _at(path: Path) -> list[Capture]:
    if not path.is_dir():
        return [] if envi.is_reference(path) else [Capture(envi.stem(path).name, path)]
    found = list(_in_folder(path))
    if not found:
        raise NircolorError(f"{path}: expected an ENVI cube (.hdr) or a folder with {_RAW_FOLDER}/ in it")
    return found


def _in_folder(folder: Path) -> Iterator[Capture]:
    raw = folder / _RAW_FOLDER
    if raw.is_dir():
        yield _recorded(folder, raw)
        return
    for header in _headers(folder):
        yield Capture(envi.stem(header).name, header)
    for inside in sorted(folder.iterdir()):
        if inside.is_dir() and not inside.name.startswith("."):
            yield from _in_folder(inside)


def _recorded(folder: Path, raw: Path) -> Capture:
    name, headers = folder.resolve().name, _headers(raw)
    if len(headers) == 1:
        return Capture(name, headers[0])
    names = ", ".join(header.name for header in headers) or "none"
    return Capture(name, raw, f"{raw}: expected one capture's header, got {names}")


def _headers(folder: Path) -> list[Path]:
    headers = (path for path in folder.iterdir() if path.suffix.lower() == ".hdr")
    return sorted(h for h in headers if not envi.is_reference(h) and not h.name.startswith("."))
