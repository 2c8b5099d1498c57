"""How the structure-aware network and its U-Net baseline are trained.

Source: Park et al., "Multi-Band NIR Colorization Using Structure-Aware Network", section III.
"""

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from nircolor.losses import (
    absolute_error,
    content_ssim_loss,
    cross_branch_loss,
    gradient_loss,
    rgb_to_gray,
    structure_loss,
)
from nircolor.models.structure_aware import Branches, StructureAware
from nircolor.training.module import Batch, ColorizationModule, Terms


class ContentTask(ColorizationModule):
    """Trains any network on the content loss alone, equations (4) and (5): the paper's U-Net rows.

    Args:
        architecture, arguments, card: see `ColorizationModule`.
        learning_rate: Adam's, constant, with β₁ = 0.5.
        content: weight of the content loss.
        ssim_from: share of the run after which equation (5) comes in; the paper's last 2,500 of 4,000 epochs.
        keep_absolute: equation (5) is added to (4) instead of taking its place.
    """

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

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), self.learning_rate, betas=(0.5, 0.999))


class StructureAwareTask(ContentTask):
    """Trains `models.structure_aware.StructureAware` on equation (6), a weight on every term.

    Args:
        arguments, card, learning_rate, content, ssim_from, keep_absolute: see `ContentTask`.
        structure: weight of equation (3).
        cross_branch: weight of equation (1).
        gradient: weight of equation (2).
        gray_target: what the gray branch is to match in equation (3), the gray of the true colours or of
            the network's own.
        per_band: equation (2) compares with the gradient of each band rather than with that of their mean.
        kernel_gain: of the Sobel kernels in equation (2), which are divided by 8; 8 for the undivided ones.
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
