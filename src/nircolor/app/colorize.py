"""Command `nircolor colorize`."""

import os
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypedDict

import typer

from nircolor.app import stopping
from nircolor.app.options import (
    Bands,
    DeviceName,
    Json,
    MaxPixels,
    NodataValue,
    Offset,
    Quiet,
    Reflectance,
    Scale,
    ShippedModel,
    Source,
    Verbose,
    parse_bands,
    parse_nodata,
    parse_percentiles,
)
from nircolor.app.report import Report, line_of
from nircolor.app.terminal import printable, show
from nircolor.app.usage import IN, OUT, RUN, VIDEO, number, time_in_seconds, whole
from nircolor.errors import DiskFullError, NircolorError
from nircolor.parallel import Progress

if TYPE_CHECKING:
    from nircolor.app.console import ProgressBar
    from nircolor.inference import Job, Reading

_KEPT = "finished images are kept, no image is incomplete"


def colorize(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="Images, videos, folders, products such as S2A_….SAFE, or patterns such as 'a/*.tif'; - "
            "reads one file from standard input. frame_%04d.png is a sequence, whose images are frames of a "
            "video. FILE@NM is a band; all bands are one image.",
        ),
    ],
    # not a path, which would lose the difference between "-" and "./-", and a slash at the end
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="OUTPUT",
            help="Output folder; for a single image or video also a file name, or - for standard output. A "
            "sequence becomes a video, or images in a folder or with a pattern.",
            rich_help_panel=OUT,
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
    skip_colour: Annotated[
        bool,
        typer.Option(
            "--skip-colour",
            help="Skip colour photographs and videos, as in folders that also hold those of a colour camera.",
            rich_help_panel=IN,
        ),
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
    offset: Offset = None,
    reflectance: Reflectance = None,
    stretch: Annotated[
        str | None,
        typer.Option(
            metavar="LOW,HIGH",
            help="Percentiles of each image that become 0 and 1, such as 1,99. Default: no stretch.",
            rich_help_panel=IN,
        ),
    ] = None,
    nodata: NodataValue = None,
    source: Source = None,
    max_pixels: MaxPixels = None,
    output_format: Annotated[
        Literal["png", "jpg", "tif"] | None,
        typer.Option(
            "--format",
            help="Format of the outputs in a folder or on standard output. Default: as in the input.",
            rich_help_panel=OUT,
        ),
    ] = None,
    suffix: Annotated[
        str,
        typer.Option(
            metavar="TEXT",
            help="Added to the names of the outputs in a folder, such as _colour. The folder may then be "
            "that of the inputs.",
            show_default=False,
            rich_help_panel=OUT,
        ),
    ] = "",
    depth: Annotated[
        Literal["8", "16"] | None,
        typer.Option(help="Bits per channel. Default: as in the input.", rich_help_panel=OUT),
    ] = None,
    quality: Annotated[
        int | None,
        typer.Option(
            parser=whole(1, 100),
            metavar="N",
            help="Quality of JPEG outputs, 1 to 100. Default: 95. Other formats are lossless.",
            rich_help_panel=OUT,
        ),
    ] = None,
    cog: Annotated[
        bool | None,
        typer.Option(
            "--cog/--no-cog",
            help="Write TIFF outputs as Cloud Optimized GeoTIFF, or as plain ones. Default: cloud optimized "
            "if georeferenced and larger than 1024 pixels.",
            rich_help_panel=OUT,
            show_default=False,
        ),
    ] = None,
    saturation: Annotated[
        float,
        typer.Option(
            parser=number(0, 10),
            metavar="NUMBER",
            help="Factor on the distance of each colour from gray: 1 as trained for the least error, 1.3 for "
            "livelier colours, 0 for gray.",
            rich_help_panel=RUN,
        ),
    ] = 1.0,
    reference: Annotated[
        Path | None,
        typer.Option(
            "--reference",
            metavar="FILE",
            help="Colour image of the same view, such as a fixed camera's daytime image: its colours are "
            "used where the scene matches, those of the model elsewhere (extra align).",
            rich_help_panel=RUN,
        ),
    ] = None,
    confidence: Annotated[
        bool,
        typer.Option(
            "--confidence",
            help="Also write how well each colour is determined, bright where the error is small, as a gray "
            "image NAME_confidence.png, or .tif beside a TIFF.",
            rich_help_panel=OUT,
        ),
    ] = False,
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
    start: Annotated[
        float | None,
        typer.Option(
            parser=time_in_seconds,
            metavar="TIME",
            help="Where to start in a video: seconds, or 1:02:30.5.",
            rich_help_panel=VIDEO,
        ),
    ] = None,
    end: Annotated[
        float | None,
        typer.Option(
            parser=time_in_seconds,
            metavar="TIME",
            help="Where to stop in a video, as --start.",
            rich_help_panel=VIDEO,
        ),
    ] = None,
    sequence: Annotated[
        bool,
        typer.Option(
            "--sequence",
            help="The images of a folder or pattern are frames of one video, in the order of their names.",
            rich_help_panel=VIDEO,
        ),
    ] = False,
    fps: Annotated[
        float | None,
        typer.Option(
            parser=number(0.001, 1000),
            metavar="NUMBER",
            help="Frames per second of a sequence that becomes a video. Default: 25.",
            rich_help_panel=VIDEO,
        ),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            "--cluster",
            metavar="auto|ADDRESS",
            help="Colorize on a cluster of Ray; auto: that of RAY_ADDRESS, or else one on this machine. "
            "Inputs and output may then be addresses such as s3://bucket/folder.",
            rich_help_panel=RUN,
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="List what would be read and written, with the errors that are known without decoding the "
            "images. Nothing is written.",
        ),
    ] = False,
    as_json: Json = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Colorize near-infrared images: PNG, JPEG, TIFF, ENVI and other files, folders of them, or patterns.

    The output has the name, size, bit depth and georeferencing of its input. If an image fails, the others
    continue. Videos (extra video) keep their frames, time stamps and sound, and their colours do not flicker.

    \b
    nircolor colorize night.png -o night_colour.png
    nircolor colorize images/ -o colour/ --recursive --skip-existing
    nircolor colorize images/ -o images/ --suffix _colour --format png
    nircolor colorize flight.tif -o colour/ --bands 780,850,940 --scale 4095
    nircolor colorize clip.mp4 -o colour.mp4
    nircolor colorize night/ -o colour/ --reference day.jpg
    nircolor colorize S2B_MSIL2A_….SAFE -o colour/ -m satellite
    nircolor colorize b7.tif@783 b8.tif@842 b9.tif@945 -o colour.tif -m satellite
    nircolor colorize - -o - < night.png > night_colour.png
    """
    if skip_existing and overwrite:
        raise NircolorError("expected either --skip-existing or --overwrite, got both")
    if quiet and verbose:
        raise NircolorError("expected either --quiet or --verbose, got both")
    if as_json and output == "-":
        raise NircolorError("expected either --json or -o -, got both: each writes to standard output")
    _check_streams(
        inputs,
        output,
        {
            "--recursive": recursive,
            "--suffix": suffix,
            "--skip-existing": skip_existing,
            "--overwrite": overwrite,
            "--confidence": confidence,
        },
    )
    wavelengths, percentiles = parse_bands(bands), parse_percentiles(stretch)
    invalid_value = parse_nodata(nodata)
    stopping.promise(_KEPT)
    # before NumPy is imported: after each of its few matrix products here, OpenBLAS's threads would keep
    # waiting actively on the cores that the network computes on
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from nircolor.app.console import ProgressBar, show_warnings
    from nircolor.app.streams import open_streams
    from nircolor.imagery import join_bands
    from nircolor.inference import (
        Colorizer,
        Reading,
        Reference,
        check_all,
        check_reference,
        colorize_all,
        plan,
        require_confidence,
    )
    from nircolor.modelfile import read_card
    from nircolor.weights import find_model

    reading = Reading(
        wavelengths,
        scale,
        offset,
        reflectance,
        percentiles,
        invalid_value,
        max_pixels,
        converted=source is not None,
    )
    addresses = [text for text in (*inputs, output) if "://" in text]
    if cluster is None and addresses:
        raise NircolorError(f"{addresses[0]}: addresses are read and written with --cluster alone")
    if cluster is not None:
        if device != "auto":
            raise NircolorError("--device: not with --cluster, whose workers run on CPUs")
        from nircolor.app.cluster import run_on_cluster

        refused = {
            "--reference": reference is not None,
            "--dry-run": dry_run,
            "--json": as_json,
            "--sequence": sequence,
            "--start": start is not None,
            "--end": end is not None,
            "--fps": fps is not None,
            "FILE@NM": join_bands(inputs) != list(inputs),
        }
        _check_cluster(inputs, output, refused)
        stopping.promise(f"{_KEPT}; {_continuing(skip_existing, overwrite)}")
        run_on_cluster(
            inputs,
            output,
            cluster,
            model,
            tile,
            {
                "recursive": recursive,
                "suffix": suffix,
                "output_format": output_format,
                "confidence": confidence,
            },
            {
                "reading": reading,
                "depth": None if depth is None else int(depth),
                "quality": quality,
                "cog": cog,
                "overwrite": overwrite,
                "skip_colour": skip_colour,
                "saturation": saturation,
                "confidence": confidence,
            },
            skip_existing=skip_existing,
            quiet=quiet,
        )
        return
    check_reference(reference, confidence)
    given = join_bands(inputs)
    with show_warnings(quiet=quiet) as shown, open_streams(given, output, output_format) as paths:
        work = plan(
            paths.inputs,
            paths.output,
            recursive=recursive,
            suffix=suffix,
            output_format=output_format,
            confidence=confidence,
            sequence=sequence,
            start=start,
            end=end,
            fps=fps,
        )
        _check_quality(quality, work)
        if len(work) > 1:
            stopping.promise(f"{_KEPT}; {_continuing(skip_existing, overwrite)}")
        shown.unit = "images" if len(work) > 1 else ""
        options: Options = {
            "reading": reading,
            "depth": None if depth is None else int(depth),
            "quality": quality,
            "cog": cog,
            "overwrite": overwrite,
            "skip_existing": skip_existing,
            "skip_colour": skip_colour,
        }
        colours = None if reference is None else Reference(reference)
        report = Report(model, output, paths, verbose=verbose, quiet=quiet, as_json=as_json, dry_run=dry_run)
        if dry_run:
            card = read_card(find_model(model))
            if confidence:
                require_confidence(card)
            for result in check_all(card, work, **options):
                report.add(result)
                if result.error is None and not as_json:
                    show(printable(paths.named(line_of(result, model))))
            shown.close()
            report.conclude("nothing written (dry run)")
            return
        parallel = min(jobs, len(work))
        colorizer = Colorizer(model, device=device, tile_px=tile, jobs=parallel)
        if confidence:
            require_confidence(colorizer.card)
        with ProgressBar(quiet=quiet) as bar:
            progress = BatchProgress(bar, work)
            running = colorize_all(
                colorizer,
                work,
                parallel=parallel,
                saturation=saturation,
                reference=colours,
                progress_for=progress.for_job,
                **options,
            )
            # closing: after an error here, the running images stop and clean up first
            try:
                with closing(running):
                    for result in running:
                        report.add(result)
                        progress.finish(result.job)
            except DiskFullError as error:
                if len(work) > 1:
                    raise
                # no image is kept, and none is left to continue with
                raise NircolorError(str(error)) from error
        paths.send()
        shown.close()
        report.conclude(f"{progress.megapixels:.1f} megapixels in {progress.seconds:.1f} s")


def _continuing(skip_existing: bool, overwrite: bool) -> str:
    """Say how to continue a batch that was stopped."""
    option = "" if skip_existing else " with --skip-existing"
    return f"the same command{option}{' instead of --overwrite' if overwrite else ''} continues"


class Options(TypedDict):
    """Options that `colorize_all` and `check_all` share."""

    reading: "Reading"
    depth: int | None
    quality: int | None
    cog: bool | None
    overwrite: bool
    skip_existing: bool
    skip_colour: bool


def _check_streams(inputs: "Sequence[str]", output: str, given: dict[str, bool | str]) -> None:
    """Refuse options that have no effect on standard input or output."""
    for option in ("--suffix", "--skip-existing", "--overwrite", "--confidence"):
        if output == "-" and given[option]:
            raise NircolorError(f"{option}: expected an output file or folder, got standard output (-o -)")
    if list(inputs) == ["-"] and given["--recursive"]:
        raise NircolorError("--recursive: expected a folder as input, got standard input (-)")


def _check_cluster(inputs: "Sequence[str]", output: str, given: dict[str, bool]) -> None:
    """Refuse what does not work on a cluster."""
    if "-" in (*inputs, output):
        raise NircolorError("--cluster: expected files, folders or addresses, got a stream (-)")
    for option, value in given.items():
        if value:
            raise NircolorError(f"{option}: not with --cluster")


def _check_quality(quality: int | None, work: "Sequence[Job]") -> None:
    if quality is None or any(
        path.suffix.lower() in (".jpg", ".jpeg") for job in work for path in job.outputs[:1]
    ):
        return
    found = ", ".join(sorted({job.output.suffix for job in work}))
    raise NircolorError(f"--quality: expected JPEG outputs (--format jpg), got {found}")


class BatchProgress:
    """Combine the progress of images that are processed in parallel.

    The bar counts bytes of input, since the numbers of pixels are not known before the files are opened.
    """

    def __init__(self, bar: "ProgressBar", jobs: "Sequence[Job]") -> None:
        self._bar = bar
        self._sizes = {job: sum(map(_size, job.inputs)) for job in jobs}
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
