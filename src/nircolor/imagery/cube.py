"""Read ENVI cubes line by line, all bands at once: several times as fast as GDAL, which reads by band."""

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np

from nircolor.arrays import Array
from nircolor.errors import NircolorError
from nircolor.imagery.files import envi_files, envi_header
from nircolor.imagery.files.locate import locate

# bytes hashed at a time
_PIECE_BYTES = 8 << 20


class Cube:
    """Samples of an ENVI file, unscaled.

    Args:
        path: the header or the data file.

    Attributes:
        path: as given.
        data: absolute path of the data file.
        header: fields of the header, as text (`envi_header.parse_header`).
        lines: number of image rows.
        bands: number of spectral bands.
        samples: number of pixels in a line.
        interleave: "bil", "bip" or "bsq".
        dtype: type of the samples, with byte order.

    Raises:
        NircolorError: not an ENVI file, the data file is too short, or the header does not state how the
            samples are stored.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        path = Path(path)
        source = locate(path)
        if source.header is None:
            raise NircolorError(f"{path}: expected an ENVI capture (.hdr), got {source.driver}")
        self.path, self.data = path, source.data
        self.header = envi_files.read_header(path, source.header, source.data)
        self.samples, self.lines, self.bands = (
            int(self.header[key]) for key in ("samples", "lines", "bands")
        )
        self.interleave = self.header.get("interleave", "").lower()
        if self.interleave not in ("bil", "bip", "bsq"):
            raise NircolorError(
                f"{path}: expected an interleave of bil, bip or bsq, got {self.interleave or 'none'}"
            )
        order = ">" if self.header.get("byte order", "0") == "1" else "<"
        self.dtype: np.dtype[Any] = np.dtype(order + envi_header.SAMPLE_TYPES[int(self.header["data type"])])
        self._offset = int(self.header.get("header offset", "0"))
        self._digest = hashlib.sha256()
        self._digested = 0

    def read(self, start: int, stop: int) -> Array:
        """Read lines ``start`` to ``stop - 1`` as (lines, bands, samples)."""
        count = stop - start
        if self.interleave == "bsq":
            planes = [
                self._load((band * self.lines + start) * self.samples, count * self.samples)
                for band in range(self.bands)
            ]
            return np.stack(planes).reshape(self.bands, count, self.samples).transpose(1, 0, 2)
        stored = self._load(start * self.bands * self.samples, count * self.bands * self.samples)
        if self._digested == start:
            self._digest.update(stored.data)
            self._digested = stop
        if self.interleave == "bil":
            return stored.reshape(count, self.bands, self.samples)
        return stored.reshape(count, self.samples, self.bands).transpose(0, 2, 1)

    def _load(self, first: int, count: int) -> Array:
        try:
            values = np.fromfile(
                self.data, self.dtype, count, offset=self._offset + first * self.dtype.itemsize
            )
        except OSError as error:
            raise NircolorError(f"{self.path}: cannot be read ({error.strerror or error})") from error
        if len(values) < count:
            raise NircolorError(f"{self.path}: the data file was cut off while it was read")
        return values

    def sha256(self) -> str:
        """Return the SHA-256 of the samples, in the order of the file.

        Needs no further reading if all lines were read in order before, except for "bsq".
        """
        if self._digested != self.lines:
            digest = hashlib.sha256()
            samples = self.lines * self.bands * self.samples
            piece = _PIECE_BYTES // self.dtype.itemsize
            for first in range(0, samples, piece):
                digest.update(self._load(first, min(piece, samples - first)).data)
            self._digest, self._digested = digest, self.lines
        return self._digest.hexdigest()
