"""Tests of `available_bytes`, with and without a container limit."""

import pytest

from nircolor import memory
from nircolor.memory import available_bytes


def test_available_memory_is_plausible():
    assert 10 << 20 < available_bytes() < 100 << 40


def _cgroup(folder, **values):
    for name, text in values.items():
        (folder / f"memory.{name}").write_text(text)


def test_container_limit_excludes_the_page_cache(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    _cgroup(tmp_path, max="1000000\n", current="990000\n", stat="anon 90000\ninactive_file 800000\n")
    assert available_bytes() == 810_000
    _cgroup(tmp_path, max="1000000", current="1200000", stat="anon 1200000\n")
    assert available_bytes() == 0


@pytest.mark.parametrize("limit", ["max\n", None])
def test_container_without_a_limit(monkeypatch, tmp_path, limit):
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    if limit:
        _cgroup(tmp_path, max=limit, current="1", stat="")
    assert available_bytes() > 10 << 20


def test_system_without_proc(monkeypatch):
    def missing(*_args, **_kwargs):
        raise FileNotFoundError

    monkeypatch.setattr(memory.Path, "read_text", missing)
    assert available_bytes() > 10 << 20
    monkeypatch.delattr(memory.os, "sysconf")
    assert available_bytes() == 4 << 30
