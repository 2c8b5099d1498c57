"""Write images with the size, georeference and bit depth of their input, atomically."""

import contextlib
import logging.handlers
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import rasterio.shutil
from rasterio.windows import Window as RasterioWindow

from nircolor import staging
from nircolor.arrays import Array, Floats, Mask
from nircolor.errors import NircolorError, NircolorWarning
from nircolor.imagery.files.locate import output_driver
from nircolor.imagery.gdal import open_dataset
from nircolor.imagery.grid import Grid
from nircolor.imagery.metadata.carried import Metadata
from nircolor.imagery.orientation import Window
from nircolor.imagery.output.metadata_writer import ESTIMATED, embed, software
from nircolor.imagery.output.placing import Finished, check_free, put, writing_to
from nircolor.imagery.raster import Raster

_JPEG_MAX_SIDE = 65_500
# GeoTIFFs with a longer side get overviews; smaller ones fit on a screen and are read at once
_LARGEST_WITHOUT_OVERVIEWS_PX = 1024
# values that are converted to integers at a time: they fit into the caches of a CPU
_VALUES_AT_A_TIME = 1 << 20
# GDAL's Cloud Optimized GeoTIFF: tiled, with overviews stored before the pixels, so that a viewer needs one
# short read to show the whole image. Overviews added to a finished file would lie at its end.
_COG_OPTIONS: dict[str, Any] = {
    "blocksize": 512,
    "compress": "DEFLATE",
    "predictor": "YES",
    # half of the time of the default of 6; files of 8 bits are 4% larger, those of 16 bits no larger
    "level": 3,
    # means of valid pixels: GDAL leaves out nodata and transparent pixels
    "overview_resampling": "AVERAGE",
    "bigtiff": "IF_SAFER",
    "num_threads": "ALL_CPUS",
}
# properties of the image that rasterio takes beside creation options
_RESERVED_OPTIONS = {"driver", "width", "height", "count", "dtype", "crs", "transform", "nodata"}
_COPY_OPTIONS: dict[str, dict[str, Any]] = {
    # a third of the time of zlib's default of 6, for files that are 4% larger
    "PNG": {"zlevel": 3},
    "JPEG": {"quality": 95},
    "COG": _COG_OPTIONS,
}


def create_like(
    raster: Raster,
    path: str | os.PathLike[str],
    *,
    depth: int | None = None,
    quality: int | None = None,
    overwrite: bool = False,
    gray_band: str | None = None,
    model: str | None = None,
    cog: bool | None = None,
    creation_options: Mapping[str, str] | None = None,
) -> "ColourWriter":
    """Create a colour image with the size, georeference and bit depth of an open image.

    Large georeferenced TIFFs are written as Cloud Optimized GeoTIFF.

    Args:
        raster: the input.
        path: the output; its extension selects PNG, JPEG or TIFF.
        depth: 8 or 16 bits per channel, by default those of the input. JPEG has always 8.
        quality: of a JPEG, 1 to 100, by default 95; other formats are lossless.
        overwrite: replace an existing file.
        gray_band: description of the only band of a gray image, which is written instead of a colour image.
        model: name of the model that estimates the colours; all formats state it in their metadata.
        cog: write a TIFF as Cloud Optimized GeoTIFF, or not. By default if it is georeferenced and has a
            side of more than 1024 pixels.
        creation_options: creation options of GDAL's driver ("PNG", "JPEG", "GTiff" or "COG"), which replace
            the usual ones.

    Returns:
        A writer, to be used in a ``with`` block or with `together`.

    Raises:
        NircolorError: the extension or depth is not possible, or ``path`` is the input itself, under any
            name, or exists and ``overwrite`` is not set, or ``cog`` is set for another format.

    Example:
        >>> import tempfile
        >>> from nircolor.imagery import encode_png, open_raster
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     nir = Path(folder, "nir.png")
        ...     _ = nir.write_bytes(encode_png(np.ones((1, 3, 4), np.float32)).data)
        ...     with open_raster(nir) as raster, create_like(raster, f"{folder}/colour.tif") as writer:
        ...         writer.write(np.zeros((3, 3, 4), np.float32))
        ...     sorted(file.name for file in Path(folder).iterdir())
        ['colour.tif', 'nir.png']
    """
    path = Path(path)
    driver = output_driver(path)
    if depth not in (None, 8, 16):
        raise NircolorError(f"{path}: expected a depth of 8 or 16 bits, got {depth}")
    if driver == "JPEG":
        if depth == 16:
            raise NircolorError(
                f"{path}: JPEG holds 8 bits per channel, got a depth of 16; write PNG or TIFF"
            )
        if max(raster.grid.width, raster.grid.height) > _JPEG_MAX_SIDE:
            raise NircolorError(
                f"{path}: JPEG holds at most {_JPEG_MAX_SIDE} pixels a side, the image is "
                f"{raster.width} x {raster.height}; write PNG or TIFF"
            )
        depth = 8
    if quality is not None and not 1 <= quality <= 100:
        raise NircolorError(f"{path}: expected a quality from 1 to 100, got {quality}")
    if cog and driver != "GTiff":
        raise NircolorError(f"{path}: --cog needs an output that ends in .tif; add --format tif")
    options = {name.lower(): value for name, value in (creation_options or {}).items()}
    if reserved := sorted(_RESERVED_OPTIONS & options.keys()):
        raise NircolorError(f"{path}: expected a creation option of {driver}, got {reserved[0]}")
    for file in raster.files:
        check_free(path, file, overwrite)
    depth = depth or raster.depth
    return ColourWriter(
        raster.grid, raster.path, path, driver, depth, overwrite, quality, gray_band, model, cog, options
    )


def warn_of_losses(raster: Raster, driver: str) -> None:
    """Warn where metadata of an image is damaged, or its georeference does not fit into the output.

    Args:
        raster: the input.
        driver: of the output, as `ColourWriter.driver`.
    """
    problems = list(raster.grid.metadata.problems)
    if driver != "GTiff" and raster.georeference:
        problems.append(f"its georeference does not fit into {driver}; write TIFF to keep it (--format tif)")
    for problem in problems:
        warnings.warn(NircolorWarning(problem, path=raster.path), stacklevel=2)


@contextmanager
def together(*writers: "ColourWriter") -> Iterator[None]:
    """Context of writers whose files appear together when it ends without an error, or not at all."""
    try:
        for writer in writers:
            writer._open()
        yield
        put([writer._finish() for writer in writers])
        problems = {problem: writer for writer in reversed(writers) for problem in writer._problems}
        for problem, writer in problems.items():
            warnings.warn(NircolorWarning(problem, path=writer._source), stacklevel=4)
    finally:
        for writer in writers:
            writer._discard()


class ColourWriter:
    """Writer of a colour image, or of a gray one, made by `create_like`. Not for several threads.

    The file appears, complete, when the ``with`` block ends without an error. Until then all data is in a
    hidden folder beside it, which is removed on any exception, `KeyboardInterrupt` included. GeoTIFFs keep
    CRS, transform, ground control points and RPCs; all formats keep EXIF, colour images also XMP and a
    profile of sRGB.

    Invalid pixels become transparent in PNG, and where the input has an alpha channel or a mask; black in
    JPEG; in other TIFFs the nodata value of the input if the output can hold it, else 0. Valid pixels that
    would get the nodata value are changed by one step.

    Attributes:
        path: the output.
        driver: "PNG", "JPEG" or "GTiff".
        depth: 8 or 16 bits per channel.
    """

    def __init__(
        self,
        grid: Grid,
        source: Path,
        path: Path,
        driver: str,
        depth: int,
        overwrite: bool,
        quality: int | None = None,
        gray_band: str | None = None,
        model: str | None = None,
        cog: bool | None = None,
        creation_options: Mapping[str, str] | None = None,
    ) -> None:
        self.path, self.driver, self.depth = path, driver, depth
        self._bands, self._gray_band = 3 if gray_band is None else 1, gray_band
        if gray_band is not None:
            metadata, tags = Metadata(exif=grid.metadata.exif), {"Description": gray_band}
            grid = replace(grid, metadata=metadata, tags=tags)
        self._grid, self._source, self._overwrite = grid, source, overwrite
        # GDAL writes PNG, JPEG and COG in one pass, as a copy of a staged TIFF; plain TIFFs are not copied
        wants_cog = _wants_overviews(grid) if cog is None else cog
        self._copied_as = driver if driver != "GTiff" else "COG" if wants_cog else None
        self._must_stay_cog = bool(cog)
        self._model, self._software = model, software(model)
        self._options = dict(creation_options or {})
        self._dtype: np.dtype[Any] = np.dtype(np.uint8 if depth == 8 else np.uint16)
        self._top = 2**depth - 1
        self._bytes = grid.height * grid.width * (self._bands + 1) * self._dtype.itemsize
        keeps_alpha = grid.has_alpha or grid.has_mask
        self._alpha = driver != "JPEG" and (keeps_alpha or (driver == "PNG" and grid.may_have_invalid))
        self._alpha_needed = keeps_alpha
        self._nodata: int | None = None
        if driver == "GTiff" and not self._alpha and grid.may_have_invalid:
            self._nodata = nodata_for(grid.nodata, self._top)
        self._any_invalid = False
        self._problems: list[str] = []
        self._pixels = 0
        self._folder: Path | None = None
        self._quality = quality

    def check_folder(self) -> None:
        """Raise `NircolorError` if the output's folder cannot be made or written to, without making it."""
        folder = self._existing_folder()
        if not os.access(folder, os.W_OK | os.X_OK):
            raise NircolorError(f"{self.path}: cannot be written ({folder} is read-only)")

    def _existing_folder(self) -> Path:
        """Return the innermost folder of the output that exists."""
        folder = self.path.absolute().parent
        while not os.path.lexists(folder):
            folder = folder.parent
        if not folder.is_dir():
            raise NircolorError(f"{self.path}: cannot be written ({folder} is not a folder)")
        return folder

    def __enter__(self) -> Self:
        self._context = together(self)
        self._context.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._context.__exit__(kind, error, trace)

    def _open(self) -> None:
        grid = self._grid
        self._existing_folder()
        with writing_to(self.path, self._bytes):
            # a folder, not a file, so that side files of GDAL are removed with it
            self._folder = staging.create(self.path.parent)
        with writing_to(self.path, self._bytes):
            self._staged = self._folder / "staged.tif"
            bands = self._bands + self._alpha
            profile = _tiff_profile(grid, bands, self._dtype, final=self._copied_as is None)
            if self._copied_as is None:
                profile = _with_options(profile, self._options)
            with _checked_options(self.path, self._options if self._copied_as is None else {}):
                self._dataset = open_dataset(self._staged, "w", **profile)
            if self.driver == "GTiff":
                grid.georeference.write_to(self._dataset)
                self._dataset.update_tags(**grid.tags, TIFFTAG_SOFTWARE=self._software)
                if self._model is not None:
                    self._dataset.update_tags(NIRCOLOR_MODEL=self._model, NIRCOLOR_COLOURS=ESTIMATED)
                if self._gray_band is not None:
                    self._dataset.set_band_description(1, self._gray_band)
                elif self._model is not None:
                    for band, colour in enumerate(("red", "green", "blue"), 1):
                        self._dataset.set_band_description(band, f"{colour} (estimated)")
                if grid.nodata is not None and self._nodata is not None:
                    self._dataset.nodata = self._nodata

    def write(self, rgb: Floats, valid: Mask | None = None, window: Window | None = None) -> None:
        """Write a window. Every pixel has to be written once, in any order, before the block ends.

        Args:
            rgb: (3, h, w) float, or (1, h, w) for a gray image; values are clipped to [0, 1].
            valid: (h, w), False for invalid pixels; by default all are valid.
            window: (row0, row1, col0, col1), by default the whole image.

        Raises:
            NircolorError: the file cannot be written.
            ValueError: shapes do not fit.
        """
        row0, row1, col0, col1 = window or (0, self._grid.height, 0, self._grid.width)
        shape = (row1 - row0, col1 - col0)
        expected = (self._bands, *shape)
        if rgb.shape != expected or (valid is not None and valid.shape != shape):
            raise ValueError(f"expected rgb {expected} and a mask to match, got {rgb.shape}")
        # few rows at a time: strips of large images take hundreds of megabytes
        step = max(1, _VALUES_AT_A_TIME // (len(rgb) * shape[1]))
        for start in range(0, shape[0], step):
            rows = slice(start, min(start + step, shape[0]))
            values = self._encode(rgb[:, rows], None if valid is None else valid[rows])
            place = RasterioWindow(col0, row0 + start, shape[1], values.shape[1])
            with writing_to(self.path, self._bytes):
                self._dataset.write(values, window=place)
        self._pixels += shape[0] * shape[1]

    def _encode(self, rgb: Floats, valid: Mask | None) -> np.ndarray[Any, np.dtype[Any]]:
        """Convert to integers (bands and alpha, h, w), with invalid pixels marked."""
        valid = np.ones(rgb.shape[1:], bool) if valid is None else valid
        values = to_integers(rgb, valid, self._dtype, self._nodata)
        self._any_invalid = self._any_invalid or not valid.all()
        if self._alpha:
            values = np.concatenate([values, np.where(valid, self._top, 0).astype(self._dtype)[None]])
        return values

    def _finish(self) -> Finished:
        if self._pixels != self._grid.width * self._grid.height:
            raise RuntimeError(f"{self.path}: only {self._pixels} pixels were written, not all")
        with writing_to(self.path, self._bytes):
            if self._nodata is not None and self._any_invalid:
                self._dataset.nodata = self._nodata
            self._dataset.close()
            check_complete(self._staged, self.path)
            if self._alpha and not (self._any_invalid or self._alpha_needed):
                self._drop_alpha()
            whole = self._staged if self._copied_as is None else self._copy(self._copied_as)
            self._problems = embed(
                whole, self.driver, self._grid, self._software, keep_cog=self._must_stay_cog
            )
        return Finished(whole, self.path, self._source, self._overwrite)

    def _copy(self, driver: str) -> Path:
        """Copy the staged file to its final format."""
        whole = self._staged.with_name(f"whole{self.path.suffix}")
        options = dict(_COPY_OPTIONS[driver])
        if driver == "JPEG" and self._quality is not None:
            options["quality"] = self._quality
        options = _with_options(options, self._options)
        with (
            open_dataset(self._staged, driver="GTiff") as staged,
            _checked_options(self.path, self._options),
        ):
            rasterio.shutil.copy(staged, whole, driver=driver, strict=False, **options)
        if driver == "COG":
            check_complete(whole, self.path)
        return whole

    def _drop_alpha(self) -> None:
        """Copy the staged file without its alpha channel, which is opaque everywhere."""
        opaque = self._staged.with_name("opaque.tif")
        profile = _tiff_profile(self._grid, self._bands, self._dtype, final=False)
        with (
            open_dataset(self._staged, driver="GTiff") as staged,
            open_dataset(opaque, "w", **profile) as out,
        ):
            for row in range(0, staged.height, 256):
                strip = RasterioWindow(0, row, staged.width, min(256, staged.height - row))
                out.write(staged.read(list(range(1, self._bands + 1)), window=strip), window=strip)
        check_complete(opaque, self.path)
        self._staged = opaque

    def _discard(self) -> None:
        if hasattr(self, "_dataset"):
            with contextlib.suppress(Exception):  # the file is removed anyway
                self._dataset.close()
        if self._folder is not None:
            staging.remove(self._folder)
            self._folder = None


def to_integers(rgb: Floats, valid: Mask, dtype: np.dtype[Any], nodata: int | None) -> Array:
    """Convert colours in [0, 1] to integers, rounded half up.

    Args:
        rgb: (bands, h, w).
        valid: (h, w), False for invalid pixels.
        dtype: uint8 or uint16.
        nodata: value of invalid pixels, from which valid ones are kept away; None for 0, without that.
    """
    top = int(np.iinfo(dtype).max)
    # `fmax` turns NaN into 0, which `clip` would keep
    scaled = np.fmax(rgb, np.float32(0))
    np.minimum(scaled, 1, out=scaled)
    scaled *= np.float32(top)
    scaled += np.float32(0.5)
    # conversion to integers truncates
    values = scaled.astype(dtype)
    if nodata is not None:
        values[values == nodata] = nodata - 1 if nodata == top else nodata + 1
    if not valid.all():
        values[:, ~valid] = 0 if nodata is None else nodata
    return values


def nodata_for(nodata: float | None, top: int) -> int:
    """Return the nodata value of the input if it is an integer in 0..top, else 0."""
    fits = nodata is not None and np.isfinite(nodata) and nodata == int(nodata) and 0 <= nodata <= top
    return int(nodata) if fits and nodata is not None else 0


def _with_options(usual: dict[str, Any], given: Mapping[str, str]) -> dict[str, Any]:
    """Replace creation options; those of the usual compression do not apply to another one."""
    if "compress" in given:
        usual = {name: value for name, value in usual.items() if name not in ("predictor", "zlevel", "level")}
    return usual | dict(given)


@contextmanager
def _checked_options(path: Path, given: Mapping[str, str]) -> Iterator[None]:
    """Context for a call with creation options, which GDAL ignores with a warning where they are wrong."""
    if not given:
        yield
        return
    log, found = logging.getLogger("rasterio._env"), logging.handlers.BufferingHandler(100)
    log.addHandler(found)
    propagate, log.propagate = log.propagate, False
    try:
        yield
    finally:
        log.propagate = propagate
        log.removeHandler(found)
    for record in found.buffer:
        message = re.sub(r"^CPLE_\w+ in ", "", record.getMessage())
        if "creation option" in message:
            raise NircolorError(f"{path}: cannot be written ({message.rstrip('.')})")


def _wants_overviews(grid: Grid) -> bool:
    """Return whether a TIFF gets overviews: large ones for a GIS. Photo viewers would show them as pages."""
    return bool(grid.georeference) and max(grid.width, grid.height) > _LARGEST_WITHOUT_OVERVIEWS_PX


def _tiff_profile(grid: Grid, bands: int, dtype: np.dtype[Any], *, final: bool) -> dict[str, Any]:
    """Return rasterio's creation profile for a gray or RGB TIFF, with alpha or without.

    Args:
        grid: size of the image.
        bands: 1 or 3, and one more with alpha.
        dtype: type of the values.
        final: tiled and compressed; else plain strips, to be copied to PNG, JPEG or COG.
    """
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "width": grid.width,
        "height": grid.height,
        "count": bands,
        "dtype": dtype.name,
        "photometric": "RGB" if bands > 2 else "MINISBLACK",
        "interleave": "pixel",
        "bigtiff": "IF_SAFER",
    }
    if bands in (2, 4):
        profile["alpha"] = "NON-PREMULTIPLIED"
    if not final:
        return profile | {"blockysize": 16}
    profile |= {"compress": "deflate", "predictor": 2, "zlevel": 3, "num_threads": "ALL_CPUS"}
    side = min(grid.width, grid.height)
    if side >= 256:  # in smaller images a tile would be mostly padding
        tile = 512 if side >= 1024 else 256
        profile |= {"tiled": True, "blockxsize": tile, "blockysize": tile}
    return profile


def check_complete(path: Path, shown: Path) -> None:
    """Check that no block of a TIFF, overviews included, is missing or beyond the end of the file.

    GDAL writes compressed blocks late and does not report a full disk then.

    Args:
        path: the TIFF.
        shown: the path that the error names.

    Raises:
        NircolorError: a block is missing.
    """
    with open_dataset(path, driver="GTiff") as dataset:
        complete = _has_all_blocks(dataset, path)
        levels = len(dataset.overviews(1))
    for level in range(levels):
        with open_dataset(path, driver="GTiff", overview_level=level) as overview:
            complete = complete and _has_all_blocks(overview, path)
    if not complete:
        raise NircolorError(f"{shown}: could not be written in full (is the disk full?)")


def _has_all_blocks(dataset: Any, path: Path) -> bool:
    length = path.stat().st_size
    rows, cols = dataset.block_shapes[0]
    bands = dataset.indexes if dataset.profile.get("interleave") == "band" else [1]
    for band in bands:
        for y in range(-(-dataset.height // rows)):
            for x in range(-(-dataset.width // cols)):
                start = dataset.get_tag_item(f"BLOCK_OFFSET_{x}_{y}", "TIFF", band)
                size = dataset.get_tag_item(f"BLOCK_SIZE_{x}_{y}", "TIFF", band)
                if start is None or size is None or int(start) + int(size) > length:
                    return False
    return True
