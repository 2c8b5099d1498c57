"""The lights and cameras behind the landscape: physics that any real scene obeys."""

import numpy as np
import pytest

from nircolor.app.demo import daylight
from nircolor.app.demo.camera import develop, see
from nircolor.spectral.materials import WAVELENGTHS_NM


def open_ground(material: str) -> np.ndarray:
    """Linear red, green, blue and near-infrared of a sheet in sun and sky."""
    return daylight.lit(material)[:2].sum(0)


def ndvi(material: str) -> float:
    red, _, _, nir = open_ground(material)
    return float((nir - red) / (nir + red))


def test_ndvi_tells_meadow_soil_and_water_apart() -> None:
    assert ndvi("meadow") > 0.5
    assert 0 < ndvi("soil") < 0.4
    assert ndvi("water") < -0.3


def test_neutral_is_rendered_neutral() -> None:
    seen = open_ground("gray")
    np.testing.assert_allclose(seen, 0.18, rtol=1e-6)
    encoded = develop(seen[:3])
    assert np.ptp(encoded) < 1e-5


def test_the_observer_peaks_where_the_eye_does() -> None:
    lines = see(np.eye(len(WAVELENGTHS_NM)))
    assert 580 <= WAVELENGTHS_NM[lines[:, 0].argmax()] <= 620
    assert 530 <= WAVELENGTHS_NM[lines[:, 1].argmax()] <= 560
    assert 430 <= WAVELENGTHS_NM[lines[:, 2].argmax()] <= 460
    # the long-pass filter: what the eye sees best hardly reaches the near-infrared sensor
    assert lines[WAVELENGTHS_NM == 650, 3] < 1e-3 * lines[:, 3].max()


def test_clear_sky_is_blue_to_the_eye_dark_in_near_infrared_and_pales_towards_the_horizon() -> None:
    overhead, low = daylight.sky([1.2, 20.0])
    assert overhead[2] > overhead[1] > overhead[0] > overhead[3]
    assert overhead[1] > 2.5 * overhead[3]
    assert overhead[2] / overhead[0] > 1.8
    assert low[1] > 1.5 * overhead[1]
    assert low[2] / low[0] < overhead[2] / overhead[0]


def test_near_infrared_sees_further_through_haze() -> None:
    near, far = daylight.lit("gray"), daylight.lit("gray", 20.0)
    kept = far[:2].sum(0) / near[:2].sum(0)
    assert kept[3] > kept[0] > kept[1] > kept[2]
    assert daylight.haze(20.0)[2] > daylight.haze(5.0)[2] > 0


def test_shadows_are_bluer_than_sunlight_and_darker_in_near_infrared() -> None:
    sun, sky, _ = daylight.lit("gray")
    assert sky[2] / sky[0] > 1.5 * sun[2] / sun[0]
    assert sky[3] / sun[3] < 0.5 * sky[1] / sun[1]


def test_developing_keeps_order_and_range() -> None:
    encoded = develop(np.linspace(0, 40, 1000))
    assert encoded[0] == 0
    assert encoded.max() <= 1
    assert (np.diff(encoded) >= 0).all()
    # below the shoulder it is the sRGB curve of the exposed value, IEC 61966-2-1's own example points
    assert develop(np.array([0.18 / 1.25])) == pytest.approx(0.4614, abs=1e-3)
