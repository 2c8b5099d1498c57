"""Camera raw files (CR2, CR3, NEF, ARW, RAF, ORF, RW2, DNG, …), developed by LibRaw (rawpy, extra ``raw``).

The mosaic of coloured filters is interpolated, and encoded like the JPEGs that cameras write, so that models
of photographs get what they expect. There are three ways to read the colours:

- "colour": with the camera's white balance, in sRGB, as a photograph;
- "channels": as the sensor records them. White balance and the colour matrix of visible light mean nothing in
  near-infrared, and would clip channels or mix them. Each channel is brought to the level of the brightest
  one by a single factor, as an automatic white balance does;
- "mean": the mean of the sensor's channels, before the curve, as one band. Near-infrared passes all filters,
  and the plain sum of what they collect has the least noise.

Brightness follows a fixed rule. By ISO 12232 a sensor is exposed such that what the meter takes for 18% gray
lies at 12.7% of saturation; a JPEG has it at 18%. `_developed` brings the one to the other and keeps white
white. A DNG may state how much more its camera underexposes (BaselineExposure).
"""

import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np

from nircolor.arrays import Array, Floats
from nircolor.errors import NircolorError
from nircolor.extras import require
from nircolor.imagery.files import tiff
from nircolor.imagery.files.raw_samples import Samples
from nircolor.imagery.stored import check_pixels
from nircolor.imagery.values.reflectance import encode_srgb
from nircolor.memory import available_bytes

Colours = Literal["colour", "channels", "mean"]

# brightening of dark tones: x = 0.127 becomes 0.18
_BRIGHTENING = 1.5
_BASELINE_EXPOSURE, _LARGEST_EXPOSURE = 50730, 5.0
# bytes at the peak for each pixel: the mosaic, LibRaw's four channels and its result; then result and copies
_BYTES_PER_PIXEL = 18
# a channel is brought to the level of the brightest one by at most this factor: beyond, it is mostly noise
_LARGEST_GAIN = 4.0
# cells of the mosaic from which the response of the channels is taken, on a side; values from this share of
# the range on may be clipped, and darker ones are mostly noise
_CELLS, _CLIPPED, _DARK, _MIN_CELLS = 256, 0.95, 0.002, 16
# near-infrared in the channels of a sensor: the same structure, and red and blue nearly as bright as green.
# In daylight, red is about half of green; in the light of lamps, blue is
_MIN_CORRELATION, _MIN_RED, _MIN_BLUE = 0.95, 0.85, 0.6
# a hot pixel, as in darktable: this many times as bright as its neighbours of the same colour, and no shadow
_HOT, _HOT_LEVEL = 4, 0.05
_LARGEST, _STRIP_ROWS, _MAX_PAGES = 65535, 512, 16
# LibRaw's interpolation of X-Trans refuses images that are smaller than a tile
_X_TRANS_TILE = 512
# EXIF orientation by the bits of LibRaw's flip: mirrored, upside down, transposed
_ORIENTATIONS = (1, 2, 4, 3, 5, 8, 6, 7)
_DAMAGED = "the image is damaged or cut off"
# one image at a time is developed: the memory of several would add up
_developing = threading.Lock()


@dataclass(frozen=True)
class _Sensor:
    """Levels of a sensor, and what its channels show.

    Attributes:
        gains: factor that brings each channel to the level of the brightest.
        is_near_infrared: whether the channels look like near-infrared.
    """

    gains: tuple[float, ...]
    is_near_infrared: bool


def develop(path: Path, data: Path, colours: Colours, max_pixels: int | None = None) -> Samples:
    """Develop a camera raw file.

    Args:
        path: the path that error messages name.
        data: the file.
        colours: how the colours are read. "colour" of a file whose channels look like near-infrared becomes
            "channels". A monochrome sensor has one band in any case.
        max_pixels: largest height times width that is developed.

    Returns:
        16-bit samples of the area that the camera's own JPEG shows, as stored: `Samples.orientation` is to be
        applied. `Samples.camera_raw` tells "near-infrared" from other images.

    Raises:
        NircolorError: rawpy is missing, the file is damaged or cut off, LibRaw does not know its format or
            camera, or memory does not suffice.
    """
    require("rawpy", extra="raw", what=f"{path}: a camera raw file")
    if _is_cut_off(data):
        raise NircolorError(f"{path}: {_DAMAGED}")
    with _opened(path, data) as raw:
        sizes = raw.sizes
        size = int(sizes.raw_height), int(sizes.raw_width)
        check_pixels(path, size, int(raw.num_colors), data.stat().st_size, max_pixels)
        needed, free = size[0] * size[1] * _BYTES_PER_PIXEL, available_bytes()
        if needed > free:
            raise NircolorError(
                f"{path}: developing {size[1]} x {size[0]} pixels takes {needed / 2**30:.1f} GiB of memory, "
                f"of which {free / 2**30:.1f} GiB are free"
            )
        with _developing:
            mosaic = raw.raw_image_visible
            if mosaic.ndim == 2 and _is_empty(mosaic[-1], raw):
                raise NircolorError(f"{path}: {_DAMAGED} (its last row is empty)")
            sensor = _sensor(raw)
            if mosaic.ndim == 2 and raw.raw_pattern.shape[0] <= 2:
                black, white = max(raw.black_level_per_channel), raw.white_level or _LARGEST
                _repair(mosaic, raw.raw_pattern.shape[0], black, white)
            if sensor.is_near_infrared and colours == "colour":
                colours = "channels"
            linear = _cropped(_postprocessed(raw, colours), sizes)
    return Samples.of_planes(
        _encoded(linear, colours, sensor.gains, _baseline_exposure(data)),
        orientation=_ORIENTATIONS[sizes.flip & 7],
        camera_raw="near-infrared" if sensor.is_near_infrared else "colour",
    )


@contextmanager
def _opened(path: Path, data: Path) -> Iterator[Any]:
    """Open a file with LibRaw; its errors, also those of the block, become `NircolorError`."""
    import rawpy

    damaged = (rawpy.LibRawIOError, rawpy.LibRawDataError, rawpy.LibRawBadCropError)
    large = (rawpy.LibRawTooBigError, rawpy.LibRawUnsufficientMemoryError, rawpy.LibRawMemPoolOverflowError)
    try:
        with rawpy.imread(str(data)) as raw:
            yield raw
    except rawpy.LibRawFileUnsupportedError as error:
        version = ".".join(map(str, rawpy.libraw_version))
        raise NircolorError(
            f"{path}: expected camera raw that LibRaw {version} reads, got a damaged file, an unknown camera "
            "or another format; try a newer rawpy, or convert to DNG"
        ) from error
    except damaged as error:
        raise NircolorError(f"{path}: {_DAMAGED}") from error
    except (*large, MemoryError) as error:
        raise NircolorError(f"{path}: the image is too large to be developed") from error
    except (rawpy.LibRawError, rawpy.NotSupportedError) as error:
        reason = error.args[0] if error.args else type(error).__name__
        text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise NircolorError(f"{path}: cannot be developed ({text})") from error


def _is_cut_off(data: Path) -> bool:
    """Return whether a file ends before the pixels that its directories list.

    Some decoders of LibRaw go on without an error where data end.
    """
    length = data.stat().st_size
    with data.open("rb") as file:
        start = file.read(108)
        if start[4:12] == b"ftypcrx ":
            return _last_box_end(file, length) > length
        if start.startswith(b"FUJIFILMCCD-RAW") and len(start) == 108:
            return sum(struct.unpack(">II", start[100:108])) > length
        file.seek(0)
        try:
            reader = tiff.TiffTags(file, places=True)
            pages = [tags for _, tags in reader.pages(_MAX_PAGES)]
            below = [
                offset for tags in pages for offset in _numbers(tags, tiff.SUB_IFDS)[:_MAX_PAGES] if offset
            ]
            pages += [reader.directory(offset)[0] for offset in below]
        except (OSError, ValueError):  # another format, or damaged: LibRaw says so
            return False
    is_cr2 = start[8:10] == b"CR"
    return any(
        offset + size > length
        for tags in pages
        if is_cr2 or tags.get(tiff.PHOTOMETRIC) in (tiff.CFA, tiff.LINEAR_RAW)
        for places, sizes in ((273, 279), (324, 325))
        for offset, size in zip(_numbers(tags, places), _numbers(tags, sizes), strict=False)
    )


def _is_empty(row: Array, raw: Any) -> bool:
    """Return whether a row of a mosaic is what a decoder leaves where data are damaged: without any noise.

    LibRaw tells damaged data on standard error alone, and fills the rest with zeros or with one value. Noise
    is around the black level, and only what is black or clipped can be without.
    """
    if len(raw.raw_pattern) == 1 or row.size < _MIN_CELLS:
        return False
    black, white = raw.black_level_per_channel, float(raw.white_level or _LARGEST)
    constant = all((one == one[0]).all() for one in (row[::2], row[1::2]))
    brightest, darkest = int(row.max()), int(row.min())
    return constant and (brightest < min(black) or max(black) < darkest <= brightest < _CLIPPED * white)


def _numbers(tags: tiff.Tags, tag: int) -> tuple[int, ...]:
    values = tags.get(tag, ())
    return values if isinstance(values, tuple) else ()


def _last_box_end(file: BinaryIO, length: int) -> int:
    """Return where the last box of a CR3 ends (ISO 14496-12)."""
    at = 0
    while at + 8 <= length:
        file.seek(at)
        head = file.read(16).ljust(16, b"\0")
        size = struct.unpack(">I", head[:4])[0]
        if size == 1:
            size = struct.unpack(">Q", head[8:])[0]
        if size < 8:  # up to the end of the file, or damaged
            break
        at += size
    return at


def _postprocessed(raw: Any, colours: Colours) -> Array:
    """Return linear samples (h, w, channels), uint16: the black level is 0, the white level 65535."""
    import rawpy

    # without a white balance, LibRaw would take that of daylight
    balance: dict[str, Any] = {"user_wb": [1, 1, 1, 1], "output_color": rawpy.ColorSpace.raw}
    if colours == "colour":
        balance = {"use_camera_wb": True, "output_color": rawpy.ColorSpace.sRGB}
    options = {"gamma": (1, 1), "output_bps": 16, "user_flip": 0, **balance}
    # both would depend on the brightest pixels of the image
    options |= {"no_auto_bright": True, "adjust_maximum_thr": 0.0}
    is_small = min(raw.sizes.height, raw.sizes.width) <= _X_TRANS_TILE
    if is_small and raw.raw_pattern is not None and len(raw.raw_pattern) == 6:
        options["demosaic_algorithm"] = rawpy.DemosaicAlgorithm.LINEAR
    developed: Array = raw.postprocess(**options)
    return developed if developed.ndim == 3 else developed[:, :, None]


def _cropped(image: Array, sizes: Any) -> Array:
    """Cut the image (h, w, channels) to the area that the file states, which the camera's JPEG shows."""
    top, left = sizes.crop_top_margin - sizes.top_margin, sizes.crop_left_margin - sizes.left_margin
    height, width = sizes.crop_height, sizes.crop_width
    is_stated = min(height, width) > 0 and image.shape[:2] == (sizes.height, sizes.width)
    inside = 0 <= top <= sizes.height - height and 0 <= left <= sizes.width - width
    return image[top : top + height, left : left + width] if is_stated and inside else image


def _sensor(raw: Any) -> _Sensor:
    """Compare the channels of a sensor over cells of its mosaic, without those that are clipped or dark."""
    names = raw.color_desc.decode("latin-1")
    channels = int(raw.num_colors)
    if channels == 1:
        return _Sensor((1.0,), is_near_infrared=False)
    black = np.array(raw.black_level_per_channel, np.float32)
    white = float(raw.white_level or _LARGEST)
    visible = raw.raw_image_visible
    if visible.ndim == 3:
        step = max(1, max(visible.shape) // _CELLS)
        seen = visible[::step, ::step, :channels].reshape(-1, channels).T
        highest, cells = seen.max(0), seen - black[:channels, None]
    else:
        # of Bayer and X-Trans; few sensors have another
        period = 12 if 12 % len(raw.raw_pattern) == 0 else len(raw.raw_pattern)
        colours = raw.raw_colors_visible[:period, :period]
        seen = _cells(visible, period)
        # the second green of "RGBG" is a green
        chosen = [
            np.isin(colours, [i for i, name in enumerate(names) if name == channel]).ravel()
            for channel in names[:channels]
        ]
        levels = black[colours].ravel()
        highest = seen.max(1)
        cells = np.stack([seen[:, one].mean(1) - levels[one].mean() for one in chosen])
    top = white - float(black.min())
    brightest = cells.max(0)
    cells = cells[:, (highest < black.min() + _CLIPPED * top) & (brightest > _DARK * top)]
    means = np.asarray(cells.mean(1) if cells.shape[1] >= _MIN_CELLS else np.zeros(channels), np.float32)
    if means.min() <= 0:
        return _Sensor((1.0,) * channels, is_near_infrared=False)
    gains = tuple(min(_LARGEST_GAIN, float(means.max() / mean)) for mean in means)
    is_rgb = names[:channels] == "RGB"
    return _Sensor(gains, is_rgb and _is_near_infrared(cells, means))


def _cells(mosaic: Array, period: int) -> Array:
    """Return the values (cells, period * period) of periods of a mosaic, some `_CELLS` on a side."""
    rows, columns = mosaic.shape[0] // period, mosaic.shape[1] // period
    step = max(1, max(rows, columns) // _CELLS)
    inside = np.arange(period)
    y, x = ((np.arange(0, count, step)[:, None] * period + inside).ravel() for count in (rows, columns))
    values = mosaic[y][:, x].astype(np.float32)
    return values.reshape(len(y) // period, period, -1, period).transpose(0, 2, 1, 3).reshape(-1, period**2)


def _is_near_infrared(cells: Floats, means: Floats) -> bool:
    if not (cells.std(1) > 0).all():
        return False
    correlations = np.asarray(np.corrcoef(cells))[1, [0, 2]]
    red, green, blue = means
    return bool(
        (correlations >= _MIN_CORRELATION).all() and red >= _MIN_RED * green and blue >= _MIN_BLUE * green
    )


def _repair(mosaic: Array, step: int, black: float, white: float) -> None:
    """Replace hot pixels, in place, by the brightest of the four neighbours of their colour.

    Args:
        mosaic: (h, w) of the sensor.
        step: distance of these neighbours: 1 without colours, 2 in a Bayer pattern.
        black, white: levels.
    """
    height, width = mosaic.shape
    if min(height, width) <= 2 * step:
        return
    level = black + _HOT_LEVEL * (white - black)
    for top in range(step, height - step, _STRIP_ROWS):
        end = min(top + _STRIP_ROWS, height - step)
        strip = mosaic[top - step : end + step].astype(np.int32)
        inner = strip[step:-step, step:-step]
        highest = np.maximum(strip[: -2 * step, step:-step], strip[2 * step :, step:-step])
        np.maximum(highest, strip[step:-step, : -2 * step], out=highest)
        np.maximum(highest, strip[step:-step, 2 * step :], out=highest)
        hot = (inner > level) & (inner - black > _HOT * (highest - black))
        mosaic[top:end, step : width - step][hot] = highest[hot]


def _baseline_exposure(data: Path) -> float:
    """Return the brightening that a DNG states, in factors of two; 0 where there is none."""
    try:
        with data.open("rb") as file:
            reader = tiff.TiffTags(file)
            value = reader.entries(reader.first)[0].get(_BASELINE_EXPOSURE)
            if value is None or value.kind != 10 or not value.is_complete:
                return 0.0
            top, bottom = struct.unpack(reader.order + "2i", value.raw[:8])
            return float(np.clip(top / bottom, -_LARGEST_EXPOSURE, _LARGEST_EXPOSURE))
    except (OSError, ValueError, ZeroDivisionError):
        return 0.0


def _encoded(linear: Array, colours: Colours, gains: tuple[float, ...], exposure: float) -> Array:
    """Encode linear samples (h, w, channels) like a photograph: (bands, h, w) uint16."""
    height, width, channels = linear.shape
    factors = gains if colours != "colour" and len(gains) == channels else (1.0,) * channels
    if colours == "mean":
        # the sum of all channels relative to that of a white which clips the brightest one
        factors = (channels / sum(1 / gain for gain in factors),)
    curves = [_developed(factor, exposure) for factor in factors]
    planes = np.empty((len(curves), height, width), np.uint16)
    for top in range(0, height, _STRIP_ROWS):
        strip = linear[top : top + _STRIP_ROWS]
        if colours == "mean":
            strip = np.rint(strip.mean(2, dtype=np.float32)).astype(np.uint16)[:, :, None]
        for band, curve in enumerate(curves):
            planes[band, top : top + _STRIP_ROWS] = curve[strip[:, :, band]]
    return planes


def _developed(factor: float, exposure: float) -> Array:
    """Return the encoded value of each linear one, (65536,) uint16."""
    values = np.minimum(factor * np.arange(65536) / 65535, 1)
    brightening = _BRIGHTENING * 2**exposure
    toned = brightening * values / (1 + (brightening - 1) * values)
    return np.rint(65535 * encode_srgb(toned.astype(np.float32))).astype(np.uint16)
