"""Run a model on an image of any size in strips of rows; memory is bounded by one row of tiles."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from nircolor.arrays import Floats, Mask
from nircolor.colour_grid import ColourGrid
from nircolor.imagery import fill_values
from nircolor.inference.engine import Engine
from nircolor.inference.sources import ArraySource, RowSource
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
        view: The reduced view of the whole image, None for models without a context and beside `colours`.
        fill: (bands,) values of invalid pixels.
        colours: Colours of the whole image, None for models without ``context.working_pixels``.
    """

    top: int
    left: int
    height: int
    width: int
    view: Floats | None
    fill: Floats
    colours: ColourGrid | None = None


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

    Tiles overlap by the ``tile_overlap_px`` of the model's card, and are blended in the middle of the
    overlap. The influence of a pixel fades with distance; tests hold the difference between tiled and whole
    images below half an 8-bit step.

    A model whose card has ``context.working_pixels`` colorizes the image at a reduced size before the first
    strip, and its colours are carried over to the full size (`colour_grid`).

    Args:
        engine: Runs the model.
        source: The image.
        tile_px: Longest side of a tile.
        on_progress: Called with the pixels done and those of the image, at least once per tile or strip.
        saturation: Factor on the distance of each pixel's colour from its gray.
        with_error: Add the bound of the colour's error as a fourth channel, for a model that returns it.
        on_view: Called with the reduced view of the whole image (bands, s, s), for a model that takes one;
            returns the view to use instead.
        part: Where ``source`` lies in a larger image, and a view of that; None if it is the whole image.

    Yields:
        First row, colour (3, rows, width) in [0, 1], or (4, rows, width), and valid pixels (rows, width).
    """
    if part is None:
        part = whole_part(engine, source, tile_px, _half(on_progress, 0), on_view=on_view)
        if part.colours is not None:
            on_progress = _half(on_progress, 0.5)
    if part.colours is not None:
        yield from _apply_colours(part, part.colours, source, on_progress, saturation, with_error)
        return

    down, across = rows_of_tiles(engine.card, source.height, source.width, tile_px)
    pixels = source.height * source.width
    tiles = len(down.starts) * len(across.starts)
    finished_tiles = 0

    def on_tile(done: float, total: float) -> None:
        if on_progress is not None:
            on_progress(pixels * (finished_tiles + done / total) / tiles, pixels)

    def run(tile: Floats, context: Floats | None) -> Floats:
        nonlocal finished_tiles
        output = engine.run(tile, context, on_tile)
        finished_tiles += 1
        return output

    # memory holds one row of tiles, which takes hundreds of megabytes in a large image
    nir = np.empty((len(engine.card.bands), down.tile_px, source.width), np.float32)
    valid = np.empty((down.tile_px, source.width), bool)
    kept, blending = 0, Blending(down, source.height, saturation)
    for index, top in enumerate(down.starts):
        rows = min(top + down.tile_px, source.height) - top
        # rows shared with the previous strip are kept: some formats cannot be read backwards
        _read(source, top, nir, valid, (kept, rows), part.fill)
        output = _run_strip(run, nir[:, :rows], down, across, index, part, 4 if with_error else 3)
        colour, finished = blending.add(output, valid)
        kept = rows - len(finished)
        yield top, colour, finished.copy()
        del output, colour
        nir[:, :kept], valid[:kept] = nir[:, rows - kept : rows], valid[rows - kept : rows]


def _half(on_progress: Progress | None, start: float) -> Progress | None:
    """Report the progress of one half of the work, which starts at this share of it."""
    return None if on_progress is None else lambda done, total: on_progress(start * total + done / 2, total)


def _apply_colours(
    part: Part,
    colours: ColourGrid,
    source: RowSource,
    on_progress: Progress | None,
    saturation: float,
    with_error: bool,
) -> Iterator[tuple[int, Floats, Mask]]:
    """Carry colours of a reduced size over to an image, or to a window of it, as `colorize_strips`."""
    shape = part.height, part.width
    for top in range(0, source.height, _ROWS_READ):
        stop = min(top + _ROWS_READ, source.height)
        nir, valid = source.rows(top, stop)
        nir = np.where(valid, nir, part.fill[:, None, None])
        corner = part.top + top, part.left
        output = colours.apply(nir.mean(0), corner, shape, with_error=with_error)
        saturate(output[:3], saturation)
        if on_progress is not None:
            on_progress(stop * source.width, source.height * source.width)
        yield top, np.clip(output, 0, 1, out=output), valid
        # freed before the next rows are computed
        del nir, valid, output


def colorize_strip(
    engine: Engine, source: RowSource, tile_px: int, index: int, part: Part, *, with_error: bool = False
) -> tuple[Floats, Mask]:
    """Colorize one row of tiles, for `Blending`: together they give what `colorize_strips` gives.

    Args:
        engine: Runs the model.
        source: The whole image.
        tile_px: Longest side of a tile.
        index: Number of the row of tiles, from 0.
        part: Size of the image, its view and its fill values.
        with_error: As for `colorize_strips`.

    Returns:
        Colour (3, rows, width) or (4, rows, width), multiplied with the weights of the row, and valid pixels
        (rows, width).

    Raises:
        ValueError: The model has ``context.working_pixels``.
    """
    if part.colours is not None:
        raise ValueError("part: expected one of a model without working_pixels")
    down, across = rows_of_tiles(engine.card, source.height, source.width, tile_px)
    top = down.starts[index]
    rows = min(top + down.tile_px, source.height) - top
    nir = np.empty((len(engine.card.bands), rows, source.width), np.float32)
    valid = np.empty((rows, source.width), bool)
    _read(source, top, nir, valid, (0, rows), part.fill)
    return _run_strip(engine.run, nir, down, across, index, part, 4 if with_error else 3), valid


class Blending:
    """Add up the overlaps of rows of tiles, which are given from top to bottom.

    Args:
        down: Rows of tiles.
        height: Height of the image.
        saturation: Factor on the distance of each pixel's colour from its gray.
    """

    def __init__(self, down: Axis, height: int, saturation: float) -> None:
        self._ends, self._saturation = iter([*down.starts[1:], height]), saturation
        self._top = 0
        self._overlap: Floats | None = None

    def add(self, output: Floats, valid: Mask) -> tuple[Floats, Mask]:
        """Add the next row of tiles, as `colorize_strip` returns it; the colour is changed in place.

        Returns:
            Colour (bands, n, width) in [0, 1] and valid pixels (n, width) of the n rows that are finished:
            those up to the next row of tiles.
        """
        if self._overlap is not None:
            output[:, : self._overlap.shape[1]] += self._overlap
        end = next(self._ends)
        finished, self._top = end - self._top, end
        self._overlap = output[:, finished:].copy()
        colour = output[:, :finished]
        saturate(colour[:3], self._saturation)
        return np.clip(colour, 0, 1, out=colour), valid[:finished]


def rows_of_tiles(card: Card, height: int, width: int, tile_px: int) -> tuple[Axis, Axis]:
    """Divide an image into tiles: down and across."""
    size = card.size
    down, across = (
        cut(side, tile_px, size.tile_overlap_px, size.multiple_of, size.minimum) for side in (height, width)
    )
    return down, across


def _read(source: RowSource, top: int, nir: Floats, valid: Mask, rows: tuple[int, int], fill: Floats) -> None:
    """Read rows, counted from ``top``, into their place in the arrays, with invalid pixels filled."""
    for start in range(*rows, _ROWS_READ):
        new = slice(start, min(start + _ROWS_READ, rows[1]))
        nir[:, new], valid[new] = source.rows(top + new.start, top + new.stop)
        np.copyto(nir[:, new], fill[:, None, None], where=~valid[new])


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
    down: Axis,
    across: Axis,
    index: int,
    part: Part,
    channels: int,
) -> Floats:
    """Run one row of tiles on its rows (bands, rows, width): weighted output (channels, rows, width)."""
    top, weights_down = down.starts[index], down.weights[index]
    height = len(weights_down)
    output = np.zeros((channels, height, across.padded_px), np.float32)
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
        colour = run(np.pad(tile, padding, mode="symmetric"), context)[:channels]
        output[:, :, left:right] += colour * (weights_down[:, None] * weights)
    return output[:, : nir.shape[1], : nir.shape[2]]


def whole_part(
    engine: Engine,
    source: RowSource,
    tile_px: int,
    on_progress: Progress | None = None,
    *,
    on_view: Callable[[Floats], Floats] | None = None,
) -> Part:
    """Compute what tiles must know of the whole image; arguments as for `colorize_strips`.

    Progress is reported while the image is colorized at a reduced size.
    """
    card, height, width = engine.card, source.height, source.width
    if card.context is None and not source.may_have_invalid:
        return Part(0, 0, height, width, None, np.zeros(len(card.bands), np.float32))
    means = source.reduced(*means_shape(card, height, width))
    return part_of_means(engine, means, (height, width), tile_px, on_progress, on_view=on_view)


def means_shape(card: Card, height: int, width: int) -> tuple[int, int]:
    """Return the shape to which an image is averaged for `part_of_means`."""
    if (working := card.working_shape(height, width)) is not None:
        return working
    # area averages over valid pixels for most of the reduction, then the filter that training uses
    side = 4 * card.context.size_px if card.context else _FILL_VIEW_PX
    return min(height, side), min(width, side)


def part_of_means(
    engine: Engine,
    means: tuple[Floats, Mask],
    shape: tuple[int, int],
    tile_px: int,
    on_progress: Progress | None = None,
    *,
    on_view: Callable[[Floats], Floats] | None = None,
) -> Part:
    """Compute what tiles must know of the whole image from area averages.

    Args:
        engine: Runs the model.
        means: The image in `means_shape` (bands, h, w), and its valid pixels (h, w).
        shape: Height and width of the image.
        tile_px: As for `colorize_strips`.
        on_progress: As for `whole_part`.
        on_view: As for `colorize_strips`.
    """
    card, (image, valid) = engine.card, means
    fill = fill_values(image, valid)
    if card.context is None:
        return Part(0, 0, *shape, None, fill)
    filled: Floats = np.where(valid, image, fill[:, None, None])
    # one side of a thin image may still be long
    side = 4 * card.context.size_px
    means_of_view, _ = ArraySource(filled).reduced(*(min(length, side) for length in valid.shape))
    rows, columns = (triangle_filter(length, card.context.size_px) for length in means_of_view.shape[1:])
    view: Floats = np.clip(rows @ means_of_view @ columns.T, 0, 1)
    view = view if on_view is None else on_view(view)
    if card.working_pixels is None:
        return Part(0, 0, *shape, view, fill)
    height, width = valid.shape
    reduced = Part(0, 0, height, width, view, fill)
    with_error = card.error_quantile is not None

    def report(done: float, pixels: float) -> None:
        if on_progress is not None:
            on_progress(done / pixels * shape[0] * shape[1], shape[0] * shape[1])

    strips = colorize_strips(
        engine, ArraySource(filled), tile_px, report, with_error=with_error, part=reduced
    )
    output = np.concatenate([part for _, part, _ in strips], axis=1)
    return Part(0, 0, *shape, None, fill, ColourGrid.fit(filled.mean(0), output, valid))


def triangle_filter(length: int, wanted: int) -> Floats:
    """Build the matrix (wanted, length) of antialiased linear interpolation, as torch's ``interpolate``."""
    scale = max(1.0, length / wanted)
    centers = (np.arange(wanted) + 0.5) * length / wanted - 0.5
    weights = np.maximum(0, 1 - np.abs(np.arange(length) - centers[:, None]) / scale)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)
