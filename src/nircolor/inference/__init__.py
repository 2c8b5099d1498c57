"""Engines, tiling, `Colorizer` for arrays and files, `plan` and `colorize_all` for many."""

from nircolor.inference.batch import Job, Result, colorize_all, plan
from nircolor.inference.colorizer import Colorizer, Reading
from nircolor.inference.devices import Device

__all__ = ["Colorizer", "Device", "Job", "Reading", "Result", "colorize_all", "plan"]
