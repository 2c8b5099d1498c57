"""How NIR-GNN and its CNN baseline are trained.

Source: Valsesia et al., "NIR image colorization with graph-convolutional neural networks", section IV.
"""

from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor

from nircolor.losses import squared_error
from nircolor.training.module import Batch, ColorizationModule, Terms


class SquaredErrorTask(ColorizationModule):
    """Trains any network on the squared error alone, with Adam and a learning rate that decays exponentially.

    Args:
        architecture, arguments, card: see `ColorizationModule`.
        learning_rate: at the start.
        final_learning_rate: at the run's last step.
    """

    def __init__(
        self,
        architecture: str = "nirgnn",
        arguments: Mapping[str, Any] | None = None,
        card: Mapping[str, Any] | None = None,
        learning_rate: float = 1e-4,
        final_learning_rate: float = 1e-5,
    ) -> None:
        super().__init__(architecture, arguments, card)
        self.learning_rate, self.final_learning_rate = learning_rate, final_learning_rate

    def objective(self, outputs: Tensor, batch: Batch) -> Terms:
        return {"squared": squared_error(outputs, batch["rgb"], batch["valid"])}

    def configure_optimizers(self) -> OptimizerLRScheduler:
        optimizer = torch.optim.Adam(self.parameters(), self.learning_rate)
        decay = (self.final_learning_rate / self.learning_rate) ** (1 / self.trainer.max_steps)
        scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, decay)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}
