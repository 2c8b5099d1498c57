"""Weights of bands: integrals over response curves, and messages where a capture lacks bands."""

from pathlib import Path

import numpy as np
import pytest

from nircolor.errors import NircolorError
from nircolor.spectral.weights import (
    GRID_NM,
    curve_weights,
    describe_bands,
    gaussian_weights,
    nearest_weights,
)

CUBE = Path("a.hdr")
FX10_NM = np.linspace(397, 1004.5, 448)
BINNED_NM = np.linspace(398, 1003, 224)
COARSE_NM = np.arange(400.0, 1001, 10)
# some cameras have closer bands at one end
UNEVEN_NM = 400 + 600 * np.linspace(0, 1, 150) ** 1.4


def _smooth(nm):
    """Return a spectrum with a red edge and a wave, between 0.05 and 0.9."""
    return 0.5 + 0.3 * np.tanh((nm - 780) / 60) + 0.1 * np.sin(nm / 40)


def _gaussian(nm, center_nm, fwhm_nm):
    return np.exp(-4 * np.log(2) * ((nm - center_nm) / fwhm_nm) ** 2)


def _integral(curve, spectrum):
    """Integrate directly, on a fine grid."""
    nm = np.arange(300, 2600, 0.05)
    return (curve(nm) * spectrum(nm)).sum() / curve(nm).sum()


@pytest.mark.parametrize("wavelengths_nm", [FX10_NM, BINNED_NM, COARSE_NM, UNEVEN_NM])
@pytest.mark.parametrize(("center_nm", "fwhm_nm"), [(780, 10), (783.4, 12.5), (850, 40), (905.5, 60)])
def test_a_gaussian_matches_the_integral(wavelengths_nm, center_nm, fwhm_nm):
    weights = gaussian_weights(CUBE, wavelengths_nm, center_nm, fwhm_nm)
    assert weights.shape == wavelengths_nm.shape
    assert weights.sum() == pytest.approx(1)
    assert (weights >= 0).all()
    expected = _integral(lambda nm: _gaussian(nm, center_nm, fwhm_nm), _smooth)
    spacing = np.diff(wavelengths_nm)[np.searchsorted(wavelengths_nm, center_nm)]
    # a chord differs from its arc by at most an eighth of the curvature (below 2e-4 per nm²) times its
    # square; the 1 nm grid and the cut tails add the rest
    assert weights @ _smooth(wavelengths_nm) == pytest.approx(expected, abs=2e-4 / 8 * spacing**2 + 3e-4)


@pytest.mark.parametrize("wavelengths_nm", [FX10_NM, BINNED_NM, UNEVEN_NM])
def test_other_curves_match_the_integral(wavelengths_nm):
    # broad and asymmetric with two peaks
    def curve(nm):
        return (_gaussian(nm, 600, 90) + 0.4 * _gaussian(nm, 820, 60)) * ((nm > 450) & (nm < 950))

    weights = curve_weights(CUBE, wavelengths_nm, 7.3 * curve(GRID_NM), "green")
    assert weights.sum() == pytest.approx(1)
    assert weights @ _smooth(wavelengths_nm) == pytest.approx(_integral(curve, _smooth), abs=1e-3)


def test_the_density_of_bands_does_not_matter():
    """Weights proportional to the curve would count closely spaced bands twice."""
    crowded = np.unique(np.concatenate([COARSE_NM, np.arange(850, 881.0)]))
    for wavelengths_nm in (COARSE_NM, crowded):
        weights = gaussian_weights(CUBE, wavelengths_nm, 850, 60)
        assert weights @ wavelengths_nm == pytest.approx(850, abs=0.05)


@pytest.mark.parametrize("wavelengths_nm", [FX10_NM, COARSE_NM, UNEVEN_NM])
@pytest.mark.parametrize("center_nm", [780, 783.4, 940.26])
def test_a_straight_spectrum_gives_its_value_at_the_centre(wavelengths_nm, center_nm):
    weights = gaussian_weights(CUBE, wavelengths_nm, center_nm, 25)
    assert weights @ (0.1 + wavelengths_nm / 2000) == pytest.approx(0.1 + center_nm / 2000, abs=1e-4)


def test_the_order_of_bands_does_not_matter():
    shuffle = np.random.default_rng(0).permutation(len(FX10_NM))
    ordered = gaussian_weights(CUBE, FX10_NM, 850, 10)
    np.testing.assert_allclose(gaussian_weights(CUBE, FX10_NM[shuffle], 850, 10), ordered[shuffle])


def test_bad_bands_are_replaced_by_their_neighbours():
    wavelengths_nm = FX10_NM.copy()
    bad = [np.abs(FX10_NM - nm).argmin() for nm in (850, 853)]
    wavelengths_nm[bad] = np.nan
    weights = gaussian_weights(CUBE, wavelengths_nm, 850, 10)
    assert not np.isnan(weights).any()
    assert (weights[bad] == 0).all()
    assert weights.sum() == pytest.approx(1)
    spectrum = np.where(np.isnan(wavelengths_nm), 1e9, _smooth(FX10_NM))
    assert weights @ spectrum == pytest.approx(_smooth(850.0), abs=2e-3)


def test_bands_outside_of_the_curve_have_no_weight():
    curve = np.where((GRID_NM >= 400) & (GRID_NM <= 700), 1.0, 0)
    for wavelengths_nm in (FX10_NM, BINNED_NM, COARSE_NM, UNEVEN_NM):
        weights = curve_weights(CUBE, wavelengths_nm, curve, "colour")
        assert (weights[wavelengths_nm > 700] == 0).all()
        assert (weights[wavelengths_nm < 400] == 0).all()
        assert (weights[(wavelengths_nm >= 400) & (wavelengths_nm <= 700)] > 0).all()


def test_a_curve_may_be_negative_in_places():
    curve = _gaussian(GRID_NM, 600, 60) - 0.2 * _gaussian(GRID_NM, 500, 40)
    weights = curve_weights(CUBE, FX10_NM, curve, "red")
    assert weights.sum() == pytest.approx(1)
    assert weights.min() < 0
    expected = _integral(lambda nm: _gaussian(nm, 600, 60) - 0.2 * _gaussian(nm, 500, 40), _smooth)
    assert weights @ _smooth(FX10_NM) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    ("wavelengths_nm", "got"),
    [
        (np.linspace(400, 700, 301), "got 301 bands from 400 to 700 nm"),
        (np.linspace(900, 1700, 512), "got 512 bands from 900 to 1700 nm"),
        # the bands end in the middle of the Gaussian
        (np.linspace(400, 850, 451), "got 451 bands from 400 to 850 nm, 16 of them in this range"),
        (np.array([850.4]), r"got 1 band from 850\.4 to 850\.4 nm, 1 of them in this range"),
        (np.full(5, np.nan), "got no band with a wavelength"),
        (np.array([400.0, np.nan, 700.25]), r"got 2 bands from 400 to 700\.25 nm"),
    ],
)
def test_a_band_out_of_range_reports_the_available_bands(wavelengths_nm, got):
    with pytest.raises(
        NircolorError,
        match=rf"^a\.hdr: expected bands from 835 to 865 nm for a band of 10 nm at 850 nm .*est\), {got}$",
    ):
        gaussian_weights(CUBE, wavelengths_nm, 850, 10)


def test_a_tenth_of_a_curve_may_be_missing():
    curve = np.where((GRID_NM >= 500) & (GRID_NM < 600), 1.0, 0)
    for stop, fits in ((595, True), (591, True), (580, False)):
        wavelengths_nm = np.arange(500.0, stop)
        if fits:
            assert curve_weights(CUBE, wavelengths_nm, curve, "green").sum() == pytest.approx(1)
        else:
            with pytest.raises(NircolorError, match="expected bands from 500 to 599 nm for green"):
                curve_weights(CUBE, wavelengths_nm, curve, "green")


def test_a_gap_is_reported():
    wavelengths_nm = FX10_NM[(FX10_NM < 840) | (FX10_NM > 861)]
    below, above = FX10_NM[FX10_NM < 840].max(), FX10_NM[FX10_NM > 861].min()
    with pytest.raises(
        NircolorError,
        match=rf"^a\.hdr: expected bands at most 20 nm apart for a band of 60 nm at 850 nm .*, "
        rf"got none between {below:g} and {above:g} nm$",
    ):
        gaussian_weights(CUBE, wavelengths_nm, 850, 60)
    # bad bands make a gap too
    marked = np.where((FX10_NM < 840) | (FX10_NM > 861), FX10_NM, np.nan)
    with pytest.raises(NircolorError, match="got none between"):
        gaussian_weights(CUBE, marked, 850, 60)
    # the gap does not affect other wavelengths
    assert gaussian_weights(CUBE, wavelengths_nm, 780, 10).sum() == pytest.approx(1)


@pytest.mark.parametrize(("center_nm", "expected"), [(780, 2), (784, 2), (786, 4), (500.4, 0)])
def test_the_nearest_band(center_nm, expected):
    weights = nearest_weights(CUBE, np.array([500, np.nan, 780, 840, 790]), center_nm, 5)
    assert weights.tolist() == [float(index == expected) for index in range(5)]


def test_no_band_is_near_enough():
    wavelengths_nm = np.array([500, 780, np.nan])
    # headers round to 1 nm
    assert nearest_weights(CUBE, wavelengths_nm, 785.5, 5)[1] == 1
    with pytest.raises(
        NircolorError,
        match=r"^a\.hdr: expected a band within 5 nm of 786 nm, got 2 bands from 500 to 780 nm$",
    ):
        nearest_weights(CUBE, wavelengths_nm, 786, 5)
    with pytest.raises(NircolorError, match="of 786 nm, got no band with a wavelength"):
        nearest_weights(CUBE, np.full(3, np.nan), 786, 5)


def test_description_of_bands():
    assert describe_bands(FX10_NM) == "448 bands from 397 to 1004.5 nm"
