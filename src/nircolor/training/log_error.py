"""How `satellite` is trained: for the mean PSNR itself."""

from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor

from nircolor.losses import log_squared_error
from nircolor.training.module import Batch, ColorizationModule, Terms
from nircolor.training.schedule import half_cosine


class LogErrorTask(ColorizationModule):
    """Trains any network on the logarithm of each image's squared error, with AdamW.

    Args:
        architecture, arguments, card: see `ColorizationModule`.
        learning_rate: at its peak; half a cosine down to 2% of it.
        warmup_steps: steps of linear rise.
        weight_decay: AdamW's.
    """

    def __init__(
        self,
        architecture: str = "convnext_unet",
        arguments: Mapping[str, Any] | None = None,
        card: Mapping[str, Any] | None = None,
        learning_rate: float = 2e-3,
        warmup_steps: int = 100,
        weight_decay: float = 0.05,
    ) -> None:
        super().__init__(architecture, arguments, card)
        self.learning_rate, self.warmup_steps, self.weight_decay = learning_rate, warmup_steps, weight_decay

    def objective(self, outputs: Tensor, batch: Batch) -> Terms:
        return {"log_error": log_squared_error(outputs, batch["rgb"], batch["valid"])}

    def configure_optimizers(self) -> OptimizerLRScheduler:
        optimizer = torch.optim.AdamW(
            self.parameters(), self.learning_rate, weight_decay=self.weight_decay, betas=(0.9, 0.99)
        )
        return half_cosine(optimizer, self.trainer.max_steps, self.warmup_steps)
