"""Tiles are as large as the free memory allows, and never smaller than the network and the overlap need."""

import pytest

from nircolor.inference import memory
from nircolor.inference.memory import available_bytes, round_tile, tile_size_px
from nircolor.modelfile import Size
from tiny_models import BROAD, make_card

_CARD = make_card(size=Size(multiple_of=16, minimum=40, reach_px=20), bytes_per_px=1000.0)


def test_available_is_a_sensible_number():
    assert 10 << 20 < available_bytes() < 100 << 40


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


def _cgroup(folder, **values):
    for name, text in values.items():
        (folder / f"memory.{name}").write_text(text)


def test_a_container_s_limit_counts_without_what_is_only_cached(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    _cgroup(tmp_path, max="1000000\n", current="990000\n", stat="anon 90000\ninactive_file 800000\n")
    assert available_bytes() == 810_000
    _cgroup(tmp_path, max="1000000", current="1200000", stat="anon 1200000\n")
    assert available_bytes() == 0


@pytest.mark.parametrize("limit", ["max\n", None])
def test_without_a_limit(monkeypatch, tmp_path, limit):
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    if limit:
        _cgroup(tmp_path, max=limit, current="1", stat="")
    assert available_bytes() > 10 << 20


def test_systems_without_proc(monkeypatch):
    def missing(*_args, **_kwargs):
        raise FileNotFoundError

    monkeypatch.setattr(memory.Path, "read_text", missing)
    assert available_bytes() > 10 << 20
    monkeypatch.delattr(memory.os, "sysconf")
    assert available_bytes() == 4 << 30
