"""How the learning rate goes over a run."""

import math

import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler

_LAST_SHARE = 0.02


def half_cosine(optimizer: torch.optim.Optimizer, steps: int, warmup_steps: int) -> OptimizerLRScheduler:
    """A linear rise over ``warmup_steps``, and half a cosine down to 2% at the run's last of ``steps``."""

    def rate(step: int) -> float:
        rise = min(1.0, (step + 1) / max(1, warmup_steps))
        fall = 0.5 + 0.5 * math.cos(math.pi * min(1.0, step / steps))
        return rise * (_LAST_SHARE + (1 - _LAST_SHARE) * fall)

    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}
