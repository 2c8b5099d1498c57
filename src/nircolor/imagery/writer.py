"""`create_like`: a colour image with the size, place and depth of its input, whole or not at all."""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import rasterio.shutil
from rasterio.windows import Window as RasterioWindow

from nircolor.arrays import Floats, Mask
from nircolor.errors import NircolorError
from nircolor.imagery.gdal import gdal_for, open_dataset
from nircolor.imagery.naming import output_driver
from nircolor.imagery.orientation import Window
from nircolor.imagery.overviews import COG_OPTIONS, wants_overviews
from nircolor.imagery.raster import Raster
from nircolor.imagery.tiff import check_whole, tiff_profile

_JPEG_MAX_SIDE = 65_500
_COPY_OPTIONS: dict[str, dict[str, Any]] = {
    "PNG": {"zlevel": 6},
    "JPEG": {"quality": 95},
    "COG": COG_OPTIONS,
}


def create_like(
    raster: Raster, path: str | os.PathLike[str], *, depth: int | None = None, overwrite: bool = False
) -> "ColourWriter":
    """A writer of the colour image of `raster`; the extension of `path` chooses PNG, JPEG or TIFF.

    `depth` is 8 or 16 bits a channel, by default the input's (JPEG: always 8). Raises `NircolorError`
    for an extension or depth that cannot be, and for a `path` that exists (above all the input
    itself, by whatever name) unless `overwrite`.
    """
    path = Path(path)
    driver = output_driver(path)
    if depth not in (None, 8, 16):
        raise NircolorError(f"{path}: expected a depth of 8 or 16 bits, got {depth}")
    if driver == "JPEG":
        if depth == 16:
            raise NircolorError(f"{path}: JPEG holds 8 bits a channel, 16 were asked for; write PNG or TIFF")
        if max(raster.width, raster.height) > _JPEG_MAX_SIDE:
            raise NircolorError(
                f"{path}: JPEG holds at most {_JPEG_MAX_SIDE} pixels a side, the image is "
                f"{raster.width} x {raster.height}; write PNG or TIFF"
            )
        depth = 8
    writer = ColourWriter(raster, path, driver, depth or raster.depth, overwrite)
    writer.check_free()
    return writer


class ColourWriter:
    """Takes windows in any order; leaving the `with` block cleanly makes the file appear, complete.

    Until then everything lies in a hidden folder beside it, which goes away on any exception,
    Ctrl-C included. GeoTIFF keeps CRS, transform, ground control points and RPCs, and has overviews where
    it is large. For one thread.

    Invalid pixels: transparent where the input had an alpha channel or mask, and in PNG; in TIFF else
    the input's nodata value where the output depth can hold it, or 0 (valid pixels that come out as
    that value move by one step, so that black is not taken for a hole); black in JPEG.
    """

    def __init__(self, raster: Raster, path: Path, driver: str, depth: int, overwrite: bool) -> None:
        self.path, self.driver, self.depth = path, driver, depth
        self._raster, self._overwrite = raster, overwrite
        # GDAL writes these in one go, from a staged TIFF; others are staged as they shall be
        self._copied_as = driver if driver != "GTiff" else "COG" if wants_overviews(raster) else None
        self._dtype: np.dtype[Any] = np.dtype(np.uint8 if depth == 8 else np.uint16)
        self._top = 2**depth - 1
        keeps_alpha = raster.has_alpha or raster.has_mask
        self._alpha = driver != "JPEG" and (keeps_alpha or (driver == "PNG" and raster.may_have_invalid))
        self._alpha_needed = keeps_alpha
        self._nodata: int | None = None
        if driver == "GTiff" and not self._alpha and raster.may_have_invalid:
            self._nodata = _nodata_for(raster.nodata, self._top)
        self._any_invalid = False
        self._pixels = 0
        self._folder: Path | None = None

    def check_free(self) -> None:
        """Raise `NircolorError` if `path` exists and may not be replaced."""
        if not os.path.lexists(self.path):
            return
        if self.path.is_dir():
            raise NircolorError(f"{self.path}: expected an output file, got a folder")
        if self._overwrite:
            return
        same = self._raster.path.exists() and self.path.exists() and self.path.samefile(self._raster.path)
        what = "is the input itself" if same else "exists already"
        raise NircolorError(f"{self.path}: {what}; it is replaced only with --overwrite")

    def __enter__(self) -> Self:
        raster = self._raster
        with gdal_for(self.path, "cannot be written"):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # a folder, not a file: whatever GDAL puts beside a file goes with it
            self._folder = Path(tempfile.mkdtemp(prefix=".nircolor-", dir=self.path.parent))
        try:
            with gdal_for(self.path, "cannot be written"):
                self._staged = self._folder / "staged.tif"
                bands = 4 if self._alpha else 3
                profile = tiff_profile(raster, bands, self._dtype, final=self._copied_as is None)
                self._dataset = open_dataset(self._staged, "w", **profile)
                if self.driver == "GTiff":
                    raster.georeference.write_to(self._dataset)
                    if raster.nodata is not None and self._nodata is not None:
                        self._dataset.nodata = self._nodata
        except BaseException:
            self._discard()
            raise
        return self

    def write(self, rgb: Floats, valid: Mask | None = None, window: Window | None = None) -> None:
        """Write one window: rgb (3, h, w) float in [0, 1] (else clipped), valid (h, w), all by default.

        `window` is (row0, row1, col0, col1), the whole image by default. Every pixel must be
        written once before the block ends. Raises `NircolorError` when the disk refuses, `ValueError`
        for shapes that do not fit.
        """
        row0, row1, col0, col1 = window or (0, self._raster.height, 0, self._raster.width)
        shape = (row1 - row0, col1 - col0)
        if rgb.shape != (3, *shape) or (valid is not None and valid.shape != shape):
            raise ValueError(f"expected rgb (3, {shape[0]}, {shape[1]}) and a mask to match, got {rgb.shape}")
        values = self._encode(rgb, valid)
        place = RasterioWindow(col0, row0, shape[1], shape[0])
        with gdal_for(self.path, "cannot be written"):
            self._dataset.write(values, window=place)
        self._pixels += shape[0] * shape[1]

    def _encode(self, rgb: Floats, valid: Mask | None) -> np.ndarray[Any, np.dtype[Any]]:
        """Integers (3 or 4, h, w): rounded half up, with holes as this output marks them."""
        # one float copy, worked on in place: strips of large images are hundreds of megabytes
        scaled = np.nan_to_num(rgb, nan=0.0)
        np.clip(scaled, 0, 1, out=scaled)
        scaled *= np.float32(self._top)
        scaled += np.float32(0.5)
        # conversion to integers cuts off, which is rounding down as nothing is negative
        values = scaled.astype(self._dtype)
        valid = np.ones(rgb.shape[1:], bool) if valid is None else valid
        if self._nodata is not None:
            inside = self._nodata - 1 if self._nodata == self._top else self._nodata + 1
            values[values == self._nodata] = inside
        if not valid.all():
            self._any_invalid = True
            values[:, ~valid] = 0 if self._nodata is None else self._nodata
        if self._alpha:
            values = np.concatenate([values, np.where(valid, self._top, 0).astype(self._dtype)[None]])
        return values

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            self._discard()

    def _finish(self) -> None:
        if self._pixels != self._raster.width * self._raster.height:
            raise RuntimeError(f"{self.path}: only {self._pixels} pixels were written, not all")
        with gdal_for(self.path, "cannot be written"):
            if self._nodata is not None and self._any_invalid:
                self._dataset.nodata = self._nodata
            self._dataset.close()
            check_whole(self._staged, self.path)
            if self._alpha and not (self._any_invalid or self._alpha_needed):
                self._drop_alpha()
            whole = self._staged if self._copied_as is None else self._copy(self._copied_as)
            self.check_free()  # somebody else may have been quicker
            os.replace(whole, self.path)  # noqa: PTH105 - said as what it is: atomic

    def _copy(self, driver: str) -> Path:
        """The staged file in its final format."""
        whole = self._staged.with_name(f"whole{self.path.suffix}")
        with open_dataset(self._staged, driver="GTiff") as staged:
            rasterio.shutil.copy(staged, whole, driver=driver, strict=False, **_COPY_OPTIONS[driver])
        if driver == "COG":
            check_whole(whole, self.path)
        return whole

    def _drop_alpha(self) -> None:
        """Stage again without the alpha channel, which turned out to be opaque everywhere."""
        opaque = self._staged.with_name("opaque.tif")
        profile = tiff_profile(self._raster, 3, self._dtype, final=False)
        with (
            open_dataset(self._staged, driver="GTiff") as staged,
            open_dataset(opaque, "w", **profile) as out,
        ):
            for row in range(0, staged.height, 256):
                strip = RasterioWindow(0, row, staged.width, min(256, staged.height - row))
                out.write(staged.read((1, 2, 3), window=strip), window=strip)
        check_whole(opaque, self.path)
        self._staged = opaque

    def _discard(self) -> None:
        if hasattr(self, "_dataset"):
            with contextlib.suppress(Exception):  # what could not be written is thrown away here
                self._dataset.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


def _nodata_for(nodata: float | None, top: int) -> int:
    """The input's nodata value where `0..top` has it, else 0."""
    fits = nodata is not None and np.isfinite(nodata) and nodata == int(nodata) and 0 <= nodata <= top
    return int(nodata) if fits and nodata is not None else 0
