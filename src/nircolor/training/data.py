"""What networks train on: pairs of any sets, drawn by step."""

from collections.abc import Iterator, Sequence
from itertools import count
from math import prod

import lightning as L
import numpy as np
from torch.utils.data import DataLoader, Dataset, Sampler, Subset

from nircolor.errors import NircolorError
from nircolor.imagery import image_size
from nircolor.memory import available_bytes
from nircolor.modelfile import Band
from nircolor.models import Network
from nircolor.pairs import Pair, PairedSet, read_pair, split_pairs
from nircolor.training.module import ColorizationModule
from nircolor.training.sampling import (
    Augmentation,
    Photograph,
    Sample,
    as_sample,
    draw_sample,
    resize,
    to_photograph,
)

# of the free memory that images may take; the network and the user's programs need some too
_MEMORY_SHARE = 0.5


class Photographs(Sequence[Photograph]):
    """Pairs as photographs: all kept in memory where they fit, else read whenever one is asked for.

    Args:
        pairs: what to read.
        bands: the NIR bands to pick, in order.
        keep: keep them in memory.
    """

    def __init__(self, pairs: Sequence[Pair], bands: Sequence[Band], *, keep: bool) -> None:
        self._pairs, self._bands = pairs, bands
        self._kept = [self._read(pair) for pair in pairs] if keep else None

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, index: int) -> Photograph:  # type: ignore[override]
        return self._read(self._pairs[index]) if self._kept is None else self._kept[index]

    def _read(self, pair: Pair) -> Photograph:
        return to_photograph(pair.name, *read_pair(pair, self._bands))


class SampleDataset(Dataset[Sample]):
    """Samples by index; sample ``i`` of a seed is the same in every process and every run.

    Args:
        sets: photographs of each set.
        sampling_weights: how often each set is drawn from, relative to the others.
        augmentation, tile_px, context_px: see `sampling.draw_sample`.
        seed: of the samples.
    """

    def __init__(
        self,
        sets: Sequence[Sequence[Photograph]],
        sampling_weights: Sequence[float],
        augmentation: Augmentation,
        tile_px: int,
        context_px: int | None,
        seed: int,
    ) -> None:
        self.sets, self.augmentation = sets, augmentation
        self.sampling_weights = np.asarray(sampling_weights) / np.sum(sampling_weights)
        self.tile_px, self.context_px, self.seed = tile_px, context_px, seed

    def __getitem__(self, index: int) -> Sample:
        rng = np.random.default_rng([self.seed, index])
        photographs = self.sets[rng.choice(len(self.sets), p=self.sampling_weights)]
        photograph = photographs[int(rng.integers(len(photographs)))]
        return draw_sample(photograph, rng, self.augmentation, self.tile_px, self.context_px)


class StepSampler(Sampler[list[int]]):
    """Indices of each step's batch, from the step that training stands at, without end.

    It has no length: Lightning would count the steps before a resumption against it. Processes share the
    samples of a step, and the batches whose gradients are accumulated for one optimiser step follow each
    other.

    Args:
        first_batch: batches drawn before, over all processes.
        batch_size: over all processes.
        rank, ranks: this process, and how many there are.
    """

    def __init__(self, first_batch: int, batch_size: int, rank: int = 0, ranks: int = 1) -> None:
        self.first_batch, self.batch_size, self.rank, self.ranks = first_batch, batch_size, rank, ranks

    def __iter__(self) -> Iterator[list[int]]:
        for batch in count(self.first_batch):
            start = batch * self.batch_size
            yield list(range(start + self.rank, start + self.batch_size, self.ranks))


class WholeImages(Dataset[Sample]):
    """Dev images whole, each with its view, shrunk and cropped to sides that the network takes.

    Args:
        photographs: the images.
        network: what they are for.
        largest_px: longer sides are shrunk to this.
    """

    def __init__(self, photographs: Sequence[Photograph], network: Network, largest_px: int) -> None:
        self.photographs, self.largest_px = photographs, largest_px
        self.multiple_of, self.minimum_px = network.multiple_of, network.minimum_px
        self.context_px = network.context_px

    def __len__(self) -> int:
        return len(self.photographs)

    def __getitem__(self, index: int) -> Sample:
        photograph = self.photographs[index]
        image = photograph.floats()
        shrink = min(1.0, self.largest_px / max(image.shape[1:]))
        height, width = (max(self.minimum_px, round(side * shrink)) for side in image.shape[1:])
        rows, columns = (side // self.multiple_of * self.multiple_of for side in (height, width))
        image = resize(image, (height, width))[:, :rows, :columns]
        view = None if self.context_px is None else resize(image[:-4], (self.context_px, self.context_px))
        return as_sample(photograph.name, image, view, (0.0, 1.0, 0.0, 1.0))


class PairedData(L.LightningDataModule):
    """Paired sets, split into training and val by place.

    The bands are those of the model in training, picked by wavelength where the files say theirs.

    Args:
        sets: what to train on; choices are made on the validation pairs of the first.
        sampling_weights: how often a sample is drawn from each set; by default in proportion to their pairs.
        batch_size: of one step, over all processes.
        tile_px: side of the training tiles.
        val_fraction: share of the places held back for choosing, in sets whose table does not name a
            split; 0 trains on all.
        val_px: longest side that validation images are shrunk to.
        augmentation: how far samples stray from the photographs.
        seed: of the samples; the split is the same for all.
        num_workers: processes that prepare samples.
    """

    def __init__(
        self,
        sets: list[PairedSet],
        batch_size: int,
        tile_px: int,
        sampling_weights: list[float] | None = None,
        val_fraction: float = 0.13,
        val_px: int = 512,
        augmentation: Augmentation | None = None,
        seed: int = 0,
        num_workers: int = 0,
    ) -> None:
        super().__init__()
        self.sets, self.sampling_weights = sets, sampling_weights
        self.batch_size, self.tile_px = batch_size, tile_px
        self.val_fraction, self.val_px = val_fraction, val_px
        self.augmentation = augmentation or Augmentation()
        self.seed, self.num_workers = seed, num_workers

    def prepare_data(self) -> None:
        """What is wrong with the data is said before the run's folder is made."""
        self.setup()

    def setup(self, stage: str | None = None) -> None:
        """Split and read.

        Raises:
            NircolorError: a set or a image cannot be read, nothing is left to train on, or settings that
                do not go together.
        """
        if hasattr(self, "training"):
            return
        self._check()
        splits = [split_pairs(paired.pairs(), self.val_fraction) for paired in self.sets]
        training, val = [train for train, _ in splits], splits[0][1]
        if not all(training):
            raise NircolorError(
                "the recipe: expected training pairs in every set, all of one's are held back"
            )
        needed = _bytes([pair for pairs in (*training, val) for pair in pairs], len(self._model.bands))
        # each process of this machine keeps its own
        keep = needed * self._trainer.num_devices < _MEMORY_SHARE * available_bytes()
        self.training = [Photographs(pairs, self._model.bands, keep=keep) for pairs in training]
        self.val = Photographs(val, self._model.bands, keep=keep)

    def train_dataloader(self) -> DataLoader[Sample]:
        counts = [len(photographs) for photographs in self.training]
        sampling_weights = self.sampling_weights or counts
        network, trainer = self._model.network, self._trainer
        dataset = SampleDataset(
            self.training, sampling_weights, self.augmentation, self.tile_px, network.context_px, self.seed
        )
        drawn = trainer.global_step * trainer.accumulate_grad_batches
        sampler = StepSampler(drawn, self.batch_size, trainer.global_rank, trainer.world_size)
        return DataLoader(
            dataset, batch_sampler=sampler, num_workers=self.num_workers, pin_memory=self._on_gpu
        )

    def val_dataloader(self) -> DataLoader[Sample] | list[DataLoader[Sample]]:
        if not self.val:
            return []
        # each process measures its part; where there is less than one image each, all measure all
        parts = self._trainer.world_size if len(self.val) >= self._trainer.world_size else 1
        images = WholeImages(self.val, self._model.network, self.val_px)
        own = range(self._trainer.global_rank % parts, len(images), parts)
        return DataLoader(Subset(images, own), batch_size=1)

    def _check(self) -> None:
        network, ranks = self._model.network, self._trainer.world_size
        if self.batch_size % ranks:
            raise NircolorError(
                f"data.batch_size: expected a multiple of the {ranks} processes, got {self.batch_size}"
            )
        if self.tile_px % network.multiple_of or self.tile_px < network.minimum_px:
            raise NircolorError(
                f"data.tile_px: expected a multiple of {network.multiple_of} px, at least "
                f"{network.minimum_px} px, for this network, got {self.tile_px}"
            )
        sampling_weights = self.sampling_weights
        if sampling_weights is not None and (
            len(sampling_weights) != len(self.sets) or min(sampling_weights) < 0 or sum(sampling_weights) == 0
        ):
            raise NircolorError(
                f"data.sampling_weights: expected {len(self.sets)} positive numbers, got {sampling_weights}"
            )

    @property
    def _trainer(self) -> L.Trainer:
        assert self.trainer is not None
        return self.trainer

    @property
    def _on_gpu(self) -> bool:
        return self._trainer.strategy.root_device.type == "cuda"

    @property
    def _model(self) -> ColorizationModule:
        """What is in training; it says which bands it wants, and in which sizes."""
        module = self._trainer.lightning_module
        assert isinstance(module, ColorizationModule)
        return module


def _bytes(pairs: Sequence[Pair], bands: int) -> int:
    """What images take in memory, were they all of more than 8 bits."""
    return sum(4 * (bands + 4) * prod(image_size(pair.nir)) for pair in pairs)
