"""Random changes of training images: coarser detail, padding, a lamp, haze, blur, noise, compression."""

import math
import warnings

import numpy as np
import torch
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile
from torch import Tensor
from torch.nn import functional as F

# Planes after the NIR bands: red, green, blue, mask.
_COLOUR_PLANES = 4
_MASK = -1
# Largest part of a side that padding covers, and its largest slope.
_LARGEST_PADDING, _LARGEST_SLOPE = 0.2, 0.1
# A lamp's light at the corners, as a share of that in the middle.
_DARKEST_CORNER = 0.02
_JPEG_QUALITY = (30, 95)
# Ratio of the variance of shot noise at white to the variance of read noise.
_SHOT_TO_READ = 3.0


def pad_black(image: Tensor, rng: np.random.Generator) -> Tensor:
    """Set one or two sides of an image to black, in NIR and in colour, as registered images are padded.

    The padding counts as valid, so that a network learns to keep it black.

    Args:
        image: (bands + 4, h, w), planes as in `sampling.ImagePair.pixels`.
        rng: Source of all random numbers.
    """
    height, width = image.shape[1:]
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    padded = torch.zeros(height, width, dtype=torch.bool)
    for side in rng.permutation(4)[: int(rng.integers(1, 3))]:
        distance, along = ((y, x), (1 - y, x), (x, y), (1 - x, y))[side]
        slope = rng.uniform(-_LARGEST_SLOPE, _LARGEST_SLOPE) if rng.random() < 0.5 else 0.0
        padded |= distance < rng.uniform(0, _LARGEST_PADDING) + slope * (along - 0.5)
    image = torch.where(padded, 0.0, image)
    image[_MASK] = torch.where(padded, 1.0, image[_MASK])
    return image


def coarsen(image: Tensor, rng: np.random.Generator) -> Tensor:
    """Average NIR and colour over squares of a random side, up to the whole image, interpolated bilinearly.

    Images of even fields are rare in training, and a network that has seen none may give them any colour.

    Args:
        image: (bands + 4, h, w), planes as in `sampling.ImagePair.pixels`.
        rng: Source of all random numbers.
    """
    height, width = image.shape[1:]
    side_px = math.exp(rng.uniform(math.log(2), math.log(max(height, width))))
    cells = max(1, round(height / side_px)), max(1, round(width / side_px))
    means = F.adaptive_avg_pool2d(image[None], cells)
    return F.interpolate(means, size=(height, width), mode="bilinear")[0]


def light_by_lamp(image: Tensor, rng: np.random.Generator) -> Tensor:
    """Darken NIR and colour towards the corners, as in light from a lamp beside the camera.

    What the lamp does not reach is dark in the target as well: its colour cannot be known.

    Args:
        image: (bands + 4, h, w), planes as in `sampling.ImagePair.pixels`.
        rng: Source of all random numbers.
    """
    height, width = image.shape[1:]
    middle = rng.uniform(0.3, 0.7, 2)
    y = torch.linspace(0, 1, height)[:, None] - middle[0]
    x = torch.linspace(0, 1, width) - middle[1]
    falloff = math.log(rng.uniform(_DARKEST_CORNER, 0.5))
    # 0.5 is the squared distance of a corner from the middle
    light = torch.exp(falloff * (y.square() + x.square()) / 0.5)
    return torch.cat([image[:_MASK] * light, image[_MASK:]])


def capture(
    nir: Tensor, rng: np.random.Generator, *, haze: float, blur: float, noise: float, compression: float
) -> Tensor:
    """Reduce the contrast of an NIR image, blur it, add noise and compress it, in this order.

    Each fault has a probability of one half, compression the given one.

    Args:
        nir: (bands, h, w) in [0, 1].
        rng: Source of all random numbers.
        haze: Largest part of the light that comes from a uniform veil.
        blur: Largest standard deviation of a Gaussian blur, in pixels.
        noise: Largest standard deviation of the noise at black; it grows with the signal, as shot noise does.
        compression: Probability of a JPEG compression.
    """
    if haze and rng.random() < 0.5:
        veil = rng.uniform(0, haze)
        nir = nir * (1 - veil) + veil * rng.uniform(0.3, 1)
    if blur and rng.random() < 0.5:
        nir = _blurred(nir, rng.uniform(0, blur))
    if noise and rng.random() < 0.5:
        # most samples have little noise
        deviation = noise * rng.random() ** 2 * (1 + _SHOT_TO_READ * nir).sqrt()
        nir = nir + deviation * torch.from_numpy(rng.standard_normal(nir.shape, dtype=np.float32))
    nir = nir.clamp(0, 1)
    if rng.random() < compression:
        quality = int(rng.integers(*_JPEG_QUALITY))
        nir = torch.stack([_compressed(band, quality) for band in nir])
    return nir


def _blurred(nir: Tensor, sigma_px: float) -> Tensor:
    radius = math.ceil(3 * sigma_px)
    if radius < 1:
        return nir
    profile = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / sigma_px).square())
    profile = profile / profile.sum()
    padded = F.pad(nir[:, None], (radius,) * 4, mode="replicate")
    rows = F.conv2d(padded, profile[None, None, :, None])
    return F.conv2d(rows, profile[None, None, None, :])[:, 0]


def _compressed(band: Tensor, quality: int) -> Tensor:
    height, width = band.shape
    with warnings.catch_warnings(), MemoryFile() as memory:
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with memory.open(
            driver="JPEG", width=width, height=height, count=1, dtype="uint8", quality=quality
        ) as file:
            file.write((band.numpy() * 255).round().astype(np.uint8), 1)
        with memory.open() as file:
            return torch.from_numpy(file.read(1).astype(np.float32) / 255)
