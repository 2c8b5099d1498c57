"""The Lightning module: a network, its objective, its optimiser."""

import math
from typing import Any

import lightning as L
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor

from nircolor.losses import absolute_error, box_ssim_loss, squared_error
from nircolor.models.efficientnet_lite import imagenet_weights
from nircolor.models.scene import Scene

Batch = dict[str, Tensor]


class SceneTraining(L.LightningModule):
    """Trains `models.scene.Scene`: squared error first, for the mean colour of what could be there.

    Args:
        network: constructor arguments of `Scene`; saved with the weights.
        about: what only the recipe knows of the model's card: name, summary, bands, encoding, licence.
        learning_rate: of the new layers, at its peak; half a cosine down to 2% of it.
        encoder_learning_rate: of the encoder that starts from ImageNet weights.
        warmup_steps: steps of linear rise.
        weight_decay: AdamW's.
        squared, absolute, ssim: weights of the terms of the objective.
    """

    def __init__(
        self,
        network: dict[str, Any] | None = None,
        about: dict[str, Any] | None = None,
        learning_rate: float = 1e-3,
        encoder_learning_rate: float = 3e-4,
        warmup_steps: int = 100,
        weight_decay: float = 0.01,
        squared: float = 5.0,
        absolute: float = 0.5,
        ssim: float = 0.15,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.network = Scene(**(network or {}))
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def setup(self, stage: str) -> None:
        if stage == "fit":
            # a resumed run's own weights are laid over these afterwards
            self.network.encoder.load_imagenet(imagenet_weights())

    def on_fit_start(self) -> None:
        self._seed = torch.initial_seed()

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        # dropout, too, is a function of seed and step, so that a resumed run draws what it would have drawn
        torch.manual_seed(self._seed + self.global_step * self.trainer.world_size + self.global_rank)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        predicted = self.network(batch["nir"], batch["context"])
        target, valid = batch["rgb"], batch["valid"]
        squared = squared_error(predicted, target, valid)
        h = self.hparams
        loss = h["squared"] * squared + h["absolute"] * absolute_error(predicted, target, valid)
        loss = loss + h["ssim"] * box_ssim_loss(predicted, target, valid)
        self.log("loss", loss, prog_bar=True)
        self.log("train/psnr_db", -10 * torch.log10(squared))
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        predicted = self.network(batch["nir"], batch["context"]).clamp(0, 1)
        target, valid = batch["rgb"], batch["valid"]
        psnr_db = -10 * torch.log10(squared_error(predicted, target, valid))
        self.log("dev/psnr_db", psnr_db, prog_bar=True, batch_size=1, sync_dist=True)
        ssim = 1 - box_ssim_loss(predicted, target, valid, stride=1)
        self.log("dev/box_ssim", ssim, batch_size=1, sync_dist=True)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        h = self.hparams
        encoder = list(self.network.encoder.parameters())
        rest = [p for name, p in self.network.named_parameters() if not name.startswith("encoder.")]
        groups = [
            {"params": encoder, "lr": h["encoder_learning_rate"]},
            {"params": rest, "lr": h["learning_rate"]},
        ]
        optimizer = torch.optim.AdamW(groups, weight_decay=h["weight_decay"], betas=(0.9, 0.99))
        steps = self.trainer.max_steps

        def rate(step: int) -> float:
            rise = min(1.0, (step + 1) / h["warmup_steps"])
            return rise * (0.02 + 0.98 * (0.5 + 0.5 * math.cos(math.pi * min(1.0, step / steps))))

        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}
