"""ENVI files: find the data file of a header and the header of a data file, as GDAL does."""

import os
from pathlib import Path

from nircolor.errors import NircolorError
from nircolor.imagery.files import envi_header
from nircolor.imagery.files.signatures import EXTENSIONS

# A data file with another extension has to be as long as its header says.
DATA_EXTENSIONS = ("", ".raw", ".img", ".dat", ".bil", ".bip", ".bsq", ".bin", ".envi", ".cube", ".hyspex")

# prefixes of SPECIM's reference files; the name of the capture follows
REFERENCES = ("DARKREF_", "WHITEREF_", "WHITEDARKREF_")

_COMPRESSED = (".7z", ".bz2", ".gz", ".xz", ".zip", ".zst")


def is_reference(path: Path) -> bool:
    """Return whether the file name is that of a dark or white reference."""
    return path.name.upper().startswith(REFERENCES)


def stem(path: Path) -> Path:
    """Strip the header and data extensions of a capture: `a.raw.hdr`, `a.hdr` and `a.raw` become `a`."""
    for extensions in ((".hdr",), DATA_EXTENSIONS[1:]):
        if path.suffix.lower() in extensions:
            path = path.with_suffix("")
    return path


class Siblings:
    """Names of the files in a folder, found ignoring case.

    Args:
        folder: the folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._by_name: dict[str, list[str]] = {}
        self._by_stem: dict[str, list[str]] = {}
        with os.scandir(folder) as entries:
            for name in sorted(entry.name for entry in entries if entry.is_file()):
                self._by_name.setdefault(name.lower(), []).append(name)
                self._by_stem.setdefault(Path(name).stem.lower(), []).append(name)

    def named(self, *names: str) -> list[Path]:
        """Return the files with one of the names, in that order; exact spelling first."""
        found = (sorted(self._by_name.get(name.lower(), []), key=name.__ne__) for name in names)
        return [self._folder / name for name in dict.fromkeys(name for group in found for name in group)]

    def with_stem(self, stem: str) -> list[Path]:
        """Return the files whose names are `stem` and any extension."""
        return [self._folder / name for name in self._by_stem.get(stem.lower(), [])]


def header_file(data: Path, siblings: Siblings | None = None) -> Path | None:
    """Find the ENVI header beside a data file, as GDAL does: `a.raw.hdr`, else `a.hdr`, or None."""
    siblings = siblings or Siblings(data.parent)
    for candidate in siblings.named(f"{data.name}.hdr", data.with_suffix(".hdr").name):
        if candidate.name != data.name and is_header(candidate):
            return candidate
    return None


def is_header(path: Path) -> bool:
    """Return whether a file begins as ENVI headers do."""
    with path.open("rb") as file:
        return file.read(4) == b"ENVI"


def is_foreign_header(path: Path) -> bool:
    """Return whether a `.hdr` file holds something else, such as those of ESRI and Radiance."""
    return path.stat().st_size > 0 and not is_header(path)


def data_file(path: Path, header: Path) -> Path:
    """Find the data file of a header.

    It is the file of its name (`a.raw` of `a.raw.hdr`) or its stem with the length that the header states;
    else the first with an extension that ENVI data often has. Files in formats of their own, and files for
    which GDAL prefers another header, are left out.

    Args:
        path: the path that error messages name.
        header: the header.

    Raises:
        NircolorError: there is none; several fit; or it is a link to another folder. Any file could be read
            as ENVI data, so a link in a folder of unknown origin could disclose one.
    """
    siblings = Siblings(header.parent)
    found = find_data(path, header, siblings)
    if found is None:
        base = header.with_suffix("").name
        packed = [file.name for file in siblings.with_stem(base) if file.suffix in _COMPRESSED]
        hint = f"; decompress {packed[0]} first" if packed else ""
        looked = ", ".join(f"{base}{extension}" for extension in DATA_EXTENSIONS[:8])
        raise NircolorError(
            f"{path}: expected the ENVI data file beside its header, found none of {looked}, "
            f"and no other {base}.* of the length that it states{hint}"
        )
    place = found.resolve().parent
    if found.is_symlink() and place not in (header.parent.resolve(), header.resolve().parent):
        raise NircolorError(
            f"{path}: its data file {found.name} is a link to another folder; name that file to read it"
        )
    return found


def find_data(path: Path, header: Path, siblings: Siblings) -> Path | None:
    """Find the data file as `data_file` does, or None; links are not checked."""
    base = header.with_suffix("").name
    others = (".hdr", *_COMPRESSED, *EXTENSIONS)
    files = [
        file
        for file in dict.fromkeys((*siblings.named(base), *siblings.with_stem(base)))
        if file.suffix.lower() not in others and file.name != header.name
    ]
    files = [file for file in files if header_file(file, siblings) == header] or files
    usual = [file for file in files if file.name.lower() == base.lower()]
    usual += sorted(
        (file for file in files if file not in usual and file.suffix.lower() in DATA_EXTENSIONS),
        key=lambda file: DATA_EXTENSIONS.index(file.suffix.lower()),
    )
    if len(files) <= 1 and files == usual:
        return next(iter(files), None)
    expected = envi_header.expected_bytes(path, envi_header.parse_header(header, path=path))
    fitting = [file for file in files if file.stat().st_size == expected]
    if len(fitting) > 1:
        names = ", ".join(file.name for file in fitting)
        raise NircolorError(
            f"{path}: expected one data file of {expected} bytes, got {names}; name the data file itself"
        )
    return next(iter(fitting or usual), None)


def read_header(path: Path, header: Path, data: Path) -> dict[str, str]:
    """Parse a header and check that it describes the data file.

    Args:
        path: the path that error messages name.
        header: the header file.
        data: the data file.

    Returns:
        The fields, as from `envi_header.parse_header`.

    Raises:
        NircolorError: as from `parse_header` and `expected_bytes`; a file cannot be read; the data
            file is too short, which GDAL reads as zeros; or there is another header, which GDAL prefers and
            which differs.
    """
    try:
        fields = envi_header.parse_header(header, path=path)
        used = header_file(data)
        if header.stem not in (data.name, data.stem) or header.suffix not in (".hdr", ".HDR"):
            raise NircolorError(
                f"{path}: {header.name} and {data.name} differ in case, so that GDAL does not find the "
                "header; rename one"
            )
        if (
            used is not None
            and used.name != header.name
            and envi_header.parse_header(used, path=path) != fields
        ):
            raise NircolorError(
                f"{path}: expected one ENVI header for {data.name}, got {used.name} and {header.name}, "
                "which differ"
            )
        expected, got = envi_header.expected_bytes(path, fields), data.stat().st_size
    except OSError as error:
        raise NircolorError(f"{path}: cannot be read ({error.strerror or error})") from error
    if got < expected:
        raise NircolorError(
            f"{path}: the data file {data.name} is cut off: expected {expected} bytes, got {got}"
        )
    return fields
