"""An evaluation as plain data, for JSON: what a program reads of it, and what a model's card takes."""

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nircolor.evaluation.evaluation import Evaluation, Method
from nircolor.evaluation.measures import MEASURES
from nircolor.evaluation.summary import Summary, slugs


def record(evaluation: Evaluation, summaries: list[Summary]) -> dict[str, Any]:
    """All that an evaluation holds, numbers in full."""
    return plain(
        {
            "data": evaluation.data,
            "training": evaluation.training,
            "command": evaluation.command,
            "versions": evaluation.versions,
            "conventions": evaluation.conventions,
            "warnings": evaluation.warnings,
            "failures": evaluation.failures,
            "seen": [asdict(one) for one in evaluation.seen],
            "methods": [_method(one) for one in evaluation.methods],
            "summary": [_summary(one) for one in summaries],
            # beside it, see `report.FILES`
            "per_image": "per_image.csv",
        }
    )


def card_scores(
    evaluation: Evaluation, summaries: list[Summary], folder: Path
) -> dict[str, list[dict[str, Any]]]:
    """Rows of `modelfile.CardScore`, one a subset, by file name, for each model of one run."""
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
            for one in summaries
        ]
        for label in models
    }


def plain(value: Any) -> Any:
    """The same of what JSON knows: infinity becomes ``"inf"``, NaN null, tuples lists."""
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


def _summary(summary: Summary) -> dict[str, Any]:
    return {
        "title": summary.title,
        "images": summary.names,
        "methods": {
            label: {
                measure.key: {
                    "centre": measure.centre,
                    "value": totals[measure.key].value,
                    **totals[measure.key].interval._asdict(),
                }
                for measure in MEASURES
            }
            for label, totals in summary.totals.items()
        },
        "comparisons": [
            {
                "method": one.method,
                "other": one.other,
                "differences": {key: found._asdict() for key, found in one.differences.items()},
            }
            for one in summary.comparisons
        ],
    }
