"""Tiles are as large as the free memory allows, and never smaller than the network and the overlap need."""

import pytest

from nircolor.inference import memory
from nircolor.inference.memory import round_tile, tile_size_px
from nircolor.modelfile import Size
from tiny_models import BROAD, make_card

_CARD = make_card(size=Size(multiple_of=16, minimum=40, reach_px=20), bytes_per_px=1000.0)


@pytest.mark.parametrize(
    ("free", "width", "jobs", "side"),
    [
        (1 << 40, 500, 1, 1024),
        (1 << 30, 500, 1, 512),  # √(2³⁰ · ¼ / 1000 B) = 518
        (1 << 30, 500, 4, 256),
        (1 << 30, 20_000, 1, 128),  # 2³⁰ · ¼ / (20,000 · 96 B) = 139: a row of tiles is what takes the memory
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
    assert round_tile(1, make_card(size=Size(multiple_of=16, minimum=40, reach_px=0))) == 48


def test_a_network_that_looks_far_sees_a_megapixel_in_one_piece(monkeypatch):
    far = make_card(size=Size(multiple_of=1, minimum=1, reach_px=276), bytes_per_px=1000.0)
    monkeypatch.setattr(memory, "available_bytes", lambda: 1 << 40)
    assert tile_size_px(far, 1000) == 8 * 276
    monkeypatch.setattr(memory, "available_bytes", lambda: 1 << 30)
    assert tile_size_px(far, 1000) == 2 * 276 + 1
