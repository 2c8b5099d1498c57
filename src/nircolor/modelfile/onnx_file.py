"""An .onnx file that carries its card in the metadata under one key."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nircolor.errors import NircolorError, first_line
from nircolor.modelfile.card import Card, card_in


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
    metadata = session.get_modelmeta().custom_metadata_map
    card = card_in(metadata, path, kind="an ONNX file", engine="onnxruntime")
    _check_inputs(session, card, path)
    return session, card


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
