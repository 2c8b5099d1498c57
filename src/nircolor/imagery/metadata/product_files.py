"""Metadata files of satellite products: Landsat's `…_MTL.txt`, `.json`, `.xml`, Sentinel-2's `MTD_MSIL….xml`.

They are searched for only where the file name is that of the product's band, and never given to GDAL.
"""

import json
import re
from pathlib import Path
from typing import TypeAlias

from nircolor.errors import NircolorError
from nircolor.imagery.metadata.safe_xml import parse_xml
from nircolor.imagery.metadata.text_files import read_text

_LANDSAT = re.compile(
    r"(?P<scene>L[CEMOT]\d{2}_L[12][A-Z]{2}_\d{6}_\d{8}_\d{8}_\d{2}_(?:T1|T2|RT))_(?P<surface>SR_)?"
    r"B(?P<band>\d{1,2})",
    re.IGNORECASE,
)
# level 2A began with L2A_ until 2018
_SENTINEL2 = re.compile(r"(?:L1C_|L2A_)?T\d{2}[A-Z]{3}_\d{8}T\d{6}_(?P<band>B\d[\dA])", re.IGNORECASE)
# GRANULE/L2A_…/IMG_DATA/R10m/ in a folder X.SAFE
_DEPTH = 5
_UNIT = re.compile(r"<(?:\w+:)?(?:L2A_)?(?:BOA_)?QUANTIFICATION_VALUE\b[^>]{0,100}>\s*([\d.]+)\s*<")
_ADDED = re.compile(r"<(?:\w+:)?(?:BOA|RADIO)_ADD_OFFSET\s+band_id=\"(\d+)\"\s*>\s*(-?[\d.]+)\s*<")
# fields by group
Groups: TypeAlias = dict[str, dict[str, str]]
_SURFACE = "LEVEL2_SURFACE_REFLECTANCE_PARAMETERS"
# of Collection 2, and as Collection 1 called it
_LEVEL1 = ("LEVEL1_RADIOMETRIC_RESCALING", "RADIOMETRIC_RESCALING")
# the bands by band_id
_BANDS = ("1", "2", "3", "4", "5", "6", "7", "8", "8a", "9", "10", "11", "12")


def tags_beside(path: Path) -> tuple[dict[str, str], str]:
    """Return what a product's metadata file says about the scale of a band, and the name of the file.

    Args:
        path: the image.

    Returns:
        Tags in lower case, as a file of several bands would carry them: ``reflectance_mult_band_5``,
        ``quantification_value``, ``boa_add_offset_8``; for Landsat of level 1, whose factors leave it out,
        also ``level1_sun_elevation`` in degrees. Empty where there is no such file.

    Raises:
        NircolorError: the file is that of another scene.
    """
    landsat, sentinel2 = _LANDSAT.match(path.name), _SENTINEL2.match(path.name)
    if landsat is not None:
        groups, file = landsat_groups(path.with_name(landsat["scene"]), path)
        wanted = (_SURFACE,) if landsat["surface"] is not None else _LEVEL1
        fields = [item for group in wanted for item in groups.get(group, {}).items()]
        found = {key.lower(): value for key, value in fields if key.startswith("REFLECTANCE_")}
        if f"reflectance_mult_band_{landsat['band']}" not in found:  # of a thermal band
            return {}, ""
        elevation = groups.get("IMAGE_ATTRIBUTES", {}).get("SUN_ELEVATION")
        if landsat["surface"] is None and elevation is not None:
            found["level1_sun_elevation"] = elevation
        return found, file
    if sentinel2 is not None:
        for folder in list(path.absolute().parents)[:_DEPTH]:
            for name in ("MTD_MSIL2A.xml", "MTD_MSIL1C.xml"):
                text = _text(folder / name, path)
                if text:
                    return _of_sentinel2(text, sentinel2["band"]), name
    return {}, ""


def landsat_groups(scene: Path, image: Path | None = None) -> tuple[Groups, str]:
    """Return the groups of fields in a Landsat scene's metadata, and the name of the file.

    Args:
        scene: start of the names of the scene's files, with their folder.
        image: one of them, to which a link must belong; by default any of this folder.

    Raises:
        NircolorError: the metadata states another scene, whose scale may differ.
    """
    for extension, parse in ((".txt", _of_text), (".json", _of_json), (".xml", _of_xml)):
        file = scene.with_name(f"{scene.name}_MTL{extension}")
        text = _text(file, image or file)
        if text:
            try:
                groups = parse(text)
            except (ValueError, RecursionError):
                continue
            stated = groups.get("PRODUCT_CONTENTS", {}).get("LANDSAT_PRODUCT_ID", scene.name)
            if stated.upper() != scene.name.upper():
                raise NircolorError(
                    f"{file}: expected the metadata of {scene.name}, got that of {stated[:80]}; put the "
                    "right file there, or remove it and give --scale and --offset"
                )
            return groups, file.name
    return {}, ""


def _of_text(text: str) -> Groups:
    groups: Groups = {}
    group = ""
    for line in text.splitlines():
        key, _, value = (part.strip() for part in line.partition("="))
        if key == "GROUP":
            group = value
        elif value and key != "END_GROUP":
            groups.setdefault(group, {})[key] = value.strip('"')
    return groups


def _of_json(text: str) -> Groups:
    content = json.loads(text)
    found = content.get("LANDSAT_METADATA_FILE") if isinstance(content, dict) else None
    groups = found.items() if isinstance(found, dict) else ()
    return {
        group: {key: str(value) for key, value in fields.items()}
        for group, fields in groups
        if isinstance(fields, dict)
    }


def _of_xml(text: str) -> Groups:
    return {
        group.tag: {field.tag: (field.text or "").strip() for field in group} for group in parse_xml(text)
    }


def _of_sentinel2(text: str, band: str) -> dict[str, str]:
    unit = _UNIT.search(text)
    if unit is None:
        return {}
    added = {int(number): value for number, value in _ADDED.findall(text)}
    name = band.lower().lstrip("b").lstrip("0")
    number = _BANDS.index(name) if name in _BANDS else None
    return {"quantification_value": unit[1]} | ({"boa_add_offset": added[number]} if number in added else {})


def _text(file: Path, image: Path) -> str:
    """Return the content of a metadata file of ``image``; nothing for a link out of the folders of both."""
    try:
        folders = (file.parent.resolve(), image.resolve().parent)
        is_own = not file.is_symlink() or file.resolve().parent in folders
        return read_text(file) if is_own and file.is_file() else ""
    except (OSError, ValueError):
        return ""
