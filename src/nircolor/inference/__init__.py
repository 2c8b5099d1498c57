"""Colorize images: `colorize` for one call, `Colorizer` for a loaded model, `colorize_all` for batches."""

from nircolor.inference.batch import Result, check_all, colorize, colorize_all
from nircolor.inference.colorizer import Colorizer
from nircolor.inference.confidence import confidence_path, require_confidence
from nircolor.inference.engine import Device, Engine
from nircolor.inference.planning import Job, OutputFormat, find_inputs, is_glob, plan
from nircolor.inference.reading import FileSummary, Reading
from nircolor.inference.reference import Reference, check_reference
from nircolor.inference.sources import RasterSource

__all__ = [
    "Colorizer",
    "Device",
    "Engine",
    "FileSummary",
    "Job",
    "OutputFormat",
    "RasterSource",
    "Reading",
    "Reference",
    "Result",
    "check_all",
    "check_reference",
    "colorize",
    "colorize_all",
    "confidence_path",
    "find_inputs",
    "is_glob",
    "plan",
    "require_confidence",
]
