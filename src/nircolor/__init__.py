"""nircolor turns near-infrared pictures into colour."""

__version__ = "0.1.0"
