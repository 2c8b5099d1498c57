"""Run a model on an image of any size in rows of tiles; memory is bounded by one row of tiles."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from nircolor.arrays import Floats, Mask
from nircolor.imagery import fill_values
from nircolor.inference.engine import Engine
from nircolor.inference.sources import RowSource
from nircolor.inference.tiling import Axis, cut
from nircolor.modelfile import Card
from nircolor.parallel import Progress

# a reduced view for fill values alone; models with a context use that view
_FILL_VIEW_PX = 256
# rows read at a time: while they are scaled, they take several times the memory that they take in the end
_ROWS_READ = 256


@dataclass(frozen=True)
class Part:
    """Place of a window in its image.

    Attributes:
        top, left: First row and column of the window.
        height, width: Of the whole image.
        view: The card's reduced view of the whole image, None for models without a context.
        fill: (bands,) values of invalid pixels.
    """

    top: int
    left: int
    height: int
    width: int
    view: Floats | None
    fill: Floats


def colorize_strips(
    engine: Engine,
    source: RowSource,
    tile_px: int,
    on_progress: Progress | None = None,
    *,
    saturation: float = 1.0,
    with_error: bool = False,
    on_view: Callable[[Floats], Floats] | None = None,
    part: "Part | None" = None,
) -> Iterator[tuple[int, Floats, Mask]]:
    """Colorize an image from top to bottom.

    Tiles overlap by the model's receptive-field radius, or by ``overlap_px`` of its card, and are blended in
    the middle of the overlap. The influence of a pixel fades with distance; tests hold the difference
    between tiled and whole images below half an 8-bit step.

    Args:
        engine: Runs the model.
        source: The image.
        tile_px: Longest side of a tile.
        on_progress: Called with the pixels done and those of the image, at least once per tile.
        saturation: Factor on the distance of each pixel's colour from its gray.
        with_error: Add the bound of the colour's error as a fourth channel, for a model that returns it.
        on_view: Called with the reduced view of the whole image (bands, s, s), for a model that takes one;
            returns the view to use instead.
        part: Where ``source`` lies in a larger image, and a view of that; None if it is the whole image.

    Yields:
        First row, colour (3, rows, width) in [0, 1], or (4, rows, width), and valid pixels (rows, width).
    """
    size = engine.card.size
    down, across = (
        cut(side, tile_px, size.tile_overlap_px, size.multiple_of, size.minimum)
        for side in (source.height, source.width)
    )
    if part is None:
        view, fill = reduced_view(engine.card, source)
        if view is not None and on_view is not None:
            view = on_view(view)
        part = Part(0, 0, source.height, source.width, view, fill)
    fill = part.fill

    pixels = source.height * source.width
    channels = 4 if with_error else 3
    tiles = len(down.starts) * len(across.starts)
    finished_tiles = 0

    def on_tile(done: float, total: float) -> None:
        if on_progress is not None:
            on_progress(pixels * (finished_tiles + done / total) / tiles, pixels)

    def run(tile: Floats, context: Floats | None) -> Floats:
        nonlocal finished_tiles
        output = engine.run(tile, context, on_tile)
        finished_tiles += 1
        return output[:channels]

    # memory holds one row of tiles, which takes hundreds of megabytes in a large image
    nir = np.empty((len(engine.card.bands), down.tile_px, source.width), np.float32)
    valid = np.empty((down.tile_px, source.width), bool)
    kept, blended = 0, np.empty((channels, 0, across.padded_px), np.float32)
    for top, following, weights in zip(down.starts, (*down.starts[1:], None), down.weights, strict=True):
        stop = min(top + down.tile_px, source.height)
        rows = stop - top
        # rows shared with the previous strip are kept: some formats cannot be read backwards
        for start in range(kept, rows, _ROWS_READ):
            new = slice(start, min(start + _ROWS_READ, rows))
            nir[:, new], valid[new] = source.rows(top + new.start, top + new.stop)
            np.copyto(nir[:, new], fill[:, None, None], where=~valid[new])

        output = np.zeros((channels, down.tile_px, across.padded_px), np.float32)
        output[:, : blended.shape[1]] = blended
        _run_strip(run, nir[:, :rows], across, (top, weights), part, output)

        finished = (stop if following is None else following) - top
        colour, part_valid = output[:, :finished, : source.width], valid[:finished].copy()
        blended, kept = output[:, finished:].copy(), rows - finished
        nir[:, :kept], valid[:kept] = nir[:, finished:rows], valid[finished:rows]
        saturate(colour[:3], saturation)
        yield top, np.clip(colour, 0, 1, out=colour), part_valid
        del output, colour


def saturate(rgb: Floats, saturation: float) -> None:
    """Multiply the distance of the colours (3, h, w) from their gray, the mean of the channels, in place."""
    if saturation != 1:
        gray = rgb.mean(0)
        rgb -= gray
        rgb *= np.float32(saturation)
        rgb += gray


def _run_strip(
    run: Callable[[Floats, Floats | None], Floats],
    nir: Floats,
    across: Axis,
    down: tuple[int, Floats],
    part: "Part",
    output: Floats,
) -> None:
    """Run one row of tiles, and add their weighted output to ``output`` (3 or 4, tile, padded width).

    ``nir`` (bands, rows, width) is what the image has of them; ``down`` is the first row and the vertical
    weights (tile,).
    """
    top, weights_down = down
    height = len(weights_down)
    for left, weights in zip(across.starts, across.weights, strict=True):
        right = left + across.tile_px
        context = None
        if part.view is not None:
            edges = (
                (part.top + top) / part.height,
                (part.top + top + height) / part.height,
                (part.left + left) / part.width,
                (part.left + right) / part.width,
            )
            planes = np.broadcast_to(np.array(edges, np.float32)[:, None, None], (4, *part.view.shape[1:]))
            context = np.concatenate([part.view, planes])
        tile = nir[:, :, left:right]
        padding = (0, 0), (0, height - tile.shape[1]), (0, across.tile_px - tile.shape[2])
        colour = run(np.pad(tile, padding, mode="symmetric"), context)
        output[:, :, left:right] += colour * (weights_down[:, None] * weights)


def reduced_view(card: Card, source: RowSource) -> tuple[Floats | None, Floats]:
    """Compute the card's reduced view, or None, and the fill values (bands,) of invalid pixels."""
    if card.context is None and not source.may_have_invalid:
        return None, np.zeros(len(card.bands), np.float32)
    return view_of(card, *source.reduced(*view_shape(card, source.height, source.width)))


def view_shape(card: Card, height: int, width: int) -> tuple[int, int]:
    """Return the shape to which an image is averaged for `view_of`."""
    # area averages over valid pixels for most of the reduction, then the filter that training uses
    side = 4 * card.context.size_px if card.context else _FILL_VIEW_PX
    return min(height, side), min(width, side)


def view_of(card: Card, image: Floats, valid: Mask) -> tuple[Floats | None, Floats]:
    """Compute the reduced view, or None, and the fill values from area averages of `view_shape`."""
    fill = fill_values(image, valid)
    if card.context is None:
        return None, fill
    image = np.where(valid, image, fill[:, None, None])
    rows, columns = (triangle_filter(length, card.context.size_px) for length in image.shape[1:])
    return np.clip(rows @ image @ columns.T, 0, 1), fill


def triangle_filter(length: int, wanted: int) -> Floats:
    """Build the matrix (wanted, length) of antialiased linear interpolation, as torch's ``interpolate``."""
    scale = max(1.0, length / wanted)
    centers = (np.arange(wanted) + 0.5) * length / wanted - 0.5
    weights = np.maximum(0, 1 - np.abs(np.arange(length) - centers[:, None]) / scale)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)
