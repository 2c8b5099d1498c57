"""Files of plain samples behind a short header: NumPy (.npy), PGM and PPM, and BMP with 32 bits per pixel.

GDAL reads no .npy and no PGM as text, drops the largest value that a PGM states, and mixes up the channels of
some BMPs. It can read the samples where a VRT describes how they are stored, which this module writes.
"""

import re
import struct
import warnings
from dataclasses import dataclass
from html import escape
from itertools import accumulate
from math import prod
from operator import mul
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from rasterio.io import MemoryFile

from nircolor.arrays import Array
from nircolor.errors import NircolorError
from nircolor.imagery.gdal import MAX_BANDS, open_dataset

# formats of which some files or all are read like this
SAMPLE_DRIVERS = ("NumPy", "PNM", "BMP")
# item of `Samples.camera_raw` among the dataset's tags of the structure
CAMERA_RAW_ITEM = "CAMERA_RAW"
_GDAL_TYPES = {
    "u1": "Byte", "i1": "Int8", "u2": "UInt16", "i2": "Int16", "u4": "UInt32", "i4": "Int32", "u8": "UInt64",
    "i8": "Int64", "f4": "Float32", "f8": "Float64",
}  # fmt: skip
_RGBA = ("Red", "Green", "Blue", "Alpha")
_MAX_HEADER_BYTES = 1 << 16
# of text and half-precision floats, which are held in memory
_MAX_CONVERTED_BYTES = 128 << 20


@dataclass(frozen=True)
class Samples:
    """Place of the samples in a file.

    Attributes:
        dtype: type of a sample, with byte order.
        shape: (bands, h, w).
        strides: bytes from one band, row and column to the next; negative for rows from the bottom up.
        offsets: byte of the first sample of each band.
        top: largest possible value, where the file states it.
        is_rgb: whether the bands are red, green, blue and possibly alpha.
        orientation: EXIF orientation to apply. 5 swaps rows and columns: GDAL reads whole rows, which would
            be most of a NumPy file whose rows are not contiguous.
        content: the samples in memory, where those in the file are text or half-precision floats, or have to
            be developed.
        camera_raw: of a developed camera raw file, what its channels show, "near-infrared" or "colour".
    """

    dtype: np.dtype[Any]
    shape: tuple[int, int, int]
    strides: tuple[int, int]
    offsets: tuple[int, ...]
    top: int | None = None
    is_rgb: bool = False
    orientation: int = 1
    content: bytes | Array | None = None
    camera_raw: str | None = None

    @classmethod
    def of_planes(cls, planes: Array, **others: Any) -> "Samples":
        """Describe samples in memory, (bands, h, w), of which three bands are red, green and blue."""
        bands, height, width = planes.shape
        step = planes.dtype.itemsize
        offsets = tuple(step * height * width * band for band in range(bands))
        return cls(
            planes.dtype,
            planes.shape,
            (step * width, step),
            offsets,
            is_rgb=bands == 3,
            content=planes,
            **others,
        )

    def open(self, data: Path) -> Any:
        """Open the samples of the file ``data`` as a rasterio dataset; use inside `gdal_for`."""
        if self.content is None:
            return open_dataset(self._vrt(str(data)), driver="VRT")
        # written, so that GDAL has a copy of its own, which it keeps until the dataset is closed
        with MemoryFile() as memory:
            if isinstance(self.content, bytes):
                memory.write(self.content)
            else:
                for row in self.content.reshape(-1, self.content.shape[-1]):  # no copy of the whole
                    memory.write(row.tobytes())
            return open_dataset(self._vrt(memory.name), driver="VRT")

    def _vrt(self, data: str) -> str:
        _, height, width = self.shape
        kind = _GDAL_TYPES[self.dtype.str[1:]]
        largest = f'<MDI key="MAXVAL">{self.top}</MDI>' if self.top else ""
        order = "MSB" if self.dtype.byteorder == ">" else "LSB"
        bands = "".join(
            f'<VRTRasterBand dataType="{kind}" band="{band}" subClass="VRTRawRasterBand">'
            + (f"<ColorInterp>{_RGBA[band - 1]}</ColorInterp>" if self.is_rgb else "")
            + f'<Metadata domain="IMAGE_STRUCTURE">{largest}</Metadata>'
            f'<SourceFilename relativeToVRT="0">{escape(data, quote=False)}</SourceFilename>'
            f"<ImageOffset>{offset}</ImageOffset><PixelOffset>{self.strides[1]}</PixelOffset>"
            f"<LineOffset>{self.strides[0]}</LineOffset><ByteOrder>{order}</ByteOrder></VRTRasterBand>"
            for band, offset in enumerate(self.offsets, 1)
        )
        items = f'<MDI key="ORIENTATION">{self.orientation}</MDI>'
        if self.camera_raw is not None:
            items += f'<MDI key="{CAMERA_RAW_ITEM}">{self.camera_raw}</MDI>'
        content = f'<Metadata domain="IMAGE_STRUCTURE">{items}</Metadata>{bands}'
        return f'<VRTDataset rasterXSize="{width}" rasterYSize="{height}">{content}</VRTDataset>'


def find_samples(path: Path, data: Path, driver: str) -> Samples | None:
    """Find the samples of a file, and check that it is as long as its header says.

    Args:
        path: the path that error messages name.
        data: the file.
        driver: "NumPy", "PNM" or "BMP".

    Returns:
        Their place, or None for files that GDAL reads as they are: BMP of up to 24 bits per pixel.

    Raises:
        NircolorError: the file is cut off, or holds no image that can be read.
    """
    with data.open("rb") as file:
        samples = {"NumPy": _numpy, "PNM": _pnm}.get(driver, _bmp)(path, file)
    if samples is None:
        return None
    if min(samples.shape) < 1:
        raise NircolorError(f"{path}: holds no image, its shape is {samples.shape}")
    _, height, width = samples.shape
    rows, columns = samples.strides
    last = max(samples.offsets) + max(0, rows) * (height - 1) + columns * (width - 1) + samples.dtype.itemsize
    length = len(samples.content) if isinstance(samples.content, bytes) else data.stat().st_size
    if length < last:
        raise NircolorError(f"{path}: the file is cut off: expected {last} bytes, got {length}")
    return samples


def _numpy(path: Path, file: BinaryIO) -> Samples:
    """Read the header of a .npy file; no pickles."""
    try:
        version = np.lib.format.read_magic(file)
        read = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        with warnings.catch_warnings():  # of headers that Python 2 wrote
            warnings.simplefilter("ignore", UserWarning)
            shape, fortran, dtype = read(file, max_header_size=_MAX_HEADER_BYTES)
    # NumPy parses the header as Python source: exceptions of the tokenizer, of the parser and of dtype
    except Exception as error:
        raise NircolorError(f"{path}: the header of the NumPy file is damaged") from error
    is_half = dtype.str[1:] == "f2"
    if dtype.hasobject or dtype.names or dtype.str[1:] not in (*_GDAL_TYPES, "f2"):
        raise NircolorError(
            f"{path}: expected an array of integers or floats, got {dtype}; "
            "convert it, for example with astype('float32')"
        )
    start, content = file.tell(), None
    if is_half:
        values, needed = _rest(path, file), 2 * prod(shape)
        if not 0 <= needed <= len(values):
            raise NircolorError(f"{path}: the file is cut off: expected {needed} bytes, got {len(values)}")
        half = np.frombuffer(values[:needed], dtype)
        start, dtype, content = 0, np.dtype("<f4"), half.astype("<f4").tobytes()
    place = _places_of_axes(path, shape)
    if fortran:
        place = place[0], place[2], place[1]
    # not with NumPy, whose integers overflow
    steps = list(accumulate((dtype.itemsize, *(shape if fortran else shape[::-1])), mul))[:-1]
    strides = steps if fortran else steps[::-1]
    bands, height, width = (1 if axis is None else shape[axis] for axis in place)
    band_step = 0 if place[0] is None else strides[place[0]]
    if bands > MAX_BANDS:
        raise NircolorError(f"{path}: expected at most {MAX_BANDS} bands, the header claims {bands}")
    return Samples(
        dtype,
        (bands, height, width),
        (strides[place[1]], strides[place[2]]),
        tuple(start + band * band_step for band in range(bands)),
        # as images are held in arrays; bands in the first axis are spectral
        is_rgb=bands == 3 and place[0] == 2 and dtype.itemsize <= 2,
        orientation=5 if fortran else 1,
        content=content,
    )


def _places_of_axes(path: Path, shape: tuple[int, ...]) -> tuple[int | None, int, int]:
    """Return the axes of bands (None for one band), rows and columns."""
    if len(shape) == 2:
        return None, 0, 1
    if len(shape) == 3:
        first, middle, last = shape
        if 2 * last <= min(first, middle):
            return 2, 0, 1
        if 2 * first <= min(middle, last):
            return 0, 1, 2
    raise NircolorError(
        f"{path}: expected an array (h, w), (bands, h, w) or (h, w, bands) with at most half as many bands "
        f"as rows and columns, got {shape}; save it as GeoTIFF or ENVI"
    )


def _pnm(path: Path, file: BinaryIO) -> Samples:
    """Read the header of a PGM or PPM, binary (P5, P6) or as text (P2, P3)."""
    start = file.read(_MAX_HEADER_BYTES)
    gap = rb"(?:\s|#[^\r\n]*[\r\n])+"
    header = re.match(
        rb"P([2356])" + gap + rb"(\d{1,9})" + gap + rb"(\d{1,9})" + gap + rb"(\d{1,5})(?:#[^\r\n]*)?\s", start
    )
    if header is None:
        raise NircolorError(f"{path}: the header of the PGM or PPM is damaged")
    kind, width, height, top = (int(number) for number in header.groups())
    if not 0 < top < 1 << 16:
        raise NircolorError(f"{path}: expected a largest value of 1 to 65535, the header says {top}")
    bands = 1 if kind in (2, 5) else 3
    dtype = np.dtype("u1" if top < 256 else ">u2")
    step = bands * dtype.itemsize
    content = None
    if kind in (2, 3):
        file.seek(header.end())
        content = _numbers(path, _rest(path, file), top)[: bands * height * width].astype(dtype).tobytes()
    first = 0 if content is not None else header.end()
    return Samples(
        dtype,
        (bands, height, width),
        (width * step, step),
        tuple(first + band * dtype.itemsize for band in range(bands)),
        top,
        is_rgb=bands == 3,
        content=content,
    )


def _numbers(path: Path, text: bytes, top: int) -> Array:
    """Parse the numbers of a PGM or PPM as text, without comments."""
    text = re.sub(rb"#[^\r\n]*", b"", text)
    if re.search(rb"[^0-9\s]", text):
        raise NircolorError(f"{path}: the PGM or PPM holds other text than numbers")
    numbers = np.fromstring(text, np.int64, sep=" ") if text.strip() else np.zeros(0, np.int64)
    if len(numbers) and numbers.max() > top:
        raise NircolorError(
            f"{path}: expected numbers up to {top}, as the PGM or PPM says, got {numbers.max()}"
        )
    return numbers


def _rest(path: Path, file: BinaryIO) -> bytes:
    """Read the rest of a file whose samples are converted in memory."""
    content = file.read(_MAX_CONVERTED_BYTES + 1)
    if len(content) > _MAX_CONVERTED_BYTES:
        raise NircolorError(
            f"{path}: expected at most {_MAX_CONVERTED_BYTES >> 20} MiB of text or half-precision floats; "
            "save it as 16-bit TIFF"
        )
    return content


def _bmp(path: Path, file: BinaryIO) -> Samples | None:
    """Read the header of a BMP of 32 bits per pixel; None for others.

    GDAL ignores the masks that state the order of the channels, and refuses headers that can have alpha.
    """
    start = file.read(70)
    if len(start) < 34:
        return None
    offset, header, width, height, _, bits, compression = struct.unpack("<IIiiHHI", start[10:34])
    if header < 40 or bits != 32 or compression not in (0, 3, 6):
        return None
    masks = (0xFF0000, 0xFF00, 0xFF, 0)
    if compression and len(start) >= 70:
        masks = struct.unpack("<4I", start[54:70])
        if header < 56 and compression == 3:
            masks = (*masks[:3], 0)
    channels = [
        {0xFF << 8 * byte: byte for byte in range(4)}.get(mask) for mask in masks[: 4 if masks[3] else 3]
    ]
    if None in channels:
        raise NircolorError(f"{path}: BMP with channels of other than 8 bits is not read; save as PNG")
    # rows are stored from the bottom up unless the height is negative
    first, rows = (0, 4 * width) if height < 0 else (4 * width * (height - 1), -4 * width)
    offsets = tuple(offset + first + byte for byte in channels if byte is not None)
    if len(offsets) == 4 and not _any_byte(file, offset, channels[3] or 0):
        offsets = offsets[:3]  # programs that do not support alpha write zeros in its place
    return Samples(np.dtype("u1"), (len(offsets), abs(height), width), (rows, 4), offsets, is_rgb=True)


def _any_byte(file: BinaryIO, offset: int, byte: int) -> bool:
    """Return whether one of the four bytes of a pixel is other than 0 in any pixel."""
    file.seek(offset)
    return any(any(part[byte::4]) for part in iter(lambda: file.read(1 << 20), b""))
