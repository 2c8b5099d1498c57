"""Images to colorize, in memory or in a file, as the model's bands in strips of rows."""

from typing import Protocol

import numpy as np

from nircolor.arrays import Floats, Mask
from nircolor.errors import NircolorError
from nircolor.imagery import Raster, encode_srgb
from nircolor.imagery.reduction import AreaMean
from nircolor.modelfile import Card, match_raster

# values of a file read at a time for a reduced view: 16 MB as float32
_STRIP_VALUES = 4 << 20


class RowSource(Protocol):
    """An image that is read in strips of rows, as the model's bands in [0, 1].

    Attributes:
        height, width: Size in pixels.
        may_have_invalid: False where all pixels are known to be valid.
    """

    height: int
    width: int
    may_have_invalid: bool

    def rows(self, start: int, stop: int) -> tuple[Floats, Mask]:
        """Read rows: values (bands, stop - start, width) and the valid pixels (stop - start, width)."""
        ...

    def reduced(self, height: int, width: int) -> tuple[Floats, Mask]:
        """Reduce the whole image to (bands, height, width) by area averages over its valid pixels."""
        ...


class ArraySource:
    """An image in memory.

    Args:
        nir: (bands, height, width) in [0, 1], the model's bands in its order. NaN and infinite values are
            invalid.
        valid: (height, width), or None where all pixels are valid.
    """

    def __init__(self, nir: Floats, valid: Mask | None = None) -> None:
        finite = np.isfinite(nir).all(0)
        self._valid: Mask = np.asarray(finite if valid is None else finite & (valid != 0))
        self._nir = np.where(self._valid, np.clip(nir, 0, 1), 0).astype(np.float32)
        self.height, self.width = nir.shape[1:]
        self.may_have_invalid = not self._valid.all()

    def rows(self, start: int, stop: int) -> tuple[Floats, Mask]:
        return self._nir[:, start:stop], self._valid[start:stop]

    def reduced(self, height: int, width: int) -> tuple[Floats, Mask]:
        if (height, width) == (self.height, self.width):
            return self._nir, self._valid
        return _mean_of_rows(self, len(self._nir), (height, width), step=256)


class RasterSource:
    """An open raster whose bands are matched to the model's by wavelength.

    A model of one band gets the mean of the channels of a colour image (from a converted camera; the reader
    warns about colour photographs). Reflectances are encoded with the sRGB curve for a model whose card has
    ``encoding: gamma``.

    Attributes:
        bands: Indices of the raster's bands that are used, from 0.

    Raises:
        NircolorError: The raster lacks a band that the model needs, or its values are not what it expects.
    """

    def __init__(self, raster: Raster, card: Card) -> None:
        self._raster = raster
        self._encoded = raster.values.is_encoded_for(card.encoding)
        self.height, self.width = raster.height, raster.width
        # dead pixels of a calibrated camera may be invalid in any format
        self.may_have_invalid = raster.may_have_invalid or raster.calibration is not None
        if raster.is_colour_photograph and len(card.bands) == 1:
            mixture = np.full((1, raster.bands), 1 / raster.bands, np.float32)
        else:
            mixture = match_raster(card.bands, raster, f"model {card.name}")
        error = raster.values.error(card.encoding, f"model {card.name}")
        if error is not None:
            raise NircolorError(error)
        # a cube has hundreds of bands; only those with a non-zero weight are read
        used = mixture.any(0)
        self.bands = [int(band) for band in np.flatnonzero(used)]
        self._mixture = mixture[:, used]
        self._is_mixed = not np.array_equal(self._mixture, np.eye(len(self.bands)))

    def rows(self, start: int, stop: int) -> tuple[Floats, Mask]:
        return self._mix(*self._raster.read((start, stop, 0, self.width), self.bands))

    def reduced(self, height: int, width: int) -> tuple[Floats, Mask]:
        if not self._encoded or (height, width) == (self.height, self.width):
            return self._mix(*self._raster.read(None, self.bands, (height, width)))
        # average after encoding, as in training: encoding the average would be brighter
        step = max(1, _STRIP_VALUES // (self.width * len(self.bands)))
        return _mean_of_rows(self, len(self._mixture), (height, width), step)

    def _mix(self, bands: Floats, valid: Mask) -> tuple[Floats, Mask]:
        # a matrix product would copy the bands of a row of tiles
        mixed = np.tensordot(self._mixture, bands, 1) if self._is_mixed else bands
        return (encode_srgb(mixed) if self._encoded else mixed), valid


def _mean_of_rows(source: RowSource, bands: int, shape: tuple[int, int], step: int) -> tuple[Floats, Mask]:
    """Area means (bands, *shape) of a source, read ``step`` rows at a time."""
    mean = AreaMean(bands, (source.height, source.width), shape)
    for top in range(0, source.height, step):
        mean.add(top, *source.rows(top, min(top + step, source.height)))
    return mean.result()
