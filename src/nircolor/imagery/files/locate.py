"""File names and formats: find the driver that reads a file, name output files."""

import os
from dataclasses import dataclass
from pathlib import Path

from nircolor.errors import NircolorError
from nircolor.imagery.files import envi_files, unread
from nircolor.imagery.files.signatures import (
    CAMERA_RAW,
    EXTENSIONS,
    OUTPUT_DRIVERS,
    OUTPUT_EXTENSIONS,
    driver_of,
    is_camera_raw,
)
from nircolor.imagery.stacks.listed import parse as parse_list


@dataclass(frozen=True)
class ImageFile:
    """A local image file and its format.

    Attributes:
        path: as the user named it.
        data: absolute path of the file that holds the pixels; for ENVI not always ``path``.
        driver: the one GDAL driver that may open it: "PNG", "JPEG", "GTiff", "ENVI", "JP2OpenJPEG", "WEBP" or
            "BMP"; or "PNM" or "NumPy", whose samples are described by `raw_samples`, or "CameraRaw", which is
            developed by `camera_raw`.
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


def locate(path: str | os.PathLike[str]) -> ImageFile:
    """Find the file that holds the pixels of an image, and the driver for its format, by its first bytes.

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
            start = file.read(unread.START_BYTES)
        if not start:
            raise NircolorError(f"{path}: the file is empty")
        if data.suffix.lower() == ".hdr" and start.startswith(b"ENVI"):
            return ImageFile(path, envi_files.data_file(path, data), "ENVI", data)
        header = None if is_image(data) else envi_files.header_file(data)
        if header is not None:
            return ImageFile(path, data, "ENVI", header)
    except OSError as error:
        raise NircolorError(f"{path}: cannot be read ({error.strerror or error})") from error
    except ValueError as error:  # a null byte in the name
        raise NircolorError(f"{path!r}: not a file name ({error})") from error
    driver = _driver_of(path, data, start)
    if driver is None:
        raise NircolorError(
            f"{path}: expected a PNG, JPEG, TIFF, ENVI, JPEG 2000, WebP, BMP, PGM, NumPy or camera raw image,"
            f" got a file that begins with {repr(start[:8])[1:]}"
        )
    return ImageFile(path, data, driver)


def _driver_of(path: Path, data: Path, start: bytes) -> str | None:
    driver = driver_of(start)
    kind = None if driver == CAMERA_RAW else unread.kind_of_content(start)
    if driver == "WEBP" and start[12:16] == b"VP8X" and start[20] & 2:
        raise NircolorError(f"{path}: animated WebP is not read; save one of its images as PNG")
    if driver == "GTiff":
        with data.open("rb") as file:
            driver = CAMERA_RAW if is_camera_raw(data, file) else driver
    elif driver is None and kind is None:
        kind = unread.kind_of_name(data)
    if kind is not None:
        raise NircolorError(f"{path}: {kind.name} files are not read; {kind.advice}")
    return driver


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
            which the input keeps its name. Formats that are not written become ``.tif`` where they can hold
            a georeference or many bands (ENVI, JPEG 2000, NumPy, products), else ``.png``. A list of bands
            has the name of the first.
        root: the folder that was searched; subfolders below it are kept in the output folder.

    Example:
        >>> output_path_for("in/day 1/cube.hdr", "out", root="in").as_posix()
        'out/day 1/cube.tif'
    """
    input_path, folder = Path(input_path), Path(output)
    listed = parse_list(input_path)
    if listed is not None:
        input_path = listed[0][0]
    if folder.suffix.lower() in OUTPUT_DRIVERS and not folder.is_dir() and not str(output).endswith(os.sep):
        return folder
    name, extension = input_path.name, input_path.suffix.lower()
    if extension not in OUTPUT_DRIVERS:
        stem = (
            input_path.stem
            if is_image(input_path) and extension != ".hdr"
            else envi_files.stem(input_path).name
        )
        if extension == ".safe":
            stem = input_path.stem
        name = stem + OUTPUT_EXTENSIONS.get(extension, ".tif")
    if root is not None:
        folder /= input_path.parent.relative_to(root)
    return folder / name
