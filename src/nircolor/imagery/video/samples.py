"""Samples of video frames to gray values and back: bit depth, range and matrix of YCbCr (ITU-T H.273)."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from nircolor.arrays import Array, Floats
from nircolor.errors import NircolorError

# the weights of red and blue in luma, by H.273's number of the matrix
_WEIGHTS = {1: (0.2126, 0.0722), 4: (0.30, 0.11), 5: (0.299, 0.114), 6: (0.299, 0.114), 7: (0.212, 0.087),
            9: (0.2627, 0.0593), 10: (0.2627, 0.0593)}  # fmt: skip
BT709, BT601 = 1, 6
_LIMITED, _FULL = 1, 2
# formats whose planes are read as they are, without their alpha; others are unpacked first
_PLANAR = ("gray", "yuv4", "yuva4", "yuvj4", "gbrp", "gbrap")
# of other byte order, or with the bits at the other end of 16
_TURNED = ("be", "msble")
_UNPACKED = {"nv12": "yuv420p", "nv21": "yuv420p", "nv16": "yuv422p", "nv24": "yuv444p",
             "p010le": "yuv420p10le",
             "yuyv422": "yuv422p", "uyvy422": "yuv422p", "yvyu422": "yuv422p", "ya8": "gray",
             "monob": "gray", "monow": "gray"}  # fmt: skip
# as for images, channels that differ by no more than this are gray, up to the rounding of compression;
# coloured overlays such as a logo may cover less than this share of a frame
_GRAY_TOLERANCE, _COLOURED_SHARE = 8 / 255, 0.1


@dataclass(frozen=True)
class Levels:
    """Integers that mean 0 and 1 in a sample, and the weights of the colours in luma.

    Attributes:
        depth: bits per sample.
        is_full: the whole range of the integers is used (0 to 255), instead of 16 to 235.
        matrix: number of the matrix in H.273.

    Example:
        >>> Levels(8, is_full=False).black, Levels(8, is_full=False).white, Levels(10, is_full=False).white
        (16, 235, 940)
    """

    depth: int
    is_full: bool
    matrix: int = BT709

    @property
    def black(self) -> int:
        """Luma of black."""
        return 0 if self.is_full else 16 << (self.depth - 8)

    @property
    def white(self) -> int:
        """Luma of white."""
        return (1 << self.depth) - 1 if self.is_full else 235 << (self.depth - 8)

    @property
    def chroma_span(self) -> int:
        """Difference between the largest and the smallest regular value of chroma."""
        return (1 << self.depth) - 1 if self.is_full else 224 << (self.depth - 8)


@dataclass(frozen=True)
class GrayFrame:
    """Near-infrared values of a frame.

    Attributes:
        nir: (h, w) in [0, 1].
        levels: how they were stored.
        is_coloured: the three channels differ; ``nir`` is their mean then.
    """

    nir: Floats
    levels: Levels
    is_coloured: bool


def bit_depth(name: str, format_name: str, component_bits: int) -> int:
    """Return 8 or 10, or raise `NircolorError` for samples of more bits."""
    if component_bits <= 8:
        return 8
    if component_bits <= 10:
        return 10
    raise NircolorError(
        f"{name}: expected a video of 8 or 10 bits per sample, got {component_bits} ({format_name}); "
        "convert it with ffmpeg -pix_fmt gray10le, or extract its frames as 16-bit PNG images"
    )


def read_gray(name: str, frame: Any) -> GrayFrame:
    """Convert a decoded frame to near-infrared values.

    Luma is scaled by the range that the frame states; without a statement gray and RGB formats use the full
    range and YCbCr the limited one, as in FFmpeg. Of channels that differ, the mean is taken, as for images.

    Args:
        name: file, for messages.
        frame: ``av.VideoFrame``.
    """
    format_name = frame.format.name
    depth = bit_depth(name, format_name, max(component.bits for component in frame.format.components))
    if not format_name.startswith(_PLANAR) or format_name.endswith(_TURNED):
        is_rgb = frame.format.is_rgb or format_name == "pal8"
        end = "" if depth == 8 else "10le"
        default = (
            f"gbrp{end}" if is_rgb else f"gray{end}" if format_name.startswith("gray") else f"yuv444p{end}"
        )
        # the range stays: FFmpeg would convert gray to the full one
        stated = frame.color_range if frame.color_range in (_LIMITED, _FULL) and not is_rgb else None
        frame = frame.reformat(
            format=_UNPACKED.get(format_name, default), src_color_range=stated, dst_color_range=stated
        )
        format_name = frame.format.name
    bits = frame.format.components[0].bits
    planes = [_plane(plane, bits) for plane in frame.planes[:3]]
    if format_name.startswith("gb"):
        levels = Levels(bits, is_full=True)
        channels = np.stack(planes).astype(np.float32) / levels.white
        spread = channels.max(0) - channels.min(0)
        if np.mean(spread > _GRAY_TOLERANCE) > _COLOURED_SHARE:
            return GrayFrame(channels.mean(0), levels, is_coloured=True)
        return GrayFrame(channels[0], levels, is_coloured=False)
    is_full = format_name.startswith("yuvj") or frame.color_range == _FULL
    if format_name.startswith("gray") and frame.color_range not in (_LIMITED, _FULL):
        is_full = True
    matrix = frame.colorspace if frame.colorspace in _WEIGHTS else BT709 if frame.height >= 720 else BT601
    levels = Levels(bits, is_full, matrix)
    nir = (planes[0].astype(np.float32) - levels.black) / (levels.white - levels.black)
    is_coloured = False
    if len(planes) == 3:
        # the mean of red, green and blue is luma plus a weighted sum of the colour differences
        cb, cr = ((plane.astype(np.float32) - (1 << (bits - 1))) / levels.chroma_span for plane in planes[1:])
        spread = 1.8 * np.maximum(np.abs(cb), np.abs(cr))
        is_coloured = bool(np.mean(spread > _GRAY_TOLERANCE) > _COLOURED_SHARE)
        if is_coloured:
            red, blue = _WEIGHTS[matrix]
            green = 1 - red - blue
            added = (2 * (1 - blue) * (1 - blue / green) * cb + 2 * (1 - red) * (1 - red / green) * cr) / 3
            nir += _enlarged(added, nir.shape)
    return GrayFrame(np.clip(nir, 0, 1), levels, is_coloured)


def fill_ycbcr(frame: Any, rgb: Floats, levels: Levels) -> None:
    """Write colours into a planar YCbCr frame; chroma is averaged where the format stores less of it.

    Args:
        frame: ``av.VideoFrame`` in a format such as yuv420p or yuv444p10le.
        rgb: (3, h, w) in [0, 1].
        levels: range and matrix.
    """
    red, blue = _WEIGHTS[levels.matrix]
    luma = red * rgb[0] + (1 - red - blue) * rgb[1] + blue * rgb[2]
    across, down = frame.width // frame.planes[1].width, frame.height // frame.planes[1].height
    _fill(frame.planes[0], levels.black + luma * (levels.white - levels.black), levels.depth)
    for plane, channel, weight in ((frame.planes[1], rgb[2], blue), (frame.planes[2], rgb[0], red)):
        difference = (channel - luma) / (2 * (1 - weight))
        if (across, down) != (1, 1):
            height, width = plane.height * down, plane.width * across
            difference = difference[:height, :width]
            difference = difference.reshape(plane.height, down, plane.width, across).mean((1, 3))
        _fill(plane, (1 << (levels.depth - 1)) + difference * levels.chroma_span, levels.depth)


def fill_rgb(frame: Any, rgb: Floats, depth: int) -> None:
    """Write colours (3, h, w) in [0, 1] into a frame in gbrp, gbrp10le or bgr0."""
    if frame.format.name == "bgr0":
        row = np.frombuffer(frame.planes[0], np.uint8).reshape(frame.height, -1)
        pixels = row[:, : 4 * frame.width].reshape(frame.height, frame.width, 4)
        pixels[:, :, :3] = np.moveaxis(np.rint(rgb[::-1] * 255), 0, 2)
        pixels[:, :, 3] = 255
        return
    for plane, channel in zip(frame.planes, (rgb[1], rgb[2], rgb[0]), strict=True):
        _fill(plane, channel * ((1 << depth) - 1), depth)


def _plane(plane: Any, bits: int) -> Array:
    """View a plane as (h, w)."""
    samples = np.frombuffer(plane, np.uint8 if bits <= 8 else np.uint16)
    return samples.reshape(plane.height, -1)[:, : plane.width]


def _fill(plane: Any, values: Floats, bits: int) -> None:
    np.clip(np.rint(values), 0, (1 << bits) - 1, out=_plane(plane, bits), casting="unsafe")


def _enlarged(values: Floats, shape: tuple[int, ...]) -> Floats:
    """Repeat chroma (h, w) up to the size of luma."""
    down, across = -(-shape[0] // values.shape[0]), -(-shape[1] // values.shape[1])
    return values.repeat(down, 0).repeat(across, 1)[: shape[0], : shape[1]]
