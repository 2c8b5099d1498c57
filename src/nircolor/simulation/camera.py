"""Model of SPECIM's FX10 line scanner, and captures as the vendor's software writes them."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from nircolor.arrays import Array, Floats

SENSOR_BANDS: Final = 448
SENSOR_RANGE_NM: Final = (397.0, 1004.5)
REFERENCE_LINES: Final = 50
"""Lines in a dark or white reference."""

_FWHM_NM: Final = 5.5
_LAMP_K: Final = 2900.0
_HALF_VIEW_DEG: Final = 19.0
_BLOCK_LINES: Final = 16
# nm and signal of a white reference in sunlight, as measured with an FX10 (tests/spectral/fx10_lines.npz):
# oxygen absorbs at 760 nm and water at 820 and 940 nm, where a fifth of the signal at 850 nm is left
_WHITE_IN_SUNLIGHT: Final = (
    (397, 0.130), (410, 0.239), (425, 0.310), (440, 0.490), (455, 0.605), (470, 0.725), (485, 0.834),
    (500, 0.799), (515, 0.783), (530, 0.936), (545, 0.996), (560, 0.926), (575, 0.866), (590, 0.870),
    (605, 0.943), (620, 0.937), (640, 0.861), (660, 0.776), (680, 0.789), (700, 0.755), (715, 0.734),
    (725, 0.633), (740, 0.685), (755, 0.594), (760.5, 0.394), (768, 0.495), (780, 0.526), (800, 0.430),
    (818, 0.310), (830, 0.321), (850, 0.300), (870, 0.267), (885, 0.234), (897, 0.175), (910, 0.143),
    (922, 0.134), (932, 0.068), (940, 0.059), (950, 0.055), (965, 0.063), (980, 0.065), (1004.5, 0.049),
)  # fmt: skip
# nm and quantum efficiency of a silicon sensor behind a grating and a lens for visible light
_RESPONSE: Final = ((390, 0.25), (450, 0.45), (550, 0.6), (700, 0.55), (800, 0.4), (900, 0.22), (1010, 0.06))
# order of the axes (bands, lines, samples) in the file
_AXES: Final = {"bil": (1, 0, 2), "bip": (1, 2, 0), "bsq": (0, 1, 2)}


def fx10_nm(bands: int = SENSOR_BANDS) -> Array:
    """Return the band centres of an FX10 whose 448 bands are binned to ``bands``, (bands,) in nm.

    Raises:
        ValueError: ``bands`` does not divide 448.

    Examples:
        >>> fx10_nm(224)[:3].tolist()
        [397.68, 400.4, 403.12]
    """
    if bands < 1 or SENSOR_BANDS % bands:
        raise ValueError(f"expected a number of bands that divides {SENSOR_BANDS}, got {bands}")
    sensor_nm = np.linspace(*SENSOR_RANGE_NM, SENSOR_BANDS)
    return np.round(sensor_nm.reshape(bands, -1).mean(1), 2)  # headers give two digits


def halogen(wavelengths_nm: Array) -> Array:
    """Return the relative power of a halogen lamp, (bands,): a black body of 2,900 K."""
    return (wavelengths_nm / 1000) ** -5 / np.expm1(14387.77e3 / (wavelengths_nm * _LAMP_K))


@dataclass(frozen=True, eq=False)
class Camera:
    """A line-scan camera with its lens and light; dark level, noise and response are those of a real FX10.

    It counts ``dark + gain * reflectance * exposure in ms`` with noise, as integers of ``bits`` bits. With
    the default values, a reflectance of 1 does not saturate.

    Attributes:
        wavelengths_nm: Band centres, (bands,), to 0.01 nm.
        samples: Pixels per line.
        tint_ms: Exposure time of the scene and the dark reference.
        white_tint_ms: Exposure time of the white reference.
        bits: Bits of the converter.
        illuminant: Power of the light, (bands,) in any unit, such as `halogen`; None for sunlight.
        counts_per_ms: Signal of a reflectance of 1 in the brightest band and column.
        read_noise_counts: Standard deviation of the read noise.
        electrons_per_count: Sets the shot noise; infinite for none.
        sensor_id: Seeds the differences between sensors: `dark` and `gain`.
        interleave: Order of the samples in the file.
        byte_order: 0 for little-endian, 1 for big-endian.
    """

    wavelengths_nm: Array = field(default_factory=fx10_nm)
    samples: int = 1024
    tint_ms: float = 9.0
    white_tint_ms: float = 8.0
    bits: int = 12
    illuminant: Array | None = None
    counts_per_ms: float = 400.0
    read_noise_counts: float = 3.3
    electrons_per_count: float = 48.0
    sensor_id: int = 1
    interleave: Literal["bil", "bip", "bsq"] = "bil"
    byte_order: Literal[0, 1] = 0

    @cached_property
    def dark(self) -> Floats:
        """Counts without light, (bands, samples) float32; pixels differ more than columns and bands."""
        rng = np.random.default_rng((self.sensor_id, 0))
        columns = 274 + 0.65 * rng.standard_normal(self.samples)
        pixels = 3.6 * rng.standard_normal((self.wavelengths_nm.size, self.samples))
        return np.clip(columns + pixels, 10, None).astype(np.float32)

    @cached_property
    def gain(self) -> Floats:
        """Counts per ms for a reflectance of 1, (bands, samples) float32: light, lens and sensor."""
        nm = self.wavelengths_nm
        if self.illuminant is None:
            white = np.interp(nm, *np.transpose(_WHITE_IN_SUNLIGHT))
        else:
            white = self.illuminant * np.interp(nm, *np.transpose(_RESPONSE))
        across = np.linspace(-1, 1, self.samples) * math.tan(math.radians(_HALF_VIEW_DEG))
        lens = np.cos(np.arctan(across)) ** 4
        rng = np.random.default_rng((self.sensor_id, 1))
        pixels = 1 + 0.004 * rng.standard_normal((nm.size, self.samples))
        relative = white[:, None] * lens * pixels
        return (self.counts_per_ms * relative / relative.max()).astype(np.float32)

    def expose(self, reflectance: Floats, tint_ms: float, rng: np.random.Generator) -> npt.NDArray[np.uint16]:
        """Convert reflectance to counts.

        Args:
            reflectance: (bands, lines, samples) float32.
            tint_ms: Exposure time.
            rng: Random generator of the noise.

        Returns:
            (bands, lines, samples).

        Raises:
            ValueError: The reflectance has other bands or samples than the camera.
        """
        bands, samples = self.gain.shape
        if reflectance.ndim != 3 or (reflectance.shape[0], reflectance.shape[2]) != (bands, samples):
            raise ValueError(f"expected reflectance ({bands}, lines, {samples}), got {reflectance.shape}")
        # draw the noise line by line, so that it does not depend on how lines are grouped into blocks
        signal = np.moveaxis(reflectance, 1, 0) * (self.gain * np.float32(tint_ms))
        deviation = np.sqrt(signal / self.electrons_per_count + self.read_noise_counts**2)
        signal += self.dark + deviation * rng.standard_normal(signal.shape, np.float32)
        counts = np.clip(np.rint(signal), 0, 2**self.bits - 1).astype(np.uint16)
        return np.moveaxis(counts, 0, 1)


def write_capture(
    folder: Path,
    name: str,
    reflectance: Floats | Iterable[Floats],
    camera: Camera,
    rng: np.random.Generator,
) -> Path:
    """Record a scene and dark and white references into ``FOLDER/capture``, like SPECIM's software.

    Args:
        folder: Folder of the capture, created if needed. Existing files are replaced.
        name: Name of the files.
        reflectance: (bands, lines, samples) float32, or an iterable of such blocks of lines, which needs less
            memory except for bsq. Both give the same bytes.
        camera: The camera. The white reference shows a reflectance of 1 at its ``white_tint_ms``.
        rng: Random generator of the noise; the same state gives the same bytes.

    Returns:
        The capture's header.

    Raises:
        ValueError: The reflectance does not match the camera, or has no lines.
    """
    capture = folder / "capture"
    capture.mkdir(parents=True, exist_ok=True)
    shape = (camera.wavelengths_nm.size, REFERENCE_LINES, camera.samples)
    dark, white = (np.broadcast_to(np.float32(level), shape) for level in (0, 1))
    _write(capture / f"DARKREF_{name}", _cut(dark), camera, camera.tint_ms, rng)
    _write(capture / f"WHITEREF_{name}", _cut(white), camera, camera.white_tint_ms, rng)
    blocks = _cut(reflectance) if isinstance(reflectance, np.ndarray) else reflectance
    return _write(capture / name, blocks, camera, camera.tint_ms, rng)


def _cut(reflectance: Floats) -> Iterator[Floats]:
    for top in range(0, reflectance.shape[1], _BLOCK_LINES):
        yield reflectance[:, top : top + _BLOCK_LINES]


def _write(
    stem: Path, blocks: Iterable[Floats], camera: Camera, tint_ms: float, rng: np.random.Generator
) -> Path:
    exposed: Iterable[npt.NDArray[np.uint16]] = (camera.expose(block, tint_ms, rng) for block in blocks)
    if camera.interleave == "bsq":  # band after band: needs all lines first
        held = list(exposed)
        exposed = [np.concatenate(held, axis=1)] if held else []
    lines = 0
    with Path(f"{stem}.raw").open("wb") as file:
        for counts in exposed:
            lines += counts.shape[1]
            stored = counts.transpose(_AXES[camera.interleave]).astype(">u2" if camera.byte_order else "<u2")
            file.write(stored.tobytes())
    if not lines:
        raise ValueError(f"{stem}: a capture needs at least one line")
    header = Path(f"{stem}.hdr")
    header.write_text(_header(camera, lines, tint_ms), encoding="ascii", newline="\r\n")
    return header


def _header(camera: Camera, lines: int, tint_ms: float) -> str:
    """Return a header with the vendor's keys in their order, and fixed dates for reproducible files."""
    nm = camera.wavelengths_nm
    step_nm = np.ptp(nm) / max(nm.size - 1, 1)
    binning = max(1, round(step_nm * (SENSOR_BANDS - 1) / (SENSOR_RANGE_NM[1] - SENSOR_RANGE_NM[0])))
    shown = ", ".join(str(int(np.abs(nm - centre).argmin()) + 1) for centre in (640, 550, 460))
    centres, widths = ",\n".join(f"{at:.2f}" for at in nm), ",\n".join([f"{_FWHM_NM:.2f}"] * nm.size)
    return f"""ENVI
description = {{
File Imported into ENVI}}
file type = ENVI

sensor type = FX10 , nircolor simulation
acquisition date = DATE(yyyy-mm-dd): 2020-01-01
Start Time = UTC TIME: 12:00:00
Stop Time = UTC TIME: 12:00:00

samples = {camera.samples}
bands = {nm.size}
lines = {lines}

errors = {{none}}

interleave = {camera.interleave}
data type = 12
header offset = 0
byte order = {camera.byte_order}
x start = 0
y start = 0
default bands = {{{shown}}}

himg = {{1, {camera.samples}}}
vimg = {{1, {nm.size}}}
hroi = {{1, {camera.samples}}}
vroi = {{1, {nm.size}}}

fps = 50.00
fps_qpf = 50.00
tint = {tint_ms:.6f}
binning = {{1, {binning}}}
trigger mode = Internal
fodis = {{0, 0}}
sensorid = {camera.sensor_id}
acquisitionwindow left = 0
acquisitionwindow top = 0

VNIR temperature = 32.00

temperature = {{
32.00
}}

Wavelength = {{
{centres}
}}

fwhm = {{
{widths}
}}
"""
