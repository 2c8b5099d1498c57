"""Image names, files that may be opened, and output paths."""

from pathlib import Path

import pytest

from nircolor.errors import NircolorError
from nircolor.imagery import find_images, is_image, open_raster, output_path_for
from tests.imagery.imagery_samples import noise, save, save_envi

VRT = """<VRTDataset rasterXSize="4" rasterYSize="4"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>
<SourceFilename>secret.tif</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"""


@pytest.mark.parametrize("name", ["a.png", "a.JPG", "a.jpeg", "a.tif", "a.TIFF", "cube.hdr", "ö 1.png"])
def test_names_that_are_images(name):
    assert is_image(name)
    assert is_image(Path("/some/folder") / name)


@pytest.mark.parametrize(
    "name", ["a.png.aux.xml", ".a.png", "cube.raw", "a.vrt", "a.txt", "png", "a.gif", ""]
)
def test_names_that_are_not_images(name):
    assert not is_image(name)


def test_walking_a_folder(tmp_path):
    for name in (
        "b.png",
        "a.tif",
        ".hidden.png",
        "a.tif.aux.xml",
        "cube.raw",
        "cube.hdr",
        "sub/c.jpg",
        ".git/d.png",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path)
    flat = [tmp_path / name for name in ("a.tif", "b.png", "cube.hdr")]
    assert find_images(tmp_path) == flat
    assert find_images(tmp_path, recursive=True) == [*flat, tmp_path / "sub" / "c.jpg"]
    assert find_images(tmp_path / "folder.png") == []


def test_a_missing_folder(tmp_path):
    with pytest.raises(NircolorError, match="cannot be listed"):
        find_images(tmp_path / "missing")


@pytest.mark.parametrize("name", ["a.vrt", "a.png", "a.tif", "a.hdr", "a"])
def test_a_vrt_is_refused_whatever_its_name(tmp_path, name):
    save(tmp_path / "secret.tif", noise(1, 4, 4))
    (tmp_path / name).write_text(VRT)
    with pytest.raises(NircolorError, match="VRT files are not read; they refer to other files"):
        open_raster(tmp_path / name)


@pytest.mark.parametrize(
    "path",
    [
        "/vsimem/a.tif",
        "/vsizip/a.zip/a.tif",
        "/x/../vsicurl/http://h/a.tif",
        "//vsimem/a.tif",
        "https://h/a.tif",
        "file://{0}/a.tif",
        "zip://{0}/a.zip!a.tif",
        "GTIFF_DIR:1:{0}/a.tif",
        "GTIFF_RAW:{0}/a.tif",
        "ENVI:{0}/a.tif",
        "{0}/a.tif?x",
        VRT.replace("\n", " "),
    ],
)
def test_only_plain_local_files_are_opened(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "a.tif", noise(1, 4, 4))
    with pytest.raises(NircolorError, match=r"only plain local files|no such file|cannot be read"):
        open_raster(path.format(tmp_path))


def test_a_file_name_that_looks_like_an_address_is_opened(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "x.tif", noise(1, 4, 4)).rename(tmp_path / "GTIFF_DIR:1:x.tif")
    with open_raster("GTIFF_DIR:1:x.tif") as raster:
        assert raster.read()[0].shape == (1, 4, 4)


@pytest.mark.parametrize(
    ("input_name", "expected"),
    [
        ("a.png", "a.png"),
        ("a.JPG", "a.JPG"),
        ("ö b.tiff", "ö b.tiff"),
        ("cube.hdr", "cube.tif"),
        ("cube.raw.hdr", "cube.tif"),
        ("cube.raw", "cube.tif"),
        ("cube", "cube.tif"),
        ("s.v2.hdr", "s.v2.tif"),
    ],
)
def test_the_output_keeps_the_name(tmp_path, input_name, expected):
    assert output_path_for(Path("in") / input_name, tmp_path / "out") == tmp_path / "out" / expected


def test_output_file_and_folders_below_the_root(tmp_path):
    assert output_path_for("in/a.tif", "out.png") == Path("out.png")
    assert output_path_for("in/a.tif", "out.png/") == Path("out.png/a.tif")
    assert output_path_for("in/x/y/a.hdr", "out", root="in") == Path("out/x/y/a.tif")
    (tmp_path / "odd.png").mkdir()
    assert output_path_for("a.tif", tmp_path / "odd.png") == tmp_path / "odd.png" / "a.tif"


def test_two_files_of_one_stem(tmp_path):
    """A header belongs to its data file, not to the TIFF of the same name."""
    save(tmp_path / "cube.tif", noise(1, 9, 9))
    header = save_envi(tmp_path, noise(1, 4, 5))
    with open_raster(header) as raster:
        assert (raster.driver, raster.height) == ("ENVI", 4)
    with open_raster(tmp_path / "cube.tif") as raster:
        assert (raster.driver, raster.height) == ("GTiff", 9)
