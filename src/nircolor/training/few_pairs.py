"""Read a few pairs that a user has made, and check that they can be learned from."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nircolor.errors import NircolorError
from nircolor.imagery.bands.converted import refuse_one_tint
from nircolor.modelfile import Band, Card
from nircolor.pairs import Pair
from nircolor.pairs.pair import PairImages, read_images
from nircolor.training.sampling import ImagePair, resize

# Pixels that the checks look at.
_CHECKED_PX = 20_000
# Differences between the channels of a gray image in 8 bits.
_GRAY = 1.5 / 255
# NIR whose variance is explained to this degree by a linear mixture of the colours was made from them.
_MADE_FROM_COLOUR = 0.9995


def read_few(
    pairs: Sequence[Pair], bands: Sequence[Band], card: Card, largest_px: int
) -> tuple[dict[str, list[ImagePair]], list[tuple[Path, NircolorError]]]:
    """Read pairs into memory.

    Args:
        pairs: The pairs.
        bands: NIR bands to read.
        card: Card of the model that they are for.
        largest_px: Images with a longer side are reduced to it, or cut into blocks of at most this side for a
            model that does not see the whole image: the scale of such images is that of the sensor.

    Returns:
        The image of each pair, or its blocks, by name; and the pairs that cannot be used, with the reasons.
    """
    images: dict[str, list[ImagePair]] = {}
    failures: list[tuple[Path, NircolorError]] = []
    for pair in pairs:
        try:
            (read,) = read_images(pair, [tuple(bands)])
            _check(pair, read, card)
            nir = read.nir_for(card.encoding, f"model {card.name}")
        except NircolorError as error:
            failures.append((pair.nir, _with_advice(error, pair)))
            continue
        image = ImagePair.from_arrays(pair.name, nir, read.rgb, read.valid)
        images[pair.name] = [_reduced(image, largest_px)] if card.context else _blocks(image, largest_px)
    return images, failures


def _with_advice(error: NircolorError, pair: Pair) -> NircolorError:
    """Name the option where the pair lacks bands."""
    if f"for the NIR of {pair.name}, got" not in str(error):
        return error
    return NircolorError(f"{error}; --bands adapts the model to other wavelengths")


def _check(pair: Pair, images: PairImages, card: Card) -> None:
    """Refuse gray colour images, and NIR images that were made from the colours."""
    step = max(1, int(images.valid.sum()) // _CHECKED_PX)
    rgb, nir = (planes[:, images.valid][:, ::step].astype(np.float64) for planes in (images.rgb, images.nir))
    if np.ptp(rgb, 0).max() < _GRAY:
        raise NircolorError(f"{pair.rgb}: expected a colour image, got shades of gray")
    if card.encoding == "gamma":
        refuse_one_tint(rgb, pair.rgb)
    shares = [_explained(band, rgb) for band in nir if np.ptp(band) > 0]
    if shares and min(shares) > _MADE_FROM_COLOUR:
        raise NircolorError(
            f"{pair.nir}: expected a near-infrared image, got one made from the colours of {pair.rgb}"
        )


def _explained(band: NDArray[np.float64], rgb: NDArray[np.float64]) -> float:
    """Return the share of the variance that a linear mixture of the colours explains."""
    centred = band - band.mean()
    colours = rgb - rgb.mean(1, keepdims=True)
    weights = np.linalg.lstsq(colours.T, centred, rcond=None)[0]
    return 1 - float(np.square(centred - weights @ colours).sum()) / float(centred @ centred)


def _reduced(image: ImagePair, largest_px: int) -> ImagePair:
    height, width = image.pixels.shape[1:]
    scale = largest_px / max(height, width)
    if scale >= 1:
        return image
    planes = resize(image.as_float(), (max(1, round(height * scale)), max(1, round(width * scale)))).numpy()
    return ImagePair.from_arrays(image.name, planes[:-4], planes[-4:-1], planes[-1] > 0.99)


def _blocks(image: ImagePair, largest_px: int) -> list[ImagePair]:
    height, width = image.pixels.shape[1:]
    rows, columns = (-(-side // largest_px) for side in (height, width))
    blocks = [part for strip in image.pixels.tensor_split(rows, 1) for part in strip.tensor_split(columns, 2)]
    return [ImagePair(image.name, block) for block in blocks if block[-1].any()]
