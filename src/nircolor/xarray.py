"""Accessor ``nircolor`` of xarray's DataArray: colorize rasters of rioxarray, lazily where they are of Dask.

    import nircolor.xarray
    import rioxarray

    nir = rioxarray.open_rasterio("scene.tif", chunks={"x": 2048, "y": 2048})
    nir.nircolor.colorize("satellite").rio.to_raster("colour.tif")

Import this module to register the accessor. It needs the extra ``xarray``.
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from nircolor.arrays import Array, Floats, Mask
from nircolor.errors import NircolorError
from nircolor.extras import require
from nircolor.imagery import GivenBands, encode_srgb
from nircolor.imagery.bands.band_info import BandInfo
from nircolor.imagery.bands.given import check_numbered, given
from nircolor.imagery.bands.sensors import sensor_wavelengths, wavelengths_in
from nircolor.imagery.output.metadata_writer import ESTIMATED
from nircolor.imagery.output.writer import nodata_for, to_integers
from nircolor.imagery.reduction import AreaMean
from nircolor.imagery.values.products import recognize, stated_scale
from nircolor.imagery.values.reflectance import Values
from nircolor.imagery.values.scaling import choose
from nircolor.inference.engine import Engine, open_engine
from nircolor.inference.sources import ArraySource
from nircolor.inference.streaming import Part, colorize_strips, means_shape, part_of_means
from nircolor.inference.tiling import tile_size_px
from nircolor.modelfile import Card, match_bands
from nircolor.weights import find_model

require("rioxarray", extra="xarray", what="nircolor.xarray")
import rioxarray  # noqa: E402, F401 - registers the accessor `rio`
import xarray as xr  # noqa: E402

# scaled values of which half are above this are in other units
_BRIGHTEST = 2.0


@cache
def _engine(model: str) -> Engine:
    return open_engine(find_model(model))


@xr.register_dataarray_accessor("nircolor")
class NircolorAccessor:
    """Methods of a DataArray for near-infrared rasters, as ``raster.nircolor``."""

    def __init__(self, raster: xr.DataArray) -> None:
        self._raster = raster

    def colorize(
        self,
        model: str | os.PathLike[str] = "satellite",
        *,
        bands_nm: GivenBands | None = None,
        scale: float | None = None,
        offset: float | None = None,
        reflectance: bool | None = None,
        saturation: float = 1.0,
    ) -> xr.DataArray:
        """Colorize the raster, by the rules of `nircolor.colorize` for files.

        An array of Dask is colorized lazily, chunk by chunk, with as much of the neighbouring chunks as the
        model sees. A model with a context takes a reduced version of the whole raster first, which reads it
        once more. A raster of one chunk gets the colours that its file gets.

        Args:
            model: Name of a shipped model, or path of a model file.
            bands_nm: Wavelengths of the bands in nm, where neither a coordinate ``wavelength`` nor the band
                names (``long_name``) of a known sensor state them; or ``{850: 4}``, or ``{"nir": 4}``.
            scale: Value that maps to 1.0; by default ``scale_factor`` or the data type states it.
            offset: Number to add after scaling.
            reflectance: Whether the scaled values are linear reflectance.
            saturation: 0 for gray, 1 as trained.

        Returns:
            (band, y, x) with three bands: uint8 or uint16 for integers, with nodata as in the input;
            float32 in [0, 1], NaN where invalid, for floats. Coordinates, CRS and transform are kept.

        Raises:
            NircolorError: The raster lacks the model's bands, or its values do not suit the model.
        """
        raster, card = self._raster, _engine(os.fspath(model)).card
        x, y = raster.rio.x_dim, raster.rio.y_dim
        others = [dim for dim in raster.dims if dim not in (x, y)]
        if len(others) > 1:
            raise NircolorError(
                f"raster: expected the dimensions band, y and x, got {', '.join(raster.dims)}"
            )
        band = others[0] if others else "band"
        raster = (raster if others else raster.expand_dims(band)).transpose(band, y, x)
        prepare = _Preparation(raster, band, card, bands_nm, scale, offset, reflectance)
        is_float = raster.dtype.kind == "f"
        dtype: np.dtype[Any] = np.dtype(np.uint8 if raster.dtype.itemsize == 1 else np.uint16)
        nodata = None
        if not is_float and prepare.nodata is not None:
            nodata = nodata_for(prepare.nodata, int(np.iinfo(dtype).max))

        def finish(rgb: Floats, valid: Mask) -> Array:
            if is_float:
                return np.where(valid, rgb, np.float32(np.nan))
            return to_integers(rgb, valid, dtype, nodata)

        run = _Run(os.fspath(model), saturation, finish)
        colours = run.lazily(raster.data, prepare) if raster.chunks else run.now(raster.data, prepare)
        kept = {name: coordinate for name, coordinate in raster.coords.items() if band not in coordinate.dims}
        made = xr.DataArray(colours, dims=(band, y, x), coords={**kept, band: [1, 2, 3]}, name=raster.name)
        made.attrs = {
            "long_name": ("red (estimated)", "green (estimated)", "blue (estimated)"),
            "NIRCOLOR_MODEL": card.name,
            "NIRCOLOR_COLOURS": ESTIMATED,
        }
        if "grid_mapping" in raster.encoding:
            made.encoding["grid_mapping"] = raster.encoding["grid_mapping"]
        if nodata is not None or is_float:
            made = made.rio.write_nodata(np.nan if is_float else nodata)
        return made


class _Preparation:
    """Convert the values of a raster to the model's bands: (bands, h, w) in [0, 1], NaN where invalid."""

    def __init__(
        self,
        raster: xr.DataArray,
        band: str,
        card: Card,
        bands_nm: GivenBands | None,
        scale: float | None,
        offset: float | None,
        reflectance: bool | None,
    ) -> None:
        count = raster.sizes[band]
        path = Path(raster.encoding.get("source", "raster"))
        names = _names(raster.attrs.get("long_name"), count)
        known = _bands(raster, band, names, path)
        if bands_nm is not None:
            if not isinstance(bands_nm, Sequence):
                check_numbered(path, bands_nm, count)
            if isinstance(bands_nm, dict) and "nir" in bands_nm:
                # the other bands do not count
                known = tuple(
                    BandInfo(name="NIR" if i == bands_nm["nir"] else "other") for i in range(1, count + 1)
                )
            else:
                known = given(path, bands_nm, range(1, count + 1), known)
        weights = match_bands(
            card.bands,
            [info.nm for info in known],
            str(path),
            f"model {card.name}",
            [info.name for info in known],
        )
        dtype = np.dtype(raster.dtype)
        if "scale_factor" in raster.encoding:
            # rioxarray has applied the scale of the file
            is_scaled = (raster.encoding["scale_factor"], raster.encoding.get("add_offset", 0)) != (1, 0)
            reflectance = True if reflectance is None and is_scaled else reflectance
        elif dtype.kind == "f" and "rasterio_dtype" in raster.encoding:
            dtype = np.dtype(raster.encoding["rasterio_dtype"])
        ones, zeros = [1.0] * count, [0.0] * count
        tags = {str(key): str(value) for key, value in raster.attrs.items()}
        stated = stated_scale(path, dtype, names, scales=ones, offsets=zeros, units=[None] * count, tags=tags)
        chosen = choose(
            path, dtype, count, scale=scale, offset=offset, reflectance=reflectance, stated=stated
        )
        product = recognize(path, names, tags)
        values = Values(path, dtype, chosen, product=product)
        problem = values.error(card.encoding, f"model {card.name}")
        if problem is not None:
            raise NircolorError(problem)
        self._path, self._scale, self._weights = path, chosen, weights
        self._is_encoded = values.is_encoded_for(card.encoding)
        stored = raster.rio.nodata if raster.rio.nodata is not None else raster.rio.encoded_nodata
        self.nodata = None if stored is None else float(stored)

    def __call__(self, native: Array) -> Floats:
        used = np.flatnonzero(self._weights.any(0))
        native = native[used]
        valid = np.isfinite(native).all(0)
        if self.nodata is not None and np.isfinite(self.nodata):
            valid &= (native != self.nodata).all(0)
        scaled = self._scale.apply(native, [int(i) for i in used])
        if native.dtype.kind == "f" and self._scale.source == "type" and valid.any():
            typical = float(np.median(native[:, valid]))
            if typical > _BRIGHTEST * self._scale.white[0]:
                raise NircolorError(
                    f"{self._path}: expected values from 0 to 1, got most of them above; pass the value that "
                    "means 1.0 as scale"
                )
        weights = self._weights[:, used]
        if not np.array_equal(weights, np.eye(len(used))):
            scaled = np.tensordot(weights, scaled, 1)
        nir = encode_srgb(scaled) if self._is_encoded else scaled
        return np.where(valid, nir, np.float32(np.nan))


class _Run:
    """Run a model on prepared values, at once or in chunks of Dask."""

    def __init__(self, model: str, saturation: float, finish: Any) -> None:
        self._model, self._saturation, self._finish = model, saturation, finish

    def now(self, native: Array, prepare: _Preparation) -> Array:
        """Colorize an array in memory."""
        return self._window(prepare(native), None, (0, native.shape[1], 0, native.shape[2]))

    def _window(self, nir: Floats, part: Part | None, inner: tuple[int, int, int, int]) -> Array:
        """Colorize a window, and cut ``inner`` (row0, row1, col0, col1) out of it."""
        engine = _engine(self._model)
        source = ArraySource(nir)
        tile_px = tile_size_px(engine.card, source.width)
        strips = list(colorize_strips(engine, source, tile_px, saturation=self._saturation, part=part))
        rgb = np.concatenate([colour for _, colour, _ in strips], axis=1)
        valid = np.concatenate([mask for _, _, mask in strips])
        rows, columns = slice(*inner[:2]), slice(*inner[2:])
        return self._finish(rgb[:, rows, columns], valid[rows, columns])

    def lazily(self, native: Any, prepare: _Preparation) -> Any:
        """Make the array of Dask that colorizes another one."""
        import dask.array
        from dask import delayed

        card = _engine(self._model).card
        _, height, width = native.shape
        native = native.rechunk({0: -1})
        bands = len(card.bands)
        nir = native.map_blocks(
            prepare,
            dtype=np.float32,
            chunks=((bands,), *native.chunks[1:]),
            meta=np.empty((0, 0, 0), np.float32),
        )
        whole = delayed(self._whole)(self._means(card, nir), (height, width))
        result = self._finish(np.zeros((3, 1, 1), np.float32), np.ones((1, 1), bool))
        # a chunk is extended by what the network sees around it, from a multiple of its grid on; colours that
        # are computed at a reduced size need nothing around it
        is_tiled = card.working_pixels is None
        overlap, grid = (card.size.tile_overlap_px, card.size.multiple_of) if is_tiled else (0, 1)
        rows = []
        for top, bottom in _ranges(native.chunks[1]):
            row = []
            for left, right in _ranges(native.chunks[2]):
                (row0, row1), (col0, col1) = (
                    (max(0, (start - overlap) // grid * grid), min(side, stop + overlap))
                    for start, stop, side in ((top, bottom, height), (left, right, width))
                )
                block = delayed(self._block)(
                    nir[:, row0:row1, col0:col1],
                    whole,
                    (row0, col0),
                    (top - row0, bottom - row0, left - col0, right - col0),
                )
                shape = (3, bottom - top, right - left)
                row.append(dask.array.from_delayed(block, shape, dtype=result.dtype))
            rows.append(row)
        return dask.array.block(rows)

    def _whole(self, mean: AreaMean, shape: tuple[int, int]) -> Part:
        engine = _engine(self._model)
        return part_of_means(engine, mean.result(), shape, tile_size_px(engine.card, shape[1]))

    def _block(
        self, nir: Floats, whole: Part, corner: tuple[int, int], inner: tuple[int, int, int, int]
    ) -> Array:
        return self._window(nir, replace(whole, top=corner[0], left=corner[1]), inner)

    @staticmethod
    def _means(card: Card, nir: Any) -> Any:
        """Average the whole array for the view, from sums over strips of rows that are added in pairs."""
        from dask import delayed

        _, height, width = nir.shape
        out_shape = means_shape(card, height, width)
        strips = nir.rechunk({2: -1})
        sums = [
            delayed(_sum_of)(strips[:, top:bottom], top, (height, width), out_shape)
            for top, bottom in _ranges(nir.chunks[1])
        ]
        while len(sums) > 1:
            pairs = zip(sums[::2], [*sums[1::2], None], strict=False)
            sums = [one if other is None else delayed(AreaMean.plus)(one, other) for one, other in pairs]
        return sums[0]


def _sum_of(nir: Floats, top: int, shape: tuple[int, int], out_shape: tuple[int, int]) -> AreaMean:
    valid: Mask = np.asarray(np.isfinite(nir).all(0))
    mean = AreaMean(len(nir), shape, out_shape)
    mean.add(top, np.where(valid, nir, 0).astype(np.float32), valid)
    return mean


def _ranges(chunks: Sequence[int]) -> list[tuple[int, int]]:
    ends = np.cumsum([0, *chunks]).tolist()
    return list(pairwise(ends))


def _names(stated: Any, count: int) -> list[str | None]:
    """Return the band names, which rioxarray gives as one text for a single band."""
    names = [stated] if isinstance(stated, str) else list(stated or ())
    return [str(name) for name in names] if len(names) == count else [None] * count


def _bands(raster: xr.DataArray, band: str, names: list[str | None], path: Path) -> tuple[BandInfo, ...]:
    """Return wavelengths by a coordinate, by the names of bands, or by those of a known sensor."""
    found: Sequence[float | None] = wavelengths_in(names)
    if "wavelength" in raster.coords and raster.coords["wavelength"].dims == (band,):
        wavelengths = [float(value) for value in raster.coords["wavelength"].values]
        # micrometers are below 20, nanometers above 100
        found = [value * 1000 if value < 20 else value for value in wavelengths]
    elif not any(found):
        found = sensor_wavelengths(names, path.name)
    return tuple(BandInfo(nm, name) for nm, name in zip(found, names, strict=True))
