"""Train colorization networks and export them as model files (extra: ``train``).

`train` runs a recipe, as the command ``nircolor train`` does, and `export` makes a model file of its
checkpoint. `finetune` adapts a model to a few pairs. The parts work with Lightning's ``Trainer`` too:
`PairedData` is a ``LightningDataModule`` of paired images, and the tasks are ``LightningModule`` classes,
each with the loss and the optimizer of one method.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nircolor.training.callbacks import AveragedWeights, RunProgress, SampleImages, StepCheckpoint
    from nircolor.training.cli import train
    from nircolor.training.data import PairedData
    from nircolor.training.exporting import Exported, TrainedNetwork, export, read_checkpoint
    from nircolor.training.finetuning import FineTuned, HeldOut, ImageScores, NotBetterError, finetune
    from nircolor.training.module import ColorizationModule
    from nircolor.training.sampling import Augmentation, ImagePair
    from nircolor.training.tasks import (
        ContentTask,
        LogErrorTask,
        SceneTask,
        SquaredErrorTask,
        SShapeTask,
        StructureAwareTask,
    )

__all__ = [
    "Augmentation",
    "AveragedWeights",
    "ColorizationModule",
    "ContentTask",
    "Exported",
    "FineTuned",
    "HeldOut",
    "ImagePair",
    "ImageScores",
    "LogErrorTask",
    "NotBetterError",
    "PairedData",
    "RunProgress",
    "SShapeTask",
    "SampleImages",
    "SceneTask",
    "SquaredErrorTask",
    "StepCheckpoint",
    "StructureAwareTask",
    "TrainedNetwork",
    "export",
    "finetune",
    "read_checkpoint",
    "train",
]

_MODULES = {
    "callbacks": ("AveragedWeights", "RunProgress", "SampleImages", "StepCheckpoint"),
    "cli": ("train",),
    "data": ("PairedData",),
    "exporting": ("Exported", "TrainedNetwork", "export", "read_checkpoint"),
    "finetuning": ("FineTuned", "HeldOut", "ImageScores", "NotBetterError", "finetune"),
    "module": ("ColorizationModule",),
    "sampling": ("Augmentation", "ImagePair"),
}


def __getattr__(name: str) -> Any:
    # Lightning takes seconds to import and much memory, and `export`, which measures memory, does not need it
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = next((module for module, names in _MODULES.items() if name in names), "tasks")
    value = getattr(import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
