"""Base class of the training tasks: network, training step, validation metrics and schedules."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple

import lightning as L
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from pydantic import ValidationError
from torch import Tensor
from torch.nn.functional import pixel_unshuffle
from torchmetrics.functional.image import peak_signal_noise_ratio

from nircolor.errors import NircolorError
from nircolor.losses import ssim_loss
from nircolor.modelfile import CardMetadata, first_fault
from nircolor.models import build, complete_arguments
from nircolor.training.bounds import Sample, fit_bound, sample_cells

# Keys: "nir", "rgb", "valid", for networks with a `context_px` "context" (tensors); "name" (list of str).
Batch = dict[str, Any]
# Loss terms by name.
Terms = dict[str, Tensor]

# Keys of a checkpoint: length of the schedules in steps; weights of the head that bounds the error.
SCHEDULE_STEPS, BOUND = "schedule_steps", "bound"

# Reading a loss waits for the GPU, so losses are collected and read together.
_STEPS_BETWEEN_LOSS_CHECKS = 25


class _Step(NamedTuple):
    """Losses of one training step that are not checked yet."""

    step: int
    loss: Tensor
    terms: Terms
    images: list[str]


class ColorizationModule(L.LightningModule):
    """Base class of the training tasks.

    A subclass defines the loss (`objective`) and the optimizer (`configure_optimizers`). Checkpoints contain
    all that is needed to export a model file: architecture, its arguments and ``card``.

    Args:
        architecture: A key of `nircolor.models.ARCHITECTURES`.
        arguments: Arguments of the network's constructor.
        card: Fields of the model card that are not derived from the network: name, summary, bands, encoding,
            licence (see `nircolor.modelfile.CardMetadata`).

    Attributes:
        network: The network in training.
        bands: NIR bands of its input, from ``card``.
        bound: Weights of the network's head that bounds the error, fitted on the images of the last
            validation; used by `export`. None for a network without it, and before the first validation.

    Raises:
        NircolorError: Unknown architecture or arguments; ``card`` is not valid or its number of bands is not
            that of the network.
    """

    # Shortest side of a tile for which the loss is defined.
    minimum_px: ClassVar[int] = 1

    def __init__(
        self,
        architecture: str,
        arguments: Mapping[str, Any] | None = None,
        card: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.network = build(architecture, arguments)
        # the other settings are in the run's config.yaml
        self.save_hyperparameters(
            {
                "architecture": architecture,
                "arguments": complete_arguments(architecture, arguments),
                "card": dict(card or {}),
            }
        )
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        metadata = _card_metadata(card)
        self.bands, self.encoding = metadata.bands, metadata.encoding
        if len(self.bands) != self.network.bands:
            raise NircolorError(
                f"the recipe: expected card.bands to list the network's {self.network.bands} bands, "
                f"got {len(self.bands)}"
            )
        self.bound: dict[str, Tensor] | None = None
        self._schedule_steps: int | None = None
        self._cells: list[Sample] = []
        self._unchecked: list[_Step] = []

    @abstractmethod
    def objective(self, outputs: Any, batch: Batch) -> Terms:
        """Compute the weighted loss terms of a batch; their sum is minimized.

        Args:
            outputs: Result of `outputs`, in single precision.
            batch: ``nir`` (N, bands, h, w), ``rgb`` (N, 3, h, w), ``valid`` (N, 1, h, w), ``name``, and
                ``context`` where the network takes it.
        """

    def outputs(self, batch: Batch) -> Any:
        """Compute the network's outputs that `objective` needs: by default the colour, (N, 3, h, w)."""
        return self._colour(batch)

    def network_output(self, batch: Batch) -> Tensor:
        """Run the network: (N, 3, h, w), or (N, 4, h, w) with the bound of the colour's error."""
        return self.network(*(batch[key] for key in ("nir", "context") if key in batch))

    @abstractmethod
    def configure_optimizers(self) -> OptimizerLRScheduler: ...

    @property
    def schedule_steps(self) -> int:
        """Length of the schedules in steps: `Trainer.max_steps` at the start of the run.

        It is saved with the checkpoints, so that a resumed run keeps its schedule even if ``max_steps``
        changes; steps beyond it use the final values.
        """
        if self._schedule_steps is not None:
            return self._schedule_steps
        if self.trainer.max_steps < 1:
            raise NircolorError(
                f"trainer.max_steps: expected a number of steps, got {self.trainer.max_steps}: schedules "
                "depend on it"
            )
        return self.trainer.max_steps

    @property
    def progress(self) -> float:
        """Completed part of the schedules, 0 to 1."""
        return min(1.0, self.global_step / self.schedule_steps)

    def scheduled(
        self, optimizer: torch.optim.Optimizer, factor: Callable[[int, int], float]
    ) -> OptimizerLRScheduler:
        """Add a learning rate schedule to an optimizer; a return value for `configure_optimizers`.

        Args:
            optimizer: Optimizer with the rates to be scaled.
            factor: Called with a step (0 to ``steps``) and the planned number of ``steps``; returns the
                factor on the learning rates at that step.
        """

        def factor_at(step: int) -> float:
            steps = self.schedule_steps
            return factor(min(step, steps), steps)

        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor_at)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def on_fit_start(self) -> None:
        self._seed = torch.initial_seed()

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        # dropout depends on seed and batch alone, so that a resumed run draws the same numbers
        torch.manual_seed(self._seed + batch_idx * self.trainer.world_size + self.global_rank)
        if len(self._unchecked) >= _STEPS_BETWEEN_LOSS_CHECKS:
            self.check_losses()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        outputs = self.outputs(batch)
        # half precision is too coarse for sums over an image and differences of variances
        with torch.autocast(self.device.type, enabled=False):
            terms = self.objective(_single(outputs), batch)
            loss = torch.stack(list(terms.values())).sum()
        detached = {name: term.detach() for name, term in terms.items()}
        self._unchecked.append(_Step(self.global_step, loss.detach(), detached, batch["name"]))
        self.log("loss", loss, sync_dist=True)
        if len(terms) > 1:
            self.log_dict({f"train/{name}": term for name, term in terms.items()}, sync_dist=True)
        return loss

    def on_validation_start(self) -> None:
        self.check_losses()

    def validation_step(self, batch: Batch, batch_idx: int) -> Tensor:
        head = self.network.error_head()
        features: list[Tensor] = []
        hook = None
        if head is not None:
            hook = head.register_forward_pre_hook(lambda _, inputs: features.append(inputs[0]))
        predicted = self._colour(batch).float().clamp(0, 1)
        target, valid = batch["rgb"], batch["valid"]
        chosen = valid.expand_as(target) > 0
        if hook is not None:
            hook.remove()
            error = (predicted - target).square().mean(1, keepdim=True).sqrt()
            cell_px = error.shape[-1] // features[0].shape[-1]
            pixels = [pixel_unshuffle(x, cell_px) for x in (error, valid)]
            self._cells.append(sample_cells(features[0], *pixels))
        metrics = {
            "val/psnr": peak_signal_noise_ratio(predicted[chosen], target[chosen], data_range=1.0),
            "val/ssim": 1 - ssim_loss(predicted, target, valid),
        }
        # means over images; a batch has one image, since sizes differ
        self.log_dict(metrics, batch_size=len(target), sync_dist=True)
        return predicted

    def on_validation_epoch_end(self) -> None:
        """Fit the bound of the error on the images of this process."""
        head, quantile = self.network.error_head(), self.network.error_quantile
        if head is not None and quantile is not None:
            self.bound = fit_bound(head, self._cells, quantile).state_dict()
        self._cells = []

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        # an error here keeps the previous checkpoint, since the file is not written yet
        self.check_losses()
        self._check_weights()
        checkpoint[SCHEDULE_STEPS] = self.schedule_steps
        checkpoint[BOUND] = self.bound

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._schedule_steps = checkpoint.get(SCHEDULE_STEPS)
        self.bound = checkpoint.get(BOUND)

    def check_losses(self) -> None:
        """Stop all processes together if a loss since the last check is NaN or infinite in any of them.

        Called every 25 batches and before each validation and checkpoint. All processes must call it at the
        same step.

        Raises:
            NircolorError: Names the step, the loss terms and the images.
        """
        steps, self._unchecked = self._unchecked, []
        finite = torch.stack([step.loss for step in steps]).isfinite().tolist() if steps else []
        failed = next((step for step, ok in zip(steps, finite, strict=True) if not ok), None)
        if not self.trainer.strategy.reduce_boolean_decision(failed is not None, all=False):
            return
        if failed is None:
            raise NircolorError("the loss is not finite in another process, whose message names the images")
        terms = ", ".join(f"{name} {term.item():.3g}" for name, term in failed.terms.items())
        raise NircolorError(
            f"step {failed.step}: the loss is {failed.loss.item()} ({terms}), images: "
            f"{', '.join(failed.images)}"
        )

    def _check_weights(self) -> None:
        finite = torch.stack([p.detach().isfinite().all() for p in self.parameters()]).all()
        if self.trainer.strategy.reduce_boolean_decision(not finite.item(), all=False):
            raise NircolorError(f"step {self.global_step}: a weight of the network is not finite")

    def _colour(self, batch: Batch) -> Tensor:
        return self.network_output(batch)[:, :3]


def _single(outputs: Any) -> Any:
    """Convert a tensor or a named tuple of tensors to single precision."""
    if isinstance(outputs, Tensor):
        return outputs.float()
    return type(outputs)(*(part.float() for part in outputs))


def _card_metadata(card: Mapping[str, Any] | None) -> CardMetadata:
    # checked now instead of at the export, after the whole training
    try:
        return CardMetadata.model_validate(dict(card or {}))
    except ValidationError as error:
        raise NircolorError(
            f"the recipe: expected model.init_args.card to be a model card, got {first_fault(error, 'card')}"
        ) from error
