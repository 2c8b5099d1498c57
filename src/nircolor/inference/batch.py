"""Colorize one image or many: the public function `colorize`, and batches of files."""

import os
import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from nircolor.arrays import Floats
from nircolor.errors import ColourPhotographError, DiskFullError, NircolorError, OutputExistsError
from nircolor.imagery import GivenBands, Nodata, stack_path
from nircolor.inference.colorizer import Colorizer, check_file, check_saturation
from nircolor.inference.confidence import require_confidence
from nircolor.inference.engine import Device
from nircolor.inference.pixels import is_pil_image
from nircolor.inference.planning import Job, OutputFormat, StrPath, plan
from nircolor.inference.reading import FileSummary, Reading
from nircolor.inference.reference import Reference, check_reference, open_reference
from nircolor.modelfile import Card
from nircolor.parallel import Progress, clear_traceback, in_parallel


@dataclass(frozen=True)
class Result:
    """Outcome of a job.

    Attributes:
        job: The job.
        error: The exception that ended it, None on success.
        skipped: Whether nothing was done, for the ``reason``.
        reason: "output exists", "colour photograph" or "colour video" (of a sequence of images too) for a
            skipped job, otherwise empty.
        summary: How the file was read; None if it was skipped or failed.
        seconds: Time that the job took.
    """

    job: Job
    error: Exception | None = None
    skipped: bool = False
    reason: Literal["", "output exists", "colour photograph", "colour video"] = ""
    summary: FileSummary | None = None
    seconds: float = 0.0


@overload
def colorize(
    image: StrPath,
    output: StrPath,
    *,
    model: StrPath | Colorizer = "scene",
    device: Device = "auto",
    tile_px: int | None = None,
    bands_nm: GivenBands | None = None,
    scale: float | None = None,
    offset: float | None = None,
    reflectance: bool | None = None,
    saturation: float = 1.0,
    reference: StrPath | Reference | None = None,
    confidence: bool = False,
    stretch: tuple[float, float] | None = None,
    nodata: Nodata | None = None,
    max_pixels: int | None = None,
    converted: bool = False,
    output_format: OutputFormat | None = None,
    suffix: str = "",
    depth: int | None = None,
    quality: int | None = None,
    cog: bool | None = None,
    overwrite: bool = False,
    skip_existing: bool = False,
    skip_colour: bool = False,
    recursive: bool = False,
    sequence: bool = False,
    start: float | None = None,
    end: float | None = None,
    fps: float | None = None,
    jobs: int = 1,
) -> list[Result]: ...


@overload
def colorize(
    image: NDArray[np.floating[Any]],
    output: None = None,
    *,
    model: StrPath | Colorizer = "scene",
    device: Device = "auto",
    tile_px: int | None = None,
    scale: float | None = None,
    offset: float | None = None,
    reflectance: bool | None = None,
    saturation: float = 1.0,
    reference: StrPath | Reference | None = None,
    confidence: Literal[False] = False,
) -> Floats: ...


@overload
def colorize(
    image: NDArray[np.floating[Any]],
    output: None = None,
    *,
    model: StrPath | Colorizer = "scene",
    device: Device = "auto",
    tile_px: int | None = None,
    scale: float | None = None,
    offset: float | None = None,
    reflectance: bool | None = None,
    saturation: float = 1.0,
    reference: StrPath | Reference | None = None,
    confidence: Literal[True],
) -> tuple[Floats, Floats]: ...


@overload
def colorize(
    image: Any,
    output: None = None,
    *,
    model: StrPath | Colorizer = "scene",
    device: Device = "auto",
    tile_px: int | None = None,
    scale: float | None = None,
    offset: float | None = None,
    reflectance: bool | None = None,
    saturation: float = 1.0,
    reference: StrPath | Reference | None = None,
    confidence: bool = False,
) -> Any: ...


def colorize(
    image: Any,
    output: StrPath | None = None,
    *,
    model: StrPath | Colorizer = "scene",
    device: Device = "auto",
    tile_px: int | None = None,
    bands_nm: GivenBands | None = None,
    scale: float | None = None,
    offset: float | None = None,
    reflectance: bool | None = None,
    saturation: float = 1.0,
    reference: StrPath | Reference | None = None,
    confidence: bool = False,
    stretch: tuple[float, float] | None = None,
    nodata: Nodata | None = None,
    max_pixels: int | None = None,
    converted: bool = False,
    output_format: OutputFormat | None = None,
    suffix: str = "",
    depth: int | None = None,
    quality: int | None = None,
    cog: bool | None = None,
    overwrite: bool = False,
    skip_existing: bool = False,
    skip_colour: bool = False,
    recursive: bool = False,
    sequence: bool = False,
    start: float | None = None,
    end: float | None = None,
    fps: float | None = None,
    jobs: int = 1,
) -> Any:
    """Colorize a file, a folder, an array or a PIL image.

    A model is loaded at each call; make a `Colorizer` once to colorize many arrays.

    - **A file** is written to ``output``, a file name or a folder, with the same size, bit depth and
      georeferencing. An error of the file is raised.
    - **A video** (extra ``video``), or a sequence of images such as ``frame_%04d.png``, becomes a video with
      colours that do not flicker.
    - **A folder**, or a pattern such as ``night/*.png``: all its images are written into the folder
      ``output``. An image that fails does not stop the others: check ``error`` of the results.
    - **An array or a PIL image** is returned in colour, as described in `Colorizer.colorize`: floats
      (bands, h, w) in [0, 1] as (3, h, w) float32, uint8 or uint16 (h, w) or (h, w, bands) as (h, w, 3) of
      the same type, a PIL image as a PIL image.

    Args:
        image: Path of a file or folder, a pattern, an array or a PIL image.
        output: File or folder to write; required for paths, not allowed for arrays and PIL images.
        model: Name of a shipped model, path of a model file, or a `Colorizer`, whose device and tiles are
            used then.
        device: "auto", "cpu", "cuda", "coreml" or "openvino".
        tile_px: Side of the tiles in pixels; by default chosen by the free memory.
        bands_nm: Wavelengths of the files' bands in nm, where the files do not state them; or band numbers
            from 1: ``{850: 4}``, or ``{"nir": 4}`` for one near-infrared band of unknown wavelength.
        scale: Value that maps to 1.0; by default by the type of the data and the metadata. For integers, a
            number below 1 is a factor: 0.0001 is the same as 10000.
        offset: Number to add after scaling: -0.2 for Landsat, whose scale is 0.0000275.
        reflectance: Whether the scaled values are linear reflectance, where the files do not say so.
        saturation: Factor on the distance of each pixel's colour from its gray: 1.0 as trained for the least
            error, 0 for gray, at most 10.
        reference: A colour image of the same view, such as the daytime image of a fixed camera, whose colours
            are taken where the scene matches: see `Colorizer.colorize_file`.
        confidence: Also return, or write beside each output, how well the colours are determined: see
            `Colorizer.colorize` and `Colorizer.colorize_file`.
        stretch: Percentiles of each file that map to 0 and 1, such as (1, 99), instead of ``scale``.
        nodata: Value of invalid pixels in the files, in their units, instead of the one that they declare;
            "none" if no value is invalid.
        max_pixels: Largest number of pixels of a file that is opened; by default files that claim far more
            pixels than their length can hold are refused.
        converted: Read colour images as those of a converted camera: the mean of their channels is the
            near-infrared image.
        output_format: Format of the files in an output folder, "png", "jpg" or "tif"; by default as the
            input's.
        suffix: Added to the names of the files in an output folder, such as "_colour".
        depth: 8 or 16 bits per channel of the output files; by default as in the input.
        quality: 1 to 100, for JPEG only; by default 95.
        cog: Write TIFF outputs as Cloud Optimized GeoTIFF, or not; by default those that are georeferenced
            and have a side of more than 1024 pixels.
        overwrite: Replace existing outputs.
        skip_existing: Keep existing outputs and skip their inputs.
        skip_colour: Skip colour photographs: images whose three channels differ and have no wavelengths; and
            colour videos.
        recursive: Include the images in subfolders.
        sequence: The images of a folder or pattern are the frames of one video, in the order of their names;
            so they are for ``frame_%04d.png``, and where the output is a video.
        start: Seconds to leave out at the beginning of a video.
        end: Seconds after which a video ends.
        fps: Frames per second of a sequence of images that becomes a video, by default 25.
        jobs: Number of files colorized at the same time.

    Returns:
        The colour image for an array or a PIL image, with ``confidence`` a pair of images; for paths
        a list with the `Result` of each file, in the order of the inputs.

    Raises:
        NircolorError: The model, the input or the output is not usable. In a batch of several files, errors
            of single files are in the results instead.
        DiskFullError: No more outputs can be written; finished ones are kept.

    Examples:
        >>> import numpy as np
        >>> colorize(np.full((48, 64), 128, np.uint8)).shape
        (48, 64, 3)
    """
    check_saturation(saturation)
    check_reference(reference, confidence)
    file_options = {
        "bands_nm": bands_nm, "stretch": stretch, "nodata": nodata, "max_pixels": max_pixels,
        "converted": converted,
        "output_format": output_format, "suffix": suffix or None, "depth": depth, "quality": quality,
        "cog": cog, "overwrite": overwrite, "skip_existing": skip_existing, "skip_colour": skip_colour,
        "recursive": recursive, "sequence": sequence, "start": start, "end": end, "fps": fps,
    }  # fmt: skip
    if not isinstance(image, str | os.PathLike):
        if not isinstance(image, np.ndarray) and not is_pil_image(image):
            raise NircolorError(
                f"image: expected a path, a NumPy array or a PIL image, got {type(image).__name__}"
            )
        given = [name for name, value in file_options.items() if value is not None and value is not False]
        if output is not None or given:
            raise NircolorError(
                f"{'output' if output is not None else given[0]}: only for paths; "
                "the colour of an array or a PIL image is returned"
            )
        return _loaded(model, device, tile_px).colorize(
            image,
            scale=scale,
            offset=offset,
            reflectance=reflectance,
            saturation=saturation,
            reference=reference,
            confidence=confidence,
        )
    if output is None:
        raise NircolorError(f"{os.fspath(image)}: expected an output file or folder, got none")
    work = plan(
        [image],
        output,
        recursive=recursive,
        suffix=suffix,
        output_format=output_format,
        confidence=confidence,
        sequence=sequence,
        start=start,
        end=end,
        fps=fps,
    )
    parallel = max(1, min(jobs, len(work)))
    colorizer = _loaded(model, device, tile_px, parallel)
    if confidence:
        require_confidence(colorizer.card)
    results = {
        result.job: result
        for result in colorize_all(
            colorizer,
            work,
            parallel=parallel,
            reading=Reading(bands_nm, scale, offset, reflectance, stretch, nodata, max_pixels, converted),
            depth=depth,
            quality=quality,
            cog=cog,
            overwrite=overwrite,
            skip_existing=skip_existing,
            skip_colour=skip_colour,
            saturation=saturation,
            reference=None if reference is None else open_reference(reference),
        )
    }
    error = results[work[0]].error
    if error is not None and [job.path for job in work] == [stack_path(image) or Path(image)]:
        # the input is one image, not a folder or a pattern
        raise error
    return [results[job] for job in work]


def _loaded(model: StrPath | Colorizer, device: Device, tile_px: int | None, jobs: int = 1) -> Colorizer:
    if not isinstance(model, Colorizer):
        return Colorizer(model, device=device, tile_px=tile_px, jobs=jobs)
    if device != "auto" or tile_px is not None:
        raise NircolorError("device, tile_px: only with a model's name or path, not with a Colorizer")
    return model


def colorize_all(
    colorizer: Colorizer,
    jobs: Iterable[Job],
    *,
    parallel: int = 1,
    reading: Reading | None = None,
    depth: int | None = None,
    quality: int | None = None,
    cog: bool | None = None,
    overwrite: bool = False,
    skip_existing: bool = False,
    skip_colour: bool = False,
    saturation: float = 1.0,
    reference: Reference | None = None,
    progress_for: Callable[[Job], Progress] | None = None,
) -> Generator[Result, None, None]:
    """Colorize many files and yield their results in order of completion.

    A file that fails leaves no output behind and does not stop the others, except by a `DiskFullError`, which
    is raised. Closing the generator early (Ctrl-C) stops the running files within a tile and removes their
    unfinished outputs.

    Args:
        colorizer: The model, made for ``jobs=parallel``.
        jobs: Inputs and outputs, as from `plan`.
        parallel: Number of files in work at the same time.
        reading: As for `Colorizer.colorize_file`, like ``depth``, ``quality``, ``cog``, ``overwrite``,
            ``saturation`` and ``reference``.
        skip_existing: Skip jobs whose output exists, or appears before they are finished.
        skip_colour: Skip colour photographs and colour videos.
        progress_for: Makes the progress callback of a job; it is called in the thread of the job, with the
            pixels done and those of the image.
    """

    colorize_one = partial(
        colorizer.colorize_file,
        reading=reading,
        depth=depth,
        quality=quality,
        cog=cog,
        overwrite=overwrite,
        skip_colour=skip_colour,
        saturation=saturation,
        reference=reference,
    )

    def run(job: Job, check_cancelled: Callable[[], None]) -> Result:
        def on_progress(done: float, total: float) -> None:
            check_cancelled()
            if report is not None:
                report(done, total)

        report = progress_for(job) if progress_for is not None else None
        work = partial(
            colorize_one,
            job.path,
            job.output,
            confidence=job.confidence is not None,
            clip=job.clip,
            on_progress=on_progress,
        )
        return _attempt(job, skip_existing, work)

    return in_parallel(jobs, run, parallel)


def check_all(
    card: Card,
    jobs: Iterable[Job],
    *,
    reading: Reading | None = None,
    depth: int | None = None,
    quality: int | None = None,
    cog: bool | None = None,
    overwrite: bool = False,
    skip_existing: bool = False,
    skip_colour: bool = False,
) -> Generator[Result, None, None]:
    """Decide about many files as `colorize_all` does, without loading the model's network or writing.

    Args:
        card: Card of the model.
        jobs: Inputs and outputs, as from `plan`.
        reading: As for `Colorizer.colorize_file`, like ``depth``, ``quality``, ``cog`` and ``overwrite``.
        skip_existing: Skip jobs whose output exists.
        skip_colour: Skip colour photographs and colour videos.
    """
    check = partial(
        check_file,
        card,
        reading=reading,
        depth=depth,
        quality=quality,
        cog=cog,
        overwrite=overwrite,
        skip_colour=skip_colour,
    )
    for job in jobs:
        work = partial(check, job.path, job.output, confidence=job.confidence is not None, clip=job.clip)
        yield _attempt(job, skip_existing, work)


def _attempt(job: Job, skip_existing: bool, work: Callable[[], FileSummary]) -> Result:
    """Run a job unless it is to be skipped, and catch its error; raise `DiskFullError`."""
    start = time.perf_counter()
    try:
        if job.problem:
            raise NircolorError(job.problem)
        if skip_existing and _is_done(job):
            return Result(job, skipped=True, reason="output exists")
        summary = work()
    except ColourPhotographError:
        return Result(job, skipped=True, reason="colour photograph" if job.clip is None else "colour video")
    except OutputExistsError as error:
        # another run may have finished it meanwhile
        if skip_existing and all(path.exists() for path in job.outputs):
            return Result(job, skipped=True, reason="output exists")
        return Result(job, error)
    # the next file would fail in the same way, after minutes of computing
    except DiskFullError:
        raise
    # unexpected exceptions too: a bug that one image triggers must not stop the other thousand
    except Exception as error:
        clear_traceback(error)
        return Result(job, error, seconds=time.perf_counter() - start)
    return Result(job, summary=summary, seconds=time.perf_counter() - start)


def _is_done(job: Job) -> bool:
    """Whether all outputs of a job exist.

    Raises:
        NircolorError: Only one of two exists, as after a run without the confidence.
    """
    existing = [path for path in job.outputs if path.exists()]
    # an input that is its own output has not been colorized: let it fail rather than skip it
    if not existing or (job.path.exists() and any(path.samefile(job.path) for path in existing)):
        return False
    missing = [path for path in job.outputs if path not in existing]
    if missing:
        raise NircolorError(
            f"{existing[0]}: exists, but {missing[0].name} does not; both are written with --overwrite "
            "instead of --skip-existing"
        )
    return True
