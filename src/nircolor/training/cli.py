"""`nircolor train`: LightningCLI on a recipe, so that every Trainer flag works."""

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import TensorBoardLogger

import nircolor.training.scene
import nircolor.training.squared_error
import nircolor.training.sshape
import nircolor.training.structure_aware  # noqa: F401 (recipes name the classes of these four)
from nircolor.errors import NircolorError
from nircolor.training.callbacks import RunProgress, SamplePictures
from nircolor.training.data import PairedData
from nircolor.training.module import Colorization


class _Cli(LightningCLI):
    """Averaged weights and timed checkpoints for every run (keys ``ema``, ``checkpoint``), in its folder."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_lightning_class_args(EMAWeightAveraging, "ema")
        parser.add_lightning_class_args(ModelCheckpoint, "checkpoint")
        parser.set_defaults({"checkpoint.save_last": True, "checkpoint.train_time_interval": "0:05:00"})

    def before_instantiate_classes(self) -> None:
        trainer, checkpoint = self.config.trainer, self.config.checkpoint
        if trainer.default_root_dir is None:
            # a run is named after its recipe
            trainer.default_root_dir = str(Path("runs", Path(str(self.config.config[-1])).stem))
        if trainer.max_steps < 1:
            # samples have no end, and schedules are stated in shares of the run
            raise NircolorError(f"trainer.max_steps: expected a number of steps, got {trainer.max_steps}")
        checkpoint.dirpath = checkpoint.dirpath or str(Path(trainer.default_root_dir, "checkpoints"))

    def instantiate_trainer(self, **kwargs: Any) -> L.Trainer:
        if self.config.trainer.logger is None:
            kwargs["logger"] = TensorBoardLogger(self.config.trainer.default_root_dir, name="", version="")
        return super().instantiate_trainer(**kwargs)


def train(arguments: Sequence[str], *, resume: bool = False) -> None:
    """Run a recipe: ``--config recipes/scene.yaml`` and whatever overrides it.

    Args:
        arguments: LightningCLI's, of its trainer, model and data.
        resume: go on from the run's last checkpoint where there is one.

    Raises:
        NircolorError: the recipe or its data are not fit for a run, the loss is no number any more, or the
            run's folder holds an earlier run and ``resume`` was not asked for.
    """
    if not any(argument.startswith(("--config", "--help", "--print_config")) for argument in arguments):
        raise NircolorError("nircolor train: expected a recipe, --config recipes/….yaml")
    torch.set_float32_matmul_precision("high")
    # its hints, and devices that are not used
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        # Lightning fears that sys.argv was meant (ours has the command's name in it), and uses what torch
        # deprecates
        warnings.filterwarnings("ignore", message="LightningCLI's args parameter")
        warnings.filterwarnings("ignore", category=FutureWarning, module="lightning")
        # a run without a dev split, and one that goes on, are what was asked for
        warnings.filterwarnings("ignore", message="Total length of .* across ranks is zero")
        warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty")
        cli = _cli(arguments)
        last = _last_checkpoint(cli.trainer)
        if last.exists() and not resume:
            raise NircolorError(
                f"{last}: a run is there already; go on with it (--resume) or choose another folder "
                "(--trainer.default_root_dir)"
            )
        cli.trainer.fit(cli.model, cli.datamodule, ckpt_path=last if last.exists() else None)
        # those that the callback writes on the way are up to its interval old
        cli.trainer.save_checkpoint(last)


def _cli(arguments: Sequence[str]) -> _Cli:
    return _Cli(
        Colorization,
        PairedData,
        run=False,
        subclass_mode_model=True,
        save_config_kwargs={"overwrite": True},
        parser_kwargs={"prog": "nircolor train"},
        trainer_defaults={
            # steps are counted, not epochs, and each process draws its own part of a batch
            "max_epochs": -1,
            "check_val_every_n_epoch": None,
            "use_distributed_sampler": False,
            "num_sanity_val_steps": 0,
            "enable_model_summary": False,
            "log_every_n_steps": 25,
            "callbacks": [RunProgress(), SamplePictures()],
        },
        args=list(arguments),
    )


def _last_checkpoint(trainer: L.Trainer) -> Path:
    saver = trainer.checkpoint_callback
    if not isinstance(saver, ModelCheckpoint) or saver.dirpath is None or not saver.save_last:
        raise NircolorError("the recipe: expected checkpoint.save_last to stay true")
    return Path(saver.dirpath) / "last.ckpt"
