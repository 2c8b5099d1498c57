"""Methods to evaluate: models, and folders of images that other code has colorized."""

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

from nircolor.arrays import Floats, Mask
from nircolor.errors import NircolorError
from nircolor.imagery import find_images
from nircolor.inference import Colorizer, Device
from nircolor.inference.confidence import without_confidence
from nircolor.modelfile import Card
from nircolor.pairs import Pair, read_colour
from nircolor.pairs.pair import Bands, PairImages, listed

# maps a pair to colour (3, h, w); raises NircolorError
Predict = Callable[[Pair, PairImages], Floats]
# name of a shipped model, path of a model file or of a folder of images, pattern, or colorizer
MethodSource = str | os.PathLike[str] | Colorizer
Methods = MethodSource | Sequence[MethodSource] | Mapping[str, MethodSource | Sequence[MethodSource]]


@dataclass(frozen=True)
class MethodRun:
    """One run of a method, such as one seed.

    Attributes:
        label: Label of the method. Objects with the same label are runs of one method.
        kind: See `Method`.
        origin: Model, file or folder.
        predict: Function that colorizes a pair.
        bands: NIR bands that ``predict`` takes. None = the NIR bands of the set.
        card: Card of a model.
        warnings: Warnings, one line each.
    """

    label: str
    kind: Literal["model", "folder", "baseline"]
    origin: str
    predict: Predict
    bands: Bands = None
    card: Card | None = None
    warnings: tuple[str, ...] = ()


def open_methods(methods: Methods, pairs: Sequence[Pair], device: Device = "auto") -> list[MethodRun]:
    """Open the methods to evaluate.

    Args:
        methods: Models (name, path or `Colorizer`), folders of colorized images, or patterns such as
            ``results/*_fake_B.png``, in which ``*`` stands for the name of the pair. Text may start with a
            label: ``LABEL=results/``. In a mapping, the keys are labels. Several with one label are
            runs of one method.
        pairs: Evaluated pairs.
        device: Where models run; see `Colorizer`.

    Raises:
        NircolorError: There is no such model or folder, a pair has no image in the folder, two methods have
            the same name but no label, or two runs of one method use different bands.
    """
    sources = _labelled(methods)
    if not sources:
        raise NircolorError("methods: expected at least one model or folder, got none")
    found = [_open(label, source, pairs, device) for label, source in sources]
    for one, other in pairwise(sorted(found, key=lambda run: run.label)):
        if one.label == other.label and (one.kind, one.bands) != (other.kind, other.bands):
            raise NircolorError(
                f"{one.label}: expected runs of one method, got {one.origin} and {other.origin}, which are "
                "not of the same kind or use different bands"
            )
    unlabelled = [one.label for one, (label, _) in zip(found, sources, strict=True) if label is None]
    for label in unlabelled:
        if sum(one.label == label for one in found) > 1:
            raise NircolorError(
                f"{label}: expected different names, got two equal ones; give labels, as in "
                f"`a={found[0].origin}` (the same label for runs of one method)"
            )
    return found


def _labelled(methods: Methods) -> list[tuple[str | None, MethodSource]]:
    if isinstance(methods, Mapping):
        return [
            (label, source)
            for label, value in methods.items()
            for source in ([value] if isinstance(value, str | os.PathLike | Colorizer) else value)
        ]
    listed_methods = [methods] if isinstance(methods, str | os.PathLike | Colorizer) else methods
    return [_split_label(source) for source in listed_methods]


def _split_label(source: MethodSource) -> tuple[str | None, MethodSource]:
    if not isinstance(source, str):
        return None, source
    label, equals, rest = source.partition("=")
    if not equals or not label.strip() or "/" in label or Path(source).exists():
        return None, source
    return label.strip(), rest


def _open(label: str | None, source: MethodSource, pairs: Sequence[Pair], device: Device) -> MethodRun:
    if not isinstance(source, Colorizer):
        text = os.fspath(source)
        path = Path(text)
        if path.is_dir() or "*" in text:
            files, warnings = _find_predictions(path, pairs)
            name = path.resolve().name if path.is_dir() else path.parent.resolve().name
            return MethodRun(
                label or name,
                "folder",
                text,
                lambda pair, images: _read(files[pair.name], pair, images.valid),
                warnings=warnings,
            )
    colorizer = source if isinstance(source, Colorizer) else Colorizer(text, device=device)
    card = colorizer.card
    origin = card.name if isinstance(source, Colorizer) else text

    def predict(_pair: Pair, images: PairImages) -> Floats:
        nir = images.nir_for(card.encoding, f"model {card.name}")
        # the mask and the validity of the colour image are unknown when an image is colorized
        return colorizer.colorize(nir, None if images.nir_valid.all() else images.nir_valid)

    return MethodRun(label or card.name, "model", origin, predict, card.bands, card)


def _find_predictions(path: Path, pairs: Sequence[Pair]) -> tuple[dict[str, Path], tuple[str, ...]]:
    """Find the image of each pair, and return a warning about images that belong to no pair."""
    names = [pair.name for pair in pairs]
    if path.is_dir():
        present = without_confidence(find_images(path, recursive=True))
        stems: dict[str, list[Path]] = {}
        for file in present:
            stems.setdefault(file.relative_to(path).with_suffix("").as_posix(), []).append(file)
        end = _common_suffix(path, stems, names)
        candidates = {name: stems.get(name + end, []) for name in names}
    else:
        if str(path).count("*") > 1:
            raise NircolorError(f"{path}: expected one * that stands for the names of pairs, got several")
        present = sorted(path.parent.glob(path.name)) if "*" in path.name else []
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
    extra = set(present) - set(found.values())
    ignored = f"{path}: images that belong to no pair were ignored: {listed(f.name for f in extra)}"
    return found, (ignored,) if extra else ()


def _common_suffix(folder: Path, stems: Collection[str], names: Sequence[str]) -> str:
    """Find the text that follows the name of the pair in all files: ``_nir`` in ``validation_0004_nir``."""
    first = min(names)
    ends = [stem.removeprefix(first) for stem in stems if stem.startswith(first)]
    # `field_10` does not belong to `field_1`
    ends = [end for end in ends if not end[:1].isalnum()]
    common = sorted(end for end in ends if all(f"{name}{end}" in stems for name in names))
    if len(common) > 1:
        raise NircolorError(
            f"{folder}: expected one colorized image per pair, got those ending in "
            f"{' and in '.join(repr(end) for end in common)}; choose with a pattern, as in "
            f"'{folder}/*{common[-1]}.png'"
        )
    return common[0] if common else min(ends, default="")


def _read(path: Path, pair: Pair, valid: Mask) -> Floats:
    rgb, opaque = read_colour(path, pair.name, nodata="declared")
    if rgb.shape[1:] != valid.shape:
        raise NircolorError(
            f"{path}: expected {valid.shape[1]} × {valid.shape[0]} px as the pair {pair.name}, "
            f"got {rgb.shape[2]} × {rgb.shape[1]}"
        )
    missing = int((valid & ~opaque).sum())
    if missing:
        raise NircolorError(
            f"{path}: expected a colour for each valid pixel of {pair.name}, got {missing} px without"
        )
    return rgb
