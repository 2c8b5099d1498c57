"""Videos: values by depth and range, time stamps, rotation, sound, and what is refused."""

import errno
import os
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from nircolor.errors import DiskFullError, NircolorError
from nircolor.imagery.video import is_video
from tests.video_samples import read_video, rgb_of, write_video

av = pytest.importorskip("av", reason="needs the extra video")

from nircolor.imagery.video.reading import VideoFrame, VideoReader  # noqa: E402
from nircolor.imagery.video.samples import read_gray  # noqa: E402
from nircolor.imagery.video.writing import VideoWriter  # noqa: E402

QUARTER_TURN = [0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30]


def frames_of(path, **part):
    with VideoReader(path, **part) as reader:
        return [item for item in reader.items() if isinstance(item, VideoFrame)]


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "full", "stored", "expected"),
    [
        ("ffv1", "gray", True, 51, 0.2),
        ("ffv1", "gray10le", True, 341, 1 / 3),
        ("ffv1", "gray10le", False, 502, 0.5),
        ("ffv1", "yuv420p", False, 60, 44 / 219),
        ("ffv1", "yuv420p", True, 51, 0.2),
        ("ffv1", "yuv420p", False, 10, 0.0),
        ("ffv1", "yuv422p10le", False, 940, 1.0),
        ("libx264", "gray", False, 60, 44 / 219),
        ("libx264", "yuv420p", False, 126, 110 / 219),
        ("libx264", "yuv420p10le", False, 502, 0.5),
        ("mjpeg", "yuvj420p", True, 102, 0.4),
        ("rawvideo", "yuv420p", False, 126, 110 / 219),
    ],
)
def test_values_by_depth_and_range(tmp_path, codec, pix_fmt, full, stored, expected):
    frames = [np.full((48, 64), stored)] * 3
    path = write_video(tmp_path / "a.mkv", frames, codec=codec, pix_fmt=pix_fmt, full=full)
    for frame in frames_of(path):
        assert not frame.is_coloured
        np.testing.assert_allclose(frame.nir, expected, atol=0.006)


def frame_of(pix_fmt, luma):
    """A frame in a format of 8 or 10 bits whose luma, or whose colours, are the integers ``luma`` (h, w)."""
    height, width = luma.shape
    frame = av.VideoFrame(width, height, pix_fmt)
    deep = max(part.bits for part in frame.format.components) > 8
    dtype = np.dtype(np.uint16 if deep else np.uint8).newbyteorder(">" if pix_fmt.endswith("be") else "<")
    shift = 6 if pix_fmt in ("p010le", "gbrp10msble", "yuv444p10msble") else 0
    for k, plane in enumerate(frame.planes):
        samples = np.frombuffer(plane, dtype).reshape(plane.height, -1)
        samples[:] = (512 if deep else 128) << shift
        if pix_fmt == "yuyv422":
            samples[:, : 2 * width : 2] = luma
        elif k == 0 or (pix_fmt.startswith("gb") and k < 3):
            samples[:, :width] = luma << shift
    return frame


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(
    "pix_fmt",
    ["gray", "yuv420p", "nv12", "yuyv422", "yuva420p", "gray10le", "gray10be", "yuv422p10le", "yuv420p10be",
     "p010le", "yuva444p10le", "yuv444p10msble", "gbrp10le", "gbrap10le", "gbrp10be", "gbrp10msble"],
)  # fmt: skip
def test_values_of_each_format(pix_fmt, full):
    unit = 4 if "10" in pix_fmt else 1
    is_full = full or pix_fmt.startswith("gb")
    black, white = (0, 256 * unit - 1) if is_full else (16 * unit, 235 * unit)
    expected = np.tile(np.linspace(0, 1, 64), (48, 1))
    frame = frame_of(pix_fmt, np.rint(black + expected * (white - black)).astype(int))
    frame.color_range = 2 if full else 1
    gray = read_gray("a.mp4", frame)
    assert not gray.is_coloured
    assert (gray.levels.depth, gray.levels.is_full) == (8 if unit == 1 else 10, is_full)
    # half a step of the integers
    np.testing.assert_allclose(gray.nir, expected, atol=0.6 / (white - black))


@pytest.mark.parametrize(("matrix", "colorspace"), [((0.2126, 0.0722), 1), ((0.299, 0.114), 6)])
def test_the_mean_of_channels_that_differ(tmp_path, matrix, colorspace):
    red, blue = matrix
    rgb = np.array([0.7, 0.4, 0.2])
    luma = red * rgb[0] + (1 - red - blue) * rgb[1] + blue * rgb[2]
    cb, cr = (rgb[2] - luma) / (2 * (1 - blue)), (rgb[0] - luma) / (2 * (1 - red))
    path = write_video(
        tmp_path / "a.mkv",
        [np.full((48, 64), round(16 + 219 * luma))] * 2,
        pix_fmt="yuv444p",
        full=False,
        chroma=(round(128 + 224 * cb), round(128 + 224 * cr)),
        colorspace=colorspace,
    )
    frame = frames_of(path)[0]
    assert frame.is_coloured
    np.testing.assert_allclose(frame.nir, rgb.mean(), atol=0.01)


@pytest.mark.parametrize("extension", ["mp4", "mov", "mkv", "webm", "avi"])
@pytest.mark.parametrize("depth", [8, 10])
def test_colours_of_each_output(tmp_path, extension, depth):
    rgb = np.full((3, 64, 96), 0.5, np.float32)
    rgb[:, :, :48] = np.float32([0.8, 0.35, 0.2])[:, None, None]
    path = tmp_path / f"colour.{extension}"
    with VideoWriter(
        path, tmp_path / "none", (96, 64), depth=depth, rate=Fraction(25), time_base=Fraction(1, 1000)
    ) as writer:
        for i in range(3):
            writer.write(rgb, 40 * i, 40)
    frames = read_video(path)
    assert [round(float(frame.pts * frame.time_base), 3) for frame in frames] == [0, 0.04, 0.08]
    assert max(part.bits for part in frames[0].format.components) == depth
    # edges between the halves are blurred by the chroma of half the resolution
    found = rgb_of(frames[1])
    assert np.abs(found - rgb)[:, 8:-8, 8:40].max() < 0.03
    assert np.abs(found - rgb)[:, 8:-8, 56:-8].max() < 0.03
    # no offset beyond the rounding of luma and chroma
    for half in (slice(8, 32), slice(64, -8)):
        error = (found - rgb)[:, 8:-8, half].mean((1, 2))
        assert np.abs(error).max() < (1.2 / 255 if depth == 8 else 1.2 / 1023), error


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="needs Linux")
def test_no_thread_takes_priority_over_other_processes(tmp_path):
    """The encoder of AV1 does where the tests run as root."""

    def policies():
        return {os.sched_getscheduler(int(thread.name)) for thread in Path("/proc/self/task").iterdir()}

    path = tmp_path / "colour.webm"
    with VideoWriter(
        path, tmp_path / "none", (64, 64), depth=8, rate=Fraction(25), time_base=Fraction(1, 1000)
    ) as writer:
        for i in range(3):
            writer.write(np.full((3, 64, 64), 0.5, np.float32), 40 * i)
            assert policies() == {os.SCHED_OTHER}
    assert policies() == {os.SCHED_OTHER}


def test_odd_sizes_are_kept(tmp_path):
    path = tmp_path / "colour.mp4"
    with VideoWriter(
        path, tmp_path / "none", (65, 47), depth=8, rate=Fraction(25), time_base=Fraction(1, 1000)
    ) as writer:
        writer.write(np.full((3, 47, 65), 0.5, np.float32), 0)
    assert [(f.width, f.height) for f in read_video(path)] == [(65, 47)]


@pytest.mark.parametrize(("extension", "codec"), [("mp4", "libx264"), ("mkv", "ffv1"), ("mov", "mjpeg")])
def test_time_stamps_rotation_and_sound_are_kept(tmp_path, extension, codec):
    times = [0, 40, 100, 120, 333, 400]
    path = write_video(
        tmp_path / f"in.{'mkv' if codec == 'ffv1' else 'mov'}",
        [np.full((48, 64), 50 + 10 * i) for i in range(6)],
        codec=codec,
        pix_fmt="gray" if codec == "ffv1" else "yuv420p" if codec == "libx264" else "yuvj420p",
        times=times,
        sound=True,
        **({"matrix": QUARTER_TURN} if codec != "ffv1" else {}),
    )
    output = tmp_path / f"out.{extension}"
    with (
        VideoReader(path) as reader,
        VideoWriter(
            output, path, (64, 48), depth=8, rate=reader.rate, time_base=reader.time_base, like=reader
        ) as writer,
    ):
        for item in reader.items():
            if isinstance(item, VideoFrame):
                writer.write(np.stack([item.nir] * 3), item.time, item.duration)
            else:
                writer.copy(item)
    before, after = read_video(path), read_video(output)
    assert [round(1000 * float(f.pts * f.time_base)) for f in after] == times
    assert after[0].rotation == before[0].rotation == (0 if codec == "ffv1" else -90)

    def sound(file):
        with av.open(str(file)) as container:
            return np.concatenate([f.to_ndarray().ravel() for f in container.decode(audio=0)])

    np.testing.assert_array_equal(sound(output), sound(path))


def test_a_part_of_a_video(tmp_path):
    path = write_video(tmp_path / "a.mkv", [np.full((48, 64), 10 * i) for i in range(10)])
    frames = frames_of(path, start=0.12, end=0.28)
    np.testing.assert_allclose([f.nir.mean() * 255 for f in frames], [30, 40, 50, 60], atol=0.1)
    with pytest.raises(NircolorError, match=r"expected frames, found none .* from 5 s on"):
        frames_of(path, start=5.0)


def test_a_file_that_is_cut_off_keeps_its_frames(tmp_path):
    frames = [np.random.default_rng(i).integers(0, 255, (48, 64)) for i in range(20)]
    whole = tmp_path / "a.avi"
    with VideoWriter(
        whole, tmp_path / "none", (64, 48), depth=8, rate=Fraction(25), time_base=Fraction(1, 1000)
    ) as writer:
        for i, frame in enumerate(frames):
            writer.write(np.stack([frame / np.float32(255)] * 3), 40 * i)
    data = whole.read_bytes()
    cut = tmp_path / "cut.avi"
    cut.write_bytes(data[: len(data) // 2])
    with VideoReader(whole) as reader:
        assert len(list(reader.items())) == 20
        assert reader.damage is None
    with VideoReader(cut) as reader:
        count = len(list(reader.items()))
        assert 5 <= count < 12
        assert reader.damage is not None


def test_a_damaged_middle_is_named_by_its_time(tmp_path):
    random = np.random.default_rng(0)
    path = write_video(
        tmp_path / "a.mkv",
        [random.integers(16, 235, (48, 64)) for _ in range(200)],
        codec="libx264",
        pix_fmt="yuv420p",
        full=False,
        gop_size=25,
    )
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 20_000] = bytes(20_000)
    path.write_bytes(data)
    with VideoReader(path) as reader:
        times = [float(item.time * reader.time_base) for item in reader.items()]
    steps = np.diff(times)
    start = times[int(steps.argmax())]
    assert steps.max() > 0.3
    assert 100 < len(times) < 195
    assert f"none are between {start:.2f} s and {start + steps.max():.2f} s" in reader.damage


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"a\.mp4: the file is empty"),
        (b"\0\0\0\x18ftypisom" + bytes(300), r"a\.mp4: expected a video, got a damaged file"),
        (b"#EXTM3U\n#EXTINF:10,\n/etc/passwd\n", r"a\.mp4: expected a"),
        (b"text", r"a\.mp4: expected a video, got a damaged file"),
    ],
)
def test_files_that_are_no_videos(tmp_path, content, message):
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(NircolorError, match=message):
        frames_of(path)


def test_twelve_bits_are_refused(tmp_path):
    path = write_video(tmp_path / "a.mkv", [np.full((48, 64), 100)], pix_fmt="gray12le")
    with pytest.raises(
        NircolorError, match=r"expected a video of 8 or 10 bits per sample, got 12 \(gray12le\)"
    ):
        VideoReader(path)


def test_sound_alone_is_refused(tmp_path):
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 640), np.int16), "s16", "stereo")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(NircolorError, match=r"expected a video stream, found none \(only audio\)"):
        VideoReader(tmp_path / "a.mkv")


def test_interlaced_frames_are_refused(tmp_path):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"x264-params": "tff=1"})
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        stream.codec_context.flags |= av.codec.context.Flags.interlaced_dct
        for i in range(3):
            frame = av.VideoFrame.from_ndarray(np.full((96, 64), 128, np.uint8), "yuv420p")
            frame.pts = i
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(NircolorError, match="expected progressive frames, got interlaced ones"):
        frames_of(path)


def test_a_size_that_changes_is_refused(tmp_path):
    parts = [
        write_video(tmp_path / f"{h}.mjpeg", [np.full((h, 64), 99)] * 2, codec="mjpeg", pix_fmt="yuvj420p")
        for h in (48, 32)
    ]
    path = tmp_path / "both.mjpeg"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    with pytest.raises(NircolorError, match=r"expected frames of 64 x 48, got 64 x 32 at 0\.\d+ s; .*--end"):
        frames_of(path)


def test_nothing_is_left_of_a_video_that_fails(tmp_path):
    def fail():
        with VideoWriter(
            tmp_path / "a.mp4",
            tmp_path / "b",
            (64, 48),
            depth=8,
            rate=Fraction(25),
            time_base=Fraction(1, 1000),
        ) as writer:
            writer.write(np.zeros((3, 48, 64), np.float32), 0)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_from_other_errors(tmp_path, monkeypatch):
    def fill(_packets):
        raise av.error.FFmpegError(errno.ENOSPC, "No space left on device")

    source = write_video(tmp_path / "in.mkv", [np.zeros((48, 64))])
    frame = np.zeros((3, 48, 64), np.float32)
    with VideoWriter(
        tmp_path / "a.mkv", source, (64, 48), depth=8, rate=Fraction(25), time_base=Fraction(1, 1000)
    ) as writer:
        writer.write(frame, 0)
        monkeypatch.setattr(writer, "_container", SimpleNamespace(mux=fill, close=lambda: None))
        with pytest.raises(DiskFullError, match=r"a\.mkv: cannot be written \(No space left on device\)"):
            writer.write(frame, 40)
        monkeypatch.undo()


def test_irregular_times_do_not_fit_into_avi(tmp_path):
    with VideoWriter(
        tmp_path / "a.avi", tmp_path / "b", (64, 48), depth=8, rate=Fraction(25), time_base=Fraction(1, 1000)
    ) as writer:
        for time in (0, 40, 80):
            writer.write(np.zeros((3, 48, 64), np.float32), time)
        with pytest.raises(NircolorError, match="AVI holds a constant frame rate"):
            writer.write(np.zeros((3, 48, 64), np.float32), 100)


def test_videos_are_recognized_by_name_or_content(tmp_path):
    path = write_video(tmp_path / "a.mkv", [np.full((48, 64), 100)])
    plain = tmp_path / "clip"
    plain.write_bytes(path.read_bytes())
    assert is_video(path)
    assert is_video(plain)
    assert not is_video(tmp_path / "a.png")
    np.testing.assert_allclose(frames_of(plain)[0].nir, 100 / 255, atol=0.002)
