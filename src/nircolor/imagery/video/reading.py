"""Read videos frame by frame."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from nircolor.arrays import Floats
from nircolor.errors import NircolorError
from nircolor.extras import require
from nircolor.imagery.video.samples import Levels, bit_depth, read_gray
from nircolor.texts import count_of

# damaged files may state sizes that take all memory
_LARGEST_SIDE_PX = 16_384
# packets of other streams that are read before the first frame, such as sound that starts earlier
_FRAME_TYPE = "DISPLAYMATRIX"


@dataclass(frozen=True)
class VideoFrame:
    """A frame of a video.

    Attributes:
        nir: (h, w) in [0, 1].
        levels: bit depth and range as stored.
        is_coloured: its three channels differ; ``nir`` is their mean.
        time: time stamp in units of the stream's time base.
        duration: duration in the same units, 0 where unknown.
    """

    nir: Floats
    levels: Levels
    is_coloured: bool
    time: int
    duration: int


class VideoReader:
    """A video whose frames are read in order, once.

    Args:
        file: path, or an open binary file that cannot seek, such as standard input.
        start: seconds to leave out at the beginning.
        end: seconds after which to stop; None for the whole video.

    Attributes:
        path: name, for messages.
        width, height: size of the frames in pixels, before the rotation.
        depth: bits per sample, 8 or 10.
        damage: after `items`, what is missing of a damaged file; None of a whole one.
        frames_read: number of frames so far.

    Raises:
        NircolorError: PyAV is not installed, or the file is no video that can be read.
    """

    def __init__(
        self, file: str | os.PathLike[str] | BinaryIO, start: float | None = None, end: float | None = None
    ) -> None:
        is_path = isinstance(file, str | os.PathLike)
        self.path = Path(file) if is_path else Path("standard input")  # type: ignore[arg-type]
        require("av", extra="video", what=f"{self.path}: a video")
        import av

        if start is not None and end is not None and start >= end:
            raise NircolorError(f"--end: expected a time after --start {start:g}, got {end:g}")
        source = _plain_file(self.path) if is_path else file
        self._start, self._end = start, end
        self.damage: str | None = None
        self.frames_read = 0
        try:
            # without access to other files: playlists are videos to FFmpeg too
            self._container = av.open(source, options={"protocol_whitelist": "file,pipe"})
        except (av.FFmpegError, ValueError) as error:
            raise NircolorError(self._cannot_open(error)) from error
        try:
            self._open_stream()
        except BaseException:
            self._container.close()
            raise

    def _open_stream(self) -> None:
        import av

        streams = self._container.streams
        attached = av.stream.Disposition.attached_pic
        videos = [stream for stream in streams.video if not stream.disposition & attached]
        if not videos:
            found = sorted({stream.type for stream in streams})
            raise NircolorError(
                f"{self.path}: expected a video stream, found none "
                f"(only {', '.join(found) or 'an empty file'})"
            )
        self.stream: Any = videos[0]
        self.others: list[Any] = [
            stream for stream in streams if stream is not self.stream and stream not in videos
        ]
        if self.stream.codec_context is None:
            raise NircolorError(f"{self.path}: the codec of the video is not known")
        self.stream.thread_type = "AUTO"
        self.width, self.height = self.stream.width, self.stream.height
        if self.stream.format is None or not self.width or not self.height:
            raise NircolorError(f"{self.path}: expected frames, found none that can be decoded")
        if max(self.width, self.height) > _LARGEST_SIDE_PX:
            raise NircolorError(
                f"{self.path}: expected frames of at most {_LARGEST_SIDE_PX} pixels a side, "
                f"got {self.width} x {self.height}"
            )
        bits = max(component.bits for component in self.stream.format.components)
        self.depth = bit_depth(str(self.path), self.stream.format.name, bits)
        self.time_base: Fraction = self.stream.time_base
        self.rate: Fraction = self.stream.average_rate or self.stream.guessed_rate or Fraction(25)
        self._longest_step = 1 / self.rate
        self._longest_gap = (Fraction(0), Fraction(0))
        self.matrix: list[int] | None = None
        self.is_lossless = self.stream.codec_context.name in (
            "ffv1",
            "huffyuv",
            "ffvhuff",
            "rawvideo",
            "utvideo",
        )

    @property
    def metadata(self) -> dict[str, str]:
        """Metadata of the file, such as its title and date."""
        return dict(self._container.metadata)

    @property
    def seconds(self) -> float | None:
        """Expected duration of the part that is read; None where it is not known."""
        if self.stream.duration:
            whole = float(self.stream.duration * self.time_base)
        elif self._container.duration:
            whole = self._container.duration / 1e6
        else:
            return None
        return max(0.0, min(whole, self._end or whole) - (self._start or 0))

    @property
    def offset(self) -> Fraction:
        """Seconds to subtract from time stamps, so that a part begins at 0."""
        return _exact(self._start or 0) + self._first if self._start else Fraction(0)

    @property
    def _first(self) -> Fraction:
        start = self.stream.start_time
        return Fraction(0) if start is None else start * self.time_base

    def items(self) -> Iterator["VideoFrame | Any"]:
        """Read the frames and, between them, the packets (``av.Packet``) of other streams.

        Raises:
            NircolorError: the frames are interlaced or change their size, or there is none.
        """
        import av

        if self._start:
            with suppress(av.FFmpegError):  # a pipe is read from its beginning
                self._container.seek(
                    int((self._first + _exact(self._start)) / self.time_base), stream=self.stream
                )
        start = self._first + _exact(self._start or 0)
        end = None if self._end is None else self._first + _exact(self._end)
        undecoded, broken, last, decoded = 0, None, None, 0
        others = set(self.others)
        packets = self._container.demux(self.stream, *self.others)
        is_over = False
        while not is_over:
            try:
                packet = next(packets, None)
            except (av.FFmpegError, ValueError) as error:
                broken = _reason(error)
                packet = None
            if packet is None:
                break
            if packet.stream in others:
                when = packet.pts if packet.pts is not None else packet.dts
                if when is None or packet.time_base is None:
                    continue
                seconds = when * packet.time_base
                if seconds >= start - Fraction(1, 1000) * bool(self._start == 0) and (
                    end is None or seconds < end
                ):
                    yield packet
                continue
            try:
                frames = packet.decode()
            except (av.FFmpegError, ValueError):
                undecoded += 1
                continue
            for frame in frames:
                if frame.is_corrupt:
                    undecoded += 1
                    continue
                step = frame.duration or max(1, round(1 / (self.rate * self.time_base)))
                time = frame.pts if frame.pts is not None else 0 if last is None else last + step
                if last is not None and time <= last:
                    time = last + 1
                if last is not None and (time - last) * self.time_base > self._longest_step:
                    self._longest_step = (time - last) * self.time_base
                    self._longest_gap = last * self.time_base, time * self.time_base
                last, decoded = time, decoded + 1
                seconds = time * self.time_base
                if seconds < start:
                    continue
                if end is not None and seconds >= end:
                    is_over = True
                    break
                self._check(frame, float(seconds))
                gray = read_gray(str(self.path), frame)
                self.frames_read += 1
                yield VideoFrame(gray.nir, gray.levels, gray.is_coloured, time, frame.duration or 0)
        if not self.frames_read:
            hint = f" from {self._start:g} s on" if self._start else ""
            raise NircolorError(f"{self.path}: expected frames, found none that can be decoded{hint}")
        if not is_over:
            self._note_damage(undecoded, broken, decoded, last)

    def _note_damage(self, undecoded: int, broken: str | None, decoded: int, last: int | None) -> None:
        stream, problems = self.stream, []
        if broken:
            problems.append(f"cannot be read further ({broken})")
        if undecoded:
            problems.append(f"{count_of(undecoded, 'frame')} cannot be decoded")
            # what a demuxer skips to find its way again leaves no other trace
            gap_start, gap_end = (float(time - self._first) for time in self._longest_gap)
            if gap_end - gap_start > 1.5 / self.rate:
                problems.append(f"none are between {gap_start:.2f} s and {gap_end:.2f} s")
        missing = stream.frames - decoded - undecoded if stream.frames and not self._start else 0
        if missing > 0 and not problems and self._lacks_time(last):
            problems.append(f"is cut off, {count_of(missing, 'frame')} of {stream.frames} missing")
        elif not problems and self._lacks_time(last) and not stream.frames:
            problems.append("is cut off")
        self.damage = ", ".join(problems) or None

    def _lacks_time(self, last: int | None) -> bool:
        """Whether the last frame ends well before the stated end of the video."""
        whole = float(self.stream.duration * self.time_base) if self.stream.duration else None
        if whole is None:
            # the whole file's, which sound may determine
            whole = self._container.duration / 1e6 if self._container.duration and not self.others else None
        if whole is None or last is None:
            return False
        return float(last * self.time_base - self._first) + 2.5 * float(self._longest_step) < whole

    def _check(self, frame: Any, seconds: float) -> None:
        if frame.interlaced_frame:
            raise NircolorError(
                f"{self.path}: expected progressive frames, got interlaced ones; deinterlace it first, "
                "as with ffmpeg -vf bwdif"
            )
        if (frame.width, frame.height) != (self.width, self.height):
            raise NircolorError(
                f"{self.path}: expected frames of {self.width} x {self.height}, got {frame.width} x "
                f"{frame.height} at {seconds:.2f} s; colorize the parts one by one, --end "
                f"{seconds:.2f} and --start {seconds:.2f}"
            )
        if self.matrix is None:
            found = next((data for data in frame.side_data if data.type.name == _FRAME_TYPE), None)
            self.matrix = [] if found is None else _integers(bytes(found))

    def _cannot_open(self, error: Exception) -> str:
        reason = _reason(error)
        if not isinstance(error, ValueError):
            return f"{self.path}: cannot be read ({reason})"
        advice = "; if a camera was switched off while it recorded, an MP4 lacks the index at its end"
        return f"{self.path}: expected a video, got a damaged file or another format ({reason}){advice}"

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _plain_file(path: Path) -> str:
    """Return the absolute path of a local file that is not empty; raise `NircolorError` for others."""
    if path.is_dir():
        raise NircolorError(f"{path}: expected a video file, got a folder")
    if not path.exists():
        raise NircolorError(f"{path}: no such file")
    if not path.is_file():
        raise NircolorError(f"{path}: expected a video file, got a device or pipe")
    try:
        with path.open("rb") as file:
            if not file.read(1):
                raise NircolorError(f"{path}: the file is empty")
    except OSError as error:
        raise NircolorError(f"{path}: cannot be read ({error.strerror or error})") from error
    # a scheme such as "file:" keeps FFmpeg from taking a colon in the name for another one
    return f"file:{path.absolute()}"


def _exact(seconds: float) -> Fraction:
    return Fraction(seconds).limit_denominator(1_000_000)


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).lower()


def _integers(data: bytes) -> list[int]:
    import struct

    return list(struct.unpack("=9i", data[:36]))
