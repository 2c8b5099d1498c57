"""`finetune`: adapt a model to a few pairs of one's own camera, and show what that changed."""

import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from nircolor import metrics
from nircolor.arrays import Floats, Mask
from nircolor.colour_grid import ColourGrid
from nircolor.errors import NircolorError
from nircolor.modelfile import Band, Card, CardScore
from nircolor.models import Network
from nircolor.models.loading import load_network
from nircolor.pairs import Pair, PairedSet, open_set
from nircolor.pairs.holdout import Holdout, Order, hold_out
from nircolor.pairs.opened_set import SetSource
from nircolor.pairs.pair import Bands, with_white
from nircolor.parallel import Progress
from nircolor.texts import count_of
from nircolor.training.adaptation import between, train_on_few, with_bands
from nircolor.training.bounds import calibration_factor
from nircolor.training.data import ValidationImages
from nircolor.training.exporting import TrainedNetwork, check_engine, check_output, write_network
from nircolor.training.few_pairs import read_few
from nircolor.training.sampling import Augmentation, ImagePair
from nircolor.weights import find_weights

_FEWEST_PAIRS, _FEWEST_HELD_OUT, _FEWEST_TRAINED_ON = 5, 2, 3
# Longer sides are reduced; for networks that do not see the whole image, images are cut into blocks.
_LARGEST_PX = 1024
_TILE_PX = 160
# The few images that decide when to stop are too noisy to end the training at once.
_FEWEST_STEPS, _STEPS_BETWEEN_SCORES, _PATIENCE, _SEARCH_PX = 60, 20, 4, 512
# Shares of the change of the weights that are tried (Wortsman et al., "Robust fine-tuning of zero-shot
# models", CVPR 2022): half of it is better than all where the base knows more than the few pairs show.
_SHARES = (1.0, 0.5)
# Window of `box_ssim_loss`.
_SSIM_BOX_PX = 9
# Photographs may be taken from any distance; the scale of images from above is that of the sensor.
_PHOTOGRAPHS = Augmentation(smallest_area=0.45, aspect=0.25, zoom=(0.35, 1.0))
_FROM_ABOVE = Augmentation(rotate90=True)
# Bands that the base model does not have.
_NEW_BAND_NM = {"fwhm_nm": 20.0, "tolerance_nm": 15.0}
_SAME_NM = 5.0
_BOUND_PX = 20_000  # of each image
_LONGEST = 2000  # text of a card
_MEASURES = (metrics.psnr, metrics.ssim, metrics.angular_error_deg)


class ImageScores(NamedTuple):
    """Scores of one image, as `nircolor.metrics` defines them."""

    psnr_db: float
    ssim: float
    angular_error_deg: float


@dataclass(frozen=True)
class HeldOut:
    """An image that was held out.

    Attributes:
        name: Name of the pair.
        before: Scores of the base model.
        after: Scores of the fine-tuned model.
    """

    name: str
    before: ImageScores
    after: ImageScores


@dataclass(frozen=True)
class FineTuned:
    """Result of `finetune`.

    Attributes:
        card: Model card of the file; None if no file was written.
        base: Name of the base model.
        trained_on: Names of the pairs that the model was trained on.
        held_out: Scores of the pairs that were held out.
        order: How they were chosen: the last ones by "time" or "name"; None if a table names them.
        steps: Number of training steps.
        failures: Pairs that could not be used, with the error of each.
    """

    card: Card | None
    base: str
    trained_on: list[str]
    held_out: list[HeldOut]
    order: Order | None
    steps: int
    failures: list[tuple[Path, NircolorError]]

    def means(self) -> tuple[ImageScores, ImageScores]:
        """Return the mean scores before and after, over the pairs held out."""
        before, after = (
            ImageScores(*np.mean([getattr(one, when) for one in self.held_out], 0).tolist())
            for when in ("before", "after")
        )
        return before, after


class NotBetterError(NircolorError):
    """The fine-tuned model is not better than its base on the pairs held out.

    Attributes:
        result: The scores.
    """

    def __init__(self, message: str, result: FineTuned) -> None:
        super().__init__(message)
        self.result = result


def finetune(
    model: str | os.PathLike[str],
    pairs: SetSource,
    output: str | os.PathLike[str],
    *,
    bands_nm: Sequence[float] | None = None,
    holdout: int | None = None,
    order: Order | None = None,
    table: str | os.PathLike[str] | None = None,
    steps: int = 200,
    seed: int = 0,
    overwrite: bool = False,
    on_progress: Progress | None = None,
) -> FineTuned:
    """Adapt a model to a few pairs, and write it if it is better than before on pairs held out.

    The last pairs by time or name are held out. A fifth of the others decides when the training stops, and
    whether all or half of the change of the weights is kept; then the model is trained on all of these others
    for as many steps. The error bound of a model that has one is adjusted on the pairs held out.

    Args:
        model: Shipped model, or the path of a model file.
        pairs: Five or more pairs in a folder, two folders as ``"NIR,RGB"``, a YAML of sets, or a `PairedSet`.
        output: Model file to write, ``.onnx`` or ``.safetensors``.
        bands_nm: Wavelengths of the NIR bands to use. Default: those of the YAML, or of the model. The first
            layer of the model is adapted to other bands.
        holdout: Number of pairs to hold out, at least 2. Default: a fifth.
        order: "time" to hold out the last pairs by EXIF date, "name" by name. Default: by time if the files
            have dates.
        table: CSV of places and splits, see `nircolor.pairs.PairedSet`: pairs of one place stay together, and
            pairs of the split ``val`` are held out instead of the last ones.
        steps: Largest number of steps.
        seed: Seed of the samples.
        overwrite: Replace an existing model file.
        on_progress: Called with the steps done and their largest number.

    Returns:
        The scores before and after, and the card of the model file.

    Raises:
        NircolorError: The model, the pairs or the output cannot be used; or there are fewer than five pairs.
        NotBetterError: The model did not get better; nothing was written.

    Examples:
        >>> result = finetune("scene", "pairs/", "my-model.onnx")  # doctest: +SKIP
        >>> result.held_out[0].after.psnr_db  # doctest: +SKIP
        21.4
    """
    output = Path(output)
    check_output(output, overwrite=overwrite)
    if holdout is not None and holdout < _FEWEST_HELD_OUT:
        raise NircolorError(f"--holdout: expected {_FEWEST_HELD_OUT} or more pairs, got {holdout}")
    path = find_weights(model)
    network, card = load_network(path)
    check_engine(network, card.architecture, output)
    opened = open_set(pairs, "training", table=table)
    bands = _bands(card, bands_nm, opened.bands)
    network, arguments = with_bands(
        network,
        card.architecture,
        card.arguments,
        [band.center_nm for band in card.bands],
        [band.center_nm for band in bands],
    )
    all_pairs = with_white(opened.pairs, card.white_reflectance)
    images, failures = read_few(all_pairs, bands, card, _LARGEST_PX)
    if len(images) < _FEWEST_PAIRS:
        first = f"; the first that cannot be used: {failures[0][1]}" if failures else ""
        raise NircolorError(
            f"{opened.title}: expected at least {_FEWEST_PAIRS} pairs to fine-tune, got {len(images)}{first}"
        )
    usable = [pair for pair in all_pairs if pair.name in images]
    split = hold_out(usable, holdout or max(_FEWEST_HELD_OUT, round(len(usable) / 5)), order)
    if len(split.train) < _FEWEST_TRAINED_ON:
        raise NircolorError(
            f"{opened.title}: expected {_FEWEST_TRAINED_ON} or more pairs beside those held out, got "
            f"{len(split.train)}; lower --holdout"
        )
    trained, steps_taken = _train(network, images, split, steps, seed, on_progress)
    test = [image for pair in split.test for image in images[pair.name]]
    before, after = _scores(network, test), _scores(trained, test)
    result = FineTuned(
        card=None,
        base=card.name,
        trained_on=[pair.name for pair in split.train],
        held_out=[HeldOut(pair.name, before[pair.name], after[pair.name]) for pair in split.test],
        order=split.order,
        steps=steps_taken,
        failures=failures,
    )
    was, now = result.means()
    if now.psnr_db <= was.psnr_db:
        raise NotBetterError(
            f"{output}: not written, since training did not help: the mean PSNR of the "
            f"{count_of(len(split.test), 'pair')} held out went from {was.psnr_db:.2f} to "
            f"{now.psnr_db:.2f} dB; more or better aligned pairs may help",
            result,
        )
    _adjust_bound(trained, test)
    # the card travels with the file, and paths are nobody else's business
    folder = "" if isinstance(pairs, PairedSet) else f" of {Path(os.fspath(pairs).partition(',')[0]).name}"
    described = _describe(card, bands, result, folder, output)
    network_of_card = TrainedNetwork(trained, card.architecture, arguments, described)
    written = write_network(
        network_of_card, output, f"{output}: its card", scores=_card_scores(result, folder)
    )
    return replace(result, card=written.card)


def _bands(card: Card, bands_nm: Sequence[float] | None, of_set: Bands) -> tuple[Band, ...]:
    """Return the bands to fine-tune for: those of the model where it has them."""
    if bands_nm is None:
        return of_set or card.bands
    bands = []
    for nm in bands_nm:
        known = [band for band in card.bands if abs(band.center_nm - nm) <= min(band.tolerance_nm, _SAME_NM)]
        try:
            bands.append(known[0] if known else Band(center_nm=nm, **_NEW_BAND_NM))
        except ValidationError as error:
            raise NircolorError(f"--bands: expected wavelengths in nm, got {nm:g}") from error
    return tuple(bands)


def _train(
    network: Network,
    images: Mapping[str, Sequence[ImagePair]],
    split: Holdout,
    steps: int,
    seed: int,
    on_progress: Progress | None,
) -> tuple[Network, int]:
    """Find the number of steps and the share of the change to keep on a part of the pairs; train on all."""
    held_back = max(1, len(split.train) // 5)
    train, val = _flat(images, split.train[:-held_back]), _flat(images, split.train[-held_back:])
    every = [*train, *val]
    augmentation = _FROM_ABOVE if network.context_px is None else _PHOTOGRAPHS
    shortest = min(min(image.pixels.shape[1:]) for image in every)
    # smaller images are enlarged
    fitting = min(_TILE_PX, shortest) // network.multiple_of * network.multiple_of
    smallest = -(-max(network.minimum_px, _SSIM_BOX_PX) // network.multiple_of) * network.multiple_of
    tile_px = max(fitting, smallest)
    # not the score of the base model: the pairs held out decide whether training has helped
    first = min(steps, _FEWEST_STEPS)
    best, best_step, best_share = -math.inf, first, 1.0

    def search(step: int, averaged: Network) -> bool:
        nonlocal best, best_step, best_share
        if on_progress is not None:
            on_progress(step, 2 * steps)
        if step >= first and step % _STEPS_BETWEEN_SCORES == 0:
            for share in _SHARES:
                if (psnr := _mean_psnr(between(network, averaged, share), val)) > best:
                    best, best_step, best_share = psnr, step, share
        return step < best_step + _PATIENCE * _STEPS_BETWEEN_SCORES

    train_on_few(network, train, augmentation, tile_px, steps, seed, search)

    def finish(step: int, _: Network) -> bool:
        if on_progress is not None:
            on_progress(2 * steps - best_step + step, 2 * steps)
        return True

    trained = train_on_few(network, every, augmentation, tile_px, best_step, seed, finish)
    return between(network, trained, best_share), best_step


def _flat(images: Mapping[str, Sequence[ImagePair]], pairs: Sequence[Pair]) -> list[ImagePair]:
    return [image for pair in pairs for image in images[pair.name]]


def _predictions(
    network: Network, images: Sequence[ImagePair], largest_px: int
) -> Iterator[tuple[str, Floats, Floats, Mask]]:
    """Yield the name, the output (C, h, w), the true colours (3, h, w) and the valid pixels of each image."""
    if network.working_pixels is not None:
        largest_px = min(largest_px, math.isqrt(network.working_pixels))
    whole = ValidationImages(images, network, largest_px)
    network.eval()
    for index in range(len(whole)):
        sample = whole[index]
        tensors = [value for key in ("nir", "context") if isinstance(value := sample.get(key), Tensor)]
        with torch.no_grad():
            output = network(*(tensor[None] for tensor in tensors))[0]
        rgb, valid = sample["rgb"], sample["valid"]
        assert isinstance(rgb, Tensor)
        assert isinstance(valid, Tensor)
        output[:3].clamp_(0, 1)
        colours, mask = output.numpy(), valid[0].numpy() > 0
        if network.working_pixels is not None:
            # as at run time
            nir = tensors[0].mean(0).numpy()
            grid = ColourGrid.fit(nir, colours, mask)
            colours = grid.apply(nir, (0, 0), nir.shape, with_error=len(colours) > 3)
            np.clip(colours[:3], 0, 1, out=colours[:3])
        yield str(sample["name"]), colours, rgb.clamp(0, 1).numpy(), mask


def _mean_psnr(network: Network, images: Sequence[ImagePair]) -> float:
    found = [
        metrics.psnr(output[:3], rgb, valid)
        for _, output, rgb, valid in _predictions(network, images, _SEARCH_PX)
        if valid.any()
    ]
    return float(np.mean(found))


def _scores(network: Network, images: Sequence[ImagePair]) -> dict[str, ImageScores]:
    """Score each image; the mean over the blocks of a large one."""
    found: dict[str, list[ImageScores]] = {}
    for name, output, rgb, valid in _predictions(network, images, _LARGEST_PX):
        try:
            one = ImageScores(*(measure(output[:3], rgb, valid) for measure in _MEASURES))
        except ValueError as error:
            raise NircolorError(f"{name}: cannot be scored: {error}") from error
        found.setdefault(name, []).append(one)
    return {name: ImageScores(*np.mean(scores, 0).tolist()) for name, scores in found.items()}


def _adjust_bound(network: Network, images: Sequence[ImagePair]) -> None:
    """Multiply the bound of the error such that it holds on images that the network was not trained on."""
    head = network.error_head()
    if head is None or network.error_quantile is None:
        return
    bounds, errors = [], []
    for _, output, rgb, valid in _predictions(network, images, _LARGEST_PX):
        error = np.sqrt(np.square(output[:3] - rgb).mean(0))[valid]
        step = max(1, len(error) // _BOUND_PX)
        bounds.append(output[3][valid][::step])
        errors.append(error[::step])
    all_bounds, all_errors = (torch.from_numpy(np.concatenate(values)) for values in (bounds, errors))
    last = head[-1]
    assert isinstance(last, nn.Conv2d)
    assert last.bias is not None
    with torch.no_grad():
        last.bias += math.log(calibration_factor(all_bounds, all_errors, network.error_quantile))


def _describe(
    card: Card, bands: tuple[Band, ...], result: FineTuned, folder: str, output: Path
) -> dict[str, Any]:
    """Return the fields of the new card that its author would write."""
    pairs = f"{count_of(len(result.trained_on), 'pair')}{folder}"
    return {
        "name": re.sub(r"[^a-z0-9_.-]+", "-", output.stem.lower()).lstrip("_.-") or "mine",
        "summary": f"{card.summary}, fine-tuned from {card.name} on {pairs}"[:_LONGEST],
        "bands": bands,
        "encoding": card.encoding,
        "white_reflectance": card.white_reflectance,
        "licence": {
            "weights": card.licence.weights,
            "training_data": f"{card.licence.training_data}; then {pairs}"[:_LONGEST],
        },
    }


def _card_scores(result: FineTuned, folder: str) -> tuple[CardScore, ...]:
    before, after = result.means()
    held_out = f"{count_of(len(result.held_out), 'pair')} held out{folder}"
    return tuple(
        CardScore(data=f"{held_out}, {which}"[:_LONGEST], **scores._asdict(), source="nircolor finetune")
        for which, scores in (("fine-tuned", after), (f"before ({result.base})", before))
    )
