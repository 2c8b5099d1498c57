"""`nircolor train`: LightningCLI on a recipe, so that every Trainer flag works."""

from collections.abc import Sequence

import torch
from lightning.pytorch.cli import LightningCLI

import nircolor.training.data
import nircolor.training.module  # noqa: F401 (recipes name its classes)


def train(arguments: Sequence[str], *, resume: bool = False) -> None:
    """Run a recipe: ``--config recipes/scene.yaml`` and whatever overrides it.

    Args:
        arguments: LightningCLI's, for its ``fit``.
        resume: go on from the run's last checkpoint where there is one.
    """
    torch.set_float32_matmul_precision("high")
    LightningCLI(
        subclass_mode_model=True,
        subclass_mode_data=True,
        save_config_kwargs={"overwrite": True},
        args=["fit", *arguments, *(["--ckpt_path", "last"] if resume else [])],
    )
