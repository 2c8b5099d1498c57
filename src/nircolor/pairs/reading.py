"""A pair's pixels."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nircolor import imagery
from nircolor.arrays import Floats, Mask
from nircolor.errors import NircolorError, NircolorWarning
from nircolor.imagery import Raster, fill_invalid, open_raster
from nircolor.modelfile import Band, describe_bands, match_bands
from nircolor.pairs.pair import Pair

# told what the bands are, `imagery` neither warns that colour is not NIR nor takes a gray view for one band
_RGB_NM = (620.0, 550.0, 460.0)
_RGB_TOLERANCE_NM = 30.0


def read_pair(pair: Pair, bands: Sequence[Band] | None = None) -> tuple[Floats, Floats, Mask]:
    """NIR (bands, h, w) and colour (3, h, w), float32 in [0, 1], and the valid pixels (h, w).

    A NIR image stored as three equal channels is one band. A pixel is valid where both images
    and the mask say so. (8-bit values come back exactly from ``np.rint(255 * x)``, for whoever keeps
    many images in memory.)

    Args:
        pair: what to read, and at which scales.
        bands: the NIR bands wanted, in order, matched by wavelength; a file that states no wavelengths
            must have exactly these. None: the one band that the file has.

    Raises:
        NircolorError: a file cannot be read, sizes differ, or a file has not the bands that are wanted.
    """
    nir, nir_valid = read_nir(pair, bands)
    rgb, rgb_valid = read_colour(pair.rgb, pair.name, rgb_nm=pair.rgb_nm, scale=pair.rgb_scale)
    _require_same_size(pair.nir, nir, pair.rgb, rgb)

    valid = nir_valid & rgb_valid
    if pair.mask is not None:
        mask, _ = _read(pair.mask)
        _require_same_size(pair.nir, nir, pair.mask, mask)
        if 0 < mask.max() < 0.5:
            raise NircolorError(
                f"{pair.mask}: expected 255 where the pair is valid and 0 elsewhere, got nothing bright"
            )
        valid &= mask[0] > 0.5
    if not valid.any():
        raise NircolorError(f"{pair.nir}: expected a valid pixel in the pair {pair.name}, got none")
    return nir, rgb, valid


def read_nir(pair: Pair, bands: Sequence[Band] | None = None) -> tuple[Floats, Mask]:
    """Read the NIR image of a pair; see `read_pair`.

    Returns:
        NIR (bands, h, w), invalid pixels filled as by `Colorizer` (`imagery.fill_invalid`), and the pixels
        (h, w) that the file itself declares valid.
    """
    if bands is not None:
        nir, valid = _read_bands(pair.nir, bands, pair.nir_scale, f"the NIR of {pair.name}")
        return fill_invalid(nir, valid), valid
    nir, valid = _read(pair.nir, pair.nir_scale)
    if len(nir) != 1:
        raise NircolorError(f"{pair.nir}: expected 1 band, got {len(nir)}")
    return fill_invalid(nir, valid), valid


def image_size(pair: Pair) -> tuple[int, int]:
    """Return height and width of a pair's NIR image in pixels, from the header of the file alone.

    Raises:
        NircolorError: the file cannot be opened.
    """
    return imagery.image_size(pair.nir)


def read_colour(
    path: Path,
    name: str,
    *,
    rgb_nm: tuple[float, float, float] | None = None,
    scale: float | None = None,
) -> tuple[Floats, Mask]:
    """Colour (3, h, w), float32 in [0, 1], and the valid pixels (h, w).

    Args:
        path: a image of three bands, or a file of many.
        name: of the pair, for messages.
        rgb_nm: see `Pair`.
        scale: the value that means 1.0.

    Raises:
        NircolorError: the file cannot be read, or has no such bands.
    """
    if rgb_nm is not None:
        bands = [Band(center_nm=nm, fwhm_nm=1, tolerance_nm=_RGB_TOLERANCE_NM) for nm in rgb_nm]
        return _read_bands(path, bands, scale, f"the colour of {name}")
    try:
        return _read(path, scale, _RGB_NM)
    except NircolorError as error:
        raise NircolorError(f"{name}: expected a image of 3 bands as colour: {error}") from error


def _read_bands(
    path: Path, bands: Sequence[Band], scale: float | None, wanted_by: str
) -> tuple[Floats, Mask]:
    with _open_for_bands(path, bands, scale, wanted_by) as raster:
        mixture = match_bands(bands, raster.wavelengths_nm, str(path), wanted_by)
        used = np.flatnonzero(mixture.any(0))
        values, valid = raster.read(None, used.tolist())
    return np.tensordot(mixture[:, used], values, 1), valid


def _open_for_bands(path: Path, bands: Sequence[Band], scale: float | None, wanted_by: str) -> Raster:
    """A raster that states its wavelengths, or that holds as many bands as are wanted."""
    with warnings.catch_warnings():
        # three channels may well be the three bands that are wanted
        warnings.filterwarnings("ignore", ".*looks like a colour photograph", NircolorWarning)
        raster = open_raster(path, scale=scale)
    if any(raster.wavelengths_nm) or raster.bands == len(bands):
        return raster
    raster.close()
    try:
        # three bands that happen to be equal were taken for one
        return open_raster(path, bands_nm=[band.center_nm for band in bands], scale=scale)
    except NircolorError as error:
        raise NircolorError(
            f"{path}: expected {describe_bands(bands)} for {wanted_by}, "
            f"got {raster.bands} band{'s'[: raster.bands != 1]} without wavelengths"
        ) from error


def _require_same_size(first: Path, a: Floats, second: Path, b: Floats) -> None:
    if a.shape[1:] != b.shape[1:]:
        sizes = [f"{image.shape[2]} × {image.shape[1]}" for image in (a, b)]
        raise NircolorError(f"{second}: expected {sizes[0]} px as {first}, got {sizes[1]}")


def _read(
    path: Path, scale: float | None = None, bands_nm: tuple[float, ...] | None = None
) -> tuple[Floats, Mask]:
    with open_raster(path, bands_nm=bands_nm, scale=scale) as raster:
        return raster.read()
