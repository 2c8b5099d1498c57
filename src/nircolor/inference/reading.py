"""How a file is read: the user's statements about it, and the bands and the scale that are used."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from nircolor.errors import NircolorWarning
from nircolor.imagery import GivenBands, Nodata, Raster, open_raster
from nircolor.inference.sources import RasterSource
from nircolor.modelfile import Card

# more bands are summarized as a range
_LISTED_BANDS = 6


@dataclass(frozen=True)
class Reading:
    """Properties of a file that its metadata does not state: keywords of `nircolor.open_raster`.

    Attributes:
        bands_nm: Wavelengths of the file's bands in nm, in order, or band numbers by wavelength: see
            `nircolor.open_raster`.
        scale: Value that maps to 1.0; for integers, a number below 1 is a factor.
        offset: Number to add after scaling.
        reflectance: Whether the scaled values are linear reflectance.
        stretch: Percentiles of the image that map to 0 and 1, such as (1, 99).
        nodata: Value of invalid pixels; "none" if no value is invalid.
        max_pixels: Largest number of pixels that is opened.
        converted: Whether colour images are those of a converted camera.
    """

    bands_nm: GivenBands | None = None
    scale: float | None = None
    offset: float | None = None
    reflectance: bool | None = None
    stretch: tuple[float, float] | None = None
    nodata: Nodata | None = None
    max_pixels: int | None = None
    converted: bool = False


@dataclass(frozen=True)
class FileSummary:
    """How a file was read.

    Attributes:
        width, height: Size in pixels.
        bands: Numbers of the bands that were used, from 1.
        wavelengths_nm: Their wavelengths in nm, None where unknown.
        scale: Value that maps to 1.0.
        scale_rule: Reason for ``scale``.

    Examples:
        >>> str(FileSummary(640, 480, (4,), (842.0,), 10000.0, "--scale"))
        'band 4 (842 nm), 1.0 means 10000 (--scale)'
    """

    width: int
    height: int
    bands: tuple[int, ...]
    wavelengths_nm: tuple[float | None, ...]
    scale: float
    scale_rule: str

    def __str__(self) -> str:
        numbers = ", ".join(map(str, self.bands))
        known = [nm for nm in self.wavelengths_nm if nm is not None]
        wavelengths = ", ".join(f"{nm:g}" for nm in known)
        # of a hyperspectral cube, a broad band of the model takes dozens
        if len(self.bands) > _LISTED_BANDS:
            numbers = f"{self.bands[0]} to {self.bands[-1]}"
            wavelengths = f"{min(known):g} to {max(known):g}" if known else ""
        return (
            f"band{'s'[: len(self.bands) > 1]} {numbers}{f' ({wavelengths} nm)' if known else ''}, "
            f"1.0 means {self.scale:g} ({self.scale_rule})"
        )


@contextmanager
def opened(
    card: Card, path: str | os.PathLike[str], reading: Reading | None, skip_colour: bool
) -> Iterator[tuple[Raster, RasterSource]]:
    """Open a file and match its bands to a model's.

    Warns where a model that takes values encoded like photographs is used for a satellite product.
    """
    options = vars(reading or Reading())
    with open_raster(path, **options, encoding=card.encoding, refuse_colour=skip_colour) as raster:
        source = RasterSource(raster, card)
        product = raster.values.product
        # also a model that was fine-tuned from the default one, under any name
        if card.encoding == "gamma" and product is not None:
            problem = (
                f"is {product.name}, but model {card.name} is for photographs, and its colours of land from "
                "above are wrong; `nircolor info` shows whether a model for satellites fits"
            )
            warnings.warn(NircolorWarning(problem, path=path), stacklevel=4)
        yield raster, source


def summarize(raster: Raster, source: RasterSource) -> FileSummary:
    """Describe how a file is read."""
    return FileSummary(
        raster.width,
        raster.height,
        tuple(band + 1 for band in source.bands),
        tuple(raster.wavelengths_nm[band] for band in source.bands),
        raster.full_scale,
        raster.scale_rule,
    )
