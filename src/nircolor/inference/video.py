"""Colorize videos and sequences of images, with colours that are steady over time."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from nircolor.arrays import Floats
from nircolor.errors import ColourPhotographError, NircolorError, NircolorWarning
from nircolor.imagery import create_like
from nircolor.imagery.video import is_video_name
from nircolor.inference.outputs import warn_of_no_pixels
from nircolor.inference.reading import FileSummary, Reading, opened, summarize
from nircolor.inference.sources import ArraySource
from nircolor.inference.steadying import Steadying
from nircolor.modelfile import Card, match_bands
from nircolor.parallel import Progress
from nircolor.texts import count_of

if TYPE_CHECKING:
    from nircolor.imagery.video.reading import VideoReader
    from nircolor.inference.colorizer import Colorizer

# of the time stamps of a sequence of images
_SEQUENCE_TIME_BASE = Fraction(1, 90_000)
DEFAULT_RATE = Fraction(25)


@dataclass(frozen=True)
class Clip:
    """What is colorized of a video, or the images that are its frames.

    Attributes:
        start: seconds to leave out at the beginning.
        end: seconds after which to stop.
        frames: images that are the frames; empty for a video file.
        rate: frames per second of the images, 25 by default.
        stream: open file to read the video from, instead of its path.
    """

    start: float | None = None
    end: float | None = None
    frames: tuple[Path, ...] = ()
    rate: Fraction | None = None
    stream: BinaryIO | None = None


@dataclass(frozen=True)
class Options:
    """Options of `colorize_video`, as for `Colorizer.colorize_file`."""

    reading: Reading
    depth: int | None
    quality: int | None
    overwrite: bool
    skip_colour: bool
    confidence: bool


def colorize_video(
    colorizer: "Colorizer",
    path: Path,
    output: Path,
    clip: Clip,
    options: Options,
    *,
    saturation: float = 1.0,
    on_progress: Progress | None = None,
) -> FileSummary:
    """Colorize a video into a video, or a sequence of images into a video or a folder.

    Memory does not depend on the length. Colours are averaged over time where the near-infrared frames do not
    change, see `steadying.Steadying`.

    Args:
        colorizer: the model.
        path: the video; for a sequence its name in messages.
        output: video to write; for a sequence also a folder, or a pattern such as ``colour_%04d.png``.
        clip: the part, or the images.
        options: of reading and writing.
        saturation: as for `Colorizer.colorize`.
        on_progress: called with the pixels done and an estimate of those of the video.

    Returns:
        How the video was read.

    Raises:
        NircolorError: as for `Colorizer.colorize_file`.
    """
    run = VideoRun(colorizer, saturation, on_progress)
    if clip.frames:
        return _colorize_sequence(run, path, output, clip, options)
    return _colorize_file(run, path, output, clip, options)


def check_video(card: Card, path: Path, output: Path, clip: Clip, options: Options) -> FileSummary:
    """Check whether `colorize_video` would work as far as headers tell, without writing anything."""
    from nircolor.imagery.video.writing import check_video_output

    if clip.frames:
        _check_options(path, options, is_video=False)
        if is_video_name(output):
            check_video_output(output, path, options.overwrite)
        with opened(card, clip.frames[0], options.reading, options.skip_colour) as (raster, source):
            return summarize(raster, source)
    _check_options(path, options, is_video=True)
    with _reader(card, path, clip, options) as reader:
        check_video_output(output, path, options.overwrite)
        return _summary(reader, options.reading)


def inspect_video(card: Card, path: Path, reading: Reading) -> dict[str, Any]:
    """Describe a video as plain data, and check that a model takes it; its first frame is decoded.

    Raises:
        NircolorError: PyAV is not installed, or `colorize_video` would refuse the video.
    """
    from nircolor.imagery.video.reading import VideoFrame

    options = Options(reading, None, None, False, False, False)
    _check_options(path, options, is_video=True)
    with _reader(card, path, Clip(), options) as reader:
        seconds, rate = reader.seconds, float(reader.rate)
        frames = reader.stream.frames or (None if seconds is None else round(seconds * rate))
        first = next((item for item in reader.items() if isinstance(item, VideoFrame)), None)
        if first is not None and first.is_coloured:
            _check_colour(reader, first.time, options)
        return {
            "file": str(path),
            "format": "video",
            "width": reader.width,
            "height": reader.height,
            "frames": frames,
            "frames_per_second": round(rate, 4),
            "seconds": None if seconds is None else round(seconds, 3),
            "codec": reader.stream.codec_context.name,
            "pixel_format": reader.stream.format.name,
            "bits": reader.depth,
            "sound": any(other.type == "audio" for other in reader.others),
        }


class VideoRun:
    """Colorize frames one after the other.

    Args:
        colorizer: the model.
        saturation: as for `Colorizer.colorize`.
        on_progress: called with the pixels done and an estimate of those of the video.

    Attributes:
        frames: number of frames so far.
        expected: expected number of frames, 0 where unknown.
    """

    def __init__(self, colorizer: "Colorizer", saturation: float, on_progress: Progress | None) -> None:
        self.card = colorizer.card
        self._colorizer, self._saturation, self._on_progress = colorizer, saturation, on_progress
        self._steadying = Steadying()
        self._tile_px: int | None = None
        self.frames = 0
        self.expected = 0.0

    def colorize(self, source: ArraySource) -> Floats:
        """Return the colours (3, h, w) of a frame."""
        # the same tiles in all frames
        self._tile_px = self._tile_px or self._colorizer.tile_for(source)
        nir = source.rows(0, source.height)[0].mean(0)
        self._steadying.begin(nir)
        colour = self._colorizer.colorize_source(
            source, self._tile_px, self._report, saturation=self._saturation, on_view=self._steadying.view
        )
        self.frames += 1
        return self._steadying.finish(nir, colour)

    def _report(self, done: float, pixels: float) -> None:
        if self._on_progress is not None:
            frames = max(self.expected, self.frames + 1)
            self._on_progress(self.frames * pixels + done, frames * pixels)


def _colorize_file(run: VideoRun, path: Path, output: Path, clip: Clip, options: Options) -> FileSummary:
    from nircolor.imagery.video.reading import VideoFrame
    from nircolor.imagery.video.writing import VideoWriter

    _check_options(path, options, is_video=True)
    with _reader(run.card, path, clip, options) as reader:
        run.expected = (reader.seconds or 0.0) * float(reader.rate)
        depth = min(reader.depth, options.depth or reader.depth)
        offset = round(reader.offset / reader.time_base)
        is_warned = False
        with VideoWriter(
            output,
            path,
            (reader.width, reader.height),
            depth=depth,
            rate=reader.rate,
            time_base=reader.time_base,
            like=reader,
            overwrite=options.overwrite,
            model=run.card.name,
        ) as writer:
            for item in reader.items():
                if not isinstance(item, VideoFrame):
                    writer.copy(item)
                    continue
                if item.is_coloured and not is_warned:
                    is_warned = True
                    _check_colour(reader, item.time, options)
                writer.write(run.colorize(ArraySource(item.nir[None])), item.time - offset, item.duration)
        if reader.damage:
            warnings.warn(
                NircolorWarning(
                    f"{reader.damage}; the other {count_of(reader.frames_read, 'frame')} are colorized",
                    path=reader.path,
                ),
                stacklevel=3,
            )
        return _summary(reader, options.reading)


def _check_colour(reader: "VideoReader", time: int, options: Options) -> None:
    seconds = float(time * reader.time_base)
    where = f" at {seconds:.2f} s" if reader.frames_read > 1 else ""
    if options.skip_colour:
        raise ColourPhotographError(f"{reader.path}: is a colour video{where} (its channels differ)")
    warnings.warn(
        NircolorWarning(
            f"looks like a colour video{where}, not near-infrared (its channels differ); the mean of its "
            "channels is colorized; --skip-colour skips such videos",
            path=reader.path,
        ),
        stacklevel=4,
    )


@contextmanager
def _reader(card: Card, path: Path, clip: Clip, options: Options) -> Iterator["VideoReader"]:
    from nircolor.imagery.video.reading import VideoReader

    if card.encoding != "gamma":
        raise NircolorError(
            f"{path}: model {card.name} expects reflectance, which videos do not hold; use --model scene"
        )
    given = options.reading.bands_nm
    wavelengths = (given[0],) if isinstance(given, tuple | list) and len(given) == 1 else (None,)
    if given is not None and wavelengths == (None,) and given != {"nir": 1}:
        raise NircolorError(f"{path}: --bands: expected one wavelength for the one band of a video")
    match_bands(card.bands, wavelengths, str(path), f"model {card.name}")
    with VideoReader(clip.stream or path, clip.start, clip.end) as reader:
        yield reader


def _check_options(path: Path, options: Options, *, is_video: bool) -> None:
    if options.confidence:
        raise NircolorError(f"{path}: --confidence is for images; the confidence of a video is not written")
    if not is_video:
        return
    reading = vars(options.reading)
    names = ("scale", "offset", "reflectance", "stretch", "nodata")
    given = [name for name in names if reading[name] is not None]
    if given:
        raise NircolorError(
            f"{path}: --{given[0]} is for images; the range of a video's values is in its file"
        )
    if options.depth == 16:
        raise NircolorError(f"{path}: --depth: expected 8 for a video, or none to keep its depth, got 16")


def _summary(reader: "VideoReader", reading: Reading) -> FileSummary:
    wavelengths: tuple[Any, ...] = (
        tuple(reading.bands_nm) if isinstance(reading.bands_nm, tuple | list) else (None,)
    )
    return FileSummary(
        reader.width,
        reader.height,
        (1,),
        wavelengths,
        float((1 << reader.depth) - 1),
        f"{reader.depth}-bit video, {float(reader.rate):.4g} frames per second",
    )


def _colorize_sequence(run: VideoRun, path: Path, output: Path, clip: Clip, options: Options) -> FileSummary:
    _check_options(path, options, is_video=False)
    rate = clip.rate or DEFAULT_RATE
    first, last = (None if t is None else round(t * rate) for t in (clip.start, clip.end))
    frames = clip.frames[first:last]
    if not frames:
        raise NircolorError(
            f"{path}: expected images between --start and --end, found none of {len(clip.frames)}"
        )
    run.expected = len(frames)
    if is_video_name(output):
        return _sequence_to_video(run, output, frames, rate, options)
    summary: FileSummary | None = None
    for i, frame in enumerate(frames):
        with _opened_frame(run.card, frame, options, summary) as (raster, source):
            summary = summary or summarize(raster, source)
            target = frame_path(output, i + 1, frame)
            with create_like(
                raster, target, depth=options.depth, quality=options.quality, overwrite=options.overwrite
            ) as writer:
                nir, valid = _filled(source, frame)
                writer.write(run.colorize(nir), valid, (0, source.height, 0, source.width))
    assert summary is not None
    return summary


def _sequence_to_video(
    run: VideoRun, output: Path, frames: tuple[Path, ...], rate: Fraction, options: Options
) -> FileSummary:
    from nircolor.imagery.video.writing import VideoWriter

    with opened(run.card, frames[0], options.reading, options.skip_colour) as (raster, source):
        summary = summarize(raster, source)
        # more than 8 bits become the 10 of a video
        depth = 8 if raster.depth == 8 or options.depth == 8 else 10
    step = round(1 / (rate * _SEQUENCE_TIME_BASE))
    with VideoWriter(
        output,
        frames[0],
        (summary.width, summary.height),
        depth=depth,
        rate=rate,
        time_base=_SEQUENCE_TIME_BASE,
        overwrite=options.overwrite,
        model=run.card.name,
    ) as writer:
        for i, frame in enumerate(frames):
            with _opened_frame(run.card, frame, options, summary) as (_, source):
                writer.write(
                    run.colorize(_filled(source, frame)[0]), round(i / (rate * _SEQUENCE_TIME_BASE)), step
                )
    return summary


@contextmanager
def _opened_frame(card: Card, path: Path, options: Options, like: FileSummary | None) -> Iterator[Any]:
    with opened(card, path, options.reading, options.skip_colour) as (raster, source):
        if like is not None and (raster.width, raster.height) != (like.width, like.height):
            raise NircolorError(
                f"{path}: expected an image of {like.width} x {like.height} as the first of the sequence, "
                f"got {raster.width} x {raster.height}"
            )
        yield raster, source


def _filled(source: Any, path: Path) -> tuple[ArraySource, Any]:
    nir, valid = source.rows(0, source.height)
    if not valid.any():
        warn_of_no_pixels(path)
    return ArraySource(np.array(nir), valid), valid


def frame_path(output: Path, number: int, frame: Path) -> Path:
    """Return the output of a frame: a pattern with its number, from 1, or a folder with the frame's name."""
    text = os.fspath(output)
    if is_pattern(text):
        return Path(text % number)
    from nircolor.imagery import output_path_for

    return output_path_for(frame, output)


def is_pattern(text: str) -> bool:
    """Return whether a name is a pattern of numbers as FFmpeg writes it, such as ``frame_%04d.png``.

    Example:
        >>> is_pattern("frame_%04d.png"), is_pattern("100%.png")
        (True, False)
    """
    try:
        return text % 1 != text % 2
    except (TypeError, ValueError):
        return False


def frames_of_pattern(pattern: str) -> tuple[Path, ...]:
    """List the images of a pattern such as ``frame_%04d.png``, from the first number that exists, 0 to 9.

    The sequence ends before the first missing number; a `NircolorWarning` says so where others follow.
    """
    first = next((number for number in range(10) if Path(pattern % number).exists()), None)
    if first is None:
        raise NircolorError(
            f"{pattern}: expected images numbered from 0 to 9 on, found none; --sequence takes the images "
            "of a folder, whatever their numbers"
        )
    number, found = first, []
    while (path := Path(pattern % number)).exists():
        found.append(path)
        number += 1
    later = next((n for n in range(number + 1, number + 1000) if Path(pattern % n).exists()), None)
    if later is not None:
        raise NircolorError(
            f"{pattern}: expected images without gaps, {path} is missing and {pattern % later} exists; "
            "--sequence takes the images of a folder, whatever their numbers"
        )
    return tuple(found)
