"""Simulated captures have the vendor's file layout and calibrate back to their reflectance."""

import math
from pathlib import Path

import numpy as np
import pytest

from nircolor.imagery.cube import Cube
from nircolor.imagery.files.envi_header import expected_bytes, parse_header
from nircolor.simulation import Camera, fx10_nm, write_capture
from nircolor.simulation.__main__ import main
from nircolor.simulation.camera import REFERENCE_LINES, halogen
from tests.simulation.small_camera import small_camera

PREFIXES = ("", "DARKREF_", "WHITEREF_")


def random_reflectance(camera: Camera, lines: int = 37, seed: int = 0) -> np.ndarray:
    shape = (camera.wavelengths_nm.size, lines, camera.samples)
    return np.random.default_rng(seed).uniform(0, 1, shape).astype(np.float32)


def written(folder: Path, camera: Camera, reflectance, seed: int = 0) -> Path:
    return write_capture(folder, "scan", reflectance, camera, np.random.default_rng(seed))


def counts(header: Path, prefix: str = "") -> np.ndarray:
    """Read the counts of a capture or reference, (bands, lines, samples)."""
    cube = Cube(header.with_name(prefix + header.name))
    return cube.read(0, cube.lines).transpose(1, 0, 2).astype(np.float64)


def contents(folder: Path) -> dict[str, bytes]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_files_have_the_layout_of_the_vendor(tmp_path) -> None:
    sensor = small_camera(tint_ms=7.25, white_tint_ms=3.5)
    header = written(tmp_path, sensor, random_reflectance(sensor))
    assert header == tmp_path / "capture/scan.hdr"
    expected = {f"capture/{prefix}scan.{kind}" for prefix in PREFIXES for kind in ("hdr", "raw")}
    assert set(contents(tmp_path)) == expected
    for prefix, lines, tint in zip(PREFIXES, (37, 50, 50), (7.25, 7.25, 3.5), strict=True):
        path = header.with_name(f"{prefix}scan.hdr")
        fields = parse_header(path)
        assert path.with_suffix(".raw").stat().st_size == expected_bytes(path, fields) == 112 * lines * 20 * 2
        size = tuple(int(fields[key]) for key in ("bands", "lines", "samples"))
        assert size == (112, lines, 20)
        assert (fields["interleave"], fields["data type"], fields["byte order"]) == ("bil", "12", "0")
        assert float(fields["tint"]) == tint
        assert fields["binning"] == "{1, 4}"
        listed = [float(text) for text in fields["wavelength"].strip("{}").split(",")]
        assert listed == sensor.wavelengths_nm.tolist()
        assert len(fields["fwhm"].split(",")) == 112
        # like the vendor's: Windows line ends, capitals in some keys, no unit of the wavelengths
        assert path.read_bytes().count(b"\r\n") == path.read_bytes().count(b"\n")
        assert b"\nWavelength = {" in path.read_bytes()
        assert "wavelength units" not in fields


@pytest.mark.parametrize("byte_order", [0, 1])
def test_every_interleave_holds_the_same_counts(tmp_path, byte_order) -> None:
    reflectance = random_reflectance(small_camera())
    lines = {"": 37, "DARKREF_": REFERENCE_LINES, "WHITEREF_": REFERENCE_LINES}
    order = {"bil": "lbs", "bip": "lsb", "bsq": "bls"}
    held = {}
    for interleave, axes in order.items():
        sensor = small_camera(interleave=interleave, byte_order=byte_order, read_noise_counts=2)
        header = written(tmp_path / interleave, sensor, reflectance)
        assert parse_header(header)["interleave"] == interleave
        for prefix, count in lines.items():
            size = {"b": 112, "l": count, "s": 20}
            raw = np.fromfile(header.with_name(f"{prefix}scan.raw"), ">u2" if byte_order else "<u2")
            values = np.einsum(f"{axes}->bls", raw.reshape([size[axis] for axis in axes]))
            np.testing.assert_array_equal(values, held.setdefault(prefix, values))
            np.testing.assert_array_equal(values, counts(header, prefix))
    assert len(np.unique(held[""])) > 500
    assert held[""].max() < 4096  # swapped bytes would exceed 12 bits


@pytest.mark.parametrize(("tint_ms", "white_tint_ms"), [(9, 8), (4, 8.5), (6, 6)])
def test_calibration_returns_the_reflectance(tmp_path, tint_ms, white_tint_ms) -> None:
    sensor = small_camera(tint_ms=tint_ms, white_tint_ms=white_tint_ms)
    truth = random_reflectance(sensor)
    header = written(tmp_path, sensor, truth)
    raw = counts(header)
    dark, white = (counts(header, prefix).mean(1, keepdims=True) for prefix in PREFIXES[1:])
    signal = (white - dark) * tint_ms / white_tint_ms
    # the capture and both references are rounded by up to half a count
    allowed = (1 + truth * tint_ms / white_tint_ms) / signal
    assert (np.abs((raw - dark) / signal - truth) <= allowed).all()
    # the allowance is small, so the comparison means something
    assert np.median(allowed) < 2e-3


def test_noise_is_shot_noise_and_read_noise(tmp_path) -> None:
    sensor = small_camera(read_noise_counts=2.0, electrons_per_count=30.0, samples=200)
    truth = random_reflectance(sensor)
    header = written(tmp_path, sensor, truth)
    dark, white = counts(header, "DARKREF_"), counts(header, "WHITEREF_")
    rounding = 1 / 12
    assert dark.var(1, ddof=1).mean() == pytest.approx(4 + rounding, rel=0.02)
    signal = white.mean(1) - dark.mean(1)
    assert np.mean(white.var(1, ddof=1) / (4 + rounding + signal / 30)) == pytest.approx(1, rel=0.02)
    signal = signal[:, None] * sensor.tint_ms / sensor.white_tint_ms
    error = counts(header) - dark.mean(1, keepdims=True) - truth * signal
    # the noise of the references, means of 50 lines, is small
    assert np.mean(error**2 / (4 + truth * signal / 30)) == pytest.approx(1, rel=0.06)
    assert abs(np.mean(error)) < 0.05


def test_the_defaults_use_the_range_of_the_converter_without_saturation() -> None:
    camera = Camera()
    assert camera.gain.shape == camera.dark.shape == (448, 1024)
    assert 250 <= camera.dark.min() < camera.dark.max() < 300
    for tint_ms in (camera.tint_ms, camera.white_tint_ms):
        brightest = (camera.dark + camera.gain * tint_ms).max()
        assert 0.7 * 4095 < brightest < 4095 - 6 * math.sqrt(brightest / camera.electrons_per_count)
    # the weakest band has enough signal, and columns at the edge get less light than the middle
    assert camera.gain.min() * camera.white_tint_ms > 50
    assert 0.7 < camera.gain[:, :9].mean() / camera.gain[:, 508:517].mean() < 0.9


def test_overexposure_saturates_at_the_limit_of_the_converter() -> None:
    rng = np.random.default_rng(0)
    for bits in (10, 12):
        sensor = small_camera(bits=bits)
        exposed = sensor.expose(np.ones((112, 2, 20), np.float32), 60.0, rng)
        assert exposed.max() == 2**bits - 1
        np.testing.assert_array_equal(exposed == exposed.max(), exposed >= 2**bits - 1)


def test_the_illuminant_replaces_sunlight() -> None:
    nm = fx10_nm(112)
    blue, red = np.searchsorted(nm, [450, 900])
    lamp, sun = (
        (camera.gain[blue] / camera.gain[red]).mean()
        for camera in (small_camera(illuminant=halogen(nm)), small_camera())
    )
    assert sun > 4 * lamp


def test_the_bytes_depend_on_the_seed_and_not_on_the_blocks(tmp_path) -> None:
    sensor = small_camera(read_noise_counts=1.5, electrons_per_count=80)
    whole = random_reflectance(sensor)
    blocks = (whole[:, top:bottom] for top, bottom in [(0, 1), (1, 20), (20, 37)])
    written(tmp_path / "whole", sensor, whole)
    written(tmp_path / "blocks", sensor, blocks)
    written(tmp_path / "other", sensor, whole, seed=1)
    assert contents(tmp_path / "whole") == contents(tmp_path / "blocks")
    assert contents(tmp_path / "whole") != contents(tmp_path / "other")


def test_sensors_differ_by_their_id() -> None:
    one, same, other = small_camera(sensor_id=3), small_camera(sensor_id=3), small_camera(sensor_id=4)
    np.testing.assert_array_equal(one.gain, same.gain)
    np.testing.assert_array_equal(one.dark, same.dark)
    assert (one.gain != other.gain).mean() > 0.9
    assert (one.dark != other.dark).mean() > 0.9


@pytest.mark.parametrize("shape", [(111, 5, 20), (112, 5, 1), (112, 20)])
def test_reflectance_of_another_shape_is_refused(tmp_path, shape) -> None:
    with pytest.raises(ValueError, match=r"expected reflectance \(112, lines, 20\)"):
        written(tmp_path, small_camera(), [np.zeros(shape, np.float32)])


@pytest.mark.parametrize("interleave", ["bil", "bsq"])
def test_a_scene_without_lines_is_refused(tmp_path, interleave) -> None:
    with pytest.raises(ValueError, match="line"):
        written(tmp_path, small_camera(interleave=interleave), iter([]))
    assert not (tmp_path / "capture/scan.hdr").exists()


def test_band_centres() -> None:
    full, binned = fx10_nm(), fx10_nm(224)
    assert full[[0, -1]].tolist() == [397, 1004.5]
    np.testing.assert_allclose(np.diff(full), 1.36, atol=0.02)
    np.testing.assert_allclose(binned, full.reshape(224, 2).mean(1), atol=0.011)
    with pytest.raises(ValueError, match="divides 448, got 100"):
        fx10_nm(100)


def test_the_command_is_reproducible(tmp_path, capsys) -> None:
    options = ["--count", "2", "--lines", "20", "--samples", "30", "--bands", "56"]
    for folder, seed in (("a", "7"), ("b", "7"), ("c", "8")):
        main(["-o", str(tmp_path / folder), "--seed", seed, *options])
    first = contents(tmp_path / "a")
    assert len(first) == 2 * 6
    assert first == contents(tmp_path / "b")
    other = contents(tmp_path / "c")
    for number in range(2):
        name = f"still_00{number}/capture/still_00{number}.raw"
        assert len(first[name]) == 56 * 20 * 30 * 2
        assert first[name] != other[name]
    assert first["still_000/capture/still_000.raw"] != first["still_001/capture/still_001.raw"]
    assert capsys.readouterr().out.splitlines()[0].endswith("still_000.hdr")


@pytest.mark.parametrize("wrong", [["--bands", "225"], ["--lines", "0"], ["--samples", "0"]])
def test_the_command_reports_wrong_options_in_one_line(tmp_path, capsys, wrong) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["-o", str(tmp_path), "--lines", "8", "--samples", "8", "--bands", "56", *wrong])
    assert stopped.value.code == 2
    assert "error: " in capsys.readouterr().err.splitlines()[-1]
