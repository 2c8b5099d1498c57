"""Listing folders: images, files that are not read, and files that are none."""

import os
import re

import pytest

from nircolor.errors import NircolorError
from nircolor.imagery import find_images, list_files, list_folder, open_raster
from nircolor.imagery.files import unread
from tests.imagery.imagery_samples import noise, save, save_envi


def _names(paths):
    return [path.name for path in paths]


def test_images_of_all_formats_and_files_that_are_not_read(tmp_path):
    images = ["a.bmp", "b.JP2", "c.jpg", "d.npy", "e.pgm", "f.png", "g.ppm", "h.TIF", "i.webp"]
    others = ["j.mov", "k.mp4", "l.heic", "m.raw", "n.vrt"]
    plain = [
        "o.txt",
        "p.csv",
        "q.xml",
        "f.png.aux.xml",
        "h.tfw",
        "README",
        ".hidden.cr2",
        ".hidden.png",
        "s.dat",
    ]
    for name in [*images, *others, *plain]:
        (tmp_path / name).write_bytes(b"x")
    listing = list_folder(tmp_path)
    assert _names(listing.images) == images
    assert sorted(_names(listing.unread)) == others
    summary = listing.unread_summary()
    assert summary.startswith("left out 5 files that cannot be read: j.mov, k.mp4, l.heic, … (")
    assert "video: nircolor colorize and info alone read them; else export their images" in summary


def test_camera_raw_is_an_image_where_its_extra_is_installed(tmp_path, monkeypatch):
    for name in ("a.CR2", "b.dng", "c.png", ".hidden.cr2"):
        (tmp_path / name).write_bytes(b"x")
    monkeypatch.setattr(unread, "find_spec", lambda _package: True)
    assert _names(list_folder(tmp_path).images) == ["a.CR2", "b.dng", "c.png"]
    assert _names(list_files([tmp_path / "a.CR2"]).images) == ["a.CR2"]
    monkeypatch.setattr(unread, "find_spec", lambda _package: None)
    listing = list_folder(tmp_path)
    assert _names(listing.images) == ["c.png"]
    assert sorted(_names(listing.unread)) == ["a.CR2", "b.dng"]
    assert re.search(r"camera raw: pip install .*\[raw\].* reads them", listing.unread_summary())


def test_data_of_envi_images_is_no_file_of_its_own(tmp_path):
    save_envi(tmp_path, noise(1, 3, 4))
    save_envi(tmp_path, noise(1, 3, 4), name="scan", data=".fit")
    listing = list_folder(tmp_path)
    assert _names(listing.images) == ["cube.hdr", "scan.hdr"]
    assert not listing.unread


def test_data_files_of_a_pattern_are_images(tmp_path):
    for name in "ab":
        save_envi(tmp_path, noise(1, 3, 4), name=name)
    (tmp_path / "c.raw").write_bytes(b"x")
    listing = list_files(sorted(tmp_path.glob("*.raw")))
    assert _names(listing.images) == ["a.raw", "b.raw"]
    assert _names(listing.unread) == ["c.raw"]
    assert _names(list_files(sorted(tmp_path.glob("a.*"))).images) == ["a.hdr"]


def test_a_large_folder_of_captures_is_listed_once(tmp_path, monkeypatch):
    for number in range(40):
        save_envi(tmp_path, noise(1, 1, 1), name=f"{number:02d}")
    listed = []
    scandir = __import__("os").scandir
    monkeypatch.setattr("os.scandir", lambda path: listed.append(path) or scandir(path))
    assert len(find_images(tmp_path)) == 40
    assert len(listed) <= 2


def test_a_missing_folder(tmp_path):
    with pytest.raises(NircolorError, match="cannot be listed"):
        list_folder(tmp_path / "missing")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_is_not_waited_for(tmp_path):
    for name in ("a.hdr", "b.tif"):
        os.mkfifo(tmp_path / name)
    (tmp_path / "a").write_bytes(b"data")
    assert [path.name for path in find_images(tmp_path)] == ["a.hdr", "b.tif"]
    for path in find_images(tmp_path):
        with pytest.raises(NircolorError, match="got a device or pipe"):
            open_raster(path)


def test_an_empty_header_beside_an_image_is_foreign(tmp_path):
    save(tmp_path / "a.tif", noise(1, 8, 8))
    (tmp_path / "a.hdr").touch()
    listing = list_folder(tmp_path)
    assert [path.name for path in listing.images] == ["a.tif"]
    assert "a.hdr (ENVI header without data" in listing.unread_summary()
    (tmp_path / "b.hdr").touch()
    (tmp_path / "b.raw").write_bytes(bytes(64))
    assert [path.name for path in list_folder(tmp_path).images] == ["a.tif", "b.hdr"]
