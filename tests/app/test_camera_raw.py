"""`nircolor colorize`, `info` and `align` with camera raw files."""

import json
import sys

import numpy as np
import pytest

from nircolor import extras
from nircolor.imagery import open_raster
from nircolor.imagery.files.tiff import TagValue, directory_bytes
from nircolor.imagery.metadata.carried import read_metadata
from tests.app.command_line import files
from tests.imagery.camera_raw_samples import mosaic, save_dng, text, value
from tests.imagery.imagery_samples import noise, save

pytest.importorskip("rawpy", reason="the extra raw")


def _raw(path, **options):
    """A scene in near-infrared by a converted camera, 64 x 48 px as stored."""
    level = 0.1 + 0.4 * noise(1, 12, 16, "float32")[0].repeat(4, 0).repeat(4, 1)
    return save_dng(path, mosaic(np.stack([level, 0.6 * level, 0.5 * level])), **options)


def test_a_folder_with_camera_raw(nircolor, tmp_path):
    exposure, position = {33434: value(5, 0.004)}, {1: text("N"), 2: value(5, 47, 30, 0)}
    folder = tmp_path / "in"
    folder.mkdir()
    # EXIF below the first directory, in the free space that the sample has behind it
    path = _raw(folder / "a.DNG", orientation=6, more={34665: value(4, 1400), 34853: value(4, 1600)})
    content = bytearray(path.read_bytes())
    for place, tags in ((1400, exposure), (1600, position)):
        block = directory_bytes(tags, place)
        assert not any(content[place : place + len(block)])
        content[place : place + len(block)] = block
    path.write_bytes(content)
    save(folder / "b.png", noise(1, 20, 30), "PNG")
    _raw(folder / "c.cr2").write_bytes(path.read_bytes()[:-100])
    done = nircolor("colorize", folder, "-o", tmp_path / "out", "--from", "converted")
    assert done.code == 1
    assert "c.cr2: the image is damaged or cut off" in done.err
    assert "warning" not in done.err
    assert files(tmp_path / "out") == ["a.png", "b.png"]
    with open_raster(tmp_path / "out/a.png", bands_nm=(620, 550, 460)) as raster:
        assert (raster.bands, raster.height, raster.width, raster.depth) == (3, 64, 48, 16)
        assert raster.orientation == 1
    exif = read_metadata(tmp_path / "out/a.png", "PNG").exif
    assert exif is not None
    assert [exif.main[tag].raw for tag in (271, 272)] == [b"Canon\0", b"EOS R5\0"]
    assert (exif.photo[33434].raw, exif.gps[2].raw) == (exposure[33434].raw, position[2].raw)
    assert isinstance(exif.main[306], TagValue)


def test_formats_of_the_output(nircolor, tmp_path):
    path = _raw(tmp_path / "a.dng")
    for options, name in (
        (("-o", tmp_path / "a.tif"), "a.tif"),
        (("-o", tmp_path, "--format", "jpg"), "a.jpg"),
    ):
        assert nircolor("colorize", path, *options, "--from", "converted").code == 0
        with open_raster(tmp_path / name, bands_nm=(620, 550, 460)) as raster:
            assert (raster.height, raster.width) == (48, 64)
    assert "expected a folder, or a name that ends in" in nircolor.refused(
        "colorize", path, "-o", tmp_path / "b.dng"
    )


def test_info(nircolor, tmp_path):
    path = _raw(tmp_path / "a.nef")
    shown = nircolor("info", path)
    assert (shown.code, shown.err.count("--from converted reads the mean of its channels")) == (0, 1)
    assert "no (camera raw is developed like a photograph)" in " ".join(shown.out.split())
    content = json.loads(nircolor("info", path, "--from", "converted", "--json").out)
    assert (content["format"], content["dtype"], len(content["bands"])) == ("CameraRaw", "uint16", 1)
    assert content["scale"]["source"] == "developed"
    assert [model["name"] for model in content["models"] if model["fits"]] == ["scene"]


def test_without_rawpy(nircolor, monkeypatch, tmp_path):
    path = _raw(tmp_path / "a.dng")
    monkeypatch.setattr(extras, "find_spec", lambda _package: None)
    monkeypatch.setitem(sys.modules, "rawpy", None)
    message = nircolor.refused("info", path)
    assert "a.dng: a camera raw file needs more than the base install: pip install" in message
    assert "[raw]" in message


def test_align(nircolor, tmp_path):
    pytest.importorskip("cv2", reason="the extra align")
    y, x = np.mgrid[:192, :256]
    rng = np.random.default_rng(0)
    level = 0.1 + 0.4 * rng.random((24, 32)).repeat(8, 0).repeat(8, 1) * (1 + 0.1 * np.sin((x + y) / 9))
    save_dng(tmp_path / "n.dng", mosaic(np.stack([level, 0.6 * level, 0.5 * level])))
    light = np.array([0.5, 1, 0.7])[:, None, None]
    save_dng(tmp_path / "c.dng", mosaic(np.stack([level, 0.5 * level, 0.3 * level]) * light))
    words = ("align", tmp_path / "n.dng", tmp_path / "c.dng", "-o", tmp_path / "pairs", "--from", "converted")
    assert nircolor(*words).code == 0
    with open_raster(tmp_path / "pairs/nir/n.png") as nir, open_raster(tmp_path / "pairs/rgb/n.png") as rgb:
        assert (nir.bands, rgb.bands, nir.depth, rgb.depth) == (1, 3, 16, 16)
        means = rgb.read()[0].mean((1, 2))
    assert means[0] > means[1] > means[2]
