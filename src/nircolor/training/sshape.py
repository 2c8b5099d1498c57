"""How the S-shape network is trained: its colours are judged by a second network that wants their edges."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from nircolor.losses import edge_loss, squared_error
from nircolor.models.sshape import EdgeNet
from nircolor.training.module import Batch, ColorizationModule, Terms


class SShapeTask(ColorizationModule):
    """Trains `models.sshape.SShape` with its edge network, which is not part of the model file.

    Source: Dong, Kamata, Breckon, "Infrared image colorization using a s-shape network", ICIP 2018.

    Args:
        arguments, card: see `ColorizationModule`.
        learning_rate: Adam's, constant.
        colour, edge: weights of the squared errors of colour and of edges.
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

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), self.learning_rate)
