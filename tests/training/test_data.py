"""The data module: splits by place, batches by step, the shared batch of several processes."""

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
    data = PhotographData(data_root, dev_fraction=0.4)
    data.setup()
    train = {photograph.name for photographs in data.train_sets for photograph in photographs}
    dev = {photograph.name for photograph in data.dev}
    assert dev
    assert not train & dev
    assert {name for name in dev | train if name.startswith("field")} == {f"field_{i}" for i in range(8)}


def test_masks_reach_the_samples(data_root):
    data = PhotographData(data_root, dev_fraction=0)
    data.setup()
    masked = next(p for p in data.train_sets[1] if p.name == "street/0")
    assert (masked.pixels[4, :, :40] == 0).all()
    assert (masked.pixels[4, :, 40:] == 255).all()
