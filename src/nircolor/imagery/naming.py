"""Where a colorized image goes: the input's name, in a format that can hold colour."""

import os
from pathlib import Path

from nircolor.errors import NircolorError
from nircolor.imagery import envi

OUTPUT_DRIVERS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "GTiff", ".tiff": "GTiff"}


def output_driver(path: Path) -> str:
    """The GDAL driver for an output name; raises `NircolorError` for other extensions."""
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
    """The output file for one input.

    `output` is a folder (existing, or without one of the output extensions) or, else, the file
    itself. In a folder the input keeps its name, PNG, JPEG and TIFF their extension; ENVI captures
    become `.tif`. Below `root` (the folder that was walked) inputs keep their place as well.
    Two inputs may get one output (`a.hdr` and `a.tif`): the caller compares.
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
