"""Write colour videos with the size, time stamps and rotation of their input."""

import os
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from nircolor import staging
from nircolor.arrays import Floats
from nircolor.errors import DiskFullError, NircolorError, NircolorWarning
from nircolor.imagery.output.metadata_writer import software
from nircolor.imagery.output.placing import Finished, check_free, put, writing_to
from nircolor.imagery.video.names import VIDEO_OUTPUTS
from nircolor.imagery.video.reading import VideoReader
from nircolor.imagery.video.samples import BT601, BT709, Levels, fill_rgb, fill_ycbcr

_LIMITED, _FULL, _RGB = 1, 2, 0


@contextmanager
def _kept_scheduling() -> Iterator[None]:
    """Context that undoes a change of this thread's scheduling, in it and in the threads started meanwhile.

    Where the process belongs to root, the encoder of AV1 takes real-time priority, ahead of all other
    processes, and does not give it back.
    """
    if not hasattr(os, "sched_getscheduler"):
        yield
        return
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        if os.sched_getscheduler(0) != before[0]:
            for thread in Path("/proc/self/task").iterdir():
                # it may have ended
                with suppress(OSError):
                    os.sched_setscheduler(int(thread.name), *before)


class _Coding(NamedTuple):
    codec: str
    pix_fmt: str
    levels: Levels
    options: dict[str, str]


# constant quality at which the difference from the frames is hardly visible
_H264 = {"crf": "17", "preset": "medium"}
_HEVC = {"crf": "18", "preset": "fast", "x265-params": "log-level=none"}
_AV1 = {"crf": "22", "preset": "8"}


def _coding(extension: str, depth: int, is_lossless: bool, is_odd: bool) -> _Coding:
    """Choose codec and format: lossless stays lossless in MKV and AVI, odd sizes keep full chroma."""
    limited = Levels(depth, is_full=False)
    if (is_lossless and extension in (".mkv", ".avi")) or (extension == ".avi" and depth > 8):
        return _Coding(
            "ffv1", "bgr0" if depth == 8 else "gbrp10le", Levels(depth, is_full=True), {"level": "3"}
        )
    if extension == ".avi":
        return _Coding(
            "mjpeg", "yuvj444p" if is_odd else "yuvj420p", Levels(8, is_full=True, matrix=BT601), {}
        )
    if extension == ".webm":
        return _Coding("libsvtav1", "yuv420p" if depth == 8 else "yuv420p10le", limited, _AV1)
    chroma = "444" if is_odd else "420"
    if depth > 8:
        return _Coding("libx265", f"yuv{chroma}p10le", limited, _HEVC)
    return _Coding("libx264", f"yuv{chroma}p", limited, _H264)


def check_video_output(path: Path, source: Path, overwrite: bool) -> None:
    """Raise `NircolorError` where a video cannot be written to ``path``."""
    if path.suffix.lower() not in VIDEO_OUTPUTS:
        raise NircolorError(
            f"{path}: expected an output name that ends in {', '.join(VIDEO_OUTPUTS)} for a video, "
            f"got {path.name!r}"
        )
    check_free(path, source, overwrite)


class VideoWriter:
    """Write a video in a ``with`` block; it appears under its name when the block ends without an error.

    MP4, MOV and MKV get H.264, with 10 bits HEVC; WebM gets AV1; AVI gets Motion JPEG; lossless inputs become
    FFV1 in MKV and AVI. Colours are tagged as BT.709.

    Args:
        path: the output; its extension selects the format.
        source: path of the input, which is never replaced.
        size: (width, height) of the frames.
        depth: 8 or 10 bits.
        rate: frames per second.
        time_base: unit of the time stamps in seconds.
        like: video whose metadata, rotation and other streams are taken over.
        overwrite: replace an existing file.
        model: name of the model that estimates the colours; the comment in the metadata states it.

    Raises:
        NircolorError: the file exists, cannot be written, or does not take the sound of the input.
    """

    def __init__(
        self,
        path: Path,
        source: Path,
        size: tuple[int, int],
        *,
        depth: int,
        rate: Fraction,
        time_base: Fraction,
        like: VideoReader | None = None,
        overwrite: bool = False,
        model: str | None = None,
    ) -> None:
        check_video_output(path, source, overwrite)
        self._model = model
        self._path, self._source, self._overwrite = path, source, overwrite
        self._size, self._rate, self._time_base, self._like = size, rate, time_base, like
        self._first: int | None = None
        self._slot = -1
        is_odd = bool(size[0] % 2 or size[1] % 2)
        # AVI numbers its frames
        self._unit = 1 / rate if path.suffix.lower() == ".avi" else time_base
        self._coding = _coding(path.suffix.lower(), depth, like is not None and like.is_lossless, is_odd)
        if path.suffix.lower() == ".webm" and (is_odd or min(size) < 64):
            raise NircolorError(
                f"{path}: AV1 takes even sizes of at least 64 pixels, got {size[0]} x {size[1]}; write .mkv"
            )
        self._stack = ExitStack()
        self._copied: dict[int, Any] = {}
        self._waiting: list[Any] = []
        self._is_started = False

    def __enter__(self) -> Self:
        import av

        # the encoder of AV1 writes about itself to standard error
        os.environ.setdefault("SVT_LOG", "1")
        with writing_to(self._path):
            folder = self._stack.enter_context(staging.staging_folder(self._path.parent))
        self._whole = folder / f"video{self._path.suffix.lower()}"
        is_mp4 = self._whole.suffix in (".mp4", ".m4v", ".mov")
        try:
            with self._translated():
                self._container = av.open(
                    f"file:{self._whole.absolute()}",
                    "w",
                    options={"movflags": "+faststart"} if is_mp4 else {},
                )
        except BaseException:
            self._stack.close()
            raise
        return self

    def _start(self) -> None:
        """Add the streams; the rotation is known after the first frame."""
        coding, like = self._coding, self._like
        stream: Any = self._container.add_stream(coding.codec, rate=self._rate, options=dict(coding.options))
        stream.width, stream.height, stream.pix_fmt = *self._size, coding.pix_fmt
        stream.time_base = self._unit
        context = stream.codec_context
        context.time_base = self._unit
        is_rgb = coding.codec == "ffv1"
        context.color_range = _FULL if coding.levels.is_full else _LIMITED
        context.colorspace = _RGB if is_rgb else coding.levels.matrix
        context.color_primaries = context.color_trc = BT709
        if coding.codec == "mjpeg":
            context.qmin = context.qmax = 2
        if coding.codec == "libx265" and self._whole.suffix in (".mp4", ".m4v", ".mov"):
            context.codec_tag = "hvc1"
        if like is not None:
            if like.stream.sample_aspect_ratio:
                context.sample_aspect_ratio = like.stream.sample_aspect_ratio
            if like.matrix:
                stream.set_display_matrix(like.matrix)
            self._container.metadata.update(like.metadata)
            stream.metadata.update({k: v for k, v in like.stream.metadata.items() if k != "rotate"})
            self._add_others(like)
        if self._model is not None:
            # the one text that all formats keep; MKV gives names back in capitals
            metadata = self._container.metadata
            before = [metadata.pop(name) for name in list(metadata) if name.lower() == "comment"]
            metadata["comment"] = "; ".join([*before, software(self._model)])
        self._stream, self._is_started = stream, True

    def _add_others(self, like: VideoReader) -> None:
        left_out: list[str] = []
        for other in like.others:
            try:
                if other.type not in ("audio", "subtitle"):
                    raise ValueError
                copied = self._container.add_stream_from_template(other)
            except ValueError as error:
                codec = other.codec_context.name if other.codec_context is not None else "unknown"
                if other.type == "audio":
                    raise NircolorError(
                        f"{self._path}: {self._path.suffix} does not hold the sound of the input ({codec}); "
                        "name an output that ends in .mkv"
                    ) from error
                left_out.append(other.type)
                continue
            copied.metadata.update(other.metadata)
            self._copied[other.index] = copied
        if left_out:
            kinds = ", ".join(sorted(set(left_out)))
            warnings.warn(
                NircolorWarning(f"left out its streams of {kinds}, which are not copied", path=like.path),
                stacklevel=2,
            )

    def write(self, rgb: Floats, time: int, duration: int = 0) -> None:
        """Add a frame.

        Args:
            rgb: (3, h, w) in [0, 1].
            time: time stamp in units of the time base, after that of the frame before.
            duration: in the same units, 0 for unknown.
        """
        import av

        if self._path.suffix.lower() == ".avi":
            time, duration = self._numbered(time), 1
        frame = av.VideoFrame(*self._size, self._coding.pix_fmt)
        if self._coding.codec == "ffv1":
            fill_rgb(frame, rgb, self._coding.levels.depth)
        else:
            fill_ycbcr(frame, rgb, self._coding.levels)
        frame.pts, frame.time_base, frame.duration = time, self._unit, duration
        frame.color_range = _FULL if self._coding.levels.is_full else _LIMITED
        with self._translated():
            if not self._is_started:
                self._start()
            with _kept_scheduling():
                packets = self._stream.encode(frame)
            self._container.mux(packets)
            for packet in self._waiting:
                self._copy(packet)
            self._waiting.clear()

    def _numbered(self, time: int) -> int:
        """Return the number of a frame at a constant rate, or raise `NircolorError`."""
        self._first = time if self._first is None else self._first
        exact = (time - self._first) * self._time_base * self._rate
        number = round(exact)
        if number <= self._slot or abs(exact - number) > Fraction(1, 3):
            raise NircolorError(
                f"{self._path}: AVI holds a constant frame rate, those of the input "
                "come at irregular times; name an output that ends in .mkv"
            )
        self._slot = number
        return number

    def copy(self, packet: Any) -> None:
        """Add a packet of another stream of the input; packets before the first frame are held back."""
        if not self._is_started:
            self._waiting.append(packet)
            return
        with self._translated():
            self._copy(packet)

    def _copy(self, packet: Any) -> None:
        stream = self._copied.get(packet.stream.index)
        if stream is None or packet.size == 0:
            return
        offset = self._like.offset if self._like is not None else 0
        if offset:
            moved = round(offset / packet.time_base)
            packet.pts = None if packet.pts is None else packet.pts - moved
            packet.dts = None if packet.dts is None else packet.dts - moved
        packet.stream = stream
        self._container.mux(packet)

    def _translated(self) -> "_Translated":
        return _Translated(self._path)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack:
            try:
                with self._translated():
                    if error is None:
                        self._container.mux(self._stream.encode(None))
                    self._container.close()
            except NircolorError:
                if error is None:
                    raise
            if error is None:
                put([Finished(self._whole, self._path, self._source, self._overwrite)])


class _Translated:
    """Translate errors of FFmpeg."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        import av

        if isinstance(error, av.FFmpegError):
            full = staging.reason_if_full(error, self._path.absolute().parent)
            if full is not None:
                raise DiskFullError(f"{self._path}: cannot be written ({full})") from error
            reason = error.strerror or os.strerror(error.errno)
            raise NircolorError(f"{self._path}: cannot be written ({reason.lower()})") from error
