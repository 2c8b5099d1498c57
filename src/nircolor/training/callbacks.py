"""Callbacks of every run: averaged weights, checkpoints, progress, sample images."""

import time
from copy import deepcopy
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, ProgressBar, WeightAveraging
from lightning.pytorch.loggers import TensorBoardLogger
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

from nircolor.errors import NircolorError
from nircolor.training.data import PairedData
from nircolor.training.module import Batch

# Without a terminal.
_SECONDS_BETWEEN_LINES = 60
# On a terminal; reading the loss more often would make a GPU wait.
_SECONDS_BETWEEN_UPDATES = 0.5


class AveragedWeights(WeightAveraging):
    """Exponential moving average of the weights, used for validation and export; buffers are copied.

    Args:
        decay: Weight of the previous average in each step; smaller during the first steps, so that the
            initial weights are soon forgotten. 0 or None turns averaging off: the average is the current
            weights.
    """

    def __init__(self, decay: float | None = 0.999) -> None:
        if decay is not None and not 0 <= decay < 1:
            raise NircolorError(f"ema.decay: expected a number from 0 to less than 1, or null, got {decay}")
        share = 1 - (decay or 0.0)

        def average(averaged: Tensor, current: Tensor, count: Tensor) -> Tensor:
            return averaged.lerp(current, (9 / (10 + count)).clamp(min=share))

        super().__init__(use_buffers=False, avg_fn=average)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Keep the current weights beside the average, since extending the run needs them."""


class InitialWeights(Callback):
    """Start a run from the present weights of a network, also where its task sets others before a run.

    Args:
        network: The network, whose weights are copied.
    """

    def __init__(self, network: nn.Module) -> None:
        self._weights = deepcopy(network.state_dict())

    def on_fit_start(self, trainer: L.Trainer, pl_module: Any) -> None:
        pl_module.network.load_state_dict(self._weights)


class StepCheckpoint(ModelCheckpoint):
    """`ModelCheckpoint` that saves only after optimizer steps, since accumulated gradients are not saved."""

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        if (batch_idx + 1) % trainer.accumulate_grad_batches == 0:
            super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)


class RunProgress(ProgressBar):
    """Progress bar with step, loss, validation PSNR, images per second and time left.

    Prints a line at each validation and, without a terminal, each minute.
    """

    def __init__(self) -> None:
        super().__init__()
        self._console = Console(stderr=True)
        self._progress: Progress | None = None
        self._enabled = True

    def disable(self) -> None:
        self._enabled = False

    def enable(self) -> None:
        self._enabled = True

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._start, self._first_step, self._images = time.perf_counter(), trainer.global_step, 0
        self._last_line = self._last_update = self._start
        if self._enabled and trainer.is_global_zero:
            data: PairedData = trainer.datamodule  # type: ignore[attr-defined]
            pairs = sum(len(images) for images in data.training)
            self._console.print(f"{pairs} training pairs, {len(data.val)} validation pairs", highlight=False)
            self._progress = Progress(
                TextColumn("step"),
                MofNCompleteColumn(),
                BarColumn(bar_width=None),
                TextColumn("{task.fields[text]}"),
                TimeRemainingColumn(),
                console=self._console,
                disable=not self._console.is_terminal,
            )
            self._task = self._progress.add_task(
                "", total=trainer.max_steps, completed=trainer.global_step, text=""
            )
            self._progress.start()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        self._images += len(batch["nir"]) * trainer.world_size
        if self._progress is None:
            return
        now = time.perf_counter()
        if self._console.is_terminal:
            if now - self._last_update > _SECONDS_BETWEEN_UPDATES:
                self._last_update = now
                self._progress.update(self._task, completed=trainer.global_step, text=self._text(trainer))
        elif now - self._last_line > _SECONDS_BETWEEN_LINES:
            self._print_line(trainer)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self._progress is not None and not trainer.sanity_checking:
            self._print_line(trainer)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._stop()

    def on_exception(
        self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException
    ) -> None:
        self._stop()

    def _print_line(self, trainer: L.Trainer) -> None:
        self._last_line = time.perf_counter()
        steps = trainer.global_step - self._first_step
        left = (trainer.max_steps - trainer.global_step) * self._seconds / max(1, steps)
        line = f"step {trainer.global_step}/{trainer.max_steps}  {self._text(trainer)}"
        self._console.print(f"{line}  {left / 60:.0f} min left", highlight=False)

    @property
    def _seconds(self) -> float:
        return time.perf_counter() - self._start

    def _text(self, trainer: L.Trainer) -> str:
        logged = trainer.callback_metrics
        parts = [f"loss {float(logged['loss']):.4f}"] if "loss" in logged else []
        if "val/psnr" in logged:
            parts.append(f"val {float(logged['val/psnr']):.2f} dB")
        return "  ".join([*parts, f"{self._images / self._seconds:.1f} images/s"])

    def _stop(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


class SampleImages(Callback):
    """Write the first validation images to TensorBoard: NIR, predicted and true colour side by side.

    Args:
        count: Number of images.
    """

    def __init__(self, count: int = 4) -> None:
        self.count = count

    def on_validation_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        logger = trainer.logger
        if batch_idx < self.count and isinstance(logger, TensorBoardLogger):
            nir = batch["nir"].mean(1, keepdim=True).expand(-1, 3, -1, -1)
            row = torch.cat([nir, outputs, batch["rgb"]], 3)[0]
            logger.experiment.add_image(f"val/{batch['name'][0]}", row, trainer.global_step)
