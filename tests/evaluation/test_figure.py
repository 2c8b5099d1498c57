import numpy as np
import pytest
from PIL import Image

from nircolor.errors import NircolorError
from nircolor.evaluation.figure import write_figure
from nircolor.evaluation.gallery import Gallery

RNG = np.random.default_rng(0)


@pytest.fixture
def gallery(tmp_path):
    (tmp_path / "gallery").mkdir()
    kept = Gallery(tmp_path / "gallery")
    for name in ("first_$1", "second"):
        truth, one, two = RNG.random((3, 3, 10, 16), dtype=np.float32)
        kept.add(name, truth[:1], truth, np.ones((10, 16), bool), {"one": one, "two": two, "other": one})
    return kept


def test_every_pixel_is_there_enlarged_by_a_whole_factor(tmp_path, gallery):
    path = tmp_path / "figure.png"
    write_figure(path, ["second", "first_$1"], ["two", "one"], gallery)
    with Image.open(path) as image:
        assert image.info["dpi"] == pytest.approx((300, 300), abs=1)
        page = np.asarray(image.convert("RGB"))
    places = []
    for name in ("second", "first_$1"):
        shown = gallery.shown(name)
        nir = np.repeat(shown.nir, 3, axis=0)
        for image in (nir, shown.predicted["two"], shown.predicted["one"], shown.truth):
            pixels = np.rint(image * 255).astype(np.uint8).transpose(1, 2, 0)
            places.append(found(page, pixels.repeat(23, 0).repeat(23, 1)))
    rows, columns = np.array(places).reshape(2, 4, 2).transpose(2, 0, 1)
    assert (rows[0] < rows[1]).all()
    assert (np.diff(columns) > 16 * 23).all()
    # above the images and beside them something is written
    assert page[: rows[0, 0]].min() < 100
    assert page[:, : columns[0, 0]].min() < 100


def found(page, image):
    """Top and left of a image in a page."""
    height, width = image.shape[:2]
    starts = np.argwhere((page[: -height + 1, : -width + 1] == image[0, 0]).all(-1))
    hits = [
        (top, left)
        for top, left in starts
        if (page[top, left : left + width] == image[0]).all()
        and (page[top : top + height, left : left + width] == image).all()
    ]
    assert len(hits) == 1
    return hits[0]


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
def test_the_same_figure_twice(tmp_path, gallery, suffix):
    for place in "ab":
        write_figure(tmp_path / f"{place}.{suffix}", ["second"], ["one"], gallery)
    content = (tmp_path / f"a.{suffix}").read_bytes()
    assert content == (tmp_path / f"b.{suffix}").read_bytes()
    assert content[:5] in (b"\x89PNG\r", b"%PDF-", b"<?xml")


@pytest.mark.parametrize(
    ("name", "names", "labels", "says"),
    [
        ("f.jpg", ["second"], ["one"], r"\.png"),
        ("f.png", [], ["one"], "got none"),
        ("f.png", ["third"], ["one"], "third"),
        ("f.png", ["second"], ["three"], "one, two, other as methods, got three"),
        ("absent/f.png", ["second"], ["one"], "cannot be written"),
    ],
)
def test_mistakes_are_told_and_leave_nothing(tmp_path, gallery, name, names, labels, says):
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(NircolorError, match=says):
        write_figure(tmp_path / name, names, labels, gallery)
    assert sorted(tmp_path.rglob("*")) == before
