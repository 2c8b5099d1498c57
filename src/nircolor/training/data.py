"""Data module: training samples and validation images of paired data sets."""

from collections.abc import Iterator, Sequence
from itertools import count
from math import prod

import lightning as L
import numpy as np
from torch.utils.data import DataLoader, Dataset, Sampler, Subset

from nircolor.errors import NircolorError
from nircolor.imagery import image_size
from nircolor.imagery.values.scaling import Encoding
from nircolor.losses import SSIM_WINDOW_PX
from nircolor.memory import available_bytes
from nircolor.modelfile import Band
from nircolor.models import Network
from nircolor.pairs import Pair, PairedSet, split_pairs
from nircolor.pairs.pair import read_images
from nircolor.training.module import ColorizationModule
from nircolor.training.sampling import (
    Augmentation,
    ImagePair,
    Sample,
    as_sample,
    draw_sample,
    resize,
)

# Part of the free memory that images may take; the network and other programs need some too.
_MEMORY_SHARE = 0.5


class ImagePairs(Sequence[ImagePair]):
    """Sequence of image pairs, either read once and kept in memory or read at each access.

    Args:
        pairs: Files of the pairs.
        bands: NIR bands to read, in this order.
        encoding: What the network expects; see `pairs.PairImages.nir_for`.
        in_memory: Keep the images in memory.
    """

    def __init__(
        self, pairs: Sequence[Pair], bands: Sequence[Band], encoding: Encoding, *, in_memory: bool
    ) -> None:
        self._pairs, self._bands, self._encoding = pairs, tuple(bands), encoding
        self._images = [self._read(pair) for pair in pairs] if in_memory else None

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, index: int) -> ImagePair:  # type: ignore[override]
        return self._read(self._pairs[index]) if self._images is None else self._images[index]

    def _read(self, pair: Pair) -> ImagePair:
        (images,) = read_images(pair, [self._bands])
        nir = images.nir_for(self._encoding, "the card of the recipe")
        return ImagePair.from_arrays(pair.name, nir, images.rgb, images.valid)


class SampleDataset(Dataset[Sample]):
    """Endless training samples; sample ``i`` of a seed is the same in every process and every run.

    Args:
        sets: Pairs of each data set.
        sampling_weights: Relative frequency of each data set.
        augmentation: See `draw_sample`.
        tile_px: See `draw_sample`.
        context_px: See `draw_sample`.
        seed: Seed of the samples.
    """

    def __init__(
        self,
        sets: Sequence[Sequence[ImagePair]],
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
        pairs = self.sets[rng.choice(len(self.sets), p=self.sampling_weights)]
        pair = pairs[int(rng.integers(len(pairs)))]
        return draw_sample(pair, rng, self.augmentation, self.tile_px, self.context_px)


class StepSampler(Sampler[list[int]]):
    """Endless batches of sample indices, starting at a given batch.

    It has no length, since Lightning would subtract the steps before a resumption from it. Each process gets
    its part of every batch.

    Args:
        first_batch: Number of batches that were drawn before.
        batch_size: Size of a batch over all processes.
        rank: Index of this process.
        ranks: Number of processes.
    """

    def __init__(self, first_batch: int, batch_size: int, rank: int = 0, ranks: int = 1) -> None:
        self.first_batch, self.batch_size, self.rank, self.ranks = first_batch, batch_size, rank, ranks

    def __iter__(self) -> Iterator[list[int]]:
        for batch in count(self.first_batch):
            start = batch * self.batch_size
            yield list(range(start + self.rank, start + self.batch_size, self.ranks))


class ValidationImages(Dataset[Sample]):
    """Whole images, scaled and cropped to a size that the network takes.

    Args:
        pairs: The images.
        network: The network.
        largest_px: Images with a longer side are reduced to it.
    """

    def __init__(self, pairs: Sequence[ImagePair], network: Network, largest_px: int) -> None:
        self.pairs, self.largest_px = pairs, largest_px
        self.multiple_of, self.context_px = network.multiple_of, network.context_px
        # smaller images are enlarged; SSIM needs a whole window
        smallest = max(network.minimum_px, SSIM_WINDOW_PX)
        self.minimum_px = -(-smallest // network.multiple_of) * network.multiple_of

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Sample:
        pair = self.pairs[index]
        image = pair.as_float()
        scale = min(1.0, self.largest_px / max(image.shape[1:]))
        height, width = (max(self.minimum_px, round(side * scale)) for side in image.shape[1:])
        rows, columns = (side // self.multiple_of * self.multiple_of for side in (height, width))
        image = resize(image, (height, width))[:, :rows, :columns]
        view = None if self.context_px is None else resize(image[:-4], (self.context_px, self.context_px))
        return as_sample(pair.name, image, view, (0.0, 1.0, 0.0, 1.0))


class PairedData(L.LightningDataModule):
    """Paired data sets, split into training and validation pairs by place.

    The NIR bands are those of the model in training (``card.bands``), found by wavelength if the files
    have wavelengths.

    Args:
        sets: Data sets to train on. Validation uses the first.
        batch_size: Samples per batch over all processes.
        tile_px: Side of the training tiles.
        sampling_weights: Relative frequency of each data set among the samples; by default proportional to
            its number of pairs.
        val_fraction: Part of the places that is held back for validation, in data sets whose table has no
            splits; 0 trains on all.
        val_px: Validation images with a longer side are reduced to it.
        augmentation: Random changes of the training images.
        seed: Seed of the samples. The split does not depend on it.
        num_workers: Processes that prepare samples.

    Examples:
        >>> from nircolor.pairs import Folders
        >>> data = PairedData([Folders("pairs/nir", "pairs/rgb")], batch_size=8, tile_px=128)
        >>> data.augmentation.flip
        True
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
        """Read the data before the run's folder is created, so that an error leaves no folder behind."""
        self.setup()

    def setup(self, stage: str | None = None) -> None:
        """Split the pairs and read the images.

        Raises:
            NircolorError: A data set or an image cannot be read, a data set has no training pairs, or the
                settings do not fit the network or each other.
        """
        if hasattr(self, "training"):
            return
        self._check()
        splits = [split_pairs(paired.pairs(), self.val_fraction) for paired in self.sets]
        training, val = [train for train, _ in splits], splits[0][1]
        if not all(training):
            raise NircolorError(
                "data.sets: expected training pairs in every data set, got one with validation pairs only; "
                "lower data.val_fraction or change its table"
            )
        needed = _bytes([pair for pairs in (*training, val) for pair in pairs], len(self._model.bands))
        # each process of this machine keeps its own copy
        in_memory = needed * self._trainer.num_devices < _MEMORY_SHARE * available_bytes()
        self.training = [
            ImagePairs(pairs, self._model.bands, self._model.encoding, in_memory=in_memory)
            for pairs in training
        ]
        self.val = ImagePairs(val, self._model.bands, self._model.encoding, in_memory=in_memory)

    def train_dataloader(self) -> DataLoader[Sample]:
        counts = [len(pairs) for pairs in self.training]
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
        # each process evaluates its part, or all images where there are fewer images than processes
        parts = self._trainer.world_size if len(self.val) >= self._trainer.world_size else 1
        images = ValidationImages(self.val, self._model.network, self.val_px)
        own = range(self._trainer.global_rank % parts, len(images), parts)
        return DataLoader(Subset(images, own), batch_size=1)

    def _check(self) -> None:
        network, ranks = self._model.network, self._trainer.world_size
        minimum_px = max(network.minimum_px, self._model.minimum_px)
        if self.batch_size % ranks:
            raise NircolorError(
                f"data.batch_size: expected a multiple of the {ranks} processes, got {self.batch_size}"
            )
        if self.tile_px % network.multiple_of or self.tile_px < minimum_px:
            raise NircolorError(
                f"data.tile_px: expected a multiple of {network.multiple_of} px, at least {minimum_px} px, "
                f"for this network and loss, got {self.tile_px}"
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
        module = self._trainer.lightning_module
        assert isinstance(module, ColorizationModule)
        return module


def _bytes(pairs: Sequence[Pair], bands: int) -> int:
    """Return the size of images in memory, assuming float32."""
    return sum(4 * (bands + 4) * prod(image_size(pair.nir)) for pair in pairs)
