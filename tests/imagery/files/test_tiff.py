"""Tags of TIFF pages: classic and BigTIFF, both byte orders, damaged directories."""

import io
import struct
import time

import numpy as np
import pytest

from nircolor.imagery.files.tiff import DNG_VERSION, ORIENTATION, TiffTags, first_page
from tests.imagery.imagery_samples import noise, save, tiff_bytes


@pytest.mark.parametrize("big_endian", [False, True])
def test_numbers_of_the_first_page(tmp_path, big_endian):
    path = tmp_path / "a.tif"
    path.write_bytes(tiff_bytes(np.zeros((3, 4)), orientation=6, big_endian=big_endian))
    tags = first_page(path)
    assert (tags[256], tags[257], tags[ORIENTATION]) == ((4,), (3,), (6,))
    assert DNG_VERSION not in tags


@pytest.mark.parametrize(
    "options", [{"BIGTIFF": "YES"}, {"ENDIANNESS": "BIG"}, {"BIGTIFF": "YES", "ENDIANNESS": "BIG"}]
)
def test_text_and_long_lists(tmp_path, options):
    path = save(
        tmp_path / "a.tif",
        noise(7, 40, 30, "uint16"),
        blockysize=2,
        setup=lambda file: file.update_tags(TIFFTAG_SOFTWARE="a program"),
        **options,
    )
    tags = first_page(path)
    assert tags[305] == b"a program\0"
    assert tags[258] == (16,) * 7
    assert tags[273] == ()  # places of the pixels are not read: they are many in large files


def test_pages_follow_each_other_once():
    one = bytearray(tiff_bytes(np.zeros((3, 4))))
    start = struct.unpack("<I", one[4:8])[0]
    struct.pack_into("<I", one, len(one) - 4, start)  # the only page names itself as the next
    reader = TiffTags(io.BytesIO(one))
    assert len(list(reader.pages())) == 1


def test_damaged_tags_are_settled_quickly(tmp_path):
    good = tiff_bytes(np.zeros((3, 4)))
    random = np.random.default_rng(0)
    start = time.process_time()
    for _ in range(500):
        bad = bytearray(good[: random.integers(1, len(good) + 1)])
        for at in random.integers(0, len(bad), 4):
            bad[at] = random.integers(0, 256)
        (tmp_path / "a.tif").write_bytes(bad)
        assert isinstance(first_page(tmp_path / "a.tif"), dict)
    assert time.process_time() - start < 2
    with pytest.raises(ValueError, match="no TIFF"):
        TiffTags(io.BytesIO(b"\x89PNG"))


@pytest.mark.parametrize("start", [b"II+\0\x08\0\0\0\x10\0\0\0", b"MM\0+", b"II*\0\x08\0\0"])
def test_a_header_that_is_cut_off_is_no_tiff(start):
    with pytest.raises(ValueError, match="no "):
        TiffTags(io.BytesIO(start))
