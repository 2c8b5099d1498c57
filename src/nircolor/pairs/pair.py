"""A pair of NIR and colour images, and reading its pixels."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nircolor.arrays import Floats, Mask
from nircolor.errors import NircolorError, NircolorWarning
from nircolor.imagery import Nodata, Raster, encode_srgb, fill_invalid, open_raster
from nircolor.imagery.bands.sensors import role_of
from nircolor.imagery.values.reflectance import Values
from nircolor.imagery.values.scaling import Encoding
from nircolor.modelfile import Band, describe_bands, match_raster
from nircolor.texts import count_of

# NIR bands to read, in order; None = the one band of the file
Bands = tuple[Band, ...] | None

# if wavelengths are given, `open_raster` does not warn that colour is not NIR, and does not merge three equal
# channels into one
_RGB_NM = (620.0, 550.0, 460.0)
_RGB_TOLERANCE_NM = 30.0


@dataclass(frozen=True)
class Pair:
    """Files of a NIR image and of the colour image of the same view. One file may hold both.

    Attributes:
        name: Unique within its set, e.g. ``country_0007`` or ``urban/0003``.
        nir: File of the NIR image.
        rgb: File of the colour image.
        mask: File of the valid pixels (255 = valid), or None where all are valid.
        group: Place that the pair shows. Pairs of one group are never separated by a split. None = each
            pair is a place of its own.
        split: ``train``, ``val``, or any other name, which keeps the pair out of training. None = unknown.
        rgb_nm: Wavelengths in nm to read as red, green and blue from a multi-band file, each within 30 nm.
            None = the file is a colour image of three bands.
        nir_scale: Value in the NIR file that maps to 1.0. None = by the rule of `imagery.open_raster`.
        rgb_scale: Value in the colour file that maps to 1.0. None = by the same rule.
        rgb_white: Reflectance that maps to 1.0 in the colour, where its file states reflectance or
            ``rgb_scale`` is given. None = 1.

    Example:
        >>> pair = Pair("urban/0003", Path("nir/urban/0003.png"), Path("rgb/urban/0003.png"), split="val")
        >>> pair.place
        'urban/0003'
    """

    name: str
    nir: Path
    rgb: Path
    mask: Path | None = None
    group: str | None = None
    split: str | None = None
    rgb_nm: tuple[float, float, float] | None = None
    nir_scale: float | None = None
    rgb_scale: float | None = None
    rgb_white: float | None = None

    @property
    def place(self) -> str:
        """The group, or the name where the group is unknown."""
        return self.name if self.group is None else self.group


def with_white(pairs: Iterable[Pair], white: float | None) -> list[Pair]:
    """Set the reflectance that becomes white in pairs that do not state how to read their colour.

    Args:
        pairs: The pairs.
        white: The reflectance, as ``white_reflectance`` of the card of a model.
    """
    return [
        pair if pair.rgb_scale is not None or pair.rgb_white is not None else replace(pair, rgb_white=white)
        for pair in pairs
    ]


class PairImages(NamedTuple):
    """Pixels of a pair.

    Attributes:
        nir: (bands, h, w), float32 in [0, 1]; invalid pixels are filled (`imagery.fill_invalid`).
        nir_valid: (h, w), True where the NIR file declares the pixel valid in all of these bands.
        rgb: (3, h, w), float32 in [0, 1].
        valid: (h, w), True where the NIR file, the colour file and the mask declare the pixel valid.
        nir_values: What is known of the values of the NIR file.
    """

    nir: Floats
    nir_valid: Mask
    rgb: Floats
    valid: Mask
    nir_values: Values | None = None

    def nir_for(self, encoding: Encoding, wanted_by: str) -> Floats:
        """Return the NIR as a model expects it, by the same rule as for files to colorize.

        Args:
            encoding: What the model expects.
            wanted_by: The model, for messages: ``model scene``.

        Raises:
            NircolorError: The model expects reflectance, and the scale of the values is unknown.
        """
        if self.nir_values is None:
            return self.nir
        error = self.nir_values.error(encoding, wanted_by)
        if error is not None:
            problem = error.partition("; give ")[0]
            raise NircolorError(
                f"{problem}; state it as nir_scale of the data set in a YAML file, such as 10000 for "
                "reflectance × 10000, or in the metadata of the file"
            )
        if not self.nir_values.is_encoded_for(encoding):
            return self.nir
        return fill_invalid(encode_srgb(self.nir), self.nir_valid)


def read_pair(pair: Pair, bands: Sequence[Band] | None = None) -> tuple[Floats, Floats, Mask]:
    """Read the NIR and colour image of a pair, and which pixels are valid.

    A NIR image stored as three equal channels counts as one band. 8-bit values are recovered exactly by
    ``np.rint(255 * x)``.

    Args:
        pair: Files, and the scales at which to read them.
        bands: NIR bands to read, in order, matched by wavelength. A file without wavelengths must have
            exactly these bands. None = the one band of the file.

    Returns:
        NIR (bands, h, w) and colour (3, h, w), float32 in [0, 1], and valid pixels (h, w); invalid NIR
        pixels are filled as described in `PairImages`.

    Raises:
        NircolorError: A file cannot be read, sizes differ, the bands are not in the file, or no pixel is
            valid.
    """
    images = read_images(pair, [None if bands is None else tuple(bands)])[0]
    return images.nir, images.rgb, images.valid


def read_images(pair: Pair, choices: Sequence[Bands]) -> list[PairImages]:
    """Read a pair for several choices of NIR bands, opening each of its files as few times as possible.

    Args:
        pair: Files, and the scales at which to read them.
        choices: Choices of NIR bands; see `read_pair`.

    Returns:
        One item per choice.

    Raises:
        NircolorError: See `read_pair`.
    """
    with _open_files() as files:
        rgb, rgb_valid = _read_colour(files, pair)
        mask = None if pair.mask is None else files.open(pair.mask, nodata="declared").read()[0]
        found: dict[Bands, PairImages] = {}
        for bands in dict.fromkeys(choices):
            nir, nir_valid, values = _read_nir(files, pair, bands)
            _require_same_size(
                pair.nir, nir, pair.rgb, rgb, "; `nircolor align` registers images of two cameras"
            )
            valid = nir_valid & rgb_valid
            if mask is not None and pair.mask is not None:
                _require_same_size(pair.nir, nir, pair.mask, mask)
                if 0 < mask.max() < 0.5:
                    raise NircolorError(
                        f"{pair.mask}: expected 255 where the pair is valid and 0 elsewhere, "
                        f"got no value above {255 * mask.max():.0f}"
                    )
                valid &= mask[0] > 0.5
            if not valid.any():
                raise NircolorError(f"{pair.nir}: expected a valid pixel in the pair {pair.name}, got none")
            found[bands] = PairImages(nir, nir_valid, rgb, valid, values)
    return [found[bands] for bands in choices]


def read_nir(pair: Pair, bands: Sequence[Band] | None = None) -> tuple[Floats, Mask]:
    """Read the NIR image of a pair.

    Args:
        pair: File, and the scale at which to read it.
        bands: See `read_pair`.

    Returns:
        NIR (bands, h, w), invalid pixels filled as by `Colorizer` (`imagery.fill_invalid`), and the pixels
        (h, w) that the file declares valid.

    Raises:
        NircolorError: The file cannot be read, or does not have the bands.
    """
    with _open_files() as files:
        return _read_nir(files, pair, None if bands is None else tuple(bands))[:2]


def read_colour(
    path: Path,
    name: str,
    *,
    rgb_nm: tuple[float, float, float] | None = None,
    scale: float | None = None,
    white: float | None = None,
    nodata: Nodata | None = None,
) -> tuple[Floats, Mask]:
    """Read a colour image.

    Args:
        path: An image of three bands, or a multi-band file.
        name: Name of the pair, for messages.
        rgb_nm: Wavelengths to read from a multi-band file; see `Pair`.
        scale: Value that maps to 1.0.
        white: Reflectance that maps to 1.0; see `Pair`.
        nodata: As for `open_raster`: "declared" if black borders are colours too, as in predictions.

    Returns:
        Colour (3, h, w), float32 in [0, 1], and valid pixels (h, w).

    Raises:
        NircolorError: The file cannot be read, or does not have the bands.
    """
    with _open_files() as files:
        pair = Pair(name, path, path, rgb_nm=rgb_nm, rgb_scale=scale, rgb_white=white)
        return _read_colour(files, pair, nodata)


def listed(names: Iterable[str]) -> str:
    """Format names for a message: sorted, in one line, at most eight, with the total count if more."""
    ordered = sorted(" ".join(name.split()) for name in names)
    return ", ".join(ordered) if len(ordered) <= 8 else f"{', '.join(ordered[:8])}, … ({len(ordered)} in all)"


class _Files:
    """Open rasters of one pair, so that a file that holds NIR and colour is opened once."""

    def __init__(self) -> None:
        self._rasters: dict[tuple[Path, float | None, tuple[float, ...] | None, Nodata | None], Raster] = {}

    def open(
        self,
        path: Path,
        scale: float | None = None,
        bands_nm: tuple[float, ...] | None = None,
        nodata: Nodata | None = None,
    ) -> Raster:
        key = path, scale, bands_nm, nodata
        if key not in self._rasters:
            self._rasters[key] = open_raster(path, bands_nm=bands_nm, scale=scale, nodata=nodata)
        return self._rasters[key]

    def open_for_bands(
        self, path: Path, scale: float | None, bands: Sequence[Band], description: str
    ) -> Raster:
        """Open a raster that states wavelengths or a NIR band, or has as many bands as are needed."""
        with warnings.catch_warnings():
            # three channels can be three NIR bands
            warnings.filterwarnings("ignore", ".*looks like a colour photograph", NircolorWarning)
            raster = self.open(path, scale)
        named = any(raster.wavelengths_nm) or "nir" in map(role_of, raster.names)
        if named or raster.bands == len(bands):
            return raster
        try:
            # `open_raster` merges three equal bands into one
            return self.open(path, scale, tuple(band.center_nm for band in bands))
        except NircolorError as error:
            raise NircolorError(
                f"{path}: expected {describe_bands(bands)} for {description}, "
                f"got {count_of(raster.bands, 'band')} without wavelengths"
            ) from error

    def read_bands(
        self, path: Path, scale: float | None, bands: Sequence[Band], description: str
    ) -> tuple[Floats, Mask, Values]:
        raster = self.open_for_bands(path, scale, bands, description)
        mixture = match_raster(bands, raster, description)
        used = np.flatnonzero(mixture.any(0))
        values, valid = raster.read(None, used.tolist())
        return np.tensordot(mixture[:, used], values, 1), valid, raster.values

    def close(self) -> None:
        for raster in self._rasters.values():
            raster.close()


@contextmanager
def _open_files() -> Iterator[_Files]:
    files = _Files()
    try:
        yield files
    finally:
        files.close()


def _read_nir(files: _Files, pair: Pair, bands: Bands) -> tuple[Floats, Mask, Values]:
    if bands is not None:
        nir, valid, values = files.read_bands(pair.nir, pair.nir_scale, bands, f"the NIR of {pair.name}")
        return fill_invalid(nir, valid), valid, values
    raster = files.open(pair.nir, pair.nir_scale)
    nir, valid = raster.read()
    if len(nir) != 1:
        raise NircolorError(f"{pair.nir}: expected 1 band, got {len(nir)}")
    return fill_invalid(nir, valid), valid, raster.values


def _read_colour(files: _Files, pair: Pair, nodata: Nodata | None = None) -> tuple[Floats, Mask]:
    if pair.rgb_nm is not None:
        bands = [Band(center_nm=nm, fwhm_nm=1, tolerance_nm=_RGB_TOLERANCE_NM) for nm in pair.rgb_nm]
        rgb, valid, values = files.read_bands(pair.rgb, pair.rgb_scale, bands, f"the colour of {pair.name}")
    else:
        try:
            raster = files.open(pair.rgb, pair.rgb_scale, _RGB_NM, nodata)
            (rgb, valid), values = raster.read(), raster.values
        except NircolorError as error:
            raise NircolorError(f"{pair.name}: expected an image of 3 bands as colour: {error}") from error
    if pair.rgb_white is not None and (pair.rgb_scale is not None or values.scale.is_reflectance):
        rgb = np.minimum(rgb / np.float32(pair.rgb_white), np.float32(1))
    return rgb, valid


def _require_same_size(first: Path, a: Floats, second: Path, b: Floats, advice: str = "") -> None:
    if a.shape[1:] != b.shape[1:]:
        sizes = [f"{image.shape[2]} × {image.shape[1]}" for image in (a, b)]
        raise NircolorError(f"{second}: expected {sizes[0]} px as {first}, got {sizes[1]}{advice}")
