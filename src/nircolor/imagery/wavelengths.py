"""Centre wavelengths of bands in nm, from metadata or from the user."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from nircolor.errors import NircolorError
from nircolor.imagery.gdal import positive_number, tags_of

# wavelength of each band in nm; or of some bands: wavelength, or "nir" for one broad band -> 1-based number
GivenBands: TypeAlias = Sequence[float] | Mapping[float | str, int]

_NM_PER_UNIT = {
    "nanometers": 1.0, "nanometer": 1.0, "nanometres": 1.0, "nm": 1.0,
    "micrometers": 1000.0, "micrometer": 1000.0, "micrometres": 1000.0, "microns": 1000.0,
    "um": 1000.0, "µm": 1000.0, "μm": 1000.0,
    "angstroms": 0.1, "millimeters": 1e6,
}  # fmt: skip


def of_dataset(dataset: Any, header: Mapping[str, str]) -> tuple[float | None, ...]:
    """Return the centre in nm, or None, of each stored band.

    GDAL's tag CENTRAL_WAVELENGTH_UM is used last, since GDAL rounds it to 1 nm for ENVI files.

    Args:
        dataset: the open rasterio dataset, in whose band tags wavelengths are looked for.
        header: fields of the ENVI header, which come first; empty for other formats.
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
    """Return a band's centre in nm, or None, from its tags and those of GDAL's IMAGERY domain."""
    exact = positive_number(band.get("wavelength"))
    if exact is not None:
        unit = band.get("wavelength_units", "").strip().lower()
        if unit in _NM_PER_UNIT:
            return round(exact * _NM_PER_UNIT[unit], 6)
        if unit in ("", "unknown"):  # micrometers are below 20 and nanometers above 100 for all cameras
            return round(exact * (1000.0 if exact < 20 else 1.0), 6)
    micrometers = positive_number(imagery.get("CENTRAL_WAVELENGTH_UM"))
    return None if micrometers is None else round(micrometers * 1000, 6)


def numbered(bands_nm: GivenBands | None) -> dict[float | str, int] | None:
    """Return the user's bands as wavelength or "nir" to band number, or None where they are a plain list."""
    return dict(bands_nm) if isinstance(bands_nm, Mapping) else None


def check_numbered(path: Path, bands: Mapping[float | str, int], count: int) -> None:
    """Raise `NircolorError` if the user's numbered bands are not among the `count` bands of the file."""
    for meaning, number in bands.items():
        if isinstance(meaning, str):
            if meaning != "nir" or len(bands) > 1:
                raise NircolorError(
                    f"{path}: expected one band called nir, or wavelengths in nm, got {meaning!r}"
                )
        else:
            _check_nm(path, meaning)
        if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= count:
            raise NircolorError(f"{path}: band {number} was given, but the image has {_count(count)}")
    if len(set(bands.values())) < len(bands):
        raise NircolorError(f"{path}: a band was given two wavelengths, got {dict(bands)}")


def given(path: Path, bands_nm: GivenBands, stored: Sequence[int]) -> tuple[float | None, ...]:
    """Return the user's wavelength in nm, or None, of each data band.

    Args:
        path: the path that error messages name.
        bands_nm: the user's wavelengths; numbered ones were checked by `check_numbered`.
        stored: 1-based number in the file of each data band.

    Raises:
        NircolorError: the wavelengths do not fit the file.
    """
    if isinstance(bands_nm, Mapping):
        known = {number: meaning for meaning, number in bands_nm.items() if not isinstance(meaning, str)}
        return tuple(None if i not in known else float(known[i]) for i in stored)
    bands = len(stored)
    if len(bands_nm) != bands:
        raise NircolorError(
            f"{path}: {len(bands_nm)} wavelengths were given, but the image has {_count(bands)}"
        )
    for value in bands_nm:
        _check_nm(path, value)
    return tuple(float(value) for value in bands_nm)


def _check_nm(path: Path, value: float) -> None:
    if not (math.isfinite(value) and 100 <= value <= 100_000):
        raise NircolorError(f"{path}: expected wavelengths in nm (such as 850), got {value:g}")


def _count(bands: int) -> str:
    return f"{bands} band{'s'[: bands != 1]}"
