"""The model's bands are found in a file by wavelength, or its absence is said with what there is."""

import numpy as np
import pytest

from nircolor.errors import NircolorError
from nircolor.inference.bands import describe_bands, match_bands
from nircolor.modelfile import Band
from tiny_models import BROAD, THREE, make_card

_NARROW = make_card("narrow", bands=THREE)
_BROAD = make_card("broad", bands=BROAD)


def _refused(card, wavelengths_nm):
    with pytest.raises(NircolorError) as caught:
        match_bands(card, wavelengths_nm, "a file.hdr")
    line = str(caught.value)
    assert line.startswith("a file.hdr: expected ")
    assert f"model {card.name}" in line
    assert "\n" not in line
    return line


def test_exact_in_any_order():
    got = match_bands(_NARROW, [940, 650, 780, 850], "a")
    np.testing.assert_array_equal(got, [[0, 0, 1, 0], [0, 0, 0, 1], [1, 0, 0, 0]])
    assert got.dtype == np.float32


def test_the_nearest_within_the_tolerance():
    np.testing.assert_array_equal(
        match_bands(_NARROW, [770, 784, 865, 845, 951], "a"),
        [[0, 1, 0, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 1]],
    )


def test_the_tolerance_forgives_rounding_and_no_more():
    match_bands(_NARROW, [795.5, 850, 940], "a")
    line = _refused(_NARROW, [795.6, 850, 940])
    assert "780 ± 15 nm" in line
    assert "3 bands at 795.6, 850, 940 nm" in line


def test_bands_without_a_wavelength_are_passed_over():
    np.testing.assert_array_equal(match_bands(_NARROW, [None, 780, None, 850, 940], "a").argmax(1), [1, 3, 4])
    assert "unknown, 780" in _refused(_NARROW, [None, 780])


def test_a_long_listing_is_cut_short():
    line = _refused(_NARROW, [400 + i for i in range(200)])
    assert "200 bands at 400, 401, 402, 403, 404, …, 595" in line


def test_a_broad_band_is_the_mean_of_the_lines_within_its_width():
    lines = [700, 725, 850, 975, 976, 1000]
    np.testing.assert_allclose(match_bands(_BROAD, lines, "a"), [[0, 1 / 3, 1 / 3, 1 / 3, 0, 0]], rtol=1e-6)


def test_a_broad_band_takes_the_nearest_where_no_line_lies_in_its_width():
    card = make_card(bands=(Band(center_nm=850, fwhm_nm=60, tolerance_nm=125),))
    np.testing.assert_array_equal(match_bands(card, [740, 900, 1000], "a"), [[0, 1, 0]])
    _refused(card, [650, 1000])


def test_without_wavelengths_the_count_decides():
    np.testing.assert_array_equal(match_bands(_NARROW, [None] * 3, "a"), np.eye(3))
    line = _refused(_NARROW, [None] * 2)
    assert "3 bands (780 nm; 850 nm; 940 nm)" in line
    assert "2 bands without wavelengths" in line
    assert "--bands" in line
    _refused(_BROAD, [None] * 3)


def test_rows_sum_to_one():
    rng = np.random.default_rng(0)
    for _ in range(50):
        lines = [*rng.uniform(600, 1100, 40), 780, 850, 940]
        for card in (_BROAD, _NARROW):
            mixture = match_bands(card, lines, "a")
            assert mixture.shape == (len(card.bands), 43)
            np.testing.assert_allclose(mixture.sum(1), 1, rtol=1e-5)


def test_bands_in_words():
    assert describe_bands(_BROAD) == "1 band (850 nm, 250 nm wide)"
    assert describe_bands(_NARROW) == "3 bands (780 nm; 850 nm; 940 nm)"
