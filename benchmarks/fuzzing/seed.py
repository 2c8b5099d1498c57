"""`Seed`: a small valid input, from which mutations start."""

from dataclasses import dataclass
from typing import Literal

Target = Literal["image", "model", "recipe", "set", "capture", "manifest"]


@dataclass(frozen=True)
class Seed:
    """A valid input.

    Attributes:
        kind: Row of the report.
        name: Name among the seeds.
        target: What is run on it.
        entry: File or folder that is opened, below the folder of the case; "." for the folder.
        files: Content of each file.
    """

    kind: str
    name: str
    target: Target
    entry: str
    files: dict[str, bytes]
