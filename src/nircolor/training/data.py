"""What `scene` trains on: photographs of several sets in memory, drawn by step."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import lightning as L
import numpy as np
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from nircolor.models.scene import Scene
from nircolor.pairs import Pair, read_pair, scene_pairs, split_by_group, vcip_pairs, with_groups
from nircolor.training.sampling import Augmentation, Photograph, as_sample, draw_sample, resize, to_photograph


class SampleDataset(Dataset[dict[str, Tensor]]):
    """Samples by index; sample ``i`` of a seed is the same in every process and every run.

    Args:
        sets: photographs of each set.
        shares: how often each set is drawn from; sums to 1.
    """

    def __init__(
        self,
        sets: list[list[Photograph]],
        shares: list[float],
        augmentation: Augmentation,
        tile_px: int,
        context_px: int,
        seed: int,
    ) -> None:
        self.sets, self.shares, self.augmentation = sets, shares, augmentation
        self.tile_px, self.context_px, self.seed = tile_px, context_px, seed

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([self.seed, index])
        photographs = self.sets[rng.choice(len(self.sets), p=self.shares)]
        photograph = photographs[rng.integers(len(photographs))]
        return draw_sample(photograph, rng, self.augmentation, self.tile_px, self.context_px)


class StepSampler(Sampler[list[int]]):
    """Indices of each step's batch, from the step that training stands at, without end.

    It has no length: Lightning would count the steps before a resumption against it. Processes share a batch.
    """

    def __init__(self, first_step: int, batch_size: int, rank: int = 0, ranks: int = 1) -> None:
        self.first_step, self.batch_size, self.rank, self.ranks = first_step, batch_size, rank, ranks

    def __iter__(self) -> Iterator[list[int]]:
        for step in count(self.first_step):
            start = step * self.batch_size
            yield list(range(start + self.rank, start + self.batch_size, self.ranks))


class WholePictures(Dataset[dict[str, Tensor]]):
    """Dev photographs whole, each with its view, cropped to a multiple that the network takes."""

    def __init__(
        self, photographs: list[Photograph], context_px: int, multiple_of: int, largest_px: int
    ) -> None:
        self.photographs, self.context_px = photographs, context_px
        self.multiple_of, self.largest_px = multiple_of, largest_px

    def __len__(self) -> int:
        return len(self.photographs)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        picture = self.photographs[index].pixels.float() / 255
        shrink = min(1.0, self.largest_px / max(picture.shape[1:]))
        rows, columns = (
            int(side * shrink) // self.multiple_of * self.multiple_of for side in picture.shape[1:]
        )
        view = resize(picture[:1], (self.context_px, self.context_px))
        picture = resize(picture, (rows, columns))
        return as_sample(picture[:1], view, (0.0, 1.0, 0.0, 1.0), picture)


class PhotographData(L.LightningDataModule):
    """VCIP 2020's training pairs and the RGB-NIR Scene pairs, split by place.

    The 18 VCIP validation pairs are never read here: choices are made on the dev split of the training pairs.

    Args:
        root: folder with ``vcip2020/``, ``epfl/`` and ``scenes.csv``.
        batch_size: of one optimiser step over all processes.
        dev_fraction: share of the places held back for choosing; 0 trains on all.
        scene_share: how often a sample is drawn from the RGB-NIR Scene set rather than VCIP.
        tile_px: side of the training tiles.
        seed: of the samples; the split is the same for all.
        num_workers: processes that prepare samples.
    """

    def __init__(
        self,
        root: Path,
        batch_size: int = 8,
        dev_fraction: float = 0.13,
        scene_share: float = 0.35,
        tile_px: int = 256,
        seed: int = 0,
        num_workers: int = 0,
        augmentation: Augmentation | None = None,
    ) -> None:
        super().__init__()
        self.root, self.batch_size = root, batch_size
        self.dev_fraction, self.scene_share = dev_fraction, scene_share
        self.tile_px, self.seed, self.num_workers = tile_px, seed, num_workers
        self.augmentation = augmentation or Augmentation()

    def setup(self, stage: str | None = None) -> None:
        if hasattr(self, "train_sets"):
            return
        table = self.root / "scenes.csv"
        vcip = with_groups(vcip_pairs(self.root / "vcip2020"), table, "vcip2020")
        scenes = with_groups(scene_pairs(self.root / "epfl"), table, "epfl", drop_flagged=True)
        splits = [split_by_group(pairs, self.dev_fraction) for pairs in (vcip, scenes)]
        self.train_sets = [_load(train) for train, _ in splits]
        # dev is VCIP alone, as the report will be
        self.dev = _load(splits[0][1])

    def train_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        trainer = self.trainer
        assert trainer is not None
        dataset = SampleDataset(
            self.train_sets,
            [1 - self.scene_share, self.scene_share],
            self.augmentation,
            self.tile_px,
            self._network.context_px,
            self.seed,
        )
        sampler = StepSampler(trainer.global_step, self.batch_size, trainer.global_rank, trainer.world_size)
        return DataLoader(dataset, batch_sampler=sampler, num_workers=self.num_workers)

    def val_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        network = self._network
        pictures = WholePictures(self.dev, network.context_px, network.multiple_of, largest_px=512)
        return DataLoader(pictures, batch_size=1)

    @property
    def _network(self) -> Scene:
        """The network in training; it says how large a view it wants."""
        assert self.trainer is not None
        assert self.trainer.lightning_module is not None
        network = self.trainer.lightning_module.network
        assert isinstance(network, Scene)
        return network


def _load(pairs: list[Pair]) -> list[Photograph]:
    return [to_photograph(pair.name, *read_pair(pair)) for pair in pairs]
