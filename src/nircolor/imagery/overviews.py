"""Overviews: reduced copies inside a GeoTIFF, from which a GIS draws a large one without reading it all."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nircolor.imagery.raster import Raster

# a window on a screen: what is no larger is read whole as quickly
_LARGEST_WITHOUT_PX = 1024

# GDAL's Cloud Optimized GeoTIFF: tiled, halved until one tile holds it all, and overviews lie before the
# pixels, so that the first look takes one short read from a disk or a server. To build overviews into a
# finished file would spare a second copy on disk and a few seconds of the minutes that colouring takes, but
# leave them at its end.
COG_OPTIONS = {
    "blocksize": 512,
    "compress": "DEFLATE",
    "predictor": "YES",
    # means of valid pixels: GDAL leaves out nodata and what is transparent
    "overview_resampling": "AVERAGE",
    "bigtiff": "IF_SAFER",
    "num_threads": "ALL_CPUS",
}


def wants_overviews(raster: "Raster") -> bool:
    """Whether a TIFF like `raster` gets overviews: large ones for a GIS, which is where a georeference leads.

    Programs for photographs would show them as further pages.
    """
    return raster.is_georeferenced and max(raster.width, raster.height) > _LARGEST_WITHOUT_PX
