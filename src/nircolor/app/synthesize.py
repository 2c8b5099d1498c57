"""Run `nircolor synthesize`: progress bar, summary and exit code around `nircolor.spectral.synthesize`."""

import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nircolor.app.console import ProgressBar, conclude, errors, show_warnings
from nircolor.spectral import synthesize


def run(captures: Sequence[Path], output: Path, **options: Any) -> None:
    """Make pairs and print a summary.

    Args:
        captures, output, options: Arguments of `nircolor.spectral.synthesize`.

    Raises:
        NircolorError: An argument is invalid, or the only capture failed.
        SystemExit: With code 1 if some of several captures failed, 130 after Ctrl-C.
    """
    with warnings.catch_warnings(), ProgressBar("captures") as bar:
        show_warnings()
        try:
            results = synthesize(captures, output, on_progress=bar.update, **options)
        except KeyboardInterrupt:
            errors.print("interrupted; finished pairs are kept, and the same command continues from there")
            sys.exit(130)
    failures = [(result.capture.header, result.error) for result in results if result.error is not None]
    skipped = sum(result.skipped for result in results)
    done = len(results) - len(failures) - skipped
    parts = [f"{done} pair{'s'[: done != 1]}"] + ([f"{skipped} up to date"] if skipped else [])
    conclude(f"{', '.join(parts)} -> {output}", failures)
