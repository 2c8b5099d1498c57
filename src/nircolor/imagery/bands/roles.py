"""Roles of the bands in a file: data, alpha, palette indices, red, green and blue."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.enums import ColorInterp
from rasterio.windows import Window as RasterioWindow

from nircolor.arrays import Array
from nircolor.errors import NircolorError
from nircolor.imagery.bands.band_info import BandInfo
from nircolor.imagery.bands.given import GivenBands, check_numbered, numbered
from nircolor.imagery.gdal import tags_of

_RGB = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
_COLOURS = {None, "red", "green", "blue"}
_CMYK = {ColorInterp.cyan, ColorInterp.magenta, ColorInterp.yellow, ColorInterp.black}

# values of an opaque pixel: 1 in floating point, else the largest number of some bits
_FULL_SCALES = {0, 1, *(2**bits - 1 for bits in (8, 10, 12, 14, 15, 16, 32))}
# borders of an alpha channel may be soft, and lossy compression blurs them
_ALPHA_SHARE, _LOSSY_TOLERANCE = 0.9, 0.04
_SAMPLE_PIXELS, _SAMPLES, _SAMPLE_ROWS, _SAMPLE_COLUMNS = 1 << 20, 16, 16, 4096


@dataclass(frozen=True)
class Layout:
    """Roles of the bands in a file.

    Attributes:
        stored: bands that hold data, 1-based.
        alpha: band that holds the alpha channel, 1-based, or None.
        palette: (256, 1 or 3) uint8, gray or RGB of each index, where the data band holds indices.
        opaque: (256,) bool, False for indices that the palette makes transparent; None where it makes none.
        is_colour: whether the data are red, green and blue without wavelengths.
    """

    stored: tuple[int, ...]
    alpha: int | None = None
    palette: Array | None = None
    opaque: Array | None = None
    is_colour: bool = False

    @property
    def bands(self) -> int:
        """Number of data bands after the palette is expanded."""
        return len(self.stored) if self.palette is None else int(self.palette.shape[1])


def of_dataset(path: Path, dataset: Any, known: Sequence[BandInfo], bands_nm: GivenBands | None) -> Layout:
    """Derive the layout from the metadata of an open rasterio dataset.

    A band with a wavelength or a name of a part of the spectrum, from the file or from the user, is data
    even where the file calls it alpha or red: GDAL gives those roles to any 3 or 4 bands of 8 bits. For the
    same reason, alpha is accepted outside of PNG and WebP only where the values of the band look like it,
    or the user's wavelengths leave no other role for it.

    Args:
        path: the path that error messages name.
        dataset: the dataset.
        known: what the file states about each stored band.
        bands_nm: the user's wavelengths, or None. One band called "nir" is then the only data.

    Returns:
        The layout. `is_colour` does not yet take into account that three channels may hold one gray image
        (`StoredImage.is_gray`).
    """
    roles = tuple(dataset.colorinterp)
    # GDAL makes up a palette where the smallest value is white; `raster` inverts the scale
    if tags_of(dataset, 0, "IMAGE_STRUCTURE").get("MINISWHITE") == "YES":
        roles = (ColorInterp.gray, *roles[1:])
    chosen = numbered(bands_nm)
    if chosen is not None:
        check_numbered(path, chosen, len(roles))
    listed = None if bands_nm is None or chosen is not None else len(bands_nm)
    if chosen is not None or listed == len(roles):
        # GDAL converts CMYK of 8 bits to colours
        if tags_of(dataset, 0, "IMAGE_STRUCTURE").get("SOURCE_COLOR_SPACE") == "CMYK":
            raise NircolorError(f"{path}: expected bands to be named, got CMYK (for print), read as colours")
    elif _CMYK & set(roles):
        raise NircolorError(
            f"{path}: expected a gray or RGB image, got CMYK (for print); convert it first, or name its "
            f"{len(roles)} bands with --bands if they are no colours"
        )
    if roles[0] is ColorInterp.palette:
        palette = _palette(path, dataset, 2 if len(roles) > 1 and roles[1] is ColorInterp.alpha else None)
        if palette.is_colour and chosen is not None:
            raise NircolorError(f"{path}: expected bands to be named, got a palette of colours")
        return palette
    everything = tuple(range(1, len(roles) + 1))
    if listed == len(roles):
        return Layout(everything)
    named = {i for i in everything if known[i - 1].nm is not None or known[i - 1].role not in _COLOURS}
    named |= set((chosen or {}).values())
    alphas = [i for i in everything if roles[i - 1] is ColorInterp.alpha and i not in named]
    if listed != len(roles) - 1:
        alphas = [i for i in alphas if dataset.driver in ("PNG", "WEBP") or _looks_like_alpha(dataset, i)]
    alpha = alphas[0] if alphas else None
    if chosen is not None and "nir" in chosen:
        return Layout((chosen["nir"],), alpha)
    data = tuple(i for i in everything if i != alpha)
    if not data:
        raise NircolorError(f"{path}: holds an alpha channel and no image")
    photograph = tuple(roles[i - 1] for i in data) == _RGB and not named.intersection(data) and listed != 3
    return Layout(data, alpha, is_colour=photograph)


def _looks_like_alpha(dataset: Any, band: int) -> bool:
    """Return whether nearly all values of a band are 0 or the largest, which is a full scale."""
    height, width = dataset.height, dataset.width
    if height * width <= _SAMPLE_PIXELS:
        values = dataset.read(band)
    else:
        rows, cols = min(height, _SAMPLE_ROWS), min(width, _SAMPLE_COLUMNS)
        places = [(height - rows) * i // (_SAMPLES - 1) for i in range(_SAMPLES)]
        lefts = [(width - cols) * i // (_SAMPLES - 1) for i in range(_SAMPLES)]
        values = np.stack(
            [
                dataset.read(band, window=RasterioWindow(left, top, cols, rows))
                for top, left in zip(places, lefts, strict=True)
            ]
        )
    top = values.max()
    compression = tags_of(dataset, 0, "IMAGE_STRUCTURE").get("COMPRESSION", "")
    tolerance = top * _LOSSY_TOLERANCE if any(name in compression for name in ("JPEG", "WEBP")) else 0
    ends = (values <= tolerance) | (values >= top - tolerance)
    return bool(top in _FULL_SCALES and ends.mean() >= _ALPHA_SHARE)


def warning(path: Path, layout: Layout) -> str | None:
    """Return a warning where the image is a colour photograph, else None."""
    if not layout.is_colour:
        return None
    return (
        f"{path}: looks like a colour photograph, not near-infrared (its channels differ); "
        "for a converted camera --from converted; if its bands are near-infrared, name their wavelengths "
        "with --bands"
    )


def _palette(path: Path, dataset: Any, alpha: int | None) -> Layout:
    if dataset.dtypes[0] != "uint8":
        raise NircolorError(f"{path}: expected a palette of 8-bit indices, got {dataset.dtypes[0]}")
    table = np.zeros((256, 4), np.uint8)
    try:
        palette = dataset.colormap(1)
    except ValueError:  # damaged, or lost in an `.aux.xml` that only names the kind of the band
        raise NircolorError(f"{path}: expected a palette, got indices without one") from None
    for index, colour in palette.items():
        if 0 <= index < 256:
            table[index] = colour
    opaque = table[:, 3] > 0
    # GDAL expands indices that the palette lacks to opaque black
    opaque[[i for i in range(256) if i not in palette]] = True
    is_gray = bool((table[:, 0] == table[:, 1]).all() and (table[:, 1] == table[:, 2]).all())
    return Layout(
        stored=(1,),
        alpha=alpha,
        palette=table[:, :1] if is_gray else table[:, :3],
        opaque=None if opaque.all() else opaque,
        is_colour=not is_gray,
    )
