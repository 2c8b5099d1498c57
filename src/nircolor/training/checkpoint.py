"""What a checkpoint of `nircolor train` says of its network."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from nircolor.errors import NircolorError
from nircolor.models import Network
from nircolor.models.loading import restore

_PREFIX = "network."


@dataclass(frozen=True)
class Trained:
    """A network from a checkpoint.

    Attributes:
        network: with its (averaged) weights, in eval mode, on the CPU.
        architecture: its name.
        arguments: of its constructor.
        card: what only the recipe knows of the model's card.
    """

    network: Network
    architecture: str
    arguments: dict[str, Any]
    card: dict[str, Any]


def read_checkpoint(path: Path) -> Trained:
    """Read a checkpoint; nothing in it is executed.

    Its ``hyper_parameters`` have ``architecture``, ``arguments`` and ``card``, its ``state_dict`` has the
    network's weights below ``network.``; what else there is serves training.

    Raises:
        NircolorError: no such file, not such a checkpoint, or its weights are not those of its network.
    """
    if not path.is_file():
        raise NircolorError(f"{path}: no such checkpoint")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    # torch and pickle each have their own, and say much at length that does not matter here
    except Exception as error:
        raise NircolorError(
            f"{path}: expected a checkpoint of `nircolor train`, "
            f"got a file that holds no tensors and plain values ({type(error).__name__})"
        ) from error
    try:
        hyper, state = content["hyper_parameters"], content["state_dict"]
        architecture, arguments, card = hyper["architecture"], hyper.get("arguments"), hyper.get("card")
        weights = {
            name.removeprefix(_PREFIX): value for name, value in state.items() if name.startswith(_PREFIX)
        }
    except (AttributeError, KeyError, TypeError) as error:
        raise NircolorError(
            f"{path}: expected a checkpoint of `nircolor train`, got one without {error}"
        ) from error
    network = restore(path, architecture, arguments or {}, weights)
    return Trained(network, architecture, arguments or {}, card or {})
