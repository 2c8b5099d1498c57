"""Rows of the papers' tables for `gpu_training`: networks, losses and settings."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from gpu_data import Patches, load_sentinel2, load_vcip2020
from torch import Tensor

from nircolor.losses import (
    absolute_error,
    content_ssim_loss,
    cross_branch_loss,
    edge_loss,
    gradient_loss,
    rgb_to_gray,
    squared_error,
    structure_loss,
)

# part of the run after which SSIM is added, in the structure-aware paper 1,500 of 4,000 epochs
SSIM_FROM = 0.375

# of network, NIR and colour; they may be computed in bfloat16
Outputs = Callable[[Any, Tensor, Tensor], tuple[Tensor, ...]]
# of outputs, NIR, colour and whether SSIM_FROM of the run is over; in float32, as SSIM is a small difference
# of large numbers
Loss = Callable[[tuple[Tensor, ...], Tensor, Tensor, bool], Tensor]


def colour(network: Any, nir: Tensor, rgb: Tensor) -> tuple[Tensor, ...]:  # noqa: ARG001
    """Return the colour alone."""
    return (network(nir),)


def branches(network: Any, nir: Tensor, rgb: Tensor) -> tuple[Tensor, ...]:  # noqa: ARG001
    """Return the colour, the gray image and the scale map of the structure-aware network."""
    outputs: tuple[Tensor, ...] = network.branches(nir)
    return outputs


def colour_and_edges(network: Any, nir: Tensor, rgb: Tensor) -> tuple[Tensor, ...]:
    """Return the colour and the edges of S-shape: of its colour network and the edge network after it."""
    predicted = network[0](nir)
    return predicted, network[1](predicted - rgb)


def squared(outputs: tuple[Tensor, ...], nir: Tensor, rgb: Tensor, late: bool) -> Tensor:  # noqa: ARG001
    """Return the loss of the NIR-GNN paper."""
    return squared_error(outputs[0], rgb, torch.ones_like(rgb[:, :1]))


def content(outputs: tuple[Tensor, ...], nir: Tensor, rgb: Tensor, late: bool) -> Tensor:  # noqa: ARG001
    """Return equation (4) of the structure-aware paper, late in the run with (5): the loss of U-Net."""
    pair = outputs[0], rgb, torch.ones_like(rgb[:, :1])
    return absolute_error(*pair) + content_ssim_loss(*pair) if late else absolute_error(*pair)


def all_equations(
    outputs: tuple[Tensor, ...],
    nir: Tensor,
    rgb: Tensor,
    late: bool,
    *,
    cross: float = 1.0,
    gradient: float = 1.0,
) -> Tensor:
    """Return equation (6) of the structure-aware paper."""
    predicted, gray, scale_map = outputs
    valid = torch.ones_like(rgb[:, :1])
    loss = content(outputs, nir, rgb, late) + structure_loss(gray, rgb_to_gray(rgb), valid)
    if cross:
        loss = loss + cross * cross_branch_loss(gray, predicted, valid)
    return loss + gradient * gradient_loss(nir, gray, scale_map, valid) if gradient else loss


def with_edges(outputs: tuple[Tensor, ...], nir: Tensor, rgb: Tensor, late: bool) -> Tensor:  # noqa: ARG001
    """Return the loss of S-shape."""
    predicted, edges = outputs
    valid = torch.ones_like(rgb[:, :1])
    return squared_error(predicted, rgb, valid) + edge_loss(edges, rgb, valid)


class Row(NamedTuple):
    """A network of a table and how it is trained.

    Attributes:
        architecture: Name of the network.
        arguments: Its arguments.
        outputs: Computes what the loss compares.
        loss: The loss.
        rates: First and last learning rate, with a schedule between them.
        betas: Of Adam.
        bands: Which of the NIR bands it takes.
        seed: Of the weights and the batches.
    """

    architecture: str
    arguments: dict[str, Any]
    outputs: Outputs
    loss: Loss
    rates: tuple[float, float]
    betas: tuple[float, float] = (0.9, 0.999)
    bands: slice = slice(None)
    seed: int = 0


class Table(NamedTuple):
    """Rows that are trained on the same batches.

    Attributes:
        rows: By name.
        load: Reads the packed data.
        batch: Patches per batch, their side, and whether they are turned.
        cosine: Half a cosine between the learning rates, instead of an exponential decay.
        bfloat16: Networks run in bfloat16 where PyTorch's autocast does so.
        weights: Keep the weights, rather than colorized test patches.
    """

    rows: dict[str, Row]
    load: Callable[[Path, torch.device], Patches]
    batch: tuple[int, int, bool]
    cosine: bool
    bfloat16: bool
    weights: bool


def _structure_aware_rows() -> dict[str, Row]:
    rows: dict[str, Row] = {}
    adam: dict[str, Any] = {"rates": (1e-3, 1e-5), "betas": (0.5, 0.999)}
    one, three = ({"bands": n, "width": 32} for n in (1, 3))
    for seed in (0, 1):
        for given, bands, name in ((one, slice(1, 2), "1band"), (three, slice(0, 3), "3bands")):
            own = adam | {"bands": bands, "seed": seed}
            batch = {"norm": "batch"}
            rows[f"unet-{name}-{seed}"] = Row("unet", given | batch, colour, content, **own)
            rows[f"sshape-{name}-{seed}"] = Row("sshape", given, colour_and_edges, with_edges, **own)
            rows[f"structure_aware-{name}-{seed}"] = Row(
                "structure_aware", given | batch, branches, all_equations, **own
            )
    whole = rows["structure_aware-3bands-0"]
    rows["no_cross_branch-0"] = whole._replace(loss=partial(all_equations, cross=0))
    rows["no_gradient-0"] = whole._replace(loss=partial(all_equations, gradient=0))
    rows["no_dense-0"] = whole._replace(arguments=whole.arguments | {"dense": False})
    return rows


_NIRGNN_RATES = (1e-3, 1e-5)
TABLES = {
    "nirgnn": Table(
        {
            "nirgnn": Row("nirgnn", {"bn_momentum": 0.01}, colour, squared, _NIRGNN_RATES),
            "cnn": Row("cnn", {"bn_momentum": 0.01}, colour, squared, _NIRGNN_RATES),
        },
        load_vcip2020,
        (10, 42, False),
        cosine=False,
        bfloat16=False,
        weights=True,
    ),
    "structure_aware": Table(
        _structure_aware_rows(), load_sentinel2, (32, 64, True), cosine=True, bfloat16=True, weights=False
    ),
}
