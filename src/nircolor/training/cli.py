"""`nircolor train`: LightningCLI on a recipe, so that every Trainer flag works."""

import logging
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
from jsonargparse import ArgumentError
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import TensorBoardLogger

import nircolor.training.log_error
import nircolor.training.scene
import nircolor.training.squared_error
import nircolor.training.sshape
import nircolor.training.structure_aware  # noqa: F401 (recipes name the classes of these five)
from nircolor.errors import NircolorError
from nircolor.training.callbacks import AveragedWeights, RunProgress, SampleImages, StepCheckpoint
from nircolor.training.data import PairedData
from nircolor.training.module import ColorizationModule


class _Cli(LightningCLI):
    """Averaged weights and timed checkpoints for every run (keys ``ema``, ``checkpoint``), in its folder."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_lightning_class_args(AveragedWeights, "ema")
        parser.add_lightning_class_args(StepCheckpoint, "checkpoint")
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
    if not any("config" in argument or argument.endswith("help") for argument in arguments):
        raise NircolorError("nircolor train: expected a recipe, --config recipes/….yaml")
    torch.set_float32_matmul_precision("high")
    # its hints, and devices that are not used
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        for message in _NOT_FOR_THE_USER:
            warnings.filterwarnings("ignore", message=message)
        cli = _cli(arguments)
        last = _last_checkpoint(cli.trainer)
        if last.exists():
            if not resume:
                raise NircolorError(
                    f"{last}: a run is there already; go on with it (--resume) or choose another folder "
                    "(--trainer.default_root_dir)"
                )
            _require_same_network(last, cli.model)
        try:
            cli.trainer.fit(cli.model, cli.datamodule, ckpt_path=last if last.exists() else None)
        # what Lightning makes of Ctrl-C
        except SystemExit as error:
            raise KeyboardInterrupt from error
        # those that the callback writes on the way are up to its interval old
        cli.trainer.save_checkpoint(last)


_NOT_FOR_THE_USER = (
    # that sys.argv was meant: ours has the command's name in it
    "LightningCLI's args parameter",
    # Lightning's own use of what torch deprecates
    ".*is deprecated, use `isinstance",
    # a run without a validation split, and one that goes on, are what was asked for
    "Total length of .* across ranks is zero",
    "Checkpoint directory .* exists and is not empty",
    # several processes: costs a copy of small weights
    "Grad strides do not match bucket view strides",
)


def _cli(arguments: Sequence[str]) -> _Cli:
    try:
        return _Cli(
            ColorizationModule,
            PairedData,
            run=False,
            subclass_mode_model=True,
            save_config_kwargs={"overwrite": True},
            parser_kwargs={
                "prog": "nircolor train",
                "description": "Train from a recipe; --resume goes on with an interrupted run. "
                "--model.help CLASS lists the options of a training.",
                "exit_on_error": False,
            },
            trainer_defaults={
                # steps are counted, not epochs, and each process draws its own part of a batch
                "max_epochs": -1,
                "check_val_every_n_epoch": None,
                "use_distributed_sampler": False,
                "num_sanity_val_steps": 0,
                "enable_model_summary": False,
                "log_every_n_steps": 25,
                "callbacks": [RunProgress(), SampleImages()],
            },
            args=list(arguments),
        )
    except (ArgumentError, ValueError, TypeError) as error:
        raise _in_one_line(error) from error


def _in_one_line(error: BaseException) -> NircolorError:
    """The parser wraps what a constructor says into pages of types that it tried."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, NircolorError):
            return cause
        cause = cause.__cause__ or cause.__context__
    lines = [line.strip(" -") for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith(_NOT_TELLING)] or lines
    key = re.match(r'Parser key "(.*)"', lines[0])
    said = telling[0].replace("Expected a dot import path string:", "there is no class")
    return NircolorError(f"the recipe{f', {key[1]}' if key else ''}: {said}")


_NOT_TELLING = (
    "Parser key",
    "Does not validate against",
    "Subtypes:",
    "Errors:",
    "Problem with given class_path",
    "Given value",
    "Expected a <class 'NoneType'>",
)


def _require_same_network(last: Path, model: ColorizationModule) -> None:
    saved = torch.load(last, map_location="cpu", weights_only=True, mmap=True).get("hyper_parameters", {})
    for key in ("architecture", "arguments"):
        if saved.get(key) != model.hparams[key]:
            raise NircolorError(
                f"{last}: expected a run of {model.hparams[key]}, as the recipe says, got {saved.get(key)}"
            )


def _last_checkpoint(trainer: L.Trainer) -> Path:
    saver = trainer.checkpoint_callback
    if not isinstance(saver, StepCheckpoint) or saver.dirpath is None or not saver.save_last:
        raise NircolorError("the recipe: expected checkpoint.save_last to stay true")
    return Path(saver.dirpath) / "last.ckpt"
