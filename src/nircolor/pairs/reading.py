"""A pair's pixels."""

from pathlib import Path

from nircolor.arrays import Floats, Mask
from nircolor.errors import NircolorError
from nircolor.imagery import open_raster
from nircolor.pairs.layouts import Pair

# told what the bands are, `imagery` neither warns that colour is not NIR nor takes a gray view for one band
_RGB_NM = (620.0, 550.0, 460.0)


def read_pair(pair: Pair) -> tuple[Floats, Floats, Mask]:
    """NIR (1, h, w) and colour (3, h, w), float32 in [0, 1], and the valid pixels (h, w).

    A NIR picture stored as three equal channels is one band. A pixel is valid where both pictures
    and the mask say so. (8-bit values come back exactly from ``np.rint(255 * x)``, for whoever keeps
    many pictures in memory.)

    Raises:
        NircolorError: a file cannot be read, sizes differ, or there are other bands than one and three.
    """
    nir, nir_valid = _read(pair.nir)
    if len(nir) != 1:
        raise NircolorError(f"{pair.nir}: expected 1 band, got {len(nir)}")
    try:
        rgb, rgb_valid = _read(pair.rgb, _RGB_NM)
    except NircolorError as error:
        raise NircolorError(f"{pair.name}: expected a picture of 3 bands as colour: {error}") from error
    _require_same_size(pair.nir, nir, pair.rgb, rgb)

    valid = nir_valid & rgb_valid
    if pair.mask is not None:
        mask, _ = _read(pair.mask)
        _require_same_size(pair.nir, nir, pair.mask, mask)
        valid &= mask[0] > 0.5
    return nir, rgb, valid


def _require_same_size(first: Path, a: Floats, second: Path, b: Floats) -> None:
    if a.shape[1:] != b.shape[1:]:
        sizes = [f"{picture.shape[2]} × {picture.shape[1]}" for picture in (a, b)]
        raise NircolorError(f"{second}: expected {sizes[0]} px as {first}, got {sizes[1]}")


def _read(path: Path, bands_nm: tuple[float, ...] | None = None) -> tuple[Floats, Mask]:
    with open_raster(path, bands_nm=bands_nm) as raster:
        return raster.read()
