"""What all trainings have in common: a network by name, its steps, its measures on the validation split."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import lightning as L
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from pydantic import ValidationError
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio

from nircolor.errors import NircolorError
from nircolor.losses import ssim_loss
from nircolor.modelfile import CardMetadata, first_fault
from nircolor.models import build, complete_arguments

# "nir", "rgb", "valid" and, for networks that want it, "context" (tensors); "name" (list of texts)
Batch = dict[str, Any]
Terms = dict[str, Tensor]


class ColorizationModule(L.LightningModule):
    """A network in training.

    A subclass says what the network is trained for (`objective`) and how (`configure_optimizers`). What is
    needed to make a model file (architecture, its arguments, ``card``) is saved with every checkpoint.

    Args:
        architecture: a name of `models.ARCHITECTURES`.
        arguments: of its constructor.
        card: what only the recipe knows of the model's card: name, summary, bands, encoding, licence.

    Raises:
        NircolorError: no such architecture or arguments; ``card`` is not what a card needs, or has not as
            many bands as the network.
    """

    def __init__(
        self, architecture: str, arguments: Mapping[str, Any] | None, card: Mapping[str, Any] | None
    ) -> None:
        super().__init__()
        # the rest of the recipe lies beside the checkpoints
        self.network = build(architecture, arguments)
        self.save_hyperparameters(
            {
                "architecture": architecture,
                "arguments": complete_arguments(architecture, arguments),
                "card": dict(card or {}),
            }
        )
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.bands = _card_metadata(card).bands
        if len(self.bands) != self.network.bands:
            raise NircolorError(
                f"the recipe: expected card.bands to name the network's {self.network.bands} bands, "
                f"got {len(self.bands)}"
            )

    @abstractmethod
    def objective(self, outputs: Any, batch: Batch) -> Terms:
        """The terms of the objective, weighted, of single-precision outputs; their sum is minimised."""

    def outputs(self, batch: Batch) -> Any:
        """What the objective is computed from; the colour alone unless a subclass wants more."""
        return self._colour(batch)

    def on_fit_start(self) -> None:
        self._seed = torch.initial_seed()

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        # dropout, too, is a function of seed and batch, so that a resumed run draws what it would have drawn
        torch.manual_seed(self._seed + batch_idx * self.trainer.world_size + self.global_rank)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        outputs = self.outputs(batch)
        # sums over a image and differences of variances do not survive half precision
        with torch.autocast(self.device.type, enabled=False):
            terms = self.objective(_single(outputs), batch)
            loss = torch.stack(list(terms.values())).sum()
        if not torch.isfinite(loss):
            # before the step is taken: the weights and the last checkpoint stay good
            raise NircolorError(
                f"step {self.global_step}: the loss is {loss.item()} "
                f"({', '.join(f'{name} {term.item():.3g}' for name, term in terms.items())}), "
                f"images: {', '.join(batch['name'])}"
            )
        self.log("loss", loss, sync_dist=True)
        if len(terms) > 1:
            self.log_dict({f"train/{name}": term for name, term in terms.items()}, sync_dist=True)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> Tensor:
        predicted = self._colour(batch).float().clamp(0, 1)
        target, valid = batch["rgb"], batch["valid"]
        chosen = valid.expand_as(target) > 0
        measures = {
            "val/psnr": peak_signal_noise_ratio(predicted[chosen], target[chosen], data_range=1.0),
            "val/ssim": 1 - ssim_loss(predicted, target, valid),
        }
        # means over images, which come one by one since their sizes differ
        self.log_dict(measures, batch_size=len(target), sync_dist=True)
        return predicted

    @abstractmethod
    def configure_optimizers(self) -> OptimizerLRScheduler: ...

    def _colour(self, batch: Batch) -> Tensor:
        return self.network(*(batch[key] for key in ("nir", "context") if key in batch))

    @property
    def progress(self) -> float:
        """Share of the run that is done: schedules are stated in it, so that short runs keep their shape."""
        return self.global_step / self.trainer.max_steps


def _single(outputs: Any) -> Any:
    if isinstance(outputs, Tensor):
        return outputs.float()
    return type(outputs)(*(part.float() for part in outputs))


def _card_metadata(card: Mapping[str, Any] | None) -> CardMetadata:
    # now rather than at the export, after the whole training
    try:
        return CardMetadata.model_validate(dict(card or {}))
    except ValidationError as error:
        raise NircolorError(
            f"the recipe: expected card as a card has it, got {first_fault(error, 'card')}"
        ) from error
