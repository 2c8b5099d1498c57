"""The command ``nircolor leaks``: images that two sets share."""

import sys
import warnings
from pathlib import Path

from nircolor.app.console import ProgressBar, errors, show_warnings
from nircolor.pairs.leaks import compare_images, open_for_comparison, write_leaks


def run(first: str, second: str, *, same_scale: bool, table: Path | None) -> None:
    """Print each leak as a row of CSV, and the number of leaks.

    Raises:
        NircolorError: A set cannot be opened, or an image cannot be read.
        SystemExit: With code 1 if there are leaks.
    """
    with warnings.catch_warnings(), ProgressBar("comparisons") as bar:
        show_warnings()
        images, others = open_for_comparison(first, second, table)
        leaks = compare_images(images, others, same_scale=same_scale, on_progress=bar.update)
    if leaks:
        write_leaks(leaks, sys.stdout)
    errors.print(f"{len(leaks)} of {len(images)} images of {first} are among the {len(others)} of {second}")
    if leaks:
        sys.exit(1)
