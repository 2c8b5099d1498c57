"""Images as bytes, for pages that hold their images in themselves."""

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
class Encoded:
    """A file's bytes; ``kind`` is its extension and, after ``image/``, its media type."""

    kind: Literal["jpeg", "png"]
    data: bytes

    @property
    def uri(self) -> str:
        """As the ``src`` of an ``<img>``."""
        return f"data:image/{self.kind};base64,{base64.b64encode(self.data).decode('ascii')}"


def encode_jpeg(image: Floats, quality: int = 92) -> Encoded:
    """A image (1 or 3, h, w) as JPEG; values are clipped to [0, 1], NaN is black."""
    return Encoded("jpeg", _encode(image, "JPEG", quality=quality))


def encode_png(image: Floats) -> Encoded:
    """Likewise as PNG, exact to 8 bits: JPEG would smear the colours of images of few pixels."""
    return Encoded("png", _encode(image, "PNG"))


def _encode(image: Floats, driver: str, **options: int) -> bytes:
    pixels = np.rint(np.clip(np.nan_to_num(image), 0, 1) * 255).astype(np.uint8)
    bands, height, width = pixels.shape
    with MemoryFile(ext=f".{driver.lower()}") as file:
        # a photograph has no georeference, and rasterio says so every time
        with warnings.catch_warnings(), rasterio.Env(GDAL_PAM_ENABLED="NO"):
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with file.open(
                driver=driver, width=width, height=height, count=bands, dtype="uint8", **options
            ) as target:
                target.write(pixels)
        encoded: bytes = file.read()
    return encoded
