"""Previews of images: browsers show neither 16-bit TIFF nor ENVI files."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from nircolor.app.web.settings import Models, Settings
from nircolor.app.web.store import Image, Store
from nircolor.arrays import Floats
from nircolor.errors import NircolorError
from nircolor.imagery import Raster, encode_jpeg, encode_srgb, open_raster
from nircolor.inference import RasterSource

# longest side of a preview
_PREVIEW_PX = 1600
_RGB_NM = (650.0, 550.0, 450.0)


class Previews:
    """Makes JPEG previews of images and results when they are first asked for, and keeps them on disk.

    Args:
        settings: Limit on pixels.
        models: The models.
        store: The images.
    """

    def __init__(self, settings: Settings, models: Models, store: Store) -> None:
        self._settings, self._models, self._store = settings, models, store

    def before(self, image: Image) -> bytes:
        """Return a JPEG of the near-infrared bands as the model gets them.

        Raises:
            NircolorError: The image is damaged.
        """
        return self._cached(image, f"before-{image.run}.jpg", self._render_before)

    def after(self, image: Image, output: Path) -> bytes:
        """Return a JPEG of the result, whose file is ``output``."""
        return self._cached(image, f"after-{image.run}.jpg", lambda _image: _render(output, _RGB_NM))

    def confidence(self, image: Image, output: Path) -> bytes:
        """Return a JPEG of the confidence, whose file is ``output``."""
        return self._cached(image, f"confidence-{image.run}.jpg", lambda _image: _render(output, None))

    def _cached(self, image: Image, name: str, render: Callable[[Image], Floats]) -> bytes:
        path = image.folder / name
        with image.lock:
            if not path.exists():
                with self._store.reading():
                    content = encode_jpeg(render(image), quality=88).data
                for older in image.folder.glob(f"{name.split('-')[0]}-*.jpg"):
                    older.unlink()
                path.write_bytes(content)
            return path.read_bytes()

    def _render_before(self, image: Image) -> Floats:
        try:
            options = vars(image.options.reading(self._settings.max_pixels))
            raster = open_raster(image.path, **options)
        except NircolorError:
            # options that do not fit the image
            raster = open_raster(image.path, max_pixels=self._settings.max_pixels)
        with raster:
            return self._near_infrared(image, raster)

    def _near_infrared(self, image: Image, raster: Raster) -> Floats:
        shape = _reduced(raster.height, raster.width)
        card = self._models.cards[image.model or image.details["models"][0].name]
        try:
            nir, _ = RasterSource(raster, card).reduced(*shape)
        except NircolorError:
            return self._stretched(raster, shape)
        if card.encoding == "reflectance":
            nir = encode_srgb(nir)
        return nir if len(nir) in (1, 3) else nir.mean(0, keepdims=True)

    def _stretched(self, raster: Raster, shape: tuple[int, int]) -> Floats:
        """Show what no model gets, from its darkest to its brightest."""
        nir, valid = raster.read(None, [raster.bands - 1], shape)
        low, high = np.percentile(nir[0][valid], (1, 99)) if valid.any() else (0.0, 1.0)
        stretched: Floats = ((nir - low) / max(high - low, 1e-6)).astype(np.float32)
        return stretched


def _render(output: Path, bands_nm: Sequence[float] | None) -> Floats:
    with open_raster(output, bands_nm=bands_nm) as raster:
        return raster.read(None, None, _reduced(raster.height, raster.width))[0]


def _reduced(height: int, width: int) -> tuple[int, int]:
    factor = min(1, _PREVIEW_PX / max(height, width))
    return max(1, round(height * factor)), max(1, round(width * factor))
