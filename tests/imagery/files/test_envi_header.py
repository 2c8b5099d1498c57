"""ENVI headers: fields, lists in braces, and headers that are too large or malformed."""

import time

import pytest

from nircolor.errors import NircolorError
from nircolor.imagery import Cube, image_size, open_raster
from nircolor.imagery.files.envi_header import parse_header
from tests.imagery.imagery_samples import noise, save_envi


def _header(folder, text, newline="\n"):
    header = folder / "a.hdr"
    header.write_bytes(("ENVI\n" + text).replace("\n", newline).encode())
    return header


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_fields_and_lists(tmp_path, newline):
    text = """; written = by hand
  Wavelength   Units = nm
samples=4
wavelength = {
 842.4,
 945.1 }
description = {a = b, c} after
band names = {one,
  two = 2,
}
bands = 1
bands = 2
no field here
"""
    assert parse_header(_header(tmp_path, text, newline)) == {
        "wavelength units": "nm",
        "samples": "4",
        "wavelength": "{\n842.4,\n945.1 }",
        "description": "{a = b, c}",
        "band names": "{one,\ntwo = 2,\n}",
        "bands": "2",
    }


def _hostile():
    yield "blanks", " " * 12_000
    yield "blanks after a name", "a" + " " * 1_000_000 + "\n"
    yield "blanks around equals", (" " * 1000 + "=" + " " * 1000 + "\n") * 500
    yield "blank lines", "\n" * 1_000_000
    yield "equals", "=" * 1_000_000
    yield "opening braces", "a = {\n" * 200_000
    yield "open and close", "a = {}" * 200_000
    yield "unclosed list", "a = {" + "1,\n" * 300_000
    yield "long list", "a = {" + "1,\n" * 300_000 + "}\n"
    yield "many fields", "".join(f"a{i} = 1\n" for i in range(300_000))
    yield "too large", "a" * 1_100_000
    yield "long numbers", "samples = " + "9" * 1_000_000
    yield "numbers that overflow", f"samples = {'9' * 4000}\nlines = {'9' * 4000}"
    yield "carriage returns", "\r" * 1_000_000


@pytest.mark.parametrize(("text"), [pytest.param(text, id=name) for name, text in _hostile()])
def test_hostile_headers_are_settled_quickly(tmp_path, text):
    header = save_envi(tmp_path, noise(1, 3, 4))
    header.write_text(header.read_text() + text)
    start = time.process_time()
    try:
        with open_raster(header) as raster:
            raster.read()
    except NircolorError as error:
        message = str(error)
        assert message.startswith(f"{header}: ")
        assert len(message) < len(str(header)) + 200
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("a" * 1_100_000, "header of at most 1048576 bytes, got more"),
        ("".join(f"a{i} = 1\n" for i in range(2000)), "header of at most 1000 fields, got more"),
        ("wavelength = {1, 2\nbands = 3", "opens a brace for 'wavelength' and never closes it"),
    ],
)
def test_malformed_headers_are_refused(tmp_path, text, match):
    header = _header(tmp_path, text)
    with pytest.raises(NircolorError, match=rf"a\.hdr: .*{match}"):
        parse_header(header)


@pytest.mark.parametrize("text", ["1_0", "٣", "4.0", "", "x", "9" * 4301])
def test_sizes_must_be_plain_whole_numbers(tmp_path, text):
    header = save_envi(tmp_path, noise(1, 3, 4), lines=text)
    with pytest.raises(NircolorError, match=r"cube\.hdr: the ENVI header lacks a whole number for 'lines'"):
        open_raster(header)


def test_a_header_that_cannot_be_read_is_one_line(tmp_path, monkeypatch):
    header = save_envi(tmp_path, noise(1, 3, 4))

    def refuse(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("nircolor.imagery.files.envi_header.parse_header", refuse)
    for opened in (open_raster, image_size, Cube):
        with pytest.raises(NircolorError, match=r"cube\.hdr: cannot be read \(Permission denied\)"):
            opened(header)


@pytest.mark.parametrize("named", ["cube.hdr", "cube.raw", "cube.raw.hdr"])
def test_two_headers_of_one_file_must_agree(tmp_path, named):
    header = save_envi(tmp_path, noise(2, 4, 5))
    other = tmp_path / "cube.raw.hdr"
    other.write_text(header.read_text())
    with open_raster(tmp_path / named) as raster:
        assert (raster.height, raster.width) == (4, 5)
    # GDAL prefers this one, whichever is named
    other.write_text(header.read_text().replace("lines = 4", "lines = 2"))
    if named == "cube.hdr":
        with pytest.raises(NircolorError, match=r"got cube\.raw\.hdr and cube\.hdr, which differ"):
            open_raster(tmp_path / named)
    else:
        with open_raster(tmp_path / named) as raster:
            assert (raster.height, Cube(tmp_path / named).lines) == (2, 2)
