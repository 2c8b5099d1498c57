"""Image files and arrays: formats, windows, georeference, wavelengths, calibration, scaling.

with open_raster("scene.tif") as raster, create_like(raster, "colour.tif") as writer:
    nir, valid = raster.read(window)      # (bands, h, w) float32 in [0, 1]; valid: (h, w)
    writer.write(rgb, valid, window)      # (3, h, w) float32 in [0, 1]
"""

from nircolor.imagery.bands.given import GivenBands
from nircolor.imagery.cube import Cube
from nircolor.imagery.files.folders import Listing, find_images, list_files, list_folder
from nircolor.imagery.files.locate import is_image, output_path_for
from nircolor.imagery.files.signatures import EXTENSIONS, OUTPUT_DRIVERS
from nircolor.imagery.grid import Georeference, Grid
from nircolor.imagery.opening import image_size, open_raster
from nircolor.imagery.orientation import Window
from nircolor.imagery.output.bands_writer import BandsWriter, SpectralBand
from nircolor.imagery.output.data_uris import EncodedImage, encode_jpeg, encode_png
from nircolor.imagery.output.writer import ColourWriter, create_like, together, warn_of_losses
from nircolor.imagery.raster import Raster
from nircolor.imagery.reduction import AreaMean
from nircolor.imagery.stacks.find import stack_path
from nircolor.imagery.stacks.listed import join_bands
from nircolor.imagery.validity.invalid import Nodata, fill_invalid, fill_values
from nircolor.imagery.values.calibration import Calibration, References
from nircolor.imagery.values.reflectance import encode_srgb

__all__ = [
    "EXTENSIONS",
    "OUTPUT_DRIVERS",
    "AreaMean",
    "BandsWriter",
    "Calibration",
    "ColourWriter",
    "Cube",
    "EncodedImage",
    "Georeference",
    "GivenBands",
    "Grid",
    "Listing",
    "Nodata",
    "Raster",
    "References",
    "SpectralBand",
    "Window",
    "create_like",
    "encode_jpeg",
    "encode_png",
    "encode_srgb",
    "fill_invalid",
    "fill_values",
    "find_images",
    "image_size",
    "is_image",
    "join_bands",
    "list_files",
    "list_folder",
    "open_raster",
    "output_path_for",
    "stack_path",
    "together",
    "warn_of_losses",
]
