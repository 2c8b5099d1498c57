"""`nircolor colorize --cluster`: progress and summary of a run on a cluster."""

import os
import time
import warnings
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from nircolor.app.console import ProgressBar, conclude, show_warnings
from nircolor.app.terminal import print_error
from nircolor.errors import NircolorError, NircolorWarning
from nircolor.extras import require
from nircolor.texts import count_of


def run_on_cluster(
    inputs: Sequence[str],
    output: str,
    address: str,
    model: str,
    tile_px: int | None,
    planning: dict[str, Any],
    options: dict[str, Any],
    *,
    skip_existing: bool,
    quiet: bool,
) -> None:
    """Colorize files on a cluster, and print progress, summary and failures.

    Args:
        inputs, output: Paths or addresses.
        address: Value of ``--cluster``.
        model: Name or path of the model.
        tile_px: Side of the tiles.
        planning: For `inference.cluster.plan_tasks`.
        options: For `Colorizer.colorize_file`.
        skip_existing: Continue an earlier run.
        quiet: Print errors only.

    Raises:
        NircolorError: See `inference.cluster.colorize_on_cluster`; the error of a single file.
    """
    require("ray", extra="cluster", what="--cluster")
    require("fsspec", extra="cluster", what="--cluster")
    from nircolor.inference.cluster import ClusterGoneError, colorize_on_cluster, plan_tasks

    with show_warnings(quiet=quiet):
        tasks = plan_tasks(inputs, output, **planning)
    start, done, skipped, finished = time.perf_counter(), 0, 0, 0
    failures: list[tuple[Path, Exception]] = []
    running = colorize_on_cluster(
        tasks, output, address=address, model=model, tile_px=tile_px, skip_existing=skip_existing,
        options=options,
    )  # fmt: skip
    try:
        with show_warnings(quiet=quiet) as shown, ProgressBar("files", quiet=quiet) as bar, closing(running):
            shown.unit = "images" if len(tasks) > 1 else ""
            for outcome in running:
                finished += 1
                done += outcome.status == "done"
                skipped += outcome.status == "skipped"
                for problem in outcome.warnings:
                    warnings.warn(NircolorWarning(problem, path=outcome.input), stacklevel=1)
                if outcome.status == "failed":
                    failures.append((Path(outcome.input), NircolorError(outcome.error)))
                rate = finished / (time.perf_counter() - start)
                bar.update(finished, len(tasks), note=f"{rate:.1f} files/s")
    except ClusterGoneError as error:
        print_error(str(error))
        # Ray crashes in Python's own end, which would hide the exit code
        os._exit(2)
    if failures and len(tasks) == 1:
        raise failures[0][1]
    parts = [count_of(done, "image"), f"{time.perf_counter() - start:.1f} s"]
    if skipped:
        parts.append(f"{skipped} skipped")
    conclude(f"{', '.join(parts)} -> {output}", failures, quiet=quiet)
