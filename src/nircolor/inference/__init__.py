"""Engines, tiling, and `Colorizer`."""

from nircolor.inference.colorizer import Colorizer, Reading
from nircolor.inference.devices import Device

__all__ = ["Colorizer", "Device", "Reading"]
