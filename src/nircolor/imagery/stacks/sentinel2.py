"""Sentinel-2 products: ``.SAFE`` folders of level 1C and 2A, one JPEG 2000 file per band and resolution."""

import glob
import re
from pathlib import Path
from xml.etree.ElementTree import Element

from nircolor.errors import NircolorError, first_line
from nircolor.imagery.bands.sensors import sensor_wavelengths
from nircolor.imagery.metadata.safe_xml import parse_xml
from nircolor.imagery.metadata.text_files import read_bounded
from nircolor.imagery.numbers import positive_number
from nircolor.imagery.stacks.stack import Stack, StackBand

# the folder of a product's granules, and the metadata of one
_GRANULES, _GRANULE_METADATA = "GRANULE", "MTD_TL.XML"
_METADATA = re.compile(r"MTD_MSIL(1C|2A)\.xml", re.IGNORECASE)
# T32TMT_20220701T102041_B08_10m.jp2; without the resolution in level 1C
_BAND = re.compile(r"T\d{2}[A-Z]{3}_\d{8}T\d{6}_(B\d[\dA])(?:_(10|20|60)m)?(?:\.jp2)?$", re.IGNORECASE)
_ORDER = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")


def is_product(folder: Path) -> bool:
    """Return whether a folder is a Sentinel-2 product, complete or not."""
    if folder.name.upper().endswith(".SAFE"):
        # Sentinel-1 and -3 have folders of this kind as well
        return folder.name.upper().startswith("S2") or _metadata_of(folder) is not None
    return _metadata_of(folder) is not None and (folder / "GRANULE").is_dir()


def is_metadata(file: Path) -> bool:
    """Return whether a file is the metadata of a product, which names it as well as its folder does."""
    return _METADATA.fullmatch(file.name) is not None


def named_by_part(path: Path) -> Path | None:
    """Return the product of which a path is a part: ``GRANULE``, a folder below it, or ``MTD_TL.xml``.

    It is the granule if the product has several, and None for any other path.
    """
    if path.is_file() and path.name.upper() != _GRANULE_METADATA:
        return None
    for place in (path, path.absolute()):
        below = None
        for folder in (place, *place.parents):
            if folder.name.upper() == _GRANULES and is_product(folder.parent):
                several = len([one for one in folder.iterdir() if one.is_dir()]) > 1
                return below if several and below is not None else folder.parent
            below = folder
    return None


def stack_of(folder: Path) -> Stack:
    """Return the bands of a product, each in its finest resolution that is there.

    Args:
        folder: the product, or the granule of one.

    Raises:
        NircolorError: the metadata is missing or damaged, or there are bands of no or of several granules.
    """
    product, granules = folder, f"{_GRANULES}/*"
    if folder.parent.name.upper() == _GRANULES:
        product, granules = folder.parent.parent, f"{_GRANULES}/{glob.escape(folder.name)}"
    metadata = _metadata_of(product)
    if metadata is None:
        raise NircolorError(
            f"{folder}: expected MTD_MSIL2A.xml or MTD_MSIL1C.xml in a Sentinel-2 product, got neither; is "
            "it downloaded in full?"
        )
    root = _parse(metadata)
    found: dict[str, tuple[int, Path]] = {}
    images = [
        file for file in sorted(product.glob(f"{granules}/IMG_DATA/**/*")) if file.suffix.lower() == ".jp2"
    ]
    names = sorted({file.relative_to(product).parts[1] for file in images if _BAND.search(file.name)})
    if len(names) > 1:
        raise NircolorError(
            f"{folder}: expected a product of one granule, got {len(names)}; name one of them: "
            f"{product / _GRANULES / names[0]}"
        )
    for file in images:
        match = _BAND.search(file.name)
        if match is not None:
            name, metres = match[1].upper(), int(match[2] or 0)
            found[name] = min(found.get(name, (metres, file)), (metres, file))
    listed: dict[str, str] = {}
    for image in root.iter("IMAGE_FILE"):
        match = _BAND.search((image.text or "").strip())
        if match is not None and (product == folder or folder.name in (image.text or "")):
            # the finest resolution is listed first
            listed.setdefault(match[1].upper(), f"{(image.text or '').strip()}.jp2")
    missing = tuple(f"{name} ({listed[name]})" for name in _ORDER if name in listed and name not in found)
    if not found:
        raise NircolorError(
            f"{folder}: expected the bands of a Sentinel-2 product in GRANULE/*/IMG_DATA, got none; is it "
            "downloaded in full?"
        )
    wavelengths = _wavelengths(root)
    bands = tuple(
        StackBand(
            found[name][1],
            name,
            wavelengths.get(name) or sensor_wavelengths([name], "sentinel-2")[0],
            metadata.name if name in wavelengths else "known sensor",
        )
        for name in _ORDER
        if name in found
    )
    level = _METADATA.fullmatch(metadata.name)
    kind = f"Sentinel-2 L{level[1].upper()}" if level else "Sentinel-2"
    return Stack(folder, kind, bands, missing, nodata=0, is_product=True)


def _metadata_of(folder: Path) -> Path | None:
    for name in ("MTD_MSIL2A.xml", "MTD_MSIL1C.xml"):
        if (folder / name).is_file():
            return folder / name
    return None


def _parse(metadata: Path) -> Element:
    try:
        return parse_xml(read_bounded(metadata))
    except (OSError, ValueError) as error:
        raise NircolorError(
            f"{metadata}: expected the metadata of a Sentinel-2 product, got a damaged or empty file "
            f"({first_line(error)[:120]}); is the product downloaded in full?"
        ) from error


def _wavelengths(root: Element) -> dict[str, float]:
    """Return the centres in nm by name of the band; the two units of Sentinel-2 differ by some nm."""
    found = {}
    for band in root.iter("Spectral_Information"):
        name = band.get("physicalBand", "").upper()
        name = name if name == "B8A" else f"B{name[1:].zfill(2)}"
        central = band.find("Wavelength/CENTRAL")
        nm = None if central is None else positive_number(central.text)
        if nm is not None and central is not None:
            nm *= {"um": 1000, "µm": 1000}.get(central.get("unit", "nm"), 1)
        if nm is not None and 300 <= nm <= 3000:
            found[name] = nm
    return found
