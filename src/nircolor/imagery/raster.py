"""Open image files and read windows of them as float32 in [0, 1], upright, with a mask of valid pixels."""

import os
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import isqrt
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from rasterio.crs import CRS
from rasterio.transform import Affine

from nircolor.arrays import Array, Floats, Mask
from nircolor.errors import ColourPhotographError, NircolorError, NircolorWarning
from nircolor.imagery import band_info, envi, envi_files, layout, orientation, products, scaling, wavelengths
from nircolor.imagery.calibration import (
    Calibration,
    find_references,
    load_calibration,
    reference_names,
)
from nircolor.imagery.cube import Cube
from nircolor.imagery.encoding import Values
from nircolor.imagery.formats import ImageFile, locate
from nircolor.imagery.gdal import gdal_for, open_dataset, tags_of
from nircolor.imagery.grid import Georeference, Grid
from nircolor.imagery.invalid import Nodata, check_nodata
from nircolor.imagery.metadata import kept_tags, read_metadata
from nircolor.imagery.orientation import Window
from nircolor.imagery.padding import find_padding
from nircolor.imagery.pages import PagedDataset, Pages, find_pages
from nircolor.imagery.reduction import AreaMean
from nircolor.imagery.samples import SAMPLE_DRIVERS, describe
from nircolor.imagery.scaling import Encoding
from nircolor.imagery.side_files import DatasetWithSideFiles
from nircolor.imagery.signatures import is_animated_png
from nircolor.imagery.stored import StoredImage, check_size
from nircolor.imagery.undeclared import find_undeclared
from nircolor.imagery.wavelengths import GivenBands

# values converted at a time for a reduced view: 16 MB as float32
_STRIP_VALUES = 4 << 20
# side of the reduced view from which percentiles are taken, and its number of values: cubes have many bands
_STRETCH_PX, _STRETCH_VALUES = 1024, 8 << 20
_DAMAGED = "the image is damaged or cut off"
# values of floating point beyond this count as this in percentiles
_LARGEST = 1e30


def open_raster(
    path: str | os.PathLike[str],
    *,
    bands_nm: GivenBands | None = None,
    scale: float | None = None,
    offset: float | None = None,
    reflectance: bool | None = None,
    stretch: tuple[float, float] | None = None,
    nodata: Nodata | None = None,
    max_pixels: int | None = None,
    encoding: Encoding | None = None,
    refuse_colour: bool = False,
) -> "Raster":
    """Open a PNG, JPEG, TIFF, GeoTIFF, JPEG 2000, WebP, BMP, PGM, PPM, ENVI or NumPy image.

    A raw ENVI capture with dark and white references beside it (`imagery.calibration`) is read as
    reflectance, unless ``scale``, ``offset`` or ``stretch`` is given.

    Where a file marks no invalid pixels, black padding beyond straight edges is taken as invalid
    (`imagery.padding`), as well as values such as -9999 (`imagery.undeclared`), with a warning.

    Only the header is read, with exceptions that need pixels: three RGB channels without wavelengths are
    compared, since they may hold one gray image; values whose scale is not stated by the user, other than
    8-bit ones, are sampled, to warn where they do not suit it, and signed ones for undeclared nodata; where a
    corner is black, the image is searched for padding. PNG and JPEG images that were decoded for this stay
    in memory up to 96 MiB.

    Args:
        path: the image; for ENVI its header or its data file.
        bands_nm: wavelength of each band in nm, in the order of the file; or a mapping from wavelength to
            the number of the band that has it, from 1, which leaves the other bands unknown; or
            ``{"nir": number}`` to read that band alone, as a near-infrared one of unknown wavelength.
        scale: file value that maps to 1.0, instead of the fixed rule (`Raster.scale_rule`). For integers a
            number below 1 is the factor: 0.0001 is the same as 10000.
        offset: number from -1 to 1 to add after scaling: ``value / scale + offset``.
        reflectance: whether the scaled values are linear reflectance, where the metadata does not say so or
            is wrong; see `imagery.encoding`.
        stretch: (low, high) percentiles of the whole image that map to 0 and 1, instead of the rule.
        nodata: value of invalid pixels, in the units of the file, instead of the one that the file declares;
            "none" if no value is invalid; "declared" to look for nothing that is not declared. Alpha channels
            and masks apply in any case.
        max_pixels: largest height times width that is opened. By default there is no limit, but a file that
            claims far more pixels than its length can hold is refused (`stored.check_size`).
        encoding: what the model for which the image is read expects, "gamma" or "reflectance"; chooses the
            warnings about its values.
        refuse_colour: raise an error for a colour photograph, instead of a warning.

    Returns:
        The open image, to be used in a ``with`` block.

    Raises:
        ColourPhotographError: with ``refuse_colour``, the image is a colour photograph.
        NircolorError: the file is not a complete local image, its pages are of one size and nothing names
            them as bands, or the options do not fit it.

    Warns:
        NircolorWarning: the image is a colour photograph, has smaller pages of another shape, or its values
            do not suit the rule.

    Example:
        >>> import tempfile, rasterio
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     profile = {"driver": "GTiff", "width": 4, "height": 3, "count": 1, "dtype": "uint8"}
        ...     with rasterio.open(f"{folder}/nir.tif", "w", crs="EPSG:32633", **profile) as file:
        ...         file.write(np.full((1, 3, 4), 51, np.uint8))
        ...     with open_raster(f"{folder}/nir.tif", bands_nm=[850]) as raster:
        ...         print(raster.bands, raster.height, raster.width, raster.wavelengths_nm)
        ...         nir, valid = raster.read((0, 2, 0, 4))
        1 3 4 (850.0,)
        >>> nir.shape, round(float(nir[0, 0, 0]), 3), bool(valid.all())
        ((1, 2, 4), 0.2, True)
    """
    file = locate(path)
    header = {} if file.header is None else envi_files.read_header(file.path, file.header, file.data)
    if stretch is not None and any(option is not None for option in (scale, offset, reflectance)):
        raise NircolorError(f"{file.path}: expected either --stretch or --scale, --offset and --reflectance")
    raw = scale is None and offset is None and stretch is None
    references = find_references(file.header) if file.header and raw and reflectance is not False else None
    pages = find_pages(file.path, file.data) if file.driver == "GTiff" else None
    with _opened(file, pages, max_pixels) as dataset:
        if pages is not None and not pages.is_plain:
            known = dataset.known_bands(bands_nm)
        else:
            known = band_info.of_dataset(dataset, header, file.path.name)
        if "bbl" in header:
            known = envi.without_bad_bands(file.path, known, header["bbl"])
        roles = layout.of_dataset(file.path, dataset, known, bands_nm)
        georeference = Georeference.of_dataset(dataset)
        turn = _orientation_of(file, dataset, georeference, pages)
        dtype = np.dtype(dataset.dtypes[0])
        given = None if nodata == "declared" else nodata
        invalid_value = dataset.nodata if given is None else check_nodata(file.path, given, dtype)
        stored = StoredImage(dataset, roles, nodata=given, across_rows=orientation.swaps_axes(turn))
        if roles.is_colour and roles.palette is None and stored.is_gray():
            stored.reduce_to_gray()
        roles = stored.layout
        if refuse_colour and roles.is_colour and bands_nm is None:
            raise ColourPhotographError(f"{file.path}: is a colour photograph (its channels differ)")
        undeclared = None
        if references is None and nodata is None:
            stored.padding = find_padding(stored, dataset)
            if stored.padding is None:
                undeclared = find_undeclared(stored, is_map=bool(georeference))
        if undeclared is not None and undeclared.is_certain:
            invalid_value = float(undeclared.value)
            stored = StoredImage(
                dataset, roles, nodata=invalid_value, across_rows=orientation.swaps_axes(turn)
            )
        # a map says where it has no data; in a photograph black stays black
        is_padded_map = stored.padding is not None and bool(georeference)
        height, width = _upright_size(dataset, turn)
        grid = Grid(
            width,
            height,
            dtype,
            georeference,
            nodata=0 if is_padded_map else invalid_value,
            has_alpha=roles.alpha is not None,
            has_mask=stored.has_mask,
            may_have_invalid=stored.may_have_invalid or is_padded_map,
            metadata=dataset.metadata,
            tags=kept_tags(tags_of(dataset), header),
            turned=turn != 1,
        )
        # the stored band of each data band: a palette makes three of one
        data = roles.stored * (roles.bands // len(roles.stored))
        meanings = tuple(known[i - 1] for i in data)
        if bands_nm is not None:
            meanings = wavelengths.given(file.path, bands_nm, data, meanings)
        bands, names = tuple(info.nm for info in meanings), tuple(info.name for info in meanings)
        if references is not None:
            rule: scaling.Scale | Calibration = load_calibration(Cube(file.path), references)
        elif stretch is not None:
            rule = _stretched(file.path, stored, dataset, data, stretch)
        else:
            options = {"scale": scale, "offset": offset, "reflectance": reflectance}
            rule = _choose_scale(file.path, stored, dataset, data, names, header, options)
        values = Values(
            file.path,
            grid.dtype,
            rule,
            product=products.recognize(file.path, names, tags_of(dataset)),
            is_spectral=any(known[i - 1].nm for i in data),
            references=None if file.header is None else reference_names(file.header),
            **_sampled(stored, rule, dtype),
        )
        for doubt in (
            *dataset.problems,
            None if pages is None else pages.doubt,
            "is animated; its first image is read"
            if file.driver == "PNG" and is_animated_png(file.data)
            else None,
            None if stored.padding is None else stored.padding.doubt(),
            None if undeclared is None else undeclared.doubt(),
            layout.doubt(file.path, roles) if bands_nm is None else None,
            values.doubt(encoding),
        ):
            if doubt:
                problem = doubt.removeprefix(f"{file.path}: ")
                warnings.warn(NircolorWarning(problem, path=file.path), stacklevel=2)
    sources = tuple(None if info.nm is None else info.source or "pages" for info in meanings)
    return Raster(file, stored, grid, turn, values, bands, names, sources)


def image_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Return height and width of an image in pixels, upright, from its header alone.

    Args:
        path: the image; for ENVI its header or its data file.

    Raises:
        NircolorError: the file is not a local image.

    Example:
        >>> import tempfile
        >>> from nircolor.imagery import encode_png
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "nir.png")
        ...     _ = path.write_bytes(encode_png(np.zeros((1, 3, 4), np.float32)).data)
        ...     image_size(path)
        (3, 4)
    """
    file = locate(path)
    if file.header is not None:
        envi_files.read_header(file.path, file.header, file.data)
    pages = find_pages(file.path, file.data) if file.driver == "GTiff" else None
    with _opened(file, pages) as dataset:
        turn = _orientation_of(file, dataset, Georeference.of_dataset(dataset), pages)
        size = _upright_size(dataset, turn)
        dataset.close()
    return size


class Raster:
    """An open image, made by `open_raster`. Several threads may read it; attributes remain after `close`.

    Attributes:
        path: as given.
        driver: format, as `formats.ImageFile.driver`.
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
        georeference: location on Earth; `crs` and `transform` are parts of it.
    """

    def __init__(
        self,
        file: ImageFile,
        stored: StoredImage,
        grid: Grid,
        orientation: int,
        values: Values,
        wavelengths_nm: tuple[float | None, ...],
        names: tuple[str | None, ...],
        wavelength_sources: tuple[str | None, ...],
    ) -> None:
        self.path, self.driver = file.path, file.driver
        self.grid = grid
        self.height, self.width = grid.height, grid.width
        self.dtype, self.depth = grid.dtype, grid.depth
        self.nodata, self.georeference = grid.nodata, grid.georeference
        self.has_alpha, self.has_mask = grid.has_alpha, grid.has_mask
        self.may_have_invalid = grid.may_have_invalid or stored.padding is not None
        self.bands = stored.layout.bands
        self.is_colour_photograph = stored.layout.is_colour
        self.wavelengths_nm, self.names = wavelengths_nm, names
        self.wavelength_sources = wavelength_sources
        self.values, self.orientation = values, orientation
        self._stored, self._scale = stored, values.scale

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
            >>> from nircolor.imagery import encode_png
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
        place = orientation.stored_window(window, self.orientation, self.height, self.width)
        with gdal_for(self.path, _DAMAGED):
            if out_shape is None or out_shape == (row1 - row0, col1 - col0):
                values, valid = _read_scaled(self._stored, self._scale, place, bands)
            else:
                shape = out_shape[::-1] if orientation.swaps_axes(self.orientation) else out_shape
                values, valid = _read_reduced(self._stored, self._scale, place, bands, shape)
        return (
            np.ascontiguousarray(orientation.upright(values, self.orientation)),
            np.ascontiguousarray(orientation.upright(valid, self.orientation)),
        )

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._stored.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@contextmanager
def _opened(file: ImageFile, pages: Pages | None, max_pixels: int | None = None) -> Iterator[Any]:
    """Open and check a dataset; it is closed again where the block fails."""
    dataset: Any
    with gdal_for(file.path, f"cannot be opened as {file.driver}"):
        samples = describe(file.path, file.data, file.driver) if file.driver in SAMPLE_DRIVERS else None
        if pages is not None and not pages.is_plain:
            dataset = PagedDataset(file.path, file.data, pages)
        elif samples is None:
            dataset = open_dataset(file.data, driver=file.driver)
        else:
            dataset = samples.open(file.data)
    try:
        with gdal_for(file.path, _DAMAGED):
            check_size(file.path, dataset, file.data.stat().st_size, max_pixels)
            dataset = DatasetWithSideFiles(dataset, file.data, read_metadata(file.data, file.driver))
            if np.dtype(dataset.dtypes[0]).kind not in "uif":
                raise NircolorError(f"{file.path}: expected bands of real numbers, got {dataset.dtypes[0]}")
            yield dataset
    except BaseException:
        dataset.close()
        raise


def _orientation_of(file: ImageFile, dataset: Any, georeference: Georeference, pages: Pages | None) -> int:
    if georeference:
        return 1
    if pages is not None:
        return orientation.parse(pages.orientation)
    if file.driver == "GTiff":
        return orientation.of_tiff(file.data)
    if file.driver == "NumPy":
        return orientation.parse(tags_of(dataset, 0, "IMAGE_STRUCTURE").get("ORIENTATION"))
    return 1 if dataset.metadata.exif is None else int(dataset.metadata.exif.orientation)


def _upright_size(dataset: Any, turn: int) -> tuple[int, int]:
    """Return height and width after rotation."""
    size = (int(dataset.height), int(dataset.width))
    return size[::-1] if orientation.swaps_axes(turn) else size


def _stretched(
    path: Path, stored: StoredImage, dataset: Any, data: Sequence[int], stretch: tuple[float, float]
) -> scaling.Scale:
    """Return the scale of percentiles of the image; `data` are stored bands, 1-based."""
    low, high = stretch
    side = min(_STRETCH_PX, isqrt(_STRETCH_VALUES // len(data)))
    window = (0, stored.height, 0, stored.width)
    shape = (min(stored.height, side), min(stored.width, side))
    values, valid = _read_reduced(stored, None, window, range(len(data)), shape)
    black, white = scaling.percentile_stretch(path, values[:, valid], low, high)
    rule = f"stretch: percentiles {low:g} and {high:g}, {black:g} maps to 0 and {white:g} to 1"
    chosen = scaling.Scale.same(len(data), white, rule, "stretch", black=black)
    return chosen.inverted() if _is_inverted(dataset, data) else chosen


def _choose_scale(
    path: Path,
    stored: StoredImage,
    dataset: Any,
    data: Sequence[int],
    names: Sequence[str | None],
    header: dict[str, str],
    options: dict[str, Any],
) -> scaling.Scale:
    """Choose the scale by the rule; `data` are stored bands, 1-based, `options` those of the user."""
    dtype = np.dtype(dataset.dtypes[0])
    stated = products.stated_scale(
        path,
        dtype,
        names,
        scales=[dataset.scales[i - 1] for i in data],
        offsets=[dataset.offsets[i - 1] for i in data],
        units=[dataset.units[i - 1] for i in data],
        tags=tags_of(dataset) | header,
        band_tags=[tags_of(dataset, i) for i in data],
    )
    chosen = scaling.choose(
        path,
        dtype,
        len(data),
        largest=_stated_largest(_structure(dataset, data)) if stored.layout.palette is None else None,
        stated=stated,
        **options,
    )
    return chosen.inverted() if _is_inverted(dataset, data) else chosen


def _stated_largest(structure: dict[str, str]) -> int | None:
    nbits, largest = structure.get("NBITS", ""), structure.get("MAXVAL", "")
    if re.fullmatch("[0-9]{1,2}", nbits):
        return 2 ** int(nbits) - 1
    # of a PGM, by `samples`
    return int(largest) if re.fullmatch("[0-9]{1,5}", largest) else None


def _is_inverted(dataset: Any, data: Sequence[int]) -> bool:
    return _structure(dataset, data).get("MINISWHITE") == "YES"


def _structure(dataset: Any, data: Sequence[int]) -> dict[str, str]:
    return tags_of(dataset, 0, "IMAGE_STRUCTURE") | tags_of(dataset, data[0], "IMAGE_STRUCTURE")


def _sampled(
    stored: StoredImage, rule: scaling.Scale | Calibration, dtype: np.dtype[Any]
) -> dict[str, float]:
    """Return the largest value and the scaled median of a sample, where the scale may not suit the values."""
    stated = rule.source not in ("type", "metadata") or (rule.source == "metadata" and dtype.kind != "f")
    if stated or dtype == np.uint8 or isinstance(rule, Calibration):
        return {}
    parts = [part[:, ok] for part, ok in stored.sample() if ok.any()]
    if not parts:
        return {}
    values = np.concatenate([part[0] for part in parts])
    typical = (float(np.median(values)) - rule.black[0]) / (rule.white[0] - rule.black[0])
    return {"largest": max(float(part.max()) for part in parts), "typical": typical}


def _read_scaled(
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


def _read_reduced(
    stored: StoredImage,
    scale: scaling.Scale | Calibration | None,
    place: Window,
    bands: Sequence[int],
    out_shape: tuple[int, int],
) -> tuple[Floats, Mask]:
    """Read a stored window as `_read_scaled` does, averaged to `out_shape`, strip by strip."""
    row0, row1, col0, col1 = place
    mean = AreaMean(len(bands), (row1 - row0, col1 - col0), out_shape)
    rows = max(1, _STRIP_VALUES // ((col1 - col0) * len(bands)))
    for row in range(row0, row1, rows):
        values, valid = _read_scaled(stored, scale, (row, min(row + rows, row1), col0, col1), bands)
        mean.add(row - row0, values, valid)
    means, valid = mean.result()
    # sums of float32 may end just outside of the range
    return (means if scale is None else np.clip(means, 0, 1, out=means)), valid
