"""Paired sets on disk: which NIR image belongs to which colour image.

Pairs are matched by name, never by the order in which a folder lists its files: published outputs of
peers carry permuted names because of that, and score 10 dB less than they should.
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple

from nircolor.errors import NircolorError
from nircolor.imagery import find_images
from nircolor.pairs.pair import Pair, listed
from nircolor.pairs.paired_set import PairedSet


class Folders(PairedSet):
    """Any folders whose images are matched by name, of any format and with all their subfolders.

    A pair's name is the file's path below its folder without extension and suffix: with the
    ``nir_suffix`` ``_nir``, ``urban/03_nir.png`` is the NIR image of ``urban/03``, and a file that
    ends otherwise is none. So one folder may hold several sides. A suffix may reach over a folder:
    ``/nir`` for ``urban_03/nir.png``.

    Args:
        nir: folder of the NIR images.
        rgb: folder of the colour images.
        mask: folder of the masks (255 = valid). A pair without a mask is all valid.
        nir_suffix: what follows the name in NIR files, before the extension.
        rgb_suffix: likewise in colour files.
        mask_suffix: likewise in masks.
        rgb_nm: see `Pair`, as for the scales.
        nir_scale: what means 1.0 in NIR files.
        rgb_scale: what means 1.0 in colour files.
        table: see `PairedSet`, as for the rest.
        dataset: the rows of the table to use.
        drop_flagged: leave out flagged pairs.

    Raises:
        NircolorError: two sides are one folder with one suffix, or the folder of the masks is not said.
    """

    def __init__(
        self,
        nir: Path | str,
        rgb: Path | str,
        mask: Path | str | None = None,
        nir_suffix: str = "",
        rgb_suffix: str = "",
        mask_suffix: str = "",
        rgb_nm: tuple[float, float, float] | None = None,
        nir_scale: float | None = None,
        rgb_scale: float | None = None,
        *,
        table: Path | str | None = None,
        dataset: str | None = None,
        drop_flagged: bool = False,
    ) -> None:
        super().__init__(table, dataset, drop_flagged)
        self._sides = [_Side(Path(nir), nir_suffix), _Side(Path(rgb), rgb_suffix)]
        if mask is not None:
            self._sides.append(_Side(Path(mask), mask_suffix))
        elif mask_suffix:
            raise NircolorError(f"mask_suffix {mask_suffix}: expected the folder of the masks too, got none")
        if len(set(self._sides)) < len(self._sides):
            raise NircolorError(f"{nir}: expected suffixes that tell the sides apart, got one for two sides")
        self._rgb_nm, self._nir_scale, self._rgb_scale = rgb_nm, nir_scale, rgb_scale

    def _found(self) -> list[Pair]:
        nir, rgb, *masks = (_by_name(side, self._sides) for side in self._sides)
        mask = masks[0] if masks else {}
        leftovers = {
            "NIR without colour": nir.keys() - rgb.keys(),
            "colour without NIR": rgb.keys() - nir.keys(),
            "mask without pair": mask.keys() - (nir.keys() & rgb.keys()),
        }
        folders = " and ".join(dict.fromkeys(str(side.folder) for side in self._sides[:2]))
        # a leftover hints at files lost or misnamed
        if any(leftovers.values()):
            found = "; ".join(f"{what}: {listed(names)}" for what, names in leftovers.items() if names)
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
            )
            for name in sorted(nir)
        ]


class Vcip(Folders):
    """The VCIP 2020 challenge in its own layout.

    ``train`` is ``NIR/{name}_nir.png`` with ``RGB-Registered/{name}_rgb_reg.png``; ``validation`` is
    ``Validation/{name}_{nir,rgb_reg}.png``, whose pairs are never trained on nor chosen by.

    Args:
        root: folder of the challenge.
        split: which of the two.
        table: see `PairedSet`, as for the rest.
        dataset: the rows of the table to use.
        drop_flagged: leave out flagged pairs.
    """

    def __init__(
        self,
        root: Path | str,
        split: Literal["train", "validation"] = "train",
        *,
        table: Path | str | None = None,
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

    def _found(self) -> list[Pair]:
        return [replace(pair, split=self._split) for pair in super()._found()]


class Scenes(Folders):
    """The RGB-NIR Scene set, ``{scene}/{id}_{nir.png,rgb.jpg,mask.png}``; pairs are named ``scene/id``.

    Args:
        root: folder of the scenes.
        table: see `PairedSet`, as for the rest.
        dataset: the rows of the table to use.
        drop_flagged: leave out flagged pairs.
    """

    def __init__(
        self,
        root: Path | str,
        *,
        table: Path | str | None = None,
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
    """Files of many bands that each hold NIR and colour, picked by the wavelengths that the files state.

    A pair's name is the file's path below the folder, without extension.

    Args:
        folder: folder of the TIFF or ENVI files, with all its subfolders.
        rgb_nm: see `Pair`, as for the scales.
        nir_scale: the value that means 1.0 in the NIR bands: 10000 for reflectance × 10000.
        rgb_scale: the value that means 1.0 in the colour bands.
        table: see `PairedSet`, as for the rest.
        dataset: the rows of the table to use.
        drop_flagged: leave out flagged pairs.
    """

    def __init__(
        self,
        folder: Path | str,
        rgb_nm: tuple[float, float, float] = (665, 560, 490),
        nir_scale: float | None = None,
        rgb_scale: float | None = None,
        *,
        table: Path | str | None = None,
        dataset: str | None = None,
        drop_flagged: bool = False,
    ) -> None:
        super().__init__(table, dataset, drop_flagged)
        self._folder, self._rgb_nm = Path(folder), rgb_nm
        self._nir_scale, self._rgb_scale = nir_scale, rgb_scale

    def _found(self) -> list[Pair]:
        files = _by_name(_Side(self._folder, ""), ())
        if not files:
            raise NircolorError(f"{self._folder}: expected files of NIR and colour bands, found none")
        return [
            Pair(
                name,
                path,
                path,
                rgb_nm=self._rgb_nm,
                nir_scale=self._nir_scale,
                rgb_scale=self._rgb_scale,
            )
            for name, path in sorted(files.items())
        ]


class _Side(NamedTuple):
    folder: Path
    suffix: str


def _by_name(side: _Side, sides: Iterable[_Side]) -> dict[str, Path]:
    """The files of one side; ``sides``, all of them: `a_rgb.png` is not the NIR image `a_rgb`."""
    if not side.folder.is_dir():
        raise NircolorError(f"{side.folder}: expected a folder of images, found none")
    longer = tuple(s.suffix for s in sides if s.folder == side.folder and len(s.suffix) > len(side.suffix))
    found: dict[str, Path] = {}
    for path in find_images(side.folder, recursive=True):
        stem = path.relative_to(side.folder).with_suffix("").as_posix()
        if not stem.endswith(side.suffix) or stem.endswith(longer):
            continue
        name = stem.removesuffix(side.suffix)
        if name in found:
            raise NircolorError(f"{path}: expected one image named {name}, got {found[name].name} too")
        found[name] = path
    return found
