"""Training samples as a pure function of (seed, index): a resumed run sees what it would have seen.

A sample is what the engine gives the network at run time: a *tile* of a *image* at some zoom and, for
networks that ask for it, the reduced view of the whole image. A image may itself be a random window of a
photograph, so that a place is framed in many ways.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from nircolor.arrays import Floats, Mask

Sample = dict[str, Tensor | str]


@dataclass(frozen=True)
class Augmentation:
    """How far samples stray from the photographs; as it stands, random crops and mirroring.

    Attributes:
        smallest_area: smallest share of a photograph that a image covers.
        aspect: largest stretch of a image's sides, natural logarithm.
        zoom: smallest and largest scale at which tiles are cut.
        rotate90: turn by quarters too, for views from above; otherwise up stays up.
        gamma: largest change of the NIR input's gamma, natural logarithm.
        exposure: largest change of the NIR input's exposure, natural logarithm.
        noise: largest standard deviation of noise on the NIR input; half of the samples stay clean.
    """

    smallest_area: float = 1.0
    aspect: float = 0.0
    zoom: tuple[float, float] = (1.0, 1.0)
    rotate90: bool = False
    gamma: float = 0.0
    exposure: float = 0.0
    noise: float = 0.0


@dataclass(frozen=True)
class Photograph:
    """One pair in memory.

    Attributes:
        name: of the pair.
        pixels: (bands + 4, h, w): NIR bands, red, green, blue, validity; uint8 of 255 where that is exact,
            else float32 in [0, 1].
    """

    name: str
    pixels: Tensor

    def floats(self) -> Tensor:
        """All planes in [0, 1]."""
        return self.pixels.float() / 255 if self.pixels.dtype == torch.uint8 else self.pixels


def to_photograph(name: str, nir: Floats, rgb: Floats, valid: Mask) -> Photograph:
    """Pack a pair as `pairs.read_pair` gives it; 8-bit images take a quarter of the memory."""
    planes = np.concatenate([nir, rgb, valid[None].astype(np.float32)])
    packed = np.rint(planes * 255).astype(np.uint8)
    # invalid pixels hold a fill value, which need not be exact
    exact = np.array_equal((packed / np.float32(255))[:, valid], planes[:, valid])
    return Photograph(name, torch.from_numpy(packed if exact else planes))


def draw_sample(
    photograph: Photograph,
    rng: np.random.Generator,
    augmentation: Augmentation,
    tile_px: int,
    context_px: int | None = None,
) -> Sample:
    """Draw one image and one tile of it.

    Returns:
        ``nir`` (bands, tile, tile), ``rgb`` (3, tile, tile) and ``valid`` (1, tile, tile), float32 in [0, 1];
        ``context`` (bands + 4, context, context) as `modelfile.Context` says, where asked for; ``name``.
    """
    a = augmentation
    image = _framed(photograph.floats(), rng, a)
    bands = len(image) - 4
    # like a tile at run time, the view is of the image as it was taken
    view = None if context_px is None else resize(image[:bands], (context_px, context_px))

    height, width = image.shape[1:]
    zoom = max(math.exp(rng.uniform(*np.log(a.zoom))), tile_px / height, tile_px / width)
    image = resize(image, (max(tile_px, round(height * zoom)), max(tile_px, round(width * zoom))))
    height, width = image.shape[1:]
    top, left = int(rng.integers(height - tile_px + 1)), int(rng.integers(width - tile_px + 1))
    tile = image[:, top : top + tile_px, left : left + tile_px]
    edges = (top / height, (top + tile_px) / height, left / width, (left + tile_px) / width)

    gamma, exposure = math.exp(rng.uniform(-a.gamma, a.gamma)), math.exp(rng.uniform(-a.exposure, a.exposure))
    deviation = a.noise * max(0.0, rng.uniform(-1, 1))

    def seen(x: Tensor) -> Tensor:
        return torch.clamp(x**gamma * exposure, 0, 1)

    nir = seen(tile[:bands])
    if deviation > 0:
        nir = nir + deviation * torch.from_numpy(rng.standard_normal(nir.shape, dtype=np.float32))
    tile = torch.cat([nir.clamp(0, 1), tile[bands:]])
    return as_sample(photograph.name, tile, None if view is None else seen(view), edges)


def as_sample(
    name: str, tile: Tensor, view: Tensor | None, edges: tuple[float, float, float, float]
) -> Sample:
    """A tile's planes, and the view with the tile's edges in it, under the names that training uses."""
    sample: Sample = {"name": name, "nir": tile[:-4], "rgb": tile[-4:-1], "valid": (tile[-1:] > 0.99).float()}
    if view is not None:
        planes = torch.tensor(edges)[:, None, None].expand(4, *view.shape[1:])
        sample["context"] = torch.cat([view, planes])
    return sample


def resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    """(C, h, w) to another size, averaging where it shrinks."""
    if image.shape[1:] == size:
        return image
    return F.interpolate(image[None], size=size, mode="bilinear", antialias=True)[0].clamp(0, 1)


def _framed(pixels: Tensor, rng: np.random.Generator, a: Augmentation) -> Tensor:
    height, width = pixels.shape[1:]
    side = math.sqrt(rng.uniform(a.smallest_area, 1))
    stretch = math.exp(rng.uniform(-a.aspect, a.aspect))
    rows, columns = min(height, round(height * side * stretch)), min(width, round(width * side / stretch))
    top, left = int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1))
    window = pixels[:, top : top + rows, left : left + columns]
    if rng.random() < 0.5:
        window = window.flip(2)
    return window.rot90(int(rng.integers(4)), (1, 2)) if a.rotate90 else window
