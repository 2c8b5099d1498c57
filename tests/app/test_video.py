"""`nircolor colorize` with videos and sequences of images."""

import json
import sys

import numpy as np
import pytest

from tests import tiny_models
from tests.imagery.imagery_samples import load, save
from tests.video_samples import read_video, rgb_of, texture, write_video

av = pytest.importorskip("av", reason="needs the extra video")


@pytest.fixture
def model(tmp_path):
    return tiny_models.per_pixel(tmp_path / "tiny.onnx")


def clip(path, count=4, **options):
    frames = [np.rint(255 * np.roll(texture(), 3 * i, 1)) for i in range(count)]
    return write_video(path, frames, **options)


def test_a_video_becomes_a_video(nircolor, model, tmp_path):
    path = clip(tmp_path / "a.mkv")
    done = nircolor("colorize", path, "-o", tmp_path / "b.mkv", "-m", model)
    assert (done.code, done.out) == (0, "")
    assert done.err.startswith("1 video, ")
    nir = texture()
    expected = np.stack([nir, nir / 2, 1 - nir])
    assert np.abs(rgb_of(read_video(tmp_path / "b.mkv")[0]) - expected).max() < 0.01


def test_a_folder_of_images_and_videos(nircolor, model, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    clip(folder / "a.mkv")
    save(folder / "b.png", np.full((1, 48, 64), 100, np.uint8))
    (folder / "c.mp4").write_bytes(b"text")
    done = nircolor("colorize", folder, "-o", tmp_path / "out", "-m", model)
    assert done.code == 1
    assert "1 image, 1 video" in done.err
    assert "c.mp4: expected a video" in done.err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.mkv", "b.png"]


def test_a_part_of_a_video(nircolor, model, tmp_path):
    path = clip(tmp_path / "a.mkv", 10)
    assert (
        nircolor(
            "colorize", path, "-o", tmp_path / "b.mkv", "-m", model, "--start", "0.12", "--end", "0:00.2"
        ).code
        == 0
    )
    assert [frame.pts for frame in read_video(tmp_path / "b.mkv")] == [0, 40]


@pytest.mark.parametrize("given", ["in/f_%03d.png", "in", "in/*.png"])
def test_a_sequence_becomes_a_video(nircolor, model, tmp_path, given):
    (tmp_path / "in").mkdir()
    for i in range(3):
        save(tmp_path / "in" / f"f_{i:03d}.png", np.full((1, 48, 64), 100 + i, np.uint8))
    done = nircolor("colorize", tmp_path / given, "-o", tmp_path / "b.mkv", "-m", model, "--fps", 10)
    assert done.code == 0
    assert "3 images" in done.err
    assert [round(float(f.pts * f.time_base), 3) for f in read_video(tmp_path / "b.mkv")] == [0, 0.1, 0.2]


def test_a_sequence_becomes_images_of_its_depth(nircolor, model, tmp_path):
    for i in (1, 2):
        save(tmp_path / f"f_{i}.png", np.full((1, 48, 64), 20000, np.uint16))
    assert nircolor("colorize", tmp_path / "f_%d.png", "-o", tmp_path / "c_%d.png", "-m", model).code == 0
    pixels = load(tmp_path / "c_2.png")[0]
    assert pixels.dtype == np.uint16
    assert abs(int(pixels[0].max()) - 20000) <= 1


@pytest.mark.parametrize("extension", ["mp4", "mkv", "mov", "avi", "webm"])
def test_the_comment_says_that_the_colours_are_estimated(nircolor, model, tmp_path, extension):
    output = tmp_path / f"b.{extension}"
    path = write_video(tmp_path / "a.mkv", [np.full((64, 64), 100)] * 2, metadata={"comment": "camera 7"})
    assert nircolor("colorize", path, "-o", output, "-m", model).code == 0
    with av.open(str(output)) as container:
        (comment,) = (text for name, text in container.metadata.items() if name.lower() == "comment")
    assert comment.startswith("camera 7; nircolor ")
    assert comment.endswith(", colours estimated by model per_pixel")


def test_bad_input_is_refused_in_one_line_and_nothing_is_written(nircolor, model, tmp_path):
    path = clip(tmp_path / "a.mkv")
    before = sorted(tmp_path.iterdir())
    for words, message in [
        (("-o", tmp_path / "b.png"), "for a video"),
        (("-o", tmp_path / "b.mkv", "--stretch", "1,99"), "--stretch is for images"),
        (("-o", tmp_path / "b.mkv", "--confidence"), "confidence"),
        (("-o", tmp_path / "b.mkv", "--start", "9"), "expected frames, found none"),
        (("-o", tmp_path / "b.mkv", "--start", "x"), "--start: expected seconds such as 90.5"),
        (("-o", tmp_path / "b.mkv", "--fps", "5"), "--fps: expected a sequence of images"),
        (("-o", path), "is the input itself"),
    ]:
        assert message in nircolor.refused("colorize", path, "-m", model, *words)
    assert sorted(tmp_path.iterdir()) == before


def test_colour_videos_are_skipped_or_warned_of(nircolor, model, tmp_path):
    path = clip(tmp_path / "a.mkv", pix_fmt="yuv444p", chroma=(90, 170))
    done = nircolor("colorize", path, "-o", tmp_path / "b.mkv", "-m", model)
    assert "looks like a colour video, not near-infrared" in done.err
    done = nircolor("colorize", path, "-o", tmp_path / "c.mkv", "-m", model, "--skip-colour", "--json")
    (record,) = json.loads(done.out)
    assert (record["status"], record["reason"]) == ("skipped", "colour video")
    assert f"1 colour video skipped ({path})" in done.err
    assert "photograph" not in done.err
    done = nircolor("colorize", path, "-o", tmp_path / "c.mkv", "-m", model, "--skip-colour", "--verbose")
    assert f"{path}: skipped, a colour video" in done.err
    assert not (tmp_path / "c.mkv").exists()


def test_info_of_a_video(nircolor, tmp_path, monkeypatch):
    path = clip(tmp_path / "a.mkv", 5)
    done = nircolor("info", path)
    assert (done.code, done.err) == (0, "")
    shown = " ".join(done.out.split())
    assert f"{path} (video, ffv1) size 64 × 48 px length 5 frames at 25 per second, 0.2 s" in shown
    assert f"model scene fits: nircolor colorize {path} -o colour/ --model scene" in shown
    content = json.loads(nircolor("info", path, "--json").out)
    assert (content["frames"], content["frames_per_second"], content["bits"]) == (5, 25, 8)
    # what colorize would refuse, and colours
    assert "--scale is for images" in nircolor.refused("info", path, "--scale", "100")
    (tmp_path / "b.mp4").write_text("no video")
    assert "expected a video" in nircolor.refused("info", tmp_path / "b.mp4")
    coloured = clip(tmp_path / "c.mkv", pix_fmt="yuv444p", chroma=(90, 170))
    assert "looks like a colour video" in nircolor("info", coloured).err
    monkeypatch.setitem(sys.modules, "av", None)
    assert "pip install" in nircolor.refused("info", path)
