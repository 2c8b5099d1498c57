"""Find the stack that a path stands for, and the stacks in a folder."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from nircolor.imagery.stacks import cameras, landsat, listed, sentinel2
from nircolor.imagery.stacks.stack import Stack


def stack_path(path: str | os.PathLike[str]) -> Path | None:
    """Return the path of the stack that a path stands for, or None where it stands for a file or a folder.

    Only names are looked at, except that of a folder the names of its files are.

    - a folder: a Sentinel-2 product or a Landsat scene; or the metadata file of one
    - a part of a Sentinel-2 product: ``GRANULE``, a folder below it, or ``MTD_TL.xml``
    - no file: the common start of the names of a Landsat scene or of a camera's set, such as
      ``flight/IMG_0001``
    - a list of bands, ``b7.tif@783,b8.tif@842``
    """
    path = Path(path)
    if listed.parse(path) is not None:
        return path
    try:
        if path.is_dir():
            named = _named(path)
            return named if is_product(named) else sentinel2.named_by_part(named)
        if path.is_file():
            if sentinel2.is_metadata(path):
                return _named(path.parent)
            return landsat.scene_of_metadata(path) or sentinel2.named_by_part(path)
        return path if landsat.is_scene(path) or cameras.is_set(path) else None
    except (OSError, ValueError):  # names that are too long or hold null bytes
        return None


def _named(folder: Path) -> Path:
    """Return a folder with its name, by which products are known, also for ``.`` and ``..``."""
    return folder if folder.name not in ("", "..") else folder.resolve()


def is_product(folder: Path) -> bool:
    """Return whether a folder is one image: a Sentinel-2 product or a Landsat scene."""
    return sentinel2.is_product(folder) or landsat.is_product(folder)


def find_stack(path: str | os.PathLike[str]) -> Stack | None:
    """Return the stack that a path stands for, or None where it stands for a file or a folder.

    Raises:
        NircolorError: its metadata or files are missing, damaged or contradict each other.
    """
    found = stack_path(path)
    if found is None:
        return None
    bands = listed.parse(found)
    if bands is not None:
        return listed.stack_of(found, bands)
    if found.is_dir() and not landsat.is_product(found):
        return sentinel2.stack_of(found)
    return cameras.stack_of(found) if cameras.is_set(found) else landsat.stack_of(found)


def stacks_among(files: Iterable[Path]) -> Mapping[Path, list[Path]]:
    """Return the Landsat scenes and camera sets among the files of one folder: their paths and files."""
    files = list(files)
    found = {**landsat.scenes(files), **cameras.sets(files)}
    return {group[0].with_name(name): group for name, group in found.items()}
