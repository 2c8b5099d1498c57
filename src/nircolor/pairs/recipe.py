"""Read recipes: YAML files that may extend another one."""

import os
from pathlib import Path
from typing import Any

from nircolor.errors import NircolorError, first_line
from nircolor.extras import require

_BASE = "base"


def read_recipe(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a recipe and merge it with its base.

    The optional key ``base`` is the path of another recipe, relative to the file. Mappings are merged key by
    key; any other value of the recipe, lists included, replaces that of the base. A base may itself have a
    base.

    Args:
        path: YAML file.

    Returns:
        The merged content, without ``base``.

    Raises:
        NircolorError: The file or a base cannot be read or is not a mapping, or a recipe is its own base.
    """
    return _read(Path(path), ())


def _read(path: Path, extending: tuple[Path, ...]) -> dict[str, Any]:
    require("yaml", extra="evaluate", what="a YAML of data sets")
    import yaml

    # `Path.resolve` raises different exceptions for a loop of links
    real = Path(os.path.realpath(path))
    if real in extending:
        raise NircolorError(f"{path}: expected another recipe as its base, got itself")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    # RecursionError: thousands of brackets
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        where = f"{extending[-1]}: base {path}" if extending else str(path)
        raise NircolorError(f"{where}: expected a YAML file: {first_line(error)}") from error
    if not isinstance(content, dict):
        raise NircolorError(f"{path}: expected a mapping with `data` or `sets`, got {type(content).__name__}")
    base = content.pop(_BASE, None)
    if base is None:
        return content
    if not isinstance(base, str):
        raise NircolorError(f"{path}: base: expected the path of a recipe, got {base!r}")
    return _merge(_read(path.parent / base, (*extending, real)), content)


def _merge(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged
