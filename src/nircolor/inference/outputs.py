"""Write the colours of an image, and their confidence where it is asked for, into files."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from nircolor.arrays import Floats, Mask
from nircolor.errors import NircolorWarning
from nircolor.imagery import ColourWriter, Raster, create_like, together, warn_of_losses
from nircolor.inference.confidence import confidence_of, confidence_path, describe_confidence
from nircolor.modelfile import Card

NO_PIXELS: Final = (
    "has no valid pixel, so that its output is empty: all are NaN, nodata, masked or transparent; "
    "if the values that count as nodata are valid, --nodata none"
)


def writers_for(
    card: Card,
    raster: Raster,
    output: Path,
    *,
    depth: int | None = None,
    quality: int | None = None,
    overwrite: bool = False,
    confidence: bool = False,
    cog: bool | None = None,
    creation_options: Mapping[str, str] | None = None,
) -> list[ColourWriter]:
    """Return the writer of the colour, and that of the confidence where it is asked for; warn of losses."""
    shared: dict[str, Any] = {
        "overwrite": overwrite,
        "model": card.name,
        "creation_options": creation_options,
    }
    colour = create_like(raster, output, depth=depth, quality=quality, cog=cog, **shared)
    writers = [colour]
    if confidence:
        path, text = confidence_path(output), describe_confidence(card)
        # as the colour image, which is of 8 bits in a JPEG
        is_tiff = colour.driver == "GTiff"
        writers.append(
            create_like(
                raster, path, depth=colour.depth, gray_band=text, cog=cog if is_tiff else None, **shared
            )
        )
    warn_of_losses(raster, colour.driver)
    return writers


@contextmanager
def writing(
    card: Card, raster: Raster, output: Path, **options: Any
) -> Iterator[Callable[[int, Floats, Mask], None]]:
    """Context that writes the files, which appear together at its end, or not at all after an error.

    Args:
        card: Card of the model.
        raster: The input.
        output: File to write.
        options: As for `writers_for`.

    Yields:
        Function that writes rows: first row, colour (3, rows, width), or (4, rows, width) with the bound of
        the error, and valid pixels (rows, width).
    """
    writers = writers_for(card, raster, output, **options)
    any_valid = False

    def write(top: int, colour: Floats, valid: Mask) -> None:
        nonlocal any_valid
        any_valid = any_valid or bool(valid.any())
        window = (top, top + colour.shape[1], 0, raster.width)
        writers[0].write(colour[:3], valid, window)
        for writer in writers[1:]:
            writer.write(confidence_of(colour), valid, window)

    with together(*writers):
        yield write
    if not any_valid:
        warn_of_no_pixels(raster.path)


def warn_of_no_pixels(path: Path) -> None:
    """Warn that an image has no valid pixel, so that its output is black or transparent."""
    warnings.warn(NircolorWarning(NO_PIXELS, path=path), stacklevel=3)
