"""`Raster`: an open image, read by windows as float32 in [0, 1], upright, with a mask of valid pixels."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from rasterio.crs import CRS
from rasterio.transform import Affine

from nircolor.arrays import Array, Floats, Mask
from nircolor.imagery import orientation
from nircolor.imagery.bands.band_info import BandInfo
from nircolor.imagery.files.locate import ImageFile
from nircolor.imagery.gdal import gdal_for
from nircolor.imagery.grid import Grid
from nircolor.imagery.orientation import Window
from nircolor.imagery.reduction import AreaMean
from nircolor.imagery.stored import StoredImage
from nircolor.imagery.values import scaling
from nircolor.imagery.values.calibration import (
    Calibration,
)
from nircolor.imagery.values.reflectance import Values

# values converted at a time for a reduced view: 16 MB as float32
_STRIP_VALUES = 4 << 20
# values of floating point beyond this count as this in percentiles
_LARGEST = 1e30
DAMAGED = "the image is damaged or cut off"


class Raster(ABC):
    """An open image, made by `open_raster`. Several threads may read it; attributes remain after `close`.

    Attributes:
        path: as given.
        driver: format, as `files.locate.ImageFile.driver`.
        grid: size, type, georeference and kinds of invalid pixels; its values are attributes here as well.
        height, width: in pixels, upright: EXIF orientation is applied unless the image is georeferenced.
        dtype: type of the values in the file.
        depth: 8 or 16, bits of an output that keeps the precision.
        bands: number of data bands, without alpha. Gray stored as three equal channels counts as one band.
        wavelengths_nm: centre in nm, or None, of each band.
        wavelength_sources: what states the wavelength of each band, or None.
        names: name of each band, from its description or other metadata, or None.
        is_colour_photograph: whether the bands are RGB, differ, and have no wavelengths.
        nodata: value that marks invalid pixels, or None.
        has_alpha: whether there is an alpha channel.
        has_mask: whether there is a mask band or a transparent colour.
        may_have_invalid: whether pixels can be invalid.
        values: scale of the values, and whether they suit a model.
        orientation: EXIF orientation, 1 to 8, that is applied; 1 for none.
        files: all files that are read.
        missing: bands that metadata lists and that are not there, as text for the user.
        is_registered: whether all bands show the same place in a pixel.
        georeference: location on Earth; `crs` and `transform` are parts of it.
    """

    def __init__(
        self,
        path: Path,
        driver: str,
        grid: Grid,
        values: Values,
        bands: Sequence[BandInfo],
        *,
        orientation: int = 1,
        is_colour_photograph: bool = False,
        may_have_invalid: bool = False,
    ) -> None:
        self.path, self.driver = path, driver
        self.grid = grid
        self.height, self.width = grid.height, grid.width
        self.dtype, self.depth = grid.dtype, grid.depth
        self.nodata, self.georeference = grid.nodata, grid.georeference
        self.has_alpha, self.has_mask = grid.has_alpha, grid.has_mask
        self.may_have_invalid = grid.may_have_invalid or may_have_invalid
        self.bands = len(bands)
        self.is_colour_photograph = is_colour_photograph
        self.wavelengths_nm = tuple(info.nm for info in bands)
        self.names = tuple(info.name for info in bands)
        self.wavelength_sources = tuple(None if info.nm is None else info.source or "pages" for info in bands)
        self.values, self.orientation = values, orientation
        self.files: tuple[Path, ...] = (path,)
        self.missing: tuple[str, ...] = ()
        self.is_registered = True
        self._scale = values.scale

    @property
    def crs(self) -> CRS | None:
        """Coordinate reference system, or None."""
        return self.georeference.crs

    @property
    def transform(self) -> Affine:
        """Map from (column, row) to coordinates; the identity where there is none."""
        return self.georeference.transform

    @property
    def is_georeferenced(self) -> bool:
        """Whether the file states where on Earth its pixels are."""
        return bool(self.georeference)

    @property
    def full_scale(self) -> float:
        """File value that maps to 1.0, of the first band."""
        return float(np.mean(self._scale.white[0]))

    @property
    def is_reflectance(self) -> bool | None:
        """Whether values are linear reflectance, by metadata, references or the user; None if unknown."""
        return self._scale.is_reflectance

    @property
    def calibration(self) -> Calibration | None:
        """Calibration by dark and white references, or None where there are none."""
        return self._scale if isinstance(self._scale, Calibration) else None

    @property
    def black_white(self) -> tuple[Array, Array]:
        """File values that map to 0 and to 1, each (bands, 1), or (bands, width) by references."""
        if isinstance(self._scale, Calibration):
            return self._scale.dark, self._scale.white
        return np.array(self._scale.black)[:, None], np.array(self._scale.white)[:, None]

    @property
    def scale_rule(self) -> str:
        """Reason for `full_scale`, as text for the user."""
        return self._scale.rule

    def read(
        self,
        window: Window | None = None,
        bands: Sequence[int] | None = None,
        out_shape: tuple[int, int] | None = None,
    ) -> tuple[Floats, Mask]:
        """Read pixels.

        Args:
            window: (row0, row1, col0, col1) of the upright image; all of it by default.
            bands: 0-based indices; all bands by default.
            out_shape: (h, w) of the result: each pixel is the mean of the valid area that it covers. The
                file is read in strips. By default the size of the window.

        Returns:
            Values (bands, h, w), float32, clipped to [0, 1], and a mask (h, w), False for pixels that are
            invalid in one of ``bands`` (alpha 0, nodata, NaN, infinite, padding); their values are 0.

        Raises:
            NircolorError: the file is damaged.
            ValueError: the window, bands or shape are not possible.

        Example:
            >>> import tempfile
            >>> from pathlib import Path
            >>> from nircolor.imagery import encode_png, open_raster
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     path = Path(folder, "nir.png")
            ...     _ = path.write_bytes(encode_png(np.ones((1, 6, 8), np.float32)).data)
            ...     with open_raster(path) as raster:
            ...         whole, valid = raster.read()
            ...         corner, _ = raster.read((0, 2, 0, 3))
            ...         view, _ = raster.read(out_shape=(3, 4))
            >>> whole.shape, valid.shape, corner.shape, view.shape
            ((1, 6, 8), (6, 8), (1, 2, 3), (1, 3, 4))
        """
        row0, row1, col0, col1 = window = window or (0, self.height, 0, self.width)
        bands = range(self.bands) if bands is None else bands
        if not (0 <= row0 < row1 <= self.height and 0 <= col0 < col1 <= self.width):
            raise ValueError(f"window {window} is not inside {self.height} rows by {self.width} columns")
        if not all(0 <= band < self.bands for band in bands):
            raise ValueError(f"bands {list(bands)} are not all among the {self.bands} of the image")
        if out_shape is not None and min(out_shape) < 1:
            raise ValueError(f"expected a shape of at least 1 x 1, got {out_shape}")
        shape = None if out_shape == (row1 - row0, col1 - col0) else out_shape
        return self._load(window, bands, shape)

    @abstractmethod
    def _load(
        self, window: Window, bands: Sequence[int], out_shape: tuple[int, int] | None
    ) -> tuple[Floats, Mask]:
        """Read what `read` returns; a shape is given where it is not that of the window."""

    @abstractmethod
    def close(self) -> None:
        """Close the file; a second call does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class FileRaster(Raster):
    """An open image in one file.

    Args:
        file: the file.
        stored: its dataset.
        grid: its size, type and georeference.
        values: its scale.
        bands: meaning of each data band.
        orientation: EXIF orientation to apply.
    """

    def __init__(
        self,
        file: ImageFile,
        stored: StoredImage,
        grid: Grid,
        values: Values,
        bands: Sequence[BandInfo],
        orientation: int,
    ) -> None:
        super().__init__(
            file.path,
            file.driver,
            grid,
            values,
            bands,
            orientation=orientation,
            is_colour_photograph=stored.layout.is_colour,
            may_have_invalid=stored.padding is not None,
        )
        self._stored = stored

    def _load(
        self, window: Window, bands: Sequence[int], out_shape: tuple[int, int] | None
    ) -> tuple[Floats, Mask]:
        place = orientation.stored_window(window, self.orientation, self.height, self.width)
        with gdal_for(self.path, DAMAGED):
            if out_shape is None:
                values, valid = read_scaled(self._stored, self._scale, place, bands)
            else:
                shape = out_shape[::-1] if orientation.swaps_axes(self.orientation) else out_shape
                values, valid = read_reduced(self._stored, self._scale, place, bands, shape)
        return (
            np.ascontiguousarray(orientation.upright(values, self.orientation)),
            np.ascontiguousarray(orientation.upright(valid, self.orientation)),
        )

    def close(self) -> None:
        self._stored.close()


def read_scaled(
    stored: StoredImage, scale: scaling.Scale | Calibration | None, place: Window, bands: Sequence[int]
) -> tuple[Floats, Mask]:
    """Read a stored window, scaled to [0, 1], or in the values of the file where `scale` is None."""
    if isinstance(scale, Calibration):
        # dead pixels of the sensor take the values of other columns
        row0, row1, col0, col1 = place
        native, valid = stored.load((row0, row1, 0, stored.width), bands)
        values = scale.apply(native, bands)[:, :, col0:col1]
        valid = scale.mend_valid(valid, bands)[:, col0:col1]
    else:
        native, valid = stored.load(place, bands)
        if scale is None:
            with np.errstate(over="ignore"):
                values = native.astype(np.float32)
            # sums of larger values would overflow
            np.clip(values, -_LARGEST, _LARGEST, out=values)
        else:
            values = scale.apply(native, bands)
    if not valid.all():
        values[:, ~valid] = 0
    return values, valid


def read_reduced(
    stored: StoredImage,
    scale: scaling.Scale | Calibration | None,
    place: Window,
    bands: Sequence[int],
    out_shape: tuple[int, int],
) -> tuple[Floats, Mask]:
    """Read a stored window as `read_scaled` does, averaged to `out_shape`, strip by strip."""
    row0, row1, col0, col1 = place
    mean = AreaMean(len(bands), (row1 - row0, col1 - col0), out_shape)
    rows = max(1, _STRIP_VALUES // ((col1 - col0) * len(bands)))
    for row in range(row0, row1, rows):
        values, valid = read_scaled(stored, scale, (row, min(row + rows, row1), col0, col1), bands)
        mean.add(row - row0, values, valid)
    means, valid = mean.result()
    # sums of float32 may end just outside of the range
    return (means if scale is None else np.clip(means, 0, 1, out=means)), valid
