"""Images to compare for leaks: of sets of pairs, or of any folder."""

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nircolor.arrays import Floats
from nircolor.errors import NircolorError, NircolorWarning
from nircolor.imagery import find_images, open_raster
from nircolor.pairs.opened_set import Role, SetSource, open_set
from nircolor.pairs.pair import Bands, Pair, read_colour, read_pair

Views = Mapping[str, Floats]


@dataclass(frozen=True)
class ComparedImage:
    """An image, or a pair, to compare with others.

    Attributes:
        name: Name for `Leak`.
        read: Function that returns its views, arrays (channels, h, w) by name: NIR and colour of a pair.
        files: Its files, by which a set is recognized that is compared with itself.
    """

    name: str
    read: Callable[[], Views]
    files: tuple[Path, ...] = ()


def open_for_comparison(
    evaluated: SetSource, training: SetSource, table: str | os.PathLike[str] | None = None
) -> tuple[list[ComparedImage], list[ComparedImage]]:
    """Open two sets for `compare_images`: as pairs if both are sets of pairs, else as single images.

    Args:
        evaluated: As for `find_leaks`.
        training: As for `find_leaks`.
        table: As for `find_leaks`.

    Raises:
        NircolorError: A set cannot be opened.
    """
    opened = _open(evaluated, "evaluated", table), _open(training, "training", table)
    as_pairs = all(pairs for pairs, _ in opened)
    images, others = (pairs if as_pairs else single for pairs, single in opened)
    return images, others


def compared_pairs(pairs: Sequence[Pair], bands: Bands = None) -> list[ComparedImage]:
    """Prepare pairs for comparison; multi-band files are compared by colour only if ``bands`` is None."""
    return [
        ComparedImage(pair.name, lambda pair=pair: _views(pair, bands), (pair.nir, pair.rgb))  # type: ignore[misc]
        for pair in pairs
    ]


def compared_sides(pairs: Sequence[Pair]) -> list[ComparedImage]:
    """Prepare NIR and colour images of pairs for comparison with single images (`compared_files`)."""
    return [
        ComparedImage(
            f"{one.name} ({view})",
            lambda one=one, view=view: {"image": one.read()[view]},  # type: ignore[misc]
            (pair.nir if view == "NIR" else pair.rgb,),
        )
        for pair, one in zip(pairs, compared_pairs(pairs), strict=True)
        for view in (["colour"] if pair.nir == pair.rgb else ["NIR", "colour"])
    ]


def compared_files(folder: Path) -> list[ComparedImage]:
    """Prepare all images of a folder and its subfolders for comparison.

    Raises:
        NircolorError: There are no images.
    """
    files = find_images(folder, recursive=True)
    if not files:
        raise NircolorError(f"{folder}: expected images, found none")
    return [
        ComparedImage(
            path.relative_to(folder).as_posix(),
            lambda path=path: {"image": _read(path)},  # type: ignore[misc]
            (path,),
        )
        for path in files
    ]


def _open(
    source: SetSource, role: Role, table: str | os.PathLike[str] | None
) -> tuple[list[ComparedImage], list[ComparedImage]]:
    """Return a set as pairs and as single images; any other folder as single images only."""
    try:
        opened = open_set(source, role, table=table)
    except NircolorError as error:
        if table is not None or not isinstance(source, str | os.PathLike) or not Path(source).is_dir():
            raise
        single = compared_files(Path(source))
        warnings.warn(
            f"{source}: compared as {len(single)} single images, because it is not a set of pairs: {error}",
            NircolorWarning,
            stacklevel=4,
        )
        return [], single
    return compared_pairs(opened.pairs, opened.bands), compared_sides(opened.pairs)


def _views(pair: Pair, bands: Bands) -> Views:
    if bands is None and pair.nir == pair.rgb:
        # it is unknown which of the bands are NIR
        return {"colour": _read_rgb(pair)}
    nir, rgb, _ = read_pair(pair, bands)
    return {"NIR": nir, "colour": rgb}


def _read_rgb(pair: Pair) -> Floats:
    return read_colour(pair.rgb, pair.name, rgb_nm=pair.rgb_nm, scale=pair.rgb_scale, white=pair.rgb_white)[0]


def _read(path: Path) -> Floats:
    with open_raster(path) as raster:
        return raster.read()[0]
