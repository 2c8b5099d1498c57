"""Convert arrays and PIL images to the model's input, and colour back to the same kind."""

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nircolor.arrays import Array, Floats, Mask
from nircolor.errors import NircolorError, NircolorWarning
from nircolor.imagery import encode_srgb
from nircolor.imagery.values.reflectance import Values
from nircolor.imagery.values.scaling import choose
from nircolor.modelfile import Card, describe_bands
from nircolor.texts import count_of

# float values may exceed 1 by this much, as interpolation does
_ROUNDING = 1e-3
_PIL_MODES = ("L", "LA", "RGB", "RGBA", "I;16", "F")


@dataclass(frozen=True)
class Pixels:
    """An image in memory, ready for a model.

    Attributes:
        nir: (bands, h, w) in [0, 1], the model's bands in its order; NaN where invalid.
        valid: (h, w), or None where only NaN and infinite values are invalid.
        restore: Converts colour (3, h, w) or gray (1, h, w), float32 in [0, 1], to the kind of the input.
    """

    nir: Floats
    valid: Mask | None
    restore: Callable[[Floats], Any]


class ArrayOptions(NamedTuple):
    """The caller's statements about the values; see `Colorizer.colorize`."""

    scale: float | None = None
    offset: float | None = None
    reflectance: bool | None = None


def is_pil_image(image: object) -> bool:
    """Whether an object is a PIL image; Pillow need not be installed."""
    return all(hasattr(image, name) for name in ("mode", "size", "convert", "getbands"))


def to_pixels(
    image: Any,
    card: Card,
    valid: Mask | None = None,
    scale: float | None = None,
    offset: float | None = None,
    reflectance: bool | None = None,
) -> Pixels:
    """Convert an image in memory to a model's input; see `Colorizer.colorize` for the rules.

    Raises:
        NircolorError: The image has an unsupported type, shape or range for this model.
    """
    given = ArrayOptions(scale, offset, reflectance)
    if is_pil_image(image):
        return _from_pil(image, card, valid, given)
    if not isinstance(image, np.ndarray):
        raise NircolorError(
            f"image: expected a NumPy array or a PIL image, got {type(image).__name__}; "
            "files are colorized by Colorizer.colorize_file"
        )
    if image.dtype.kind == "f":
        pixels = Pixels(_floats(image, card, given), valid, _as_floats)
    elif image.dtype in (np.uint8, np.uint16):
        pixels = _from_integers(image, card, valid, given)
    else:
        raise NircolorError(f"image: expected an array of floats, uint8 or uint16, got {image.dtype}")
    return _checked(pixels)


def _floats(image: Array, card: Card, given: ArrayOptions) -> Floats:
    """Check a (bands, h, w) float array."""
    bands = len(card.bands)
    if image.ndim != 3 or len(image) != bands or 0 in image.shape:
        raise NircolorError(
            f"image: expected floats of shape ({bands}, height, width), "
            f"{describe_bands(card.bands)} for model {card.name}, got {image.shape}"
        )
    if given.scale is None:
        finite = image[np.isfinite(image)]
        if finite.size and finite.max() > 1 + _ROUNDING:
            raise NircolorError(
                f"image: expected floats in [0, 1], got values up to {finite.max():g}; "
                "pass the value that means 1.0 as scale, or clip the array"
            )
    return _scaled(image, card, given)


def _scaled(image: Array, card: Card, given: ArrayOptions) -> Floats:
    """Scale and encode an array (bands, h, w) as a file's values are, by the same rule; NaN stays NaN."""
    try:
        scale = choose("image", image.dtype, len(image), **given._asdict())
    except NircolorError as error:
        raise NircolorError(_as_keywords(str(error))) from None
    values = Values(Path("image"), image.dtype, scale)
    problem = values.error(card.encoding, f"model {card.name}")
    if problem is not None:
        raise NircolorError(_as_keywords(problem))
    nir = scale.apply(image, range(len(image)))
    return encode_srgb(nir) if values.is_encoded_for(card.encoding) else nir


def _as_keywords(message: str) -> str:
    """Return a message with keyword arguments in place of the options of the command line."""
    message = re.sub(r"--(scale|offset) (-?[\d.]+)", r"\1=\2", message)
    message = message.replace("--no-reflectance", "reflectance=False").replace(
        "--reflectance", "reflectance=True"
    )
    return re.sub(r"--(scale|offset)", r"\1", message).replace("; give ", "; pass ")


def _from_integers(image: Array, card: Card, valid: Mask | None, given: ArrayOptions) -> Pixels:
    """Convert a uint8 or uint16 array (h, w) or (h, w, channels)."""
    planes = image[:, :, None] if image.ndim == 2 else image
    bands = len(card.bands)
    if planes.ndim != 3 or 0 in planes.shape:
        raise NircolorError(
            "image: expected integers of shape (height, width) or (height, width, channels), "
            f"got {image.shape}"
        )
    channels = planes.shape[2]
    if channels != bands and not (bands == 1 and channels == 3):
        hint = "; pass an alpha channel as valid" if channels in (bands + 1, 4) else ""
        if len(planes) in (1, bands, 3):
            hint = "; arrays of shape (bands, height, width) must be floats in [0, 1]"
        raise NircolorError(
            f"image: expected {count_of(bands, 'channel')} in the last axis, "
            f"{describe_bands(card.bands)} for model {card.name}, got {image.shape}{hint}"
        )
    nir = _scaled(np.moveaxis(planes, 2, 0), card, given)
    if given.scale is None and card.encoding == "gamma":
        _warn_if_dark(image)
    if channels != bands:
        if (planes[:, :, :1] != planes).any():
            warnings.warn(
                "image: looks like a colour photograph, not near-infrared (its channels differ); "
                "the mean of its channels is colorized",
                NircolorWarning,
                stacklevel=4,
            )
            nir = nir.mean(0, keepdims=True)
        else:
            nir = nir[:1]
    return Pixels(nir, valid, lambda rgb: _to_integers(rgb, image.dtype))


def _from_pil(image: Any, card: Card, valid: Mask | None, given: ArrayOptions) -> Pixels:
    """Convert a PIL image: alpha becomes validity, and the result is a PIL image in RGB or RGBA."""
    from PIL import Image

    if image.mode in ("1", "P", "PA"):
        image = image.convert("RGBA" if image.mode == "PA" or "transparency" in image.info else "RGB")
    if image.mode not in _PIL_MODES:
        raise NircolorError(
            f"image: expected a PIL image of mode {', '.join(_PIL_MODES)}, got {image.mode}; convert it first"
        )
    array = np.asarray(image)
    alpha: Array | None = None
    if image.mode in ("LA", "RGBA"):
        array, alpha = array[:, :, :-1], array[:, :, -1]
        opaque = alpha > 0
        valid = opaque if valid is None else opaque & (valid != 0)
    if image.mode == "F":
        pixels = Pixels(_floats(array[None], card, given), valid, lambda rgb: rgb)
    else:
        pixels = _from_integers(array, card, valid, given)

    def restore(rgb: Floats) -> Any:
        colour = _to_integers(rgb, np.dtype(np.uint8))
        return Image.fromarray(colour if alpha is None else np.dstack([colour, alpha]))

    return _checked(Pixels(pixels.nir, pixels.valid, restore))


def _checked(pixels: Pixels) -> Pixels:
    shape = pixels.nir.shape[1:]
    valid = np.isfinite(pixels.nir).all(0)
    if pixels.valid is not None:
        if np.shape(pixels.valid) != shape:
            raise NircolorError(
                f"valid: expected the shape {shape} of the image, got {np.shape(pixels.valid)}"
            )
        valid &= np.asarray(pixels.valid) != 0
    if not valid.any():
        raise NircolorError("image: expected a valid pixel, got only NaN, infinite or masked ones")
    return pixels


def _as_floats(values: Floats) -> Floats:
    """(3, h, w) as it is, (1, h, w) as (h, w)."""
    return values if len(values) > 1 else values[0]


def _to_integers(rgb: Floats, dtype: np.dtype[Any]) -> Array:
    """(3, h, w) in [0, 1] to (h, w, 3), or (1, h, w) to (h, w), over the whole range of an integer type."""
    # rounded as in files
    scaled = np.moveaxis(rgb, 0, 2) * np.float32(np.iinfo(dtype).max) + np.float32(0.5)
    integers = np.ascontiguousarray(scaled.astype(dtype))
    return integers if len(rgb) > 1 else integers[:, :, 0]


def _warn_if_dark(image: Array) -> None:
    if image.dtype.itemsize > 1 and 0 < int(image.max()) < 2**14:
        warnings.warn(
            f"image: {image.dtype} without a value of 16384 or more reads as very dark; pass the value that "
            "means 1.0: scale=4095 for a camera of 12 bits (1023 for 10, 16383 for 14, 255 for 8)",
            NircolorWarning,
            stacklevel=5,
        )
