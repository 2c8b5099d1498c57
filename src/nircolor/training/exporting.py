"""Export a checkpoint of `nircolor train` as a model file."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import TypeAdapter, ValidationError

from nircolor.errors import NircolorError
from nircolor.modelfile import (
    ENGINE_BY_SUFFIX,
    Card,
    CardScore,
    Context,
    EngineName,
    Size,
    first_fault,
    write_safetensors,
)
from nircolor.models import Network
from nircolor.models.loading import restore
from nircolor.pairs.recipe import read_recipe
from nircolor.staging import staging_folder
from nircolor.training.costs import bytes_per_px, multiply_adds_per_px, random_inputs, run_file
from nircolor.training.module import BOUND
from nircolor.training.onnx_export import halve_graph, to_onnx, write_onnx
from nircolor.training.templates import placeholders

_NETWORK_PREFIX = "network."

# Largest allowed differences of colour values, 0 to 1: for weights in single precision, where only the order
# of additions differs, and in half precision (five steps of 8 bits).
_SINGLE_TOLERANCE, _HALF_TOLERANCE = 1e-4, 0.02


@dataclass(frozen=True)
class Exported:
    """Result of `export`.

    Attributes:
        card: The model card in the file.
        rounding: Largest change of a colour value, 0 to 1, caused by half precision on random input; None for
            weights in single precision.
    """

    card: Card
    rounding: float | None


@dataclass(frozen=True)
class TrainedNetwork:
    """A network from a checkpoint.

    Attributes:
        network: Network with the (averaged) weights, in eval mode, on the CPU.
        architecture: Key of `nircolor.models.ARCHITECTURES`.
        arguments: Arguments of its constructor.
        card: Fields of the model card from the recipe.
    """

    network: Network
    architecture: str
    arguments: dict[str, Any]
    card: dict[str, Any]


def export(
    checkpoint: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    half: bool = False,
    scores: str | os.PathLike[str] | None = None,
    recipe: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
) -> Exported:
    """Write the network of a checkpoint as a model file with a card.

    The result of the written file is compared with that of the trained network. The file is written under a
    temporary name and renamed when it is complete.

    Args:
        checkpoint: Checkpoint of `train` (or of Lightning, with a `ColorizationModule`).
        output: Model file: ``.onnx`` to run in ONNX Runtime, ``.safetensors`` to run in PyTorch.
        half: Store the weights in half precision, which halves the file. Computations use single precision.
        scores: JSON file with a list of `nircolor.modelfile.CardScore` for the card.
        recipe: Recipe whose card gives the name, summary and licence, instead of the one that was trained.
        overwrite: Replace an existing model file.

    Returns:
        The card of the file, and the effect of half precision.

    Raises:
        NircolorError: The checkpoint, the scores or the card are not valid, the card has placeholders of a
            template, the output exists or has another suffix, or the written file computes different colours.
    """
    checkpoint, output = Path(checkpoint), Path(output)
    check_output(output, overwrite=overwrite)
    table = _read_scores(None if scores is None else Path(scores))
    trained = read_checkpoint(checkpoint)
    trained.card.update(_texts(recipe))
    if left := placeholders(trained.card):
        raise NircolorError(
            f"{recipe or checkpoint}: expected your own texts in the card's {', '.join(left)}, got the "
            "template's placeholders; fill them in, and name the recipe with --recipe mine.yaml"
        )
    return write_network(
        trained, output, f"{checkpoint}: its recipe's model.init_args.card", scores=table, half=half
    )


def write_network(
    trained: TrainedNetwork,
    output: Path,
    where: str,
    *,
    scores: tuple[CardScore, ...] = (),
    half: bool = False,
) -> Exported:
    """Write a network and its card as a model file, and compare the result of the file with the network's.

    Args:
        trained: The network.
        output: Model file, ``.onnx`` or ``.safetensors``; it is replaced if it exists.
        where: What the card comes from, for messages.
        scores: Scores for the card.
        half: Store the weights in half precision.

    Raises:
        NircolorError: The card is not valid, or the file computes other colours than the network.
    """
    network, engine = trained.network, ENGINE_BY_SUFFIX[output.suffix.lower()]
    check_engine(network, trained.architecture, output)
    card = _card(trained, engine, scores, where)
    card = card.model_copy(update={"multiply_adds_per_px": multiply_adds_per_px(network, card)})

    write, halve = _writer(network, card)
    rounding = None
    with staging_folder(output.parent) as draft:
        # the suffix determines how the file is loaded
        unfinished = draft / output.name
        write(unfinished, card)
        difference = _difference(network, unfinished, card)
        if not difference < _SINGLE_TOLERANCE:
            raise NircolorError(
                f"{output}: the exported network differs from the trained one by {difference:.2g}"
            )
        if half:
            halve()
            write(unfinished, card)
            rounding = _difference(network, unfinished, card)
            if not rounding < _HALF_TOLERANCE:
                raise NircolorError(
                    f"{output}: half precision changes the network's colours by {rounding:.2g}; "
                    "export it without --half"
                )
        card = card.model_copy(update={"bytes_per_px": bytes_per_px(unfinished, card)})
        write(unfinished, card)
        unfinished.replace(output)
    return Exported(card, rounding)


def read_checkpoint(path: str | os.PathLike[str]) -> TrainedNetwork:
    """Read the network of a checkpoint, without executing code from the file.

    Reads ``architecture``, ``arguments`` and ``card`` of its ``hyper_parameters``, and the weights of its
    ``state_dict`` whose names begin with ``network.``. The head that bounds the error has the weights
    that the last validation found.

    Raises:
        NircolorError: The file does not exist, is not a checkpoint of `ColorizationModule`, or its weights do
            not fit its network.
    """
    path = Path(path)
    if not path.is_file():
        raise NircolorError(f"{path}: no such checkpoint")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    # torch and pickle raise many types, with long messages
    except Exception as error:
        raise NircolorError(
            f"{path}: expected a checkpoint of `nircolor train`, "
            f"got a file that cannot be read as tensors and plain values"
        ) from error
    try:
        hyper, state = content["hyper_parameters"], content["state_dict"]
        architecture, arguments, card = hyper["architecture"], hyper.get("arguments"), hyper.get("card")
        weights = {
            name.removeprefix(_NETWORK_PREFIX): value
            for name, value in state.items()
            if name.startswith(_NETWORK_PREFIX)
        }
    except (AttributeError, KeyError, TypeError) as error:
        raise NircolorError(
            f"{path}: expected a checkpoint of `nircolor train`, got one without {error}"
        ) from error
    network = restore(path, architecture, arguments or {}, weights)
    head, bound = network.error_head(), content.get(BOUND)
    if head is not None and bound is not None:
        head.load_state_dict(bound)
    return TrainedNetwork(network, architecture, arguments or {}, card or {})


def _texts(recipe: str | os.PathLike[str] | None) -> dict[str, Any]:
    """Return the texts of a recipe's card; what the network was trained for stays as it is."""
    if recipe is None:
        return {}
    content: Any = read_recipe(recipe)
    for key in ("model", "init_args", "card"):
        content = content.get(key) if isinstance(content, dict) else None
    if not isinstance(content, dict):
        raise NircolorError(f"{recipe}: expected a recipe with model.init_args.card, got none")
    return {key: content[key] for key in ("name", "summary", "licence") if key in content}


def check_output(output: Path, *, overwrite: bool) -> None:
    """Raise NircolorError if a model file cannot be written there: its suffix, its folder, or it exists."""
    if output.suffix.lower() not in ENGINE_BY_SUFFIX:
        raise NircolorError(f"{output}: expected a name that ends in {' or '.join(ENGINE_BY_SUFFIX)}")
    if not output.parent.is_dir():
        raise NircolorError(f"{output}: expected an existing folder, got {output.parent}")
    if output.exists() and not overwrite:
        raise NircolorError(f"{output}: exists already; replace it with --overwrite")


def check_engine(network: Network, architecture: str, output: Path) -> None:
    """Raise NircolorError if a network cannot be written in the format of a model file."""
    if ENGINE_BY_SUFFIX[output.suffix.lower()] == "onnxruntime" and network.engine != "onnxruntime":
        raise NircolorError(
            f"{output}: expected a name that ends in .safetensors, since {architecture} runs in PyTorch, "
            "not in ONNX Runtime"
        )


def _read_scores(path: Path | None) -> tuple[CardScore, ...]:
    if path is None:
        return ()
    try:
        return TypeAdapter(tuple[CardScore, ...]).validate_json(path.read_bytes())
    except OSError as error:
        raise NircolorError(f"{path}: expected a JSON list of scores ({error.strerror})") from error
    except ValidationError as error:
        raise NircolorError(
            f"{path}: expected a JSON list of scores ({first_fault(error, 'list')})"
        ) from error


def _card(trained: TrainedNetwork, engine: EngineName, scores: tuple[CardScore, ...], where: str) -> Card:
    network = trained.network
    try:
        card = Card(
            **trained.card,
            architecture=trained.architecture,
            arguments=trained.arguments,
            engine=engine,
            size=Size(
                multiple_of=network.multiple_of,
                minimum=network.minimum_px,
                receptive_field_px=network.receptive_field_px,
                overlap_px=network.overlap_px,
            ),
            context=None
            if network.context_px is None
            else Context(size_px=network.context_px, working_pixels=network.working_pixels),
            error_quantile=network.error_quantile,
            # placeholders: measuring them needs a card
            bytes_per_px=1.0,
            multiply_adds_per_px=1.0,
            scores=scores,
        )
    except ValidationError as error:
        raise NircolorError(f"{where} is not a valid card ({first_fault(error, 'card')})") from error
    except TypeError as error:
        raise NircolorError(f"{where} is not a valid card ({error})") from error
    if len(card.bands) != network.bands:
        raise NircolorError(f"{where}: expected the network's {network.bands} bands, got {len(card.bands)}")
    return card


def _writer(network: Network, card: Card) -> tuple[Callable[[Path, Card], None], Callable[[], None]]:
    """Return a function that writes the network, and one that converts its weights to half precision."""
    if card.engine == "onnxruntime":
        graph = to_onnx(network, card)
        return partial(write_onnx, graph), partial(halve_graph, graph)
    tensors = {name: tensor.numpy() for name, tensor in network.state_dict().items()}

    def halve() -> None:
        for name, tensor in tensors.items():
            if tensor.dtype.kind == "f":
                tensors[name] = tensor.astype(np.float16)

    return partial(write_safetensors, tensors), halve


def _difference(network: Network, path: Path, card: Card) -> float:
    """Return the largest difference between network and file, at the smallest size and at an untraced one."""
    size = card.size
    differences = []
    for height, width in ((size.fit(1), size.fit(1)), (size.fit(150), size.fit(41))):
        inputs = random_inputs(card, height, width)
        with torch.no_grad():
            expected = network(*map(torch.from_numpy, inputs)).numpy()
        differences.append(np.abs(run_file(path, card, inputs) - expected).max())
    return float(np.max(differences))
