"""`open_set`: find the pairs of a folder, of two folders, or of a YAML file such as a recipe."""

import inspect
import os
import warnings
from collections import Counter
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import TypeAdapter, ValidationError

from nircolor.errors import NircolorError, NircolorWarning, first_line
from nircolor.imagery import find_images, open_raster
from nircolor.modelfile import Band, first_fault
from nircolor.pairs.layouts import Folders, MultiBandFiles, Scenes, Vcip
from nircolor.pairs.pair import Bands, Pair
from nircolor.pairs.paired_set import PairedSet
from nircolor.pairs.recipe import read_recipe
from nircolor.texts import count_of

_CLASSES = {kind.__name__: kind for kind in (Folders, MultiBandFiles, Vcip, Scenes)}
_FORMS = (
    "a folder in VCIP's layout, a folder of NAME_nir and NAME_rgb images or with nir/ and rgb/ in it, "
    "a folder of multi-band files with wavelengths, two folders as NIR,RGB, or a YAML of sets"
)
_NIR_SUFFIXES = ("", "_nir", "-nir", "_NIR")
_RGB_SUFFIXES = ("", "_rgb", "-rgb", "_RGB", "_rgb_reg", "_vis")
_MASK_SUFFIX = "_mask"

# purpose for which a set is opened; decides which splits are used
Role = Literal["evaluated", "training"]

# path of a folder or YAML file, "NIR_FOLDER,RGB_FOLDER", or a set
SetSource = str | os.PathLike[str] | PairedSet


class OpenedSet(NamedTuple):
    """Pairs of a set.

    Attributes:
        title: Path of the set, number of pairs and their splits, for messages and reports.
        pairs: The pairs.
        bands: NIR bands that the YAML names, if any.
        tables: Tables from which the groups of the pairs come.
    """

    title: str
    pairs: list[Pair]
    bands: Bands
    tables: frozenset[Path]


def open_set(
    source: SetSource,
    role: Role = "evaluated",
    *,
    split: str | None = None,
    table: str | os.PathLike[str] | None = None,
) -> OpenedSet:
    """Find the pairs of a data set.

    Without ``split``, the role determines the pairs. ``"evaluated"``: the pairs of the split ``test`` if
    there is one (``validation`` in VCIP's layout), else all pairs, provided that they do not mix ``train`` or
    ``val`` with another split. ``"training"``: the pairs of ``train``, ``val`` or no split.

    Args:
        source: Folder, two folders as ``"NIR,RGB"``, a YAML file (a recipe, or its ``sets`` alone, with
            ``bands`` beside them), or a `PairedSet`.
        role: ``"evaluated"`` or ``"training"``.
        split: Split to use.
        table: CSV of groups and splits, see `PairedSet`. A YAML file names its own.

    Returns:
        The pairs, with a title that states their split.

    Raises:
        NircolorError: The source is none of these, there are no such pairs, or a split must be chosen.
    """
    text = type(source).__name__ if isinstance(source, PairedSet) else os.fspath(source)
    bands: Bands = None
    sets: list[PairedSet]
    if isinstance(source, PairedSet):
        if table is not None:
            raise NircolorError(f"{text}: expected the table as an argument of the set, got {table}")
        sets = [source]
    elif Path(text).suffix.lower() in (".yaml", ".yml"):
        if table is not None:
            raise NircolorError(
                f"{text}: expected the table in the YAML, as `table` of its sets, got {table}"
            )
        sets, bands = _read_yaml(Path(text), role, split)
    else:
        sets = [_recognize(text, role, split, table)]
    pairs = _select([pair for one in sets for pair in one.pairs()], role, split, text)
    splits = "training" if role == "training" and split is None else " and ".join(_split_names(pairs))
    title = f"{text}, {count_of(len(pairs), f'{splits} pair')}".replace("  ", " ")
    return OpenedSet(title, pairs, bands, frozenset(one.table for one in sets if one.table is not None))


def _split_names(pairs: list[Pair]) -> list[str]:
    """Return the splits of pairs, sorted; nothing if no pair has a split."""
    splits = {pair.split for pair in pairs}
    named = sorted(filter(None, splits))
    return [*named, "unassigned"] if named and None in splits else named


def _select(pairs: list[Pair], role: Role, split: str | None, text: str) -> list[Pair]:
    splits = {pair.split for pair in pairs}
    if split is not None:
        selected = [pair for pair in pairs if pair.split == split]
        if not selected:
            known = ", ".join(_split_names(pairs)) or "none"
            raise NircolorError(f"{text}: expected pairs of the split {split}, got splits: {known}")
        return selected
    if role == "evaluated" and "test" not in splits:
        if len(splits) > 1 and splits & {"train", "val"}:
            counts = Counter(pair.split or "unassigned" for pair in pairs)
            got = ", ".join(f"{name} ({counts[name]} pairs)" for name in _split_names(pairs))
            raise NircolorError(f"{text}: expected pairs of one split, got {got}; choose one with --split")
        return pairs
    wanted: set[str | None] = {"test"} if role == "evaluated" else {"train", "val", None}
    selected = [pair for pair in pairs if pair.split in wanted]
    if not selected:
        got = ", ".join(_split_names(pairs))
        raise NircolorError(f"{text}: expected pairs of the split train or val, or of none, got only {got}")
    return selected


def _vcip_split(role: Role, split: str | None) -> str:
    # any other split is one of the table's
    return split if split in ("train", "validation") else "train" if role == "training" else "validation"


def _recognize(text: str, role: Role, split: str | None, table: str | os.PathLike[str] | None) -> PairedSet:
    root = Path(text)
    if not root.exists() and text.count(",") == 1:
        nir, rgb = (Path(part) for part in text.split(","))
        return match_folders(nir, rgb, None, table)
    if not root.is_dir():
        raise NircolorError(f"{text}: expected {_FORMS}, found nothing there")
    if (root / "NIR").is_dir() and (root / "RGB-Registered").is_dir():
        return _build_set("Vcip", {"root": root, "split": _vcip_split(role, split), "table": table}, text)
    inside = {path.name.lower(): path for path in root.iterdir() if path.is_dir()}
    if {"nir", "rgb"} <= inside.keys():
        return match_folders(inside["nir"], inside["rgb"], inside.get("mask"), table)
    files = find_images(root, recursive=True)
    stems = [path.stem for path in files]
    if any(stem.endswith(_NIR_SUFFIXES[1:]) for stem in stems):
        mask = root if any(stem.endswith(_MASK_SUFFIX) for stem in stems) else None
        return match_folders(root, root, mask, table)
    if files:
        with warnings.catch_warnings():
            # reading the pixels gives the same warnings
            warnings.simplefilter("ignore", NircolorWarning)
            raster = open_raster(files[0])
        with raster:
            if raster.bands > 3 and any(raster.wavelengths_nm):
                return MultiBandFiles(root, table=table)
    raise NircolorError(f"{text}: expected {_FORMS}, got {len(files)} images of another kind")


def match_folders(nir: Path, rgb: Path, mask: Path | None, table: str | os.PathLike[str] | None) -> Folders:
    """Match two folders by name, with the suffixes that give the most pairs."""
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
        # NIR and colour in one folder both need a suffix
        if nir != rgb or all(suffixes)
    ]
    nir_suffix, rgb_suffix = max(candidates, key=matches)
    mask_suffix = ""
    if mask is not None and any(
        path.stem.endswith(_MASK_SUFFIX) for path in find_images(mask, recursive=True)
    ):
        mask_suffix = _MASK_SUFFIX
    return Folders(nir, rgb, mask, nir_suffix, rgb_suffix, mask_suffix, table=table)


def _read_yaml(path: Path, role: Role, split: str | None) -> tuple[list[PairedSet], Bands]:
    content = read_recipe(path)
    sets = _nested(content, "data", "sets") or _nested(content, "sets")
    if not isinstance(sets, list) or not sets:
        raise NircolorError(f"{path}: expected sets as in a recipe (docs/training.md), found none")
    bands = _nested(content, "model", "init_args", "card", "bands") or _nested(content, "bands")
    return [_set_from_entry(one, path, role, split) for one in sets], _parse_bands(bands, path)


def _set_from_entry(one: Any, path: Path, role: Role, split: str | None) -> PairedSet:
    """Build a set from an entry of ``sets``, a mapping of ``class_path`` and ``init_args``."""
    name = str(_nested(one, "class_path")).rpartition(".")[2]
    arguments = _nested(one, "init_args") or {}
    if not isinstance(arguments, dict):
        raise NircolorError(f"{path}: {name}: expected init_args as a mapping, got {arguments!r}")
    arguments = dict(arguments)
    if name == "Vcip":
        arguments.setdefault("split", _vcip_split(role, split))
    return _build_set(name, arguments, str(path))


def _build_set(name: str, arguments: Mapping[str, Any], where: str) -> PairedSet:
    if name not in _CLASSES:
        raise NircolorError(f"{where}: expected a class_path of {', '.join(_CLASSES)}, got {name}")
    kind = _CLASSES[name]
    try:
        inspect.signature(kind).bind(**arguments)
        return kind(**arguments)
    except (TypeError, ValueError) as error:
        raise NircolorError(f"{where}: {name}: {first_line(error)}") from error


def _parse_bands(bands: Any, path: Path) -> Bands:
    if bands is None:
        return None
    try:
        return TypeAdapter(tuple[Band, ...]).validate_python(bands)
    except ValidationError as error:
        raise NircolorError(
            f"{path}: expected bands as a card has them: {first_fault(error, 'bands')}"
        ) from error


def _nested(content: Any, *keys: str) -> Any:
    """Look up a key in nested mappings; None if it is missing at any level."""
    for key in keys:
        content = content.get(key) if isinstance(content, dict) else None
    return content
