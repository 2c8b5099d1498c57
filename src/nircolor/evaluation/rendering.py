"""Text and images of a report: `render_html`, `render_markdown` and the pages of single images."""

import itertools
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from nircolor.arrays import Floats
from nircolor.evaluation.evaluation import Evaluation, Method, ScoreTable, interval, number
from nircolor.evaluation.gallery import ERROR_LIMIT, Gallery, error_colors, reduced
from nircolor.evaluation.scores import MEASURES, Measure, by_method
from nircolor.evaluation.statistics import PairedDifference
from nircolor.imagery.output.data_uris import EncodedImage, encode_jpeg, encode_png
from nircolor.modelfile import describe_bands
from nircolor.texts import count_of

# measures in the tables of differences
_COMPARED = ("psnr_db", "ssim", "angular_error_deg", "gradient_energy_ratio")
# images of up to this size are stored as PNG, since JPEG would blur their colours
_SMALL_PX = 128
_THUMBNAIL_PX = 160


@dataclass(frozen=True)
class Panel:
    """Image, error map and scores of one method; ``evaluated`` is False for baselines."""

    label: str
    evaluated: bool
    image: EncodedImage
    error: EncodedImage
    scores: dict[str, float]


@dataclass(frozen=True)
class Page:
    """Images of one pair.

    Attributes:
        name: Name of the pair.
        slug: Name for links and files; see `slugs`.
        highlight: ``Best``, ``Median``, ``Worst``, or empty.
        rank: Rank among all images, from 1.
        width: Width of the images in px.
        height: Height of the images in px.
        enlarged: Whether the images are small and shown enlarged, without interpolation.
        nir: NIR image; see `gallery.DisplayImages`.
        truth: True colours; see `gallery.DisplayImages`.
        thumbnail: Reduced image by the first evaluated method.
        panels: Methods in the order of the tables.
    """

    name: str
    slug: str
    highlight: str
    rank: int
    width: int
    height: int
    enlarged: bool
    nir: EncodedImage
    truth: EncodedImage
    thumbnail: EncodedImage
    panels: list[Panel]


def make_pages(evaluation: Evaluation, gallery: Gallery, count: int) -> list[Page]:
    """Make the pages of at most ``count`` images, best first; see `chosen`."""
    order = evaluation.ranked()
    slug, highlights = slugs(order), notable(order)
    scores = scores_by_image(evaluation)
    evaluated = {one.label for one in evaluation.evaluated()}
    pages = []
    for name in chosen(order, count):
        shown = gallery.images(name)
        height, width = shown.truth.shape[1:]
        small = max(height, width) <= _SMALL_PX
        encode = encode_png if small else encode_jpeg
        first = shown.predicted[evaluation.evaluated()[0].label]
        pages.append(
            Page(
                name,
                slug[name],
                highlights.get(name, ""),
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
                        method.label in evaluated,
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
    """Return ``{image: {method: {measure: score}}}``, means over runs."""
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


def render_html(evaluation: Evaluation, tables: list[ScoreTable], pages: list[Page], plot: str) -> str:
    """Render the HTML page, without external files; ``plot`` is an SVG with links to ``#image-SLUG``."""
    return _render(
        _environment(autoescape=True),
        "report.html.j2",
        evaluation,
        tables,
        pages=_neighbours(pages),
        notable=[page for page in pages if page.highlight],
        plot=Markup(plot),
        error_limit=f"{ERROR_LIMIT:g}",
        error_colors=", ".join(error_colors(17)),
    )


def render_markdown(
    evaluation: Evaluation, tables: list[ScoreTable], pages: list[Page]
) -> tuple[str, dict[str, EncodedImage]]:
    """Render the Markdown text; also return its images by file name, without ``per_image.svg``."""
    files: dict[str, EncodedImage] = {}
    labels = slugs(method.label for method in evaluation.methods)

    def file(page: Page, kind: str, image: EncodedImage) -> Markup:
        """Register an image and return its file name."""
        name = f"images/{page.slug}-{kind}.{_EXTENSION[image.kind]}"
        files[name] = image
        return Markup(name)

    text = _render(
        _environment(autoescape=False, finalize=escape_markdown),
        "report.md.j2",
        evaluation,
        tables,
        notable=[page for page in pages if page.highlight],
        file=file,
        labels={label: f"by-{slug}" for label, slug in labels.items()},
        code=Markup("".join(f"    {line}\n" for line in evaluation.command.splitlines())),
    )
    return text, files


def escape_markdown(value: Any) -> str:
    """Escape text for Markdown, in one line, also in tables; Markup is returned unchanged."""
    if isinstance(value, Markup):
        return value
    text = " ".join(str(value).splitlines())
    # an underscore within a word needs no escape
    return re.sub(r"[\\`*\[\]<>|&~#$]|(?<![^\W_])_|_(?![^\W_])", r"\\\g<0>", text)


_EXTENSION = {"jpeg": "jpg", "png": "png"}


def _environment(**options: Any) -> Environment:
    return Environment(
        loader=PackageLoader("nircolor.evaluation"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        **options,
    )


def _render(
    environment: Environment, name: str, evaluation: Evaluation, tables: list[ScoreTable], **more: Any
) -> str:
    functions: dict[str, Callable[..., str]] = {
        "number": number,
        "interval": interval,
        "difference": difference,
        "verdict": verdict,
    }
    return environment.get_template(name).render(
        evaluation=evaluation,
        tables=tables,
        resampled="images" if evaluation.places is None else f"places (by the {evaluation.places.source})",
        introduction=_introduction(evaluation, tables),
        first=evaluation.evaluated()[0].label,
        evaluated=[method.label for method in evaluation.evaluated()],
        measures=MEASURES,
        compared=[measure for measure in MEASURES if measure.key in _COMPARED],
        card=_card,
        **functions,
        **more,
    )


def _introduction(evaluation: Evaluation, tables: list[ScoreTable]) -> str:
    """Summarize the report in one paragraph of plain text."""
    first = evaluation.evaluated()
    others = [method.label for method in evaluation.methods if method not in first]
    totals = tables[0].totals
    psnr_db, ssim, angular = MEASURES[:3]
    best = min(first, key=lambda method: float(psnr_db.cost(totals[method.label]["psnr_db"].value)))
    found = totals[best.label]
    ends = interval(found["psnr_db"].interval, psnr_db)
    by_others = f" and by the trivial colorizers {', '.join(others)}" if others else ""
    leader = f"The best of these, {best.label}, reaches" if len(first) > 1 else "It reaches"
    sentences = [
        f"{count_of(len(tables[0].names), 'image')} of {evaluation.data}, colorized by "
        f"{', '.join(method.label for method in first)}{by_others}",
        f"{leader} {number(found['psnr_db'].value, psnr_db)} dB PSNR"
        + (f" (95% interval {ends})" if ends else "")
        + f", SSIM {number(found['ssim'].value, ssim)}, "
        f"angular error {number(found['angular_error_deg'].value, angular)}°",
    ]
    if evaluation.training:
        seen = len({one.name for one in evaluation.seen})
        sentences.append(
            f"The training set, {evaluation.training}, contains {count_of(seen, 'image')} of these too"
        )
    return ". ".join(sentences) + "."


def _neighbours(pages: list[Page]) -> list[tuple[Page | None, Page, Page | None]]:
    """Return each page between its predecessor and its successor."""
    return [
        (pages[place - 1] if place else None, page, pages[place + 1] if page is not pages[-1] else None)
        for place, page in enumerate(pages)
    ]


def _card(method: Method) -> list[tuple[str, str]]:
    """Return headings and texts of a model's card."""
    card = method.card
    if card is None:
        return []
    rows = [
        ("Model", f"{card.name}: {card.summary}"),
        ("Bands", f"{describe_bands(card.bands)}, {card.encoding}"),
        ("Architecture", f"{card.architecture} {json.dumps(card.arguments, ensure_ascii=False)}"),
        ("Work", f"{card.multiply_adds_per_px:,.0f} multiply-adds per pixel, in {card.engine}"),
        ("Licence of the weights", card.licence.weights),
        ("Training data", card.licence.training_data),
    ]
    stated = [
        f"{score.data}: {score.psnr_db:g} dB, SSIM {score.ssim:g}, {score.angular_error_deg:g}° "
        f"({score.source})"
        for score in card.scores
    ]
    return rows + ([("Scores by its card", "; ".join(stated))] if stated else [])


def notable(names: Sequence[str]) -> dict[str, str]:
    """Return the best, median and worst of ranked images: ``{name: "Best"}``."""
    places = {"best": 0, "median": (len(names) - 1) // 2, "worst": len(names) - 1}
    found: dict[str, list[str]] = {}
    for title, place in places.items():
        found.setdefault(names[place], []).append(title)
    return {name: ", ".join(titles).capitalize() for name, titles in found.items()}


def chosen(names: Sequence[str], count: int) -> list[str]:
    """Choose at most ``count`` of ranked images, in order: the notable ones, and others at even distances."""
    kept = list(notable(names))[:count]
    rest = [name for name in names if name not in kept]
    more = min(count - len(kept), len(rest))
    # divide the rest into equal parts and take the middle of each
    kept += [rest[int((place + 0.5) * len(rest) / more)] for place in range(more)]
    return [name for name in names if name in kept]


def slugs(names: Iterable[str]) -> dict[str, str]:
    """Map names to unique names for files and links, of ASCII letters, digits and ``_.-``."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9_.]+", "-", name)[:80].strip("-.") or "unnamed"
        numbered = (f"{plain}-{count}" for count in itertools.count(2))
        # some file systems do not distinguish A.jpg and a.jpg
        found[name] = next(slug for slug in itertools.chain([plain], numbered) if slug.lower() not in taken)
        taken.add(found[name].lower())
    return found


def difference(found: PairedDifference, measure: Measure) -> str:
    """Format ``+0.52 (+0.31 to +0.73), won 83%``."""
    digits = measure.digits
    ends = "" if np.isnan(found.low) else f" ({found.low:+.{digits}f} to {found.high:+.{digits}f})"
    return f"{found.mean:+.{digits}f}{ends}, won {found.win_rate:.0%}"


def verdict(found: PairedDifference, measure: Measure) -> str:
    """Return ``better`` or ``worse`` if the interval excludes zero, else nothing."""
    if not (found.low > 0 or found.high < 0):
        return ""
    return "better" if (found.low > 0) == (measure.better == "higher") else "worse"
