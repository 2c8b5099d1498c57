"""Metadata files of satellite products: Landsat's `…_MTL.txt` beside a band, Sentinel-2's `MTD_MSIL….xml`.

They are searched for only where the file name is that of the product's band, read as text, and never given to
GDAL or an XML parser.
"""

import re
from pathlib import Path

from nircolor.imagery.metadata.text_files import read_text

_LANDSAT = re.compile(
    r"(?P<scene>L[CEMOT]\d{2}_L[12][A-Z]{2}_\d{6}_\d{8}_\d{8}_\d{2}_(?:T1|T2|RT))_(?P<surface>SR_)?B\d",
    re.IGNORECASE,
)
_SENTINEL2 = re.compile(r"T\d{2}[A-Z]{3}_\d{8}T\d{6}_(?P<band>B\d[\dA])", re.IGNORECASE)
# GRANULE/L2A_…/IMG_DATA/R10m/ in a folder X.SAFE
_DEPTH = 5
_UNIT = re.compile(r"<(?:\w+:)?(?:L2A_)?(?:BOA_)?QUANTIFICATION_VALUE\b[^>]{0,100}>\s*([\d.]+)\s*<")
_ADDED = re.compile(r"<(?:\w+:)?(?:BOA|RADIO)_ADD_OFFSET\s+band_id=\"(\d+)\"\s*>\s*(-?[\d.]+)\s*<")
# the bands by band_id
_BANDS = ("1", "2", "3", "4", "5", "6", "7", "8", "8a", "9", "10", "11", "12")


def tags_beside(path: Path) -> tuple[dict[str, str], str]:
    """Return what a product's metadata file says about the scale of a band, and the name of the file.

    Args:
        path: the image.

    Returns:
        Tags in lower case, as a file of several bands would carry them: ``reflectance_mult_band_5``,
        ``quantification_value``, ``boa_add_offset_8``. Empty where there is no such file.
    """
    landsat, sentinel2 = _LANDSAT.match(path.name), _SENTINEL2.match(path.name)
    if landsat is not None:
        file = path.with_name(f"{landsat['scene']}_MTL.txt")
        return _of_landsat(_text(file, path), is_surface=landsat["surface"] is not None), file.name
    if sentinel2 is not None:
        for folder in list(path.absolute().parents)[:_DEPTH]:
            for name in ("MTD_MSIL2A.xml", "MTD_MSIL1C.xml"):
                text = _text(folder / name, path)
                if text:
                    return _of_sentinel2(text, sentinel2["band"]), name
    return {}, ""


def _of_landsat(text: str, *, is_surface: bool) -> dict[str, str]:
    """Parse the group of surface or of top-of-atmosphere reflectance; both have the same fields."""
    level1 = ("LEVEL1_RADIOMETRIC_RESCALING", "RADIOMETRIC_RESCALING")
    wanted = ("LEVEL2_SURFACE_REFLECTANCE_PARAMETERS",) if is_surface else level1
    group, fields = "", {}
    for line in text.splitlines():
        key, _, value = (part.strip() for part in line.partition("="))
        if key == "GROUP":
            group = value
        elif group in wanted and key.startswith("REFLECTANCE_"):
            fields[key.lower()] = value
    return fields


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
