"""`nircolor train`: LightningCLI on a recipe, so that every Trainer flag works."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningCLI

import nircolor.training.data
import nircolor.training.module  # noqa: F401 (recipes name its classes)
from nircolor.errors import NircolorError


def train(arguments: Sequence[str], *, resume: bool = False) -> None:
    """Run a recipe: ``--config recipes/scene.yaml`` and whatever overrides it.

    Args:
        arguments: LightningCLI's, of its trainer, model and data.
        resume: go on from the run's last checkpoint where there is one.

    Raises:
        NircolorError: the run's folder holds an earlier run, and ``resume`` was not asked for.
    """
    torch.set_float32_matmul_precision("high")
    with warnings.catch_warnings():
        # it fears that sys.argv was meant; ours has the command's name in it
        warnings.filterwarnings("ignore", message="LightningCLI's args parameter")
        cli = LightningCLI(
            run=False,
            subclass_mode_model=True,
            subclass_mode_data=True,
            save_config_kwargs={"overwrite": True},
            parser_kwargs={"prog": "nircolor train"},
            args=list(arguments),
        )
    last = _last_checkpoint(cli)
    if last.exists() and not resume:
        raise NircolorError(
            f"{last}: a run is there already; go on with it (--resume) or choose another folder"
        )
    cli.trainer.fit(cli.model, cli.datamodule, ckpt_path=last if last.exists() else None)
    # those that the callback writes on the way are up to its interval old
    cli.trainer.save_checkpoint(last)


def _last_checkpoint(cli: LightningCLI) -> Path:
    saver = cli.trainer.checkpoint_callback
    if not isinstance(saver, ModelCheckpoint) or saver.dirpath is None or not saver.save_last:
        raise NircolorError("the recipe: expected a ModelCheckpoint with dirpath and save_last: true")
    return Path(saver.dirpath) / "last.ckpt"
