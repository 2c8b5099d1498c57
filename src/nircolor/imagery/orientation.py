"""EXIF orientation: rotate arrays upright, and map windows of the upright image to the stored one.

| value | to make the stored image upright         |
|-------|------------------------------------------|
| 1     | keep it                                  |
| 2     | mirror it left to right                  |
| 3     | rotate it by 180 degrees                 |
| 4     | mirror it top to bottom                  |
| 5     | transpose it                             |
| 6     | rotate it by 90 degrees clockwise        |
| 7     | transpose it and rotate it by 180 degrees |
| 8     | rotate it by 90 degrees counter-clockwise |
"""

from pathlib import Path

from nircolor.arrays import Array
from nircolor.imagery.files import tiff

Window = tuple[int, int, int, int]  # row0, row1, col0, col1

# value: (transpose the stored image, then flip its rows, then flip its columns)
_STEPS = {
    1: (False, False, False),
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}


def swaps_axes(orientation: int) -> bool:
    """Return whether the upright image has width and height exchanged."""
    return _STEPS[orientation][0]


def upright(stored: Array, orientation: int) -> Array:
    """Rotate the last two axes of a stored array (..., h, w) upright; returns a view."""
    transpose, flip_rows, flip_cols = _STEPS[orientation]
    if transpose:
        stored = stored.swapaxes(-1, -2)
    return stored[..., :: -1 if flip_rows else 1, :: -1 if flip_cols else 1]


def stored_window(window: Window, orientation: int, height: int, width: int) -> Window:
    """Return the stored window for `window` of the upright image, which is `height` x `width`."""
    row0, row1, col0, col1 = window
    transpose, flip_rows, flip_cols = _STEPS[orientation]
    if flip_rows:
        row0, row1 = height - row1, height - row0
    if flip_cols:
        col0, col1 = width - col1, width - col0
    return (col0, col1, row0, row1) if transpose else (row0, row1, col0, col1)


def parse(value: object) -> int:
    """Parse an EXIF orientation value; return 1 (upright) for anything but 1 to 8."""
    try:
        number = int(str(value))
    except ValueError:
        return 1
    return number if number in _STEPS else 1


def of_tiff(path: Path) -> int | None:
    """Read the orientation tag of the first page of a TIFF, which GDAL does not report; None if absent."""
    values = tiff.first_page(path).get(tiff.ORIENTATION)
    return parse(values[0]) if isinstance(values, tuple) and values else None
