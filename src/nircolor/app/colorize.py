"""`nircolor colorize`: a progress bar around `inference.batch`, and what to say at the end."""

import sys
import threading
import time
import warnings
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from nircolor.app.console import BatchBar, conclude, errors, show_warnings
from nircolor.inference import Colorizer, Device, Job, Reading, Result, colorize_all, plan
from nircolor.parallel import Progress


def run(
    inputs: Sequence[str],
    output: Path,
    *,
    model: str,
    device: Device,
    tile_px: int | None,
    parallel: int,
    recursive: bool,
    skip_existing: bool,
    overwrite: bool,
    depth: int | None,
    reading: Reading,
    debug: bool,
) -> None:
    """Colour the inputs; ``debug`` prints the traceback of each failure.

    Raises:
        NircolorError: nothing could be started, or the only image failed.
        SystemExit: with code 1 where some of several images failed, 130 after Ctrl-C.
    """
    jobs = plan(inputs, output, recursive=recursive)
    parallel = min(parallel, len(jobs))
    colorizer = Colorizer(model, device=device, tile_px=tile_px, jobs=parallel)
    sizes = {job: _size(job.path) for job in jobs}
    with warnings.catch_warnings(), BatchBar(sizes, "files") as bar:
        show_warnings()
        meter = _Meter(bar)
        running = colorize_all(
            colorizer,
            jobs,
            parallel=parallel,
            reading=reading,
            depth=depth,
            overwrite=overwrite,
            skip_existing=skip_existing,
            progress_for=meter.progress_of,
        )
        results = []
        try:
            # closing: wherever Ctrl-C strikes, the images at work end before anything else happens
            with closing(running):
                for result in running:
                    results.append(result)
                    bar.finish(result.job)
        except KeyboardInterrupt:
            errors.print("interrupted; finished images are kept, nothing is left half")
            sys.exit(130)
    _conclude(results, meter, output, debug)


def _conclude(results: list[Result], meter: "_Meter", output: Path, debug: bool) -> None:
    failures = [(result.job.path, result.error) for result in results if result.error is not None]
    if failures and len(results) == 1:
        raise failures[0][1]
    skipped = sum(result.skipped for result in results)
    done = len(results) - len(failures) - skipped
    parts = [
        f"{done} image{'s'[: done != 1]}",
        f"{meter.megapixels:.1f} megapixels in {meter.seconds:.1f} s",
    ]
    if skipped:
        parts.append(f"{skipped} skipped")
    conclude(f"{', '.join(parts)} -> {output}", failures, debug=debug)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    # it will be said of the image when its turn comes
    except OSError:
        return 0


class _Meter:
    """What was coloured and how quickly, beside a bar by bytes of input, known without opening files."""

    def __init__(self, bar: BatchBar[Job]) -> None:
        self._bar = bar
        self._lock = threading.Lock()
        self._start = time.perf_counter()
        self.megapixels = 0.0

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._start

    def progress_of(self, job: Job) -> Progress:
        """The progress callback of a job; it is called in the thread of the job."""
        before = 0.0

        def on_progress(done: float, total: float) -> None:
            nonlocal before
            step, before = done - before, done
            with self._lock:
                self.megapixels += step / 1e6
            self._bar.advance(job, step / total, f"  {self.megapixels / self.seconds:.1f} MP/s")

        return on_progress
