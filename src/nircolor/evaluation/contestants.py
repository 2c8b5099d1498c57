"""What is evaluated: model files, and folders of images that anybody's code has colorized."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

from nircolor.arrays import Floats, Mask
from nircolor.errors import NircolorError
from nircolor.imagery import find_images
from nircolor.inference import Colorizer, Device
from nircolor.modelfile import Band, Card
from nircolor.pairs import Pair, read_colour, read_nir
from nircolor.pairs.pair import listed

# None: whatever a set has
Bands = tuple[Band, ...] | None
# what is done, how far, and of how many
Progress = Callable[[str, int, int], None]
# from a pair, its NIR (bands, h, w) and its valid pixels to colour (3, h, w)
Predict = Callable[[Pair, Floats, Mask], Floats]


@dataclass(frozen=True)
class Contestant:
    """One run of a method.

    Attributes:
        label: of the method. Contestants of one label are runs of it.
        kind: see `Method`.
        origin: the file or folder.
        predict: colours a image; raises NircolorError.
        bands: the NIR that ``predict`` takes. None = whatever the set has.
        card: of a model file.
        warnings: doubts, a line each.
    """

    label: str
    kind: Literal["model", "folder", "baseline"]
    origin: str
    predict: Predict
    bands: Bands = None
    card: Card | None = None
    warnings: tuple[str, ...] = ()


def open_contestants(texts: Sequence[str], pairs: Sequence[Pair], device: Device) -> list[Contestant]:
    """Contestants as a user names them, ``LABEL=WHAT`` or ``WHAT`` alone.

    WHAT is a model that ships, a model file, a folder of colorized images, or a pattern such as
    ``results/*_fake_B.png`` whose star stands for the pair's name. Those given one label are runs of one
    method, such as seeds.

    Raises:
        NircolorError: no such model or folder, a pair without its image, two without a label whose names
            are equal, or two runs of one method that see different bands.
    """
    found = [_open(text, pairs, device) for text in texts]
    for one, other in pairwise(sorted(found, key=lambda one: one.label)):
        if one.label == other.label and (one.kind, one.bands) != (other.kind, other.bands):
            raise NircolorError(
                f"{one.label}: expected runs of one method, got {one.origin} and {other.origin}, which are "
                "not of one kind or see different bands"
            )
    unlabelled = [one.label for one, text in zip(found, texts, strict=True) if _parts(text)[0] is None]
    for label in unlabelled:
        if sum(one.label == label for one in found) > 1:
            raise NircolorError(
                f"{label}: expected names that differ, got two; give labels, as in `a={texts[0]}` "
                "(one label for both if they are runs of one method)"
            )
    return found


def _open(text: str, pairs: Sequence[Pair], device: Device) -> Contestant:
    label, what = _parts(text)
    path = Path(what)
    if path.is_dir() or "*" in what:
        files, warnings = _predictions(path, pairs)
        name = path.resolve().name if path.is_dir() else path.parent.resolve().name
        return Contestant(
            label or name, "folder", what, lambda pair, _nir, valid: _read(files[pair.name], pair, valid),
            warnings=warnings,
        )  # fmt: skip
    colorizer = Colorizer(what, device=device)
    card = colorizer.card

    def predict(pair: Pair, nir: Floats, valid: Mask) -> Floats:
        # who colours a image knows of no truth, nor where that is to be believed
        return colorizer.colorize(nir, None if valid.all() else read_nir(pair, card.bands)[1])

    return Contestant(label or card.name, "model", what, predict, card.bands, card)


def _parts(text: str) -> tuple[str | None, str]:
    label, equals, what = text.partition("=")
    if not equals or not label.strip() or "/" in label or Path(text).exists():
        return None, text
    return label.strip(), what


def _predictions(path: Path, pairs: Sequence[Pair]) -> tuple[dict[str, Path], tuple[str, ...]]:
    """The image of each pair, and what is to be said of those that belong to none."""
    names = [pair.name for pair in pairs]
    if path.is_dir():
        there = find_images(path, recursive=True)
        stems: dict[str, list[Path]] = {}
        for file in there:
            stems.setdefault(file.relative_to(path).with_suffix("").as_posix(), []).append(file)
        end = _common_end(path, stems, names)
        candidates = {name: stems.get(name + end, []) for name in names}
    else:
        if str(path).count("*") > 1:
            raise NircolorError(f"{path}: expected one * that stands for the pairs' names, got several")
        there = sorted(path.parent.glob(path.name)) if "*" in path.name else []
        wanted = {name: Path(str(path).replace("*", name)) for name in names}
        candidates = {name: [file] if file.is_file() else [] for name, file in wanted.items()}
    missing = [name for name, files in candidates.items() if not files]
    if missing:
        raise NircolorError(
            f"{path}: expected a colorized image for each pair, got none for {listed(missing)}"
        )
    for name, files in candidates.items():
        if len(files) > 1:
            got = " and ".join(file.name for file in files)
            raise NircolorError(f"{path}: expected one colorized image of {name}, got {got}")
    found = {name: files[0] for name, files in candidates.items()}
    extra = set(there) - set(found.values())
    passed_over = f"{path}: images that belong to no pair were passed over: {listed(f.name for f in extra)}"
    return found, (passed_over,) if extra else ()


def _common_end(folder: Path, stems: Collection[str], names: Sequence[str]) -> str:
    """What follows the pair's name in every file's: `validation_0004_nir` is of `validation_0004`."""
    first = min(names)
    ends = [stem.removeprefix(first) for stem in stems if stem.startswith(first)]
    # `field_10` is not of `field_1`
    ends = [end for end in ends if not end[:1].isalnum()]
    whole = sorted(end for end in ends if all(f"{name}{end}" in stems for name in names))
    if len(whole) > 1:
        raise NircolorError(
            f"{folder}: expected one colorized image a pair, got those ending in "
            f"{' and in '.join(repr(end) for end in whole)}; choose with a pattern, as in "
            f"'{folder}/*{whole[-1]}.png'"
        )
    return whole[0] if whole else min(ends, default="")


def _read(path: Path, pair: Pair, valid: Mask) -> Floats:
    rgb, opaque = read_colour(path, pair.name)
    if rgb.shape[1:] != valid.shape:
        raise NircolorError(
            f"{path}: expected {valid.shape[1]} × {valid.shape[0]} px as the pair {pair.name}, "
            f"got {rgb.shape[2]} × {rgb.shape[1]}"
        )
    missing = int((valid & ~opaque).sum())
    if missing:
        raise NircolorError(
            f"{path}: expected a colour wherever {pair.name} is valid, got {missing} px without"
        )
    return rgb
