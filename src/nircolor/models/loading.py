"""Load model files as PyTorch networks."""

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nircolor.errors import NircolorError, first_line
from nircolor.extras import require
from nircolor.modelfile import Card, engine_for, read_card, read_safetensors
from nircolor.models.architectures import build
from nircolor.models.network import Network
from nircolor.weights import find_weights

_HALF_SUFFIX = "_half"


def load(name_or_path: str | os.PathLike[str]) -> Network:
    """Load a model as a PyTorch network, for example to fine-tune it.

    The export to ONNX folds batch normalization into the convolution before it, so its statistics are not in
    the file. A network loaded from ``.onnx`` gives the same result: the folded batch norms become layers that
    add the folded bias, and stay in evaluation mode when ``train()`` is called. Their weights and biases can
    be trained. To train with batch statistics, load a ``.safetensors`` file or replace these layers.

    Args:
        name_or_path: A model that ships with nircolor (``"scene"``), or the path of an ``.onnx`` or
            ``.safetensors`` model file. Of a model that ships in both forms, ``.safetensors`` is loaded.

    Returns:
        The network with the file's weights in single precision, in evaluation mode, on the CPU.

    Raises:
        NircolorError: There is no such model, it is damaged, or it does not hold all weights of its network.
            An ``.onnx`` file holds only the weights used to colorize. It lacks the training branches of
            ``structure_aware`` and two scalars of ``cnn``, which can only be loaded from ``.safetensors``.

    Examples:
        >>> import torch
        >>> network = load("satellite")
        >>> with torch.inference_mode():
        ...     rgb = network(torch.rand(1, 3, 64, 64))
        >>> rgb.shape
        torch.Size([1, 3, 64, 64])
    """
    return load_network(find_weights(name_or_path))[0]


def initialize(network: Network, architecture: str, name_or_path: str | os.PathLike[str]) -> None:
    """Copy the weights of a model into a network, to continue training from them.

    Args:
        network: The network.
        architecture: Its architecture, see `build`.
        name_or_path: A model that ships with a ``.safetensors`` file, or the path of one.

    Raises:
        NircolorError: There is no such file, it is damaged, it holds another architecture or weights of other
            shapes, or the model has an ``.onnx`` file alone.
    """
    path = find_weights(name_or_path)
    if engine_for(path) != "torch":
        raise NircolorError(
            f"{path}: expected a .safetensors model file to continue training from, since .onnx lacks the "
            "statistics of batch normalization"
        )
    tensors, card = read_safetensors(path)
    if card.architecture != architecture:
        raise NircolorError(
            f"{path}: expected a model of architecture {architecture}, got {card.architecture}"
        )
    weights = {name: torch.from_numpy(tensor) for name, tensor in tensors.items()}
    _load_weights(path, architecture, network, weights)


def load_network(path: Path) -> tuple[Network, Card]:
    """Load the network of a model file and its card; see `load`."""
    if engine_for(path) == "torch":
        tensors, card = read_safetensors(path)
        weights = {name: torch.from_numpy(tensor) for name, tensor in tensors.items()}
        network = restore(path, card.architecture, card.arguments, weights)
    else:
        card = read_card(path)
        network = _restore_from_onnx(path, card)
    context_px = None if card.context is None else card.context.size_px
    if (len(card.bands), context_px) != (network.bands, network.context_px):
        raise NircolorError(
            f"{path}: expected a network with {_inputs(len(card.bands), context_px)}, as in its card, "
            f"got {_inputs(network.bands, network.context_px)}"
        )
    # a measure of the weights, which is no argument of the network
    network.working_pixels = card.working_pixels
    return network, card


def _inputs(bands: int, context_px: int | None) -> str:
    """Describe the inputs of a network for an error message."""
    count = f"{bands} band{'s' * (bands > 1)}"
    return f"{count} and {'no context' if context_px is None else f'a context of {context_px} px'}"


def restore(
    path: Path, architecture: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]
) -> Network:
    """Build a network and load its weights.

    Args:
        path: The file that the other arguments come from, for error messages.
        architecture: See `build`.
        arguments: See `build`.
        weights: The network's state dictionary; half precision becomes single precision.

    Returns:
        The network, in evaluation mode.

    Raises:
        NircolorError: The network cannot be built, or weights are missing, unknown or of another shape.
    """
    network = _build(path, architecture, arguments)
    _load_weights(path, architecture, network, weights)
    return network


def _build(path: Path, architecture: str, arguments: Mapping[str, Any]) -> Network:
    try:
        return build(architecture, arguments).eval()
    # arguments from a file can have any type, so that a constructor can raise any exception
    except Exception as error:
        raise NircolorError(f"{path}: its network cannot be built ({first_line(error)})") from error


def _load_weights(
    path: Path, architecture: str, network: Network, weights: Mapping[str, Tensor], hint: str = ""
) -> None:
    expected = network.state_dict()
    faults = [
        *_listed("missing", expected.keys() - weights.keys()),
        *_listed("unknown", weights.keys() - expected.keys()),
    ]
    if faults:
        raise NircolorError(
            f"{path}: expected the weights of {architecture}, got {' and '.join(faults)}{hint}"
        )
    for name, own in expected.items():
        stored = weights[name]
        if stored.shape != own.shape or stored.is_floating_point() != own.is_floating_point():
            raise NircolorError(
                f"{path}: expected {name} of {_kind(own)} for {architecture}, got {_kind(stored)}"
            )
    network.load_state_dict(dict(weights))


def _listed(fault: str, names: Collection[str]) -> list[str]:
    return [f"{len(names)} {fault} ({min(names)}{', …' * (len(names) > 1)})"] if names else []


def _kind(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def _restore_from_onnx(path: Path, card: Card) -> Network:
    """Build the network of an ``.onnx`` file from the initializers of its graph."""
    network = _build(path, card.architecture, card.arguments)
    weights = _read_initializers(path)
    for name, conv, norm in _folded_norms(network, weights):
        bias = weights.pop(f"{conv}.weight_bias", None)
        identity = _FrozenBatchNorm(norm.num_features, eps=norm.eps, momentum=norm.momentum)
        # (x − 0) / √(1 + ε) · √(1 + ε) + bias
        nn.init.constant_(identity.weight, (1 + norm.eps) ** 0.5)
        network.set_submodule(name, identity.eval())
        weights |= {f"{name}.{key}": tensor for key, tensor in identity.state_dict().items()}
        if bias is not None:
            weights[f"{name}.bias"] = bias
    expected = network.state_dict()
    # graphs do not hold batch counters
    weights |= {n: t for n, t in expected.items() if n.endswith(".num_batches_tracked") and n not in weights}
    # the exporter's own constants have names without a dot
    weights = {name: tensor for name, tensor in weights.items() if name in expected or "." in name}
    hint = "; an .onnx file holds only the weights used to colorize: load the .safetensors file of this model"
    _load_weights(path, card.architecture, network, weights, hint)
    return network


class _FrozenBatchNorm(nn.BatchNorm2d):
    """Batch normalization that stays in evaluation mode, since its statistics are folded into weights."""

    def train(self, mode: bool = True) -> "_FrozenBatchNorm":  # noqa: ARG002
        return super().train(False)


def _read_initializers(path: Path) -> dict[str, Tensor]:
    """Read the constants of an ONNX graph; weights stored in half precision become float32."""
    require("onnx", extra="train", what=f"{path}: an .onnx model in PyTorch")
    import onnx
    from onnx import numpy_helper

    weights = {}
    # `read_card` has refused values in other files
    for tensor in onnx.load(path, load_external_data=False).graph.initializer:
        try:
            values = torch.from_numpy(numpy_helper.to_array(tensor).copy())
        except TypeError as error:
            raise NircolorError(
                f"{path}: expected weights in float32 or float16, got {tensor.name} ({error})"
            ) from error
        if tensor.name.endswith(_HALF_SUFFIX):
            weights[tensor.name.removesuffix(_HALF_SUFFIX)] = values.float()
        else:
            weights[tensor.name] = values
    return weights


def _folded_norms(network: Network, weights: Mapping[str, Tensor]) -> list[tuple[str, str, nn.BatchNorm2d]]:
    """Find batch norms that ``weights`` lacks, with the convolution that each of them follows.

    Returns:
        (name of the batch norm, name of the convolution, the batch norm) for each.
    """
    missing = {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, nn.BatchNorm2d) and f"{name}.running_var" not in weights
    }
    if not missing:
        return []
    names = {module: name for name, module in network.named_modules()}
    convolutions: dict[int, str] = {}
    found = []

    def after_convolution(module: nn.Module, _: Any, output: Tensor) -> None:
        convolutions[id(output)] = names[module]
        kept.append(output)

    def before_norm(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if (name := names[module]) in missing and (conv := convolutions.get(id(inputs[0]))) is not None:
            found.append((name, conv, missing[name]))

    # keeps the outputs alive: the id of a deleted tensor can be reused
    kept: list[Tensor] = []
    handles = [
        module.register_forward_hook(after_convolution)
        if isinstance(module, nn.Conv2d)
        else module.register_forward_pre_hook(before_norm)
        for module in names
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d)
    ]
    side = -(-network.minimum_px // network.multiple_of) * network.multiple_of
    inputs = [torch.zeros(1, network.bands, side, side)]
    if network.context_px is not None:
        inputs.append(torch.zeros(1, network.bands + 4, network.context_px, network.context_px))
    with torch.no_grad():
        network(*inputs)
    for handle in handles:
        handle.remove()
    return found
