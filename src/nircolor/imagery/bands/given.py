"""Centre wavelengths of bands in nm, from the user."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from nircolor.errors import NircolorError
from nircolor.imagery.bands.band_info import BandInfo
from nircolor.texts import count_of

# wavelength of each band in nm; or of some bands: wavelength, or "nir" for one broad band -> 1-based number
GivenBands: TypeAlias = Sequence[float] | Mapping[float | str, int]


def numbered(bands_nm: GivenBands | None) -> dict[float | str, int] | None:
    """Return the user's bands as wavelength or "nir" to band number, or None where they are a plain list."""
    if not isinstance(bands_nm, Mapping):
        return None
    return {key.lower() if isinstance(key, str) else key: number for key, number in bands_nm.items()}


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
        if not hasattr(number, "__index__") or not 1 <= number <= count:
            raise NircolorError(
                f"{path}: band {number} was given, but the image has {count_of(count, 'band')}"
            )
    numbers = list(bands.values())
    for number in numbers:
        if numbers.count(number) > 1:
            given_nm = " and ".join(f"{nm:g} nm" for nm, one in bands.items() if one == number)
            raise NircolorError(f"{path}: expected one wavelength for band {number}, got {given_nm}")


def given(
    path: Path, bands_nm: GivenBands, stored: Sequence[int], known: Sequence[BandInfo]
) -> tuple[BandInfo, ...]:
    """Return the data bands with the user's wavelengths in place of those of the file.

    Args:
        path: the path that error messages name.
        bands_nm: the user's wavelengths; numbered ones were checked by `check_numbered`.
        stored: 1-based number in the file of each data band.
        known: what the file states about them.

    Raises:
        NircolorError: the wavelengths do not fit the file.
    """
    if isinstance(bands_nm, Mapping):
        chosen = numbered(bands_nm) or {}
        if "nir" in chosen:
            return (BandInfo(name="NIR"),)
        numbered_nm = {number: float(meaning) for meaning, number in chosen.items()}
        return tuple(
            BandInfo(numbered_nm.get(i), info.name, "--bands") for i, info in zip(stored, known, strict=True)
        )
    bands = len(stored)
    if len(bands_nm) != bands:
        raise NircolorError(
            f"{path}: {len(bands_nm)} wavelengths were given, but the image has {count_of(bands, 'band')}"
        )
    for value in bands_nm:
        _check_nm(path, value)
    return tuple(BandInfo(float(nm), info.name, "--bands") for nm, info in zip(bands_nm, known, strict=True))


def _check_nm(path: Path, value: float) -> None:
    if not (math.isfinite(value) and 100 <= value <= 100_000):
        raise NircolorError(f"{path}: expected wavelengths in nm (such as 850), got {value:g}")
