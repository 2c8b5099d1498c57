"""`evaluate`: score methods on a set of pairs."""

import os
import platform
import tempfile
from collections.abc import Collection, Sequence
from importlib.metadata import version
from pathlib import Path

from nircolor.errors import NircolorError
from nircolor.evaluation.baselines import distinct_bands, fitted_baselines
from nircolor.evaluation.evaluation import Evaluation, Method, Places, SeenImage, Subset
from nircolor.evaluation.gallery import Gallery, write_figure
from nircolor.evaluation.methods import MethodRun, Methods, open_methods
from nircolor.evaluation.protocol import score_all
from nircolor.evaluation.report import FILES, write_report
from nircolor.evaluation.scores import CONVENTIONS
from nircolor.evaluation.training_sets import (
    TrainingSet,
    find_places,
    open_training,
    seen_places,
    seen_single,
)
from nircolor.inference import Device
from nircolor.pairs import OpenedSet, Pair, PairedSet, open_set
from nircolor.pairs.compared import compared_pairs
from nircolor.pairs.leaks import compare_thumbnails
from nircolor.pairs.opened_set import SetSource
from nircolor.pairs.pair import Bands, PairImages, listed, with_white
from nircolor.pairs.texture_search import Thumbnail
from nircolor.parallel import Progress
from nircolor.staging import staging_folder
from nircolor.texts import count_of

FIGURE = "figure.png"
_PACKAGES = ("nircolor", "numpy", "scipy", "scikit-image", "rasterio", "onnxruntime")


def evaluate(
    methods: Methods,
    data: SetSource,
    *,
    training: SetSource | Sequence[SetSource] | None = None,
    split: str | None = None,
    table: str | os.PathLike[str] | None = None,
    output: str | os.PathLike[str] | None = None,
    images: int = 24,
    figure: Collection[str] = (),
    overwrite: bool = False,
    average_px: int = 1,
    same_scale: bool = False,
    given_gray: bool = False,
    device: Device = "auto",
    command: str = "",
    on_progress: Progress | None = None,
) -> Evaluation:
    """Score models, and folders of colorized images, on a set of pairs.

    Trivial colorizers are always scored too, as baselines. A pair on which one method fails is left out for
    all methods, since means over different images cannot be compared.

    Args:
        methods: One or more of: name of a shipped model, path of a model file, `Colorizer`, folder of
            colorized images, or pattern such as ``results/*_fake_B.png`` (``*`` stands for the name of the
            pair). A mapping gives labels: ``{"cnn": ["a.onnx", "b.onnx"]}``; those under one label are runs
            of one method, such as seeds.
        data: Pairs to evaluate on: a folder, two folders as ``"NIR,RGB"``, a YAML file, or a `PairedSet`; see
            `nircolor.pairs.open_set`.
        training: One or more sets on which the models were trained. Evaluated images that are also in
            these sets are reported separately, and the trivial colorizers are fitted on them. A folder that
            is not a set of pairs is only searched for the evaluated images.
        split: Split of ``data`` to use. By default ``test`` if there is one, else all pairs, provided that
            they do not mix training or validation pairs with others. ``Evaluation.data`` states the split.
        table: CSV of groups and splits of ``data``; see `nircolor.pairs.PairedSet`. It holds for training
            sets as well, unless it does not have a row for each of their pairs.
        output: Folder for a report (`nircolor.evaluation.write_report`). By default none is written.
        images: Maximum number of images in the report.
        figure: Names of pairs for a figure ``figure.png`` in ``output``.
        overwrite: Replace an older report.
        average_px: Side of the square windows whose means are compared, for bands whose resolution is coarser
            than the pixel grid; 1 = compare pixels.
        same_scale: Search for leaks at one scale only, for example for satellite images.
        given_gray: Add a baseline that takes the gray version of the true image in addition to the bands.
        device: Where models run; see `Colorizer`.
        command: Command to state in the report.
        on_progress: Called with the amount of work done and its total.

    Returns:
        The scores. ``print`` shows them as tables, `Evaluation.summary` returns them as rows.

    Raises:
        NircolorError: A set or method cannot be opened, a split must be chosen, a report exists already, or
            no image could be scored.

    Example:
        >>> evaluation = evaluate(["scene"], "pairs/", training="vcip2020/")  # doctest: +SKIP
        >>> print(evaluation)  # doctest: +SKIP
        >>> evaluation.summary()[-1]["psnr_db"]  # doctest: +SKIP
        18.71
    """
    if output is None and figure:
        raise NircolorError(f"{FIGURE}: expected a folder for the figure, got none; set `output`")
    folder = None if output is None else Path(output)
    if folder is not None:
        _check_output(folder, overwrite)
    with staging_folder(Path(tempfile.gettempdir())) as images_folder:
        gallery = None if folder is None or not (images or figure) else Gallery(images_folder)
        evaluated = open_set(data, "evaluated", split=split, table=table)
        sets = [] if training is None else _as_list(training)
        opened = [open_training(one, table) for one in sets]
        evaluation = _evaluate(
            methods, evaluated, opened, figure, average_px, same_scale, given_gray, device, gallery, command,
            on_progress,
        )  # fmt: skip
        if folder is not None:
            write_report(evaluation, folder, gallery if images else None, images)
            if gallery is not None and figure:
                labels = [method.label for method in evaluation.methods if method.kind != "baseline"]
                write_figure(folder / FIGURE, list(figure), labels, gallery)
    return evaluation


def _check_output(folder: Path, overwrite: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise NircolorError(f"{folder}: expected a folder for the report, got a file")
    present = [name for name in (*FILES, FIGURE) if (folder / name).exists()]
    if present and not overwrite:
        raise NircolorError(f"{folder / present[0]}: the report exists already; --overwrite replaces it")


def _as_list(training: SetSource | Sequence[SetSource]) -> list[SetSource]:
    return [training] if isinstance(training, str | os.PathLike | PairedSet) else list(training)


def _evaluate(
    methods: Methods,
    evaluated: OpenedSet,
    training: Sequence[TrainingSet],
    figure: Collection[str],
    average_px: int,
    same_scale: bool,
    given_gray: bool,
    device: Device,
    gallery: Gallery | None,
    command: str,
    on_progress: Progress | None,
) -> Evaluation:
    pairs = _with_unique_names(evaluated)
    absent = set(figure) - {pair.name for pair in pairs}
    if absent:
        raise NircolorError(
            f"{evaluated.title}: expected pairs for the figure, got none named {listed(absent)}"
        )
    training_pairs = [pair for one in training for pair in one.pairs]
    opened = open_methods(methods, pairs, device)
    if evaluated.bands is None and pairs[0].nir == pairs[0].rgb and not any(one.bands for one in opened):
        raise NircolorError(
            f"{evaluated.title}: expected NIR bands from a model, or from a YAML with `bands`, got none"
        )
    white = _white_reflectance(opened)
    pairs, training_pairs = with_white(pairs, white), with_white(training_pairs, white)
    # scoring reports pairs that cannot be read and continues without them
    bands = distinct_bands(opened, evaluated.bands, pairs)
    set_bands = evaluated.bands or bands[0]
    single = [image for one in training for image in one.images]
    total = 2 * len(pairs) + len(training_pairs) + (len(pairs) if single else 0)
    steps = _Steps(on_progress, total)
    # make thumbnails for the leak detection while scoring, so that each file is read once
    thumbnails: list[Thumbnail] = []
    training_thumbnails: list[Thumbnail] = []

    def reduce_training(pair: Pair, found: PairImages) -> None:
        training_thumbnails.append(_thumbnail(pair, found, set_bands))
        steps.advance(1)

    def reduce_evaluated(pair: Pair, found: PairImages) -> None:
        thumbnails.append(_thumbnail(pair, found, set_bands))

    baselines = fitted_baselines(
        pairs, training_pairs, bands, given_gray=given_gray,
        also_read=set_bands, on_read=reduce_training if training_pairs else None,
    )  # fmt: skip
    reserved = {one.label for one in baselines} & {one.label for one in opened}
    if reserved:
        raise NircolorError(
            f"{listed(reserved)}: expected another label, as this is the label of a trivial colorizer"
        )
    if not training_pairs:
        steps.advance(len(pairs))
    runs = [*baselines, *opened]
    scored = score_all(
        runs,
        pairs,
        set_bands=set_bands,
        average_px=average_px,
        gallery=gallery,
        on_read=reduce_evaluated if training_pairs else None,
        on_progress=steps.part(len(pairs)),
    )
    names = tuple(dict.fromkeys(row.name for row in scored.rows))
    seen: list[SeenImage] = []
    if training_pairs:
        check = compare_thumbnails(
            thumbnails, training_thumbnails, same_scale=same_scale, on_progress=steps.part(len(pairs))
        )
        seen = [SeenImage(leak.name, leak.other, leak.description) for leak in check.best]
        if check.unclear:
            scored.warnings.append(
                f"{count_of(len(check.unclear), 'image')} with too little texture to tell whether training "
                f"contains them: {listed(check.unclear)}"
            )
        if evaluated.tables & frozenset().union(*(one.tables for one in training)):
            seen += seen_places([pair for pair in pairs if pair.name in names], training_pairs, seen)
    if single:
        seen += seen_single(pairs, single, same_scale, steps.part(len(pairs)))
    if not training_pairs and len({pair.place for pair in pairs}) == 1:
        scored.warnings.append(
            "all pairs show one place: the trivial colorizers that need fitting are left out"
        )
    if any(pair.split == "train" for pair in pairs):
        scored.warnings.append("the evaluated pairs are of the split train, which models are trained on")
    scored.warnings.extend(one.warning for one in training if one.warning is not None)
    places = find_places([pair for pair in pairs if pair.name in names], seen, searched=bool(training))
    return Evaluation(
        data=evaluated.title,
        training=", ".join(one.title for one in training),
        methods=tuple(_grouped(runs)),
        rows=tuple(scored.rows),
        subsets=tuple(_subsets(names, seen)),
        places=places,
        seen=tuple(seen),
        failures=tuple(scored.failures),
        warnings=tuple(scored.warnings),
        conventions=tuple(_conventions(average_px, places, bool(training), given_gray, runs, white)),
        command=command,
        versions={"python": platform.python_version()} | {name: version(name) for name in _PACKAGES},
    )


def _white_reflectance(methods: Sequence[MethodRun]) -> float | None:
    """Return the reflectance that 1.0 stands for in the colour of the models; None if none states it."""
    stated = {one.label: one.card.white_reflectance for one in methods if one.card is not None}
    whites = {label: white for label, white in stated.items() if white is not None}
    if len(set(whites.values())) > 1:
        listing = ", ".join(f"{label} ({white:g})" for label, white in whites.items())
        raise NircolorError(
            f"expected models of one white_reflectance, got {listing}; evaluate them one by one"
        )
    return next(iter(whites.values()), None)


def _interval_convention(places: Places | None) -> str:
    means = "Means over images (medians for ratios) with 95% bootstrap intervals"
    if places is None:
        return (
            f"{means} over images (10,000 resamples; none for fewer than 5 images). The places of the images "
            "are unknown; if places have several images, these intervals are too narrow."
        )
    return (
        f"{means} over places (10,000 resamples; none for fewer than 5 places): images of one place are not "
        "independent, so places are resampled, each with all its images. By the "
        f"{places.source}, the images show {count_of(len(set(places.of.values())), 'place')}."
    )


class _Steps:
    """Progress over several parts of the work, with pairs as the unit."""

    def __init__(self, on_progress: Progress | None, total: float) -> None:
        self._on_progress, self._total, self._done = on_progress, total, 0.0

    def advance(self, steps: float) -> None:
        self._done += steps
        if self._on_progress is not None:
            self._on_progress(min(self._done, self._total), self._total)

    def part(self, size: float) -> Progress:
        """Return a callback for a part of the work that counts in another unit; ``size`` is in pairs."""
        start = self._done

        def update(done: float, total: float) -> None:
            self.advance(start + size * done / max(total, 1) - self._done)

        return update


def _with_unique_names(evaluated: OpenedSet) -> list[Pair]:
    names = [pair.name for pair in evaluated.pairs]
    repeated = {name for name in names if names.count(name) > 1}
    if repeated:
        raise NircolorError(
            f"{evaluated.title}: expected a different name for each pair, got two of {listed(repeated)}"
        )
    return evaluated.pairs


def _thumbnail(pair: Pair, images: PairImages, bands: Bands) -> Thumbnail:
    (compared,) = compared_pairs([pair], bands)
    return Thumbnail.of(compared, {"NIR": images.nir, "colour": images.rgb})


def _grouped(runs: Sequence[MethodRun]) -> list[Method]:
    labels = dict.fromkeys(one.label for one in runs)
    return [
        Method(label, same[0].kind, tuple(run.origin for run in same), same[0].card)
        for label in labels
        for same in [[one for one in runs if one.label == label]]
    ]


def _subsets(names: tuple[str, ...], seen: Sequence[SeenImage]) -> list[Subset]:
    known = {one.name for one in seen}
    parts = [Subset(f"All {len(names)} images" if len(names) > 1 else "The one image", names)]
    clean, leaked = (tuple(name for name in names if (name in known) == part) for part in (False, True))
    if clean and leaked:
        parts.append(Subset(f"The {len(clean)} that training does not show", clean))
        parts.append(Subset(f"The {len(leaked)} that training shows too", leaked))
    return parts


def _conventions(
    average_px: int,
    places: Places | None,
    trained: bool,
    given_gray: bool,
    runs: Sequence[MethodRun],
    white: float | None,
) -> list[str]:
    lines = [
        *CONVENTIONS,
        _interval_convention(places),
        "Paired comparisons: mean of the differences on the same images, its 95% bootstrap interval, and "
        "the fraction of images won. For ratios, their distances from 1 in powers of 2 are "
        "compared. The PSNR of a perfect image counts as 100 dB in comparisons.",
        "The true image is read as stored and not stretched. The output of a model is clipped to [0, 1] and "
        "not rounded. Pixels excluded by a mask or nodata are ignored.",
    ]
    if white is not None:
        lines.append(
            f"A reflectance of {white:g} or more is 1.0 in true images whose files state reflectance, as in "
            "the colour of the models."
        )
    if average_px > 1:
        lines.append(
            f"Means over windows of {average_px} × {average_px} pixels inside the image are compared."
        )
    if given_gray:
        lines.append(
            "The baseline given gray takes the gray version of the true image in addition to its bands. It "
            "cannot be compared with the other methods; it shows the effect of the brightness alone."
        )
    if len({one.label for one in runs}) < len(runs):
        lines.append(
            "The score of a method with several runs is the mean over its runs; images shown are those of "
            "the first run."
        )
    lines.append(
        "Evaluated images were compared with the training images; see the images that training shows too."
        if trained
        else "No training set was given: whether training contains these images is unknown."
    )
    return lines
