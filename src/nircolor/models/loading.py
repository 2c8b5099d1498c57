"""From stored weights to a network: nothing is missing, nothing left over, nothing of another shape."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nircolor.errors import NircolorError, first_line
from nircolor.modelfile import Card, read_safetensors
from nircolor.models.architectures import build
from nircolor.models.network import Network


def load_network(path: Path) -> tuple[Network, Card]:
    """The network of a ``.safetensors`` model file, in eval mode, on the CPU, and its card.

    Weights that are stored in half precision become single precision.

    Raises:
        NircolorError: not such a file, or its card and its weights do not make a network.
    """
    tensors, card = read_safetensors(path)
    weights = {name: torch.from_numpy(tensor) for name, tensor in tensors.items()}
    network = restore(path, card.architecture, card.arguments, weights)
    promised = len(card.bands), None if card.context is None else card.context.size_px
    if promised != (network.bands, network.context_px):
        raise NircolorError(
            f"{path}: the card promises {promised[0]} bands and a context of {promised[1]} px, "
            f"the network has {network.bands} and {network.context_px}"
        )
    return network, card


def restore(
    path: Path, architecture: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]
) -> Network:
    """Build a network and lay its weights in; it comes back in eval mode.

    Raises:
        NircolorError: it cannot be built, or the weights are not its own; ``path`` is where all came from.
    """
    try:
        network = build(architecture, arguments)
    # arguments may hold anything, and constructors fail at it in as many ways
    except Exception as error:
        raise NircolorError(f"{path}: its network cannot be built ({first_line(error)})") from error
    expected = network.state_dict()
    faults = [
        *_listed("missing", expected.keys() - weights.keys()),
        *_listed("unknown", weights.keys() - expected.keys()),
    ]
    if faults:
        raise NircolorError(f"{path}: expected the weights of {architecture}, got {' and '.join(faults)}")
    for name, own in expected.items():
        stored = weights[name]
        if stored.shape != own.shape or stored.is_floating_point() != own.is_floating_point():
            raise NircolorError(
                f"{path}: expected {name} of {_kind(own)} for {architecture}, got {_kind(stored)}"
            )
    network.load_state_dict(dict(weights))
    return network.eval()


def _listed(fault: str, names: Collection[str]) -> list[str]:
    return [f"{len(names)} {fault} ({min(names)}{', …' * (len(names) > 1)})"] if names else []


def _kind(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"
