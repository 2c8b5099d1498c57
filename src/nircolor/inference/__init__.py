"""Colorize images: `colorize` for one call, `Colorizer` for a loaded model, `colorize_all` for batches."""

from nircolor.inference.batch import Job, Result, colorize, colorize_all, plan
from nircolor.inference.colorizer import Colorizer, Reading
from nircolor.inference.engine import Device, Engine
from nircolor.inference.sources import RasterSource

__all__ = [
    "Colorizer",
    "Device",
    "Engine",
    "Job",
    "RasterSource",
    "Reading",
    "Result",
    "colorize",
    "colorize_all",
    "plan",
]
