"""Command `nircolor colorize`."""

import threading
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nircolor.app import stopping
from nircolor.app.options import (
    IN,
    OUT,
    RUN,
    Bands,
    DeviceName,
    MaxPixels,
    NodataValue,
    Scale,
    ShippedModel,
    parse_bands,
    parse_nodata,
    parse_numbers,
)
from nircolor.app.terminal import describe
from nircolor.app.usage import whole
from nircolor.errors import NircolorError
from nircolor.parallel import Progress

if TYPE_CHECKING:
    from nircolor.app.console import ProgressBar
    from nircolor.inference import Job, Result


def colorize(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="INPUT...", help="Image files, folders or patterns such as 'a/*.tif'."),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="Output folder; for a single image also a file name.", rich_help_panel=OUT
        ),
    ],
    model: ShippedModel = "scene",
    recursive: Annotated[
        bool,
        typer.Option("--recursive", "-r", help="Include the images in subfolders.", rich_help_panel=IN),
    ] = False,
    skip_existing: Annotated[
        bool,
        typer.Option("--skip-existing", help="Skip images whose output exists.", rich_help_panel=OUT),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace existing outputs.", rich_help_panel=OUT)
    ] = False,
    jobs: Annotated[
        int,
        typer.Option(
            "--jobs",
            "-j",
            parser=whole(1),
            metavar="N",
            help="Number of images processed in parallel.",
            envvar="NIRCOLOR_JOBS",
            rich_help_panel=RUN,
        ),
    ] = 1,
    bands: Bands = None,
    scale: Scale = None,
    stretch: Annotated[
        str | None,
        typer.Option(
            metavar="LOW,HIGH",
            help="Percentiles of each image that become 0 and 1, such as 1,99. Default: no stretch.",
            rich_help_panel=IN,
        ),
    ] = None,
    nodata: NodataValue = None,
    max_pixels: MaxPixels = None,
    depth: Annotated[
        Literal["8", "16"] | None,
        typer.Option(help="Bits per channel. Default: as in the input.", rich_help_panel=OUT),
    ] = None,
    tile: Annotated[
        int | None,
        typer.Option(
            parser=whole(1),
            metavar="PX",
            help="Side of the tiles in pixels. Default: chosen by the free memory.",
            envvar="NIRCOLOR_TILE",
            rich_help_panel=RUN,
        ),
    ] = None,
    device: DeviceName = "auto",
) -> None:
    """Colorize near-infrared images: PNG, JPEG, TIFF, GeoTIFF or ENVI files, folders of them, or patterns.

    The output has the name, size, bit depth and georeferencing of its input. If an image fails, the others
    continue.

    \b
    nircolor colorize night.png -o night_colour.png
    nircolor colorize images/ -o colour/ --recursive --skip-existing
    nircolor colorize flight.tif -o colour/ --bands 780,850,940 --scale 4095
    """
    if skip_existing and overwrite:
        raise typer.BadParameter("expected either --skip-existing or --overwrite, got both")
    wavelengths, percentiles = parse_bands(bands), _parse_percentiles(stretch)
    invalid_value = parse_nodata(nodata)
    stopping.promise("finished images are kept, no image is incomplete")
    from nircolor.app.console import ProgressBar, show_warnings
    from nircolor.inference import Colorizer, Reading, colorize_all, plan

    with show_warnings() as shown:
        work = plan(inputs, output, recursive=recursive)
        shown.unit = "images" if len(work) > 1 else ""
        parallel = min(jobs, len(work))
        colorizer = Colorizer(model, device=device, tile_px=tile, jobs=parallel)
        with ProgressBar() as bar:
            progress = BatchProgress(bar, work)
            running = colorize_all(
                colorizer,
                work,
                parallel=parallel,
                reading=Reading(wavelengths, scale, percentiles, invalid_value, max_pixels),
                depth=None if depth is None else int(depth),
                overwrite=overwrite,
                skip_existing=skip_existing,
                progress_for=progress.for_job,
            )
            results = []
            # closing: after an error here, the running images stop and clean up first
            with closing(running):
                for result in running:
                    results.append(result)
                    progress.finish(result.job)
    _report(results, progress, output)


def _report(results: "Sequence[Result]", progress: "BatchProgress", output: Path) -> None:
    from nircolor.app.console import conclude

    failures = [(result.job.path, result.error) for result in results if result.error is not None]
    if failures and len(results) == 1:
        path, error = failures[0]
        raise NircolorError(describe(error, path)) from error
    skipped = sum(result.skipped for result in results)
    done = len(results) - len(failures) - skipped
    parts = [
        f"{done} image{'s'[: done != 1]}",
        f"{progress.megapixels:.1f} megapixels in {progress.seconds:.1f} s",
    ]
    if skipped:
        parts.append(f"{skipped} skipped")
    conclude(f"{', '.join(parts)} -> {output}", failures)


class BatchProgress:
    """Combine the progress of images that are processed in parallel.

    The bar counts bytes of input, since the numbers of pixels are not known before the files are opened.
    """

    def __init__(self, bar: "ProgressBar", jobs: "Sequence[Job]") -> None:
        self._bar = bar
        self._sizes = {job: _size(job.path) for job in jobs}
        self._fractions = dict.fromkeys(jobs, 0.0)
        self._finished = 0
        self._lock = threading.Lock()
        self._start = time.perf_counter()
        self.megapixels = 0.0

    @property
    def seconds(self) -> float:
        """Time since the start, in seconds."""
        return time.perf_counter() - self._start

    def for_job(self, job: "Job") -> Progress:
        """Return the progress callback of one job, which counts pixels."""
        previous = 0.0

        def on_progress(done: float, total: float) -> None:
            nonlocal previous
            with self._lock:
                self.megapixels += (done - previous) / 1e6
                self._fractions[job] = done / total
                self._show()
            previous = done

        return on_progress

    def finish(self, job: "Job") -> None:
        """Count a job as finished, whether or not it succeeded."""
        with self._lock:
            self._finished += 1
            self._fractions[job] = 1.0
            self._show()

    def _show(self) -> None:
        done = sum(size * self._fractions[job] for job, size in self._sizes.items())
        self._bar.update(
            done,
            sum(self._sizes.values()),
            text=f"{self._finished}/{len(self._sizes)} files",
            note=f"{self.megapixels / self.seconds:.1f} MP/s",
        )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    # the error is reported when the file is opened
    except OSError:
        return 0


def _parse_percentiles(text: str | None) -> tuple[float, float] | None:
    numbers = parse_numbers(text, "--stretch")
    if numbers is None:
        return None
    if len(numbers) != 2 or not 0 <= numbers[0] < numbers[1] <= 100:
        raise NircolorError(f"--stretch: expected two percentiles, the lower one first, got {text!r}")
    return numbers[0], numbers[1]
