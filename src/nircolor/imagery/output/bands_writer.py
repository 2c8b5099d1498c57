"""Write multi-band reflectance as a TIFF with wavelengths."""

import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np
from rasterio.windows import Window as RasterioWindow

from nircolor.arrays import Floats, Mask
from nircolor.imagery.gdal import open_dataset
from nircolor.imagery.grid import Grid
from nircolor.imagery.orientation import Window
from nircolor.imagery.output.placing import writing_to
from nircolor.imagery.output.writer import check_complete

# as in satellite products; finer than the noise of any sensor
_VALUES_PER_REFLECTANCE = 10_000
_NODATA = 65_535


class SpectralBand(NamedTuple):
    """A spectral band.

    Attributes:
        center_nm: centre in nm.
        fwhm_nm: full width at half maximum in nm.
    """

    center_nm: float
    fwhm_nm: float


class BandsWriter:
    """Writer of a TIFF with reflectance × 10,000 in 16 bits, to be used in a ``with`` block.

    Values are kept up to a reflectance of 6.5; negative ones become 0. Invalid pixels become nodata (65,535).
    Not atomic: write to a temporary path and rename.

    Args:
        grid: size and georeference, of the input.
        path: the output.
        bands: centre and width of each band.

    Raises:
        NircolorError: the file cannot be written.
    """

    def __init__(self, grid: Grid, path: str | os.PathLike[str], bands: Sequence[SpectralBand]) -> None:
        self.path, self._bands = Path(path), tuple(bands)
        profile = {
            "driver": "GTiff",
            "width": grid.width,
            "height": grid.height,
            "count": len(self._bands),
            "dtype": "uint16",
            "photometric": "MINISBLACK",
            "interleave": "pixel",
            "compress": "deflate",
            "predictor": 2,
            "bigtiff": "IF_SAFER",
        }
        if grid.may_have_invalid:
            profile["nodata"] = _NODATA
        with writing_to(self.path):
            self._dataset = open_dataset(self.path, "w", **profile)
            grid.georeference.write_to(self._dataset)
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
        """Write a window.

        Args:
            reflectance: (bands, h, w), float32, 1 for a perfect diffuse reflector.
            valid: (h, w), False for invalid pixels.
            window: (row0, row1, col0, col1).

        Raises:
            NircolorError: the file cannot be written.
        """
        values = np.rint(reflectance * _VALUES_PER_REFLECTANCE)
        values = np.clip(values, 0, _NODATA - 1, out=values)
        values[:, ~valid] = _NODATA
        row0, row1, col0, col1 = window
        with writing_to(self.path):
            self._dataset.write(
                values.astype(np.uint16), window=RasterioWindow(col0, row0, col1 - col0, row1 - row0)
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with writing_to(self.path):
            self._dataset.close()
            if kind is None:
                check_complete(self.path, self.path)
