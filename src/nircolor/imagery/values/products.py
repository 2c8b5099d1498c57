"""Reflectance scales that metadata states, and satellite products that error messages give advice for.

Scales come from ENVI headers, GDAL's band scale and offset, and the tags that Sentinel-2, Landsat and other
products carry, and from the metadata files of products (`imagery.metadata.product_files`).
"""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nircolor.imagery.bands.sensors import satellite_of
from nircolor.imagery.metadata.product_files import tags_beside
from nircolor.imagery.numbers import finite_number, positive_number
from nircolor.imagery.values.scaling import Scale

# tags of the value for a reflectance of 1, or of the factor below 1
_UNIT_TAGS = (
    "reflectance_scale_factor", "quantification_value", "boa_quantification_value",
    "l2a_boa_quantification_value", "l1c_toa_quantification_value", "reflectance_scale",
    "reflectance_quantification_value", "scale_factor",
)  # fmt: skip
# Sentinel-2: added to the values of the file before they are divided
_ADDED_BEFORE = re.compile(r"(?:boa|radio)_add_offset(?:_values?_list|_list|_value)?(?:_(?:band_)?(\w+))?")
# units of a scaled band that is reflectance; "" where none is stated
_UNITS = ("", "1", "-", "none", "unitless", "dimensionless", "reflectance", "dn")
# integers of reflectance have more than some steps between 0 and 1; a band scale with fewer is another gain
_LEAST_STEPS = 50
# a band in the name of a Landsat file or in a band description: B5, SR_B5, Band 5
_LANDSAT_BAND = re.compile(r"(?:^|_)(?:SR_)?B(?:AND)?[ _]?(\d{1,2})$", re.IGNORECASE)
# products of several satellites that are all reflectance × 10000: HLS, PlanetScope, Landsat Collection 1
_TIMES_10000 = re.compile(r"\.[LS]30\.|analytic\w*_sr(_|\.)|_sr_band\d", re.IGNORECASE)


class Product(NamedTuple):
    """Kind of a satellite product whose values have a known scale.

    Attributes:
        name: for messages.
        options: options that state its scale, for messages and for commands to run.
        note: what else the user should know, or "".
    """

    name: str
    options: str
    note: str = ""


SENTINEL2 = Product(
    "Sentinel-2 reflectance × 10000",
    "--scale 10000",
    "and --offset -0.1 if the product is of processing baseline 04.00 or later and still holds its offset",
)
TIMES_10000 = Product("surface reflectance × 10000", "--scale 10000")
LANDSAT_SURFACE = Product("Landsat Collection 2 surface reflectance", "--scale 0.0000275 --offset -0.2")
LANDSAT_TOP = Product("Landsat Collection 2 level 1", "--scale 0.00002 --offset -0.1")


def recognize(path: Path, names: Sequence[str | None], tags: Mapping[str, str]) -> Product | None:
    """Recognize a satellite product by its file name, its band names and its tags."""
    stated = [
        value
        for key, value in tags.items()
        if any(word in key.upper() for word in ("SPACECRAFT", "SATELLITE", "PLATFORM", "PRODUCT", "SENSOR"))
    ]
    text = " ".join([path.name, *stated])[:10_000]
    if _TIMES_10000.search(path.name):
        return TIMES_10000
    satellite = satellite_of(names, text)
    if satellite == "sentinel-2":
        return SENTINEL2
    has_landsat_names = any((name or "").upper().startswith(("SR_B", "SR_BAND")) for name in names)
    if satellite is not None or has_landsat_names or "landsat" in text.lower():
        return LANDSAT_TOP if re.search(r"(^|[ _])L1(TP|GT|GS)_", text, re.IGNORECASE) else LANDSAT_SURFACE
    return None


def stated_scale(
    path: Path,
    dtype: np.dtype[np.generic],
    names: Sequence[str | None],
    *,
    scales: Sequence[float],
    offsets: Sequence[float],
    units: Sequence[str | None],
    tags: Mapping[str, str],
    band_tags: Sequence[Mapping[str, str]] = (),
) -> Scale | None:
    """Return the reflectance scale that metadata states, or None.

    In this order: tags, GDAL's band scale and offset, the metadata file of a Landsat or Sentinel-2 product.

    Args:
        path: the image, near which the metadata file of its product may lie.
        dtype: type of the values.
        names: description of each band.
        scales: GDAL's scale of each band: reflectance = value * scale + offset.
        offsets: GDAL's offset of each band.
        units: GDAL's unit of each band.
        tags: metadata of the file, ENVI fields included; names in any case.
        band_tags: metadata of each band.
    """
    lower = {name.lower().replace(" ", "_"): value for name, value in tags.items()}
    found = (
        _by_unit(dtype, lower, band_tags, names)
        or _by_lists(lower, len(scales))
        or _landsat(path, names, lower, "tags")
        or _band_scales(dtype, scales, offsets, units)
        or _by_data_units(dtype, lower.get("data_units") or units[0] or "", len(scales))
    )
    if found is None:
        beside, place = tags_beside(path)
        found = _by_unit(dtype, beside, (), names, f" in {place}") or _landsat(path, names, beside, place)
    if found is None or not _is_plausible(found):
        return None
    return Scale(found.black, found.white, found.rule, "metadata", True)


def _is_plausible(scale: Scale) -> bool:
    """Return whether a scale can be one of reflectance: its offset is at most 1, unlike a temperature's."""
    bands = zip(scale.black, scale.white, strict=True)
    return all(math.isfinite(white - black) and abs(black) <= white - black for black, white in bands)


def _by_unit(
    dtype: np.dtype[np.generic],
    lower: Mapping[str, str],
    band_tags: Sequence[Mapping[str, str]],
    names: Sequence[str | None],
    place: str = "",
) -> Scale | None:
    """Return the scale of a quantification value, with Sentinel-2's offsets."""
    for name in _UNIT_TAGS:
        unit = positive_number(lower.get(name))
        if unit is None or (name == "scale_factor" and unit == 1):
            continue
        if unit < 1 and dtype.kind != "f":
            unit = 1 / unit
        if unit < _LEAST_STEPS and dtype.kind != "f":
            continue
        added = [value / unit for value in _added_before(lower, band_tags, names)]
        if "add_offset" in lower and name == "scale_factor":
            after = _numbers(lower["add_offset"])
            added = after * len(names) if len(after) == 1 else added
        chosen = Scale.by_units([unit] * len(names), added, "", "metadata")
        rule = _rule(chosen, name.replace("_", " ") + (" and offset" if any(added) else "") + place)
        return Scale(chosen.black, chosen.white, rule, "metadata")
    return None


def _added_before(
    lower: Mapping[str, str], band_tags: Sequence[Mapping[str, str]], names: Sequence[str | None]
) -> list[float]:
    """Return Sentinel-2's offset of each band, 0 where none is stated."""
    by_band: dict[str, float] = {}
    common = 0.0
    for key, value in lower.items():
        match, numbers = _ADDED_BEFORE.fullmatch(key), _numbers(value)
        if match and numbers and len(set(numbers)) == 1:
            if match[1]:
                by_band[match[1].lstrip("b").lstrip("0")] = numbers[0]
            else:
                common = numbers[0]
    if by_band and len(set(by_band.values())) == 1:
        common = next(iter(by_band.values()))
    offsets = [by_band.get((name or "").lower().lstrip("b").lstrip("0"), common) for name in names]
    for index, tags in enumerate(band_tags):
        for key, value in tags.items():
            numbers = _numbers(value)
            if _ADDED_BEFORE.fullmatch(key.lower()) and len(numbers) == 1:
                offsets[index] = numbers[0]
    return offsets


def _by_lists(lower: Mapping[str, str], bands: int) -> Scale | None:
    """Return the scale of ENVI's fields of one factor and one offset per band."""
    factors = _numbers(lower.get("data_reflectance_gain_values", ""))
    added = _numbers(lower.get("data_reflectance_offset_values", "")) or [0.0] * bands
    if len(factors) != bands or len(added) != bands or min(factors) <= 0:
        return None
    chosen = Scale.by_units([1 / factor for factor in factors], added, "", "metadata")
    return Scale(chosen.black, chosen.white, _rule(chosen, "data reflectance gain values"), "metadata")


def _by_data_units(dtype: np.dtype[np.generic], text: str, bands: int) -> Scale | None:
    """Return the scale of units such as "reflectance", "Reflectance (%)" and "reflectance x 10000"."""
    text = text.lower()
    if "reflectance" not in text:
        return None
    stated = re.search(r"[*x×]\s*(\d+)", text)
    unit = float(stated[1]) if stated else 100.0 if "%" in text or "percent" in text else 1.0
    if unit < (1 if dtype.kind == "f" else _LEAST_STEPS):
        return None
    return Scale.same(bands, unit, f"reflectance: {unit:g} maps to 1 (data units)", "metadata")


def _landsat(path: Path, names: Sequence[str | None], fields: Mapping[str, str], place: str) -> Scale | None:
    """Return the scale by Landsat's REFLECTANCE_MULT_BAND_x and REFLECTANCE_ADD_BAND_x."""
    found: dict[str, tuple[float, float]] = {}
    for key, value in fields.items():
        band = key.partition("reflectance_mult_band_")[2]
        factor, added = positive_number(value), _numbers(fields.get(key.replace("_mult_", "_add_"), "0"))
        if band and factor is not None and len(added) == 1:
            found[band] = factor, added[0]
    if not found:
        return None
    if len(set(found.values())) == 1:
        chosen = [next(iter(found.values()))] * len(names)
    else:
        texts = [name or "" for name in names] if any(names) else [path.stem] * len(names)
        bands = [_LANDSAT_BAND.search(text.strip()) for text in texts]
        if not all(match and match[1].lstrip("0") in found for match in bands):
            return None
        chosen = [found[match[1].lstrip("0")] for match in bands if match]
    # the factors of level 1 leave out the height of the sun
    elevation = positive_number(fields.get("level1_sun_elevation"))
    sine = 1.0 if elevation is None else math.sin(math.radians(min(elevation, 90)))
    scale = Scale.by_units([sine / f for f, _ in chosen], [a / sine for _, a in chosen], "", "metadata")
    reason = f"REFLECTANCE_MULT_BAND{' and SUN_ELEVATION' if elevation else ''} in {place}"
    return Scale(scale.black, scale.white, _rule(scale, reason), "metadata")


def _band_scales(
    dtype: np.dtype[np.generic],
    scales: Sequence[float],
    offsets: Sequence[float],
    units: Sequence[str | None],
) -> Scale | None:
    """Return GDAL's band scale and offset as a reflectance scale, or None where they cannot be one."""
    if all(scale == 1 for scale in scales) and not any(offsets):
        return None
    if not all(math.isfinite(s) and s > 0 and math.isfinite(o) for s, o in zip(scales, offsets, strict=True)):
        return None
    if any((unit or "").strip().lower() not in _UNITS for unit in units):
        return None
    chosen = Scale.by_units([1 / scale for scale in scales], offsets, "", "metadata")
    if dtype.kind != "f" and max(scales) > 1 / _LEAST_STEPS:
        return None
    return Scale(chosen.black, chosen.white, _rule(chosen, "band scale and offset"), "metadata")


def _rule(scale: Scale, reason: str) -> str:
    zero = f"{scale.black[0]:g} maps to 0 and " if scale.black[0] else ""
    return f"reflectance: {zero}{scale.white[0]:g} maps to 1 ({reason})"


def _numbers(text: str) -> list[float]:
    """Parse numbers that are separated by commas or spaces, in any brackets; none where a part is not one."""
    numbers = [finite_number(part) for part in re.split(r"[,\s]+", text.strip("{}[]() \n")) if part]
    known = [number for number in numbers if number is not None]
    return known if len(known) == len(numbers) else []
