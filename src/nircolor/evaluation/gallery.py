"""`Gallery`: images of an evaluation, stored on disk for its report; `write_figure`: figures of them."""

import io
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from nircolor.arrays import Floats, Mask
from nircolor.errors import NircolorError
from nircolor.imagery.gdal import reason
from nircolor.imagery.reduction import AreaMean
from nircolor.metrics import delta_e2000_map
from nircolor.staging import staging_folder

# fixed, so that error maps can be compared between images and reports; 40 is about the difference between
# orange and green
ERROR_LIMIT = 40.0
_COLORS = mpl.colormaps["inferno"]
_GRAY = 0.5

Bytes = NDArray[np.uint8]
_LEVELS = 254
_INVALID = 255

_DPI = 300
# minimum width of a column, so that its heading is legible
_COLUMN_PX = 360
_GAP_PX = 12
_HEADING_PX = 50
_NAME_PX = 60
_LETTERS = 20

_STYLE: dict[Any, Any] = {
    "text.parse_math": False,
    "font.size": 8,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "svg.hashsalt": "nircolor",
}
# without dates, so that files are reproducible
_METADATA: dict[str, dict[str, None]] = {
    ".png": {},
    ".pdf": {"CreationDate": None},
    ".svg": {"Date": None},
}


@dataclass(frozen=True)
class DisplayImages:
    """Images of one pair for display, all of one size, float32 in [0, 1].

    Attributes:
        nir: (1, h, w) gray, or (3, h, w) false colour with the longest wavelength as red.
        truth: True colours (3, h, w), gray where invalid.
        predicted: (3, h, w) by method.
        errors: ΔE2000 from black (0) to light yellow (`ERROR_LIMIT` and above), gray where the truth is
            invalid, (3, h, w) by method.
    """

    nir: Floats
    truth: Floats
    predicted: dict[str, Floats]
    errors: dict[str, Floats]


class Gallery:
    """Images of an evaluation, stored in files so that memory does not grow with the number of images.

    Images are stored losslessly in 8 bits, reduced to ``side_px`` if a side is longer.

    Args:
        folder: Folder of the files; the caller creates and removes it.
        side_px: Longest side of the stored images.
    """

    def __init__(self, folder: Path, side_px: int = 768) -> None:
        self._folder, self._side_px = folder, side_px
        self._labels: dict[str, tuple[str, ...]] = {}
        self._files: dict[str, Path] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._files

    def add(
        self, name: str, nir: Floats, truth: Floats, valid: Mask, predicted: Mapping[str, Floats]
    ) -> None:
        """Store the images of a pair.

        Args:
            name: Name of the pair.
            nir: (bands, h, w): one band is shown gray, three in false colour, otherwise their mean.
            truth: True colours (3, h, w).
            valid: (h, w), True where ``truth`` is valid.
            predicted: (3, h, w) by method.

        Raises:
            ValueError: The images differ in size, or have values outside [0, 1].
        """
        everywhere = np.ones_like(valid)
        arrays = {"nir": self._to_bytes(_display_nir(nir), everywhere), "truth": self._to_bytes(truth, valid)}
        for place, colour in enumerate(predicted.values()):
            arrays[f"predicted {place}"] = self._to_bytes(colour, everywhere)
            arrays[f"error {place}"] = self._error(colour, truth, valid)
        # numbered, because names may contain characters that file names may not
        path = self._files.get(name, self._folder / f"{len(self._files)}.npz")
        np.savez_compressed(path, allow_pickle=False, **arrays)
        self._files[name], self._labels[name] = path, tuple(predicted)

    def images(self, name: str) -> DisplayImages:
        """Read the images of a pair; KeyError if it was not added."""
        labels = self._labels[name]
        with np.load(self._files[name]) as arrays:
            return DisplayImages(
                nir=_to_floats(arrays["nir"]),
                truth=_to_floats(arrays["truth"]),
                predicted={
                    label: _to_floats(arrays[f"predicted {place}"]) for place, label in enumerate(labels)
                },
                errors={label: _color_errors(arrays[f"error {place}"]) for place, label in enumerate(labels)},
            )

    def _to_bytes(self, image: Floats, valid: Mask) -> Bytes:
        means, inside = reduced(image, valid, self._side_px)
        return np.rint(np.where(inside, means, _GRAY).clip(0, 1) * 255).astype(np.uint8)

    def _error(self, predicted: Floats, truth: Floats, valid: Mask) -> Bytes:
        difference = delta_e2000_map(predicted, truth, valid)[None].astype(np.float32)
        means, inside = reduced(difference, valid, self._side_px)
        levels = np.rint(means.clip(0, ERROR_LIMIT) / ERROR_LIMIT * _LEVELS)
        return np.where(inside, levels, _INVALID)[0].astype(np.uint8)


def reduced(image: Floats, valid: Mask, side_px: int) -> tuple[Floats, Mask]:
    """Reduce an image (bands, h, w) to sides of at most ``side_px`` by averaging its valid pixels.

    Returns:
        Means (bands, h', w'), 0 where no pixel is valid, and the mask (h', w') of pixels with a mean.
    """
    height, width = valid.shape
    # invalid pixels may be NaN
    image = np.nan_to_num(np.where(valid, image, 0))
    factor = max(height, width) / side_px
    if factor <= 1:
        return image, valid
    mean = AreaMean(len(image), valid.shape, (max(1, round(height / factor)), max(1, round(width / factor))))
    mean.add(0, image, valid)
    return mean.result()


def error_colors(count: int) -> list[str]:
    """Return colours of error maps from 0 to `ERROR_LIMIT`, evenly spaced, as ``#rrggbb``, for a legend."""
    return [mpl.colors.to_hex(_COLORS(share)) for share in np.linspace(0, 1, count)]


def _display_nir(nir: Floats) -> Floats:
    if len(nir) in (1, 3):
        return nir[::-1]
    return nir.mean(axis=0, keepdims=True).astype(np.float32)


def _to_floats(pixels: Bytes) -> Floats:
    return pixels.astype(np.float32) / np.float32(255)


def _color_errors(levels: Bytes) -> Floats:
    table = np.full((256, 3), _GRAY, np.float32)
    table[: _LEVELS + 1] = _COLORS(np.arange(_LEVELS + 1) / _LEVELS)[:, :3]
    return np.moveaxis(table[levels], -1, 0)


def write_figure(path: Path, names: Sequence[str], labels: Sequence[str], gallery: Gallery) -> None:
    """Write a figure at 300 dpi with one row per image: NIR, each method, true colours.

    Small images are enlarged without interpolation. The file is renamed into place when it is complete.

    Args:
        path: File to write: .png, .pdf or .svg.
        names: Names of the images.
        labels: Labels of the methods.
        gallery: Gallery with the images.

    Raises:
        NircolorError: The extension is unsupported, an image or method is not in the gallery, or the file
            cannot be written.
    """
    if path.suffix.lower() not in _METADATA:
        raise NircolorError(f"{path}: expected a figure's name to end in {', '.join(_METADATA)}")
    if not names:
        raise NircolorError(f"{path}: expected names of images for the figure, got none")
    rows = [_row(name, labels, gallery) for name in names]
    encoded = _render(rows, names, ["NIR", *labels, "truth"], path.suffix.lower())
    try:
        with staging_folder(path.parent) as draft:
            (draft / path.name).write_bytes(encoded)
            (draft / path.name).replace(path)
    except OSError as error:
        raise NircolorError(f"{path}: the figure cannot be written ({reason(error)})") from error


def _row(name: str, labels: Sequence[str], gallery: Gallery) -> list[Floats]:
    if name not in gallery:
        raise NircolorError(f"figure: expected the name of a scored image, got {name}")
    shown = gallery.images(name)
    unknown = [label for label in labels if label not in shown.predicted]
    if unknown:
        raise NircolorError(
            f"figure: expected one of the methods {', '.join(shown.predicted)}, got {unknown[0]}"
        )
    return [shown.nir, *(shown.predicted[label] for label in labels), shown.truth]


def _render(rows: list[list[Floats]], names: Sequence[str], headings: Sequence[str], suffix: str) -> bytes:
    factors = [-(-_COLUMN_PX // row[0].shape[2]) for row in rows]
    # all rows are enlarged to the same width
    column = max(factor * row[0].shape[2] for factor, row in zip(factors, rows, strict=True))
    heights = [round(column * row[0].shape[1] / row[0].shape[2]) for row in rows]
    width = _NAME_PX + len(headings) * (column + _GAP_PX)
    wrapped = [textwrap.fill(heading, max(8, _LETTERS * column // _COLUMN_PX)) for heading in headings]
    top = _HEADING_PX * max(heading.count("\n") + 1 for heading in wrapped)
    height = top + sum(heights) + _GAP_PX * len(rows)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI)
        y = top
        for row, name, row_px in zip(rows, names, heights, strict=True):
            middle = 1 - (y + row_px / 2) / height
            short = textwrap.shorten(name, 60, placeholder="…")
            figure.text(_NAME_PX / 2 / width, middle, short, rotation=90, ha="center", va="center", size=6)
            for place, image in enumerate(row):
                x = _NAME_PX + place * (column + _GAP_PX)
                box = (x / width, 1 - (y + row_px) / height, column / width, row_px / height)
                axes = figure.add_axes(box)
                axes.set_axis_off()
                axes.imshow(_as_rgb(image), interpolation="nearest", aspect="auto")
                if y == top:
                    center = (x + column / 2) / width
                    figure.text(center, 1 - 0.8 * top / height, wrapped[place], ha="center", va="bottom")
            y += row_px + _GAP_PX
        encoded = io.BytesIO()
        figure.savefig(encoded, format=suffix[1:], dpi=_DPI, metadata=_METADATA[suffix])
    return encoded.getvalue()


def _as_rgb(image: Floats) -> Floats:
    return np.moveaxis(np.broadcast_to(image, (3, *image.shape[1:])), 0, -1)
