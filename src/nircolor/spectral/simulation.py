"""Captures as a SPECIM camera records them, of scenes whose truth is known.

The files lie and read like those of the vendor's software, so that everything from a capture to a trained
network can be rehearsed without a camera::

    python -m nircolor.spectral.simulation -o captures --count 12
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from nircolor.spectral.line_scanner import SENSOR_BANDS, SENSOR_RANGE_NM, Camera, fx10_nm
from nircolor.spectral.materials import Floats
from nircolor.spectral.scenery import BLOCK_LINES, still_life

REFERENCE_LINES: Final = 50
_FWHM_NM: Final = 5.5
# axes of (bands, lines, samples) in the order in which they lie in the file
_AXES: Final = {"bil": (1, 0, 2), "bip": (1, 2, 0), "bsq": (0, 1, 2)}


def write_capture(
    folder: Path,
    name: str,
    reflectance: Floats | Iterable[Floats],
    camera: Camera,
    rng: np.random.Generator,
) -> Path:
    """Record `reflectance` with dark and white reference into `folder`/capture, as SPECIM's software does.

    `reflectance` is (bands, lines, samples), 0 to 1, or an iterable of such blocks of lines; the same `rng`
    state gives the same bytes for both. The white reference is a sheet of reflectance 1.0 at
    `camera.white_tint_ms`, dark and white have 50 lines. Files that are there are replaced. A capture in
    bsq is gathered in memory, others are written block by block.

    Returns:
        The capture's header.

    Raises:
        ValueError: `reflectance` does not fit the camera, or has no lines.
    """
    capture = folder / "capture"
    capture.mkdir(parents=True, exist_ok=True)
    shape = (camera.wavelengths_nm.size, REFERENCE_LINES, camera.samples)
    cap, sheet = (np.broadcast_to(np.float32(level), shape) for level in (0, 1))
    _write(capture / f"DARKREF_{name}", _cut(cap), camera, camera.tint_ms, rng)
    _write(capture / f"WHITEREF_{name}", _cut(sheet), camera, camera.white_tint_ms, rng)
    blocks = _cut(reflectance) if isinstance(reflectance, np.ndarray) else reflectance
    return _write(capture / name, blocks, camera, camera.tint_ms, rng)


def _cut(reflectance: Floats) -> Iterator[Floats]:
    for top in range(0, reflectance.shape[1], BLOCK_LINES):
        yield reflectance[:, top : top + BLOCK_LINES]


def _write(
    stem: Path, blocks: Iterable[Floats], camera: Camera, tint_ms: float, rng: np.random.Generator
) -> Path:
    exposed: Iterable[npt.NDArray[np.uint16]] = (camera.expose(block, tint_ms, rng) for block in blocks)
    if camera.interleave == "bsq":  # its first band is complete with the last line only
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
    """In the words and the order of the vendor's recorder, without a clock: files are to repeat."""
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


def main(arguments: list[str] | None = None) -> None:
    """Write captures of still lifes: ``python -m nircolor.spectral.simulation --help``."""
    import argparse

    parser = argparse.ArgumentParser(
        prog="python -m nircolor.spectral.simulation",
        description="Write simulated SPECIM FX10 captures of still lifes.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder, made if it is not there")
    parser.add_argument("--count", type=int, default=12, help="how many captures")
    parser.add_argument("--lines", type=int, default=256, help="lines of each, in px")
    parser.add_argument("--samples", type=int, default=256, help="width of each, in px")
    parser.add_argument("--bands", type=int, default=224, help="448, or fewer by binning")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same files")
    given = parser.parse_args(arguments)
    try:
        camera = Camera(fx10_nm(given.bands), given.samples)
        for number in range(given.count):
            rng = np.random.default_rng((given.seed, number))
            scene = still_life(rng, given.lines, given.samples, camera.wavelengths_nm)
            name = f"still_{number:03d}"
            header = write_capture(given.output / name, name, scene.blocks(), camera, rng)
            print(header)
    except (ValueError, OSError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
