"""The images of a report as its page holds them: encoded, with their scores."""

from dataclasses import dataclass

import numpy as np

from nircolor.arrays import Floats
from nircolor.evaluation.evaluation import Evaluation
from nircolor.evaluation.gallery import Gallery, reduced
from nircolor.evaluation.scorecard import by_method
from nircolor.evaluation.summary import chosen, judged, notable, ranked, slugs
from nircolor.imagery.embedded import Encoded, encode_jpeg, encode_png

# JPEG would smear the colours of such a image, and PNG costs little
_SMALL_PX = 128
_THUMBNAIL_PX = 160


@dataclass(frozen=True)
class Panel:
    """A method's image and error map, and its scores by measure."""

    label: str
    judged: bool
    image: Encoded
    error: Encoded
    scores: dict[str, float]


@dataclass(frozen=True)
class Page:
    """One pair's images.

    Attributes:
        name: of the pair.
        slug: `summary.slugs`.
        what: best, median or worst, or nothing.
        rank: among all images, from 1.
        width, height: of the images as they are held here, px.
        enlarged: whether they are so small that they are enlarged, pixels kept sharp.
        nir, truth: see `gallery.Shown`.
        thumbnail: of the first judged method's image.
        panels: in the tables' order.
    """

    name: str
    slug: str
    what: str
    rank: int
    width: int
    height: int
    enlarged: bool
    nir: Encoded
    truth: Encoded
    thumbnail: Encoded
    panels: list[Panel]


def make_pages(evaluation: Evaluation, gallery: Gallery, count: int) -> list[Page]:
    """Of at most ``count`` images, the best first; see `summary.chosen`."""
    order = ranked(evaluation)
    slug, what = slugs(order), notable(order)
    scores = scores_by_image(evaluation)
    known = {one.label for one in judged(evaluation)}
    pages = []
    for name in chosen(order, count):
        shown = gallery.shown(name)
        height, width = shown.truth.shape[1:]
        small = max(height, width) <= _SMALL_PX
        encode = encode_png if small else encode_jpeg
        first = shown.predicted[judged(evaluation)[0].label]
        pages.append(
            Page(
                name,
                slug[name],
                what.get(name, ""),
                order.index(name) + 1,
                width,
                height,
                small,
                encode(shown.nir),
                encode(shown.truth),
                encode(_thumbnail(first)),
                [
                    Panel(
                        method.label,
                        method.label in known,
                        encode(shown.predicted[method.label]),
                        encode(shown.errors[method.label]),
                        scores[name][method.label],
                    )
                    for method in evaluation.methods
                ],
            )
        )
    return pages


def scores_by_image(evaluation: Evaluation) -> dict[str, dict[str, dict[str, float]]]:
    """``{image: {method: {measure: score}}}``, means over runs."""
    names = list(dict.fromkeys(row.name for row in evaluation.rows))
    columns = by_method(evaluation.rows)
    return {
        name: {
            label: {key: values[place] for key, values in measures.items()}
            for label, measures in columns.items()
        }
        for place, name in enumerate(names)
    }


def _thumbnail(image: Floats) -> Floats:
    return reduced(image, np.ones(image.shape[1:], bool), _THUMBNAIL_PX)[0]
