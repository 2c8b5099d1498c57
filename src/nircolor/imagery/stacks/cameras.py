"""Sets of multispectral cameras with a lens for each band: MicaSense, DJI, Parrot Sequoia."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from nircolor.errors import NircolorError
from nircolor.imagery.bands.band_info import nm_of_xmp
from nircolor.imagery.bands.sensors import ROLE_RANGES_NM, role_of
from nircolor.imagery.files.locate import locate
from nircolor.imagery.gdal import gdal_for, open_dataset
from nircolor.imagery.metadata.carried import read_metadata
from nircolor.imagery.metadata.xmp import xmp_properties
from nircolor.imagery.stacks.stack import Stack, StackBand


class _Layout(NamedTuple):
    """Names of the files of a set.

    Attributes:
        kind: for the user.
        pattern: the name of the set, then that of the band.
        roles: part of the spectrum by the name of the band; empty where bands have numbers.
        ending: what follows the name of the set in the path that stands for it.
    """

    kind: str
    pattern: re.Pattern[str]
    roles: dict[str, str] = {}  # noqa: RUF012 - never changed
    ending: str = ""


_LAYOUTS = (
    # IMG_0001_1.tif to IMG_0001_5.tif, more of cameras with thermal and panchromatic bands and of two cameras
    _Layout("MicaSense set", re.compile(r"(IMG_\d{4,6})_(\d{1,2})\.tiff?", re.IGNORECASE)),
    # DJI_20230601101010_0001_MS_NIR.TIF of Mavic 3 Multispectral
    _Layout(
        "DJI set",
        re.compile(r"(DJI_.+)_MS_(B|G|R|RE|NIR)\.tiff?", re.IGNORECASE),
        {"B": "blue", "G": "green", "R": "red", "RE": "red edge", "NIR": "nir"},
    ),
    # DJI_0011.TIF to DJI_0015.TIF of Phantom 4 Multispectral, whose colour photograph is DJI_0010.JPG
    _Layout("DJI set", re.compile(r"(DJI_\d{3})([1-5])\.tiff?", re.IGNORECASE), ending="0"),
    _Layout(
        "Sequoia set",
        re.compile(r"(IMG_.+)_(GRE|RED|REG|NIR)\.tiff?", re.IGNORECASE),
        {"GRE": "green", "RED": "red", "REG": "red edge", "NIR": "nir"},
    ),
)
# a thermal or panchromatic image has another size, and is no band of reflected light
_OTHER_BANDS = re.compile(r"pan|lwir|thermal", re.IGNORECASE)
_CAPTURE_KEYS = ("captureid", "captureuuid")


def sets(files: Iterable[Path]) -> dict[str, list[Path]]:
    """Return the sets of two bands or more among the files of a folder, whose XMP states bands.

    Args:
        files: the files of one folder.

    Returns:
        The files of each set by its name, sorted.
    """
    return {
        name: group
        for (name, _), group in _groups(files).items()
        # the first file may be damaged
        if len(group) > 1 and any(_states_bands(_xmp(file)) for file in group)
    }


def is_set(path: Path) -> bool:
    """Return whether a path is the common start of the names of a set, as ``IMG_0001`` is."""
    return _files_of(path) is not None


def stack_of(path: Path) -> Stack:
    """Return the bands of a set, in the order of their names or numbers.

    Raises:
        NircolorError: the XMP of a file states no wavelength, or one that contradicts its name or another
            file, or the files are of several captures.
    """
    layout, files = _files_of(path) or (_LAYOUTS[0], [])
    bands: list[StackBand] = []
    captures: dict[str, Path] = {}
    for file in files:
        xmp = _xmp(file)
        name = next(iter(xmp.get("bandname", [])), None)
        if name is not None and _OTHER_BANDS.match(name):
            continue
        for key in _CAPTURE_KEYS:
            captures.update({capture: file for capture in xmp.get(key, []) if capture not in captures})
        nm = nm_of_xmp(xmp)
        role = layout.roles.get(_band_of(layout, file).upper())
        _check(file, nm, role, name, xmp)
        bands.append(StackBand(file, name, nm, "XMP", role))
    if len(captures) > 1:
        first, second = list(captures.values())[:2]
        raise NircolorError(
            f"{path}: expected files of one capture, but the XMP of {first.name} and {second.name} states "
            "different ones"
        )
    for index, band in enumerate(bands):
        for other in bands[:index]:
            if band.nm == other.nm:
                raise NircolorError(
                    f"{path}: expected one file for each wavelength, but the XMP of {other.file.name} and "
                    f"{band.file.name} states {band.nm:g} nm; {_advice(files)}"
                )
    if not bands:
        raise NircolorError(f"{path}: expected the bands of a multispectral camera, got none")
    return Stack(path, layout.kind, tuple(bands), _missing(layout, files), is_camera=True)


def _check(
    file: Path, nm: float | None, role: str | None, name: str | None, xmp: dict[str, list[str]]
) -> None:
    """Raise `NircolorError` where XMP states no wavelength, or one outside of the role of the band."""
    if nm is None:
        # a damaged file has lost its XMP too
        with gdal_for(file, "the image is damaged or cut off"):
            open_dataset(locate(file).data, driver="GTiff").close()
        found = "damaged ones" if xmp.get("centralwavelength") else "none"
        raise NircolorError(
            f"{file}: expected the wavelength of the band in its XMP (Camera:CentralWavelength), got "
            f"{found}; "
            f"{_advice([file])}"
        )
    for stated, source in ((role, f"{role} in its name"), (role_of(name), f"BandName {name}")):
        if stated is not None and not ROLE_RANGES_NM[stated][0] <= nm <= ROLE_RANGES_NM[stated][1]:
            raise NircolorError(
                f"{file}: its XMP states {nm:g} nm, which contradicts {source}; {_advice([file])}"
            )


def _advice(files: list[Path]) -> str:
    listed = ",".join(f"{file.name}@NM" for file in files[:2])
    return f"list the bands with their wavelengths instead, as in {listed}{',…' if len(files) != 2 else ''}"


def _missing(layout: _Layout, files: list[Path]) -> tuple[str, ...]:
    """Return the files that the names of the others suggest."""
    there = {_band_of(layout, file).upper() for file in files}
    if layout.roles:
        # Mavic 3 has no blue band
        wanted = [band for band in layout.roles if band != "B"]
    else:
        wanted = [str(number) for number in range(1, max(map(int, there)) + 1)]
    start = files[0].name[: -len(_band_of(layout, files[0]) + files[0].suffix)]
    return tuple(f"{start}{band}{files[0].suffix}" for band in wanted if band not in there)


def _files_of(path: Path) -> tuple[_Layout, list[Path]] | None:
    if not path.name.upper().startswith(("IMG_", "DJI_")) or not path.parent.is_dir():
        return None
    try:
        groups = _groups(path.parent.iterdir())
    except OSError:
        return None
    for layout in _LAYOUTS:
        group = groups.get((path.name, layout.pattern.pattern))
        if group:
            return layout, group
    return None


def _groups(files: Iterable[Path]) -> dict[tuple[str, str], list[Path]]:
    """Group files by the name of the set and the pattern of its layout."""
    found: dict[tuple[str, str], list[Path]] = {}
    for file in files:
        for layout in _LAYOUTS:
            match = layout.pattern.fullmatch(file.name)
            if match is not None:
                found.setdefault((match[1] + layout.ending, layout.pattern.pattern), []).append(file)
                break
    for (_, pattern), group in found.items():
        layout = next(one for one in _LAYOUTS if one.pattern.pattern == pattern)
        order = list(layout.roles) or [str(number) for number in range(100)]
        group.sort(key=lambda file: order.index(_band_of(layout, file).upper().lstrip("0") or "0"))
    return found


def _band_of(layout: _Layout, file: Path) -> str:
    match = layout.pattern.fullmatch(file.name)
    assert match is not None
    return match[2]


def _states_bands(xmp: dict[str, list[str]]) -> bool:
    return any(key in xmp for key in ("centralwavelength", "bandname", "bandfreq"))


def _xmp(file: Path) -> dict[str, list[str]]:
    packet = read_metadata(file, "GTiff").xmp if file.is_file() else None
    return {} if packet is None else xmp_properties(packet.decode(errors="replace"))
