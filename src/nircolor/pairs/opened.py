"""A paired set as the command line names it: a folder, two folders, or a YAML that says more."""

import inspect
import warnings
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import TypeAdapter, ValidationError

from nircolor.errors import NircolorError, NircolorWarning, first_line
from nircolor.extras import require
from nircolor.imagery import find_images, open_raster
from nircolor.modelfile import Band, first_fault
from nircolor.pairs.layouts import Folders, MultiBandFiles, Scenes, Vcip
from nircolor.pairs.pair import Pair
from nircolor.pairs.paired_set import PairedSet

_CLASSES = {kind.__name__: kind for kind in (Folders, MultiBandFiles, Vcip, Scenes)}
_FORMS = (
    "a folder in VCIP's layout, a folder of NAME_nir and NAME_rgb images or with nir/ and rgb/ in it, "
    "a folder of multi-band files with wavelengths, two folders as NIR,RGB, or a YAML of sets"
)
_NIR_SUFFIXES = ("", "_nir", "-nir", "_NIR")
_RGB_SUFFIXES = ("", "_rgb", "-rgb", "_RGB", "_rgb_reg", "_vis")
_MASK_SUFFIX = "_mask"

Role = Literal["evaluated", "training"]


class OpenedSet(NamedTuple):
    """Pairs, what they are in words, the NIR bands that their YAML names, and the tables of their places."""

    title: str
    pairs: list[Pair]
    bands: tuple[Band, ...] | None
    tables: frozenset[Path]


def open_set(
    text: str, role: Role, *, split: str | None = None, table: Path | str | None = None
) -> OpenedSet:
    """The pairs that a user names.

    Args:
        text: a folder, two folders with a comma between, or a YAML file: a recipe, or its ``sets`` alone,
            with ``bands`` beside them.
        role: without a ``split``, what is ``evaluated`` is VCIP's validation, or the test split, or all
            where there is none; ``training`` is what is not kept out of training.
        split: the one to take.
        table: of groups and splits, see `PairedSet`; a YAML names its own.

    Raises:
        NircolorError: it is none of these, or there are no such pairs.
    """
    path = Path(text)
    bands: tuple[Band, ...] | None = None
    if path.suffix.lower() in (".yaml", ".yml"):
        if table is not None:
            raise NircolorError(f"{path}: expected the table in the YAML, as `table` of its sets")
        sets, bands = _read_yaml(path, role, split)
    else:
        sets = [_recognised(text, role, split, table)]
    chosen = _chosen([pair for one in sets for pair in one.pairs()], role, split, text)
    kept = split or ("training" if role == "training" else next(iter({p.split for p in chosen}), None))
    title = f"{text}, {len(chosen)} {f'{kept} ' if kept else ''}pair{'s'[: len(chosen) != 1]}"
    return OpenedSet(title, chosen, bands, frozenset(one.table for one in sets if one.table is not None))


def _chosen(pairs: list[Pair], role: Role, split: str | None, text: str) -> list[Pair]:
    splits = {pair.split for pair in pairs}
    if split is not None:
        chosen = [pair for pair in pairs if pair.split == split]
        if not chosen:
            known = ", ".join(sorted(filter(None, splits))) or "none"
            raise NircolorError(f"{text}: expected pairs of the split {split}, got splits: {known}")
        return chosen
    if role == "training":
        wanted: set[str | None] = {"train", "val", None}
    else:
        wanted = {"test"} if "test" in splits else splits
    chosen = [pair for pair in pairs if pair.split in wanted]
    if not chosen:
        raise NircolorError(f"{text}: expected pairs for training, got none that is not kept out of it")
    return chosen


def _vcip_split(role: Role, split: str | None) -> str:
    return split or ("train" if role == "training" else "validation")


def _recognised(text: str, role: Role, split: str | None, table: Path | str | None) -> PairedSet:
    root = Path(text)
    if not root.exists() and text.count(",") == 1:
        nir, rgb = (Path(part) for part in text.split(","))
        return _matched(nir, rgb, None, table)
    if not root.is_dir():
        raise NircolorError(f"{text}: expected {_FORMS}, found nothing there")
    if (root / "NIR").is_dir() and (root / "RGB-Registered").is_dir():
        return _built("Vcip", {"root": root, "split": _vcip_split(role, split), "table": table}, text)
    inside = {path.name.lower(): path for path in root.iterdir() if path.is_dir()}
    if {"nir", "rgb"} <= inside.keys():
        return _matched(inside["nir"], inside["rgb"], inside.get("mask"), table)
    files = find_images(root, recursive=True)
    stems = [path.stem for path in files]
    if any(stem.endswith(_NIR_SUFFIXES[1:]) for stem in stems):
        mask = root if any(stem.endswith(_MASK_SUFFIX) for stem in stems) else None
        return _matched(root, root, mask, table)
    if files:
        with warnings.catch_warnings():
            # reading the pixels says these
            warnings.simplefilter("ignore", NircolorWarning)
            raster = open_raster(files[0])
        with raster:
            if raster.bands > 3 and any(raster.wavelengths_nm):
                return MultiBandFiles(root, table=table)
    raise NircolorError(f"{text}: expected {_FORMS}, got {len(files)} images of another kind")


def _matched(nir: Path, rgb: Path, mask: Path | None, table: Path | str | None) -> Folders:
    """Two folders, with the suffixes that match most names."""
    stems = [
        {path.relative_to(folder).with_suffix("").as_posix() for path in find_images(folder, recursive=True)}
        if folder.is_dir()
        else set()
        for folder in (nir, rgb)
    ]

    def matches(suffixes: tuple[str, str]) -> int:
        names = [
            {stem.removesuffix(suffix) for stem in side if stem.endswith(suffix)}
            for side, suffix in zip(stems, suffixes, strict=True)
        ]
        return len(names[0] & names[1])

    candidates = [
        suffixes
        for suffixes in product(_NIR_SUFFIXES, _RGB_SUFFIXES)
        # of one folder the sides must differ
        if nir != rgb or all(suffixes)
    ]
    nir_suffix, rgb_suffix = max(candidates, key=matches)
    mask_suffix = ""
    if mask is not None and any(
        path.stem.endswith(_MASK_SUFFIX) for path in find_images(mask, recursive=True)
    ):
        mask_suffix = _MASK_SUFFIX
    return Folders(nir, rgb, mask, nir_suffix, rgb_suffix, mask_suffix, table=table)


def _read_yaml(path: Path, role: Role, split: str | None) -> tuple[list[PairedSet], tuple[Band, ...] | None]:
    require("yaml", extra="evaluate", what="a YAML of sets")
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise NircolorError(f"{path}: expected a YAML of sets: {first_line(error)}") from error
    sets = _under(content, "data", "sets") or _under(content, "sets")
    if not isinstance(sets, list) or not sets:
        raise NircolorError(f"{path}: expected sets as in a recipe (docs/training.md), found none")
    bands = _under(content, "model", "init_args", "card", "bands") or _under(content, "bands")
    return [_of_yaml(one, path, role, split) for one in sets], _bands(bands, path)


def _of_yaml(one: Any, path: Path, role: Role, split: str | None) -> PairedSet:
    name = str(_under(one, "class_path")).rpartition(".")[2]
    arguments = _under(one, "init_args") or {}
    if not isinstance(arguments, dict):
        raise NircolorError(f"{path}: {name}: expected init_args as a mapping, got {arguments!r}")
    arguments = dict(arguments)
    if name == "Vcip":
        arguments.setdefault("split", _vcip_split(role, split))
    return _built(name, arguments, str(path))


def _built(name: str, arguments: Mapping[str, Any], where: str) -> PairedSet:
    if name not in _CLASSES:
        raise NircolorError(f"{where}: expected a class_path of {', '.join(_CLASSES)}, got {name}")
    kind = _CLASSES[name]
    try:
        inspect.signature(kind).bind(**arguments)
        return kind(**arguments)
    except (TypeError, ValueError) as error:
        raise NircolorError(f"{where}: {name}: {first_line(error)}") from error


def _bands(bands: Any, path: Path) -> tuple[Band, ...] | None:
    if bands is None:
        return None
    try:
        return TypeAdapter(tuple[Band, ...]).validate_python(bands)
    except ValidationError as error:
        raise NircolorError(
            f"{path}: expected bands as a card has them: {first_fault(error, 'bands')}"
        ) from error


def _under(content: Any, *keys: str) -> Any:
    for key in keys:
        content = content.get(key) if isinstance(content, dict) else None
    return content
