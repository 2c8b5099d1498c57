"""Colorize one image or many: the public function `colorize`, and batches of files."""

import os
import warnings
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import Any, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from nircolor.arrays import Floats
from nircolor.errors import NircolorError, NircolorWarning
from nircolor.imagery import OUTPUT_DRIVERS, GivenBands, Nodata, find_images, is_image, output_path_for
from nircolor.imagery.envi import is_reference
from nircolor.inference.colorizer import Colorizer, Reading
from nircolor.inference.engine import Device
from nircolor.inference.pixels import is_pil_image
from nircolor.parallel import Progress, clear_traceback, in_parallel

StrPath: TypeAlias = str | os.PathLike[str]

# extensions that ask for a file in a format that cannot be written, rather than for a folder
_OTHER_FORMATS = {".bmp", ".gif", ".hdr", ".heic", ".img", ".jp2", ".onnx", ".raw", ".safetensors", ".webp"}


@dataclass(frozen=True)
class Job:
    """One image to colorize.

    Attributes:
        path: Input file.
        output: Output file.
    """

    path: Path
    output: Path


@dataclass(frozen=True)
class Result:
    """Outcome of a job.

    Attributes:
        job: The job.
        error: The exception that ended it, None on success.
        skipped: The output existed and was kept.
    """

    job: Job
    error: Exception | None = None
    skipped: bool = False


@overload
def colorize(
    image: StrPath,
    output: StrPath,
    *,
    model: StrPath = "scene",
    device: Device = "auto",
    tile_px: int | None = None,
    bands_nm: GivenBands | None = None,
    scale: float | None = None,
    stretch: tuple[float, float] | None = None,
    nodata: Nodata | None = None,
    max_pixels: int | None = None,
    depth: int | None = None,
    overwrite: bool = False,
    skip_existing: bool = False,
    recursive: bool = False,
    jobs: int = 1,
) -> list[Result]: ...


@overload
def colorize(
    image: NDArray[np.floating[Any]],
    output: None = None,
    *,
    model: StrPath = "scene",
    device: Device = "auto",
    tile_px: int | None = None,
    scale: float | None = None,
) -> Floats: ...


@overload
def colorize(
    image: Any,
    output: None = None,
    *,
    model: StrPath = "scene",
    device: Device = "auto",
    tile_px: int | None = None,
    scale: float | None = None,
) -> Any: ...


def colorize(
    image: Any,
    output: StrPath | None = None,
    *,
    model: StrPath = "scene",
    device: Device = "auto",
    tile_px: int | None = None,
    bands_nm: GivenBands | None = None,
    scale: float | None = None,
    stretch: tuple[float, float] | None = None,
    nodata: Nodata | None = None,
    max_pixels: int | None = None,
    depth: int | None = None,
    overwrite: bool = False,
    skip_existing: bool = False,
    recursive: bool = False,
    jobs: int = 1,
) -> Any:
    """Colorize a file, a folder, an array or a PIL image.

    The model is loaded at each call; use `Colorizer` to colorize many arrays.

    - **A file** is written to ``output``, a file name or a folder, with the same size, bit depth and
      georeferencing. An error of the file is raised.
    - **A folder**, or a pattern such as ``night/*.png``: all its images are written into the folder
      ``output``. An image that fails does not stop the others: check ``error`` of the results.
    - **An array or a PIL image** is returned in colour, as described in `Colorizer.colorize`: floats
      (bands, h, w) in [0, 1] as (3, h, w) float32, uint8 or uint16 (h, w) or (h, w, bands) as (h, w, 3) of
      the same type, a PIL image as a PIL image.

    Args:
        image: Path of a file or folder, a pattern, an array or a PIL image.
        output: File or folder to write; required for paths, not allowed for arrays and PIL images.
        model: Name of a shipped model, or path of a model file.
        device: "auto", "cpu", "cuda", "coreml" or "openvino".
        tile_px: Side of the tiles in pixels; by default chosen by the free memory.
        bands_nm: Wavelengths of the files' bands in nm, where the files do not state them; or band numbers
            from 1: ``{850: 4}``, or ``{"nir": 4}`` for one near-infrared band of unknown wavelength.
        scale: Value that maps to 1.0; by default by the type of the data and the metadata.
        stretch: Percentiles of each file that map to 0 and 1, such as (1, 99), instead of ``scale``.
        nodata: Value of invalid pixels in the files, in their units, instead of the one that they declare;
            "none" if no value is invalid.
        max_pixels: Largest number of pixels of a file that is opened; by default files that claim far more
            pixels than their length can hold are refused.
        depth: 8 or 16 bits per channel of the output files; by default as in the input.
        overwrite: Replace existing outputs.
        skip_existing: Keep existing outputs and skip their inputs.
        recursive: Include the images in subfolders.
        jobs: Number of files colorized at the same time.

    Returns:
        The colour image for an array or a PIL image; for paths a list with the `Result` of each file, in the
        order of the inputs.

    Raises:
        NircolorError: The model, the input or the output is not usable. In a batch of several files, errors
            of single files are in the results instead.

    Examples:
        >>> import numpy as np
        >>> colorize(np.full((48, 64), 128, np.uint8)).shape
        (48, 64, 3)
    """
    file_options = {
        "bands_nm": bands_nm, "stretch": stretch, "nodata": nodata, "max_pixels": max_pixels, "depth": depth,
        "overwrite": overwrite, "skip_existing": skip_existing, "recursive": recursive,
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
        return Colorizer(model, device=device, tile_px=tile_px).colorize(image, scale=scale)
    if output is None:
        raise NircolorError(f"{os.fspath(image)}: expected an output file or folder, got none")
    work = plan([image], output, recursive=recursive)
    parallel = max(1, min(jobs, len(work)))
    results = {
        result.job: result
        for result in colorize_all(
            Colorizer(model, device=device, tile_px=tile_px, jobs=parallel),
            work,
            parallel=parallel,
            reading=Reading(bands_nm, scale, stretch, nodata, max_pixels),
            depth=depth,
            overwrite=overwrite,
            skip_existing=skip_existing,
        )
    }
    error = results[work[0]].error
    if error is not None and work == [Job(Path(image), work[0].output)]:
        # the input is a file, not a folder or a pattern
        raise error
    return [results[job] for job in work]


def plan(inputs: StrPath | Iterable[StrPath], output: StrPath, *, recursive: bool = False) -> list[Job]:
    """Find the images of files, folders and glob patterns, and the output of each.

    Images in a folder keep their place below it. Of a folder or a pattern, only images are taken (by their
    names, see `imagery.is_image`); other files that a pattern matches are named in a `NircolorWarning`. A
    file that is named itself is always taken. Where the output is inside an input folder, the results of an
    earlier run are left out.

    Args:
        inputs: Paths and patterns.
        output: A folder, or for a single image a file name.
        recursive: Include the images in subfolders of folders.

    Raises:
        NircolorError: Nothing is found, or two inputs would be written to the same output.

    Examples:
        >>> [job.output.as_posix() for job in plan(["night.png", "day.tif"], "colour")]
        ['colour/night.png', 'colour/day.tif']
    """
    output = Path(output)
    jobs = []
    for given in [inputs] if isinstance(inputs, str | os.PathLike) else inputs:
        text, path = os.fspath(given), Path(given)
        if path.is_dir():
            found = _not_made(find_images(path, recursive), path, output)
            if not found:
                hint = "" if recursive else " (--recursive looks into its folders)"
                raise NircolorError(f"{path}: expected images in this folder, found none{hint}")
            jobs += [Job(image, output_path_for(image, output, root=path)) for image in found]
        elif not path.exists() and any(sign in text for sign in "*?["):
            jobs += [Job(image, output_path_for(image, output)) for image in _matches(text)]
        else:
            _check_suffix(output)
            jobs.append(Job(path, output_path_for(path, output)))
    # an image may be named twice, as by a folder and by itself
    jobs = list(dict.fromkeys(jobs))
    if len(jobs) > 1 and all(job.output == output for job in jobs):
        raise NircolorError(f"{output}: expected a folder for {len(jobs)} images, got a file name")
    _check_distinct(jobs)
    return jobs


def _matches(pattern: str) -> list[Path]:
    """The images that match a pattern, for shells that do not expand patterns, and quoted ones."""
    # unlike pathlib's, this glob leaves out hidden files
    files = sorted(file for file in map(Path, glob(pattern, recursive=True)) if file.is_file())  # noqa: PTH207
    images = [file for file in files if is_image(file) and not is_reference(file)]
    others = [str(file) for file in files if file not in set(images)]
    if not images:
        hint = f" among {len(others)} files; name a file to try it whatever its name" if others else ""
        raise NircolorError(f"{pattern}: expected images that match, found none{hint}")
    if others:
        names = ", ".join(others[:3]) + (", …" if len(others) > 3 else "")
        warnings.warn(
            f"{pattern}: left out {len(others)} file{'s'[: len(others) > 1]} that are not images: {names}",
            NircolorWarning,
            stacklevel=3,
        )
    return images


def _check_suffix(output: Path) -> None:
    if output.suffix.lower() in _OTHER_FORMATS and not output.is_dir():
        raise NircolorError(
            f"{output}: expected a folder, or a name that ends in {', '.join(OUTPUT_DRIVERS)}"
        )


def _not_made(images: list[Path], folder: Path, output: Path) -> list[Path]:
    """Leave out the images that an earlier run wrote into an output folder inside ``folder``."""
    made = output.resolve()
    if folder.resolve() not in made.parents:
        return images
    return [image for image in images if made not in image.resolve().parents]


def _check_distinct(jobs: list[Job]) -> None:
    writers: dict[str, Path] = {}
    for job in jobs:
        # many file systems ignore case
        key = str(job.output.absolute()).casefold()
        other = writers.setdefault(key, job.path)
        if other is not job.path:
            raise NircolorError(
                f"{job.path}: would be written to {job.output}, and so would {other}; "
                "colorize them into different folders"
            )


def colorize_all(
    colorizer: Colorizer,
    jobs: Iterable[Job],
    *,
    parallel: int = 1,
    reading: Reading | None = None,
    depth: int | None = None,
    overwrite: bool = False,
    skip_existing: bool = False,
    progress_for: Callable[[Job], Progress] | None = None,
) -> Generator[Result, None, None]:
    """Colorize many files and yield their results in order of completion.

    A file that fails leaves no output behind and does not stop the others. Closing the generator early
    (Ctrl-C) stops the running files within a tile and removes their unfinished outputs.

    Args:
        colorizer: The model, made for ``jobs=parallel``.
        jobs: Inputs and outputs, as from `plan`.
        parallel: Number of files in work at the same time.
        reading: As for `Colorizer.colorize_file`, like ``depth`` and ``overwrite``.
        skip_existing: Skip jobs whose output exists.
        progress_for: Makes the progress callback of a job; it is called in the thread of the job, with the
            pixels done and those of the image.
    """

    def run(job: Job, check_cancelled: Callable[[], None]) -> Result:
        def on_progress(done: float, total: float) -> None:
            check_cancelled()
            if report is not None:
                report(done, total)

        report = progress_for(job) if progress_for is not None else None
        try:
            # an input that is its own output has not been colorized: let it fail rather than skip it
            if skip_existing and job.output.exists() and not job.output.samefile(job.path):
                return Result(job, skipped=True)
            colorizer.colorize_file(
                job.path,
                job.output,
                reading=reading,
                depth=depth,
                overwrite=overwrite,
                on_progress=on_progress,
            )
        # unexpected exceptions too: a bug that one image triggers must not stop the other thousand
        except Exception as error:
            clear_traceback(error)
            return Result(job, error)
        return Result(job)

    return in_parallel(jobs, run, parallel)
