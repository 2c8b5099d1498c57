"""What stands in front of a simulated camera: still lifes of known materials, and charts of known patches."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from nircolor.spectral.materials import MATERIALS, WAVELENGTHS_NM, Floats, reflectance
from nircolor.spectral.things import ELLIPSE, GROUND, LEAF, STRIPE, Thing, polygon

Rectangle = tuple[slice, slice]
"""Lines and samples of a patch, in px."""

_FOLIAGE: Final = ("broadleaf", "conifer", "dry grass", "meadow", "petal", "young leaf")
BLOCK_LINES: Final = 16  # as many lines of an FX10 with all its bands take 30 MB
_BRIGHTEST: Final = 0.98


@dataclass(frozen=True)
class StillLife:
    """Things on a ground; where they overlap, the later one hides the earlier.

    Only the description is held, and lines are rendered when they are asked for: a capture of any length
    fits in memory.
    """

    lines: int
    samples: int
    things: tuple[Thing, ...]
    """The ground first."""
    spectra: Floats
    """Reflectance between which each thing's surface varies, (things, 2, bands) float32 in [0, 1]."""

    def blocks(self) -> Iterator[Floats]:
        """Reflectance as a line scanner meets it: (bands, up to 16 lines, samples) float32 in [0, 1]."""
        spectra = self.spectra.reshape(-1, self.spectra.shape[-1])
        for top in range(0, self.lines, BLOCK_LINES):
            weights = self._weights(top, min(top + BLOCK_LINES, self.lines))
            yield np.clip(np.tensordot(spectra, weights, (0, 0)), 0, 1)

    def reflectance(self) -> Floats:
        """The whole scene, (bands, lines, samples) float32 in [0, 1]."""
        return np.concatenate(list(self.blocks()), axis=1)

    def _weights(self, top: int, bottom: int) -> Floats:
        """What each spectrum adds to a pixel, light and shadow included, (2 · things, lines, samples)."""
        weights = np.zeros((2 * len(self.things), bottom - top, self.samples), np.float32)
        for number, thing in enumerate(self.things):
            rows = np.arange(max(top, thing.top), min(bottom, thing.top + thing.side_px))
            columns = np.arange(max(0, thing.left), min(self.samples, thing.left + thing.side_px))
            if not (rows.size and columns.size):
                continue
            cover, shadow, light, mixture = thing.look(rows, columns)
            window = weights[:, rows[0] - top : rows[-1] + 1 - top, columns[0] : columns[-1] + 1]
            window[: 2 * number] *= shadow * (1 - cover)
            window[2 * number] = cover * light * (1 - mixture)
            window[2 * number + 1] = cover * light * mixture
        return weights


def still_life(rng: np.random.Generator, lines: int, samples: int, wavelengths_nm: Floats) -> StillLife:
    """A made-up scene of `lines` x `samples` px: 12 to 30 things of several shapes over a ground.

    Each is of one of `MATERIALS`, whose spectrum is made brighter or darker, tilted and mixed with a second
    material's, so that no two things have the same. `wavelengths_nm` (bands,). The same state of `rng`
    gives the same scene.
    """
    count = int(rng.integers(12, 31))
    half_px = (lines / 2, samples / 2)
    things = [Thing(rng, GROUND, half_px, 0.0, max(half_px), max(half_px))]
    spectra = [_variants(rng, str(rng.choice(MATERIALS)), wavelengths_nm)]
    for _ in range(count):
        shape = (ELLIPSE, STRIPE, LEAF, polygon(int(rng.integers(3, 8))))[rng.integers(4)]
        long_px = float(np.sqrt(lines * samples / count) * rng.uniform(0.4, 1.0))
        slender = rng.uniform(0.3, 0.5) if shape in (LEAF, STRIPE) else rng.uniform(0.5, 1.0)
        centre_px = (rng.uniform(0, lines), rng.uniform(0, samples))
        things.append(Thing(rng, shape, centre_px, rng.uniform(0, 2 * np.pi), long_px, slender * long_px))
        material = str(rng.choice(_FOLIAGE if shape is LEAF else MATERIALS))
        spectra.append(_variants(rng, material, wavelengths_nm))
    return StillLife(lines, samples, tuple(things), np.stack(spectra).astype(np.float32))


def chart(
    spectra: Floats, *, columns: int = 6, patch_px: int = 16, gap_px: int = 4, gap_reflectance: float = 0.05
) -> tuple[Floats, list[Rectangle]]:
    """Square patches of `spectra` (n, bands) in rows of `columns`, with gaps between and around them.

    Returns reflectance (bands, lines, samples) float32, and the rectangle of each spectrum.
    """
    pitch_px = patch_px + gap_px
    rows = -(-len(spectra) // columns)
    shape = (spectra.shape[1], rows * pitch_px + gap_px, columns * pitch_px + gap_px)
    image = np.full(shape, gap_reflectance, np.float32)
    rectangles = []
    for number, spectrum in enumerate(spectra):
        top, left = (gap_px + pitch_px * place for place in divmod(number, columns))
        patch = (slice(top, top + patch_px), slice(left, left + patch_px))
        image[:, *patch] = spectrum[:, None, None]
        rectangles.append(patch)
    return image, rectangles


def _variants(rng: np.random.Generator, material: str, wavelengths_nm: Floats) -> Floats:
    """Two spectra like that of `material`, the second with more of another material in it, (2, bands)."""
    own, other = (
        np.interp(wavelengths_nm, WAVELENGTHS_NM, reflectance(name))
        for name in (material, str(rng.choice(MATERIALS)))
    )
    tilt = (wavelengths_nm / 700) ** rng.normal(0, 0.5)
    variants = []
    for share in (rng.uniform(0, 0.15), rng.uniform(0.2, 0.6)):
        spectrum = rng.lognormal(0, 0.25) * tilt * ((1 - share) * own + share * other)
        variants.append(spectrum * min(1.0, _BRIGHTEST / spectrum.max()))
    return np.stack(variants)
