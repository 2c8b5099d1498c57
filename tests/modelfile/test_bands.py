"""Tests of `match_bands`: bands are found by wavelength, or the error lists the bands of the file."""

from pathlib import Path

import numpy as np
import pytest

from nircolor.errors import NircolorError
from nircolor.modelfile import Band, describe_bands, match_bands
from nircolor.spectral.weights import gaussian_weights
from tests.tiny_models import BROAD, THREE


def matched(bands, wavelengths_nm, names=()):
    return match_bands(bands, wavelengths_nm, "a file.hdr", "model scene", names)


def refused(bands, wavelengths_nm, names=()):
    with pytest.raises(NircolorError) as caught:
        matched(bands, wavelengths_nm, names)
    line = str(caught.value)
    assert line.startswith("a file.hdr: expected ")
    assert " for model scene, got " in line
    assert "\n" not in line
    return line


def test_exact_in_any_order():
    got = matched(THREE, [940, 650, 780, 850])
    np.testing.assert_array_equal(got, [[0, 0, 1, 0], [0, 0, 0, 1], [1, 0, 0, 0]])
    assert got.dtype == np.float32


def test_the_nearest_within_the_tolerance():
    np.testing.assert_array_equal(
        matched(THREE, [770, 784, 865, 845, 951]),
        [[0, 1, 0, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 1]],
    )


def test_the_tolerance_allows_for_rounding_only():
    matched(THREE, [795.5, 850, 940])
    line = refused(THREE, [795.6, 850, 940])
    assert "780 ± 15 nm" in line
    assert "3 bands at 795.6, 850, 940 nm" in line


def test_bands_without_a_wavelength_are_ignored():
    np.testing.assert_array_equal(matched(THREE, [None, 780, None, 850, 940]).argmax(1), [1, 3, 4])
    assert "unknown, 780" in refused(THREE, [None, 780])


def test_a_long_list_of_bands_is_shortened():
    line = refused(THREE, [400 + i for i in range(200)])
    assert "200 bands at 400, 401, 402, 403, 404, …, 595" in line


def test_a_broad_band_is_the_mean_of_the_bands_within_its_width():
    lines = [700, 725, 850, 975, 976, 1000]
    np.testing.assert_allclose(matched(BROAD, lines), [[0, 1 / 3, 1 / 3, 1 / 3, 0, 0]], rtol=1e-6)


def test_a_broad_band_takes_the_nearest_where_none_is_within_its_width():
    bands = (Band(center_nm=850, fwhm_nm=60, tolerance_nm=125),)
    np.testing.assert_array_equal(matched(bands, [740, 900, 1000]), [[0, 1, 0]])
    refused(bands, [650, 1000])


def test_without_wavelengths_the_count_decides():
    np.testing.assert_array_equal(matched(THREE, [None] * 3), np.eye(3))
    line = refused(THREE, [None] * 2)
    assert "3 bands (780 nm; 850 nm; 940 nm)" in line
    assert line.endswith("got 2 bands without wavelengths")  # naming them would not help
    assert "--bands" in refused(BROAD, [None] * 3)


def test_one_broad_band_takes_those_called_near_infrared():
    np.testing.assert_array_equal(matched(BROAD, [None] * 4, ["R", "Red", None, "NIR"]), [[0, 0, 0, 1]])
    np.testing.assert_array_equal(matched(BROAD, [None] * 3, ["NIR1", "red edge", "NIR2"]), [[0.5, 0, 0.5]])
    # wavelengths are better
    np.testing.assert_array_equal(matched(BROAD, [850, None], ["a", "NIR"]), [[1, 0]])


def test_narrow_bands_need_wavelengths():
    narrow = (Band(center_nm=842, fwhm_nm=50, tolerance_nm=15),)
    names = ["Blue", "Green", "Red", "NIR"]
    line = refused(narrow, [None] * 4, names)
    assert "4 bands without wavelengths (Blue, Green, Red, NIR)" in line
    assert "--bands nir=4" in line
    assert "--bands 480,560,660,842" in line
    line = refused(THREE, [None] * 4, names)
    assert "--bands 480,560,660,842" in line
    assert "--bands 780=1,850=2,940=3" in line
    np.testing.assert_array_equal(matched(narrow, [None], ["nir"]), [[1]])


def test_band_names_of_several_sensors():
    line = refused(BROAD, [None] * 2, ["B4", "B05"])
    assert "(B4, B05); name the wavelength of each: " in line
    assert "of Sentinel-2 --bands 665,705" in line
    assert "of Landsat 8/9 --bands 655,865" in line
    assert "of Landsat 4-7 --bands 835,1650" in line
    assert "Landsat" not in refused(BROAD, [None] * 2, ["Band 4", "Band 5"])
    assert "Landsat" not in refused(BROAD, [None] * 2, ["B4", None])


def test_a_name_that_contradicts_is_refused():
    for name in ("Green", "Red", "LWIR", "blue", "SWIR1"):
        line = refused(BROAD, [None], [name])
        assert f"1 band without wavelengths ({name}); " in line
        assert "--bands 850" in line
    refused(THREE, [None] * 3, ["NIR", "Green", "NIR"])
    np.testing.assert_array_equal(matched(BROAD, [None], ["Band 1"]), [[1]])
    np.testing.assert_array_equal(matched(THREE, [None] * 3, ["NIR", None, "Band 3"]), np.eye(3))


def test_the_name_stands_beside_the_wavelength():
    assert "got 1 band at 560 nm (Green)" in refused(BROAD, [560], ["Green"])


def test_rows_sum_to_one():
    rng = np.random.default_rng(0)
    for _ in range(50):
        lines = [*rng.uniform(600, 1100, 40), 780, 850, 940]
        for bands in (BROAD, THREE):
            mixture = matched(bands, lines)
            assert mixture.shape == (len(bands), 43)
            np.testing.assert_allclose(mixture.sum(1), 1, rtol=1e-5)


def test_bands_in_words():
    assert describe_bands(BROAD) == "1 band (850 nm, 250 nm wide)"
    assert describe_bands(THREE) == "3 bands (780 nm; 850 nm; 940 nm)"


@pytest.mark.parametrize(
    "names",
    [["T11", "T12", "T13"], ["B9", "B8", "B7"], ["0_B7", "0_B8", "0_B9"], ["Band 3", "Band 2", "Band 1"],
     ["NIR3", "NIR2", "NIR1"]],
)  # fmt: skip
def test_names_that_are_not_understood_are_not_taken_by_position(names):
    line = refused(THREE, [None] * 3, names)
    assert f"({', '.join(names)})" in line
    assert "--bands" in line
    for generic in (
        ["Band 1", "Band 2", "Band 3"],
        ["gray", None, ""],
        ["0", "1", "2"],
        ["ch1", "ch2", "ch3"],
    ):
        np.testing.assert_array_equal(matched(THREE, [None] * 3, generic), np.eye(3))


@pytest.mark.parametrize(
    "name", ["NDVI", "QA_PIXEL", "SCL", "ST_B10", "Pan", "Elevation", "EVI", "thermal (unit K)"]
)
def test_other_quantities_than_near_infrared_are_refused(name):
    assert f"({name})" in refused(BROAD, [None], [name])


@pytest.mark.parametrize("step_nm", [1.36, 2.72, 5.44])
def test_a_narrow_band_of_a_cube_is_the_mean_of_training(step_nm):
    nm = np.arange(397.0, 1004.5, step_nm)
    wanted = Band(center_nm=850, fwhm_nm=10, tolerance_nm=5)
    weights = match_bands([wanted], nm.tolist(), "cube.hdr", "model a")[0]
    trained = gaussian_weights(Path("cube.hdr"), nm, 850, 10)
    np.testing.assert_allclose(weights, trained, atol=1e-6)


def test_few_bands_are_no_cube():
    sentinel2 = [704.1, 740.5, 782.8, 832.8, 864.7, 945.1]
    wanted = Band(center_nm=842, fwhm_nm=50, tolerance_nm=15)
    assert match_bands([wanted], sentinel2, "a.SAFE", "model a").tolist() == [[0, 0, 0, 1, 0, 0]]
    # at the end of a cube, the nearest band
    nm = np.arange(400.0, 851, 2).tolist()
    assert match_bands([Band(center_nm=850, fwhm_nm=10, tolerance_nm=5)], nm, "a", "b")[0, -1] == 1
