"""Callbacks for recipes of tests: end the process as `kill -9` does, or put a NaN into a batch."""

import os
import signal

from lightning.pytorch.callbacks import Callback


class KillAt(Callback):
    """End the process at a step or after a number of batches; with ``gently``, as Ctrl-C does."""

    def __init__(self, step: int | None = None, batch: int | None = None, gently: bool = False) -> None:
        self.step, self.batch = step, batch
        self.signal = signal.SIGINT if gently else signal.SIGKILL

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:  # noqa: ARG002
        if trainer.global_step == self.step or batch_idx + 1 == self.batch:
            os.kill(os.getpid(), self.signal)


class SpoilBatch(Callback):
    """Put a NaN into the NIR of one batch of one process."""

    def __init__(self, batch: int, rank: int) -> None:
        self.batch, self.rank = batch, rank

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:  # noqa: ARG002
        if batch_idx == self.batch and trainer.global_rank == self.rank:
            batch["nir"][0, 0, 3, 3] = float("nan")
