"""Which files are images: by name when walking folders, by content when opening one."""

import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nircolor.errors import NircolorError, NircolorWarning
from nircolor.imagery import envi

FORMATS = "PNG, JPEG, TIFF or ENVI"
EXTENSIONS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".hdr")

_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"II*\x00", "GTiff"),
    (b"MM\x00*", "GTiff"),
    (b"II+\x00", "GTiff"),
    (b"MM\x00+", "GTiff"),
)


@dataclass(frozen=True)
class Source:
    """A plain local file and the one GDAL driver that may open it."""

    path: Path  # as the user named it
    data: Path  # absolute; differs from `path` where an ENVI header was named
    driver: str  # "PNG", "JPEG", "GTiff" or "ENVI"
    header: Path | None = None  # of ENVI


def is_image(path: str | os.PathLike[str]) -> bool:
    """Whether the name is that of a image nircolor opens; an ENVI capture goes by its `.hdr` alone."""
    path = Path(path)
    return path.suffix.lower() in EXTENSIONS and not path.name.startswith(".")


def find_images(folder: str | os.PathLike[str], recursive: bool = False) -> list[Path]:
    """The images in `folder`, sorted by path; hidden files and folders are left out.

    Links to folders are not followed. Raises `NircolorError` if `folder` cannot be listed; a folder
    in it that cannot is left out with a warning.
    """
    folder = Path(folder)
    try:
        return sorted(_walk(folder, recursive))
    except OSError as error:
        raise NircolorError(f"{folder}: the folder cannot be listed ({error.strerror or error})") from error


def _walk(folder: Path, recursive: bool) -> Iterator[Path]:
    for entry in folder.iterdir():
        if entry.is_dir():
            if recursive and not entry.is_symlink() and not entry.name.startswith("."):
                try:
                    yield from _walk(entry, recursive)
                except PermissionError:
                    warnings.warn(f"{entry}: left out, it may not be read", NircolorWarning, stacklevel=2)
        elif is_image(entry) and not envi.is_reference(entry):
            yield entry


def locate(path: str | os.PathLike[str]) -> Source:
    """Find the file that holds the pixels and, by its first bytes, the driver that may read it.

    Only plain local files: no `/vsi` path, address, GDAL connection string, folder or device. A
    VRT (which reads other files) has no allowed signature, whatever its name. Raises
    `NircolorError`.
    """
    path = Path(path)
    data = Path(os.path.abspath(path))  # noqa: PTH100 - `absolute` keeps "..", which "/x/../vsimem" needs gone
    if data.parts[1:2] and data.parts[1].startswith("vsi"):
        raise NircolorError(f"{path}: only plain local files are opened, not GDAL's virtual ones")
    try:
        if data.is_dir():
            raise NircolorError(f"{path}: expected a image file, got a folder")
        if not data.exists():
            hint = " (only plain local files are opened)" if ":" in str(path) else ""
            raise NircolorError(f"{path}: no such file{hint}")
        if not data.is_file():
            raise NircolorError(f"{path}: expected a image file, got a device or pipe")
        with data.open("rb") as file:
            start = file.read(16)
        if not start:
            raise NircolorError(f"{path}: the file is empty")
        if data.suffix.lower() == ".hdr" and start.startswith(b"ENVI"):
            return Source(path, envi.data_file(data), "ENVI", data)
        header = None if is_image(data) else envi.header_file(data)
        if header is not None:
            return Source(path, data, "ENVI", header)
    except OSError as error:
        raise NircolorError(f"{path}: cannot be read ({error.strerror or error})") from error
    except ValueError as error:  # a null byte in the name
        raise NircolorError(f"{path!r}: not a file name ({error})") from error
    for signature, driver in _SIGNATURES:
        if start.startswith(signature):
            return Source(path, data, driver)
    raise NircolorError(f"{path}: expected a {FORMATS} image, got a file that begins with {start[:8]!r}")
