"""Paired sets on disk: which NIR picture belongs to which colour picture.

Pairs are matched by name, never by the order in which a folder lists its files: published outputs of
peers carry permuted names because of that, and score 10 dB less than they should.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nircolor.errors import NircolorError


@dataclass(frozen=True)
class Pair:
    """A NIR picture and the colour picture of the same view, as files.

    Attributes:
        name: unique within its set, e.g. ``country_0007`` or ``urban/0003``.
        nir: file of the NIR picture.
        rgb: file of the colour picture.
        mask: file of the valid pixels (255 = valid), or None where all are.
        group: the place that the pair shows; pairs of one group never part in a split. None = unknown.
    """

    name: str
    nir: Path
    rgb: Path
    mask: Path | None = None
    group: str | None = None


def vcip_pairs(root: Path | str, split: Literal["train", "validation"] = "train") -> list[Pair]:
    """Pairs of the VCIP 2020 challenge in its own layout, sorted by name.

    ``train`` is ``NIR/{name}_nir.png`` with ``RGB-Registered/{name}_rgb_reg.png``, ``validation`` is
    ``Validation/{name}_{nir,rgb_reg}.png``.

    Raises:
        NircolorError: a folder is missing or empty, or a picture has no partner.
    """
    root = Path(root)
    folders = {"train": ("NIR", "RGB-Registered"), "validation": ("Validation", "Validation")}
    if split not in folders:
        raise ValueError(f"split: expected 'train' or 'validation', got {split!r}")
    nir_folder, rgb_folder = (root / folder for folder in folders[split])
    return _match(_by_name(nir_folder, "_nir.png"), _by_name(rgb_folder, "_rgb_reg.png"), {}, root)


def scene_pairs(root: Path | str) -> list[Pair]:
    """Pairs of the RGB-NIR Scene set, ``{scene}/{id}_{nir.png,rgb.jpg,mask.png}``, named ``scene/id``.

    Raises:
        NircolorError: the folder is missing or holds no pairs, or a picture or mask has no partner.
    """
    root = Path(root)
    sides: list[dict[str, Path]] = [{}, {}, {}]
    for scene in _listing(root):
        if scene.is_dir():
            for side, suffix in zip(sides, ("_nir.png", "_rgb.jpg", "_mask.png"), strict=True):
                side |= {f"{scene.name}/{id_}": path for id_, path in _by_name(scene, suffix).items()}
    nir, rgb, masks = sides
    return _match(nir, rgb, masks, root)


def _match(nir: dict[str, Path], rgb: dict[str, Path], masks: dict[str, Path], root: Path) -> list[Pair]:
    """Join the sides by name; anything left over is an error, since it hints at files lost or misnamed."""
    leftovers = {
        "NIR without colour": nir.keys() - rgb.keys(),
        "colour without NIR": rgb.keys() - nir.keys(),
        "mask without pair": masks.keys() - (nir.keys() & rgb.keys()),
    }
    if any(leftovers.values()):
        found = "; ".join(f"{what}: {', '.join(sorted(names))}" for what, names in leftovers.items() if names)
        raise NircolorError(f"{root}: expected a colour picture for each NIR picture, got {found}")
    if not nir:
        raise NircolorError(f"{root}: expected pairs of NIR and colour pictures, found none")
    return [Pair(name, nir[name], rgb[name], masks.get(name)) for name in sorted(nir)]


def _by_name(folder: Path, suffix: str) -> dict[str, Path]:
    return {path.name.removesuffix(suffix): path for path in _listing(folder) if path.name.endswith(suffix)}


def _listing(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise NircolorError(f"{folder}: expected a folder of pictures, found none")
    # macOS leaves `._name.png` beside each file that it copies to a foreign disk
    return [path for path in folder.iterdir() if not path.name.startswith(".")]
