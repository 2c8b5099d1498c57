"""SPECIM's FX10 modelled: from reflectance in front of a camera to what its sensor counts."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from nircolor.spectral.materials import Floats

SENSOR_BANDS: Final = 448
SENSOR_RANGE_NM: Final = (397.0, 1004.5)
_LAMP_K: Final = 2900.0
_HALF_VIEW_DEG: Final = 19.0
# quantum efficiency of a silicon sensor behind a grating and a lens for the visible, by nm
_RESPONSE: Final = ((390, 0.25), (450, 0.45), (550, 0.6), (700, 0.55), (800, 0.4), (900, 0.22), (1010, 0.06))


def fx10_nm(bands: int = SENSOR_BANDS) -> Floats:
    """Band centres in nm, (bands,), of an FX10 whose 448 lines are binned to `bands` (224 is usual).

    Raises:
        ValueError: `bands` does not divide 448.
    """
    if bands < 1 or SENSOR_BANDS % bands:
        raise ValueError(f"an FX10 bins its {SENSOR_BANDS} lines to 448, 224, 112, ... bands, not to {bands}")
    lines_nm = np.linspace(*SENSOR_RANGE_NM, SENSOR_BANDS)
    return np.round(lines_nm.reshape(bands, -1).mean(1), 2)  # as many digits as a header gives


def halogen(wavelengths_nm: Floats) -> Floats:
    """Relative power of a halogen lamp at `wavelengths_nm`: a black body of 2,900 K."""
    return (wavelengths_nm / 1000) ** -5 / np.expm1(14387.77e3 / (wavelengths_nm * _LAMP_K))


@dataclass(frozen=True, eq=False)
class Camera:
    """A camera behind its lens and beside its lamps.

    It counts ``dark + gain · reflectance · exposure in ms``, with noise, in whole numbers up to its bits.
    By default nothing of a reflectance up to 1 saturates.
    """

    wavelengths_nm: Floats = field(default_factory=fx10_nm)
    """(bands,); the header gives them to 0.01 nm."""
    samples: int = 1024
    tint_ms: float = 9.0
    """Exposure of the scene and of the dark reference."""
    white_tint_ms: float = 8.0
    bits: int = 12
    illuminant: Callable[[Floats], Floats] | Floats = halogen
    """Power of the light in any unit: a function of wavelengths in nm, or an array (bands,)."""
    counts_per_ms: float = 400.0
    """What a reflectance of 1 gives in the brightest band and column."""
    read_noise_counts: float = 1.5
    """Standard deviation; 0 for none."""
    electrons_per_count: float = 80.0
    """Sets the shot noise; infinite for none."""
    sensor_id: int = 1
    """Seeds what differs from sensor to sensor: `dark` and `gain`."""
    interleave: Literal["bil", "bip", "bsq"] = "bil"
    byte_order: Literal[0, 1] = 0
    """0 is little-endian."""

    @cached_property
    def dark(self) -> Floats:
        """Counts without light, (bands, samples): some tens, each column with its own amplifier."""
        rng = np.random.default_rng((self.sensor_id, 0))
        columns = 45 + 5 * rng.standard_normal(self.samples)
        pixels = 2 * rng.standard_normal((self.wavelengths_nm.size, self.samples))
        return np.clip(columns + pixels, 10, None).astype(np.float32)

    @cached_property
    def gain(self) -> Floats:
        """Counts a ms for a reflectance of 1, (bands, samples): lamp, sensor, vignetting, uneven pixels."""
        nm = self.wavelengths_nm
        light = self.illuminant(nm) if callable(self.illuminant) else self.illuminant
        across = np.linspace(-1, 1, self.samples) * math.tan(math.radians(_HALF_VIEW_DEG))
        lens = np.cos(np.arctan(across)) ** 4
        rng = np.random.default_rng((self.sensor_id, 1))
        pixels = 1 + 0.01 * rng.standard_normal((nm.size, self.samples))
        relative = (light * np.interp(nm, *np.transpose(_RESPONSE)))[:, None] * lens * pixels
        return (self.counts_per_ms * relative / relative.max()).astype(np.float32)

    def expose(self, reflectance: Floats, tint_ms: float, rng: np.random.Generator) -> npt.NDArray[np.uint16]:
        """Counts for `reflectance`, both (bands, lines, samples).

        Raises:
            ValueError: `reflectance` has other bands or samples than the camera.
        """
        bands, samples = self.gain.shape
        if reflectance.ndim != 3 or (reflectance.shape[0], reflectance.shape[2]) != (bands, samples):
            raise ValueError(f"expected reflectance ({bands}, lines, {samples}), got {reflectance.shape}")
        # line by line, as the camera works: so the noise is the same however lines are cut into blocks
        signal = np.moveaxis(reflectance, 1, 0) * (self.gain * np.float32(tint_ms))
        deviation = np.sqrt(signal / self.electrons_per_count + self.read_noise_counts**2)
        signal += self.dark + deviation * rng.standard_normal(signal.shape, np.float32)
        counts = np.clip(np.rint(signal), 0, 2**self.bits - 1).astype(np.uint16)
        return np.moveaxis(counts, 0, 1)
