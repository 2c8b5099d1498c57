"""The images of an evaluation, put aside while it runs, and read back for its report."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

from nircolor.arrays import Floats, Mask
from nircolor.imagery.reduction import AreaMean
from nircolor.metrics import delta_e2000_map

# one scale for all images and reports, so that error maps compare; 40 is about orange in green's place
ERROR_LIMIT = 40.0
_COLORS = mpl.colormaps["inferno"]
_GRAY = 0.5

Bytes = NDArray[np.uint8]
_LEVELS = 254
_INVALID = 255


@dataclass(frozen=True)
class Shown:
    """The images of one pair as a report shows them, all of one size, floats in [0, 1].

    Attributes:
        nir: (1, h, w) gray, or (3, h, w) false colour with the longest wavelength as red.
        truth: (3, h, w), gray where it is not valid.
        predicted: (3, h, w) by method.
        errors: ΔE2000 from black (0) to light yellow (`ERROR_LIMIT` and above), gray where the truth is
            not valid, (3, h, w) by method.
    """

    nir: Floats
    truth: Floats
    predicted: dict[str, Floats]
    errors: dict[str, Floats]


class Gallery:
    """Takes images one pair at a time into files, so that memory does not grow with a set.

    Stored without loss in 8 bits, averaged down to ``side_px`` where a side is longer, never enlarged.

    Args:
        folder: for the files; who made it removes it.
        side_px: the longest side that is kept.
    """

    def __init__(self, folder: Path, side_px: int = 768) -> None:
        self._folder, self._side_px = folder, side_px
        self._labels: dict[str, tuple[str, ...]] = {}
        self._files: dict[str, Path] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._files

    def add(
        self, name: str, nir: Floats, truth: Floats, valid: Mask, predicted: Mapping[str, Floats]
    ) -> None:
        """Keep a pair's images.

        Args:
            name: of the pair.
            nir: (bands, h, w): one is shown gray, three in false colour, of another number the mean.
            truth: (3, h, w).
            valid: (h, w), where ``truth`` is to be believed.
            predicted: (3, h, w) by method.

        Raises:
            ValueError: images of different sizes, or values outside [0, 1].
        """
        everywhere = np.ones_like(valid)
        kept = {"nir": self._stored(_visible(nir), everywhere), "truth": self._stored(truth, valid)}
        for place, colour in enumerate(predicted.values()):
            kept[f"predicted {place}"] = self._stored(colour, everywhere)
            kept[f"error {place}"] = self._error(colour, truth, valid)
        # numbered, as a name may hold what a file's name may not
        path = self._files.get(name, self._folder / f"{len(self._files)}.npz")
        np.savez_compressed(path, allow_pickle=False, **kept)
        self._files[name], self._labels[name] = path, tuple(predicted)

    def shown(self, name: str) -> Shown:
        """The images of a pair; KeyError where it was not added."""
        labels = self._labels[name]
        with np.load(self._files[name]) as kept:
            return Shown(
                nir=_floats(kept["nir"]),
                truth=_floats(kept["truth"]),
                predicted={label: _floats(kept[f"predicted {place}"]) for place, label in enumerate(labels)},
                errors={label: _colored(kept[f"error {place}"]) for place, label in enumerate(labels)},
            )

    def _stored(self, image: Floats, valid: Mask) -> Bytes:
        means, inside = reduced(image, valid, self._side_px)
        return np.rint(np.where(inside, means, _GRAY).clip(0, 1) * 255).astype(np.uint8)

    def _error(self, predicted: Floats, truth: Floats, valid: Mask) -> Bytes:
        difference = delta_e2000_map(predicted, truth, valid)[None].astype(np.float32)
        means, inside = reduced(difference, valid, self._side_px)
        levels = np.rint(means.clip(0, ERROR_LIMIT) / ERROR_LIMIT * _LEVELS)
        return np.where(inside, levels, _INVALID)[0].astype(np.uint8)


def reduced(image: Floats, valid: Mask, side_px: int) -> tuple[Floats, Mask]:
    """A image (bands, h, w) averaged down over what is valid, so that no side is longer than ``side_px``.

    Returns:
        Means, 0 where nothing is valid, and the mask of where something is.
    """
    height, width = valid.shape
    # NaN belongs to pixels that are not valid
    image = np.nan_to_num(np.where(valid, image, 0))
    factor = max(height, width) / side_px
    if factor <= 1:
        return image, valid
    mean = AreaMean(len(image), valid.shape, (max(1, round(height / factor)), max(1, round(width / factor))))
    mean.add(0, image, valid)
    return mean.result()


def error_colors(count: int) -> list[str]:
    """The error maps' colours from 0 to `ERROR_LIMIT`, evenly spaced, as ``#rrggbb``, for a legend."""
    return [mpl.colors.to_hex(_COLORS(share)) for share in np.linspace(0, 1, count)]


def _visible(nir: Floats) -> Floats:
    if len(nir) in (1, 3):
        return nir[::-1]
    return nir.mean(axis=0, keepdims=True).astype(np.float32)


def _floats(pixels: Bytes) -> Floats:
    return pixels.astype(np.float32) / np.float32(255)


def _colored(levels: Bytes) -> Floats:
    table = np.full((256, 3), _GRAY, np.float32)
    table[: _LEVELS + 1] = _COLORS(np.arange(_LEVELS + 1) / _LEVELS)[:, :3]
    return np.moveaxis(table[levels], -1, 0)
