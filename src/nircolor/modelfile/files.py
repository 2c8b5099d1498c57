"""Model files: ``.onnx`` for ONNX Runtime and ``.safetensors`` for PyTorch, with the card in the metadata."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nircolor.errors import NircolorError, first_line
from nircolor.extras import require
from nircolor.modelfile.card import CARD_KEY, Card, EngineName, card_in
from nircolor.modelfile.onnx_scan import external_tensor

_NOT_LOADED = "expected an ONNX model file, got one that cannot be loaded"
# the highest level of onnxruntime's log
_FATAL = 4
ENGINE_BY_SUFFIX: dict[str, EngineName] = {".onnx": "onnxruntime", ".safetensors": "torch"}


def is_model_file(path: str | os.PathLike[str]) -> bool:
    """Whether a file name has the extension of a model file.

    Examples:
        >>> is_model_file("scene.onnx"), is_model_file("scene.png")
        (True, False)
    """
    return Path(path).suffix.lower() in ENGINE_BY_SUFFIX


def engine_for(path: str | os.PathLike[str]) -> EngineName:
    """Return the engine that runs a model file; files with another extension are opened as ONNX."""
    return ENGINE_BY_SUFFIX.get(Path(path).suffix.lower(), "onnxruntime")


def read_card(path: str | os.PathLike[str]) -> Card:
    """Read the card of a model file, without its weights where possible.

    Raises:
        NircolorError: The file is missing, damaged or not a nircolor model; or it is a ``.safetensors`` file
            and safetensors is not installed.

    Examples:
        >>> from nircolor.weights import find_model
        >>> card = read_card(find_model("scene"))
        >>> card.name, [band.center_nm for band in card.bands]
        ('scene', [850.0])
    """
    if engine_for(path) == "torch":
        return read_safetensors(path, weights=False)[1]
    return open_session(path, optimize=False)[1]


def open_session(
    path: str | os.PathLike[str],
    *,
    providers: Sequence[str] = ("CPUExecutionProvider",),
    threads: int = 0,
    optimize: bool = True,
) -> tuple[Any, Card]:
    """Open an ``.onnx`` model file in ONNX Runtime.

    Args:
        path: Model file.
        providers: ONNX Runtime's execution providers, in order of preference.
        threads: Threads of one call on the CPU; 0 for one per core.
        optimize: Optimize the graph for running; not worth the time to read the card.

    Returns:
        An ``onnxruntime.InferenceSession`` and the card.

    Raises:
        NircolorError: The file is missing, damaged, or not a nircolor model.
    """
    import onnxruntime as ort

    path = Path(path)
    if not path.is_file():
        raise NircolorError(f"{path}: no such model file")
    _check_onnx(path)
    # errors are raised as well; its own lines on standard error are not for users
    ort.set_default_logger_severity(_FATAL)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = _FATAL
    # planning all tensors into one block takes up to half as much memory again, and saves no time
    options.enable_mem_pattern = False
    if not optimize:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    # with a single provider there is none to fall back to, and onnxruntime would print that it tries
    fallback = int(len(providers) > 1)
    try:
        session = ort.InferenceSession(
            str(path), options, providers=list(providers), enable_fallback=fallback
        )
        # fails where a text is not UTF-8
        metadata = session.get_modelmeta().custom_metadata_map
    # onnxruntime's exceptions have no common base class other than Exception
    except Exception as error:
        raise NircolorError(f"{path}: {_NOT_LOADED} ({onnx_reason(error)})") from error
    card = card_in(metadata, path, kind="an ONNX file", engine="onnxruntime")
    _check_inputs(session, card, path)
    return session, card


def _check_onnx(path: Path) -> None:
    """Refuse files that are not ONNX, and models whose weights are in other files."""
    try:
        external = external_tensor(path.read_bytes())
    except (OSError, ValueError) as error:
        raise NircolorError(f"{path}: {_NOT_LOADED} ({getattr(error, 'strerror', None) or error})") from error
    if external is not None:
        raise NircolorError(f"{path}: expected all weights inside the file, got {external} in another")


def onnx_reason(error: BaseException) -> str:
    """Return the message of an error of onnxruntime without its codes and places in its source."""
    text = re.sub(r"\[ONNXRuntimeError\] : \d+ : \w+ : |Load model from .*? failed: ?", "", first_line(error))
    text = re.sub(r"Exception during initialization: |Status Message: ", "", text)
    return re.sub(r"\S+\.(?:cc|h|cpp):\d+ (?:.*\) )?", "", text).strip()[:300] or type(error).__name__


def read_safetensors(
    path: str | os.PathLike[str], *, weights: bool = True
) -> tuple[dict[str, NDArray[Any]], Card]:
    """Read a ``.safetensors`` model file.

    Args:
        path: Model file.
        weights: False to read the card only.

    Returns:
        The weights by name, in the precision of the file (empty without ``weights``), and the card.

    Raises:
        NircolorError: The file is missing, damaged, or not a nircolor model; or safetensors is not installed.
    """
    path = Path(path)
    require("safetensors", extra="train", what=f"{path}: a .safetensors model")
    from safetensors import safe_open

    if not path.is_file():
        raise NircolorError(f"{path}: no such model file")
    try:
        with safe_open(str(path), framework="numpy") as file:
            card = card_in(file.metadata() or {}, path, kind="a safetensors file", engine="torch")
            names = file.keys() if weights else []
            tensors = {name: file.get_tensor(name) for name in names}
        for name, tensor in tensors.items():
            # whether numpy reads types such as bfloat16 depends on the other packages imported
            if tensor.dtype.kind not in "biuf":
                raise TypeError(f"{name} is {tensor.dtype}")
        return tensors, card
    except NircolorError:
        raise
    # safetensors raises its own exceptions, the system others, and missing NumPy types yet others
    except Exception as error:
        raise NircolorError(
            f"{path}: expected a safetensors model file, got one that cannot be loaded ({first_line(error)})"
        ) from error


def write_safetensors(tensors: Mapping[str, NDArray[Any]], path: str | os.PathLike[str], card: Card) -> None:
    """Write weights and a card as a ``.safetensors`` file, replacing ``path``.

    Raises:
        OSError: The file cannot be written.
    """
    from safetensors.numpy import save

    # safetensors writes the memory as it is and ignores strides
    dense = {name: np.array(tensor, order="C") for name, tensor in tensors.items()}
    Path(path).write_bytes(save(dense, {CARD_KEY: card.model_dump_json()}))


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
            f"{path}: expected a network with float inputs {expected} (name: channels), as in its card, "
            f"got {got}"
        )
