"""Templates of recipes: `write_template` for a new recipe, `placeholders` that were left in one."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from nircolor.errors import NircolorError

TEMPLATES: Final = ("pairs", "pairs-scene", "captures", "captures-camera")
# in a wheel; in the repository they are among the other recipes
_FOLDERS: Final = (Path(__file__).with_name("templates"), Path(__file__).parents[3] / "recipes")
_PLACEHOLDER: Final = "FILL IN"


def write_template(path: str | os.PathLike[str], like: str = "pairs") -> Path:
    """Write a recipe with comments, to be edited and trained.

    Args:
        path: YAML file to write; its name becomes that of the model.
        like: One of `TEMPLATES`.

    Returns:
        The file.

    Raises:
        NircolorError: No such template, or the file exists, cannot be written or has another extension.
    """
    path = Path(path)
    if like not in TEMPLATES:
        raise NircolorError(f"--like: expected one of {', '.join(TEMPLATES)}, got {like!r}")
    if path.suffix.lower() not in (".yaml", ".yml"):
        raise NircolorError(f"{path}: expected a name that ends in .yaml")
    template = next(file for folder in _FOLDERS if (file := folder / f"{like}.yaml").exists())
    name = re.sub(r"[^\w.-]", "-", path.stem)
    text = template.read_text(encoding="utf-8")
    text = re.sub(r"^( *card:\n +name:) .*", rf"\1 {name}", text, count=1, flags=re.MULTILINE)
    try:
        # "x": never replaces a recipe
        with path.open("x", encoding="utf-8") as new:
            new.write(text)
    except FileExistsError:
        raise NircolorError(f"{path}: exists already; choose another name") from None
    except OSError as error:
        raise NircolorError(f"{path}: cannot be written ({error.strerror or error})") from error
    return path


def placeholders(card: Mapping[str, Any]) -> list[str]:
    """List the fields of a recipe's card whose text is still that of a template.

    Examples:
        >>> placeholders({"name": "mine", "licence": {"weights": "FILL IN (who may use the weights)"}})
        ['licence.weights']
    """
    found = []
    for key, value in card.items():
        if isinstance(value, Mapping):
            found += [f"{key}.{inner}" for inner in placeholders(value)]
        elif isinstance(value, str) and _PLACEHOLDER in value:
            found.append(key)
    return found
