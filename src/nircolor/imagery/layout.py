"""Roles of the bands in a file: data, alpha, palette indices, red, green and blue."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.enums import ColorInterp

from nircolor.arrays import Array
from nircolor.errors import NircolorError
from nircolor.imagery.wavelengths import GivenBands, check_numbered, numbered

_RGB = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
_CMYK = {ColorInterp.cyan, ColorInterp.magenta, ColorInterp.yellow, ColorInterp.black}


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


def of_dataset(
    path: Path, dataset: Any, wavelengths_nm: Sequence[float | None], bands_nm: GivenBands | None
) -> Layout:
    """Derive the layout from the metadata of an open rasterio dataset.

    A band with a wavelength, from the file or from the user, is data even where the file calls it alpha or
    red: GDAL gives those roles to any 3 or 4 bands of 8 bits.

    Args:
        path: the path that error messages name.
        dataset: the dataset.
        wavelengths_nm: wavelength or None of each stored band.
        bands_nm: the user's wavelengths, or None. One band called "nir" is then the only data.

    Returns:
        The layout. `is_colour` does not yet take into account that three channels may hold one gray image
        (`StoredImage.is_gray`).
    """
    roles = tuple(dataset.colorinterp)
    chosen = numbered(bands_nm)
    if chosen is not None:
        check_numbered(path, chosen, len(roles))
    listed = None if bands_nm is None or chosen is not None else len(bands_nm)
    if _CMYK & set(roles) and chosen is None and listed != len(roles):
        raise NircolorError(
            f"{path}: expected a gray or RGB image, got CMYK (for print); convert it first, or name its "
            f"{len(roles)} bands with --bands if they are no colours"
        )
    if roles[0] is ColorInterp.palette:
        return _palette(path, dataset, 2 if len(roles) > 1 and roles[1] is ColorInterp.alpha else None)
    everything = tuple(range(1, len(roles) + 1))
    if listed == len(roles):
        return Layout(everything)
    named = {i for i in everything if wavelengths_nm[i - 1] is not None} | set((chosen or {}).values())
    alphas = [i for i in everything if roles[i - 1] is ColorInterp.alpha and i not in named]
    alpha = alphas[0] if alphas else None
    if chosen is not None and "nir" in chosen:
        return Layout((chosen["nir"],), alpha)
    data = tuple(i for i in everything if i != alpha)
    if not data:
        raise NircolorError(f"{path}: holds an alpha channel and no image")
    photograph = tuple(roles[i - 1] for i in data) == _RGB and not named.intersection(data) and listed != 3
    return Layout(data, alpha, is_colour=photograph)


def doubt(path: Path, layout: Layout) -> str | None:
    """Return a warning where the image is a colour photograph, else None."""
    if not layout.is_colour:
        return None
    return (
        f"{path}: looks like a colour photograph, not near-infrared (its channels differ); "
        "if its bands are near-infrared, name their wavelengths with --bands"
    )


def _palette(path: Path, dataset: Any, alpha: int | None) -> Layout:
    if dataset.dtypes[0] != "uint8":
        raise NircolorError(f"{path}: expected a palette of 8-bit indices, got {dataset.dtypes[0]}")
    table = np.zeros((256, 4), np.uint8)
    for index, colour in dataset.colormap(1).items():
        if 0 <= index < 256:
            table[index] = colour
    opaque = table[:, 3] > 0
    # GDAL expands indices that the palette lacks to opaque black
    opaque[[i for i in range(256) if i not in dataset.colormap(1)]] = True
    is_gray = bool((table[:, 0] == table[:, 1]).all() and (table[:, 1] == table[:, 2]).all())
    return Layout(
        stored=(1,),
        alpha=alpha,
        palette=table[:, :1] if is_gray else table[:, :3],
        opaque=None if opaque.all() else opaque,
        is_colour=not is_gray,
    )
