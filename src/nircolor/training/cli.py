"""`train` and the command ``nircolor train``: LightningCLI on a recipe, with every option of the Trainer."""

import json
import logging
import os
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
import yaml
from jsonargparse import ArgumentError
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import TensorBoardLogger

import nircolor.training.tasks  # noqa: F401 (recipes name its classes)
from nircolor.errors import NircolorError, NircolorWarning
from nircolor.models.loading import initialize
from nircolor.pairs.recipe import read_recipe
from nircolor.training.callbacks import (
    AveragedWeights,
    InitialWeights,
    RunProgress,
    SampleImages,
    StepCheckpoint,
)
from nircolor.training.data import PairedData
from nircolor.training.module import SCHEDULE_STEPS, ColorizationModule
from nircolor.training.templates import placeholders

# Warnings that do not concern the user.
_SUPPRESSED_WARNINGS = (
    # that sys.argv is replaced, since it contains the command's name
    "LightningCLI's args parameter",
    # deprecated functions of torch that Lightning uses
    ".*is deprecated, use `isinstance",
    # a run without validation split, and a resumed run: both are intended
    "Total length of .* across ranks is zero",
    "Checkpoint directory .* exists and is not empty",
    # with several processes; costs a copy of small weights
    "Grad strides do not match bucket view strides",
)

# Beginnings of lines of a parser error that do not state the mistake.
_PARSER_NOISE = (
    "Parser key",
    "Does not validate against",
    "Subtypes:",
    "Errors:",
    "Problem with given class_path",
    "Given value",
    "Expected a <class 'NoneType'>",
)


def train(
    recipe: str | os.PathLike[str], overrides: Mapping[str, Any] | None = None, *, resume: bool = False
) -> Path:
    """Train a network from a recipe, as ``nircolor train --config RECIPE`` does.

    The run is kept in ``runs/NAME`` for a recipe ``NAME.yaml``, or in ``trainer.default_root_dir``.

    Args:
        recipe: YAML file, see ``docs/training.md``.
        overrides: Settings that replace those of the recipe, by dotted key, for example
            ``{"trainer.max_steps": 2000, "data.batch_size": 4}``.
        resume: Continue from the last checkpoint of the run, if there is one.

    Returns:
        The last checkpoint, ``checkpoints/last.ckpt`` in the folder of the run; an argument of `export`.

    Raises:
        NircolorError: The recipe or its data are not valid, the loss became NaN or infinite, or the run's
            folder contains a run and ``resume`` is False.

    Examples:
        >>> last = train("recipes/pairs.yaml", {"data.batch_size": 4})  # doctest: +SKIP
        >>> last.name  # doctest: +SKIP
        'last.ckpt'
    """
    arguments = ["--config", os.fspath(recipe)]
    for key, value in (overrides or {}).items():
        text = os.fspath(value) if isinstance(value, str | os.PathLike) else json.dumps(value)
        arguments.append(f"--{key}={text}")
    return train_from_arguments(arguments, resume=resume)


def train_from_arguments(arguments: Sequence[str], *, resume: bool = False) -> Path:
    """Run ``nircolor train`` with the given command line arguments of LightningCLI.

    Args:
        arguments: ``--config RECIPE`` and any overrides, ``--trainer.max_steps 2000``.
        resume: See `train`.

    Returns:
        See `train`.

    Raises:
        NircolorError: See `train`.
    """
    if not any("config" in argument or argument.endswith("help") for argument in arguments):
        raise NircolorError(
            "nircolor train: expected a recipe, --config mine.yaml; --new mine.yaml writes one to start from"
        )
    torch.set_float32_matmul_precision("high")
    # hints of Lightning, and devices that are not used
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        for message in _SUPPRESSED_WARNINGS:
            warnings.filterwarnings("ignore", message=message)
        cli = _parse(arguments)
        _warn_of_placeholders(cli)
        last = _last_checkpoint(cli.trainer)
        if last.exists():
            if not resume:
                raise NircolorError(
                    f"{last}: a run exists already; continue it (--resume) or choose another folder "
                    "(--trainer.default_root_dir)"
                )
            _check_resumable(last, cli.model, cli.trainer)
        elif cli.config.init_from is not None:
            initialize(cli.model.network, cli.model.hparams["architecture"], cli.config.init_from)
            start = InitialWeights(cli.model.network)
            cli.trainer.callbacks.insert(0, start)  # type: ignore[attr-defined]
        try:
            cli.trainer.fit(cli.model, cli.datamodule, ckpt_path=last if last.exists() else None)
        # Lightning turns Ctrl-C into SystemExit
        except SystemExit as error:
            raise KeyboardInterrupt from error
        # the callback's last checkpoint may be as old as its interval
        cli.trainer.save_checkpoint(last)
    return last


def _warn_of_placeholders(cli: "_Cli") -> None:
    left = placeholders(cli.model.hparams["card"])
    if left and cli.trainer.is_global_zero:
        warnings.warn(
            f"the recipe's card has placeholders in {', '.join(left)}, which `nircolor export` refuses",
            NircolorWarning,
            stacklevel=3,
        )


class _Cli(LightningCLI):
    """LightningCLI with averaged weights (key ``ema``) and timed checkpoints (``checkpoint``)."""

    def __init__(self, run_name: str, **kwargs: Any) -> None:
        self._run_name = run_name
        super().__init__(**kwargs)

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument(
            "--init_from",
            type=str | None,
            default=None,
            help="Model whose weights the run starts from, of the same architecture: a shipped one that has "
            "a .safetensors file, or such a file.",
        )
        parser.add_lightning_class_args(AveragedWeights, "ema")
        parser.add_lightning_class_args(StepCheckpoint, "checkpoint")
        parser.set_defaults({"checkpoint.save_last": True, "checkpoint.train_time_interval": "0:05:00"})

    def before_instantiate_classes(self) -> None:
        trainer, checkpoint = self.config.trainer, self.config.checkpoint
        if trainer.default_root_dir is None:
            trainer.default_root_dir = str(Path("runs", self._run_name))
        if trainer.max_steps < 1:
            # there is no epoch to end the run, and schedules depend on its length
            raise NircolorError(f"trainer.max_steps: expected a number of steps, got {trainer.max_steps}")
        checkpoint.dirpath = checkpoint.dirpath or str(Path(trainer.default_root_dir, "checkpoints"))

    def instantiate_trainer(self, **kwargs: Any) -> L.Trainer:
        if self.config.trainer.logger is None:
            kwargs["logger"] = TensorBoardLogger(self.config.trainer.default_root_dir, name="", version="")
        return super().instantiate_trainer(**kwargs)


def _parse(arguments: Sequence[str]) -> _Cli:
    run_name, arguments = _with_bases(arguments)
    try:
        return _Cli(
            run_name,
            model_class=ColorizationModule,
            datamodule_class=PairedData,
            run=False,
            subclass_mode_model=True,
            save_config_kwargs={"overwrite": True},
            parser_kwargs={
                "prog": "nircolor train",
                "description": "Train from a recipe; --resume continues an interrupted run. "
                "--model.help CLASS lists the options of a task.",
                "exit_on_error": False,
            },
            trainer_defaults={
                # a run is counted in steps, and the sampler gives each process its part of a batch
                "max_epochs": -1,
                "check_val_every_n_epoch": None,
                "use_distributed_sampler": False,
                "num_sanity_val_steps": 0,
                "enable_model_summary": False,
                "log_every_n_steps": 25,
                "callbacks": [RunProgress(), SampleImages()],
            },
            args=arguments,
        )
    except (ArgumentError, ValueError, TypeError) as error:
        raise _in_one_line(error) from error


def _with_bases(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """Replace recipes that have a base by their merged text; also return the name of the run."""
    run_name, merged = "run", list(arguments)
    for index, argument in enumerate(arguments):
        option, equals, value = argument.partition("=")
        if option != "--config" or not (equals or index + 1 < len(arguments)):
            continue
        path = Path(value if equals else arguments[index + 1])
        run_name = path.stem
        if not path.is_file():
            raise NircolorError(f"{path}: no such recipe; nircolor train --new mine.yaml writes one")
        text = path.read_text(encoding="utf-8")
        if re.search(r"^base:", text, re.MULTILINE):
            text = yaml.safe_dump(read_recipe(path), sort_keys=False)
            merged[index if equals else index + 1] = f"{option}={text}" if equals else text
    return run_name, merged


def _in_one_line(error: BaseException) -> NircolorError:
    """Shorten a parser error, which lists every type that was tried, to the line that states the mistake."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, NircolorError):
            return cause
        cause = cause.__cause__ or cause.__context__
    lines = [line.strip(" -") for line in str(error).splitlines() if line.strip()]
    stating = [line for line in lines if not line.startswith(_PARSER_NOISE)] or lines
    key = re.match(r'Parser key "(.*)"', lines[0])
    message = re.sub(r'^Parser key ".*?":\s*', "", stating[0])
    message = message.replace("Expected a dot import path string:", "there is no class")
    return NircolorError(f"the recipe{f', {key[1]}' if key else ''}: {message}")


def _check_resumable(last: Path, model: ColorizationModule, trainer: L.Trainer) -> None:
    """Compare a checkpoint with the recipe: refuse another network, warn of another length."""
    saved = torch.load(last, map_location="cpu", weights_only=True, mmap=True)
    network = saved.get("hyper_parameters", {})
    for key in ("architecture", "arguments"):
        if network.get(key) != model.hparams[key]:
            raise NircolorError(
                f"{last}: expected a run of {model.hparams[key]}, as in the recipe, got {network.get(key)}"
            )
    planned = saved.get(SCHEDULE_STEPS, trainer.max_steps)
    if planned != trainer.max_steps and trainer.is_global_zero:
        effect = (
            "later steps use the final learning rate and losses"
            if planned < trainer.max_steps
            else "the run ends before the learning rate and losses reach their final values"
        )
        warnings.warn(
            f"{last}: trainer.max_steps is {trainer.max_steps}, but the run was planned with {planned} steps "
            f"and keeps that schedule: {effect}",
            NircolorWarning,
            stacklevel=2,
        )


def _last_checkpoint(trainer: L.Trainer) -> Path:
    saver = trainer.checkpoint_callback
    if not isinstance(saver, StepCheckpoint) or saver.dirpath is None or not saver.save_last:
        raise NircolorError("the recipe: expected checkpoint.save_last to stay true")
    return Path(saver.dirpath) / "last.ckpt"
