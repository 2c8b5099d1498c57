"""The data module: split by place, masks, bands by wavelength, samples independent of the processes."""

from itertools import islice
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from nircolor.errors import NircolorError
from nircolor.imagery import encode_srgb
from nircolor.modelfile import Band
from nircolor.pairs import Folders, MultiBandFiles, Pair, Scenes, Vcip, read_pair
from nircolor.training import data as data_module
from nircolor.training.data import ImagePairs, PairedData, StepSampler
from nircolor.training.tasks import ContentTask
from tests.imagery.imagery_samples import noise, save
from tests.training.shipped_recipes import CARD


def band(nm, fwhm_nm=20):
    return {"center_nm": nm, "fwhm_nm": fwhm_nm, "tolerance_nm": 15}


def prepared(*sets, bands=(850,), rank=0, ranks=1, step=0, accumulate=1, **settings):
    """Make a data module and set it up as a Trainer does."""
    card = CARD | {"bands": [band(nm) for nm in bands]}
    module = ContentTask("unet", {"bands": len(bands), "width": 4}, card)
    data = PairedData(list(sets), **({"batch_size": 4, "tile_px": 32} | settings))
    data.trainer = SimpleNamespace(
        lightning_module=module,
        global_step=step,
        accumulate_grad_batches=accumulate,
        world_size=ranks,
        num_devices=ranks,
        global_rank=rank,
        strategy=SimpleNamespace(root_device=torch.device("cpu")),
    )
    data.setup()
    return data


def prepared_images(root, **settings):
    table = root / "scenes.csv"
    return prepared(
        Vcip(root / "vcip2020", table=table, dataset="vcip2020"),
        Scenes(root / "epfl", table=table, dataset="epfl"),
        **settings,
    )


def names(images):
    return {image.name for image in images}


def test_no_place_is_in_both_splits(data_root):
    data = prepared_images(data_root, val_fraction=0.5)
    place = {f"field_{i}": i // 2 for i in range(8)} | {f"street/{i}": i for i in range(3)}
    train = names(data.training[0]) | names(data.training[1])
    assert names(data.val)
    assert not {place[name] for name in train} & {place[name] for name in names(data.val)}
    # validation uses only the first set
    assert names(data.training[0]) | names(data.val) == {f"field_{i}" for i in range(8)}


def test_without_a_validation_split_all_pairs_are_used_for_training(data_root):
    data = prepared_images(data_root, val_fraction=0)
    assert len(data.training[0]) == 8
    assert data.val_dataloader() == []


def test_masks_reach_the_samples(data_root):
    masked = next(p for p in prepared_images(data_root, val_fraction=0).training[1] if p.name == "street/0")
    assert (masked.pixels[-1, :, :40] == 0).all()
    assert (masked.pixels[-1, :, 40:] == 255).all()


def test_bands_are_those_of_the_model_in_its_order(data_root):
    paired = MultiBandFiles(data_root / "sentinel2", nir_scale=10000, rgb_scale=3000)
    data = prepared(paired, bands=(945, 783), val_fraction=0.2)
    pair = next(pair for pair in paired.pairs() if pair.name == data.training[0][0].name)
    stored, colour, _ = read_pair(pair, data.trainer.lightning_module.bands)
    floats = data.training[0][0].as_float()
    np.testing.assert_array_equal(floats[:2], stored)
    np.testing.assert_array_equal(floats[2:5], colour)
    # neither dark nor swapped: bands are drawn from 0 to 6000
    assert stored.mean(axis=(1, 2)) == pytest.approx([0.3, 0.3], abs=0.02)


def test_images_that_do_not_fit_in_memory_are_read_at_each_access(data_root, monkeypatch):
    first = prepared_images(data_root, val_fraction=0.3)
    monkeypatch.setattr(data_module, "available_bytes", lambda: 0)
    second = prepared_images(data_root, val_fraction=0.3)
    assert first.training[0]._images is not None
    assert second.training[0]._images is None
    for a, b in zip(islice(first.train_dataloader(), 3), islice(second.train_dataloader(), 3), strict=True):
        assert a["name"] == b["name"]
        torch.testing.assert_close(a["rgb"], b["rgb"])


def test_processes_share_the_samples_of_each_step(data_root):
    whole = list(islice(prepared_images(data_root).train_dataloader(), 3))
    parts = [
        list(islice(prepared_images(data_root, rank=rank, ranks=2).train_dataloader(), 3)) for rank in (0, 1)
    ]
    for step in range(3):
        halves = [part[step]["rgb"] for part in parts]
        assert [len(half) for half in halves] == [2, 2]
        # every other sample of the batch is the first process's
        torch.testing.assert_close(torch.stack(halves, 1).flatten(0, 1), whole[step]["rgb"])


def test_processes_share_the_validation_images(data_root):
    def shown(**settings):
        data = prepared_images(data_root, val_fraction=0.5, **settings)
        return [batch["name"][0] for batch in data.val_dataloader()]

    whole, seen = shown(), [shown(rank=rank, ranks=2) for rank in (0, 1)]
    assert len(whole) > 1
    assert sorted(seen[0] + seen[1]) == sorted(whole)


def test_a_resumed_run_draws_the_next_samples(data_root):
    whole = list(islice(prepared_images(data_root, accumulate=2).train_dataloader(), 8))
    rest = list(islice(prepared_images(data_root, step=3, accumulate=2).train_dataloader(), 2))
    for expected, got in zip(whole[6:], rest, strict=True):
        assert expected["name"] == got["name"]
        torch.testing.assert_close(expected["nir"], got["nir"])


def test_batches_follow_each_other_without_a_gap():
    drawn = [index for batch in islice(StepSampler(2, 3), 4) for index in batch]
    assert drawn == list(range(6, 18))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tile_px": 40}, r"data[.]tile_px: expected a multiple of 16 px, at least 16 px, .*got 40"),
        ({"batch_size": 3, "ranks": 2}, r"data[.]batch_size: expected a multiple of the 2 processes, got 3"),
        ({"sampling_weights": [1.0]}, r"data[.]sampling_weights: expected 2 positive numbers, got \[1.0\]"),
        ({"sampling_weights": [-0.5, 1.5]}, r"data[.]sampling_weights: expected 2 positive numbers"),
        ({"val_fraction": 1.0}, "expected training pairs in every data set"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(data_root, settings, message):
    with pytest.raises(NircolorError, match=message):
        prepared_images(data_root, **settings)


def test_files_without_the_bands_of_the_model_are_named(data_root):
    folders = Folders(data_root / "pairs/nir", data_root / "pairs/rgb", nir_suffix="_nir", rgb_suffix="_rgb")
    with pytest.raises(NircolorError, match=r"a0_nir[.]png: expected 3 bands"):
        prepared(folders, bands=(780, 850, 940), val_fraction=0)


@pytest.mark.parametrize(
    ("encoding", "expected"), [("gamma", float(encode_srgb(np.float32(0.3)))), ("reflectance", 0.3)]
)
def test_reflectance_is_encoded_for_a_network_of_photographs(tmp_path, encoding, expected):
    tags = {"QUANTIFICATION_VALUE": "10000"}
    nir = save(
        tmp_path / "nir.tif", np.full((1, 40, 40), 3000, np.uint16), setup=lambda d: d.update_tags(**tags)
    )
    pair = Pair("p", nir, save(tmp_path / "rgb.png", noise(3, 40, 40), "PNG"))
    broad = Band(center_nm=850, fwhm_nm=250, tolerance_nm=125)
    (image,) = ImagePairs([pair], [broad], encoding, in_memory=True)
    assert image.as_float()[0].numpy() == pytest.approx(expected, abs=1e-6)
