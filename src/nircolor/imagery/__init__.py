"""Images in and out: files <-> arrays, by windows, with georeference and wavelengths.

with open_raster("scene.tif") as raster, create_like(raster, "colour.tif") as writer:
    nir, valid = raster.read(window)      # (bands, h, w) float32 in [0, 1]
    writer.write(rgb, valid, window)      # (3, h, w) float32 in [0, 1]
"""

from nircolor.imagery.formats import EXTENSIONS, find_images, is_image
from nircolor.imagery.invalid import fill_invalid, fill_values
from nircolor.imagery.naming import OUTPUT_DRIVERS, output_path_for
from nircolor.imagery.orientation import Window
from nircolor.imagery.raster import Raster, open_raster
from nircolor.imagery.stretch import percentile_stretch
from nircolor.imagery.writer import ColourWriter, create_like

__all__ = [
    "EXTENSIONS",
    "OUTPUT_DRIVERS",
    "ColourWriter",
    "Raster",
    "Window",
    "create_like",
    "fill_invalid",
    "fill_values",
    "find_images",
    "is_image",
    "open_raster",
    "output_path_for",
    "percentile_stretch",
]
