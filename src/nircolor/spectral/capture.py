"""Find hyperspectral captures: SPECIM capture folders and ENVI cubes."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from nircolor.errors import NircolorError
from nircolor.imagery.files import envi_files

_RAW_FOLDER = "capture"


class Capture(NamedTuple):
    """A hyperspectral capture.

    Attributes:
        name: Name of the pair that is made from it.
        header: ENVI header or data file; the ``capture`` folder if it holds no single capture.
        fault: Reason why the capture cannot be read, or None.
    """

    name: str
    header: Path
    fault: str | None = None


def find_captures(paths: Iterable[str | os.PathLike[str]]) -> list[Capture]:
    """Find the captures at the given paths.

    SPECIM's software writes a capture as ``NAME/capture/ID.hdr`` with its dark and white references beside
    it; the name of the capture is then NAME, which may differ from ID. Other captures have the name of
    their header. References are left out. A SPECIM folder without exactly one capture is listed with a
    ``fault``, so that an aborted recording does not stop the processing of the others.

    Args:
        paths: ENVI headers or data files, SPECIM capture folders, or folders of any of these.

    Returns:
        Captures in the order of ``paths``, within a folder by name; each capture once.

    Raises:
        NircolorError: A folder holds no capture, two captures have the same name, or there are only
            references.

    Examples:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp(), "leaf", "capture")
        >>> folder.mkdir(parents=True)
        >>> for name in ("0007", "DARKREF_0007", "WHITEREF_0007"):
        ...     (folder / f"{name}.hdr").touch()
        >>> [(capture.name, capture.header.name) for capture in find_captures([folder.parent.parent])]
        [('leaf', '0007.hdr')]
    """
    found: dict[str, Capture] = {}
    for capture in (capture for path in paths for capture in _at(Path(path))):
        other = found.setdefault(capture.name, capture)
        # unlike `Path.resolve`, without an error where links form a loop
        if os.path.realpath(other.header) != os.path.realpath(capture.header):
            raise NircolorError(
                f"{capture.header}: expected captures with different names, {other.header} is "
                f"called {capture.name} too"
            )
    if not found:
        raise NircolorError("expected captures, got only dark and white references")
    return list(found.values())


def _at(path: Path) -> list[Capture]:
    if not path.is_dir():
        return [] if envi_files.is_reference(path) else [Capture(envi_files.stem(path).name, path)]
    captures = list(_in_folder(path))
    if not captures:
        raise NircolorError(f"{path}: expected an ENVI cube (.hdr) or a folder with {_RAW_FOLDER}/ in it")
    return captures


def _in_folder(folder: Path) -> Iterator[Capture]:
    raw = folder / _RAW_FOLDER
    if raw.is_dir():
        yield _in_specim_folder(folder, raw)
        return
    for header in _headers(folder):
        yield Capture(envi_files.stem(header).name, header)
    for entry in sorted(folder.iterdir()):
        if entry.is_dir() and not entry.name.startswith("."):
            yield from _in_folder(entry)


def _in_specim_folder(folder: Path, raw: Path) -> Capture:
    name, headers = folder.resolve().name, _headers(raw)
    if len(headers) == 1:
        return Capture(name, headers[0])
    names = ", ".join(header.name for header in headers) or "none"
    return Capture(name, raw, f"{raw}: expected the header of one capture, got {names}")


def _headers(folder: Path) -> list[Path]:
    headers = (path for path in folder.glob("[!.]*") if path.suffix.lower() == ".hdr")
    return sorted(
        h for h in headers if not envi_files.is_reference(h) and not envi_files.is_foreign_header(h)
    )
