"""Tiles cover a image on the network's grid, and their weights sum to 1."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nircolor.inference.tiling import cut


@st.composite
def _cuts(draw):
    multiple = draw(st.sampled_from([1, 2, 3, 8, 16, 32]))
    overlap = draw(st.integers(0, 90))
    minimum = draw(st.integers(1, 60))
    smallest = max(-(-overlap // multiple) * multiple + multiple, -(-minimum // multiple) * multiple)
    return draw(st.integers(1, 3000)), draw(st.integers(smallest, 700)), overlap, multiple, minimum


@given(_cuts())
def test_tiles_cover_on_the_grid_and_sum_to_one(case):
    length, largest, overlap, multiple, minimum = case
    axis = cut(*case)
    starts, tile = axis.starts, axis.tile_px
    assert starts[0] == 0
    assert axis.padded_px == starts[-1] + tile
    assert all(px % multiple == 0 for px in (*starts, tile))
    assert minimum <= tile <= max(largest, multiple)
    # the padding is that of the whole image in one tile
    assert axis.padded_px == -(-max(length, minimum) // multiple) * multiple
    assert all(overlap <= a + tile - b < tile for a, b in pairwise(starts))

    total = np.zeros(axis.padded_px)
    for start, weights in zip(starts, axis.weights, strict=True):
        assert weights.shape == (tile,)
        assert (weights >= 0).all()
        total[start : start + tile] += weights
    np.testing.assert_allclose(total, 1, atol=1e-5)


@given(_cuts())
def test_no_fewer_tiles_would_do(case):
    length, largest, overlap, multiple, _ = case
    axis = cut(*case)
    fewer = len(axis.starts) - 1
    grid_overlap, grid_largest = -(-overlap // multiple) * multiple, largest // multiple * multiple
    assert fewer == 0 or fewer * grid_largest - (fewer - 1) * grid_overlap < length


def test_by_hand():
    axis = cut(100, 48, 16, 16)
    assert (axis.starts, axis.tile_px) == ((0, 32, 64), 48)
    # the blend: nothing within 3/8 of the overlap from a tile's own border
    np.testing.assert_array_equal(axis.weights[1][:6], 0)
    np.testing.assert_allclose(axis.weights[1][6:10], [0.125, 0.375, 0.625, 0.875])
    np.testing.assert_array_equal(axis.weights[1][10:38], 1)
    np.testing.assert_array_equal(axis.weights[0][:38], 1)


def test_one_tile_where_the_image_fits():
    assert cut(48, 48, 16, 16).starts == (0,)
    assert cut(49, 48, 16, 16).starts == (0, 16)
    assert cut(1, 48, 16, 16).tile_px == 16
    assert cut(1, 48, 16, 16, minimum_px=33).tile_px == 48


def test_tiles_no_longer_than_their_overlap_are_refused():
    with pytest.raises(ValueError, match="longer than their overlap of 32 px, got 32 px"):
        cut(100, 32, 20, 16)
