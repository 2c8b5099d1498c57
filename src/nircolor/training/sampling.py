"""Training samples as a pure function of (seed, index): a resumed run sees what it would have seen.

A sample is what the engine gives the network at run time: a *picture* (a random window of a photograph, so
that a place is framed in many ways), its reduced view, and a *tile* of it at some zoom.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Augmentation:
    """How far samples stray from the photographs.

    Attributes:
        smallest_area: smallest share of a photograph that a picture covers.
        aspect: largest stretch of a picture's sides, natural logarithm.
        zoom: smallest and largest scale at which tiles are cut.
        gamma: largest change of the NIR input's gamma, natural logarithm.
        exposure: largest change of the NIR input's exposure, natural logarithm.
        noise: largest standard deviation of noise on the NIR input.
    """

    smallest_area: float = 0.45
    aspect: float = 0.25
    zoom: tuple[float, float] = (0.35, 1.5)
    gamma: float = 0.25
    exposure: float = 0.15
    noise: float = 0.02


@dataclass(frozen=True)
class Photograph:
    """One pair in memory: ``pixels`` is (5, h, w) uint8: NIR, red, green, blue, 255 where valid."""

    name: str
    pixels: Tensor


def draw_sample(
    photograph: Photograph,
    rng: np.random.Generator,
    augmentation: Augmentation,
    tile_px: int,
    context_px: int,
) -> dict[str, Tensor]:
    """Draw one picture and one tile of it.

    Returns:
        ``nir`` (1, tile, tile), ``context`` (5, context, context) as `modelfile.Context` says, ``rgb``
        (3, tile, tile) and ``valid`` (1, tile, tile), all float32 in [0, 1].
    """
    a = augmentation
    picture = _window(photograph.pixels, rng, a).float() / 255
    if rng.random() < 0.5:
        picture = picture.flip(2)
    view = resize(picture[:1], (context_px, context_px))

    height, width = picture.shape[1:]
    zoom = max(math.exp(rng.uniform(*np.log(a.zoom))), tile_px / height, tile_px / width)
    picture = resize(picture, (max(tile_px, round(height * zoom)), max(tile_px, round(width * zoom))))
    height, width = picture.shape[1:]
    top, left = int(rng.integers(height - tile_px + 1)), int(rng.integers(width - tile_px + 1))
    tile = picture[:, top : top + tile_px, left : left + tile_px]
    edges = (top / height, (top + tile_px) / height, left / width, (left + tile_px) / width)

    gamma, exposure = math.exp(rng.uniform(-a.gamma, a.gamma)), math.exp(rng.uniform(-a.exposure, a.exposure))
    nir, view = (torch.clamp(x**gamma * exposure, 0, 1) for x in (tile[:1], view))
    # half of the pictures stay clean
    deviation = a.noise * max(0.0, rng.uniform(-1, 1))
    nir = nir + deviation * torch.from_numpy(rng.standard_normal(nir.shape, dtype=np.float32))
    return as_sample(nir.clamp(0, 1), view, edges, tile)


def as_sample(
    nir: Tensor, view: Tensor, edges: tuple[float, float, float, float], tile: Tensor
) -> dict[str, Tensor]:
    """What the network gets (NIR, view, the tile's edges in it) and must give (the tile's five planes)."""
    planes = torch.tensor(edges)[:, None, None].expand(4, *view.shape[1:])
    return {
        "nir": nir,
        "context": torch.cat([view, planes]),
        "rgb": tile[1:4],
        "valid": (tile[4:] > 0.99).float(),
    }


def resize(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """(C, h, w) to another size, averaging where it shrinks."""
    return F.interpolate(picture[None], size=size, mode="bilinear", antialias=True)[0].clamp(0, 1)


def _window(pixels: Tensor, rng: np.random.Generator, a: Augmentation) -> Tensor:
    height, width = pixels.shape[1:]
    side = math.sqrt(rng.uniform(a.smallest_area, 1))
    stretch = math.exp(rng.uniform(-a.aspect, a.aspect))
    rows, columns = min(height, round(height * side * stretch)), min(width, round(width * side / stretch))
    top, left = int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1))
    return pixels[:, top : top + rows, left : left + columns]


def to_photograph(
    name: str, nir: NDArray[np.float32], rgb: NDArray[np.float32], valid: NDArray[np.bool_]
) -> Photograph:
    """Pack a pair as `pairs.read_pair` gives it into bytes: all of them stay in memory."""
    planes = np.concatenate([nir, rgb, valid[None].astype(np.float32)])
    return Photograph(name, torch.from_numpy(np.floor(planes * 255 + 0.5).astype(np.uint8)))
