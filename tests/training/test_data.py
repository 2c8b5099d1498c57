"""The data module: splits by place, batches by step, the shared batch of several processes."""

import csv
from itertools import islice

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from nircolor.training.data import PhotographData, StepSampler  # noqa: E402


def test_steps_go_on_where_training_stands():
    whole = list(islice(StepSampler(0, 4), 6))
    assert list(islice(StepSampler(2, 4), 4)) == whole[2:]
    assert whole[0] == [0, 1, 2, 3]


def test_processes_share_a_batch():
    for step in range(3):
        parts = [next(islice(StepSampler(0, 4, rank, ranks=2), step, None)) for rank in range(2)]
        assert sorted(parts[0] + parts[1]) == next(islice(StepSampler(0, 4), step, None))


def test_no_place_is_on_both_sides(data_root):
    with (data_root / "scenes.csv").open(newline="") as file:
        groups = {row["pair"]: row["scene_group"] for row in csv.DictReader(file)}
    seen = set()
    for fraction in (0.2, 0.4, 0.6):
        data = PhotographData(data_root, dev_fraction=fraction)
        data.setup()
        train = {p.name for photographs in data.train_sets for p in photographs}
        dev = {p.name for p in data.dev}
        assert not {groups[name] for name in train} & {groups[name] for name in dev}
        assert {name for name in dev | train if name.startswith("field")} == {f"field_{i}" for i in range(8)}
        seen |= dev
    assert seen


def test_masks_reach_the_samples(data_root):
    data = PhotographData(data_root, dev_fraction=0)
    data.setup()
    masked = next(p for p in data.train_sets[1] if p.name == "street/0")
    assert (masked.pixels[4, :, :40] == 0).all()
    assert (masked.pixels[4, :, 40:] == 255).all()
