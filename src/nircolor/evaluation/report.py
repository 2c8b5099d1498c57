"""`write_report`: the report of an evaluation as HTML, Markdown, JSON and CSV."""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nircolor.errors import NircolorError
from nircolor.evaluation.evaluation import Evaluation, Method, ScoreTable
from nircolor.evaluation.gallery import Gallery
from nircolor.evaluation.plots import per_image_svg
from nircolor.evaluation.rendering import Page, make_pages, render_html, render_markdown, slugs
from nircolor.evaluation.scores import MEASURES, by_method, write_csv
from nircolor.imagery.gdal import reason
from nircolor.staging import committing, staging_folder

FILES = ("report.html", "report.md", "report.json", "per_image.csv", "per_image.svg")
# patterns of the files whose names depend on the evaluation
_VARIABLE_FILES = ("card_scores*.json", "images/*-nir.???", "images/*-truth.???", "images/*-by-*.???")


def write_report(evaluation: Evaluation, folder: Path, gallery: Gallery | None, images: int = 24) -> None:
    """Write a report; an older report is replaced only after all new files have been made.

    Args:
        evaluation: Evaluation to report.
        folder: Folder for `FILES`; for ``card_scores.json``, the input of ``nircolor export --scores``
            (``card_scores-LABEL.json`` if several models were evaluated); and, with a gallery, for
            ``images/``, to which the Markdown refers.
        gallery: Images of the evaluation. None = a report without images.
        images: Maximum number of images with a page of their own.

    Raises:
        NircolorError: The folder cannot be written.
        ValueError: No image was scored.
    """
    if not evaluation.rows:
        raise ValueError("expected an evaluation with scored images, got none")
    pages = [] if gallery is None else make_pages(evaluation, gallery, images)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with staging_folder(folder) as draft:
            _write(evaluation, pages, draft, folder)
            with committing():
                _move(draft, folder)
    except OSError as error:
        raise NircolorError(f"{folder}: the report cannot be written ({reason(error)})") from error


def _write(evaluation: Evaluation, pages: list[Page], draft: Path, folder: Path) -> None:
    def write(name: str, text: str) -> None:
        (draft / name).write_text(text, encoding="utf-8")

    tables = evaluation.tables()
    write_csv(evaluation.rows, draft / "per_image.csv")
    write("report.json", _json(record(evaluation, tables)))
    for name, scores in card_scores(evaluation, tables, folder).items():
        write(name, _json(scores))
    write("per_image.svg", _plot(evaluation, {}))
    links = {page.name: f"#image-{page.slug}" for page in pages}
    write("report.html", render_html(evaluation, tables, pages, _plot(evaluation, links)))
    text, images = render_markdown(evaluation, tables, pages)
    write("report.md", text)
    for name, image in images.items():
        (draft / name).parent.mkdir(exist_ok=True)
        (draft / name).write_bytes(image.data)


def _move(draft: Path, folder: Path) -> None:
    files = {file: folder / file.relative_to(draft) for file in sorted(draft.rglob("*")) if file.is_file()}
    for target in files.values():
        target.parent.mkdir(exist_ok=True)
        if target.is_dir():
            raise IsADirectoryError(0, f"{target.name} is a folder")
    for pattern in _VARIABLE_FILES:
        # files of an older report
        for stale in set(folder.glob(pattern)) - set(files.values()):
            stale.unlink()
    for file, target in files.items():
        file.replace(target)


def _plot(evaluation: Evaluation, links: dict[str, str]) -> str:
    evaluated = evaluation.evaluated()
    return per_image_svg(
        by_method(evaluation.rows),
        list(dict.fromkeys(row.name for row in evaluation.rows)),
        [one.label for one in evaluated],
        [one.label for one in evaluation.methods if one not in evaluated],
        links,
    )


def _json(content: Any) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def record(evaluation: Evaluation, tables: list[ScoreTable], *, per_image: bool = False) -> dict[str, Any]:
    """Convert an evaluation to plain data for JSON, numbers in full precision.

    Args:
        evaluation: The evaluation.
        tables: Its `Evaluation.tables`.
        per_image: Include the scores of each image, instead of the name of their file.
    """
    rows = [
        {"name": one.name, "method": one.method, "run": one.run} | asdict(one.scores)
        for one in evaluation.rows
    ]
    return plain(
        {
            "data": evaluation.data,
            "training": evaluation.training,
            "command": evaluation.command,
            "versions": evaluation.versions,
            "conventions": evaluation.conventions,
            "warnings": evaluation.warnings,
            "failures": evaluation.failures,
            # of the images that intervals resample together; null: images are resampled one by one
            "places": evaluation.places and {"source": evaluation.places.source, "of": evaluation.places.of},
            "seen": [asdict(one) for one in evaluation.seen],
            "methods": [_method(one) for one in evaluation.methods],
            "summary": [_table(one) for one in tables],
            # else the name of a file in the same folder
            "per_image": rows if per_image else "per_image.csv",
        }
    )


def card_scores(
    evaluation: Evaluation, tables: list[ScoreTable], folder: Path
) -> dict[str, list[dict[str, Any]]]:
    """Return rows of `modelfile.CardScore`, one per subset, by file name, for each model with one run."""
    models = [one.label for one in evaluation.methods if one.kind == "model" and len(one.origin) == 1]
    slug = slugs(models)
    return {
        "card_scores.json" if len(models) == 1 else f"card_scores-{slug[label]}.json": [
            {
                "data": f"{evaluation.data}, {one.title[:1].lower()}{one.title[1:]}",
                **{
                    key: plain(round(one.totals[label][key].value, 3))
                    for key in ("psnr_db", "ssim", "angular_error_deg")
                },
                "source": (folder / "report.md").as_posix(),
            }
            for one in tables
        ]
        for label in models
    }


def plain(value: Any) -> Any:
    """Convert a value to JSON types: infinity becomes ``"inf"``, NaN null, tuples lists."""
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value


def _method(method: Method) -> dict[str, Any]:
    card = None if method.card is None else method.card.model_dump(mode="python")
    return {"label": method.label, "kind": method.kind, "origin": method.origin, "card": card}


def _table(table: ScoreTable) -> dict[str, Any]:
    return {
        "title": table.title,
        "images": table.names,
        "places": table.places,
        "methods": {
            label: {
                measure.key: {
                    "centre": measure.centre,
                    "value": totals[measure.key].value,
                    **totals[measure.key].interval._asdict(),
                }
                for measure in MEASURES
            }
            for label, totals in table.totals.items()
        },
        "comparisons": [
            {
                "method": one.method,
                "other": one.other,
                "differences": {key: found._asdict() for key, found in one.differences.items()},
            }
            for one in table.comparisons
        ],
    }
