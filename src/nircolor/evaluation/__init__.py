"""Evaluate colorizers on pairs of NIR and colour images: `evaluate`, its result, and its report."""

from nircolor.evaluation.evaluation import Evaluation
from nircolor.evaluation.gallery import Gallery, write_figure
from nircolor.evaluation.report import write_report
from nircolor.evaluation.run import evaluate
from nircolor.evaluation.scores import Scores, score

__all__ = ["Evaluation", "Gallery", "Scores", "evaluate", "score", "write_figure", "write_report"]
