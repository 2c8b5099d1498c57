"""Fill invalid pixels, in the same way for training, validation, evaluation and colorizing."""

import numpy as np

from nircolor.arrays import Floats, Mask
from nircolor.imagery.reduction import AreaMean

# longest side of the reduced view from which the fill values are computed
_VIEW_PX = 256


def fill_values(view: Floats, valid: Mask) -> Floats:
    """Compute the value that replaces invalid pixels in each band: the mean of the valid ones.

    A neutral value matters because networks look at the surroundings of a pixel: zeros would read as
    black objects with sharp edges.

    Args:
        view: (bands, h, w), the whole image or a reduced view of it.
        valid: (h, w), False where ``view`` is invalid.

    Returns:
        (bands,) float32; zeros where no pixel is valid.
    """
    count = max(1, int(valid.sum()))
    return (np.where(valid, view, 0).sum((1, 2), dtype=np.float64) / count).astype(np.float32)


def fill_invalid(image: Floats, valid: Mask) -> Floats:
    """Replace the invalid pixels of a whole image with each band's mean (`fill_values`).

    Args:
        image: (bands, h, w) float32.
        valid: (h, w), False where ``image`` is invalid.

    Returns:
        (bands, h, w) float32; ``image`` itself where all pixels are valid.

    Examples:
        >>> image = np.array([[[0.5, 0.5, 0.0]]], np.float32)
        >>> fill_invalid(image, np.array([[True, True, False]])).tolist()
        [[[0.5, 0.5, 0.5]]]
    """
    if valid.all():
        return image
    height, width = valid.shape
    mean = AreaMean(len(image), (height, width), (min(height, _VIEW_PX), min(width, _VIEW_PX)))
    mean.add(0, np.where(valid, image, 0), valid)
    return np.where(valid, image, fill_values(*mean.result())[:, None, None]).astype(np.float32, copy=False)
