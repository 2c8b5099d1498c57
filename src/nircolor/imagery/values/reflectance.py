"""Whether the values of a file are reflectance, and what that means for a model.

One rule for all commands. Values are linear reflectance where metadata states a reflectance scale, where
references calibrate a capture, or where the user says so (``--reflectance``). Where nothing says so:

- a model of reflectance takes floating point as it is and anything that the user scales. It refuses integers
  of more than 8 bits: they seldom use their whole range, so that the range of the type would be a guess
  that makes nearly black images. 8-bit values use it; they are taken, with a warning, as 255 for 1;
- a model of photographs takes the values as encoded like a photograph, with a warning where the file has the
  wavelengths or names of a spectral image.

Reflectance is encoded with the sRGB curve for a model of photographs. So are the counts of a camera that
states its black level, which are linear as well; a model of reflectance refuses them.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nircolor.arrays import Floats
from nircolor.imagery.values.calibration import Calibration
from nircolor.imagery.values.products import LANDSAT_SURFACE, SENTINEL2, Product
from nircolor.imagery.values.scaling import Encoding, Scale

# scaled values up to this may be reflectance: clouds, snow and highlights exceed 1
_BRIGHTEST = 2.0
# floating point below this reads as black
_DARKEST = 0.02
# floating point that was divided by the scale of its metadata before; integers have no such values
_BLACK = 1e-3
_CAMERA = "--scale 4095 for a camera of 12 bits (1023 for 10, 16383 for 14, 255 for 8)"
# no camera fills 32 bits; they hold counts of fewer bits, or sums of frames
_WIDE = "the value that maps to 1 with --scale: 65535 for counts of 16 bits, 1048575 for 20, 16777215 for 24"
_FLOATS = "100 for percent, 10000 for reflectance × 10000, 255 or 65535 for converted integers"


@dataclass(frozen=True)
class Values:
    """Scale and meaning of the values of an open file.

    Attributes:
        path: the path that messages name.
        dtype: type of the values.
        scale: the scale in use.
        product: the satellite product that is recognized, or None.
        is_spectral: whether the file states wavelengths.
        references: files that would calibrate the image if they were beside it, or None.
        largest: largest value of a sample, in units of the file; 0 where none was taken.
        typical: median of the sample, scaled; NaN where none was taken.
    """

    path: Path
    dtype: np.dtype[np.generic]
    scale: Scale | Calibration
    product: Product | None = None
    is_spectral: bool = False
    references: str | None = None
    largest: float = 0.0
    typical: float = math.nan

    @property
    def is_scaled(self) -> bool:
        """Whether the scale is known, by more than the data type."""
        return self.scale.source not in ("type", "bits")

    @property
    def lacks_scale(self) -> bool:
        """Whether these are integers of more than 8 bits whose scale nothing states."""
        return not self.is_scaled and self.dtype.kind != "f" and self.dtype.itemsize > 1

    def is_encoded_for(self, encoding: Encoding) -> bool:
        """Whether the values, once scaled, must go through the sRGB curve for a model."""
        is_linear = self.scale.is_reflectance or (self.is_counts and self.scale.is_reflectance is None)
        return encoding == "gamma" and bool(is_linear)

    @property
    def is_counts(self) -> bool:
        """Whether the values are those of a sensor, of which the file states the black level."""
        return self.scale.source == "counts"

    def error(self, encoding: Encoding, wanted_by: str) -> str | None:
        """Return why the values cannot be used, or None where they can.

        Args:
            encoding: what a model expects.
            wanted_by: the model, for the message: ``model satellite``.
        """
        scale = self.scale
        dark = scale.source == "metadata" and 0 < self.typical < _BLACK
        if self.typical > _BRIGHTEST or dark:
            found = "nearly all black" if dark else "most of them above 1"
            likely = f"1 for reflectance, {_FLOATS}" if dark else _FLOATS
            return (
                f"{self.path}: expected values from 0 to 1 after scaling ({scale.rule}), got {found}; "
                f"give the value that maps to 1 with --scale: {likely}"
            )
        if encoding == "gamma" or scale.is_reflectance:
            return None
        if scale.is_reflectance is False:
            got = (
                "camera raw, which is none"
                if scale.source == "developed"
                else "values declared as --no-reflectance"
            )
            return f"{self.path}: expected reflectance for {wanted_by}, got {got}"
        if self.is_counts:
            return (
                f"{self.path}: expected reflectance for {wanted_by}, got counts of a camera; calibrate them "
                "first, with the software of its maker"
            )
        if not self.lacks_scale:
            return None
        return (
            f"{self.path}: expected reflectance for {wanted_by}, got {self.dtype.name} values of unknown "
            f"scale; give {self.advice()}"
        )

    def warning(self, encoding: Encoding | None) -> str | None:
        """Return a warning where the values may not be what a model expects, or None.

        None as well where `error` returns a message.

        Args:
            encoding: what the model expects; None for a reader that is not a model.
        """
        scale, by_type = self.scale, self.scale.source == "type"
        if by_type and self.dtype.kind == "f":
            if self.largest > _BRIGHTEST:
                if encoding is not None and self.typical > _BRIGHTEST:
                    return None
                return (
                    f"{self.path}: floating point with values above 2, of which all above 1 "
                    f"become white; give the value that maps to 1 with --scale: {_FLOATS}"
                )
            if self.typical < 0:
                return f"{self.path}: floating point of which most is below 0, which becomes black"
            if 0 < self.largest < _DARKEST:
                return (
                    f"{self.path}: floating point without a value of {_DARKEST} or more reads as black; "
                    "give the value that maps to 1 with --scale"
                )
        if scale.is_reflectance:
            return None
        if encoding == "reflectance":
            if not by_type or self.dtype.itemsize > 1:
                return None
            return (
                f"{self.path}: {self.dtype.name} values are taken as reflectance, {scale.white[0]:g} as 1, "
                f"wrong if they are stretched for display (--scale {scale.white[0]:g}: this is right)"
            )
        if by_type and self.dtype.kind != "f" and self.dtype.itemsize > 1:
            if self.product is not None and scale.is_reflectance is None:
                return (
                    f"{self.path}: {self.product.name}, whose scale the file does not state, reads as a dark "
                    f"photograph; give {self.advice(' --reflectance')}"
                )
            least = dark_below(self.dtype)
            if 0 < self.largest < least:
                advice = (
                    f"{self.advice(' --reflectance')}, or "
                    if self.is_spectral and scale.is_reflectance is None
                    else ""
                )
                return (
                    f"{self.path}: {self.dtype.name} without a value of {least} or more reads as very dark; "
                    f"give {advice}{_CAMERA if self.largest < 2**14 else _WIDE}"
                )
            if encoding == "gamma" and self.is_spectral and scale.is_reflectance is None:
                return (
                    f"{self.path}: {self.dtype.name} of stated wavelengths is taken as encoded like a "
                    f"photograph, {scale.white[0]:g} as 1, as nothing says that it is reflectance; if it is, "
                    f"give {self.advice(' --reflectance')} (--no-reflectance: this is right)"
                )
        is_asked = scale.is_reflectance is None and (self.is_spectral or self.product is not None)
        is_scaled = scale.source == "user" or (by_type and self.dtype.kind == "f")
        if encoding == "gamma" and is_asked and is_scaled:
            return (
                f"{self.path}: taken as encoded like a photograph, as nothing says that it is reflectance; "
                "if it is linear reflectance, add --reflectance (--no-reflectance: this is right)"
            )
        return None

    def advice(self, more: str = "") -> str:
        """Return the options that are likely to state the scale, the same for all files of a kind.

        Args:
            more: further options, after each alternative.
        """
        if self.product is not None:
            note = f" ({self.product.note})" if self.product.note else ""
            return f"{self.product.options}{more} for {self.product.name}{note}"
        if self.references is not None:
            return (
                f"{SENTINEL2.options}{more} for reflectance × 10000, or calibrate a raw capture with "
                f"{self.references} beside it"
            )
        landsat = f"{LANDSAT_SURFACE.options}{more} for {LANDSAT_SURFACE.name}"
        return f"{SENTINEL2.options}{more} for reflectance × 10000 (as Sentinel-2), {landsat}"


def dark_below(dtype: np.dtype[np.generic]) -> int:
    """Return the value of which an image of integers, taken over their whole range, needs some to be visible.

    A quarter of the range, and at least what a camera of 14 bits fills.

    Example:
        >>> dark_below(np.dtype(np.uint16)), dark_below(np.dtype(np.int32))
        (16384, 536870912)
    """
    return max(2**14, int(np.iinfo(dtype.name).max) // 4 + 1)


def encode_srgb(linear: Floats) -> Floats:
    """Encode linear values with the sRGB tone curve (IEC 61966-2-1).

    Args:
        linear: array of any shape; values are clipped to [0, 1].

    Returns:
        float32 array of the same shape.

    Example:
        >>> encode_srgb(np.array([0.0, 0.214041, 1.0], np.float32)).round(3).tolist()
        [0.0, 0.5, 1.0]
    """
    linear = np.clip(linear, 0, 1).astype(np.float32)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
