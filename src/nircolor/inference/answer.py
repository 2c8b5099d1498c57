"""What a network makes of one tile, and its failures in our words, whichever engine runs it."""

from collections.abc import Callable
from pathlib import Path

from nircolor.arrays import Floats
from nircolor.errors import NircolorError, first_line


def untold(_share: float) -> None:
    """For callers who need not know how much of a tile is done."""


def answer(path: Path, nir: Floats, run: Callable[[], Floats]) -> Floats:
    """Colour (3, h, w) of a tile ``nir`` (bands, h, w), by ``run``.

    Args:
        path: of the model file, for messages.
        nir: the tile.
        run: runs the network on it.

    Raises:
        NircolorError: the network refuses the tile, or answers with another shape.
        MemoryError: the tile does not fit.
    """
    try:
        rgb = run()
    except MemoryError:
        raise
    # the engines' own exceptions share no base class but Exception
    except Exception as error:
        reason = first_line(error)
        if "alloc" in reason or "out of memory" in reason:
            raise MemoryError(reason) from error
        raise NircolorError(f"{path}: fails on a tile of {nir.shape} ({reason})") from error
    if rgb.shape != (3, *nir.shape[1:]):
        raise NircolorError(
            f"{path}: expected colour of {(3, *nir.shape[1:])} from the network, got {rgb.shape}"
        )
    return rgb
