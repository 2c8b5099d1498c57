"""Training samples: augmented tiles of image pairs, as a function of seed and index alone.

A sample has the same form as the inputs of a network at run time: a tile of an image at some scale and, for
networks with a ``context_px``, the reduced view of the whole image. The image may itself be a random window
of the stored one (`Augmentation.smallest_area`).
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from nircolor.arrays import Floats, Mask
from nircolor.training.degradations import capture, coarsen, light_by_lamp, pad_black

Sample = dict[str, Tensor | str]


@dataclass(frozen=True)
class Augmentation:
    """Random changes of the training images; by default random crops and horizontal flips.

    Attributes:
        flip: Mirror half of the samples horizontally.
        rotate90: Rotate by multiples of 90° too; for views from above.
        zoom: Smallest and largest scale at which tiles are cut.
        smallest_area: Smallest part of an image that a random window covers, by area; 1 is the whole image.
        aspect: Largest change of the window's aspect ratio, natural logarithm.
        gamma: Largest change of the gamma of the NIR input, natural logarithm.
        exposure: Largest change of the exposure of the NIR input, natural logarithm.
        degraded: Part of the samples whose NIR input has the faults below, each with a probability of one
            half, compression with the given one.
        haze: Largest part of the NIR input that is a uniform veil.
        blur: Largest standard deviation of a Gaussian blur of the NIR input, in pixels.
        noise: Largest standard deviation of the noise of the NIR input at black; it doubles towards white, as
            shot noise grows. Most samples have little.
        compression: Probability that the NIR input went through JPEG, at qualities of 30 to 95.
        coarse: Part of the samples whose detail is averaged over squares of a random side, up to the whole
            image, in NIR and in colour.
        lamp: Part of the samples that are lit by a lamp in the middle, in NIR and in colour.
        padding: Part of the samples with black padding at one or two sides, in NIR and in colour.
    """

    smallest_area: float = 1.0
    aspect: float = 0.0
    zoom: tuple[float, float] = (1.0, 1.0)
    rotate90: bool = False
    gamma: float = 0.0
    exposure: float = 0.0
    degraded: float = 1.0
    haze: float = 0.0
    blur: float = 0.0
    noise: float = 0.0
    compression: float = 0.0
    coarse: float = 0.0
    lamp: float = 0.0
    padding: float = 0.0
    flip: bool = True


@dataclass(frozen=True)
class ImagePair:
    """A pair in memory.

    Attributes:
        name: Name of the pair.
        pixels: (bands + 4, h, w): NIR bands, red, green, blue, mask. float32 in [0, 1], or uint8 with 255 for
            1 where that is exact.
    """

    name: str
    pixels: Tensor

    @classmethod
    def from_arrays(cls, name: str, nir: Floats, rgb: Floats, valid: Mask) -> "ImagePair":
        """Pack the arrays of `pairs.read_pair`; 8-bit images take a quarter of the memory.

        Args:
            name: Name of the pair.
            nir: (bands, h, w) in [0, 1].
            rgb: (3, h, w) in [0, 1].
            valid: (h, w).
        """
        planes = np.concatenate([nir, rgb, valid[None].astype(np.float32)])
        packed = np.rint(planes * 255).astype(np.uint8)
        # invalid pixels hold a fill value, which need not be exact
        exact = np.array_equal((packed / np.float32(255))[:, valid], planes[:, valid])
        return cls(name, torch.from_numpy(packed if exact else planes))

    def as_float(self) -> Tensor:
        """Return all planes as float32 in [0, 1]."""
        return self.pixels.float() / 255 if self.pixels.dtype == torch.uint8 else self.pixels


def draw_sample(
    pair: ImagePair,
    rng: np.random.Generator,
    augmentation: Augmentation,
    tile_px: int,
    context_px: int | None = None,
) -> Sample:
    """Draw a random tile of a pair.

    Args:
        pair: The pair.
        rng: Source of all random numbers.
        augmentation: Random changes.
        tile_px: Side of the tile; smaller images are enlarged to it.
        context_px: Side of the reduced view of the whole image; None for networks that do not take it.

    Returns:
        ``nir`` (bands, tile, tile), ``rgb`` (3, tile, tile) and ``valid`` (1, tile, tile), float32 in [0, 1];
        ``context`` (bands + 4, context, context) as described in `modelfile.Context`, if ``context_px`` is
        given; ``name``.
    """
    a = augmentation
    image = _random_window(pair.as_float(), rng, a)
    bands = len(image) - 4
    # a stream of their own, so that the faults do not change the other random numbers
    (faults,) = rng.spawn(1)
    if a.coarse and faults.random() < a.coarse:
        image = coarsen(image, faults)
    if faults.random() < a.lamp:
        image = light_by_lamp(image, faults)

    height, width = image.shape[1:]
    zoom = max(math.exp(rng.uniform(*np.log(a.zoom))), tile_px / height, tile_px / width)
    image = resize(image, (max(tile_px, round(height * zoom)), max(tile_px, round(width * zoom))))
    gamma, exposure = math.exp(rng.uniform(-a.gamma, a.gamma)), math.exp(rng.uniform(-a.exposure, a.exposure))
    nir = torch.clamp(image[:bands] ** gamma * exposure, 0, 1)
    if faults.random() < a.degraded:
        nir = capture(nir, faults, haze=a.haze, blur=a.blur, noise=a.noise, compression=a.compression)
    image = torch.cat([nir, image[bands:]])
    if faults.random() < a.padding:
        image = pad_black(image, faults)
    # as at run time, the view is of the image that the tile is cut from
    view = None if context_px is None else resize(image[:bands], (context_px, context_px))

    height, width = image.shape[1:]
    top, left = int(rng.integers(height - tile_px + 1)), int(rng.integers(width - tile_px + 1))
    tile = image[:, top : top + tile_px, left : left + tile_px]
    edges = (top / height, (top + tile_px) / height, left / width, (left + tile_px) / width)
    return as_sample(pair.name, tile, view, edges)


def as_sample(
    name: str, tile: Tensor, view: Tensor | None, edges: tuple[float, float, float, float]
) -> Sample:
    """Split the planes of a tile into a sample.

    Args:
        name: Name of the pair.
        tile: (bands + 4, h, w), planes as in `ImagePair.pixels`.
        view: Reduced view of the whole image, (bands, s, s), or None.
        edges: Top, bottom, left and right edge of the tile, 0 to 1 across the image.
    """
    sample: Sample = {"name": name, "nir": tile[:-4], "rgb": tile[-4:-1], "valid": (tile[-1:] > 0.99).float()}
    if view is not None:
        planes = torch.tensor(edges)[:, None, None].expand(4, *view.shape[1:])
        sample["context"] = torch.cat([view, planes])
    return sample


def resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize (C, h, w) bilinearly, with antialiasing where it shrinks."""
    if image.shape[1:] == size:
        return image
    return F.interpolate(image[None], size=size, mode="bilinear", antialias=True)[0].clamp(0, 1)


def _random_window(pixels: Tensor, rng: np.random.Generator, a: Augmentation) -> Tensor:
    height, width = pixels.shape[1:]
    side = math.sqrt(rng.uniform(a.smallest_area, 1))
    stretch = math.exp(rng.uniform(-a.aspect, a.aspect))
    rows, columns = min(height, round(height * side * stretch)), min(width, round(width * side / stretch))
    top, left = int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1))
    window = pixels[:, top : top + rows, left : left + columns]
    # always drawn, so that the option `flip` does not change the other random numbers
    if rng.random() < 0.5 and a.flip:
        window = window.flip(2)
    return window.rot90(int(rng.integers(4)), (1, 2)) if a.rotate90 else window
