"""Tiles are as large as the free memory allows, and never smaller than the network and the overlap need."""

import pytest

from nircolor.inference import memory
from nircolor.inference.memory import round_tile, tile_size_px
from nircolor.modelfile import Size
from tests.tiny_models import BROAD, make_card

_CARD = make_card(size=Size(multiple_of=16, minimum=40, receptive_field_px=20), bytes_per_px=1000.0)


@pytest.mark.parametrize(
    ("free", "width", "jobs", "side"),
    [
        (1 << 40, 500, 1, 1024),
        (1 << 30, 500, 1, 720),  # 1000 B · 720² + 40 B · 500 · 720 = 533 MB of 537
        (1 << 30, 500, 4, 352),
        (1 << 30, 20_000, 1, 432),  # a row of tiles takes as much: 40 B · 20,000 · 432 = 346 MB
        (0, 500, 1, 80),
    ],
)
def test_tile_from_the_memory(monkeypatch, free, width, jobs, side):
    monkeypatch.setattr(memory, "available_bytes", lambda: free)
    assert tile_size_px(_CARD, width, jobs) == side


def test_many_bands_make_lower_rows(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 1 << 30)
    cube = _CARD.model_copy(update={"bands": BROAD * 8})
    assert tile_size_px(cube, 10_000) < tile_size_px(_CARD, 10_000)


def test_a_tile_is_a_multiple_and_at_least_two_overlaps():
    assert round_tile(100, _CARD) == 96
    assert round_tile(1, _CARD) == 80
    assert round_tile(1, make_card(size=Size(multiple_of=16, minimum=40, receptive_field_px=0))) == 48


def test_a_network_that_looks_far_sees_a_megapixel_in_one_piece(monkeypatch):
    far = make_card(size=Size(multiple_of=1, minimum=1, receptive_field_px=276), bytes_per_px=1000.0)
    monkeypatch.setattr(memory, "available_bytes", lambda: 1 << 40)
    for bytes_per_px in (1000.0, 2500.0, 5000.0):
        assert 1024 <= tile_size_px(far.model_copy(update={"bytes_per_px": bytes_per_px}), 1024) < 8 * 276
    small = far.model_copy(update={"bytes_per_px": 100.0})
    assert tile_size_px(small, 1000) == 8 * 276
    monkeypatch.setattr(memory, "available_bytes", lambda: 1 << 20)
    assert tile_size_px(far, 1000) == 2 * 276 + 1


@pytest.mark.parametrize("bytes_per_px", [400.0, 900.0])
@pytest.mark.parametrize("receptive_field_px", [20, 200])
def test_much_free_memory_is_not_all_taken(monkeypatch, bytes_per_px, receptive_field_px):
    """Three bands of a Sentinel-2 tile: a tile and a row of tiles leave the rest of 2 GB to others."""
    monkeypatch.setattr(memory, "available_bytes", lambda: 1 << 40)
    size = Size(multiple_of=16, minimum=16, receptive_field_px=receptive_field_px)
    side = tile_size_px(make_card(size=size, bands=BROAD * 3, bytes_per_px=bytes_per_px), 10_980)
    assert bytes_per_px * side**2 + 56 * 10_980 * side < 1.4e9
