"""Tests of `nircolor colorize` on formats that are read but not written, on other files, and --max-pixels."""

import numpy as np
import pytest

from tests.app.command_line import files, gray_png
from tests.imagery.imagery_samples import load, noise, png_bytes, save


@pytest.fixture
def colorize(nircolor, tiny):
    """Run `nircolor colorize` with a small model."""
    return lambda *words: nircolor("colorize", *words, "-m", tiny("per_pixel"))


def test_a_folder_of_all_formats(colorize, tmp_path):
    """The results are those of the same pixels as TIFF; files that are not read are named."""
    pixels = noise(1, 30, 20)
    folder = tmp_path / "in"
    folder.mkdir()
    save(folder / "a.tif", pixels)
    save(folder / "b.bmp", pixels, "BMP")
    (folder / "c.pgm").write_bytes(b"P5 20 30 255\n" + pixels.tobytes())
    save(folder / "d.webp", np.repeat(pixels, 3, axis=0), "WEBP", LOSSLESS="YES")
    save(folder / "e.jp2", pixels, "JP2OpenJPEG", QUALITY=100, REVERSIBLE="YES")
    np.save(folder / "f.npy", pixels[0])
    for name in ("g.gif", "h.heic", "i.txt", "a.hdr"):
        (folder / name).write_bytes(b"BYTEORDER I\n")
    done = colorize(folder, "-o", tmp_path / "out")
    assert done.code == 0
    assert done.err.count("\n") == 2
    assert "left out 2 files that cannot be read: g.gif, h.heic (GIF: save as PNG" in done.err
    assert files(tmp_path / "out") == ["a.tif", "b.png", "c.png", "d.png", "e.tif", "f.tif"]
    expected = load(tmp_path / "out" / "a.tif")[0]
    for name in ("b.png", "c.png", "d.png", "e.tif", "f.tif"):
        np.testing.assert_array_equal(load(tmp_path / "out" / name)[0], expected)


def test_a_decompression_bomb_does_not_stop_the_others(colorize, nircolor, tmp_path):
    gray_png(tmp_path / "in" / "a.png")
    bomb = tmp_path / "in" / "bomb.png"
    bomb.write_bytes(png_bytes([bytes(11_400 // 8)] * 11_400, 11_400, 1, 0))
    done = colorize(tmp_path / "in", "-o", tmp_path / "out")
    assert done.code == 1
    assert "bomb.png: the header claims 11400 x 11400 pixels" in done.err
    assert "(--max-pixels 129960000 reads it nevertheless)" in done.err
    assert files(tmp_path / "out") == ["a.png"]
    assert "--max-pixels 129960000 reads" in nircolor.refused("info", bomb)


def test_max_pixels_by_option_and_environment(colorize, nircolor, monkeypatch, tmp_path):
    path = gray_png(tmp_path / "a.png")  # 24 x 24
    refused = "a.png: expected at most 575 pixels (--max-pixels), got 576 (24 x 24)"
    assert refused in colorize(path, "-o", tmp_path / "b.png", "--max-pixels", 575).err
    monkeypatch.setenv("NIRCOLOR_MAX_PIXELS", "575")
    assert refused in nircolor.refused("info", path)
    assert colorize(path, "-o", tmp_path / "b.png", "--max-pixels", 576).code == 0
