"""What a report says, through its two templates."""

import json
import re
from collections.abc import Callable
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from nircolor.evaluation import summary as summing
from nircolor.evaluation.evaluation import Evaluation, Method
from nircolor.evaluation.gallery import ERROR_LIMIT, error_colors
from nircolor.evaluation.measures import MEASURES
from nircolor.evaluation.pages import Page
from nircolor.evaluation.summary import Summary, judged, slugs
from nircolor.imagery.embedded import Encoded
from nircolor.modelfile import describe_bands

# what the tables of differences are about
_COMPARED = ("psnr_db", "ssim", "angular_error_deg", "gradient_energy_ratio")


def render_html(evaluation: Evaluation, summaries: list[Summary], pages: list[Page], plot: str) -> str:
    """The page, whole in itself; ``plot`` is an SVG whose links lead to ``#image-SLUG``."""
    return _render(
        _environment(autoescape=True),
        "report.html.j2",
        evaluation,
        summaries,
        pages=_neighbours(pages),
        notable=[page for page in pages if page.what],
        plot=Markup(plot),
        error_limit=f"{ERROR_LIMIT:g}",
        error_colors=", ".join(error_colors(17)),
    )


def render_markdown(
    evaluation: Evaluation, summaries: list[Summary], pages: list[Page]
) -> tuple[str, dict[str, Encoded]]:
    """The text, and the files that it shows: ``per_image.svg`` aside, those that it returns by name."""
    beside: dict[str, Encoded] = {}
    labels = slugs(method.label for method in evaluation.methods)

    def file(page: Page, what: str, image: Encoded) -> Markup:
        """Where a image lies beside the text."""
        name = f"images/{page.slug}-{what}.{_EXTENSION[image.kind]}"
        beside[name] = image
        return Markup(name)

    text = _render(
        _environment(autoescape=False, finalize=escape_markdown),
        "report.md.j2",
        evaluation,
        summaries,
        notable=[page for page in pages if page.what],
        file=file,
        labels={label: f"by-{slug}" for label, slug in labels.items()},
        code=Markup("".join(f"    {line}\n" for line in evaluation.command.splitlines())),
    )
    return text, beside


def escape_markdown(value: Any) -> str:
    """Text that Markdown shows as it is, in one line, in tables too; Markup is Markdown already."""
    if isinstance(value, Markup):
        return value
    text = " ".join(str(value).splitlines())
    # an underscore within a word means nothing, and names are full of them
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
    environment: Environment, name: str, evaluation: Evaluation, summaries: list[Summary], **more: Any
) -> str:
    functions: dict[str, Callable[..., str]] = {
        "number": summing.number,
        "interval": summing.interval,
        "difference": summing.difference,
        "verdict": summing.verdict,
    }
    return environment.get_template(name).render(
        evaluation=evaluation,
        summaries=summaries,
        introduction=_introduction(evaluation, summaries),
        first=judged(evaluation)[0].label,
        judged=[method.label for method in judged(evaluation)],
        measures=MEASURES,
        compared=[measure for measure in MEASURES if measure.key in _COMPARED],
        card=_card,
        **functions,
        **more,
    )


def _introduction(evaluation: Evaluation, summaries: list[Summary]) -> str:
    """The report in a paragraph of plain text."""
    first = judged(evaluation)
    others = [method.label for method in evaluation.methods if method not in first]
    totals = summaries[0].totals
    psnr_db, ssim, angular = MEASURES[:3]
    best = min(first, key=lambda method: float(psnr_db.cost(totals[method.label]["psnr_db"].value)))
    found = totals[best.label]
    ends = summing.interval(found["psnr_db"].interval, psnr_db)
    by_others = f" and by the trivial {', '.join(others)}" if others else ""
    leader = f"The best of these, {best.label}, reaches" if len(first) > 1 else "It reaches"
    sentences = [
        f"{_count(len(summaries[0].names), 'image')} of {evaluation.data}, coloured by "
        f"{', '.join(method.label for method in first)}{by_others}",
        f"{leader} {summing.number(found['psnr_db'].value, psnr_db)} dB PSNR"
        + (f" (95% interval {ends})" if ends else "")
        + f", SSIM {summing.number(found['ssim'].value, ssim)}, "
        f"angular error {summing.number(found['angular_error_deg'].value, angular)}°",
    ]
    if evaluation.training:
        seen = len({one.name for one in evaluation.seen})
        sentences.append(
            f"Compared with what was trained on, {evaluation.training}: "
            f"{_count(seen, 'image')} of these {'is' if seen == 1 else 'are'} shown there too"
        )
    return ". ".join(sentences) + "."


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s'[: number != 1]}"


def _neighbours(pages: list[Page]) -> list[tuple[Page | None, Page, Page | None]]:
    """Each page between the one before and the one after it."""
    return [
        (pages[place - 1] if place else None, page, pages[place + 1] if page is not pages[-1] else None)
        for place, page in enumerate(pages)
    ]


def _card(method: Method) -> list[tuple[str, str]]:
    """What a model's card says, heading by heading."""
    card = method.card
    if card is None:
        return []
    rows = [
        ("Model", f"{card.name}: {card.summary}"),
        ("Bands", f"{describe_bands(card.bands)}, {card.encoding}"),
        ("Architecture", f"{card.architecture} {json.dumps(card.arguments, ensure_ascii=False)}"),
        ("Work", f"{card.multiply_adds_per_px:,.0f} multiply-adds a pixel, in {card.engine}"),
        ("Licence of the weights", card.licence.weights),
        ("Training data", card.licence.training_data),
    ]
    stated = [
        f"{score.data}: {score.psnr_db:g} dB, SSIM {score.ssim:g}, {score.angular_error_deg:g}° "
        f"({score.source})"
        for score in card.scores
    ]
    return rows + ([("Scores by its card", "; ".join(stated))] if stated else [])
