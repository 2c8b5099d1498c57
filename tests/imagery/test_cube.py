"""`Cube` reads the same lines as GDAL for every interleave and type, and hashes the samples."""

import hashlib

import numpy as np
import pytest

from nircolor.errors import NircolorError
from nircolor.imagery.cube import Cube
from tests.imagery.envi_captures import save_cube
from tests.imagery.imagery_samples import load, noise, save

_CUBE = noise(7, 5, 3, "uint16")  # lines, bands, samples


def _bytes(header, offset=0):
    return header.with_suffix(".raw").read_bytes()[offset:]


@pytest.mark.parametrize("interleave", ["bil", "bip", "bsq"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("offset", [0, 37])
def test_lines_are_those_that_gdal_reads(tmp_path, interleave, order, offset):
    cube = Cube(save_cube(tmp_path / "a.hdr", _CUBE, interleave, order, offset))
    assert (cube.lines, cube.bands, cube.samples) == (7, 5, 3)
    assert cube.interleave == interleave
    lines = cube.read(0, 7)
    np.testing.assert_array_equal(lines, _CUBE)
    np.testing.assert_array_equal(lines.transpose(1, 0, 2), load(tmp_path / "a.raw")[0])


@pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "u4", "f4", "f8"])
def test_types_and_spellings(tmp_path, dtype):
    values = (_CUBE.astype(float) / 700 - 20).astype(dtype)
    header = save_cube(tmp_path / "a.hdr", values, "bip", ">")
    text = header.read_text().replace("interleave = bip", "Interleave =  BIP")
    header.write_text(text.replace("samples", "SAMPLES"))
    np.testing.assert_array_equal(Cube(header).read(2, 4), values[2:4])


def test_byte_order_and_offset_default_as_in_gdal(tmp_path):
    header = save_cube(tmp_path / "a.hdr", _CUBE, byte_order=None, header_offset=None)
    np.testing.assert_array_equal(Cube(header).read(0, 7).transpose(1, 0, 2), load(tmp_path / "a.raw")[0])


@pytest.mark.parametrize("interleave", ["bil", "bip", "bsq"])
def test_blocks_are_parts_of_the_whole(tmp_path, interleave):
    cube = Cube(save_cube(tmp_path / "a.hdr", _CUBE, interleave))
    for start, stop in ((0, 3), (3, 6), (6, 7), (2, 5), (0, 1)):
        np.testing.assert_array_equal(cube.read(start, stop), _CUBE[start:stop])


@pytest.mark.parametrize("interleave", ["bil", "bip", "bsq"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    "reads",
    [
        [],
        [(0, 7)],
        [(0, 3), (3, 6), (6, 7)],
        [(0, 3)],
        [(3, 7), (0, 3)],
        [(0, 3), (0, 3), (3, 7)],
        [(0, 3), (0, 7)],
        [(0, 3), (5, 7), (3, 5)],
        [(0, 7), (0, 7)],
    ],
)
def test_the_hash_is_that_of_the_samples(tmp_path, interleave, order, reads):
    header = save_cube(tmp_path / "a.hdr", _CUBE, interleave, order, 37)
    # what comes after the samples is not theirs
    with header.with_suffix(".raw").open("ab") as file:
        file.write(b"the end")
    cube = Cube(header)
    for start, stop in reads:
        cube.read(start, stop)
    whole = hashlib.sha256(_bytes(header, 37)[: _CUBE.nbytes]).hexdigest()
    assert cube.sha256() == whole
    cube.read(0, 3)
    assert cube.sha256() == whole


def test_hashing_reads_small_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr("nircolor.imagery.cube._PIECE_BYTES", 16)
    header = save_cube(tmp_path / "a.hdr", _CUBE, "bsq")
    assert Cube(header).sha256() == hashlib.sha256(_bytes(header)).hexdigest()


def test_lines_read_in_order_are_not_read_again_for_the_hash(tmp_path):
    header = save_cube(tmp_path / "a.hdr", _CUBE)
    cube, whole = Cube(header), hashlib.sha256(_bytes(header)).hexdigest()
    cube.read(0, 4)
    cube.read(4, 7)
    header.with_suffix(".raw").unlink()
    assert cube.sha256() == whole


def test_a_header_or_its_data_may_be_named(tmp_path):
    header = save_cube(tmp_path / "a.hdr", _CUBE)
    assert Cube(tmp_path / "a.raw").header == Cube(header).header


def test_cut_off_data_is_refused(tmp_path):
    header = save_cube(tmp_path / "a.hdr", _CUBE)
    data = header.with_suffix(".raw")
    data.write_bytes(data.read_bytes()[:-1])
    with pytest.raises(NircolorError, match=r"a\.hdr: the data file a\.raw is cut off: expected 210 .* 209$"):
        Cube(header)


@pytest.mark.parametrize("interleave", ["bil", "bsq"])
def test_data_cut_off_after_opening_are_refused_each_time(tmp_path, interleave):
    header = save_cube(tmp_path / "a.hdr", _CUBE, interleave)
    cube = Cube(header)
    data = header.with_suffix(".raw")
    data.write_bytes(data.read_bytes()[:-20])
    for attempt in (lambda: cube.read(0, 7), cube.sha256, cube.sha256):
        with pytest.raises(NircolorError, match=r"a\.hdr: the data file was cut off while it was read"):
            attempt()
    data.unlink()
    with pytest.raises(NircolorError, match=r"a\.hdr: cannot be read \(No such file or directory\)"):
        cube.read(0, 1)


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"interleave": None}, "expected an interleave of bil, bip or bsq, got none$"),
        ({"interleave": "tiled"}, "expected an interleave of bil, bip or bsq, got tiled$"),
        ({"samples": None}, "lacks a whole number for 'samples'$"),
        ({"data_type": 6}, "data type 6 holds no image"),
        ({"file_compression": 1}, "decompress it first$"),
    ],
)
def test_headers_that_do_not_state_the_storage(tmp_path, fields, match):
    header = save_cube(tmp_path / "a.hdr", _CUBE, **fields)
    with pytest.raises(NircolorError, match=rf"^[^\n]*a\.hdr: [^\n]*{match}"):
        Cube(header)


def test_other_formats_are_refused(tmp_path):
    path = save(tmp_path / "a.png", noise(1, 4, 4), "PNG")
    with pytest.raises(NircolorError, match=r"a\.png: expected an ENVI capture \(\.hdr\), got PNG$"):
        Cube(path)
