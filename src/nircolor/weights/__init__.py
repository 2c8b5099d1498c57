"""Shipped model files, and the path of a model by its name."""

import difflib
import os
from pathlib import Path

from nircolor.errors import NircolorError

_FOLDER = Path(__file__).parent


def shipped_models() -> dict[str, Path]:
    """List the shipped models: name and path of each ``.onnx`` file.

    Examples:
        >>> sorted(shipped_models())
        ['satellite', 'satellite-1band', 'scene']
    """
    return {path.stem: path for path in sorted(_FOLDER.glob("*.onnx"))}


def find_weights(name_or_path: str | os.PathLike[str]) -> Path:
    """Return the file of a shipped model for PyTorch, or the given path of a model file.

    It is the ``.safetensors`` file of the model where that ships as well, since an ``.onnx`` file lacks the
    statistics of batch normalization.

    Raises:
        NircolorError: As `find_model`.
    """
    path = find_model(name_or_path)
    weights = path.with_suffix(".safetensors")
    return weights if str(name_or_path) in shipped_models() and weights.is_file() else path


def find_model(name_or_path: str | os.PathLike[str]) -> Path:
    """Return the path of a shipped model, or the given path of a model file.

    Raises:
        NircolorError: No shipped model has this name; the message lists those there are, or names the one
            that is most likely meant.

    Examples:
        >>> find_model("scene").name
        'scene.onnx'
    """
    path = Path(name_or_path)
    shipped = shipped_models()
    if str(name_or_path) in shipped:
        return shipped[str(name_or_path)]
    if path.is_file():
        return path
    near = similar_model(str(name_or_path))
    if path.suffix:
        if near is not None:
            raise NircolorError(f"{path}: no such model file; did you mean {near}?")
        # the caller reports a missing file
        return path
    names = ", ".join(shipped) or "none (damaged install)"
    advice = (
        "`nircolor models` describes them, and `nircolor info FILE` shows which one fits an image"
        if near is None
        else f"did you mean {near}?"
    )
    raise NircolorError(
        f"{name_or_path}: expected the path of a model file or a model that ships: {names}; {advice}"
    )


def similar_model(name: str) -> str | None:
    """Return the shipped model whose name is most similar to a name, None where none is.

    Examples:
        >>> similar_model("Satelite"), similar_model("scene.onnx"), similar_model("scene.png")
        ('satellite', 'scene', None)
    """
    path = Path(name.lower())
    if str(path) != path.name or path.suffix not in ("", ".onnx", ".safetensors"):
        return None
    return next(iter(difflib.get_close_matches(path.stem, shipped_models(), n=1)), None)
