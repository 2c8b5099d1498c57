"""Landsat scenes of Collection 2: one GeoTIFF per band, metadata in ``…_MTL.txt``, ``.json`` or ``.xml``."""

import re
from collections.abc import Iterable
from pathlib import Path

from nircolor.errors import NircolorError
from nircolor.imagery.bands.sensors import LANDSAT_SCENE as _SCENE
from nircolor.imagery.bands.sensors import sensor_wavelengths
from nircolor.imagery.metadata.product_files import landsat_groups
from nircolor.imagery.stacks.stack import Stack, StackBand

_NAME = re.compile(_SCENE, re.IGNORECASE)
_METADATA = re.compile(rf"({_SCENE})_MTL\.(?:txt|json|xml)", re.IGNORECASE)
_BAND = re.compile(rf"({_SCENE})_((?:SR_)?B(\d{{1,2}}))\.tiff?", re.IGNORECASE)
# quality, angles, thermal bands, previews and metadata belong to the scene as well
_OF_SCENE = re.compile(rf"({_SCENE})_.+", re.IGNORECASE | re.DOTALL)
# bands of reflected light, without the panchromatic one, whose pixels are smaller: by number of the satellite
_REFLECTED = {"8": (1, 2, 3, 4, 5, 6, 7, 9), "9": (1, 2, 3, 4, 5, 6, 7, 9)}
_REFLECTED_BEFORE = (1, 2, 3, 4, 5, 7)


def is_product(folder: Path) -> bool:
    """Return whether a folder has the name of a scene and holds its bands."""
    return _NAME.fullmatch(folder.name) is not None and folder.name in scenes(_files(folder))


def scene_of_metadata(file: Path) -> Path | None:
    """Return the path that names the scene of a metadata file, or None for other files."""
    match = _METADATA.fullmatch(file.name)
    return None if match is None else file.with_name(match[1])


def is_scene(path: Path) -> bool:
    """Return whether a path is the common start of the names of a scene's files."""
    return _NAME.fullmatch(path.name) is not None and path.name in scenes(_files(path.parent))


def scenes(files: Iterable[Path]) -> dict[str, list[Path]]:
    """Return the scenes of which at least two bands are among the files of a folder, with all their files."""
    found: dict[str, list[Path]] = {}
    bands: dict[str, int] = {}
    for file in files:
        band, match = _BAND.fullmatch(file.name), _OF_SCENE.fullmatch(file.name)
        if match is not None:
            found.setdefault(match[1], []).append(file)
            if band is not None and _is_reflected(match[1], int(band[3])):
                bands[match[1]] = bands.get(match[1], 0) + 1
    return {scene: found[scene] for scene, count in bands.items() if count > 1}


def stack_of(path: Path) -> Stack:
    """Return the bands of a scene: a folder with the name of the scene, or the start of the file names."""
    folder, scene = (path if path.is_dir() else path.parent), path.name
    bands: dict[int, StackBand] = {}
    for file in _files(folder):
        match = _BAND.fullmatch(file.name)
        if match is not None and match[1] == scene and _is_reflected(scene, int(match[3])):
            name = match[2].upper()
            nm = sensor_wavelengths([name], scene)[0]
            bands[int(match[3])] = StackBand(file, name, nm, "known sensor")
    if not bands:
        raise NircolorError(f"{path}: expected the bands of a Landsat scene, got none")
    contents = landsat_groups(folder / scene)[0].get("PRODUCT_CONTENTS", {})
    missing = []
    for key, name in contents.items():
        number = re.fullmatch(r"FILE_NAME_BAND_(\d{1,2})", key)
        if number and _is_reflected(scene, int(number[1])) and int(number[1]) not in bands:
            missing.append(f"B{number[1]} ({name})")
    kind = f"Landsat {int(scene[2:4])} L{scene[6]}"
    ordered = tuple(bands[number] for number in sorted(bands))
    return Stack(path, kind, ordered, tuple(missing), nodata=0, is_product=True)


def _is_reflected(scene: str, number: int) -> bool:
    return number in _REFLECTED.get(scene[3], _REFLECTED_BEFORE)


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(file for file in folder.iterdir() if file.suffix.lower() in (".tif", ".tiff"))
    except OSError:
        return []
