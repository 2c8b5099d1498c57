"""Numbers in metadata."""

import pytest

from nircolor.imagery.numbers import finite_number, positive_number


@pytest.mark.parametrize(
    ("text", "finite", "positive"),
    [("850", 850, 850), ("0", 0, None), ("-1.5", -1.5, None)]
    + [(text, None, None) for text in (None, "", "nan", "inf", "1e999", "850 nm")],
)
def test_only_finite_numbers(text, finite, positive):
    assert finite_number(text) == finite
    assert positive_number(text) == positive
