"""The tone curve, against colour-science's."""

import numpy as np
import pytest

from nircolor.imagery import encode_srgb

_LINEAR = np.linspace(0, 1, 65536)


def test_it_is_the_standards_curve():
    colour = pytest.importorskip("colour")
    encoded = encode_srgb(_LINEAR)
    np.testing.assert_allclose(encoded, colour.cctf_encoding(_LINEAR, "sRGB"), atol=3e-7)
    np.testing.assert_allclose(encoded, colour.models.eotf_inverse_sRGB(_LINEAR), atol=3e-7)


def test_values_known_by_heart():
    # 21.4% is middle gray, 188 of 255 is half the light; below 0.31% the curve is straight
    np.testing.assert_allclose(
        encode_srgb(np.array([0.0, 0.001, 0.214041, 0.5, 1.0])), [0, 0.01292, 0.5, 0.735357, 1], atol=1e-6
    )


def test_it_rises_all_the_way_in_16_bits():
    steps = np.rint(encode_srgb(_LINEAR) * 65535)
    assert (steps[0], steps[-1]) == (0, 65535)
    assert (np.diff(steps) >= 0).all()


def test_it_clips_keeps_the_shape_and_gives_single_precision():
    linear = np.array([[[-1.0, 0.0], [1.0, 7.5]]])
    encoded = encode_srgb(linear)
    assert encoded.dtype == np.float32
    np.testing.assert_allclose(encoded, [[[0, 0], [1, 1]]], atol=1e-7)
    assert encoded.max() <= 1
    np.testing.assert_array_equal(linear, [[[-1, 0], [1, 7.5]]])
