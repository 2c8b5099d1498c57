"""Tests of `nircolor synthesize`, and of `colorize` and `info` on captures."""

import numpy as np
import pytest

from nircolor.imagery import open_raster
from nircolor.simulation import simulate_captures
from tests.app.command_line import files
from tests.imagery.imagery_samples import load


@pytest.fixture(scope="module")
def captures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("captures")
    simulate_captures(folder, count=2, lines=20, samples=24)
    return folder


def test_captures_to_a_paired_set(tmp_path, captures, nircolor):
    outcome = nircolor("synthesize", captures, "-o", tmp_path / "set", "--jobs", 2)
    assert (outcome.code, outcome.out) == (0, "")
    assert outcome.err.splitlines()[-1] == f"2 pairs -> {tmp_path / 'set'}"
    assert files(tmp_path / "set") == [
        "manifest.json",
        *(f"nir/still_00{n}.tif" for n in range(2)),
        *(f"rgb/still_00{n}.png" for n in range(2)),
    ]
    again = nircolor("synthesize", captures / "still_000", captures / "still_001", "-o", tmp_path / "set")
    assert again.err.splitlines()[-1] == f"0 pairs, 2 up to date -> {tmp_path / 'set'}"


def test_other_bands(tmp_path, captures, nircolor):
    header = captures / "still_000/capture/still_000.hdr"
    assert nircolor("synthesize", header, "-o", tmp_path, "--bands", "800,870", "--fwhm", 25).code == 0
    with open_raster(tmp_path / "nir/still_000.tif") as raster:
        assert raster.wavelengths_nm == (800, 870)


def test_a_response_with_and_without_wavelengths(tmp_path, captures, nircolor):
    nm = np.arange(400, 1001, 10.0)
    curves = [np.exp(-0.5 * ((nm - at) / 40) ** 2) for at in (610, 540, 460, 850)]
    (tmp_path / "full.csv").write_text(
        "nm,R,G,B,NIR\n"
        + "".join(f"{row[0]},{','.join(map(str, row[1:]))}\n" for row in zip(nm, *curves, strict=True))
    )
    (tmp_path / "bare.csv").write_text(
        "".join(f"{','.join(map(str, row))}\n" for row in zip(*curves, strict=True))
    )
    header = captures / "still_000/capture/still_000.hdr"
    for name, options in (("full", ()), ("bare", ("--response-nm", "400:1000:10"))):
        outcome = nircolor(
            "synthesize", header, "-o", tmp_path / name, "--response", tmp_path / f"{name}.csv", *options
        )
        assert outcome.code == 0, outcome.err
    assert files(tmp_path / "full") == [
        "camera_nir/still_000.tif", "manifest.json", "nir/still_000.tif", "rgb/still_000.png"
    ]  # fmt: skip
    for path in files(tmp_path / "full"):
        if path != "manifest.json":
            assert (tmp_path / "full" / path).read_bytes() == (tmp_path / "bare" / path).read_bytes()
    assert "--response-nm 420:1000:10" in nircolor.refused(
        "synthesize", header, "-o", tmp_path / "none", "--response", tmp_path / "bare.csv"
    )
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--bands", "780,green"), "--bands: expected numbers"),
        (("--bands", "780,780"), "--bands: expected different wavelengths"),
        (("--bands", "0.78"), "--bands: expected different wavelengths from 300 to 2600 nm, got 0.78"),
        (("--bands", "1100"), "expected bands from"),
        (("--bands", "1100", "--nearest"), "expected a band within 5 nm of 1100 nm, got 224 bands from"),
        (("--dark", "x.hdr"), "--dark and --white: expected both"),
        (("--response", "none.csv"), "none.csv: expected a CSV"),
        (("--response-nm", "400:700:10"), "--response-nm: expected --response"),
        (("--response-nm", "1:2:3"), "--response-nm: expected FIRST:LAST:STEP in nm"),
    ],
)
def test_invalid_options(tmp_path, captures, nircolor, options, expected):
    message = nircolor.refused("synthesize", captures / "still_000", "-o", tmp_path / "set", *options)
    assert expected in message
    assert not any(path.is_file() for path in (tmp_path / "set").rglob("*"))


def test_a_damaged_capture_does_not_stop_the_others(tmp_path, captures, nircolor):
    broken = tmp_path / "broken.hdr"
    broken.write_text("ENVI\nsamples = 2\n")
    (tmp_path / "broken.raw").write_bytes(b"1234")
    outcome = nircolor("synthesize", captures / "still_000", broken, "-o", tmp_path / "set")
    assert outcome.code == 1
    assert "1 failed:" in outcome.err
    assert f"{broken}: the ENVI header lacks" in outcome.err
    assert "rgb/still_000.png" in files(tmp_path / "set")


def test_many_clipped_pixels_give_a_warning(tmp_path, nircolor):
    simulate_captures(tmp_path / "c", count=1, lines=8, samples=16)
    white = tmp_path / "c/still_000/capture/WHITEREF_still_000.hdr"
    # ten times the exposure time in the header of the white reference makes the capture ten times brighter
    white.write_text(white.read_text().replace("tint = 8.0", "tint = 80.0"))
    outcome = nircolor("synthesize", tmp_path / "c", "-o", tmp_path / "set")
    assert outcome.code == 0
    assert "of the pixels are brighter than white" in outcome.err


def test_a_capture_is_calibrated_and_colorized(tmp_path, captures, nircolor):
    """With dark and white references beside a capture, its reflectance is colorized at the same size."""
    header = captures / "still_001/capture/still_001.hdr"
    outcome = nircolor("colorize", header, "-o", tmp_path / "colour.tif")
    assert outcome.code == 0, outcome.err
    assert "warning" not in outcome.err
    colour, _ = load(tmp_path / "colour.tif")
    assert colour.shape == (3, 20, 24)
    raw = nircolor("colorize", header, "-o", tmp_path / "raw.tif", "--scale", 4095)
    assert raw.code == 0
    assert not np.array_equal(load(tmp_path / "raw.tif")[0], colour)


def test_references_in_a_folder_of_captures_are_not_colorized(tmp_path, captures, nircolor):
    assert nircolor("colorize", "-r", captures, "-o", tmp_path / "out").code == 0
    assert files(tmp_path / "out") == [f"still_00{n}/capture/still_00{n}.tif" for n in range(2)]


def test_info_names_the_references(captures, nircolor):
    out = nircolor("info", captures / "still_000/capture/still_000.hdr").out
    assert "by DARKREF_still_000.hdr and WHITEREF_still_000.hdr" in out
    assert "fits: nircolor colorize" in out
