"""A image of any size through a network, strip by strip: memory is bounded by one row of tiles."""

from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np

from nircolor.arrays import Floats, Mask
from nircolor.imagery import fill_values
from nircolor.inference.answer import untold
from nircolor.inference.tiling import Axis, cut
from nircolor.modelfile import Card

Progress = Callable[[float, int], None]


class Source(Protocol):
    """A image that gives its rows in order; the model's bands, scaled to [0, 1]."""

    height: int
    width: int

    def rows(self, start: int, stop: int) -> tuple[Floats, Mask]:
        """(bands, stop − start, width) and the valid pixels (stop − start, width)."""
        ...

    def reduced(self, height: int, width: int) -> tuple[Floats, Mask]:
        """The whole image at another size, by area averaging over its valid pixels."""
        ...


class Engine(Protocol):
    """A network and its card."""

    @property
    def card(self) -> Card: ...

    def run(self, nir: Floats, context: Floats | None, on_part: Callable[[float], None] = untold) -> Floats:
        """Colour one tile: (bands, h, w) and (bands + 4, s, s) or None -> (3, h, w), not clipped.

        ``on_part`` is told what share of the tile is done since, as often as the engine knows.
        """
        ...


def colorize_strips(
    engine: Engine, source: Source, tile_px: int, on_progress: Progress
) -> Iterator[tuple[int, Floats, Mask]]:
    """Colour a image from top to bottom.

    Tiles overlap by the network's reach, or by what its card says, and are blended in the middle of that:
    what lies further off has no weight worth its cost (tests hold tiled and whole to half an 8-bit step).

    Args:
        engine: the network.
        source: the image.
        tile_px: largest side of a tile.
        on_progress: called after each tile, or oftener, with the pixels done since, and the image's.

    Yields:
        First row, colour (3, rows, width) in [0, 1], and the valid pixels (rows, width).
    """
    size = engine.card.size
    down, across = (
        cut(side, tile_px, size.shared_px, size.multiple_of, size.minimum)
        for side in (source.height, source.width)
    )
    view, fill = _view(engine.card, source)

    pixels = source.height * source.width
    tiles = len(down.starts) * len(across.starts)

    def on_part(share: float) -> None:
        on_progress(share * pixels / tiles, pixels)

    bands = len(engine.card.bands)
    nir = np.empty((bands, 0, source.width), np.float32)
    valid = np.empty((0, source.width), bool)
    carried: Floats | None = None
    for top, following, weights in zip(down.starts, (*down.starts[1:], None), down.weights, strict=True):
        # rows shared with the strip before are kept: some formats cannot be read backwards
        stop = min(top + down.tile_px, source.height)
        new, new_valid = source.rows(top + nir.shape[1], stop)
        nir = np.concatenate([nir, new], axis=1)
        valid = np.concatenate([valid, new_valid])
        np.copyto(nir, fill[:, None, None], where=~valid)

        padding = (0, down.tile_px - nir.shape[1]), (0, across.padded_px - source.width)
        strip = np.pad(nir, ((0, 0), *padding), mode="symmetric")
        finished = (stop if following is None else following) - top
        # a copy, and what was read is let go: a row of tiles of a large image is hundreds of megabytes
        nir = nir[:, finished:].copy()
        del new
        rgb = _strip(engine, source, strip, across, top, view, on_part)
        del strip
        rgb *= weights[:, None]
        if carried is not None:
            rgb[:, : carried.shape[1]] += carried
        part, part_valid = rgb[:, :finished, : source.width], valid[:finished]
        carried, valid = rgb[:, finished:].copy(), valid[finished:].copy()
        yield top, np.clip(part, 0, 1, out=part), part_valid
        del rgb, part


def _strip(
    engine: Engine,
    source: Source,
    strip: Floats,
    across: Axis,
    top: int,
    view: Floats | None,
    on_part: Callable[[float], None],
) -> Floats:
    """One row of tiles, blended sideways: (3, tile, padded width)."""
    rgb = np.zeros((3, *strip.shape[1:]), np.float32)
    rows = strip.shape[1]
    for left, weights in zip(across.starts, across.weights, strict=True):
        right = left + across.tile_px
        context = None
        if view is not None:
            edges = (
                top / source.height,
                (top + rows) / source.height,
                left / source.width,
                right / source.width,
            )
            planes = np.broadcast_to(np.array(edges, np.float32)[:, None, None], (4, *view.shape[1:]))
            context = np.concatenate([view, planes])
        tile = np.ascontiguousarray(strip[:, :, left:right])
        rgb[:, :, left:right] += engine.run(tile, context, on_part) * weights
    return rgb


def _view(card: Card, source: Source) -> tuple[Floats | None, Floats]:
    """The card's reduced view, and the mean of each band, which stands in for invalid pixels."""
    side = card.context.size_px if card.context else 64
    # most of the way by area averaging over valid pixels, the rest with the filter that training uses
    image, valid = source.reduced(min(source.height, 4 * side), min(source.width, 4 * side))
    fill = fill_values(image, valid)
    if card.context is None:
        return None, fill
    image = np.where(valid, image, fill[:, None, None])
    rows, columns = (triangle_filter(length, side) for length in image.shape[1:])
    return np.clip(rows @ image @ columns.T, 0, 1), fill


def triangle_filter(length: int, wanted: int) -> Floats:
    """Matrix (wanted, length) that resizes by linear interpolation, widened where it shrinks to average."""
    scale = max(1.0, length / wanted)
    centers = (np.arange(wanted) + 0.5) * length / wanted - 0.5
    weights = np.maximum(0, 1 - np.abs(np.arange(length) - centers[:, None]) / scale)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)
