"""Reflectance curves: physics that any real material obeys."""

import numpy as np
import pytest

from nircolor.spectral.materials import MATERIALS, WAVELENGTHS_NM, reflectance


def at(material: str, nm: int) -> float:
    return float(reflectance(material)[np.searchsorted(WAVELENGTHS_NM, nm)])


@pytest.mark.parametrize("material", MATERIALS)
def test_reflectance_never_creates_light(material: str) -> None:
    curve = reflectance(material)
    assert curve.shape == (61,)
    assert curve.min() >= 0
    assert curve.max() <= 1


@pytest.mark.parametrize("leaf", ["meadow", "broadleaf", "young leaf", "conifer"])
def test_leaves_have_a_green_peak_and_a_red_edge(leaf: str) -> None:
    assert at(leaf, 550) > 1.4 * at(leaf, 450)
    assert at(leaf, 550) > 1.4 * at(leaf, 670)
    assert at(leaf, 800) > 7 * at(leaf, 670)
    edge = WAVELENGTHS_NM[np.argmax(np.gradient(reflectance(leaf)))]
    assert 690 <= edge <= 740
