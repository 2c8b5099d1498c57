"""Which band of a file is colorized: `--bands`, names and wavelengths in the file, pages of a TIFF."""

import numpy as np
import pytest

from tests.imagery.imagery_samples import load, noise, save, save_tiff

XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:Camera="http://pix4d.com/camera/1.0/" Camera:BandName="Green" '
    b'Camera:CentralWavelength="560"/></rdf:RDF></x:xmpmeta>'
)


@pytest.fixture
def colorized(nircolor, tmp_path, tiny):
    """Colorize a file and return the near-infrared that the model was given."""

    def run(path, *options):
        out = tmp_path / "out" / "colour.tif"
        outcome = nircolor("colorize", path, "-o", out, "-m", tiny("per_pixel"), "--overwrite", *options)
        assert (outcome.code, outcome.err.count("\n")) == (0, 1), outcome
        return load(out)[0][0]

    return run


def test_red_green_blue_and_near_infrared(nircolor, colorized, tmp_path, tiny):
    array = noise(4, 24, 24)
    path = save(tmp_path / "a.tif", array)  # GDAL calls the fourth band alpha
    line = nircolor.refused("colorize", path, "-o", tmp_path / "out", "-m", tiny("per_pixel"))
    assert line == (
        f"{path}: expected 1 band (850 nm, 250 nm wide) for model per_pixel, got 4 bands without wavelengths "
        "(red, green, blue, ?); name the near-infrared one, such as --bands nir=4, or the wavelength of "
        "each, such as --bands 660,560,480,842"
    )
    assert not (tmp_path / "out").exists()
    for option in ("nir=4", "NIR=4", "660,560,480,842", "850=4", "850 = 4, 560=2"):
        np.testing.assert_array_equal(colorized(path, "--bands", option), array[3])
    np.testing.assert_array_equal(colorized(path, "--bands", "nir=1"), array[0])


WRONG = ["nir", "nir=", "nir=x", "nir=1.5", "nir=-1", "nir=1,nir=2", "nir=1,850=2", "red=1", "=4", "850;940"]


@pytest.mark.parametrize("option", WRONG)
def test_wrong_forms_of_the_option(nircolor, tmp_path, option):
    path = save(tmp_path / "a.tif", noise(4, 24, 24))
    line = nircolor.refused("colorize", path, "-o", tmp_path / "out", f"--bands={option}")
    assert line.startswith("--bands: expected ")
    assert line.endswith(f"got {option!r}")


@pytest.mark.parametrize("option", ["nir=5", "nir=0", "4=850", "nan=1", "850=1,940=1"])
def test_options_that_do_not_fit_the_file(nircolor, tmp_path, option):
    path = save(tmp_path / "a.tif", noise(4, 24, 24))
    line = nircolor.refused("colorize", path, "-o", tmp_path / "out", "--bands", option)
    assert line.startswith(f"{path}: ")


def test_bands_known_by_description(colorized, tmp_path):
    def setup(dataset):
        dataset.descriptions = ("Red (660 Nanometers)", "RE (700 Nanometers)", "NIR (850 Nanometers)")

    array = noise(3, 24, 24)
    np.testing.assert_array_equal(colorized(save(tmp_path / "a.tif", array, setup=setup)), array[2])


def test_the_band_of_a_camera_that_is_not_near_infrared(nircolor, colorized, tmp_path, tiny):
    array = noise(1, 24, 24)[0]
    path = save_tiff(tmp_path / "IMG_0000_4.tif", (array, {700: XMP}))
    line = nircolor.refused("colorize", path, "-o", tmp_path / "out", "-m", tiny("per_pixel"))
    assert line.endswith(
        ": expected a band at 850 ± 125 nm for model per_pixel, got 1 band at 560 nm (Green)"
    )
    np.testing.assert_array_equal(colorized(path, "--bands", "850"), array)
    path = save_tiff(
        tmp_path / "a.tif", (array, {700: XMP.replace(b"560", b"840").replace(b"Green", b"NIR")})
    )
    np.testing.assert_array_equal(colorized(path), array)


def test_pages_of_a_tiff(nircolor, colorized, tmp_path, tiny):
    array = noise(4, 24, 24)
    described = zip(array, ({270: f"{nm}nm"} for nm in (560, 660, 850, 1000)), strict=True)
    named = save_tiff(tmp_path / "a.tif", *described)
    np.testing.assert_array_equal(colorized(named), array[2])
    unnamed = save_tiff(tmp_path / "b.tif", *((page, {}) for page in array))
    line = nircolor.refused("colorize", unnamed, "-o", tmp_path / "out", "-m", tiny("per_pixel"))
    assert "got 4 pages of 24 x 24 pixels" in line
    assert "--bands nir=1" in line
    np.testing.assert_array_equal(colorized(unnamed, "--bands", "560,660,850,1000"), array[2])
    np.testing.assert_array_equal(colorized(unnamed, "--bands", "nir=2"), array[1])


def test_info_names_bands_and_prints_the_option(nircolor, tmp_path):
    path = save(tmp_path / "a.tif", noise(4, 24, 24))
    outcome = nircolor("info", path)
    assert "--bands nir=4" in outcome.out
    outcome = nircolor("info", path, "--bands", "nir=4")
    assert "--bands nir=4" in outcome.out
    assert "model scene" in outcome.out
