"""Lists of bands as the user writes them: ``b7.tif@783,b8.tif@842``."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from nircolor.errors import NircolorError
from nircolor.imagery.stacks.stack import Stack, StackBand

_BAND = re.compile(r"(.+?)@(\d{1,6}(?:\.\d+)?)(nm|[uµμ]m)?(?:,|$)", re.IGNORECASE | re.DOTALL)


def parse(path: Path | str) -> list[tuple[Path, float]] | None:
    """Return the files and wavelengths in nm of a list of bands; None for any other path.

    Commas may be part of file names; a file whose whole name has this form is no list. A number may have a
    unit, nm or µm.

    Example:
        >>> parse("a/b7.tif@783,b8,new.tif@842nm") == [(Path("a/b7.tif"), 783.0), (Path("b8,new.tif"), 842.0)]
        True
        >>> parse("b7.tif") is None
        True
    """
    text = str(path)
    if "@" not in text:
        return None
    found, place = [], 0
    while place < len(text):
        match = _BAND.match(text, place)
        if match is None:
            return None
        per_unit = 1.0 if (match[3] or "nm").lower() == "nm" else 1000.0
        found.append((Path(match[1]), round(float(match[2]) * per_unit, 6)))
        place = match.end()
    try:
        return None if text.endswith(",") or Path(text).exists() else found
    except (OSError, ValueError):  # longer than file names may be
        return found


def join_bands(inputs: Iterable[str]) -> list[str]:
    """Join the arguments of a command that are one band each, ``FILE@NM``, to one list.

    Example:
        >>> join_bands(["night.png", "b7.tif@783", "b8.tif@842"])
        ['night.png', 'b7.tif@783,b8.tif@842']
    """
    joined: list[str] = []
    bands: list[str] = []
    for given in inputs:
        if len(parse(given) or ()) != 1:
            joined.append(given)
            continue
        if not bands:
            joined.append("")
        bands.append(given)
    return [text or ",".join(bands) for text in joined]


def stack_of(path: Path, listed: list[tuple[Path, float]]) -> Stack:
    """Return the stack of a list of bands.

    Raises:
        NircolorError: a file or a wavelength is named twice, or is no wavelength of light.
    """
    for file, nm in listed:
        if not 100 <= nm <= 100_000:
            micrometers = f"; {file}@{nm:g}um is in micrometers" if 0.1 <= nm <= 20 else ""
            raise NircolorError(
                f"{file}@{nm:g}: expected a wavelength in nm (such as 850), got {nm:g}{micrometers}"
            )
    for index, (file, nm) in enumerate(listed):
        for other, other_nm in listed[:index]:
            if nm == other_nm or os.path.abspath(file) == os.path.abspath(other):  # noqa: PTH100
                raise NircolorError(
                    f"{path}: expected one file for each wavelength, got {other}@{other_nm:g} and "
                    f"{file}@{nm:g}"
                )
    return Stack(path, "bands", tuple(StackBand(file, nm=nm, source="FILE@NM") for file, nm in listed))
