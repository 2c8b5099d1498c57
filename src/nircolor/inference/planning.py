"""Plan a batch: the images of files, folders and patterns, and the output of each."""

import os
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from glob import glob
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, TypeAlias

from nircolor.errors import NircolorError, NircolorWarning
from nircolor.extras import install_command
from nircolor.imagery import (
    OUTPUT_DRIVERS,
    Listing,
    is_image,
    join_bands,
    list_files,
    list_folder,
    output_path_for,
    stack_path,
)
from nircolor.imagery.files.signatures import OUTPUT_EXTENSIONS
from nircolor.imagery.files.unread import EXTENSIONS as UNREAD_EXTENSIONS
from nircolor.imagery.files.unread import VIDEO
from nircolor.imagery.video import VIDEO_OUTPUTS, is_video, is_video_name, video_output_name
from nircolor.inference.confidence import SUFFIX, confidence_path
from nircolor.inference.video import Clip, frame_path, frames_of_pattern, is_pattern
from nircolor.texts import abbreviate, count_of

StrPath: TypeAlias = str | os.PathLike[str]
OutputFormat: TypeAlias = Literal["png", "jpg", "tif"]

_SEPARATORS = ("/", os.sep)
# a name that ends like this is more likely a file than a folder
_LIKE_EXTENSION = re.compile(r"\.[a-z][a-z0-9]{1,5}", re.IGNORECASE)
# extensions that ask for a file in a format that cannot be written, rather than for a folder
_OTHER_FORMATS = {*OUTPUT_EXTENSIONS, *UNREAD_EXTENSIONS, ".img", ".onnx", ".safetensors"}


@dataclass(frozen=True)
class Job:
    """One image, video or sequence of images to colorize.

    Attributes:
        path: Input file; for a sequence its folder or pattern.
        output: Output file; for a sequence also a folder or pattern.
        confidence: Output file for the confidence of the colours; None where it is not asked for.
        clip: Part of a video, or the images of a sequence; None for an image.
        problem: Why the job cannot be done, such as that its output is that of another one; empty for most.
    """

    path: Path
    output: Path
    confidence: Path | None = None
    clip: Clip | None = None
    problem: str = ""

    @property
    def inputs(self) -> tuple[Path, ...]:
        """All input files."""
        return self.clip.frames if self.clip is not None and self.clip.frames else (self.path,)

    @property
    def outputs(self) -> tuple[Path, ...]:
        """All output files."""
        if self.clip is not None and self.clip.frames and not is_video_name(self.output):
            return tuple(frame_path(self.output, i, frame) for i, frame in enumerate(self.clip.frames, 1))
        return (self.output,) if self.confidence is None else (self.output, self.confidence)


def plan(
    inputs: StrPath | Iterable[StrPath],
    output: StrPath,
    *,
    recursive: bool = False,
    suffix: str = "",
    output_format: OutputFormat | None = None,
    confidence: bool = False,
    sequence: bool = False,
    start: float | None = None,
    end: float | None = None,
    fps: float | None = None,
) -> list[Job]:
    """Find the images of files, folders and glob patterns, and the output of each.

    Files that make one image, such as a Sentinel-2 product or a list of bands, are one input
    (`imagery.stack_path`). Inputs that would have one output, or another input in its place, get a
    `Job.problem`. Videos count as images where PyAV is installed. Images in a folder keep their
    place below it. Of a folder or a pattern, only images are taken (by their names, see `imagery.is_image`);
    other files that a pattern matches are named in a `NircolorWarning`. A file that is named itself is
    always taken. The results of an earlier run are left out: the images in an output folder inside an input
    folder, and with a suffix those that are outputs of other inputs, and their confidence.

    Args:
        inputs: Paths and patterns.
        output: A folder, or for a single image a file name. For a single file, a name that ends like that of
            a file in another format is an error; with a slash at the end it is a folder.
        recursive: Include the images in subfolders of folders.
        suffix: Added to the names of the outputs in a folder, before the extension.
        output_format: Format of the outputs in a folder, "png", "jpg" or "tif"; by default that of the
            input.
        confidence: Whether the confidence of the colours is written beside each output.
        sequence: The images of each folder or pattern are the frames of one video, in the order of their
            names. So they are for a pattern such as ``frame_%04d.png``, and where the output is a video.
        start: Seconds to leave out at the beginning of videos and sequences.
        end: Seconds after which videos and sequences end.
        fps: Frames per second of a sequence.

    Raises:
        NircolorError: Nothing is found, the suffix is no part of a file name, or a file name as output
            contradicts the suffix or the format.

    Examples:
        >>> [job.output.as_posix() for job in plan(["night.png", "day.tif"], "colour")]
        ['colour/night.png', 'colour/day.tif']
        >>> [job.output.as_posix() for job in plan("a/night.tif", "a", suffix="_colour", output_format="png")]
        ['a/night_colour.png']
    """
    target, output = os.fspath(output), Path(output)
    _check_name_part(suffix)
    jobs = []
    several = [inputs] if isinstance(inputs, str | os.PathLike) else inputs
    all_inputs = join_bands([os.fspath(one) for one in several])
    for text in all_inputs:
        path = Path(text)
        stack = stack_path(path)
        if not path.exists() and is_pattern(text):
            jobs.append(_sequence_job(path, frames_of_pattern(text), target, start, end, fps))
        elif stack is not None:
            _check_extension(target, single=len(all_inputs) == 1)
            jobs.append(Job(stack, output_path_for(stack, target)))
        elif path.is_dir():
            listing = list_folder(path, recursive)
            videos = _videos_of(listing, path)
            is_sequence = sequence or _is_video_file(target)
            found = _not_made(
                listing.images if is_sequence else sorted(listing.images + videos), path, output
            )
            if not found:
                raise _no_images(path, recursive)
            if is_sequence:
                jobs.append(_sequence_job(path, tuple(found), target, start, end, fps))
            else:
                jobs += [_file_job(image, target, path) for image in found]
        elif is_glob(text) and (sequence or _is_video_file(target)):
            jobs.append(_sequence_job(path, tuple(_matches(text, videos=False)), target, start, end, fps))
        elif is_glob(text):
            jobs += [_file_job(image, target) for image in _matches(text)]
        else:
            if not is_video(path):
                _check_extension(target, single=len(all_inputs) == 1)
            jobs.append(_file_job(path, target))
    jobs = [_with_times(job, start, end) for job in jobs]
    _check_clips(jobs, start, end, fps, sequence)
    # an image may be named twice, as by a folder and by itself
    jobs = _without_envi_data(list(dict.fromkeys(jobs)))
    jobs = [_renamed(job, output, suffix, output_format) for job in jobs]
    if suffix:
        jobs = _without_results(jobs, suffix)
    if len(jobs) > 1 and all(job.output == output for job in jobs):
        raise NircolorError(f"{output}: expected a folder for {len(jobs)} images, got a file name")
    if confidence:
        jobs = [replace(job, confidence=confidence_path(job.output)) for job in jobs]
    return _with_problems(jobs, output_format)


def find_inputs(inputs: Iterable[StrPath], *, recursive: bool = False) -> list[Path]:
    """Find the images of files, folders and glob patterns, as `plan` does, without videos and sequences.

    Videos that are found and files that are not read are named in a `NircolorWarning`.

    Args:
        inputs: Paths and patterns.
        recursive: Include the images in subfolders of folders.

    Raises:
        NircolorError: A folder or a pattern has no image.
    """
    found: list[Path] = []
    for one in inputs:
        text, path = os.fspath(one), Path(one)
        if is_glob(text):
            found += _matches(text, videos=False)
        elif path.is_dir() and stack_path(path) is None:
            listing = list_folder(path, recursive)
            videos = _videos_of(listing, path)
            if videos:
                names = abbreviate([video.name for video in videos], 3)
                problem = f"left out {count_of(len(videos), 'video')}: {names}; nircolor colorize reads them"
                warnings.warn(NircolorWarning(problem, path=path), stacklevel=2)
            if not listing.images:
                raise _no_images(path, recursive)
            found += listing.images
        else:
            found.append(path)
    return list(dict.fromkeys(found))


def is_glob(text: str) -> bool:
    """Whether a text is a glob pattern, rather than the name of a file that contains its signs."""
    return any(sign in text for sign in "*?[") and not Path(text).exists()


def _no_images(folder: Path, recursive: bool) -> NircolorError:
    hint = "" if recursive else " (--recursive looks into its folders)"
    return NircolorError(f"{folder}: expected images in this folder, found none{hint}")


def _file_job(path: Path, target: str, root: Path | None = None) -> Job:
    """The job of an image or video; videos that are not written in their format become .mp4."""
    if not is_video(path):
        return Job(path, output_path_for(path, target, root=root))
    if _is_video_file(target):
        return Job(path, Path(target), clip=Clip())
    extension = Path(target).suffix.lower()
    if extension in _OTHER_FORMATS | OUTPUT_DRIVERS.keys() and not (
        target.endswith(_SEPARATORS) or Path(target).is_dir()
    ):
        raise NircolorError(
            f"{target}: expected a folder, or a name that ends in {', '.join(VIDEO_OUTPUTS)} for a video; "
            f"a folder of this name is {target}/"
        )
    folder = Path(target) if root is None else Path(target) / path.parent.relative_to(root)
    return Job(path, folder / video_output_name(path), clip=Clip())


def _sequence_job(
    path: Path,
    frames: tuple[Path, ...],
    target: str,
    start: float | None,
    end: float | None,
    fps: float | None,
) -> Job:
    rate = None if fps is None else Fraction(fps).limit_denominator(1001)
    if rate is not None and not _is_video_file(target):
        raise NircolorError(f"--fps: expected a video as output, got {target}")
    extension = Path(target).suffix.lower()
    if not _is_video_file(target) and not is_pattern(target) and extension in OUTPUT_DRIVERS:
        raise NircolorError(
            f"{target}: expected a folder, a pattern such as colour_%04d.png, or a video for a sequence, "
            "got the name of one image"
        )
    return Job(path, Path(target), clip=Clip(start, end, frames, rate))


def _is_video_file(target: str) -> bool:
    is_folder = target.endswith(_SEPARATORS) or Path(target).is_dir()
    return Path(target).suffix.lower() in VIDEO_OUTPUTS and not is_folder


def _with_times(job: Job, start: float | None, end: float | None) -> Job:
    return job if job.clip is None or job.clip.frames else replace(job, clip=Clip(start, end))


def _check_clips(
    jobs: list[Job], start: float | None, end: float | None, fps: float | None, sequence: bool
) -> None:
    """Refuse options of videos that have no effect."""
    if (start is not None or end is not None) and not any(job.clip for job in jobs):
        raise NircolorError(f"--{'end' if start is None else 'start'}: expected a video, got images")
    if not any(job.clip and job.clip.frames for job in jobs):
        if sequence:
            raise NircolorError("--sequence: expected a folder or pattern of images, got single files")
        if fps is not None:
            raise NircolorError("--fps: expected a sequence of images, got files that are none")


def _videos_of(listing: Listing, place: StrPath) -> list[Path]:
    """Take the videos out of the files that are not read, and warn of the others."""
    videos = sorted(path for path, kind in listing.unread.items() if kind is VIDEO)
    can_read = find_spec("av") is not None
    for path in videos:
        del listing.unread[path]
    if videos and not can_read:
        names = abbreviate([path.name for path in videos], 3)
        problem = f"left out {count_of(len(videos), 'video')}: {names}; {install_command('video')} reads them"
        warnings.warn(NircolorWarning(problem, path=place), stacklevel=3)
    if listing.unread:
        warnings.warn(NircolorWarning(listing.unread_summary(), path=place), stacklevel=3)
    return videos if can_read else []


def _matches(pattern: str, *, videos: bool = True) -> list[Path]:
    """The images that match a pattern, for shells that do not expand patterns, and quoted ones."""
    # unlike pathlib's, this glob leaves out hidden files
    found = sorted(map(Path, glob(pattern, recursive=True)))  # noqa: PTH207
    files = [file for file in found if file.is_file() or stack_path(file) is not None]
    listing = list_files(files)
    known = {*listing.images, *listing.unread, *listing.envi_data}
    others = [str(file) for file in files if file not in known]
    found = sorted(listing.images + _videos_of(listing, pattern)) if videos else listing.images
    if not found:
        hint = f" among {len(files)} files; name a file to try it whatever its name" if files else ""
        raise NircolorError(f"{pattern}: expected images that match, found none{hint}")
    if others:
        names = abbreviate(others, 3)
        noun = "1 file that is no image" if len(others) == 1 else f"{len(others)} files that are not images"
        warnings.warn(NircolorWarning(f"left out {noun}: {names}", path=pattern), stacklevel=3)
    return found


def _without_envi_data(jobs: list[Job]) -> list[Job]:
    """Leave out ENVI data files whose headers are inputs too, as of a pattern that the shell expands."""
    images = [job for job in jobs if job.clip is None]
    envi = [job.path for job in images if job.path.suffix.lower() == ".hdr" or not is_image(job.path)]
    data = set(list_files(path for path in envi if path.is_file()).envi_data)
    return [job for job in jobs if job.path not in data]


def _check_extension(output: str, *, single: bool) -> None:
    extension = Path(output).suffix.lower()
    if output.endswith(_SEPARATORS) or extension in OUTPUT_DRIVERS or Path(output).is_dir():
        return
    # folders for several images may well be called results.v2
    if extension in _OTHER_FORMATS or (single and _LIKE_EXTENSION.fullmatch(extension)):
        raise NircolorError(
            f"{output}: expected a folder, or a name that ends in {', '.join(OUTPUT_DRIVERS)}; "
            f"a folder of this name is {output}/"
        )


def _real(path: Path) -> Path:
    """Follow links; unlike `Path.resolve`, without an error where they form a loop."""
    return Path(os.path.realpath(path))


def _not_made(images: list[Path], folder: Path, output: Path) -> list[Path]:
    """Leave out the images that an earlier run wrote into an output folder inside ``folder``."""
    made = _real(output)
    if _real(folder) not in made.parents:
        return images
    return [image for image in images if made not in _real(image).parents]


def _with_problems(jobs: list[Job], output_format: str | None) -> list[Job]:
    """Mark jobs whose output is that of another job, or another input.

    An output in place of its own input is an error of that image alone.
    """
    folders = {path.parent for job in jobs for path in (*job.inputs, *job.outputs)}
    real = {folder: _real(folder) for folder in folders}
    inputs = {real[path.parent] / path.name: path for job in jobs for path in job.inputs}
    # output, what is written to it, and by which job
    writers: dict[str, list[tuple[Path, str, Job]]] = {}
    problems: dict[Job, str] = {}
    for job in jobs:
        for path in job.outputs:
            written = f"the confidence of {job.path}" if path is job.confidence else str(job.path)
            # many file systems ignore case
            writers.setdefault(str(path.absolute()).casefold(), []).append((path, written, job))
            source = inputs.get(real[path.parent] / path.name, job.path)
            if source is not job.path:
                problems[job] = f"{written} -> {path}: the output is another input; choose another folder"
    for several in writers.values():
        if len(several) > 1:
            names = " and ".join(dict.fromkeys(written for _, written, _ in several))
            paths = [job.path for _, _, job in several]
            problems |= {
                job: f"{names} -> {several[0][0]}: {two_inputs(paths, output_format)}"
                for _, _, job in several
            }
    return [replace(job, problem=problems[job]) if job in problems else job for job in jobs]


def two_inputs(paths: Iterable[Path], output_format: str | None) -> str:
    """Say that several inputs have one output, and how to tell their outputs apart."""
    extensions = [path.suffix.lower() for path in paths]
    is_format = (
        output_format and len(set(extensions)) == len(extensions) and {*extensions} <= {*OUTPUT_DRIVERS}
    )
    return (
        f"two inputs have one output; {'leave out --format, ' if is_format else ''}colorize one of them with "
        "--suffix, or into another folder"
    )


def _check_name_part(suffix: str) -> None:
    if any(sign in suffix for sign in ("/", "\\", "\0")):
        raise NircolorError(f"--suffix: expected a part of a file name such as _colour, got {suffix!r}")


def _renamed(job: Job, output: Path, suffix: str, output_format: OutputFormat | None) -> Job:
    """Apply the suffix and the format to an output in a folder."""
    path = job.output
    if path != output:
        # formats are those of images
        extension = f".{output_format}" if output_format and job.clip is None else path.suffix
        return replace(job, output=path.with_name(f"{path.stem}{suffix}{extension}"))
    if job.clip is not None and not suffix:
        return job
    if suffix:
        raise NircolorError(f"{output}: expected a folder with --suffix, got a file name")
    if output_format and OUTPUT_DRIVERS[path.suffix.lower()] != OUTPUT_DRIVERS[f".{output_format}"]:
        raise NircolorError(f"{output}: expected a name that ends in .{output_format}, as --format says")
    return job


def _without_results(jobs: list[Job], suffix: str) -> list[Job]:
    """Leave out the inputs that are outputs of other inputs, with a warning."""
    # whether this run writes the confidence or not
    outputs = {_real(path) for job in jobs for path in (job.output, confidence_path(job.output))}
    kept = [job for job in jobs if _real(job.path) not in outputs]
    if count := len(jobs) - len(kept):
        made = [job.path.stem for job in jobs if job not in kept]
        endings = [end for end in (suffix, suffix + SUFFIX) if any(stem.endswith(end) for stem in made)]
        warnings.warn(
            f"left out {count_of(count, 'image')} that {'ends' if count == 1 else 'end'} in "
            f"{' or '.join(endings)}: results of an earlier run",
            NircolorWarning,
            stacklevel=3,
        )
    return kept
