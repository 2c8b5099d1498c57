"""Multi-band reflectance as a TIFF that says its wavelengths."""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np
from rasterio.windows import Window as RasterioWindow

from nircolor.arrays import Floats, Mask
from nircolor.imagery.gdal import gdal_for, open_dataset
from nircolor.imagery.orientation import Window
from nircolor.imagery.raster import Raster
from nircolor.imagery.tiff import check_whole

# the custom of satellite products; finer than any sensor's noise
_VALUES_PER_REFLECTANCE = 10_000
_NODATA = 65_535


class SpectralBand(NamedTuple):
    """Where a band lies and how wide it is."""

    center_nm: float
    fwhm_nm: float


class BandsWriter:
    """Writes reflectance × 10,000, with the size and place of a raster; use it in `with`.

    The file grows where it will stay: whoever wants it whole or not at all gives a path in a folder of their
    own and moves the file. Brighter than white, up to 6.5, is kept. Invalid pixels are nodata.
    """

    def __init__(self, raster: Raster, path: Path, bands: Sequence[SpectralBand]) -> None:
        self.path, self._raster, self._bands = path, raster, tuple(bands)
        profile = {
            "driver": "GTiff",
            "width": raster.width,
            "height": raster.height,
            "count": len(self._bands),
            "dtype": "uint16",
            "photometric": "MINISBLACK",
            "interleave": "pixel",
            "compress": "deflate",
            "predictor": 2,
            "bigtiff": "IF_SAFER",
        }
        if raster.may_have_invalid:
            profile["nodata"] = _NODATA
        with gdal_for(path, "cannot be written"):
            self._dataset = open_dataset(path, "w", **profile)
            raster.georeference.write_to(self._dataset)
            self._dataset.scales = (1 / _VALUES_PER_REFLECTANCE,) * len(self._bands)
            for index, band in enumerate(self._bands, 1):
                self._dataset.set_band_description(index, f"{band.center_nm:g} nm")
                self._dataset.update_tags(
                    index, wavelength=f"{band.center_nm:g}", wavelength_units="Nanometers"
                )
                self._dataset.update_tags(
                    index,
                    ns="IMAGERY",
                    CENTRAL_WAVELENGTH_UM=f"{band.center_nm / 1000:g}",
                    FWHM_UM=f"{band.fwhm_nm / 1000:g}",
                )

    def write(self, reflectance: Floats, valid: Mask, window: Window) -> None:
        """Write (bands, h, w) and valid (h, w) at `window` (row0, row1, col0, col1)."""
        values = np.rint(reflectance * _VALUES_PER_REFLECTANCE)
        values = np.clip(values, 0, _NODATA - 1, out=values)
        values[:, ~valid] = _NODATA
        row0, row1, col0, col1 = window
        with gdal_for(self.path, "cannot be written"):
            self._dataset.write(
                values.astype(np.uint16), window=RasterioWindow(col0, row0, col1 - col0, row1 - row0)
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with gdal_for(self.path, "cannot be written"):
            self._dataset.close()
            if kind is None:
                check_whole(self.path, self.path)
