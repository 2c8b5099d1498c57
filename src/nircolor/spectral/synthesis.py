"""One capture to one pair: reflectance, near-infrared bands and colour, line block by line block.

Source: the data of Park et al., "Multi-Band NIR Colorization Using Structure-Aware Network", section IV.

All of it is linear, so that a block is multiplied twice: each sample by its gain, all lines by the weights.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nircolor.arrays import Array, Floats, Mask
from nircolor.errors import NircolorError
from nircolor.imagery import create_like, open_raster
from nircolor.imagery.bands_writer import BandsWriter, SpectralBand
from nircolor.imagery.calibration import CONVERTER_TOPS, Calibration, References, load_calibration
from nircolor.imagery.cube import Cube
from nircolor.imagery.raster import Raster
from nircolor.imagery.srgb import encode_srgb
from nircolor.spectral.capture import Capture
from nircolor.spectral.response import CameraResponse, observer_weights
from nircolor.spectral.weights import gaussian_weights, nearest_weights

Progress = Callable[[int, int], None]

# samples of a cube at a time, as integers and as float32
_BLOCK_BYTES = 32 << 20
# what is less beyond white or black is rounding and noise
_CLIPPED = 1 / 510


@dataclass(frozen=True)
class Synthesis:
    """What to make of each capture.

    Attributes:
        bands_nm: centres of the near-infrared bands.
        fwhm_nm: their width; how far off the nearest line may lie is half of it.
        nearest: take the nearest line alone.
        response: of the camera whose colour is wanted, and its near-infrared band where it has one; None for
            the CIE observer.
        references: for all captures, instead of those beside each.
        scale: the value that means a reflectance of 1, of cubes that are reflectances and do not say so.
    """

    bands_nm: tuple[float, ...] = (780.0, 850.0, 940.0)
    fwhm_nm: float = 10.0
    nearest: bool = False
    response: CameraResponse | None = None
    references: References | None = None
    scale: float | None = None

    @property
    def nir_camera(self) -> CameraResponse | None:
        """The response where it has a near-infrared channel, which is made as well then."""
        return self.response if self.response is not None and self.response.has_nir else None

    def bands(self) -> list[SpectralBand]:
        """The near-infrared bands, the camera's own at the end where it has one."""
        bands = [SpectralBand(nm, self.fwhm_nm) for nm in self.bands_nm]
        return [*bands, self.nir_camera.nir_band()] if self.nir_camera else bands

    def weights(self, path: Path, lines_nm: Array) -> Array:
        """Weights (bands + 3, lines) from reflectance to `bands` and linear red, green, blue.

        Raises NircolorError where the cube has not the lines.
        """
        rows = [
            nearest_weights(path, lines_nm, nm, self.fwhm_nm / 2)
            if self.nearest
            else gaussian_weights(path, lines_nm, nm, self.fwhm_nm)
            for nm in self.bands_nm
        ]
        if self.nir_camera:
            rows.append(self.nir_camera.nir_weights(path, lines_nm))
        if self.response is None:
            return np.vstack([*rows, observer_weights(path, lines_nm)])
        return np.vstack([*rows, self.response.rgb_weights(path, lines_nm)])


@dataclass(frozen=True)
class Outputs:
    """Files of a pair, below the set's folder; ``camera_nir`` where the camera has such a channel."""

    nir: str
    rgb: str
    camera_nir: str | None

    @classmethod
    def of(cls, name: str, *, camera_nir: bool) -> "Outputs":
        return cls(f"nir/{name}.tif", f"rgb/{name}.png", f"camera_nir/{name}.tif" if camera_nir else None)

    def paths(self) -> list[str]:
        return [path for path in (self.nir, self.rgb, self.camera_nir) if path is not None]


def synthesize(capture: Capture, synthesis: Synthesis, folder: Path, on_progress: Progress) -> dict[str, Any]:
    """Write a capture's pair into ``folder``, which nobody else uses.

    Args:
        capture: the cube.
        synthesis: what to make of it.
        folder: see `Outputs` for what comes to lie in it.
        on_progress: called after each block with the lines done since and those of the capture.

    Returns:
        The pair's record: size, how many pixels were clipped, the samples' hash.

    Raises:
        NircolorError: the capture or its references cannot be read or do not fit each other, or it has not
            the lines that are wanted.
    """
    outputs = Outputs.of(capture.name, camera_nir=synthesis.nir_camera is not None)
    cube = Cube(capture.header)
    with ExitStack() as stack:
        # any scale: the references beside the capture are not wanted where others are given
        scale = 1.0 if synthesis.references else synthesis.scale
        raster = stack.enter_context(open_raster(capture.header, scale=scale))
        lines_nm = np.array([np.nan if nm is None else nm for nm in raster.wavelengths_nm], float)
        if np.isnan(lines_nm).all():
            raise NircolorError(
                f"{capture.header}: expected the wavelength of each band in the header, got none"
            )
        weights = synthesis.weights(capture.header, lines_nm)
        used = np.flatnonzero(weights.any(0))
        if synthesis.references is not None:
            calibration: Calibration | None = load_calibration(cube, synthesis.references)
        else:
            calibration = raster.calibration
            _require_reflectance(raster, synthesis)
        for path in outputs.paths():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
        bands, narrow = synthesis.bands(), len(synthesis.bands_nm)
        parts = {outputs.nir: slice(narrow)}
        if outputs.camera_nir is not None:
            parts[outputs.camera_nir] = slice(narrow, narrow + 1)
        writers = {
            stack.enter_context(BandsWriter(raster, folder / path, bands[part])): part
            for path, part in parts.items()
        }
        rgb_writer = stack.enter_context(create_like(raster, folder / outputs.rgb, depth=8))
        mixer = _Mixer(cube, raster, calibration, weights[:, used].astype(np.float32), used)
        for start in range(0, cube.lines, mixer.lines):
            stop = min(start + mixer.lines, cube.lines)
            mixed, valid = mixer.mix(start, stop)
            window = (start, stop, 0, cube.samples)
            for writer, part in writers.items():
                writer.write(mixed[part], valid, window)
            rgb_writer.write(encode_srgb(mixed[-3:]), valid, window)
            on_progress(stop - start, cube.lines)
    return {
        "capture": capture.header.name,
        "lines": cube.lines,
        "samples": cube.samples,
        "bands": cube.bands,
        "clipped_pixels": mixer.clipped,
        "sha256": cube.sha256(),
    }


def _require_reflectance(raster: Raster, synthesis: Synthesis) -> None:
    if raster.is_reflectance or raster.dtype.kind == "f" or synthesis.scale is not None:
        return
    name = raster.path.with_suffix(".hdr").name
    raise NircolorError(
        f"{raster.path}: expected DARKREF_{name} and WHITEREF_{name} beside it (or --dark and --white), "
        "or a cube of reflectances: floating point, a reflectance scale factor in its header, or --scale"
    )


class _Mixer:
    """Blocks of lines to bands and colour, counting what is clipped."""

    def __init__(
        self, cube: Cube, raster: Raster, calibration: Calibration | None, weights: Floats, used: Array
    ) -> None:
        self._cube, self._weights, self._used, self._nodata = cube, weights, used, raster.nodata
        self._calibration, self._limit = calibration, np.inf
        if calibration is None:
            black, white = raster.black_white
            self._gain = (1 / (white - black)[used]).astype(np.float32)
            offset = black[used] * self._gain
        else:
            calibration.check(used.tolist())
            self._limit = calibration.limit
            self._gain, offset = calibration.gain_and_offset(used.tolist())
        self._offset = weights @ np.broadcast_to(offset, (len(used), cube.samples)).astype(np.float32)
        self.lines = max(1, _BLOCK_BYTES // (cube.bands * cube.samples * cube.dtype.itemsize))
        self.clipped = {"saturated": 0, "nir": 0, "rgb": 0}

    def mix(self, start: int, stop: int) -> tuple[Floats, Mask]:
        """Lines ``start`` to ``stop``: (bands + 3, h, samples), linear, and the valid pixels (h, samples)."""
        raw = self._cube.read(start, stop)[:, self._used]
        valid = self._valid(raw)
        values = np.multiply(raw, self._gain, dtype=np.float32)
        if self._calibration is not None:
            self._calibration.mend(values.transpose(1, 0, 2), self._used.tolist())
            valid = self._calibration.mend_valid(valid, self._used.tolist())
        mixed = (self._weights @ values - self._offset).transpose(1, 0, 2)
        if not valid.all():
            mixed[:, ~valid] = 0
        self._count(raw, mixed)
        return mixed, valid

    def _valid(self, raw: Array) -> Mask:
        valid: Mask = np.ones(raw[:, 0].shape, bool)
        if raw.dtype.kind == "f":
            valid &= np.isfinite(raw).all(1)
        if self._nodata is not None:
            valid &= np.asarray(raw != self._nodata).all(1)
        return valid

    def _count(self, raw: Array, mixed: Floats) -> None:
        if np.isfinite(self._limit):
            highest = raw.max()
            if highest > self._limit:
                # the capture shows a converter of more bits than its white reference did
                of_type = np.iinfo(raw.dtype).max
                self._limit = next((top for top in CONVERTER_TOPS if highest <= top), of_type)
            self.clipped["saturated"] += int((raw == self._limit).any(1).sum())
        self.clipped["nir"] += int((mixed[:-3] > 1 + _CLIPPED).any(0).sum())
        colour = mixed[-3:]
        self.clipped["rgb"] += int(((colour > 1 + _CLIPPED) | (colour < -_CLIPPED)).any(0).sum())
