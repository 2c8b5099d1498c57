"""Encode images as JPEG or PNG in memory, for HTML pages with embedded images."""

import base64
import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile

from nircolor.arrays import Floats


@dataclass(frozen=True)
class EncodedImage:
    """An encoded image.

    Attributes:
        kind: file extension, and subtype of the media type ``image/...``.
        data: content of the file.
    """

    kind: Literal["jpeg", "png"]
    data: bytes

    @property
    def uri(self) -> str:
        """Data URI, for the ``src`` of an ``<img>``."""
        return f"data:image/{self.kind};base64,{base64.b64encode(self.data).decode('ascii')}"


def encode_jpeg(image: Floats, quality: int = 92) -> EncodedImage:
    """Encode an image as JPEG.

    Args:
        image: (1 or 3, h, w); values are clipped to [0, 1], NaN becomes 0.
        quality: 1 to 100.
    """
    return EncodedImage("jpeg", _encode(image, "JPEG", quality=quality))


def encode_png(image: Floats) -> EncodedImage:
    """Encode an image as PNG of 8 bits per channel; suits small images, in which JPEG blurs colours.

    Args:
        image: (1 or 3, h, w); values are clipped to [0, 1], NaN becomes 0.
    """
    return EncodedImage("png", _encode(image, "PNG"))


def _encode(image: Floats, driver: str, **options: int) -> bytes:
    pixels = np.rint(np.clip(np.nan_to_num(image), 0, 1) * 255).astype(np.uint8)
    bands, height, width = pixels.shape
    with MemoryFile(ext=f".{driver.lower()}") as file:
        # rasterio warns of every image without a georeference
        with warnings.catch_warnings(), rasterio.Env(GDAL_PAM_ENABLED="NO"):
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with file.open(
                driver=driver, width=width, height=height, count=bands, dtype="uint8", **options
            ) as target:
                target.write(pixels)
        encoded: bytes = file.read()
    return encoded
