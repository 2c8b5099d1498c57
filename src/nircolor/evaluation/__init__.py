"""One protocol for all colorizers, its reports, and the trivial colorizers that belong in every table."""

from nircolor.evaluation.evaluation import Evaluation
from nircolor.evaluation.figure import write_figure
from nircolor.evaluation.gallery import Gallery
from nircolor.evaluation.report import write_report
from nircolor.evaluation.run import evaluate

__all__ = ["Evaluation", "Gallery", "evaluate", "write_figure", "write_report"]
