"""Make one pair from one capture: calibrate to reflectance, then mix its bands into NIR bands and colour.

Source: the data set of Park et al., "Multi-Band NIR Colorization Using Structure-Aware Network", section IV.

Every step is linear, so each block of lines takes one multiplication by the gain of every sample and one
matrix product with the weights of every band. Here a line is a row of the line scanner.
"""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nircolor.arrays import Array, Floats, Mask
from nircolor.errors import NircolorError
from nircolor.imagery import create_like, encode_srgb, open_raster
from nircolor.imagery.cube import Cube
from nircolor.imagery.output.bands_writer import BandsWriter, SpectralBand
from nircolor.imagery.raster import Raster
from nircolor.imagery.values.calibration import CONVERTER_TOPS, Calibration, References, load_calibration
from nircolor.parallel import Progress
from nircolor.spectral.capture import Capture
from nircolor.spectral.response import CameraResponse, observer_weights
from nircolor.spectral.weights import gaussian_weights, nearest_weights

# values beyond black or white by less than half an 8-bit step are rounding and noise, not clipping
_CLIPPED = 1 / 510


@dataclass(frozen=True)
class SynthesisSettings:
    """Settings of `nircolor.spectral.synthesize`, which describes them in full.

    Attributes:
        bands_nm: Centres of the NIR bands.
        fwhm_nm: Width of the bands; the nearest band may be half of it away.
        nearest: Use the nearest band of the capture instead of a Gaussian.
        response: Camera whose colour is computed; None for the CIE 1931 observer.
        references: References for all captures, instead of those beside each.
        scale: Value that stands for a reflectance of 1, in captures that hold reflectance.
        block_bytes: Size of the blocks that are read at a time. A block is held both as stored and as
            float32. The result does not depend on it.
    """

    bands_nm: tuple[float, ...] = (780.0, 850.0, 940.0)
    fwhm_nm: float = 10.0
    nearest: bool = False
    response: CameraResponse | None = None
    references: References | None = None
    scale: float | None = None
    block_bytes: int = 32 << 20

    @property
    def nir_camera(self) -> CameraResponse | None:
        """The camera, if it has an NIR channel, which is then written too."""
        return self.response if self.response is not None and self.response.has_nir else None

    def bands(self) -> list[SpectralBand]:
        """Return the NIR bands, with the camera's NIR channel at the end if it has one."""
        bands = [SpectralBand(nm, self.fwhm_nm) for nm in self.bands_nm]
        return [*bands, self.nir_camera.nir_band()] if self.nir_camera else bands

    def weights(self, path: Path, wavelengths_nm: Array) -> Array:
        """Compute the weights that mix a capture's bands into the outputs.

        Args:
            path: The capture, for error messages.
            wavelengths_nm: Band centres of the capture, (n,) in nm; NaN for bands that must not be used.

        Returns:
            (outputs, n): a row for each of `bands`, then linear red, green and blue.

        Raises:
            NircolorError: The capture lacks the bands for an output.
        """
        rows = [
            nearest_weights(path, wavelengths_nm, nm, self.fwhm_nm / 2)
            if self.nearest
            else gaussian_weights(path, wavelengths_nm, nm, self.fwhm_nm)
            for nm in self.bands_nm
        ]
        if self.nir_camera:
            rows.append(self.nir_camera.nir_weights(path, wavelengths_nm))
        if self.response is None:
            return np.vstack([*rows, observer_weights(path, wavelengths_nm)])
        return np.vstack([*rows, self.response.rgb_weights(path, wavelengths_nm)])


@dataclass(frozen=True)
class PairFiles:
    """Files of a pair, relative to the data set's folder; ``camera_nir`` is None without such a channel."""

    nir: str
    rgb: str
    camera_nir: str | None

    @classmethod
    def named(cls, name: str, *, camera_nir: bool) -> "PairFiles":
        """Return the files of the pair called ``name``."""
        return cls(f"nir/{name}.tif", f"rgb/{name}.png", f"camera_nir/{name}.tif" if camera_nir else None)

    def paths(self) -> list[str]:
        """Return the files that are written."""
        return [path for path in (self.nir, self.rgb, self.camera_nir) if path is not None]


def write_pair(
    capture: Capture, settings: SynthesisSettings, folder: Path, on_progress: Progress | None = None
) -> dict[str, Any]:
    """Write the pair of one capture. Not atomic: write to a temporary folder and move the files.

    Args:
        capture: The capture.
        settings: Bands, colour and calibration.
        folder: Where to write the files of `PairFiles`.
        on_progress: Called after each block of lines with the number of lines done and their total.

    Returns:
        For the manifest: size, counts of clipped pixels, hash of the samples.

    Raises:
        NircolorError: The capture or its references cannot be read or do not match, or the capture lacks the
            bands for an output.
    """
    files = PairFiles.named(capture.name, camera_nir=settings.nir_camera is not None)
    cube = Cube(capture.header)
    with ExitStack() as stack:
        # with given references, any scale keeps `open_raster` from using those beside the capture
        scale = 1.0 if settings.references else settings.scale
        raster = stack.enter_context(open_raster(capture.header, scale=scale, encoding="reflectance"))
        wavelengths_nm = np.array([np.nan if nm is None else nm for nm in raster.wavelengths_nm], float)
        if np.isnan(wavelengths_nm).all():
            raise NircolorError(
                f"{capture.header}: expected the wavelength of each band in the header, got none"
            )
        weights = settings.weights(capture.header, wavelengths_nm)
        used = np.flatnonzero(weights.any(0))
        if settings.references is not None:
            calibration: Calibration | None = load_calibration(cube, settings.references)
        else:
            calibration = raster.calibration
            _require_reflectance(raster)
        for path in files.paths():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
        bands, narrow = settings.bands(), len(settings.bands_nm)
        parts = {files.nir: slice(narrow)}
        if files.camera_nir is not None:
            parts[files.camera_nir] = slice(narrow, narrow + 1)
        writers = {
            stack.enter_context(BandsWriter(raster.grid, folder / path, bands[part])): part
            for path, part in parts.items()
        }
        rgb_writer = stack.enter_context(create_like(raster, folder / files.rgb, depth=8))
        mixer = _Mixer(cube, raster, calibration, weights[:, used].astype(np.float32), used)
        block_lines = max(1, settings.block_bytes // (cube.bands * cube.samples * cube.dtype.itemsize))
        for start in range(0, cube.lines, block_lines):
            stop = min(start + block_lines, cube.lines)
            mixed, valid = mixer.mix(start, stop)
            window = (start, stop, 0, cube.samples)
            for writer, part in writers.items():
                writer.write(mixed[part], valid, window)
            rgb_writer.write(encode_srgb(mixed[-3:]), valid, window)
            if on_progress is not None:
                on_progress(stop, cube.lines)
    return {
        "capture": capture.header.name,
        "lines": cube.lines,
        "samples": cube.samples,
        "bands": cube.bands,
        "clipped_pixels": mixer.clipped,
        "sha256": cube.sha256(),
    }


def _require_reflectance(raster: Raster) -> None:
    is_raw = not raster.is_reflectance and raster.dtype.kind != "f" and not raster.values.is_scaled
    if not is_raw:
        error = raster.values.error("reflectance", "synthesize")
        if error is not None:
            raise NircolorError(error)
        return
    raise NircolorError(
        f"{raster.path}: expected {raster.values.references} beside it (or --dark and --white), "
        "or a cube of reflectance: floating point, a reflectance scale factor in its header, or --scale"
    )


class _Mixer:
    """Converts blocks of lines to NIR bands and colour, and counts clipped pixels."""

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
        self.clipped = {"saturated": 0, "nir": 0, "rgb": 0}

    def mix(self, start: int, stop: int) -> tuple[Floats, Mask]:
        """Convert the lines from ``start`` to ``stop``.

        Returns:
            Linear values, (NIR bands + 3, lines, samples), and the mask of valid pixels, (lines, samples).
        """
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
                # the converter has more bits than the white reference used
                type_limit = np.iinfo(raw.dtype).max
                self._limit = next((top for top in CONVERTER_TOPS if highest <= top), type_limit)
            self.clipped["saturated"] += int((raw == self._limit).any(1).sum())
        self.clipped["nir"] += int((mixed[:-3] > 1 + _CLIPPED).any(0).sum())
        colour = mixed[-3:]
        self.clipped["rgb"] += int(((colour > 1 + _CLIPPED) | (colour < -_CLIPPED)).any(0).sum())
