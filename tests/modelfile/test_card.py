import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from nircolor.modelfile import Context
from tests.tiny_models import THREE, make_card

_SIDES = st.integers(1, 3_000_000)


@given(_SIDES, _SIDES)
def test_the_working_size_is_within_its_limit_and_the_image(height, width):
    card = make_card(context=Context(size_px=16, working_pixels=5000))
    rows, columns = card.working_shape(height, width)
    assert 1 <= rows <= height
    assert 1 <= columns <= width
    assert rows * columns <= 5000
    if height * width <= 5000:
        assert (rows, columns) == (height, width)
    elif min(rows, columns) > 1:
        assert rows * columns > 2000


def test_models_without_a_limit_have_no_working_size():
    assert make_card(context=Context(size_px=16)).working_shape(9000, 9000) is None
    assert make_card().working_shape(9000, 9000) is None


def test_a_working_size_is_for_one_band():
    with pytest.raises(ValidationError, match=r"working_pixels: expected a model of one band, got 3"):
        make_card(bands=THREE, context=Context(size_px=16, working_pixels=5000))
