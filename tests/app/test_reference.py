import pytest

pytest.importorskip("cv2", reason="needs the extra align")
from tests.app.command_line import gray_png
from tests.imagery.imagery_samples import noise, save
from tests.pairs.alignment.scenes import scene


@pytest.fixture
def camera(tmp_path):
    """A folder of two images of one view and one of another, and the reference of the view."""
    nir, colour = scene(9)
    (tmp_path / "night").mkdir()
    save(tmp_path / "night/a.png", nir[None], "PNG")
    save(tmp_path / "night/b.png", nir[None] // 2, "PNG")
    save(tmp_path / "night/other.png", scene(10)[0][None], "PNG")
    return save(tmp_path / "day.jpg", colour.transpose(2, 0, 1), "JPEG")


def test_one_reference_for_a_folder(nircolor, tmp_path, camera):
    done = nircolor("colorize", tmp_path / "night", "-o", tmp_path / "out", "--reference", camera)
    assert done.code == 0
    assert done.err.count("cannot be matched") == 1
    assert "other.png" in done.err
    plain = nircolor("colorize", tmp_path / "night", "-o", tmp_path / "plain")
    assert plain.code == 0
    same = [
        name
        for name in ("a.png", "b.png", "other.png")
        if (tmp_path / "out" / name).read_bytes() == (tmp_path / "plain" / name).read_bytes()
    ]
    assert same == ["other.png"]


@pytest.mark.usefixtures("camera")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--reference", "gray.png"], "gray.png: --reference expects a colour image, got a gray one"),
        (["--reference", "none.jpg"], "none.jpg: no such file"),
        (["--reference", "day.jpg", "--confidence"], "expected either --reference or --confidence, got both"),
        (["--reference", "day.jpg", "--cluster", "auto"], "--reference: not with --cluster"),
    ],
)
def test_refused(nircolor, tmp_path, monkeypatch, words, expected):
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "gray.png", noise(1, 40, 40), "PNG")
    gray_png(tmp_path / "night.png")
    done = nircolor("colorize", "night.png", "-o", "out.png", *words)
    assert done.code == 2
    assert expected in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "out.png").exists()


def test_not_for_videos(nircolor, tmp_path, camera):
    (tmp_path / "clip.mp4").write_bytes(b"\0\0\0\x18ftypmp42")
    done = nircolor("colorize", tmp_path / "clip.mp4", "-o", tmp_path / "c.mp4", "--reference", camera)
    assert done.code == 2
    assert "clip.mp4: --reference expects images, got a video" in done.err
