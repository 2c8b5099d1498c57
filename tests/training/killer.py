"""A callback that ends its own process as `kill -9` would; recipes of tests name it."""

import os
import signal

from lightning.pytorch.callbacks import Callback


class KillAt(Callback):
    """At a step, or after a number of batches; gently: as Ctrl-C would."""

    def __init__(self, step: int | None = None, batch: int | None = None, gently: bool = False) -> None:
        self.step, self.batch = step, batch
        self.signal = signal.SIGINT if gently else signal.SIGKILL

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:  # noqa: ARG002
        if trainer.global_step == self.step or batch_idx + 1 == self.batch:
            os.kill(os.getpid(), self.signal)
