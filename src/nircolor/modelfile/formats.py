"""The formats that model files have, told apart by suffix, and the card in any of them."""

from pathlib import Path

from nircolor.modelfile.card import Card, EngineName
from nircolor.modelfile.onnx_file import open_session
from nircolor.modelfile.safetensors_file import read_safetensors

ENGINE_BY_SUFFIX: dict[str, EngineName] = {".onnx": "onnxruntime", ".safetensors": "torch"}


def is_model_file(path: Path) -> bool:
    """Whether a file's name is that of a model."""
    return path.suffix.lower() in ENGINE_BY_SUFFIX


def engine_for(path: Path) -> EngineName:
    """What runs a model file; a name that does not say it is taken for ONNX."""
    return ENGINE_BY_SUFFIX.get(path.suffix.lower(), "onnxruntime")


def read_card(path: Path) -> Card:
    """Read only the card. Raises NircolorError like `open_session` and `read_safetensors`."""
    if engine_for(path) == "torch":
        return read_safetensors(path, weights=False)[1]
    return open_session(path, optimize=False)[1]
