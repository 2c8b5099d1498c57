"""A .safetensors file: a network's weights, and its card in the metadata under one key."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nircolor.errors import NircolorError, first_line
from nircolor.extras import require
from nircolor.modelfile.card import CARD_KEY, Card, card_in

Tensors = dict[str, NDArray[Any]]


def read_safetensors(path: Path, *, weights: bool = True) -> tuple[Tensors, Card]:
    """The weights by name, as they are stored, and the card.

    Args:
        path: of the model file.
        weights: False for a look at the card; no weights come back then.

    Raises:
        NircolorError: the file is missing, damaged, or not a nircolor model; or safetensors is not installed.
    """
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
            # which others numpy reads depends on what else has been imported
            if tensor.dtype.kind not in "biuf":
                raise TypeError(f"{name} is {tensor.dtype}")
        return tensors, card
    except NircolorError:
        raise
    # safetensors has an exception of its own for damage, the system others, and numbers that numpy lacks more
    except Exception as error:
        raise NircolorError(
            f"{path}: expected a safetensors model file, got one that cannot be loaded ({first_line(error)})"
        ) from error


def write_safetensors(tensors: Mapping[str, NDArray[Any]], path: Path, card: Card) -> None:
    """Write weights and card; ``path`` is replaced. Raises OSError where the system refuses."""
    from safetensors.numpy import save

    # memory is written as it lies, strides unseen
    dense = {name: np.array(tensor, order="C") for name, tensor in tensors.items()}
    path.write_bytes(save(dense, {CARD_KEY: card.model_dump_json()}))
