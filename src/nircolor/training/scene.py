"""How `scene` is trained."""

from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor

from nircolor.losses import absolute_error, box_ssim_loss, squared_error
from nircolor.models.efficientnet_lite import imagenet_weights
from nircolor.models.scene import Scene
from nircolor.training.module import Batch, ColorizationModule, Terms
from nircolor.training.schedule import half_cosine


class SceneTask(ColorizationModule):
    """Trains `models.scene.Scene`: squared error first, for the mean colour of what could be there.

    Args:
        arguments: of `Scene`'s constructor.
        card: see `ColorizationModule`.
        learning_rate: of the new layers, at its peak; half a cosine down to 2% of it.
        encoder_learning_rate: of the encoder that starts from ImageNet weights.
        warmup_steps: steps of linear rise.
        weight_decay: AdamW's.
        squared, absolute, ssim: weights of the terms of the objective.
    """

    network: Scene

    def __init__(
        self,
        arguments: Mapping[str, Any] | None = None,
        card: Mapping[str, Any] | None = None,
        learning_rate: float = 1e-3,
        encoder_learning_rate: float = 3e-4,
        warmup_steps: int = 100,
        weight_decay: float = 0.01,
        squared: float = 5.0,
        absolute: float = 0.5,
        ssim: float = 0.15,
    ) -> None:
        super().__init__("scene", arguments, card)
        self.learning_rate, self.encoder_learning_rate = learning_rate, encoder_learning_rate
        self.warmup_steps, self.weight_decay = warmup_steps, weight_decay
        self.squared, self.absolute, self.ssim = squared, absolute, ssim

    def setup(self, stage: str) -> None:
        if stage == "fit":
            # a resumed run's own weights are laid over these afterwards
            self.network.encoder.load_imagenet(imagenet_weights())

    def objective(self, outputs: Tensor, batch: Batch) -> Terms:
        pair = outputs, batch["rgb"], batch["valid"]
        return {
            "squared": self.squared * squared_error(*pair),
            "absolute": self.absolute * absolute_error(*pair),
            "ssim": self.ssim * box_ssim_loss(*pair),
        }

    def configure_optimizers(self) -> OptimizerLRScheduler:
        encoder = list(self.network.encoder.parameters())
        rest = [p for name, p in self.network.named_parameters() if not name.startswith("encoder.")]
        groups = [
            {"params": encoder, "lr": self.encoder_learning_rate},
            {"params": rest, "lr": self.learning_rate},
        ]
        optimizer = torch.optim.AdamW(groups, weight_decay=self.weight_decay, betas=(0.9, 0.99))
        return half_cosine(optimizer, self.trainer.max_steps, self.warmup_steps)
