"""Laying paint on a canvas: linear radiance in red, green, blue and near-infrared, (height, width, 4)."""

import numpy as np
import numpy.typing as npt

from nircolor.spectral.materials import Floats

Canvas = npt.NDArray[np.float32]


def mix(light: Floats, sun: npt.ArrayLike, sky: npt.ArrayLike, glow: npt.ArrayLike = 0.0) -> Canvas:
    """Radiance (..., 4) of a material seen as `light` (3, 4; see `daylight.lit`) in so much of each light."""
    weights = np.stack(np.broadcast_arrays(sun, sky, glow), axis=-1)
    return (weights.astype(np.float32) @ light.astype(np.float32)).astype(np.float32)


def over(canvas: Canvas, cover: Floats, paint: Floats) -> None:
    """Cover `canvas` with `paint` (broadcast to it) by `cover` (height, width) in [0, 1]."""
    canvas += cover[..., None].astype(np.float32) * (paint.astype(np.float32) - canvas)


def strokes(
    canvas: Canvas,
    start: Floats,
    end: Floats,
    first: Floats,
    last: Floats,
    width: int = 1,
) -> None:
    """Draw n strokes, the later over the earlier: leaves, needles, blades of grass, twigs.

    `start` and `end` are pixels (column, row), (n, 2); the paint runs from `first` to `last`, (n, 4);
    `width` is in pixels. What falls outside the canvas is left out.
    """
    if not len(start):
        return
    rows, columns = canvas.shape[:2]
    steps = int(np.ceil(np.abs(end - start).max())) + 1
    along = np.linspace(0, 1, steps, dtype=np.float32)[:, None]
    path = start[:, None].astype(np.float32) + (end - start)[:, None].astype(np.float32) * along
    column = np.rint(path[..., 0]).astype(np.intp)[..., None] + np.arange(width) - width // 2
    row = np.broadcast_to(np.rint(path[..., 1]).astype(np.intp)[..., None], column.shape)
    inside = (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
    stroke, step, _ = np.nonzero(inside)
    t = along[step]
    # where pixels repeat, numpy keeps the last value: the stroke in front
    canvas.reshape(-1, 4)[(row * columns + column)[inside]] = first[stroke] * (1 - t) + last[stroke] * t
