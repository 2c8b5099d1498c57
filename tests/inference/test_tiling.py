"""Tests of tiles: grid, overlaps, blending weights, and their size by the free memory."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nircolor.inference import tiling
from nircolor.inference.tiling import cut, round_tile, tile_size_px
from nircolor.modelfile import Size
from tests.tiny_models import BROAD, make_card


@st.composite
def _cuts(draw):
    multiple = draw(st.sampled_from([1, 2, 3, 8, 16, 32]))
    overlap = draw(st.integers(0, 90))
    minimum = draw(st.integers(1, 60))
    smallest = max(-(-overlap // multiple) * multiple + multiple, -(-minimum // multiple) * multiple)
    return draw(st.integers(1, 3000)), draw(st.integers(smallest, 700)), overlap, multiple, minimum


@given(_cuts())
def test_tiles_cover_the_side_on_the_grid_and_weights_sum_to_one(case):
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
def test_the_number_of_tiles_is_minimal(case):
    length, largest, overlap, multiple, _ = case
    axis = cut(*case)
    fewer = len(axis.starts) - 1
    grid_overlap, grid_largest = -(-overlap // multiple) * multiple, largest // multiple * multiple
    assert fewer == 0 or fewer * grid_largest - (fewer - 1) * grid_overlap < length


def test_tiles_and_weights_computed_by_hand():
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


def test_wide_overlaps_are_blended_over_16_pixels_in_the_middle():
    axis = cut(300, 200, 100, 4)
    assert (axis.starts, axis.tile_px) == ((0, 100), 200)
    ramp = (np.arange(16) + 0.5) / 16
    np.testing.assert_allclose(axis.weights[1][:100], [*[0] * 42, *ramp, *[1] * 42], atol=1e-6)


def test_tiles_no_longer_than_their_overlap_are_refused():
    with pytest.raises(ValueError, match="longer than their overlap of 32 px, got 32 px"):
        cut(100, 32, 20, 16)


# --- size of tiles

_CARD = make_card(size=Size(multiple_of=16, minimum=40, receptive_field_px=20), bytes_per_px=1000.0)


@pytest.mark.parametrize(
    ("free", "width", "jobs", "side"),
    [
        (1 << 40, 500, 1, 1024),
        (1 << 30, 500, 1, 720),  # 1000 B · 720² + 30 B · 500 · 720 = 529 MB of 537
        (1 << 30, 500, 4, 352),
        (1 << 30, 20_000, 1, 480),  # a row of tiles takes as much: 30 B · 20,000 · 480 = 288 MB
        (0, 500, 1, 80),
    ],
)
def test_tile_size_by_free_memory(monkeypatch, free, width, jobs, side):
    monkeypatch.setattr(tiling, "available_bytes", lambda: free)
    assert tile_size_px(_CARD, width, jobs) == side


def test_more_bands_make_smaller_tiles(monkeypatch):
    monkeypatch.setattr(tiling, "available_bytes", lambda: 1 << 30)
    cube = _CARD.model_copy(update={"bands": BROAD * 8})
    assert tile_size_px(cube, 10_000) < tile_size_px(_CARD, 10_000)


def test_a_tile_is_a_multiple_and_at_least_two_overlaps():
    assert round_tile(100, _CARD) == 96
    assert round_tile(1, _CARD) == 80
    assert round_tile(1, make_card(size=Size(multiple_of=16, minimum=40, receptive_field_px=0))) == 48


def test_a_large_receptive_field_gets_a_megapixel_in_one_tile(monkeypatch):
    far = make_card(size=Size(multiple_of=1, minimum=1, receptive_field_px=276), bytes_per_px=1000.0)
    monkeypatch.setattr(tiling, "available_bytes", lambda: 1 << 40)
    for bytes_per_px in (1000.0, 2500.0, 5000.0):
        assert 1024 <= tile_size_px(far.model_copy(update={"bytes_per_px": bytes_per_px}), 1024) < 8 * 276
    small = far.model_copy(update={"bytes_per_px": 80.0})
    assert tile_size_px(small, 1000) == 8 * 276
    monkeypatch.setattr(tiling, "available_bytes", lambda: 1 << 20)
    assert tile_size_px(far, 1000) == 2 * 276 + 1


@pytest.mark.parametrize(("bytes_per_px", "limit"), [(400.0, 0.7e9), (900.0, 1.2e9)])
@pytest.mark.parametrize("receptive_field_px", [20, 200])
def test_tiles_are_limited_even_with_much_free_memory(monkeypatch, bytes_per_px, receptive_field_px, limit):
    """For three bands of a Sentinel-2 scene, a tile and a row of tiles leave room within 1 GB.

    A network that needs more for 1.25 megapixels in one piece gets more.
    """
    monkeypatch.setattr(tiling, "available_bytes", lambda: 1 << 40)
    size = Size(multiple_of=16, minimum=16, receptive_field_px=receptive_field_px)
    side = tile_size_px(make_card(size=size, bands=BROAD * 3, bytes_per_px=bytes_per_px), 10_980)
    assert bytes_per_px * side**2 + 38 * 10_980 * side < limit
