"""File names and formats: find images in a folder, find the driver that reads a file, name output files."""

import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nircolor.errors import NircolorError, NircolorWarning
from nircolor.imagery import envi

EXTENSIONS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".hdr")
OUTPUT_DRIVERS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "GTiff", ".tiff": "GTiff"}

_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"II*\x00", "GTiff"),
    (b"MM\x00*", "GTiff"),
    (b"II+\x00", "GTiff"),
    (b"MM\x00+", "GTiff"),
)


@dataclass(frozen=True)
class ImageFile:
    """A local image file and the one GDAL driver that may open it.

    Attributes:
        path: as the user named it.
        data: absolute path of the file that holds the pixels; for ENVI not always ``path``.
        driver: "PNG", "JPEG", "GTiff" or "ENVI".
        header: absolute path of the ENVI header; None for other formats.
    """

    path: Path
    data: Path
    driver: str
    header: Path | None = None


def is_image(path: str | os.PathLike[str]) -> bool:
    """Return whether a file name has the extension of a supported image; the file need not exist.

    ENVI files are recognized by their header, ``.hdr``. Hidden files are no images.

    Example:
        >>> is_image("night.JPG"), is_image("cube.hdr"), is_image("cube.raw")
        (True, True, False)
    """
    path = Path(path)
    return path.suffix.lower() in EXTENSIONS and not path.name.startswith(".")


def find_images(folder: str | os.PathLike[str], recursive: bool = False) -> list[Path]:
    """List the images in a folder.

    Hidden files and folders, dark and white references, and links to folders are left out.

    Args:
        folder: the folder.
        recursive: include the folders below it. One that cannot be listed is left out with a
            `NircolorWarning`.

    Returns:
        Paths that begin with ``folder``, sorted.

    Raises:
        NircolorError: ``folder`` cannot be listed.
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
                    problem = "left out, it may not be read"
                    warnings.warn(NircolorWarning(problem, path=entry), stacklevel=2)
        elif is_image(entry) and not envi.is_reference(entry):
            yield entry


def locate(path: str | os.PathLike[str]) -> ImageFile:
    """Find the file that holds the pixels of an image, and the driver that its first bytes ask for.

    Only plain local files are accepted: no ``/vsi`` path, URL, GDAL connection string, folder or device. A
    VRT, which reads other files, has none of the accepted signatures, whatever its name.

    Raises:
        NircolorError: the file does not exist, cannot be read or is in another format.
    """
    path = Path(path)
    # `Path.absolute` would keep the ".." of "/x/../vsimem"
    data = Path(os.path.abspath(path))  # noqa: PTH100
    if data.parts[1:2] and data.parts[1].startswith("vsi"):
        raise NircolorError(f"{path}: only plain local files are opened, not GDAL's virtual ones")
    try:
        if data.is_dir():
            raise NircolorError(f"{path}: expected an image file, got a folder")
        if not data.exists():
            hint = " (only plain local files are opened)" if ":" in str(path) else ""
            raise NircolorError(f"{path}: no such file{hint}")
        if not data.is_file():
            raise NircolorError(f"{path}: expected an image file, got a device or pipe")
        with data.open("rb") as file:
            start = file.read(16)
        if not start:
            raise NircolorError(f"{path}: the file is empty")
        if data.suffix.lower() == ".hdr" and start.startswith(b"ENVI"):
            return ImageFile(path, envi.data_file(data), "ENVI", data)
        header = None if is_image(data) else envi.header_file(data)
        if header is not None:
            return ImageFile(path, data, "ENVI", header)
    except OSError as error:
        raise NircolorError(f"{path}: cannot be read ({error.strerror or error})") from error
    except ValueError as error:  # a null byte in the name
        raise NircolorError(f"{path!r}: not a file name ({error})") from error
    for signature, driver in _SIGNATURES:
        if start.startswith(signature):
            return ImageFile(path, data, driver)
    raise NircolorError(
        f"{path}: expected a PNG, JPEG, TIFF or ENVI image, got a file that begins with {start[:8]!r}"
    )


def output_driver(path: Path) -> str:
    """Return the GDAL driver for an output name; raise `NircolorError` for an unknown extension."""
    try:
        return OUTPUT_DRIVERS[path.suffix.lower()]
    except KeyError:
        allowed = ", ".join(OUTPUT_DRIVERS)
        raise NircolorError(
            f"{path}: expected an output name that ends in {allowed}, got {path.name!r}"
        ) from None


def output_path_for(
    input_path: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    root: str | os.PathLike[str] | None = None,
) -> Path:
    """Return the output file for an input image.

    Two inputs can get the same output (``a.hdr`` and ``a.tif``); the caller has to compare.

    Args:
        input_path: the input.
        output: a file, if it ends in one of `OUTPUT_DRIVERS` and is no existing folder; else a folder, in
            which the input keeps its name. ENVI files become ``.tif``.
        root: the folder that was searched; subfolders below it are kept in the output folder.

    Example:
        >>> output_path_for("in/day 1/cube.hdr", "out", root="in").as_posix()
        'out/day 1/cube.tif'
    """
    input_path, folder = Path(input_path), Path(output)
    if folder.suffix.lower() in OUTPUT_DRIVERS and not folder.is_dir() and not str(output).endswith(os.sep):
        return folder
    name = input_path.name
    if input_path.suffix.lower() not in OUTPUT_DRIVERS:
        name = f"{envi.stem(input_path).name}.tif"
    if root is not None:
        folder /= input_path.parent.relative_to(root)
    return folder / name
