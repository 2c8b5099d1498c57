"""Finding captures: SPECIM folders, headers, and folders of these."""

from pathlib import Path

import pytest

from nircolor.errors import NircolorError
from nircolor.spectral.capture import find_captures


def _touch(folder, *paths):
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()
    return folder


def _specim(folder, name, identity):
    """Create the files of a capture as SPECIM's software does."""
    files = [f"{prefix}{identity}" for prefix in ("", "DARKREF_", "WHITEREF_", "WHITEDARKREF_")]
    capture = [f"{name}/capture/{file}.{extension}" for file in files for extension in ("hdr", "raw", "log")]
    return _touch(
        folder, *capture, f"{name}/{name}.png", f"{name}/metadata/{name}.xml", f"{name}/manifest.xml"
    )


def _found(folder, *paths):
    return [(one.name, one.header.relative_to(folder).as_posix()) for one in find_captures(paths)]


def test_a_specim_folder_gives_the_name(tmp_path):
    _specim(tmp_path, "leaves_3", "2024-05-02_0007")
    assert _found(tmp_path, tmp_path / "leaves_3") == [("leaves_3", "leaves_3/capture/2024-05-02_0007.hdr")]


def test_a_specim_folder_gives_the_name_as_the_working_directory_too(tmp_path, monkeypatch):
    _specim(tmp_path, "leaves_3", "0007")
    monkeypatch.chdir(tmp_path / "leaves_3")
    (capture,) = find_captures([Path()])
    assert capture.name == "leaves_3"
    assert capture.header.resolve() == tmp_path / "leaves_3/capture/0007.hdr"


def test_headers_and_data_files(tmp_path):
    _touch(tmp_path, "a.hdr", "a.raw", "b.raw.hdr", "b.raw", "scan 1.5.hdr", "c.BIL", "c.bil.hdr")
    paths = [tmp_path / name for name in ("a.hdr", "b.raw.hdr", "scan 1.5.hdr", "c.BIL")]
    assert [one.name for one in find_captures(paths)] == ["a", "b", "scan 1.5", "c"]
    # the path is kept; the reader finds the data file or header that belongs to it
    assert [capture.header for capture in find_captures(paths)] == paths


def test_paths_may_be_strings(tmp_path):
    _specim(tmp_path, "leaves", "0001")
    assert [one.name for one in find_captures([str(tmp_path)])] == ["leaves"]


def test_a_folder_of_folders(tmp_path):
    for name in ("b", "a", "c"):
        _specim(tmp_path, name, "0001")
    _touch(tmp_path, ".trash/capture/x.hdr", "notes/readme.txt", "readme.txt")
    assert _found(tmp_path, tmp_path) == [(name, f"{name}/capture/0001.hdr") for name in ("a", "b", "c")]


def test_a_folder_of_cubes(tmp_path):
    _touch(
        tmp_path,
        "b.hdr",
        "b.raw",
        "a.HDR",
        "a.raw",
        ".hidden.hdr",
        "darkref_a.hdr",
        "WHITEREF_a.HDR",
        "x.png",
    )
    assert _found(tmp_path, tmp_path) == [("a", "a.HDR"), ("b", "b.hdr")]


def test_a_folder_of_folders_of_cubes(tmp_path):
    _touch(tmp_path, "monday/a.hdr", "monday/b.hdr", "tuesday/c.hdr")
    _specim(tmp_path, "wednesday", "0001")
    assert [one.name for one in find_captures([tmp_path])] == ["a", "b", "c", "wednesday"]


def test_several_paths_keep_their_order(tmp_path):
    _specim(tmp_path, "b", "0001")
    _touch(tmp_path, "z/a.hdr", "c.hdr")
    paths = [tmp_path / "c.hdr", tmp_path / "b", tmp_path / "z"]
    assert [one.name for one in find_captures(paths)] == ["c", "b", "a"]


@pytest.mark.parametrize(
    ("files", "got"),
    [
        (["x/capture/a.hdr", "x/capture/b.hdr", "x/capture/DARKREF_a.hdr"], "a.hdr, b.hdr"),
        (["x/capture/DARKREF_a.hdr", "x/capture/a.raw"], "none"),
    ],
)
def test_a_specim_folder_with_another_number_of_captures_has_a_fault(tmp_path, files, got):
    """The fault is reported later, so that an aborted recording does not stop the others."""
    _touch(tmp_path, *files, "z.hdr")
    for path in (tmp_path, tmp_path / "x"):
        (broken,) = (one for one in find_captures([path]) if one.name == "x")
        assert broken.fault == f"{tmp_path}/x/capture: expected the header of one capture, got {got}"
    assert [one.name for one in find_captures([tmp_path])] == ["z", "x"]


def test_cubes_beside_folders_and_folders_in_folders(tmp_path):
    _touch(tmp_path, "cube.hdr", "may/02/late.hdr")
    _specim(tmp_path, "leaves", "0001")
    _specim(tmp_path, "may/01/fruit", "0001")
    assert [one.name for one in find_captures([tmp_path])] == ["cube", "leaves", "fruit", "late"]


def test_references_and_repetitions_are_left_out(tmp_path):
    """A glob pattern finds the references too."""
    _specim(tmp_path, "leaves", "0001")
    headers = sorted((tmp_path / "leaves/capture").glob("*.hdr"))
    assert len(headers) == 4
    assert [one.header.name for one in find_captures([*headers, *headers])] == ["0001.hdr"]
    with pytest.raises(NircolorError, match="only dark and white references"):
        find_captures(headers[1:])


@pytest.mark.parametrize("files", [[], ["a.png", "notes/b.txt"], ["DARKREF_a.hdr"], [".x/a.hdr"]])
def test_a_folder_without_captures_is_refused(tmp_path, files):
    folder = _touch(tmp_path, *files, "other.hdr") / "in"
    folder.mkdir()
    _touch(folder, *files)
    with pytest.raises(
        NircolorError, match=rf"^{folder}: expected an ENVI cube \(\.hdr\) or a folder with capture/ in it$"
    ):
        find_captures([tmp_path / "other.hdr", folder])


def test_captures_with_the_same_name_are_refused(tmp_path):
    _touch(tmp_path, "monday/a.hdr", "tuesday/a.hdr")
    with pytest.raises(
        NircolorError,
        match=rf"^{tmp_path}/tuesday/a\.hdr: expected captures with different names, "
        rf"{tmp_path}/monday/a\.hdr is called a too$",
    ):
        find_captures([tmp_path])
    _specim(tmp_path, "s/a", "0001")
    with pytest.raises(NircolorError, match="is called a too"):
        find_captures([tmp_path / "monday/a.hdr", tmp_path / "s/a"])


def test_a_header_that_is_a_link_to_itself(tmp_path):
    (tmp_path / "a.hdr").symlink_to("a.hdr")
    find_captures([tmp_path / "a.hdr"])  # reading it says what is wrong
