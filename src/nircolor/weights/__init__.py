"""The model files that ship, and how a model's name becomes a path."""

import os
from pathlib import Path

from nircolor.errors import NircolorError

_FOLDER = Path(__file__).parent


def shipped_models() -> dict[str, Path]:
    """Name and path of each model file in the package."""
    return {path.stem: path for path in sorted(_FOLDER.glob("*.onnx"))}


def find_model(name_or_path: str | os.PathLike[str]) -> Path:
    """The file of a model that ships, by name, or the given path.

    Raises:
        NircolorError: neither; the message lists what ships.
    """
    path = Path(name_or_path)
    shipped = shipped_models()
    if str(name_or_path) in shipped:
        return shipped[str(name_or_path)]
    if path.suffix or path.is_file():
        return path
    names = ", ".join(shipped) or "none (damaged install)"
    raise NircolorError(f"{name_or_path}: expected the path of a model file or a model that ships: {names}")
