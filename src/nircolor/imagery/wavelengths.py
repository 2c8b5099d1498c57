"""Band centres in nm from what a file says of itself, or from the user."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nircolor.errors import NircolorError
from nircolor.imagery.gdal import positive_number, tags_of

_NM_PER_UNIT = {
    "nanometers": 1.0, "nanometer": 1.0, "nanometres": 1.0, "nm": 1.0,
    "micrometers": 1000.0, "micrometer": 1000.0, "micrometres": 1000.0, "microns": 1000.0,
    "um": 1000.0, "µm": 1000.0, "μm": 1000.0,
    "angstroms": 0.1, "millimeters": 1e6,
}  # fmt: skip


def of_dataset(dataset: Any, header: Mapping[str, str]) -> tuple[float | None, ...]:
    """A centre in nm or None for each stored band.

    `header` are the fields of an ENVI header, exact; empty for other files, which may carry them as
    band tags. GDAL's CENTRAL_WAVELENGTH_UM comes last: GDAL rounds what it makes of an ENVI header.
    """
    bands = range(1, int(dataset.count) + 1)
    listed = [item.strip() for item in header.get("wavelength", "").strip("{}").split(",")]
    if len(listed) == len(bands):
        unit = header.get("wavelength units", "")
        exact = [from_tags({"wavelength": text, "wavelength_units": unit}, {}) for text in listed]
        if None not in exact:
            return tuple(exact)
    return tuple(from_tags(tags_of(dataset, i), tags_of(dataset, i, "IMAGERY")) for i in bands)


def from_tags(band: Mapping[str, str], imagery: Mapping[str, str]) -> float | None:
    """A band's centre in nm, or None, from its own tags and those of GDAL's IMAGERY domain."""
    exact = positive_number(band.get("wavelength"))
    if exact is not None:
        unit = band.get("wavelength_units", "").strip().lower()
        if unit in _NM_PER_UNIT:
            return round(exact * _NM_PER_UNIT[unit], 6)
        if unit in ("", "unknown"):  # no band of a silicon or InGaAs camera lies between 20 and 100
            return round(exact * (1000.0 if exact < 20 else 1.0), 6)
    micrometers = positive_number(imagery.get("CENTRAL_WAVELENGTH_UM"))
    return None if micrometers is None else round(micrometers * 1000, 6)


def given(path: Path, bands_nm: Sequence[float], bands: int) -> tuple[float, ...]:
    """The user's wavelengths, one a band, in nm; raises `NircolorError` if they do not fit the file."""
    if len(bands_nm) != bands:
        raise NircolorError(
            f"{path}: {len(bands_nm)} wavelengths were given, but the image has {bands} band(s)"
        )
    for value in bands_nm:
        if not (math.isfinite(value) and 100 <= value <= 100_000):
            raise NircolorError(f"{path}: expected wavelengths in nm (such as 850), got {value:g}")
    return tuple(float(value) for value in bands_nm)
