"""`open_raster`: any allowed image file as windows of float32 in [0, 1], upright, with what is invalid."""

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from rasterio.crs import CRS
from rasterio.transform import Affine

from nircolor.arrays import Array, Floats, Mask
from nircolor.errors import NircolorError, NircolorWarning
from nircolor.imagery import envi, layout, orientation, scaling, wavelengths
from nircolor.imagery.calibration import Calibration, References, find_references, load_calibration
from nircolor.imagery.cube import Cube
from nircolor.imagery.formats import Source, locate
from nircolor.imagery.gdal import descriptions_of, gdal_for, open_dataset, tags_of
from nircolor.imagery.georeference import Georeference
from nircolor.imagery.orientation import Window
from nircolor.imagery.reduction import AreaMean
from nircolor.imagery.stored import StoredImage, check_size, look_at
from nircolor.imagery.stretch import percentile_stretch

# values converted at a time for a reduced view: 16 MB as float32
_STRIP_VALUES = 4 << 20


def open_raster(
    path: str | os.PathLike[str],
    *,
    bands_nm: Sequence[float] | None = None,
    scale: float | None = None,
    stretch: tuple[float, float] | None = None,
) -> "Raster":
    """Open a PNG, JPEG, TIFF, GeoTIFF or ENVI image (header or data file); use it in `with`.

    - `bands_nm`: the bands' wavelengths in nm in the file's order, one a data band.
    - `scale`: the file value that maps to 1.0, instead of the fixed rule (`Raster.scale_rule`).
    - `stretch`: (low, high) percentiles of the whole image to map to 0 and 1, instead of the rule.

    A raw ENVI capture with dark and white references beside it (`calibration`) reads as reflectance, unless
    `scale` or `stretch` says otherwise.

    Raises `NircolorError` (one line for the user) for anything that is no whole, plain local image,
    and warns (`NircolorWarning`) of colour photographs and of values that do not suit the rule.
    """
    return Raster(locate(path), bands_nm, scale, stretch)


class Raster:
    """An open image. Made by `open_raster`; attributes stay readable after `close`.

    - `path`, as given; `driver`; `width`, `height` in pixels, upright (EXIF orientation applied
      unless georeferenced).
    - `bands`: data bands, without alpha; a gray image stored as three equal channels counts as one.
      `wavelengths_nm`: centre or None a band; `names`: description or None a band.
    - `dtype` of the file; `full_scale`, the file value that maps to 1.0, and `scale_rule`, why;
      `depth`, 8 or 16, the output depth that suits the input.
    - `nodata`; `has_alpha`; `has_mask` (a mask band or transparent colours); `may_have_invalid`.
    - `georeference`, and of it `crs`, `transform`; `is_georeferenced`.
    - `is_colour_photograph`: three RGB channels that differ and name no wavelengths.
    """

    def __init__(
        self,
        source: Source,
        bands_nm: Sequence[float] | None,
        scale: float | None,
        stretch: tuple[float, float] | None,
    ) -> None:
        self.path, self.driver = source.path, source.driver
        self._header: dict[str, str] = {}
        self._references: References | None = None
        if source.header is not None:
            self._header = envi.parse_header(source.header, path=source.path)
            envi.check_length(source.path, source.data, self._header)
            if scale is None and stretch is None:
                self._references = find_references(source.header)
        with gdal_for(self.path, f"cannot be opened as {self.driver}"):
            self._dataset = open_dataset(source.data, driver=self.driver)
        try:
            with gdal_for(self.path, "the image is damaged or cut off"):
                self._describe(source, bands_nm)
                largest = self._settle(bands_nm, scale)
            if stretch is not None:
                self._stretch(*stretch)
            doubts = [
                _pages_doubt(self.path, len(self._dataset.subdatasets)),
                layout.doubt(self.path, self._layout) if bands_nm is None else None,
                scaling.doubt(self.path, self.dtype, largest, self._scale, spectral=any(self.wavelengths_nm)),
            ]
            for doubt in filter(None, doubts):
                warnings.warn(doubt, NircolorWarning, stacklevel=3)
        except BaseException:
            self.close()
            raise

    def _describe(self, source: Source, bands_nm: Sequence[float] | None) -> None:
        """Everything the metadata says."""
        dataset = self._dataset
        check_size(self.path, dataset, source.data.stat().st_size)
        self.dtype = np.dtype(dataset.dtypes[0])
        if self.dtype.kind not in "uif":
            raise NircolorError(f"{self.path}: expected bands of real numbers, got {dataset.dtypes[0]}")
        self.nodata: float | None = dataset.nodata
        self.georeference = Georeference.of_dataset(dataset)
        self._orientation = 1
        if not self.georeference:
            self._orientation = (
                orientation.of_tiff(source.data)
                if self.driver == "GTiff"
                else orientation.parse(tags_of(dataset).get("EXIF_Orientation"))
            )
        self._stored_nm = wavelengths.of_dataset(dataset, self._header)
        if "bbl" in self._header:
            self._stored_nm = envi.without_bad_bands(self.path, self._stored_nm, self._header["bbl"])
        given = None if bands_nm is None else len(bands_nm)
        self._layout = layout.of_dataset(self.path, dataset, self._stored_nm, given)
        self.has_alpha = self._layout.alpha is not None
        self._stored = StoredImage(dataset, self._layout)
        self.has_mask = self._stored.has_mask
        self.may_have_invalid = self._stored.may_have_invalid
        self.height, self.width = dataset.height, dataset.width
        if orientation.swaps_axes(self._orientation):
            self.height, self.width = self.width, self.height
        self.depth = 8 if self.dtype.itemsize == 1 else 16

    def _settle(self, bands_nm: Sequence[float] | None, scale: float | None) -> float:
        """What only a look at the values can tell: gray in three channels. Returns the largest value seen."""
        dataset = self._dataset
        look = self._layout.is_colour or self.dtype != np.uint8
        seen = look_at(self._stored.sample() if look else ())
        self._layout = layout.settle_gray(self._layout, seen.spread)
        self._stored.layout = self._layout
        self.bands = self._layout.bands
        self.is_colour_photograph = self._layout.is_colour
        kept = self._layout.stored * (self.bands // len(self._layout.stored))
        self.wavelengths_nm: tuple[float | None, ...] = tuple(self._stored_nm[i - 1] for i in kept)
        if bands_nm is not None:
            self.wavelengths_nm = wavelengths.given(self.path, bands_nm, self.bands)
        names = descriptions_of(dataset)
        self.names: tuple[str | None, ...] = tuple(names[i - 1] for i in kept)
        structure = tags_of(dataset, 0, "IMAGE_STRUCTURE") | tags_of(dataset, kept[0], "IMAGE_STRUCTURE")
        if self._references is not None:
            self._scale: scaling.Scale | Calibration = load_calibration(Cube(self.path), self._references)
            return seen.largest
        nbits = structure.get("NBITS", "")
        self._scale = scaling.choose(
            self.path,
            self.dtype,
            scale=scale,
            nbits=int(nbits) if nbits.isdigit() and self._layout.palette is None else None,
            scales=[dataset.scales[i - 1] for i in kept],
            offsets=[dataset.offsets[i - 1] for i in kept],
            tags=tags_of(dataset) | self._header,
        )
        if structure.get("MINISWHITE") == "YES":
            self._scale = self._scale.inverted()
        return seen.largest

    def _stretch(self, low: float, high: float) -> None:
        black, white = percentile_stretch(self, low, high)
        rule = f"stretch: percentiles {low:g} and {high:g}, {black:g} maps to 0 and {white:g} to 1"
        self._scale = scaling.Scale.same(self.bands, white, rule, black=black)

    @property
    def crs(self) -> CRS | None:
        """The coordinate reference system, if any."""
        return self.georeference.crs

    @property
    def transform(self) -> Affine:
        """Pixel to map coordinates; the identity where there are none."""
        return self.georeference.transform

    @property
    def is_georeferenced(self) -> bool:
        """Whether the file says where on Earth its pixels lie."""
        return bool(self.georeference)

    @property
    def full_scale(self) -> float:
        """The file value that maps to 1.0 (of the first band, where they differ)."""
        return float(np.mean(self._scale.white[0]))

    @property
    def is_reflectance(self) -> bool:
        """Whether values are linear reflectances by the file's own words or references."""
        return self._scale.is_reflectance

    @property
    def calibration(self) -> Calibration | None:
        """Dark and white references, where values are made reflectances by them."""
        return self._scale if isinstance(self._scale, Calibration) else None

    @property
    def black_white(self) -> tuple[Array, Array]:
        """The file values that map to 0 and to 1, each (bands, 1), or (bands, width) by references."""
        if isinstance(self._scale, Calibration):
            return self._scale.dark, self._scale.white
        return np.array(self._scale.black)[:, None], np.array(self._scale.white)[:, None]

    @property
    def scale_rule(self) -> str:
        """Why `full_scale` is what it is, in words."""
        return self._scale.rule

    def read(
        self,
        window: Window | None = None,
        bands: Sequence[int] | None = None,
        out_shape: tuple[int, int] | None = None,
    ) -> tuple[Floats, Mask]:
        """Read pixels: float32 (bands, h, w) in [0, 1], and valid (h, w) bool.

        `window` is (row0, row1, col0, col1) of the upright image, all of it by default; `bands` are
        0-based. With `out_shape` (h, w) each pixel is the mean of the valid area it covers, read strip
        by strip. Invalid pixels (alpha 0, nodata, NaN, infinite, in any of `bands`) are 0; other values
        are clipped. Raises `NircolorError` where the file turns out damaged, `ValueError` for a window,
        bands or shape outside the image.
        """
        return self._read(window, bands, out_shape, scaled=True)

    def read_native(self, out_shape: tuple[int, int]) -> tuple[Floats, Mask]:
        """A reduced view (bands, h, w) of the whole image in the file's own values, unscaled."""
        return self._read(None, None, out_shape, scaled=False)

    def _read(
        self,
        window: Window | None,
        bands: Sequence[int] | None,
        out_shape: tuple[int, int] | None,
        scaled: bool,
    ) -> tuple[Floats, Mask]:
        row0, row1, col0, col1 = window = window or (0, self.height, 0, self.width)
        bands = range(self.bands) if bands is None else bands
        if not (0 <= row0 < row1 <= self.height and 0 <= col0 < col1 <= self.width):
            raise ValueError(f"window {window} is not inside {self.height} rows by {self.width} columns")
        if not all(0 <= band < self.bands for band in bands):
            raise ValueError(f"bands {list(bands)} are not all among the {self.bands} of the image")
        if out_shape is not None and min(out_shape) < 1:
            raise ValueError(f"expected a shape of at least 1 x 1, got {out_shape}")
        place = orientation.stored_window(window, self._orientation, self.height, self.width)
        with gdal_for(self.path, "the image is damaged or cut off"):
            if out_shape is None or out_shape == (row1 - row0, col1 - col0):
                if self._orientation > 2 and window != (0, self.height, 0, self.width):
                    self._stored.keep_whole()
                values, valid = self._convert(place, bands, scaled)
            else:
                swap = orientation.swaps_axes(self._orientation)
                values, valid = self._reduce(place, bands, out_shape[::-1] if swap else out_shape, scaled)
        return (
            np.ascontiguousarray(orientation.upright(values, self._orientation)),
            np.ascontiguousarray(orientation.upright(valid, self._orientation)),
        )

    def _convert(self, place: Window, bands: Sequence[int], scaled: bool) -> tuple[Floats, Mask]:
        if scaled and isinstance(self._scale, Calibration):
            row0, row1, col0, col1 = place
            native, valid = self._stored.load((row0, row1, 0, self.width), bands)
            values = self._scale.apply(native, bands)[:, :, col0:col1]
            valid = self._scale.mend_valid(valid, bands)[:, col0:col1]
        else:
            native, valid = self._stored.load(place, bands)
            values = self._scale.apply(native, bands) if scaled else native.astype(np.float32)
        if not valid.all():
            values[:, ~valid] = 0
        return values, valid

    def _reduce(
        self, place: Window, bands: Sequence[int], out_shape: tuple[int, int], scaled: bool
    ) -> tuple[Floats, Mask]:
        row0, row1, col0, col1 = place
        mean = AreaMean(len(bands), (row1 - row0, col1 - col0), out_shape)
        rows = max(1, _STRIP_VALUES // ((col1 - col0) * len(bands)))
        for row in range(row0, row1, rows):
            values, valid = self._convert((row, min(row + rows, row1), col0, col1), bands, scaled)
            mean.add(row - row0, values, valid)
        return mean.result()

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._dataset.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _pages_doubt(path: Path, pages: int) -> str | None:
    return f"{path}: holds {pages} pages, of which only the first is read" if pages > 1 else None
