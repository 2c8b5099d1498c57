"""Griffe extension: docstrings as mkdocstrings expects them."""

import re
from typing import Any

import griffe


class Docstrings(griffe.Extension):
    """Read the section "Example:" like "Examples:", as code, and "::" before a block of code like ":"."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Change the docstring of one function, class, attribute or module."""
        if obj.docstring is not None:
            text = re.sub(r"(?m)^Example:$", "Examples:", obj.docstring.value)
            obj.docstring.value = re.sub(r"(?m)::$", ":", text)
