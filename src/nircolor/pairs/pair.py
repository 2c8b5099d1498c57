"""One pair of a set: which files, and how to read them."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Pair:
    """A NIR image and the colour image of the same view, as files; one file may hold both.

    Attributes:
        name: unique within its set, e.g. ``country_0007`` or ``urban/0003``.
        nir: file of the NIR image.
        rgb: file of the colour image.
        mask: file of the valid pixels (255 = valid), or None where all are.
        group: the place that the pair shows; pairs of one group never part in a split. None = a place of
            its own.
        split: what the pair is kept for: ``train``, ``val`` or, out of reach of training, anything else.
            None = not said.
        rgb_nm: wavelengths to pick as red, green and blue from a file of many bands, each within 30 nm.
            None = the file is a colour image of three bands.
        nir_scale: the value in the NIR file that means 1.0. None = by the rule of `imagery.open_raster`.
        rgb_scale: likewise of the colour file.
    """

    name: str
    nir: Path
    rgb: Path
    mask: Path | None = None
    group: str | None = None
    split: str | None = None
    rgb_nm: tuple[float, float, float] | None = None
    nir_scale: float | None = None
    rgb_scale: float | None = None

    @property
    def place(self) -> str:
        """The group, or the name where no group is known."""
        return self.name if self.group is None else self.group


def listed(names: Iterable[str]) -> str:
    """Names for a message, sorted; of many the first, and how many there are."""
    ordered = sorted(names)
    return ", ".join(ordered) if len(ordered) <= 8 else f"{', '.join(ordered[:8])}, … ({len(ordered)} in all)"
