"""`StackRaster`: several files of one band each, read as one image on the grid of the finest of them."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rasterio.transform import Affine

from nircolor.arrays import Array, Floats, Mask
from nircolor.errors import NircolorError, NircolorWarning
from nircolor.imagery.bands.band_info import BandInfo
from nircolor.imagery.bands.given import GivenBands, check_numbered, numbered
from nircolor.imagery.bands.given import given as given_bands
from nircolor.imagery.grid import Grid
from nircolor.imagery.orientation import Window
from nircolor.imagery.raster import FileRaster, Raster
from nircolor.imagery.reduction import AreaMean
from nircolor.imagery.stacks.stack import Stack, StackBand
from nircolor.imagery.values.calibration import Calibration
from nircolor.imagery.values.reflectance import Values
from nircolor.imagery.values.scaling import Scale, percentile_stretch
from nircolor.texts import abbreviate, count_of

# values read at a time for a reduced view: 16 MB as float32
_STRIP_VALUES = 4 << 20
_STRETCH_PX = 1024
# grids that differ by less than this, in pixels over the whole image, are one
_SAME_PX = 0.01
# a wavelength that the user gives may differ from that of the file by its rounding and its definition
_NEAR_NM = 25.0


class StackRaster(Raster):
    """An image in several files. Coarser bands are interpolated window by window, bilinearly.

    Its grid is that of the band with the finest pixels. A pixel of a coarser band is valid where the nearest
    pixel of its file is; invalid neighbours have no weight.

    Args:
        stack: the files.
        open_band: opens one of them.
        bands_nm: as for `open_raster`.
        stretch: as for `open_raster`.

    Raises:
        NircolorError: a file cannot be opened or holds several bands, or the files differ in place, size or
            scale.
    """

    def __init__(
        self,
        stack: Stack,
        open_band: Callable[[Path], FileRaster],
        *,
        bands_nm: GivenBands | None = None,
        stretch: tuple[float, float] | None = None,
    ) -> None:
        self._rasters: list[FileRaster] = []
        try:
            opened, missing = self._open(stack, open_band)
            bands = tuple(_info(one.band, one.raster) for one in opened)
            if bands_nm is None:
                _check_wavelengths(stack.path, opened, bands)
            else:
                numbers = numbered(bands_nm)
                if numbers is not None:
                    check_numbered(stack.path, numbers, len(opened))
                    if "nir" in numbers:
                        opened = [opened[numbers["nir"] - 1]]
                bands = given_bands(stack.path, bands_nm, range(1, len(opened) + 1), bands)
            self._rasters = [one.raster for one in opened]
            reference = min(self._rasters, key=_pixel_area)
            self._axes = [_axes_of(raster, reference) for raster in self._rasters]
            grid = _grid(reference, self._rasters)
            values = _values(stack.path, grid, self._rasters)
        except BaseException:
            self.close()
            raise
        may_have_invalid = any(raster.may_have_invalid for raster in self._rasters)
        super().__init__(stack.path, stack.kind, grid, values, bands, may_have_invalid=may_have_invalid)
        self.files = tuple(raster.path for raster in self._rasters)
        self.missing, self.is_registered = missing, not stack.is_camera
        self._stretched: tuple[float, float] | None = None
        if stretch is not None:
            self._stretch(*stretch)

    def _open(
        self, stack: Stack, open_band: Callable[[Path], FileRaster]
    ) -> tuple[list["_Opened"], tuple[str, ...]]:
        """Open the files; of a product, those that cannot be opened are missing."""
        opened, missing = [], list(stack.missing)
        first: NircolorError | None = None
        for band in stack.bands:
            try:
                raster = open_band(band.file)
            except NircolorError as error:
                if not stack.is_product:
                    raise
                first = first or error
                missing.append(f"{band.name} ({error})")
                continue
            self._rasters.append(raster)
            if raster.bands != 1:
                raise NircolorError(
                    f"{band.file}: expected one band in each file of {stack.path}, got {raster.bands}"
                )
            opened.append(_Opened(band, raster))
        if not opened:
            raise first or NircolorError(f"{stack.path}: expected files of bands, got none")
        if missing:
            problem = (
                f"{count_of(len(missing), 'band')} of {len(opened) + len(missing)} missing or damaged: "
                f"{abbreviate(missing, 3)}"
            )
            warnings.warn(NircolorWarning(problem, path=stack.path), stacklevel=5)
        return opened, tuple(missing)

    def _stretch(self, low: float, high: float) -> None:
        """Map percentiles of all bands together to 0 and 1."""
        shape = (min(self.height, _STRETCH_PX), min(self.width, _STRETCH_PX))
        values, valid = self.read(None, None, shape)
        black, white = percentile_stretch(self.path, values[:, valid], low, high)
        old = self.values.scale
        assert isinstance(old, Scale)
        units = [w - b for b, w in zip(old.black, old.white, strict=True)]
        self._stretched = black, white
        self._scale = Scale(
            tuple(float(b + black * unit) for b, unit in zip(old.black, units, strict=True)),
            tuple(float(b + white * unit) for b, unit in zip(old.black, units, strict=True)),
            f"stretch: percentiles {low:g} and {high:g}",
            "stretch",
        )
        self.values = replace(self.values, scale=self._scale)

    def _load(
        self, window: Window, bands: Sequence[int], out_shape: tuple[int, int] | None
    ) -> tuple[Floats, Mask]:
        row0, row1, col0, col1 = window
        if out_shape is not None:
            mean = AreaMean(len(bands), (row1 - row0, col1 - col0), out_shape)
            rows = max(1, _STRIP_VALUES // ((col1 - col0) * len(bands)))
            for row in range(row0, row1, rows):
                strip = row, min(row + rows, row1), col0, col1
                mean.add(row - row0, *self._load(strip, bands, None))
            means, valid = mean.result()
            return np.clip(means, 0, 1, out=means), valid
        values = np.empty((len(bands), row1 - row0, col1 - col0), np.float32)
        valid = np.ones(values.shape[1:], bool)
        for plane, band in enumerate(bands):
            values[plane], ok = self._load_band(window, band)
            valid &= ok
        if self._stretched is not None:
            black, white = self._stretched
            np.clip((values - np.float32(black)) / np.float32(white - black), 0, 1, out=values)
        values[:, ~valid] = 0
        return values, valid

    def _load_band(self, window: Window, band: int) -> tuple[Floats, Mask]:
        """Read a window (h, w) of one band on the grid of the stack."""
        row0, row1, col0, col1 = window
        rows, cols = (axis.taps(*ends) for axis, ends in
                      zip(self._axes[band], ((row0, row1), (col0, col1)), strict=True))  # fmt: skip
        native, ok = self._rasters[band].read((rows.start, rows.stop, cols.start, cols.stop))
        if rows.is_copy and cols.is_copy:
            return native[0], ok
        valid = ok[rows.nearest][:, cols.nearest]
        values = _interpolate(native[0], rows, cols)
        if not ok.all():
            weights = _interpolate(ok.astype(np.float32), rows, cols)
            values /= np.maximum(weights, np.float32(1e-6))
        return values, valid

    def close(self) -> None:
        for raster in self._rasters:
            raster.close()


class _Opened(NamedTuple):
    """A band and its open file."""

    band: StackBand
    raster: FileRaster


class _Taps(NamedTuple):
    """Pixels of a file along one axis, between which those of a window are interpolated.

    Attributes:
        start, stop: the pixels to read.
        lower, upper: neighbours of each pixel of the window, from ``start``.
        weight: of the upper one, float32.
        is_copy: whether the pixels are those of the file.
    """

    start: int
    stop: int
    lower: Array
    upper: Array
    weight: Floats
    is_copy: bool

    @property
    def nearest(self) -> Array:
        return np.where(self.weight < 0.5, self.lower, self.upper)


@dataclass(frozen=True)
class _Axis:
    """Place of the pixels of a stack in a file, along one axis: ``step * pixel + origin``, edge to edge.

    Attributes:
        step: pixels of the file per pixel of the stack.
        origin: edge of the first pixel of the stack.
        size: pixels of the file.
    """

    step: float
    origin: float
    size: int

    def taps(self, start: int, stop: int) -> _Taps:
        pixels = np.arange(start, stop)
        if abs(self.step - 1) * self.size < _SAME_PX and abs(self.origin) < _SAME_PX:
            own = pixels - start
            return _Taps(start, stop, own, own, np.zeros(len(own), np.float32), True)
        centres = ((pixels + 0.5) * self.step + self.origin - 0.5).clip(0, self.size - 1)
        lower = np.floor(centres).astype(np.int64)
        upper = np.minimum(lower + 1, self.size - 1)
        first = int(lower.min())
        weight = (centres - lower).astype(np.float32)
        return _Taps(first, int(upper.max()) + 1, lower - first, upper - first, weight, False)


def _interpolate(values: Floats, rows: _Taps, cols: _Taps) -> Floats:
    """Interpolate (h, w) bilinearly."""
    down = values[rows.lower]
    if not rows.is_copy:
        down += (values[rows.upper] - down) * rows.weight[:, None]
    if cols.is_copy:
        return down
    across = down[:, cols.lower]
    across += (down[:, cols.upper] - across) * cols.weight
    return across


def _info(band: StackBand, raster: FileRaster) -> BandInfo:
    """Return the meaning of a band, by the stack or else by its file."""
    stated, name = raster.wavelengths_nm[0], band.name or raster.names[0]
    if band.nm is None:
        return BandInfo(stated, name, raster.wavelength_sources[0])
    if band.source == "FILE@NM" and stated is not None and abs(stated - band.nm) > _NEAR_NM:
        problem = (
            f"is taken as {band.nm:g} nm, as given, but states {stated:g} nm ({raster.wavelength_sources[0]})"
        )
        warnings.warn(NircolorWarning(problem, path=band.file), stacklevel=5)
    return BandInfo(band.nm, name, band.source)


def _check_wavelengths(path: Path, opened: Sequence[_Opened], bands: Sequence[BandInfo]) -> None:
    for one, info in zip(opened, bands, strict=True):
        if info.nm is None:
            raise NircolorError(
                f"{one.band.file}: expected a wavelength for each band of {path}, got none; list the bands "
                f"as {one.band.file.name}@NM,…"
            )


def _pixel_area(raster: Raster) -> float:
    if not raster.is_georeferenced:
        return 0.0
    return abs(raster.transform.determinant) or np.inf


def _axes_of(raster: Raster, reference: Raster) -> tuple[_Axis, _Axis]:
    """Return the place of the reference's pixels in a file, down and across.

    Raises:
        NircolorError: the file shows another area, or has no georeference and another size.
    """
    same = _Axis(1.0, 0.0, raster.height), _Axis(1.0, 0.0, raster.width)
    sizes = [f"{one.width} × {one.height}" for one in (reference, raster)]
    if not (_is_placed(reference) and _is_placed(raster)):
        if sizes[0] != sizes[1]:
            raise NircolorError(
                f"{raster.path}: expected {sizes[0]} px as {reference.path.name}, got {sizes[1]}, and "
                "without a georeference in both nothing says which pixels belong together"
            )
        return same
    if None not in (raster.crs, reference.crs) and raster.crs != reference.crs:
        names = [_crs_name(one) for one in (reference, raster)]
        raise NircolorError(
            f"{raster.path}: expected the coordinate reference system of {reference.path.name} ({names[0]}), "
            f"got {names[1]}; warp one to the other, for example with gdalwarp"
        )
    own, theirs = (np.array(one.transform, np.float64).reshape(3, 3) for one in (raster, reference))
    (a, b, c), (d, e, f), _ = (np.linalg.inv(own) @ theirs).tolist()
    turned = max(abs(b) * reference.height, abs(d) * reference.width)
    ends = (c, f, c + a * reference.width, f + e * reference.height)
    wanted = (0, 0, raster.width, raster.height)
    # a pixel of the coarser file, in pixels of this one
    tolerance = 1.001 * max(1.0, abs(a), abs(e))
    if turned > _SAME_PX or any(abs(end - edge) > tolerance for end, edge in zip(ends, wanted, strict=True)):
        raise NircolorError(
            f"{raster.path}: expected the area of {reference.path.name} ({_area(reference)}), got "
            f"{_area(raster)}; cut both to one area, for example with gdalwarp -te"
        )
    return _Axis(e, f, raster.height), _Axis(a, c, raster.width)


def _is_placed(raster: Raster) -> bool:
    """Whether a transform places the pixels; world files give one without a CRS."""
    has_transform = raster.crs is not None or raster.transform != Affine.identity()
    return has_transform and not raster.georeference.gcps


def _crs_name(raster: Raster) -> str:
    return "none" if raster.crs is None else raster.crs.to_string()[:60]


def _area(raster: Raster) -> str:
    a, b, left, d, e, top = tuple(raster.transform)[:6]
    right = left + a * raster.width + b * raster.height
    bottom = top + d * raster.width + e * raster.height
    return f"x {left:.10g} to {right:.10g}, y {bottom:.10g} to {top:.10g}"


def _grid(reference: Raster, rasters: Sequence[Raster]) -> Grid:
    """Return the grid of the stack: that of the reference, with the kinds of invalid pixels of all."""
    grids = [raster.grid for raster in rasters]
    georeference = next((grid.georeference for grid in grids if grid.georeference), reference.georeference)
    return replace(
        reference.grid,
        dtype=np.result_type(*(grid.dtype for grid in grids)),
        georeference=reference.georeference or georeference,
        nodata=next((grid.nodata for grid in grids if grid.nodata is not None), None),
        has_alpha=any(grid.has_alpha for grid in grids),
        has_mask=any(grid.has_mask for grid in grids),
        may_have_invalid=any(raster.may_have_invalid for raster in rasters),
    )


def _values(path: Path, grid: Grid, rasters: Sequence[Raster]) -> Values:
    """Return the scale of all bands.

    Raises:
        NircolorError: the scale of some is known and that of others is not, or it follows from types that
            differ.
    """
    scales: list[Scale] = []
    first = rasters[0]
    for raster in rasters:
        scale = raster.values.scale
        if isinstance(scale, Calibration):
            raise NircolorError(f"{raster.path}: expected an image, got a raw capture with references")
        kinds = [(one.source, one.is_reflectance) for one in (first.values.scale, scale)]
        by_type = scale.source in ("type", "bits") and scale.white != first.values.scale.white
        if kinds[0] != kinds[1] or by_type:
            raise NircolorError(
                f"{raster.path}: expected values on the scale of {first.path.name} "
                f"({first.values.scale.rule}), got {scale.rule}; give the scale of all with --scale"
            )
        scales.append(scale)
    rules = dict.fromkeys(scale.rule for scale in scales)
    rule = scales[0].rule if len(rules) == 1 else f"{scales[0].rule}; other bands on scales of their own"
    typical = [raster.values.typical for raster in rasters if not np.isnan(raster.values.typical)]
    return Values(
        path,
        grid.dtype,
        replace(
            scales[0],
            black=tuple(scale.black[0] for scale in scales),
            white=tuple(scale.white[0] for scale in scales),
            rule=rule,
        ),
        product=next((raster.values.product for raster in rasters if raster.values.product), None),
        is_spectral=True,
        largest=max(raster.values.largest for raster in rasters),
        typical=max(typical, default=float("nan")),
    )
