"""Training tasks: the loss and the optimizer of each published method and of the shipped models."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor

from nircolor.losses import (
    SSIM_WINDOW_PX,
    absolute_error,
    box_ssim_loss,
    content_ssim_loss,
    cross_branch_loss,
    edge_loss,
    gradient_loss,
    log_squared_error,
    rgb_to_gray,
    squared_error,
    structure_loss,
)
from nircolor.models.efficientnet_lite import imagenet_weights
from nircolor.models.scene import Scene
from nircolor.models.sshape import EdgeNet
from nircolor.models.structure_aware import Branches, StructureAware
from nircolor.training.module import Batch, ColorizationModule, Terms

_FINAL_COSINE = 0.02
# Images of photographs above 40 dB gain nothing by a smaller error.
_SCENE_FLOOR = 1e-4


def half_cosine(step: int, steps: int, warmup_steps: int = 0) -> float:
    """Return the factor on the learning rate: a linear rise, then half a cosine down to 0.02.

    Args:
        step: 0 to ``steps``.
        steps: Planned length of the run.
        warmup_steps: Length of the rise.

    Examples:
        >>> [round(half_cosine(step, 100), 2) for step in (0, 50, 100)]
        [1.0, 0.51, 0.02]
    """
    rise = min(1.0, (step + 1) / max(1, warmup_steps))
    fall = 0.5 + 0.5 * math.cos(math.pi * min(1.0, step / steps))
    return rise * (_FINAL_COSINE + (1 - _FINAL_COSINE) * fall)


def scene_terms(
    predicted: Tensor,
    target: Tensor,
    valid: Tensor,
    *,
    log_error: float = 0.1,
    absolute: float = 0.2,
    ssim: float = 0.15,
) -> Terms:
    """Return the weighted terms of the loss of `scene`; see `SceneTask` for the weights.

    Args:
        predicted: Colour, (N, 3, H, W).
        target: True colour, (N, 3, H, W).
        valid: Mask, (N, 1, H, W).
        log_error: Weight of the logarithm of the squared error.
        absolute: Weight of the absolute error.
        ssim: Weight of 1 − SSIM with box windows.
    """
    images = predicted, target, valid
    return {
        "log_error": log_error * log_squared_error(*images, floor=_SCENE_FLOOR),
        "absolute": absolute * absolute_error(*images),
        "ssim": ssim * box_ssim_loss(*images),
    }


class ContentTask(ColorizationModule):
    """Train any network with the content loss, equations (4) and (5): the U-Net rows of the paper.

    Source: Park et al., "Multi-Band NIR Colorization Using Structure-Aware Network", section III.

    Args:
        architecture: See `ColorizationModule`.
        arguments: See `ColorizationModule`.
        card: See `ColorizationModule`.
        learning_rate: Learning rate of Adam (β₁ = 0.5), constant.
        content: Weight of the content loss.
        ssim_from: Part of the run after which equation (5) replaces equation (4); in the paper 1,500 of
            4,000 epochs.
        keep_absolute: Add equation (5) to (4) instead of replacing it.

    Examples:
        >>> band = {"center_nm": 850, "fwhm_nm": 40, "tolerance_nm": 20}
        >>> licence = {"weights": "free to use", "training_data": "my own images"}
        >>> card = {"name": "mine", "summary": "fields", "bands": [band], "encoding": "gamma"}
        >>> task = ContentTask("unet", {"width": 4}, card | {"licence": licence})
        >>> task.network(torch.rand(1, 1, 32, 48)).shape
        torch.Size([1, 3, 32, 48])
    """

    minimum_px: ClassVar[int] = SSIM_WINDOW_PX

    def __init__(
        self,
        architecture: str = "unet",
        arguments: Mapping[str, Any] | None = None,
        card: Mapping[str, Any] | None = None,
        learning_rate: float = 2e-4,
        content: float = 1.0,
        ssim_from: float = 0.375,
        keep_absolute: bool = False,
    ) -> None:
        super().__init__(architecture, arguments, card)
        self.learning_rate, self.content = learning_rate, content
        self.ssim_from, self.keep_absolute = ssim_from, keep_absolute

    def objective(self, outputs: Tensor, batch: Batch) -> Terms:
        pair = outputs, batch["rgb"], batch["valid"]
        late = self.progress >= self.ssim_from
        terms = {}
        if not late or self.keep_absolute:
            terms["absolute"] = self.content * absolute_error(*pair)
        if late:
            terms["ssim"] = self.content * content_ssim_loss(*pair)
        return terms

    def configure_optimizers(self) -> OptimizerLRScheduler:
        return torch.optim.Adam(self.parameters(), self.learning_rate, betas=(0.5, 0.999))


class StructureAwareTask(ContentTask):
    """Train `nircolor.models.StructureAware` with equation (6), the sum of equations (1) to (5).

    Source: Park et al., "Multi-Band NIR Colorization Using Structure-Aware Network", section III.

    Args:
        arguments: See `ColorizationModule`.
        card: See `ColorizationModule`.
        learning_rate: See `ContentTask`.
        content: See `ContentTask`.
        structure: Weight of equation (3).
        cross_branch: Weight of equation (1).
        gradient: Weight of equation (2).
        ssim_from: See `ContentTask`.
        keep_absolute: See `ContentTask`.
        gray_target: Target of the gray branch in equation (3): the gray version of the true colours
            ("truth") or of the network's own ("output"). With "output", equation (3) equals equation (1), so
            that only the weight of (1) changes.
        per_band: In equation (2), compare with the gradient of each band instead of that of the mean band.
        kernel_gain: Factor on equation (2); 8 corresponds to undivided Sobel kernels.
    """

    network: StructureAware

    def __init__(
        self,
        arguments: Mapping[str, Any] | None = None,
        card: Mapping[str, Any] | None = None,
        learning_rate: float = 2e-4,
        content: float = 1.0,
        structure: float = 1.0,
        cross_branch: float = 1.0,
        gradient: float = 1.0,
        ssim_from: float = 0.375,
        keep_absolute: bool = False,
        gray_target: Literal["truth", "output"] = "truth",
        per_band: bool = False,
        kernel_gain: float = 1.0,
    ) -> None:
        super().__init__("structure_aware", arguments, card, learning_rate, content, ssim_from, keep_absolute)
        self.structure, self.cross_branch, self.gradient = structure, cross_branch, gradient
        self.gray_target, self.per_band, self.kernel_gain = gray_target, per_band, kernel_gain

    def outputs(self, batch: Batch) -> Branches:
        return self.network.branches(batch["nir"])

    def objective(self, outputs: Branches, batch: Batch) -> Terms:  # type: ignore[override]
        rgb, gray, scale_map = outputs
        valid = batch["valid"]
        target = rgb_to_gray(batch["rgb"] if self.gray_target == "truth" else rgb)
        gradient = gradient_loss(
            batch["nir"], gray, scale_map, valid, per_band=self.per_band, kernel_gain=self.kernel_gain
        )
        return super().objective(rgb, batch) | {
            "structure": self.structure * structure_loss(gray, target, valid),
            "cross_branch": self.cross_branch * cross_branch_loss(gray, rgb, valid),
            "gradient": self.gradient * gradient,
        }


class SShapeTask(ColorizationModule):
    """Train `nircolor.models.SShape` together with its edge network, which is not exported.

    Source: Dong, Kamata, Breckon, "Infrared image colorization using a s-shape network", ICIP 2018.

    Args:
        arguments: See `ColorizationModule`.
        card: See `ColorizationModule`.
        learning_rate: Learning rate of Adam, constant.
        colour: Weight of the squared error of the colour.
        edge: Weight of the squared error of the edges.
    """

    def __init__(
        self,
        arguments: Mapping[str, Any] | None = None,
        card: Mapping[str, Any] | None = None,
        learning_rate: float = 1e-4,
        colour: float = 1.0,
        edge: float = 1.0,
    ) -> None:
        super().__init__("sshape", arguments, card)
        self.edge_network = EdgeNet()
        self.edge_network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.learning_rate, self.colour, self.edge = learning_rate, colour, edge

    def objective(self, outputs: Tensor, batch: Batch) -> Terms:
        target, valid = batch["rgb"], batch["valid"]
        edges = self.edge_network(valid * (outputs - target))
        return {
            "colour": self.colour * squared_error(outputs, target, valid),
            "edge": self.edge * edge_loss(edges, target, valid),
        }

    def configure_optimizers(self) -> OptimizerLRScheduler:
        return torch.optim.Adam(self.parameters(), self.learning_rate)


class SquaredErrorTask(ColorizationModule):
    """Train any network with the squared error, Adam and an exponentially decaying learning rate.

    Source: Valsesia et al., "NIR image colorization with graph-convolutional neural networks", section IV.

    Args:
        architecture: See `ColorizationModule`.
        arguments: See `ColorizationModule`.
        card: See `ColorizationModule`.
        learning_rate: Learning rate of the first step.
        final_learning_rate: Learning rate at the end of the planned run.
    """

    def __init__(
        self,
        architecture: str = "nirgnn",
        arguments: Mapping[str, Any] | None = None,
        card: Mapping[str, Any] | None = None,
        learning_rate: float = 1e-4,
        final_learning_rate: float = 1e-5,
    ) -> None:
        super().__init__(architecture, arguments, card)
        self.learning_rate, self.final_learning_rate = learning_rate, final_learning_rate

    def objective(self, outputs: Tensor, batch: Batch) -> Terms:
        return {"squared": squared_error(outputs, batch["rgb"], batch["valid"])}

    def configure_optimizers(self) -> OptimizerLRScheduler:
        optimizer = torch.optim.Adam(self.parameters(), self.learning_rate)
        final = self.final_learning_rate / self.learning_rate
        return self.scheduled(optimizer, lambda step, steps: final ** (step / steps))


class LogErrorTask(ColorizationModule):
    """Train any network with the logarithm of each image's squared error and AdamW.

    The loss maximizes the mean PSNR (see `nircolor.losses.log_squared_error`). The `satellite` models are
    trained with it.

    Args:
        architecture: See `ColorizationModule`.
        arguments: See `ColorizationModule`.
        card: See `ColorizationModule`.
        learning_rate: Largest learning rate; it falls along half a cosine to 2% of it.
        warmup_steps: Steps of linear rise.
        weight_decay: Weight decay of AdamW.
    """

    def __init__(
        self,
        architecture: str = "convnext_unet",
        arguments: Mapping[str, Any] | None = None,
        card: Mapping[str, Any] | None = None,
        learning_rate: float = 2e-3,
        warmup_steps: int = 100,
        weight_decay: float = 0.05,
    ) -> None:
        super().__init__(architecture, arguments, card)
        self.learning_rate, self.warmup_steps, self.weight_decay = learning_rate, warmup_steps, weight_decay

    def objective(self, outputs: Tensor, batch: Batch) -> Terms:
        return {"log_error": log_squared_error(outputs, batch["rgb"], batch["valid"])}

    def configure_optimizers(self) -> OptimizerLRScheduler:
        optimizer = torch.optim.AdamW(
            self.parameters(), self.learning_rate, weight_decay=self.weight_decay, betas=(0.9, 0.99)
        )
        return self.scheduled(optimizer, lambda step, steps: half_cosine(step, steps, self.warmup_steps))


class SceneTask(ColorizationModule):
    """Train `nircolor.models.Scene`, starting from an encoder with ImageNet weights.

    The logarithm of each image's squared error dominates the loss. The bound of the error is fitted at each
    validation.

    Args:
        arguments: See `ColorizationModule`.
        card: See `ColorizationModule`.
        learning_rate: Largest learning rate of the new layers; it falls along half a cosine to 2% of it.
        encoder_learning_rate: Largest learning rate of the encoder, with the same schedule.
        warmup_steps: Steps of linear rise.
        weight_decay: Weight decay of AdamW.
        log_error: Weight of the logarithm of the squared error.
        absolute: Weight of the absolute error.
        ssim: Weight of 1 − SSIM with box windows.
    """

    network: Scene
    minimum_px: ClassVar[int] = 9  # window of `box_ssim_loss`

    def __init__(
        self,
        arguments: Mapping[str, Any] | None = None,
        card: Mapping[str, Any] | None = None,
        learning_rate: float = 1e-3,
        encoder_learning_rate: float = 1.5e-4,
        warmup_steps: int = 100,
        weight_decay: float = 0.05,
        log_error: float = 0.1,
        absolute: float = 0.2,
        ssim: float = 0.15,
    ) -> None:
        super().__init__("scene", arguments, card)
        self.learning_rate, self.encoder_learning_rate = learning_rate, encoder_learning_rate
        self.warmup_steps, self.weight_decay = warmup_steps, weight_decay
        self.log_error, self.absolute, self.ssim = log_error, absolute, ssim

    def setup(self, stage: str) -> None:
        if stage == "fit":
            # a resumed run replaces them with its own weights afterwards
            self.network.encoder.load_imagenet(imagenet_weights())

    def objective(self, outputs: Tensor, batch: Batch) -> Terms:
        return scene_terms(
            outputs,
            batch["rgb"],
            batch["valid"],
            log_error=self.log_error,
            absolute=self.absolute,
            ssim=self.ssim,
        )

    def configure_optimizers(self) -> OptimizerLRScheduler:
        named = [(name, p) for name, p in self.network.named_parameters() if p.requires_grad]
        encoder = [p for name, p in named if name.startswith("encoder.")]
        rest = [p for name, p in named if not name.startswith("encoder.")]
        groups = [
            {"params": encoder, "lr": self.encoder_learning_rate},
            {"params": rest, "lr": self.learning_rate},
        ]
        optimizer = torch.optim.AdamW(groups, weight_decay=self.weight_decay, betas=(0.9, 0.99))
        return self.scheduled(optimizer, lambda step, steps: half_cosine(step, steps, self.warmup_steps))
