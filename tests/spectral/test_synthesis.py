"""Pairs compared with the reflectance of simulated captures: bands, colour, calibration, memory."""

import tracemalloc
import warnings

import colour
import numpy as np
import pytest
import rasterio

from nircolor.errors import NircolorError, NircolorWarning
from nircolor.imagery import encode_srgb, open_raster
from nircolor.imagery.cube import Cube
from nircolor.imagery.values.calibration import References
from nircolor.simulation import fx10_nm
from nircolor.spectral.capture import Capture
from nircolor.spectral.response import CameraResponse, observer_weights
from nircolor.spectral.synthesis import SynthesisSettings, write_pair
from nircolor.spectral.weights import GRID_NM

BANDS = SynthesisSettings()


def make(header, folder, synthesis=BANDS, name="pair"):
    return write_pair(Capture(name, header), synthesis, folder)


def read(path):
    with open_raster(path) as raster:
        return raster.read()[0], raster.wavelengths_nm


def read_rgb(path):
    with open_raster(path, bands_nm=(650, 550, 450)) as raster:
        return raster.read()[0]


def truth(reflectance, wavelengths_nm, synthesis=BANDS):
    mixed = np.tensordot(synthesis.weights("truth", wavelengths_nm), reflectance, 1)
    return mixed[:-3], encode_srgb(mixed[-3:])


def smooth(wavelengths_nm, height=12, width=20, seed=0):
    """Return reflectance (bands, height, width) with a different smooth spectrum in each pixel."""
    knots = np.random.default_rng(seed).uniform(0.05, 0.9, (5, height, width))
    at = np.linspace(0, 4, len(wavelengths_nm))
    low = at.astype(int).clip(max=3)
    part = (at - low)[:, None, None]
    return knots[low] * (1 - part) + knots[low + 1] * part


@pytest.mark.parametrize("interleave", ["bil", "bip", "bsq"])
@pytest.mark.parametrize("byte_order", [0, 1])
def test_bands_and_colour_match_the_scene(tmp_path, record, interleave, byte_order):
    scene = smooth(fx10_nm(112))
    header = record(tmp_path / "a", scene, interleave=interleave, byte_order=byte_order)
    synthesis = SynthesisSettings(bands_nm=(780, 850, 940), fwhm_nm=20, block_bytes=5 * 112 * 20 * 2)
    record_of_pair = make(header, tmp_path / "out", synthesis)
    nir, rgb = truth(scene, fx10_nm(112), synthesis)
    got, wavelengths_nm = read(tmp_path / "out/nir/pair.tif")
    # white is only a few hundred counts at 940 nm
    np.testing.assert_allclose(got, nir, atol=5e-3)
    assert wavelengths_nm == (780, 850, 940)
    np.testing.assert_allclose(read_rgb(tmp_path / "out/rgb/pair.png"), rgb, atol=0.01)
    assert record_of_pair["clipped_pixels"] == {"saturated": 0, "nir": 0, "rgb": 0}
    assert (record_of_pair["lines"], record_of_pair["samples"]) == (12, 20)
    assert record_of_pair["sha256"] == Cube(header).sha256()


@pytest.mark.filterwarnings("ignore::colour.utilities.ColourRuntimeWarning")
def test_a_colour_chart(tmp_path, record):
    """With noise, sunlight, another exposure of white and a dark offset, ΔE2000 stays below 1."""
    spectra = list(colour.SDS_COLOURCHECKERS["BabelColor Average"].values())
    wavelengths_nm = fx10_nm(224)
    patches = np.stack([np.interp(wavelengths_nm, sd.wavelengths, sd.values) for sd in spectra], 1)
    scene = patches.reshape(-1, 4, 6).repeat(8, 1).repeat(8, 2)
    header = record(
        tmp_path / "a",
        scene,
        wavelengths_nm=wavelengths_nm,
        samples=48,
        read_noise_counts=1.5,
        electrons_per_count=80.0,
    )
    make(header, tmp_path)
    rgb = read_rgb(tmp_path / "rgb/pair.png")
    means = rgb.reshape(3, 4, 8, 6, 8).mean((2, 4)).reshape(3, 24).T
    observer = colour.MSDS_CMFS["CIE 1931 2 Degree Standard Observer"]
    expected = [
        colour.XYZ_to_RGB(
            colour.sd_to_XYZ(sd, observer, colour.SDS_ILLUMINANTS["D65"]) / 100,
            "sRGB",
            apply_cctf_encoding=True,
        ).clip(0, 1)
        for sd in spectra
    ]
    lab = [
        colour.XYZ_to_Lab(colour.RGB_to_XYZ(rgb, "sRGB", apply_cctf_decoding=True))
        for rgb in (means, np.stack(expected))
    ]
    assert colour.delta_E(*lab, method="CIE 2000").max() < 1


def test_reflectance_beyond_700_nm_alone_is_black(tmp_path, record):
    wavelengths_nm = fx10_nm(112)
    scene = np.zeros((112, 4, 20))
    scene[wavelengths_nm > 700] = 0.8
    make(record(tmp_path / "a", scene), tmp_path)
    with rasterio.open(tmp_path / "rgb/pair.png") as file:
        assert not file.read().any()
    assert read(tmp_path / "nir/pair.tif")[0].min() > 0.75


def test_the_nir_channel_of_a_camera(tmp_path, record):
    curves = np.stack(
        [
            np.exp(-0.5 * ((GRID_NM - nm) / width) ** 2)
            for nm, width in ((600, 30), (540, 30), (460, 30), (860, 50))
        ]
    )
    synthesis = SynthesisSettings(response=CameraResponse(tmp_path / "rgbn.csv", curves, "0"))
    scene = smooth(fx10_nm(112))
    make(record(tmp_path / "a", scene), tmp_path, synthesis)
    nir, rgb = truth(scene, fx10_nm(112), synthesis)
    assert len(nir) == 4
    got, (center_nm,) = read(tmp_path / "camera_nir/pair.tif")
    np.testing.assert_allclose(got, nir[3:], atol=2e-3)
    assert center_nm == pytest.approx(860, abs=0.5)
    np.testing.assert_allclose(read(tmp_path / "nir/pair.tif")[0], nir[:3], atol=5e-3)
    np.testing.assert_allclose(read_rgb(tmp_path / "rgb/pair.png"), rgb, atol=0.01)


def test_nearest_uses_one_band(tmp_path, record):
    wavelengths_nm = fx10_nm(112)
    scene = np.zeros((112, 4, 20))
    chosen = int(np.abs(wavelengths_nm - 850).argmin())
    scene[chosen] = 0.5
    make(record(tmp_path / "a", scene), tmp_path, SynthesisSettings(bands_nm=(850, 900), nearest=True))
    nir, _ = read(tmp_path / "nir/pair.tif")
    np.testing.assert_allclose(nir[0], 0.5, atol=2e-3)
    assert not nir[1].any()


def test_dead_pixels_are_replaced_by_their_neighbours(tmp_path, record):
    scene = smooth(fx10_nm(112))
    scene[:, :, 8] = scene[:, :, 7]
    headers = [record(tmp_path / name, scene) for name in ("whole", "dead")]
    band = int(np.abs(fx10_nm(112) - 850).argmin())
    for file in headers[1].parent.glob("*.raw"):
        counts = np.fromfile(file, "<u2").reshape(-1, 112, 20)
        counts[:, band, 8] = 50
        counts.tofile(file)
    for header, name in zip(headers, ("whole", "dead"), strict=True):
        make(header, tmp_path, SynthesisSettings(bands_nm=(850,), nearest=True), name)
    whole, dead = (read(tmp_path / f"nir/{name}.tif")[0] for name in ("whole", "dead"))
    np.testing.assert_allclose(dead, whole, atol=3e-3)


def test_clipped_pixels_are_counted_and_values_above_white_are_kept(tmp_path, record):
    scene = np.full((112, 4, 20), 0.5)
    scene[:, 1, 3] = 1.3
    # 1.3 times white exceeds the converter's 4,095 counts in the brightest band
    header = record(tmp_path / "a", scene)
    counted = make(header, tmp_path)["clipped_pixels"]
    assert counted["nir"] == 1
    assert counted["rgb"] == 1
    assert counted["saturated"] == 1
    with rasterio.open(tmp_path / "nir/pair.tif") as file:
        assert file.read()[0, 1, 3] == pytest.approx(13_000, rel=0.02)


@pytest.mark.filterwarnings("error::nircolor.errors.NircolorWarning")
def test_given_references(tmp_path, record):
    header = record(tmp_path / "a")
    kept = tmp_path / "references"
    kept.mkdir()
    for file in [*header.parent.glob("DARKREF*"), *header.parent.glob("WHITEREF*")]:
        file.rename(kept / file.name.replace("_scan_1", ""))
    with pytest.raises(NircolorError, match=r"scan_1\.hdr: expected DARKREF_scan_1\.hdr and WHITEREF_"):
        make(header, tmp_path / "none")
    references = References(kept / "DARKREF.hdr", kept / "WHITEREF.hdr")
    make(header, tmp_path / "given", SynthesisSettings(references=references))
    make(record(tmp_path / "b"), tmp_path / "beside")
    for path in ("nir/pair.tif", "rgb/pair.png"):
        assert (tmp_path / "given" / path).read_bytes() == (tmp_path / "beside" / path).read_bytes()


@pytest.mark.parametrize("form", ["float", "scale in the header", "scale given"])
def test_a_capture_of_reflectance(tmp_path, form):
    wavelengths_nm = np.arange(400, 1001, 10.0)
    scene = smooth(wavelengths_nm)
    scale = 1 if form == "float" else 10_000
    stored = (scene * scale).astype("<f4" if form == "float" else "<u2")
    stored[:, 2, 3] = np.nan if form == "float" else 0
    header = tmp_path / "cube.hdr"
    stored.tofile(tmp_path / "cube.bsq")
    header.write_text(
        f"ENVI\nsamples = 20\nlines = 12\nbands = 61\ninterleave = bsq\nbyte order = 0\n"
        f"data type = {4 if form == 'float' else 12}\n"
        f"wavelength = {{{', '.join(map(str, wavelengths_nm))}}}\n"
        "map info = {UTM, 1, 1, 500000, 4600000, 10, 10, 33, North, WGS-84}\n"
        + ("reflectance scale factor = 10000\n" if form == "scale in the header" else "")
    )
    synthesis = SynthesisSettings(fwhm_nm=20, scale=10_000 if form == "scale given" else None)
    make(header, tmp_path, synthesis)
    nir, rgb = truth(scene, wavelengths_nm, synthesis)
    valid = np.ones((12, 20), bool)
    valid[2, 3] = False
    with open_raster(tmp_path / "nir/pair.tif") as raster:
        got, got_valid = raster.read()
        assert raster.crs.to_epsg() == 32633
    np.testing.assert_allclose(got[:, valid], nir[:, valid], atol=2e-4)
    with open_raster(tmp_path / "rgb/pair.png", bands_nm=(650, 550, 450)) as raster:
        colours, colours_valid = raster.read()
    np.testing.assert_allclose(colours[:, valid], rgb[:, valid], atol=0.003)
    if form == "float":
        np.testing.assert_array_equal(got_valid, valid)
        np.testing.assert_array_equal(colours_valid, valid)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda text: text.replace("Wavelength", "Colour"), "expected the wavelength of each band"),
        (lambda text: text.replace("lines = 12", "lines = 13"), "cut off"),
        (lambda text: text.replace("samples = 20", "samples = 10"), "expected 112 bands of 10 samples"),
        (lambda text: text + f"bbl = {{{', '.join(['0'] * 112)}}}\n", "expected the wavelength of each band"),
        (
            lambda text: text.replace("Wavelength = {", "Wavelength Units = Index\nWavelength = {"),
            "expected the wavelength of each band",
        ),
    ],
)
def test_invalid_captures_are_reported(tmp_path, record, spoil, message):
    header = record(tmp_path / "a")
    header.write_text(spoil(header.read_text()))
    with pytest.raises(NircolorError, match=message) as caught:
        make(header, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert str(header.parent) in str(caught.value)


def test_bad_bands_are_not_used(tmp_path, record):
    """Values of bands that the header marks as bad do not affect the pair."""
    scene = smooth(fx10_nm(112))
    spoilt = scene.copy()
    wavelengths_nm = fx10_nm(112)
    bad = [int(np.abs(wavelengths_nm - nm).argmin()) for nm in (550, 850)]
    spoilt[bad] = 0.99
    for name, pixels in (("good", scene), ("bad", spoilt)):
        header = record(tmp_path / name, pixels)
        marks = ", ".join("0" if i in bad else "1" for i in range(112))
        header.write_text(header.read_text() + f"bbl = {{{marks}}}\n")
        make(header, tmp_path, SynthesisSettings(fwhm_nm=20), name)
    for path in ("nir/{}.tif", "rgb/{}.png"):
        assert (tmp_path / path.format("good")).read_bytes() == (tmp_path / path.format("bad")).read_bytes()


def test_wavelengths_in_micrometres(tmp_path, record):
    header = record(tmp_path / "a")
    make(header, tmp_path, name="nm")
    text = header.read_text()
    start = text.index("Wavelength = {") + len("Wavelength = {")
    stop = text.index("}", start)
    micrometres = ", ".join(f"{float(nm) / 1000:.6f}" for nm in text[start:stop].split(","))
    header.write_text(f"{text[:start]}{micrometres}{text[stop:]}wavelength units = micrometers\n")
    make(header, tmp_path, name="um")
    assert (tmp_path / "nir/nm.tif").read_bytes() == (tmp_path / "nir/um.tif").read_bytes()


def test_a_saturated_white_reference_is_refused(tmp_path, record):
    header = record(tmp_path / "a", white_tint_ms=12.0)
    with pytest.raises(NircolorError, match=r"WHITEREF_scan_1\.hdr: the white reference is saturated"):
        make(header, tmp_path / "out")


def test_saturation_of_a_converter_shifted_to_the_left(tmp_path, record):
    """Some recorders store 12 bits in the upper bits of 16: the largest value is 65,520."""
    header = record(tmp_path / "a", white_tint_ms=12.0)
    for raw in header.parent.glob("*.raw"):
        (np.fromfile(raw, "<u2") << 4).tofile(raw)
    with pytest.raises(NircolorError, match="white reference is saturated, at 65520,"):
        make(header, tmp_path / "out")


def test_saturation_above_the_largest_value_of_the_white_reference(tmp_path, record):
    header = record(tmp_path / "a", np.full((112, 4, 20), 0.5))
    raw = header.with_suffix(".raw")
    counts = np.fromfile(raw, "<u2").reshape(4, 112, 20)
    counts[1, :, 7] = 16_383
    counts.tofile(raw)
    assert make(header, tmp_path)["clipped_pixels"]["saturated"] == 1


def test_a_dark_reference_with_another_exposure_causes_a_warning(tmp_path, record):
    header = record(tmp_path / "a")
    dark = header.with_name("DARKREF_scan_1.hdr")
    dark.write_text(dark.read_text().replace("tint = 9.0", "tint = 90.0"))
    with pytest.warns(NircolorWarning, match=r"DARKREF_scan_1\.hdr: the dark reference has another exposure"):
        make(header, tmp_path)


def test_swapped_references_are_refused(tmp_path, record):
    header = record(tmp_path / "a")
    dark, white = (header.with_name(f"{kind}REF_scan_1.raw") for kind in ("DARK", "WHITE"))
    counts = dark.read_bytes()
    dark.write_bytes(white.read_bytes())
    white.write_bytes(counts)
    with pytest.raises(NircolorError, match="not above the dark one in 100%"):
        make(header, tmp_path / "out")


def test_memory_does_not_grow_with_the_number_of_lines(tmp_path, record):
    settings = SynthesisSettings(block_bytes=8 * 112 * 20 * 2)

    def peak(lines):
        header = record(tmp_path / str(lines), np.full((112, lines, 20), 0.4))
        tracemalloc.start()
        make(header, tmp_path / f"out{lines}", settings)
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    # the first call imports modules
    peak(8)
    assert peak(2048) < 1.5 * peak(64)


def test_the_illuminant_of_the_capture_does_not_matter(tmp_path, record):
    scene = smooth(fx10_nm(112))
    for name, lamp in (("warm", np.linspace(0.6, 1, 112)), ("cold", np.linspace(1, 0.6, 112))):
        make(record(tmp_path / name, scene, illuminant=lamp), tmp_path, name=name)
    warm, cold = (read_rgb(tmp_path / f"rgb/{name}.png") for name in ("warm", "cold"))
    np.testing.assert_allclose(warm, cold, atol=0.01)


def test_weights_of_the_observer_end_at_700_nm():
    wavelengths_nm = fx10_nm(448)
    weights = observer_weights("x", wavelengths_nm)
    assert not weights[:, wavelengths_nm > 700].any()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_allclose(weights.sum(1), 1)
