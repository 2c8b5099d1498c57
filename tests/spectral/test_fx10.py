"""Two lines of a real FX10 (see `fx10_lines.LICENSE.txt`), and the simulated camera beside them."""

from pathlib import Path

import numpy as np
import pytest
import rasterio

from nircolor.imagery import open_raster
from nircolor.modelfile import Band, match_raster
from nircolor.simulation import Camera
from nircolor.spectral import synthesize

FILE = Path(__file__).with_name("fx10_lines.npz")


@pytest.fixture(scope="module")
def lines():
    """Counts (line, sample, band) of scene, white and dark, and the wavelengths."""
    with np.load(FILE) as stored:
        return {name: stored[name].astype(np.float64) for name in stored.files}


@pytest.fixture
def capture(tmp_path, lines):
    """The lines as SPECIM's software writes a capture."""
    folder = tmp_path / "ice" / "capture"
    folder.mkdir(parents=True)
    for name, kind in (("0001", "scene"), ("WHITEREF_0001", "white"), ("DARKREF_0001", "dark")):
        counts = lines[kind].astype("<u2").transpose(0, 2, 1)
        (folder / f"{name}.raw").write_bytes(counts.tobytes())
        centres = ",\n".join(f"{nm:.2f}" for nm in lines["wavelengths_nm"])
        (folder / f"{name}.hdr").write_text(
            f"ENVI\nsamples = {counts.shape[2]}\nlines = 2\nbands = {counts.shape[1]}\ndata type = 12\n"
            f"interleave = bil\nbyte order = 0\nheader offset = 0\nWavelength = {{\n{centres}\n}}\n"
        )
    return folder / "0001.hdr"


def test_a_real_capture_becomes_a_pair(tmp_path, capture, lines):
    (result,) = synthesize(capture.parents[1], tmp_path / "out", bands_nm=(780, 850, 940))
    assert result.error is None
    with rasterio.open(tmp_path / "out" / "nir" / "ice.tif") as file:
        nir = file.read() / 10000
    signal = lines["white"].mean(0) - lines["dark"].mean(0)
    expected = (lines["scene"] - lines["dark"].mean(0)) / signal
    for band, centre in zip(nir, (780, 850, 940), strict=True):
        near = np.abs(lines["wavelengths_nm"] - centre) <= 5
        # ice absorbs more, the longer the wavelength
        assert band.mean() == pytest.approx(expected[..., near].mean(), rel=0.01)
    assert nir[0].mean() > nir[1].mean() > nir[2].mean()
    with rasterio.open(tmp_path / "out" / "rgb" / "ice.png") as file:
        rgb = file.read().astype(float).mean(axis=(1, 2))
    # weathered ice is gray, with a trace of blue
    assert np.ptp(rgb) < 10
    assert 150 < rgb.mean() < 230


def test_bands_are_averaged_as_in_training(tmp_path, capture):
    """A single band at 940 nm has more than twice the noise of the mean that the network was trained on."""
    synthesize(tmp_path / "ice", tmp_path / "out", bands_nm=(780, 850, 940))
    with rasterio.open(tmp_path / "out" / "nir" / "ice.tif") as file:
        trained = file.read() / 10000
    bands = [Band(center_nm=nm, fwhm_nm=10, tolerance_nm=5) for nm in (780, 850, 940)]
    with open_raster(capture) as raster:
        mixture = match_raster(bands, raster, "a model")
        values, _ = raster.read()
        nearest = [int(np.abs(np.array(raster.wavelengths_nm) - nm).argmin()) for nm in (780, 850, 940)]
    mixed = np.tensordot(mixture, values, 1)
    np.testing.assert_allclose(mixed, trained, atol=1e-3)

    def noise(image):
        return float(np.std(image[2, 0] - image[2, 1]))

    assert noise(values[nearest]) > 2 * noise(mixed)


def test_the_simulated_camera_is_like_the_real_one(lines):
    camera = Camera()
    signal = (lines["white"] - lines["dark"]).mean(axis=(0, 1))
    simulated = camera.gain.mean(axis=1) * camera.white_tint_ms
    at = [
        int(np.abs(lines["wavelengths_nm"] - nm).argmin())
        for nm in (400, 450, 550, 650, 780, 850, 900, 940, 1000)
    ]
    ratio = (simulated / simulated.max())[at] / (signal / signal.max())[at]
    assert ratio == pytest.approx(np.ones(len(at)), abs=0.2)
    # the band at 940 nm has a fifth of the signal of that at 850 nm
    assert simulated[at[5]] / simulated[at[7]] == pytest.approx(5, rel=0.2)
    assert camera.dark.mean() == pytest.approx(lines["dark"].mean(), abs=5)
    assert camera.dark.std() == pytest.approx(lines["dark"].mean(0).std(), rel=0.3)
    # noise from line to line
    for kind, level in (("dark", 0.0), ("white", 1.0)):
        real = np.diff(lines[kind], axis=0)[0] / np.sqrt(2)
        exposed = camera.expose(
            np.full((448, 2, 1024), level, np.float32), camera.white_tint_ms, np.random.default_rng(0)
        )
        simulated_noise = np.diff(exposed.astype(float), axis=1)[:, 0] / np.sqrt(2)
        assert simulated_noise.std() == pytest.approx(real.std(), rel=0.2)
