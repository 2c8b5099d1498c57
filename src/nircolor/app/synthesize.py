"""`nircolor synthesize`: a progress bar around `spectral.dataset`, and what to say at the end."""

import sys
import warnings
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from nircolor.app.console import BatchBar, conclude, errors, show_warnings
from nircolor.errors import NircolorWarning
from nircolor.spectral.capture import find_captures
from nircolor.spectral.dataset import Made, synthesize_all
from nircolor.spectral.synthesis import Synthesis

# of a capture's pixels; less is glints
_MUCH_CLIPPED = 0.01
_CLIPPED_WORDS = {
    "saturated": "saturated in the capture",
    "nir": "brighter than white in the near-infrared",
    "rgb": "out of the colours that the image can hold",
}


def run(paths: Sequence[Path], output: Path, synthesis: Synthesis, *, parallel: int, overwrite: bool) -> None:
    """Make the pairs and say what became of them.

    Raises:
        NircolorError: nothing could be started, or the only capture failed.
        SystemExit: with code 1 where some of several captures failed, 130 after Ctrl-C.
    """
    captures = find_captures(paths)
    results = []
    with warnings.catch_warnings(), BatchBar(dict.fromkeys(captures, 1.0), "captures") as bar:
        show_warnings()
        running = synthesize_all(
            captures,
            synthesis,
            output,
            parallel=min(parallel, len(captures)),
            overwrite=overwrite,
            on_progress=lambda capture, lines, total: bar.advance(capture, lines / total),
        )
        try:
            with closing(running):
                for made in running:
                    results.append(made)
                    bar.finish(made.capture)
                    _warn_of_clipping(made)
        except KeyboardInterrupt:
            errors.print("interrupted; finished pairs are kept, the same command goes on from there")
            sys.exit(130)
    _conclude(results, output)


def _warn_of_clipping(made: Made) -> None:
    if made.record is None:
        return
    pixels = made.record["lines"] * made.record["samples"]
    for what, count in made.record["clipped_pixels"].items():
        if count > _MUCH_CLIPPED * pixels:
            warnings.warn(
                f"{made.capture.header}: {count / pixels:.0%} of the pixels are {_CLIPPED_WORDS[what]}",
                NircolorWarning,
                stacklevel=1,
            )


def _conclude(results: Sequence[Made], output: Path) -> None:
    failures = [
        (made.capture.header, made.error)
        for made in sorted(results, key=lambda made: made.capture.name)
        if made.error is not None
    ]
    if failures and len(results) == 1:
        raise failures[0][1]
    skipped = sum(made.skipped for made in results)
    done = len(results) - len(failures) - skipped
    parts = [f"{done} pair{'s'[: done != 1]}"] + ([f"{skipped} there already"] if skipped else [])
    conclude(f"{', '.join(parts)} -> {output}", failures)
