import numpy as np
import pytest

from nircolor.evaluation.pairing import find_permutation, thumbnail

RNG = np.random.default_rng(0)
NAMES = [f"p{k}" for k in range(12)]
TRUTH = RNG.random((12, 768)).astype(np.float32)


def test_a_thumbnail_holds_the_means_of_its_parts():
    image = RNG.random((3, 64, 48))
    expected = image.reshape(3, 16, 4, 16, 3).mean((2, 4)).ravel()
    np.testing.assert_allclose(thumbnail(image), expected, rtol=1e-12)
    assert all(thumbnail(RNG.random((3, *size))).shape == (768,) for size in ((17, 31), (5, 40), (1, 1)))


def test_permuted_names_are_found_and_one_is_named():
    order = np.roll(np.arange(12), 1)
    predicted = TRUTH[order] + RNG.normal(0, 0.1, TRUTH.shape)
    found = find_permutation(NAMES, predicted, TRUTH)
    assert found is not None
    assert found.gain_db > 8
    assert NAMES.index(found.belongs_to) == order[NAMES.index(found.name)]


@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0])
def test_poor_predictions_under_their_own_names_are_not_flagged(strength):
    # from one colour for all to the truth itself
    predicted = TRUTH.mean() + strength * (TRUTH - TRUTH.mean()) + RNG.normal(0, 0.05, TRUTH.shape)
    assert find_permutation(NAMES, predicted, TRUTH) is None


def test_one_image_has_no_other_order():
    assert find_permutation(["a"], TRUTH[:1], TRUTH[1:2]) is None
