"""Many images: which input goes to which output, and one failure that does not stop the others."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from glob import glob
from pathlib import Path

from nircolor.errors import NircolorError
from nircolor.imagery import OUTPUT_DRIVERS, find_images, output_path_for
from nircolor.inference.colorizer import Colorizer, Reading
from nircolor.parallel import clear_traceback, in_parallel

# what somebody who gives such a name for the output wants is a file, which cannot be had
_OTHER_FORMATS = {".bmp", ".gif", ".hdr", ".heic", ".img", ".jp2", ".onnx", ".raw", ".safetensors", ".webp"}


@dataclass(frozen=True)
class Job:
    """One image to colour."""

    path: Path
    output: Path


@dataclass(frozen=True)
class Result:
    """How a job ended; ``error`` is None where all is well."""

    job: Job
    error: Exception | None = None
    skipped: bool = False


def plan(inputs: Sequence[str], output: Path, *, recursive: bool = False) -> list[Job]:
    """Files, folders and globs to jobs; images of a folder keep their place below it.

    Where the output lies inside a folder of inputs, what it holds from an earlier run is no input.

    Raises:
        NircolorError: nothing is found, or two inputs would write one output.
    """
    jobs = []
    for text in inputs:
        path = Path(text)
        if path.is_dir():
            found = _images(path, recursive, output)
            if not found:
                hint = "" if recursive else " (--recursive looks into its folders)"
                raise NircolorError(f"{path}: expected images in this folder, found none{hint}")
            jobs += [Job(image, output_path_for(image, output, root=path)) for image in found]
        elif not path.exists() and any(sign in text for sign in "*?["):
            # shells that do not expand globs, and quoted ones; unlike pathlib's, this leaves out hidden files
            found = sorted(file for file in map(Path, glob(text, recursive=True)) if file.is_file())  # noqa: PTH207
            if not found:
                raise NircolorError(f"{text}: expected files that match, found none")
            jobs += [Job(image, output_path_for(image, output)) for image in found]
        else:
            _check_suffix(output)
            jobs.append(Job(path, output_path_for(path, output)))
    # the same image may be named twice, as by a folder and by itself
    jobs = list(dict.fromkeys(jobs))
    if len(jobs) > 1 and all(job.output == output for job in jobs):
        raise NircolorError(f"{output}: expected a folder for {len(jobs)} images, got the name of one")
    _check_distinct(jobs)
    return jobs


def _check_suffix(output: Path) -> None:
    if output.suffix.lower() in _OTHER_FORMATS and not output.is_dir():
        raise NircolorError(
            f"{output}: expected a folder, or a name that ends in {', '.join(OUTPUT_DRIVERS)}"
        )


def _images(folder: Path, recursive: bool, output: Path) -> list[Path]:
    found, made = find_images(folder, recursive), output.resolve()
    if folder.resolve() not in made.parents:
        return found
    return [image for image in found if made not in image.resolve().parents]


def _check_distinct(jobs: list[Job]) -> None:
    writers: dict[str, Path] = {}
    for job in jobs:
        # names that differ in case only are one file on many disks
        key = str(job.output.absolute()).casefold()
        other = writers.setdefault(key, job.path)
        if other is not job.path:
            raise NircolorError(
                f"{job.path}: would be written to {job.output}, and so would {other}; "
                "colour them into different folders"
            )


def colorize_all(
    colorizer: Colorizer,
    jobs: Sequence[Job],
    *,
    parallel: int = 1,
    reading: Reading | None = None,
    depth: int | None = None,
    overwrite: bool = False,
    skip_existing: bool = False,
    on_progress: Callable[[Job, float, int], None] = lambda _job, _done, _total: None,
) -> Generator[Result, None, None]:
    """Run jobs, ``parallel`` at once, and yield each as it ends. A failed image leaves nothing behind.

    Leaving the generator early (Ctrl-C) ends the running images within a tile and removes what they had
    begun to write.
    """

    def run(job: Job, go_on: Callable[[], None]) -> Result:
        def progress(done: float, total: int) -> None:
            go_on()
            on_progress(job, done, total)

        try:
            # a image that would replace itself was never coloured: let it fail, not pass as done
            if skip_existing and job.output.exists() and not job.output.samefile(job.path):
                return Result(job, skipped=True)
            colorizer.colorize_file(
                job.path, job.output, reading=reading, depth=depth, overwrite=overwrite, on_progress=progress
            )
        # a fault of ours in one image must not cost the user the other thousand either
        except Exception as error:
            clear_traceback(error)
            return Result(job, error)
        return Result(job)

    return in_parallel(jobs, run, parallel)
