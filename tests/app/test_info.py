"""Tests of `nircolor models` and `nircolor info`."""

import numpy as np
import pytest
from onnx import helper

from nircolor.modelfile import CardScore, describe_bands, read_card
from nircolor.weights import shipped_models
from tests.imagery.imagery_samples import noise, save, save_envi
from tests.tiny_models import THREE, make_card, save_model


def test_models_lists_bands_licence_and_data(nircolor):
    outcome = nircolor("models")
    assert outcome.code == 0
    for name, path in shipped_models().items():
        card = read_card(path)
        words = (describe_bands(card.bands), card.licence.weights, card.licence.training_data)
        for text in (f"{name}: {card.summary}", *words):
            assert text in outcome.out
    assert outcome.err == ""


def test_info_of_a_model_file(nircolor, tmp_path):
    score = CardScore(data="a set", psnr_db=16.3, ssim=0.54, angular_error_deg=6.0, source="results/a.json")
    card = make_card("own", bands=THREE, summary="for [red] bands", scores=(score,))
    path = save_model(tmp_path / "OWN.ONNX", card, [helper.make_node("Identity", ["nir"], ["rgb"])])
    outcome = nircolor("info", path)
    assert outcome.code == 0
    assert "own: for [red] bands" in outcome.out
    assert "a set: PSNR 16.30 dB, SSIM 0.540, angle 6.00° (results/a.json)" in outcome.out
    assert "3 bands (780 nm; 850 nm; 940 nm)" in outcome.out
    assert "as you like" in outcome.out


def test_info_of_a_shipped_model(nircolor):
    outcome = nircolor("info", "satellite")
    assert (outcome.code, outcome.err) == (0, "")
    assert "3 bands (783 nm; 842 nm; 945 nm)" in outcome.out


def test_info_of_a_cube(nircolor, tmp_path):
    header = save_envi(
        tmp_path, np.full((3, 8, 9), 0.25, np.float32), wavelength="{651.25, 780, 850}", wavelength_units="nm"
    )
    outcome = nircolor("info", header)
    assert outcome.code == 0
    assert f"{header} (ENVI)" in outcome.out
    assert "9 × 8 px, 3 bands, float32" in outcome.out
    assert "651.25 nm, percentiles 1, 50, 99: 0.250, 0.250, 0.250" in outcome.out
    assert "1.0 means" in outcome.out
    assert f"fits: nircolor colorize {header} -o colour/ --model scene" in outcome.out


def test_info_explains_why_a_model_does_not_fit(nircolor, tmp_path):
    header = save_envi(tmp_path, noise(1, 8, 9), wavelength="{1500}", wavelength_units="nm")
    outcome = nircolor("info", header)
    assert outcome.code == 0
    text = " ".join(outcome.out.split())
    assert "model scene does not fit: expected a band at 850 ± 125 nm for model scene" in text
    assert "fits" in nircolor("info", header, "--bands", "850").out


def test_info_of_invalid_pixels(nircolor, tmp_path):
    array = np.full((1, 10, 10), 0.5, np.float32)
    array[0, :4] = np.nan
    assert "60.0% of the pixels" in nircolor("info", save(tmp_path / "a.tif", array)).out
    array[:] = np.nan
    outcome = nircolor("info", save(tmp_path / "b.tif", array))
    assert outcome.code == 0
    assert "no valid pixels" in outcome.out


def test_info_of_a_georeferenced_image(nircolor, tmp_path):
    path = save(tmp_path / "a.tif", noise(1, 8, 8), crs="EPSG:32632")
    assert "EPSG:32632" in nircolor("info", path).out


def test_file_names_are_printed_unchanged(nircolor, tmp_path):
    path = save(tmp_path / "a [red] b[] :sun: é.tif", noise(1, 8, 8))
    outcome = nircolor("info", path)
    assert outcome.code == 0
    assert f"{path} (GTiff)" in outcome.out
    assert f"colorize '{path}' -o" in outcome.out


def test_warnings_are_one_line(nircolor, tmp_path):
    outcome = nircolor("info", save(tmp_path / "a.tif", noise(1, 8, 8, "uint16") // 16))
    (line,) = outcome.err.splitlines()
    assert line.startswith(f"warning: {tmp_path / 'a.tif'}: uint16 without a value of 16384")


@pytest.mark.parametrize("name", ["missing.png", "missing.onnx", "text.png", "text.onnx"])
def test_files_that_are_neither_image_nor_model(nircolor, tmp_path, name):
    if name.startswith("text"):
        (tmp_path / name).write_text("Dear Sir or Madam")
    assert nircolor.refused("info", tmp_path / name).startswith(f"{tmp_path / name}: ")


def test_ranges_come_from_a_reduced_view(nircolor, tmp_path):
    stripes = np.zeros((1, 1024, 512), np.uint8)
    stripes[0, ::2] = 255
    path = save(tmp_path / "a.tif", stripes)
    assert "percentiles 1, 50, 99: 0.500, 0.500, 0.500" in nircolor("info", path).out


def test_a_selection_of_the_bands_of_a_cube_is_listed(nircolor, tmp_path):
    wavelengths = ", ".join(str(nm) for nm in range(400, 1000, 3))
    header = save_envi(tmp_path, noise(200, 8, 9), wavelength=f"{{{wavelengths}}}", wavelength_units="nm")
    outcome = nircolor("info", header)
    assert "200 bands" in outcome.out
    bands = [line.split()[1] for line in outcome.out.splitlines() if line.startswith("band ")]
    assert len(bands) == 8
    assert (bands[0], bands[-1]) == ("1", "200")
    assert " 997 nm, percentiles 1, 50, 99: " in outcome.out
