"""Wavelengths and names of bands, from the metadata of a file."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rasterio.enums import ColorInterp

from nircolor.imagery.bands.sensors import (
    is_generic,
    is_plain,
    product_band,
    role_of,
    sensor_wavelengths,
    wavelength_in,
    wavelengths_in,
)
from nircolor.imagery.gdal import descriptions_of, tags_of
from nircolor.imagery.metadata.xmp import xmp_properties
from nircolor.imagery.numbers import positive_number

_NM_PER_UNIT = {
    "nanometers": 1.0, "nanometer": 1.0, "nanometres": 1.0, "nm": 1.0,
    "micrometers": 1000.0, "micrometer": 1000.0, "micrometres": 1000.0, "microns": 1000.0,
    "": 1.0, "unknown": 1.0, "um": 1000.0, "µm": 1000.0, "μm": 1000.0,
    "angstroms": 0.1, "angstrom": 0.1, "å": 0.1, "millimeters": 1e6,
}  # fmt: skip


# wavelength in nm times the value in units of wave number or frequency
_NM_TIMES_UNIT = {
    "wavenumber": 1e7, "wavenumbers": 1e7, "cm-1": 1e7, "cm^-1": 1e7, "1/cm": 1e7, "ghz": 299_792_458.0,
    "mhz": 299_792_458e3, "thz": 299_792.458,
}  # fmt: skip
# GDAL's units of bands that are no reflected light
_THERMAL_UNITS = {"k", "kelvin", "c", "degc", "deg_c", "°c", "celsius", "degree_celsius", "degrees celsius"}


@dataclass(frozen=True)
class BandInfo:
    """Meaning of a band, as far as a file states it.

    Attributes:
        nm: centre wavelength, or None.
        name: description, or None.
        source: where the wavelength comes from, as text for the user.
    """

    nm: float | None = None
    name: str | None = None
    source: str | None = field(default=None, compare=False)

    def with_name(self, name: str | None, source: str) -> "BandInfo":
        """Add a name, and its wavelength where there is none."""
        if self.nm is not None:
            return replace(self, name=name)
        return BandInfo(wavelength_in(name), name, source)

    @property
    def role(self) -> str | None:
        """Part of the spectrum that the name states, a key of `sensors.ROLE_RANGES_NM`, or None."""
        return role_of(self.name)


def of_dataset(dataset: Any, header: Mapping[str, str], file_name: str = "") -> tuple[BandInfo, ...]:
    """Return what is known of each stored band.

    The first of these that states a wavelength counts: the ENVI header, the tags of the band, the XMP of a
    camera, the tags of the dataset, the description of the band, GDAL's tag CENTRAL_WAVELENGTH_UM, which
    GDAL rounds to 1 nm for ENVI files, and the names of a known sensor.

    Args:
        dataset: the open rasterio dataset.
        header: fields of the ENVI header; empty for other formats.
        file_name: name of the file, which may state the product whose bands have numbers. It names a band
            only where it is the name of a file of a satellite product, see `sensors.product_band`.
    """
    count = int(dataset.count)
    bands = range(1, count + 1)
    tags = tags_of(dataset)
    keyed = _keyed(tags)
    colours = dataset.colorinterp
    is_data = [colour is not ColorInterp.alpha or count == 1 for colour in colours]
    xmp = xmp_properties(tags_of(dataset, 0, "xml:XMP").get("xml:XMP", ""))
    unit = _unit_of(header)
    # GDAL leaves out units that it does not know, such as "Index" for band numbers
    band_tags = [_keyed(tags_of(dataset, i)) | ({"wavelengthunits": unit} if unit else {}) for i in bands]
    descriptions = descriptions_of(dataset)
    of_xmp = _for_bands(xmp.get("bandname", []), is_data)
    names = _names(descriptions, colours, tags, band_tags, of_xmp, dataset.units)
    of_file = product_band(file_name) if count == 1 and is_generic(names[0], 1) else None
    if of_file is not None:
        names = [of_file]
    product = " ".join(
        [file_name, *(value for key, value in (keyed | _keyed(header)).items() if key in _PRODUCT_KEYS)]
        + [value for key in ("make", "model", "rigname", "cameraname") for value in xmp.get(key, ())]
    )[:10_000]
    wavelengths = _wavelengths_in_xmp(xmp)
    sources = (
        _listed(header.get("wavelength"), unit, count),
        [from_tags(band) for band in band_tags],
        [_in_nm(value, "") for value in _for_bands(wavelengths, is_data)],
        _of_dataset_tags(keyed, count),
        # GDAL takes the numbers of an ENVI header for names, and leaves out units such as "Index"
        [wavelength_in(name) for name in names] if "wavelength" in header else wavelengths_in(names),
        [_micrometers(tags_of(dataset, i, "IMAGERY").get("CENTRAL_WAVELENGTH_UM")) for i in bands],
        sensor_wavelengths(descriptions, product),
        [None] if of_file is not None else sensor_wavelengths(names, product),
        sensor_wavelengths(names, product),
    )
    known = [
        next(
            ((nm, source) for nm, source in zip(found, _SOURCES, strict=True) if nm is not None), (None, None)
        )
        for found in zip(*sources, strict=True)
    ]
    return tuple(BandInfo(nm, name, source) for (nm, source), name in zip(known, names, strict=True))


def nm_of_xmp(xmp: Mapping[str, Sequence[str]]) -> float | None:
    """Return the centre in nm that the XMP of a file of one band states, or None.

    Args:
        xmp: properties, as from `metadata.xmp.xmp_properties`.
    """
    stated = _wavelengths_in_xmp(xmp)
    return _in_nm(stated[0], "") if len(stated) == 1 else None


def _wavelengths_in_xmp(xmp: Mapping[str, Sequence[str]]) -> Sequence[str]:
    return xmp.get("centralwavelength") or xmp.get("bandfreq") or []


def without_colours(known: Sequence[BandInfo]) -> tuple[BandInfo, ...]:
    """Return the bands without the names red, green and blue, where all three are there.

    For three equal channels: they hold one gray image, and GDAL names the channels of any image like this.
    """
    colours = {"red", "green", "blue"}
    if not colours <= {band.role for band in known}:
        return tuple(known)
    return tuple(replace(band, name=None) if band.role in colours else band for band in known)


def from_tags(tags: Mapping[str, str]) -> float | None:
    """Return a band's centre in nm, or None, from tags whose keys are lower-case letters and digits.

    Example:
        >>> from_tags({"wavelength": "0.85", "wavelengthunits": "Micrometers"})
        850.0
        >>> from_tags({"wavelengthmin": "780", "wavelengthmax": "900"})
        840.0
    """
    if not tags:
        return None
    unit = next((tags[key] for key in ("wavelengthunits", "wavelengthunit") if key in tags), "")

    def value(key: str) -> float | None:
        found = (_in_nm(tags.get(key + end), end or unit) for end in ("", "nm", "um"))
        return next((nm for nm in found if nm is not None), None)

    for key in _CENTRE_KEYS:
        nm = value(key)
        if nm is not None:
            return nm
    for low, high in _RANGE_KEYS:
        ends = value(low), value(high)
        if ends[0] is not None and ends[1] is not None and ends[0] < ends[1]:
            return round((ends[0] + ends[1]) / 2, 6)
    return None


_SOURCES = (
    "ENVI header", "tags of the band", "XMP", "tags of the file", "name of the band",
    "CENTRAL_WAVELENGTH_UM", "known sensor", "known sensor",
    "name of the file",
)  # fmt: skip
_CENTRES = ("center", "centre", "central", "peak", "nominal", "mean", "band")
_CENTRE_KEYS = (
    "wavelength", *(f"{word}wavelength" for word in _CENTRES), *(f"wavelength{word}" for word in _CENTRES),
    "eocenterwavelength", "cwl", "bandfreq",
)  # fmt: skip
_RANGE_KEYS = (("wavelengthmin", "wavelengthmax"), ("minwavelength", "maxwavelength"),
               ("lambdamin", "lambdamax"), ("wavelengthstart", "wavelengthend"))  # fmt: skip
_NAME_KEYS = ("bandname", "name", "commonname", "eocommonname", "band", "channelname", "longname", "label")
_PRODUCT_KEYS = {
    "platform", "satellite", "satelliteid", "spacecraft", "spacecraftid", "spacecraftname", "sensor",
    "sensorid", "sensorname", "sensortype", "instrument", "instruments", "mission", "constellation", "camera",
    "cameramodel", "cameramake", "make", "model", "exifmake", "exifmodel", "product", "productid",
    "productname", "producttype", "producturi", "landsatproductid", "landsatsceneid", "collection",
}  # fmt: skip
# titles and comments are about the picture, not about its band
_DESCRIPTION_KEYS = ("TIFFTAG_IMAGEDESCRIPTION", "EXIF_ImageDescription", "Description")
# names of NAIP and WorldView, used only where all bands of a file have one
_LETTERS = {
    "C": "coastal", "B": "blue", "G": "green", "Y": "yellow", "R": "red", "RE": "red edge", "N": "NIR",
    "N2": "NIR2",
}  # fmt: skip


def _keyed(tags: Mapping[str, str]) -> dict[str, str]:
    """Return tags with keys of lower-case letters and digits only."""
    keyed = {}
    for key, value in tags.items():
        if key.lower() == "eo" and "=" in value:  # GDAL takes the colon in "eo:center_wavelength" for "="
            rest, _, value = value.partition("=")
            key += rest
        keyed[re.sub(r"[^a-z\d]", "", key.lower())] = value
    return keyed


def _in_nm(text: str | None, unit: str) -> float | None:
    """Convert a wavelength of a stated or unknown unit to nm; None where it is no wavelength of a camera.

    Micrometers are below 20 and nanometers above 100 for all cameras, so that a wrong unit shows.
    """
    fraction = re.fullmatch(r"\s*(\d{1,9})/([1-9]\d{0,8})\s*", text or "")  # as EXIF and XMP write numbers
    value = int(fraction[1]) / int(fraction[2]) if fraction else positive_number(text)
    if value is None:
        return wavelength_in(text)
    factor = _NM_PER_UNIT.get(unit.strip().lower())
    inverse = _NM_TIMES_UNIT.get(unit.strip().lower())
    if factor is None and inverse is None:
        return None
    if factor in (1.0, 1000.0):
        factor = 1000.0 if value < 20 else 1.0
    nm = round(value * factor if factor is not None else (inverse or 0) / value, 6)
    return nm if 100 <= nm <= 100_000 else None


def _micrometers(text: str | None) -> float | None:
    value = positive_number(text)
    return None if value is None else round(value * 1000, 6)


def _parts(text: str | None) -> list[str]:
    inner = (text or "").strip("{}[]() \n")
    return [
        part.strip(" '\"")
        for part in (re.split("[,;]", inner) if re.search("[,;]", inner) else inner.split())
    ]


def _unit_of(header: Mapping[str, str]) -> str:
    """Return the unit of an ENVI header's wavelengths; "Index" for 1, 2, 3, … of no stated unit."""
    unit = header.get("wavelength units", "")
    numbers = _parts(header.get("wavelength"))
    is_count = [positive_number(number) for number in numbers] == list(range(1, len(numbers) + 1))
    return "Index" if numbers and is_count and unit.strip().lower() in ("", "unknown") else unit


def _listed(text: str | None, unit: str, count: int) -> list[float | None]:
    """Return the wavelengths of a list such as "{560, 660}"; all None unless there is one for each band."""
    parts = _parts(text)
    found = [_in_nm(part, unit) for part in parts]
    return found if len(found) == count and None not in found else [None] * count


def _for_bands(values: Sequence[str], is_data: Sequence[bool]) -> list[str | None]:
    """Return the values of an XMP property for all bands, None where there are none.

    A single value, of a camera of one band, is that of all channels, since gray may be stored in three.
    """
    data = [i for i, is_band in enumerate(is_data) if is_band]
    if len(values) == 1:
        values = [*values] * len(data)
    elif len(values) == len(is_data):
        data = list(range(len(is_data)))
    if len(values) != len(data):
        return [None] * len(is_data)
    of_band = dict(zip(data, values, strict=True))
    return [of_band.get(i) for i in range(len(is_data))]


def _of_dataset_tags(tags: Mapping[str, str], count: int) -> list[float | None]:
    if count == 1:
        return [from_tags(tags)]
    unit = tags.get("wavelengthunits", tags.get("wavelengthunit", ""))
    for key in (*_CENTRE_KEYS, "wavelengths", "wavelengthsnm", "bandwavelengths", "centerwavelengths"):
        found = _listed(tags.get(key), unit, count)
        if found[0] is not None:
            return found
    return [None] * count


def _names(
    descriptions: Sequence[str | None],
    colours: Sequence[ColorInterp],
    tags: Mapping[str, str],
    band_tags: Sequence[Mapping[str, str]],
    of_xmp: Sequence[str | None],
    units: Sequence[str | None],
) -> list[str | None]:
    """Return the best name of each band.

    Names that state a part of the spectrum come first, before others such as "Band 1".
    """
    count = len(band_tags)
    texts = [tags[key] for key in _DESCRIPTION_KEYS if key in tags] if count == 1 else []
    # GDAL gives these three to any image of three or four bands
    generic = (ColorInterp.red, ColorInterp.green, ColorInterp.blue) if count > 3 else ()
    if {"R", "N"} <= set(descriptions) <= _LETTERS.keys():
        descriptions = [f"{name} ({_LETTERS[name]})" for name in descriptions if name]
    names = []
    for i, description in enumerate(descriptions):
        candidates = [
            description,
            *(band_tags[i].get(key) for key in _NAME_KEYS),
            tags.get(f"Band_{i + 1}"),
            of_xmp[i],
            *(text for text in texts if is_plain(text)),
            _COLOUR_NAMES.get(colours[i]),
            f"thermal (unit {units[i]})" if (units[i] or "").strip().lower() in _THERMAL_UNITS else None,
            *((_keyed(tags).get(key) for key in ("bandname", "bandnames")) if count == 1 else ()),
            colours[i].name if colours[i] in generic else None,
        ]
        candidates = [name for name in candidates if name]
        spectral = (name for name in candidates if role_of(name) or wavelength_in(name))
        names.append(next(spectral, candidates[0] if candidates else None))
    return names


_COLOUR_NAMES = {
    ColorInterp.nir: "NIR", ColorInterp.rededge: "red edge", ColorInterp.coastal: "coastal",
    ColorInterp.pan: "panchromatic", ColorInterp.swir: "SWIR", ColorInterp.mwir: "MWIR",
    ColorInterp.lwir: "LWIR", ColorInterp.tir: "TIR",
}  # fmt: skip
