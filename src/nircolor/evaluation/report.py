"""The report of an evaluation: a page that opens anywhere, Markdown, JSON and tables, all of one content."""

import json
import tempfile
from pathlib import Path
from typing import Any

from nircolor.errors import NircolorError
from nircolor.evaluation.evaluation import Evaluation
from nircolor.evaluation.gallery import Gallery
from nircolor.evaluation.pages import Page, make_pages
from nircolor.evaluation.plots import per_image_svg
from nircolor.evaluation.record import card_scores, record
from nircolor.evaluation.rendering import render_html, render_markdown
from nircolor.evaluation.scorecard import by_method, write_csv
from nircolor.evaluation.summary import judged, summarise
from nircolor.imagery.gdal import reason

FILES = ("report.html", "report.md", "report.json", "per_image.csv", "per_image.svg")
# further ones, as the evaluation is
_MORE = ("card_scores*.json", "images/*-nir.???", "images/*-truth.???", "images/*-by-*.???")


def write_report(evaluation: Evaluation, folder: Path, gallery: Gallery | None, images: int = 24) -> None:
    """Write a report, replacing an older one; nothing is replaced before all could be made.

    Args:
        evaluation: what it tells.
        folder: gets `FILES` and ``card_scores.json``, for ``nircolor export --scores``, where one model
            was evaluated; of several each has its own, ``card_scores-LABEL.json``. With a gallery also
            ``images/``, for the Markdown.
        gallery: its images. None: the report has none.
        images: at most so many have a page of their own.

    Raises:
        NircolorError: the folder cannot be written.
        ValueError: no image was scored.
    """
    if not evaluation.rows:
        raise ValueError("expected an evaluation with scored images, got none")
    pages = [] if gallery is None else make_pages(evaluation, gallery, images)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".report-", dir=folder) as draft:
            _write(evaluation, pages, Path(draft), folder)
            _move(Path(draft), folder)
    except OSError as error:
        raise NircolorError(f"{folder}: the report cannot be written ({reason(error)})") from error


def _write(evaluation: Evaluation, pages: list[Page], draft: Path, folder: Path) -> None:
    def write(name: str, text: str) -> None:
        (draft / name).write_text(text, encoding="utf-8")

    summaries = summarise(evaluation)
    write_csv(evaluation.rows, draft / "per_image.csv")
    write("report.json", _json(record(evaluation, summaries)))
    for name, scores in card_scores(evaluation, summaries, folder).items():
        write(name, _json(scores))
    write("per_image.svg", _plot(evaluation, {}))
    links = {page.name: f"#image-{page.slug}" for page in pages}
    write("report.html", render_html(evaluation, summaries, pages, _plot(evaluation, links)))
    text, beside = render_markdown(evaluation, summaries, pages)
    write("report.md", text)
    for name, image in beside.items():
        (draft / name).parent.mkdir(exist_ok=True)
        (draft / name).write_bytes(image.data)


def _move(draft: Path, folder: Path) -> None:
    files = {file: folder / file.relative_to(draft) for file in sorted(draft.rglob("*")) if file.is_file()}
    for target in files.values():
        target.parent.mkdir(exist_ok=True)
        if target.is_dir():
            raise IsADirectoryError(0, f"{target.name} is a folder")
    for pattern in _MORE:
        # an older report's would say otherwise
        for stale in set(folder.glob(pattern)) - set(files.values()):
            stale.unlink()
    for file, target in files.items():
        file.replace(target)


def _plot(evaluation: Evaluation, links: dict[str, str]) -> str:
    first = judged(evaluation)
    return per_image_svg(
        by_method(evaluation.rows),
        list(dict.fromkeys(row.name for row in evaluation.rows)),
        [one.label for one in first],
        [one.label for one in evaluation.methods if one not in first],
        links,
    )


def _json(content: Any) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
