"""From a checkpoint to a model file: the averaged weights as an engine takes them, the card inside."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

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
from nircolor.training.checkpoint import Trained, read_checkpoint
from nircolor.training.measures import bytes_per_px, multiply_adds_per_px, random_inputs, run_file
from nircolor.training.onnx_export import halve_graph, to_onnx, write_onnx

# what another order of additions may change, and what rounded weights may: five steps of 8 bits
_SINGLE_TOLERANCE, _HALF_TOLERANCE = 1e-4, 0.02


@dataclass(frozen=True)
class Exported:
    """A written model file.

    Attributes:
        card: as it is in the file.
        rounding: the largest change of a colour value, 0 to 1, that half precision makes on random input;
            None where the weights are in single precision.
    """

    card: Card
    rounding: float | None


def export(
    checkpoint: Path,
    output: Path,
    *,
    half: bool = False,
    saturation: float = 1.0,
    scores: Path | None = None,
    overwrite: bool = False,
) -> Exported:
    """Write the checkpoint's network as ``output``, with a card.

    Args:
        checkpoint: of `nircolor train`.
        output: the model file: ``.onnx`` for networks that ONNX Runtime runs, ``.safetensors`` for all.
        half: store the weights in half precision, in half the space; they are computed with as single.
        saturation: gain on the colours' distance from gray; for networks that have `saturate`.
        scores: JSON list of `modelfile.CardScore`, for the card.
        overwrite: replace a model that is there.

    Raises:
        NircolorError: no checkpoint or scores, a card that is not one, an output that is there already or of
            another format, or the written file computes something else.
    """
    engine = _engine_of(output, overwrite)
    table = _read_scores(scores)
    trained = read_checkpoint(checkpoint)
    network = trained.network
    if engine == "onnxruntime" and network.engine != engine:
        raise NircolorError(
            f"{output}: expected a name that ends in .safetensors, since {trained.architecture} runs in "
            "PyTorch, not in ONNX Runtime"
        )
    if saturation != 1.0:
        _saturate(trained, saturation, checkpoint)
    card = _card(trained, engine, table, checkpoint)
    card = card.model_copy(update={"multiply_adds_per_px": multiply_adds_per_px(network, card)})

    write, halve = _writer(network, card)
    # its extension tells the readers which engine it is for
    unfinished = output.with_name(f".{output.stem}.part{output.suffix}")
    rounding = None
    try:
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
    finally:
        unfinished.unlink(missing_ok=True)
    return Exported(card, rounding)


def _engine_of(output: Path, overwrite: bool) -> EngineName:
    if output.suffix.lower() not in ENGINE_BY_SUFFIX:
        raise NircolorError(f"{output}: expected a name that ends in {' or '.join(ENGINE_BY_SUFFIX)}")
    if not output.parent.is_dir():
        raise NircolorError(f"{output}: expected a folder that is there, got {output.parent}")
    if output.exists() and not overwrite:
        raise NircolorError(f"{output}: exists already; it is replaced only with --overwrite")
    return ENGINE_BY_SUFFIX[output.suffix.lower()]


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


def _saturate(trained: Trained, gain: float, checkpoint: Path) -> None:
    saturate = getattr(trained.network, "saturate", None)
    if saturate is None:
        raise NircolorError(
            f"{checkpoint}: --saturation: expected an architecture whose last layer adds colour to gray, "
            f"got {trained.architecture}"
        )
    saturate(gain)


def _card(trained: Trained, engine: EngineName, scores: tuple[CardScore, ...], checkpoint: Path) -> Card:
    network = trained.network
    where = f"{checkpoint}: its recipe's model.init_args.card"
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
            context=None if network.context_px is None else Context(size_px=network.context_px),
            # both are measured with a card in hand
            bytes_per_px=1.0,
            multiply_adds_per_px=1.0,
            scores=scores,
        )
    except ValidationError as error:
        raise NircolorError(f"{where} does not make a card ({first_fault(error, 'card')})") from error
    except TypeError as error:
        raise NircolorError(f"{where} does not make a card ({error})") from error
    if len(card.bands) != network.bands:
        raise NircolorError(f"{where}: expected the network's {network.bands} bands, got {len(card.bands)}")
    return card


def _writer(network: Network, card: Card) -> tuple[Callable[[Path, Card], None], Callable[[], None]]:
    """What writes the network with a card, and what has it written in half precision from then on."""
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
    """Between the trained network and its file, at its smallest size and at one that was not traced."""
    size = card.size
    differences = []
    for height, width in ((size.fit(1), size.fit(1)), (size.fit(150), size.fit(41))):
        inputs = random_inputs(card, height, width)
        with torch.no_grad():
            expected = network(*map(torch.from_numpy, inputs)).numpy()
        differences.append(np.abs(run_file(path, card, inputs) - expected).max())
    return float(np.max(differences))
