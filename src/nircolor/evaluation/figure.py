"""Figures as papers lay them out: a image a row, NIR, each method and the truth as columns."""

import io
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from nircolor.arrays import Floats
from nircolor.errors import NircolorError
from nircolor.evaluation.gallery import Gallery
from nircolor.imagery.gdal import reason

_DPI = 300
# a column is at least so wide, so that its head can be read and small images can be seen
_COLUMN_PX = 360
_GAP_PX = 12
_HEAD_PX = 50
_NAME_PX = 60
_LETTERS = 20

_STYLE: dict[Any, Any] = {
    "text.parse_math": False,
    "font.size": 8,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "svg.hashsalt": "nircolor",
}
# files that are made again are the same
_METADATA: dict[str, dict[str, None]] = {
    ".png": {},
    ".pdf": {"CreationDate": None},
    ".svg": {"Date": None},
}


def write_figure(path: Path, names: Sequence[str], labels: Sequence[str], gallery: Gallery) -> None:
    """Lay images out, whole or not at all, at 300 dpi; pixels of small ones are enlarged and kept sharp.

    Args:
        path: .png, .pdf or .svg.
        names: of the images, a row each.
        labels: of the methods, in order.
        gallery: holds them.

    Raises:
        NircolorError: another extension, no name, a image or method that is not there, or a file that
            cannot be written.
    """
    if path.suffix.lower() not in _METADATA:
        raise NircolorError(f"{path}: expected a figure's name to end in {', '.join(_METADATA)}")
    if not names:
        raise NircolorError(f"{path}: expected names of images for the figure, got none")
    rows = [_row(name, labels, gallery) for name in names]
    encoded = _drawn(rows, names, ["NIR", *labels, "truth"], path.suffix.lower())
    partial = path.with_name(f".{path.name}.part")
    try:
        partial.write_bytes(encoded)
        partial.replace(path)
    except OSError as error:
        raise NircolorError(f"{path}: the figure cannot be written ({reason(error)})") from error
    finally:
        partial.unlink(missing_ok=True)


def _row(name: str, labels: Sequence[str], gallery: Gallery) -> list[Floats]:
    if name not in gallery:
        raise NircolorError(f"figure: expected the name of a image that was scored, got {name}")
    shown = gallery.shown(name)
    unknown = [label for label in labels if label not in shown.predicted]
    if unknown:
        raise NircolorError(f"figure: expected {', '.join(shown.predicted)} as methods, got {unknown[0]}")
    return [shown.nir, *(shown.predicted[label] for label in labels), shown.truth]


def _drawn(rows: list[list[Floats]], names: Sequence[str], heads: Sequence[str], suffix: str) -> bytes:
    factors = [-(-_COLUMN_PX // row[0].shape[2]) for row in rows]
    # a row whose images are narrower than another's is enlarged to the same width
    column = max(factor * row[0].shape[2] for factor, row in zip(factors, rows, strict=True))
    heights = [round(column * row[0].shape[1] / row[0].shape[2]) for row in rows]
    width = _NAME_PX + len(heads) * (column + _GAP_PX)
    wrapped = [textwrap.fill(head, max(8, _LETTERS * column // _COLUMN_PX)) for head in heads]
    top = _HEAD_PX * max(head.count("\n") + 1 for head in wrapped)
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
