"""An .onnx file that carries its card in the metadata under one key."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from nircolor.errors import NircolorError, first_line
from nircolor.modelfile.card import Card

CARD_KEY = "nircolor.card"


def open_session(
    path: Path,
    *,
    providers: Sequence[str] = ("CPUExecutionProvider",),
    threads: int = 0,
    optimize: bool = True,
) -> tuple[Any, Card]:
    """Open a model file: an ``onnxruntime.InferenceSession`` and the card.

    Args:
        path: of the model file.
        providers: ONNX Runtime's execution providers, best first.
        threads: of one call on the CPU; 0 for one per core.
        optimize: prepare the network for running; not worth the time for a look at its card.

    Raises:
        NircolorError: the file is missing, damaged, or not a nircolor model.
    """
    import onnxruntime as ort

    if not path.is_file():
        raise NircolorError(f"{path}: no such model file")
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    # only what the user can act on
    options.log_severity_level = 3
    # planning all tensors into one piece of memory takes up to half as much again, and saves no time
    options.enable_mem_pattern = False
    if not optimize:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = ort.InferenceSession(str(path), options, providers=list(providers))
    # onnxruntime's own exceptions share no base class of their own but Exception
    except Exception as error:
        raise NircolorError(
            f"{path}: expected an ONNX model file, got one that cannot be loaded ({first_line(error)})"
        ) from error
    text = session.get_modelmeta().custom_metadata_map.get(CARD_KEY)
    if text is None:
        raise NircolorError(f"{path}: expected a nircolor model file, got an ONNX file without a card")
    card = _parse(text, path)
    _check_inputs(session, card, path)
    return session, card


def read_card(path: Path) -> Card:
    """Read only the card. Raises NircolorError like `open_session`."""
    return open_session(path, optimize=False)[1]


def _parse(text: str, path: Path) -> Card:
    try:
        return Card.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "card"
        raise NircolorError(f"{path}: the model's card is not valid at {where}: {first['msg']}") from error


def _check_inputs(session: Any, card: Card, path: Path) -> None:
    expected = {"nir": len(card.bands)}
    if card.context is not None:
        expected["context"] = len(card.bands) + 4
    got = {
        i.name: i.shape[1] if len(i.shape) == 4 and i.type == "tensor(float)" else f"{i.type} {i.shape}"
        for i in session.get_inputs()
    }
    if got != expected:
        raise NircolorError(
            f"{path}: the card promises float inputs {expected} (name: channels), the network has {got}"
        )
