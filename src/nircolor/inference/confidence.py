"""Confidence of colours: 1 minus the bound of their error that some models return."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nircolor.arrays import Floats
from nircolor.errors import NircolorError
from nircolor.imagery import OUTPUT_DRIVERS
from nircolor.modelfile import Card, read_card
from nircolor.weights import shipped_models

SUFFIX = "_confidence"


def confidence_path(output: Path) -> Path:
    """Return the file for the confidence of a colour image: a TIFF beside a TIFF, else a PNG.

    Examples:
        >>> confidence_path(Path("colour/night.jpg")).as_posix()
        'colour/night_confidence.png'
        >>> confidence_path(Path("tile.tif")).as_posix()
        'tile_confidence.tif'
    """
    is_tiff = OUTPUT_DRIVERS.get(output.suffix.lower()) == "GTiff"
    return output.with_name(f"{output.stem}{SUFFIX}{output.suffix if is_tiff else '.png'}")


def without_confidence(images: Sequence[Path]) -> list[Path]:
    """Leave out the images of confidence whose colour images are among the others.

    Examples:
        >>> [path.name for path in without_confidence([Path("a.jpg"), Path("a_confidence.png")])]
        ['a.jpg']
    """
    made = {confidence_path(image) for image in images}
    return [image for image in images if image not in made]


def require_confidence(card: Card) -> None:
    """Raise `NircolorError`, which names the models to use, unless a model bounds its errors."""
    if card.error_quantile is not None:
        return
    able = [name for name, path in shipped_models().items() if read_card(path).error_quantile is not None]
    others = f"a model that estimates its errors (--model {' or '.join(able)})"
    if not able:
        others = "a model that estimates its errors, which no shipped model does"
    raise NircolorError(f"--confidence: expected {others}, got {card.name}")


def describe_confidence(card: Card) -> str:
    """Describe the band of a confidence image."""
    return (
        "confidence: 1 minus the bound that the error of the colour stays below in "
        f"{card.error_quantile or 0:.0%} of cases (root mean square over the channels, 0 to 1)"
    )


def confidence_of(output: Floats) -> Floats:
    """Return the confidence (1, h, w) of colour with a bound of its error (4, h, w), all in [0, 1]."""
    return np.float32(1) - output[3:]
