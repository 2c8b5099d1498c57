"""nircolor turns near-infrared images into colour."""

__version__ = "0.1.0"
