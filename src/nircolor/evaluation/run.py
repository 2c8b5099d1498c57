"""From what a user names to an `Evaluation`."""

import platform
from collections.abc import Collection, Sequence
from importlib.metadata import version
from pathlib import Path

from nircolor.errors import NircolorError
from nircolor.evaluation.contestants import Bands, Contestant, Progress, open_contestants
from nircolor.evaluation.evaluation import Evaluation, Method, Seen, Subset
from nircolor.evaluation.fitting import distinct_bands, fitted_baselines
from nircolor.evaluation.gallery import Gallery
from nircolor.evaluation.measures import CONVENTIONS
from nircolor.evaluation.protocol import score_all
from nircolor.inference import Device
from nircolor.pairs import OpenedSet, Pair, open_set
from nircolor.pairs.leaks import compare_images, compared_pairs
from nircolor.pairs.pair import listed

_PACKAGES = ("nircolor", "numpy", "scipy", "scikit-image", "rasterio", "onnxruntime")


def evaluate(
    models: Sequence[str],
    data: str,
    *,
    training: Sequence[str] = (),
    split: str | None = None,
    table: Path | None = None,
    average_px: int = 1,
    same_scale: bool = False,
    given_gray: bool = False,
    device: Device = "auto",
    gallery: Gallery | None = None,
    shown: Collection[str] = (),
    command: str = "",
    on_progress: Progress = lambda _what, _done, _total: None,
) -> Evaluation:
    """Score models and folders of colorized images under one protocol.

    Args:
        models: see `contestants.open_contestants`.
        data: see `nircolor.pairs.open_set`.
        training: sets to compare the evaluated images with, and to fit the baselines on.
        split: of ``data``.
        table: of groups and splits of ``data`` and ``training``, see `nircolor.pairs.PairedSet`.
        average_px: compare means over windows of so many pixels.
        same_scale: look for leaks at one scale only: satellite patches are never zoomed.
        given_gray: add a trivial colorizer that sees the gray version of the truth.
        device: where models run.
        gallery: takes the images.
        shown: names of pairs that must be there.
        command: what was typed, for the report.
        on_progress: called with what is done, and how far.

    Raises:
        NircolorError: a set or model cannot be opened, or no image could be scored.
    """
    evaluated = open_set(data, "evaluated", split=split, table=table)
    taught = [open_set(one, "training", table=table) for one in training]
    pairs = _distinct(evaluated)
    absent = set(shown) - {pair.name for pair in pairs}
    if absent:
        raise NircolorError(f"{evaluated.title}: expected pairs to be shown, got none named {listed(absent)}")
    teachers = [pair for one in taught for pair in one.pairs]
    judged = open_contestants(models, pairs, device)
    if evaluated.bands is None and pairs[0].nir == pairs[0].rgb and not any(one.bands for one in judged):
        raise NircolorError(
            f"{data}: expected to be told which of its bands are NIR: a model, or a YAML with `bands`"
        )
    # what cannot be read is found by scoring, which goes on without it
    bands = distinct_bands(judged, evaluated.bands, pairs)
    baselines = fitted_baselines(pairs, teachers, bands, on_progress, given_gray=given_gray)
    taken = {one.label for one in baselines} & {one.label for one in judged}
    if taken:
        raise NircolorError(f"{listed(taken)}: expected another label, this is a trivial colorizer's")
    contestants = [*baselines, *judged]
    scored = score_all(
        contestants,
        pairs,
        of_set=evaluated.bands or bands[0],
        average_px=average_px,
        gallery=gallery,
        on_progress=on_progress,
    )
    names = tuple(dict.fromkeys(row.name for row in scored.rows))
    seen = _seen(
        [pair for pair in pairs if pair.name in names],
        teachers,
        evaluated.bands or bands[0],
        bool(evaluated.tables & frozenset().union(*(one.tables for one in taught))),
        same_scale,
        on_progress,
    )
    if not teachers and len({pair.place for pair in pairs}) == 1:
        scored.warnings.append("one place only: nothing to fit the linear trivial colorizers on")
    return Evaluation(
        data=evaluated.title,
        training=", ".join(one.title for one in taught),
        methods=tuple(_methods(contestants)),
        rows=tuple(scored.rows),
        subsets=tuple(_subsets(names, seen)),
        seen=tuple(seen),
        failures=tuple(scored.failures),
        warnings=tuple(scored.warnings),
        conventions=tuple(_conventions(average_px, bool(taught), given_gray, contestants)),
        command=command,
        versions={"python": platform.python_version()} | {name: version(name) for name in _PACKAGES},
    )


def _distinct(evaluated: OpenedSet) -> list[Pair]:
    names = [pair.name for pair in evaluated.pairs]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise NircolorError(f"{evaluated.title}: expected a name for each pair, got two of {listed(twice)}")
    return evaluated.pairs


def _methods(contestants: Sequence[Contestant]) -> list[Method]:
    labels = dict.fromkeys(one.label for one in contestants)
    return [
        Method(label, runs[0].kind, tuple(run.origin for run in runs), runs[0].card)
        for label in labels
        for runs in [[one for one in contestants if one.label == label]]
    ]


def _seen(
    pairs: Sequence[Pair],
    teachers: Sequence[Pair],
    bands: Bands,
    one_table: bool,
    same_scale: bool,
    on_progress: Progress,
) -> list[Seen]:
    if not teachers:
        return []
    leaks = compare_images(
        compared_pairs(pairs, bands),
        compared_pairs(teachers, bands),
        same_scale=same_scale,
        on_progress=lambda done, total: on_progress("looking for leaks", int(done), int(total)),
    )
    seen = [Seen(leak.name, leak.other, leak.description) for leak in leaks]
    found = {one.name for one in seen}
    # a place is known by its name in one table
    shown = {pair.group: pair.name for pair in reversed(teachers) if one_table and pair.group is not None}
    return seen + [
        Seen(pair.name, shown[pair.group], "another image of the place, by the table")
        for pair in pairs
        if pair.name not in found and pair.group in shown
    ]


def _subsets(names: tuple[str, ...], seen: Sequence[Seen]) -> list[Subset]:
    known = {one.name for one in seen}
    parts = [Subset(f"All {len(names)} images" if len(names) > 1 else "The one image", names)]
    clean, leaked = (tuple(name for name in names if (name in known) == side) for side in (False, True))
    if clean and leaked:
        parts.append(Subset(f"The {len(clean)} that training does not show", clean))
        parts.append(Subset(f"The {len(leaked)} that training shows too", leaked))
    return parts


def _conventions(
    average_px: int, trained: bool, given_gray: bool, contestants: Sequence[Contestant]
) -> list[str]:
    lines = [
        *CONVENTIONS,
        "Means over images, of ratios medians, with 95% bootstrap intervals over images (10,000 "
        "resamples); images of one place are not independent, so that these are optimistic.",
        "Paired comparisons: mean of the differences on the same images, its 95% bootstrap interval, and "
        "the share of images won; of ratios, of their distance from 1 in powers of 2; a perfect image's "
        "PSNR counts 100 dB there.",
        "Truth is read as stored and never stretched; a model's output is clipped to 0 to 1 and not rounded; "
        "pixels that masks or nodata rule out count for nothing.",
    ]
    if average_px > 1:
        lines.append(
            f"Compared are means over windows of {average_px} × {average_px} pixels inside the image."
        )
    if given_gray:
        lines.append(
            "What is given gray sees the gray version of the truth beside its bands: it is no rival of the "
            "others, and shows what brightness alone is worth."
        )
    if len({one.label for one in contestants}) < len(contestants):
        lines.append(
            "Of a method with several runs, a image's score is the mean over its runs; images shown are "
            "those of the first."
        )
    lines.append(
        "Evaluated images were compared with those of training: see the images that training shows too."
        if trained
        else "No training set was named: whether training shows these images too is not known."
    )
    return lines
