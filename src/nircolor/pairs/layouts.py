"""Paired data sets on disk: `Folders`, `MultiBandFiles`, and the published sets `Vcip` and `Scenes`.

Pairs are matched by name, never by the order in which a folder lists its files, since that order may differ
between the folders.
"""

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple

from nircolor.errors import NircolorError
from nircolor.imagery import find_images
from nircolor.pairs.pair import Pair, listed
from nircolor.pairs.paired_set import PairedSet


class Folders(PairedSet):
    """Folders whose images are matched by name, in any format, subfolders included.

    The name of a pair is the path of its file below the folder, without extension and suffix. For example,
    with ``nir_suffix="_nir"``, ``urban/03_nir.png`` is the NIR image of ``urban/03``, and files that do not
    end in ``_nir`` are ignored. One folder may therefore hold NIR, colour and masks. A suffix may include a
    folder: ``/nir`` for ``urban_03/nir.png``.

    Args:
        nir: Folder of the NIR images.
        rgb: Folder of the colour images.
        mask: Folder of the masks (255 = valid). All pixels of a pair without a mask are valid.
        nir_suffix: End of the names of NIR files, before the extension.
        rgb_suffix: End of the names of colour files.
        mask_suffix: End of the names of masks.
        rgb_nm: Wavelengths of red, green and blue; see `Pair`.
        nir_scale: Value in NIR files that maps to 1.0.
        rgb_scale: Value in colour files that maps to 1.0.
        rgb_white: Reflectance in colour files that maps to 1.0; for files whose metadata states reflectance.
        table: CSV of groups and splits; see `PairedSet`.
        dataset: Rows of the table to use.
        drop_flagged: Leave out flagged pairs.

    Raises:
        NircolorError: Two of NIR, colour and masks have the same folder and suffix, or ``mask_suffix`` is
            given without ``mask``.

    Example:
        >>> pairs = Folders("pairs/nir", "pairs/rgb", nir_suffix="_nir")  # doctest: +SKIP
        >>> pairs.pairs()[0].name  # doctest: +SKIP
        'urban/03'
    """

    def __init__(
        self,
        nir: str | os.PathLike[str],
        rgb: str | os.PathLike[str],
        mask: str | os.PathLike[str] | None = None,
        nir_suffix: str = "",
        rgb_suffix: str = "",
        mask_suffix: str = "",
        rgb_nm: tuple[float, float, float] | None = None,
        nir_scale: float | None = None,
        rgb_scale: float | None = None,
        rgb_white: float | None = None,
        *,
        table: str | os.PathLike[str] | None = None,
        dataset: str | None = None,
        drop_flagged: bool = False,
    ) -> None:
        super().__init__(table, dataset, drop_flagged)
        self._parts = [_Part(Path(nir), nir_suffix), _Part(Path(rgb), rgb_suffix)]
        if mask is not None:
            self._parts.append(_Part(Path(mask), mask_suffix))
        elif mask_suffix:
            raise NircolorError(
                f"mask_suffix {mask_suffix}: expected the folder of the masks in `mask`, got none"
            )
        if len(set(self._parts)) < len(self._parts):
            raise NircolorError(
                f"{nir}: expected different suffixes for NIR, colour and mask files in one folder, "
                "got equal ones"
            )
        self._rgb_nm, self._nir_scale, self._rgb_scale = rgb_nm, nir_scale, rgb_scale
        self._rgb_white = _checked_white(rgb_white)

    def _find_pairs(self) -> list[Pair]:
        nir, rgb, *masks = (_by_name(part, self._parts) for part in self._parts)
        mask = masks[0] if masks else {}
        unmatched = {
            "NIR without colour": nir.keys() - rgb.keys(),
            "colour without NIR": rgb.keys() - nir.keys(),
            "mask without pair": mask.keys() - (nir.keys() & rgb.keys()),
        }
        folders = " and ".join(dict.fromkeys(str(part.folder) for part in self._parts[:2]))
        # files without a partner are probably lost or misnamed
        if any(unmatched.values()):
            found = "; ".join(f"{kind}: {listed(names)}" for kind, names in unmatched.items() if names)
            raise NircolorError(f"{folders}: expected a colour image for each NIR image, got {found}")
        if not nir:
            raise NircolorError(f"{folders}: expected pairs of NIR and colour images, found none")
        return [
            Pair(
                name,
                nir[name],
                rgb[name],
                mask.get(name),
                rgb_nm=self._rgb_nm,
                nir_scale=self._nir_scale,
                rgb_scale=self._rgb_scale,
                rgb_white=self._rgb_white,
            )
            for name in sorted(nir)
        ]


class Vcip(Folders):
    """Data of the VCIP 2020 challenge, in its own layout.

    ``train`` is ``NIR/{name}_nir.png`` with ``RGB-Registered/{name}_rgb_reg.png``; ``validation`` is
    ``Validation/{name}_{nir,rgb_reg}.png``. The validation pairs are used neither for training nor for
    selecting models.

    Args:
        root: Folder of the challenge.
        split: ``"train"`` or ``"validation"``.
        table: CSV of groups and splits; see `PairedSet`.
        dataset: Rows of the table to use.
        drop_flagged: Leave out flagged pairs.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: Literal["train", "validation"] = "train",
        *,
        table: str | os.PathLike[str] | None = None,
        dataset: str | None = "vcip2020",
        drop_flagged: bool = False,
    ) -> None:
        folders = {"train": ("NIR", "RGB-Registered"), "validation": ("Validation", "Validation")}
        if split not in folders:
            raise ValueError(f"split: expected 'train' or 'validation', got {split!r}")
        nir, rgb = (Path(root) / folder for folder in folders[split])
        super().__init__(
            nir,
            rgb,
            nir_suffix="_nir",
            rgb_suffix="_rgb_reg",
            table=table,
            dataset=dataset,
            drop_flagged=drop_flagged,
        )
        self._split = split

    def _find_pairs(self) -> list[Pair]:
        return [replace(pair, split=self._split) for pair in super()._find_pairs()]


class Scenes(Folders):
    """The RGB-NIR Scene data set, ``{scene}/{id}_{nir.png,rgb.jpg,mask.png}``; pairs are named ``scene/id``.

    Args:
        root: Folder of the scenes.
        table: CSV of groups and splits; see `PairedSet`.
        dataset: Rows of the table to use.
        drop_flagged: Leave out flagged pairs.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        table: str | os.PathLike[str] | None = None,
        dataset: str | None = "epfl",
        drop_flagged: bool = False,
    ) -> None:
        super().__init__(
            root,
            root,
            root,
            nir_suffix="_nir",
            rgb_suffix="_rgb",
            mask_suffix="_mask",
            table=table,
            dataset=dataset,
            drop_flagged=drop_flagged,
        )


class MultiBandFiles(PairedSet):
    """Multi-band files that each hold NIR and colour bands, selected by the wavelengths in the metadata.

    The name of a pair is the path of its file below the folder, without extension.

    Args:
        folder: Folder of TIFF or ENVI files, subfolders included.
        rgb_nm: Wavelengths of red, green and blue in nm; see `Pair`.
        nir_scale: Value in the NIR bands that maps to 1.0; 10000 for reflectance × 10000.
        rgb_scale: Value in the colour bands that maps to 1.0.
        rgb_white: Reflectance in the colour bands that maps to 1.0, as ``white_reflectance`` of a card; for
            files whose metadata states reflectance.
        table: CSV of groups and splits; see `PairedSet`.
        dataset: Rows of the table to use.
        drop_flagged: Leave out flagged pairs.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        rgb_nm: tuple[float, float, float] = (665, 560, 490),
        nir_scale: float | None = None,
        rgb_scale: float | None = None,
        rgb_white: float | None = None,
        *,
        table: str | os.PathLike[str] | None = None,
        dataset: str | None = None,
        drop_flagged: bool = False,
    ) -> None:
        super().__init__(table, dataset, drop_flagged)
        self._folder, self._rgb_nm = Path(folder), rgb_nm
        self._nir_scale, self._rgb_scale = nir_scale, rgb_scale
        self._rgb_white = _checked_white(rgb_white)

    def _find_pairs(self) -> list[Pair]:
        files = _by_name(_Part(self._folder, ""), ())
        if not files:
            raise NircolorError(f"{self._folder}: expected multi-band files, found none")
        return [
            Pair(
                name,
                path,
                path,
                rgb_nm=self._rgb_nm,
                nir_scale=self._nir_scale,
                rgb_scale=self._rgb_scale,
                rgb_white=self._rgb_white,
            )
            for name, path in sorted(files.items())
        ]


def _checked_white(reflectance: float | None) -> float | None:
    if reflectance is not None and not 0 < reflectance <= 1:
        raise ValueError(f"rgb_white: expected a reflectance above 0, at most 1, got {reflectance:g}")
    return reflectance


class _Part(NamedTuple):
    """Folder and suffix of the NIR images, the colour images or the masks."""

    folder: Path
    suffix: str


def _by_name(part: _Part, parts: Iterable[_Part]) -> dict[str, Path]:
    """Find the files of one part (NIR, colour or masks) of the pairs, by name of the pair.

    Files with a longer suffix of another of ``parts`` in the same folder are left out: with the suffixes ""
    for NIR and "_rgb" for colour, ``a_rgb.png`` is the colour image of ``a``, not the NIR image of ``a_rgb``.
    """
    if not os.path.isdir(part.folder):  # noqa: PTH112 - `Path.is_dir` raises for names that are too long
        raise NircolorError(f"{part.folder}: expected a folder of images, found none")
    longer = tuple(s.suffix for s in parts if s.folder == part.folder and len(s.suffix) > len(part.suffix))
    found: dict[str, Path] = {}
    for path in find_images(part.folder, recursive=True):
        # the folder may be a product, which is one image
        stem = path.stem if path == part.folder else path.relative_to(part.folder).with_suffix("").as_posix()
        if not stem.endswith(part.suffix) or stem.endswith(longer):
            continue
        name = stem.removesuffix(part.suffix)
        if name in found:
            raise NircolorError(f"{path}: expected one image named {name}, got {found[name].name} too")
        found[name] = path
    return found
