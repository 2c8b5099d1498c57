"""The trivial colorizers, fitted, as they take part in an evaluation."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from nircolor.arrays import Floats, Mask
from nircolor.errors import NircolorError
from nircolor.evaluation.baselines import (
    LinearMap,
    Moments,
    NirCopied,
    linear_ridge,
    mean_color,
    transfer_matrix,
)
from nircolor.evaluation.contestants import Bands, Contestant, Progress
from nircolor.pairs import Pair, read_colour, read_pair

_MEAN = "mean colour"
_LEARNERS = {_MEAN: mean_color, "transfer matrix": transfer_matrix, "linear ridge": linear_ridge}
# the whole of the structure-aware paper's [16]: Fu, Jung, Su, "Color Recovery from Multi-Spectral NIR Images
# Using Gray Information", ACM Multimedia Asia 2019
_GIVEN_GRAY = "transfer matrix given gray"
_RGB_TO_GRAY = np.array([[0.2989, 0.5870, 0.1140]], np.float32)


def distinct_bands(contestants: Iterable[Contestant], of_set: Bands, pairs: Sequence[Pair]) -> list[Bands]:
    """The bands that the contestants see, each once; ``of_set`` where none says.

    Bands that read the same from a pair are the same: files of one band state no wavelength.

    Raises:
        NircolorError: no pair has these bands.
    """
    wanted: list[Bands] = list(dict.fromkeys(one.bands for one in contestants if one.bands is not None))
    for pair in pairs:
        different: dict[bytes, Bands] = {}
        try:
            for bands in wanted or [of_set]:
                different.setdefault(read_pair(pair, bands)[0].tobytes(), bands)
        # scoring says what is wrong with it
        except NircolorError as error:
            unreadable = error
            continue
        return list(different.values())
    raise unreadable


def fitted_baselines(
    pairs: Sequence[Pair],
    training: Sequence[Pair],
    bands: Sequence[Bands],
    on_progress: Progress,
    *,
    given_gray: bool = False,
) -> list[Contestant]:
    """The trivial colorizers for each choice of bands.

    With ``given_gray`` there is one more that sees the gray version of the truth beside the bands, which no
    other method does.

    They learn from ``training``. Where there is none, they learn from the evaluated pairs themselves, for
    each image from those of all other places; with one place only, those that learn are left out.
    """
    fitted: list[Contestant] = []
    for choice in bands:
        suffix = f", {'/'.join(f'{band.center_nm:g}' for band in choice)} nm" if choice and bands[1:] else ""
        fitted.append(Contestant(f"NIR copied{suffix}", "baseline", _COPIED, _copied, choice))
        learners = [
            _Learner(name if name == _MEAN else name + suffix, make()) for name, make in _LEARNERS.items()
        ]
        if given_gray:
            learners.append(_Learner(_GIVEN_GRAY + suffix, transfer_matrix(), given_gray=True))
        if choice != bands[0]:
            # it is the same whatever the bands
            del learners[0]
        _teach(learners, pairs, training, choice, on_progress)
        origin = (
            f"fitted on {len(training)} training pairs"
            if training
            else "fitted, for each image, on the set's images of all other places"
        )
        fitted += [
            Contestant(one.label, "baseline", origin, one.predict, choice)
            for one in learners
            if one.knows_enough
        ]
    return fitted


_COPIED = "the NIR three times, of several bands their mean"


def _copied(_pair: Pair, nir: Floats, _valid: Mask) -> Floats:
    return NirCopied().predict(nir)


@dataclass
class _Learner:
    """A linear map that colours each image by what other places taught; None is a place of its own."""

    label: str
    linear: LinearMap
    given_gray: bool = False
    taught: dict[str | None, Moments] = field(default_factory=dict)
    total: Moments | None = None

    def learn(self, place: str | None, nir: Floats, rgb: Floats, valid: Mask) -> None:
        moments = self.linear.moments(self._with_gray(nir, rgb), rgb, valid)
        self.taught[place] = self.taught[place] + moments if place in self.taught else moments
        self.total = moments if self.total is None else self.total + moments

    @property
    def knows_enough(self) -> bool:
        return None in self.taught or len(self.taught) > 1

    def predict(self, pair: Pair, nir: Floats, _valid: Mask) -> Floats:
        assert self.total is not None
        own = self.taught.get(pair.place)
        if self.given_gray:
            rgb, _ = read_colour(pair.rgb, pair.name, rgb_nm=pair.rgb_nm, scale=pair.rgb_scale)
            nir = self._with_gray(nir, rgb)
        return self.linear.solve(self.total if own is None else self.total - own).predict(nir)

    def _with_gray(self, nir: Floats, rgb: Floats) -> Floats:
        return np.concatenate([nir, np.tensordot(_RGB_TO_GRAY, rgb, 1)]) if self.given_gray else nir


def _teach(
    learners: Sequence[_Learner],
    pairs: Sequence[Pair],
    training: Sequence[Pair],
    bands: Bands,
    on_progress: Progress,
) -> None:
    teachers = training or pairs
    for done, pair in enumerate(teachers):
        on_progress("fitting the baselines", done, len(teachers))
        try:
            nir, rgb, valid = read_pair(pair, bands)
        except NircolorError:
            if training:
                raise
            # scoring says what is wrong with it
            continue
        for one in learners:
            one.learn(None if training else pair.place, nir, rgb, valid)
