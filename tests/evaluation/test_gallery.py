import numpy as np
import pytest
from PIL import Image

from nircolor.errors import NircolorError
from nircolor.evaluation.gallery import ERROR_LIMIT, Gallery, error_colors, write_figure
from nircolor.metrics import delta_e2000

RNG = np.random.default_rng(0)


def colour(height=20, width=30):
    return RNG.random((3, height, width), dtype=np.float32)


def all_valid(image):
    return np.ones(image.shape[1:], bool)


def to_hex(pixel):
    return "#" + "".join(f"{round(float(value) * 255):02x}" for value in pixel)


def test_images_are_stored_in_8_bits(tmp_path):
    gallery = Gallery(tmp_path)
    nir, truth, one, two = colour()[:1], colour(), colour(), colour()
    # a name with characters that file names may not have
    name = 'a/../b\\ <script>&"|\n'
    gallery.add(name, nir, truth, all_valid(truth), {"one": one, 'x/"y': two})
    shown = gallery.images(name)
    assert list(shown.predicted) == list(shown.errors) == ["one", 'x/"y']
    pairs = [
        (shown.nir, nir),
        (shown.truth, truth),
        (shown.predicted["one"], one),
        (shown.predicted['x/"y'], two),
    ]
    for kept, given in pairs:
        assert kept.dtype == np.float32
        np.testing.assert_allclose(kept, given, atol=0.51 / 255)
    assert name in gallery
    assert "b" not in gallery
    assert [path.parent for path in tmp_path.iterdir()] == [tmp_path]


def test_nir_of_three_bands_is_shown_in_false_colour_and_other_nir_as_gray(tmp_path):
    gallery = Gallery(tmp_path)
    truth = colour()
    bands = RNG.random((5, *truth.shape[1:]), dtype=np.float32)
    for count, expected in ((1, bands[:1]), (3, bands[2::-1]), (5, bands.mean(0, keepdims=True))):
        gallery.add(str(count), bands[:count], truth, all_valid(truth), {})
        np.testing.assert_allclose(gallery.images(str(count)).nir, expected, atol=0.51 / 255)


def test_large_images_are_reduced_and_small_ones_kept(tmp_path):
    gallery = Gallery(tmp_path, side_px=10)
    truth = colour(20, 40)
    gallery.add("long", truth[:1], truth, all_valid(truth), {"m": truth})
    shown = gallery.images("long")
    means = truth.reshape(3, 5, 4, 10, 4).mean((2, 4))
    np.testing.assert_allclose(shown.truth, means, atol=0.51 / 255)
    assert shown.nir.shape == (1, 5, 10)
    assert shown.predicted["m"].shape == shown.errors["m"].shape == (3, 5, 10)
    gallery.add("short", truth[:1, :4, :4], truth[:, :4, :4], np.ones((4, 4), bool), {})
    assert gallery.images("short").truth.shape == (3, 4, 4)


def test_error_maps_are_coloured_by_the_error(tmp_path):
    gallery = Gallery(tmp_path)
    truth = np.full((3, 8, 8), 0.5, np.float32)
    slight, half = truth.copy(), truth.copy()
    slight[0] = 0.7
    half[:, :, 4:] = np.array([0, 1, 0])[:, None, None]
    gallery.add("a", truth[:1], truth, all_valid(truth), {"same": truth, "slight": slight, "half": half})
    errors = gallery.images("a").errors
    scale = error_colors(255)
    assert {to_hex(pixel) for pixel in errors["same"].reshape(3, -1).T} == {scale[0]}
    level = round(254 * delta_e2000(slight, truth) / ERROR_LIMIT)
    assert 20 < level < 250
    assert {to_hex(pixel) for pixel in errors["slight"].reshape(3, -1).T} == {scale[level]}
    assert to_hex(errors["half"][:, 0, 0]) == scale[0]
    assert delta_e2000(half, truth) > 0.5 * ERROR_LIMIT
    assert to_hex(errors["half"][:, 0, 7]) == scale[-1]


def test_invalid_pixels_are_gray_and_ignored(tmp_path):
    gallery = Gallery(tmp_path, side_px=4)
    truth = np.full((3, 8, 8), 0.2, np.float32)
    valid = np.ones((8, 8), bool)
    # a whole pixel of the reduced image, and half of another
    valid[:2, :2] = valid[4, :2] = False
    truth[:, ~valid] = np.nan
    predicted = np.where(valid, truth, 0.9).astype(np.float32)
    gallery.add("a", np.nan_to_num(truth[:1]), truth, valid, {"m": predicted})
    shown = gallery.images("a")
    for image in (shown.truth, shown.errors["m"]):
        np.testing.assert_allclose(image[:, 0, 0], 0.5, atol=1 / 255)
    np.testing.assert_allclose(shown.truth[:, 2, 0], 0.2, atol=1 / 255)
    assert to_hex(shown.errors["m"][:, 2, 0]) == error_colors(2)[0]
    # the prediction is shown there too
    np.testing.assert_allclose(shown.predicted["m"][:, 0, 0], 0.9, atol=1 / 255)


def test_adding_an_image_again_replaces_it(tmp_path):
    gallery = Gallery(tmp_path)
    first, second = colour(), colour()
    for truth in (first, second):
        gallery.add("a", truth[:1], truth, all_valid(truth), {})
    np.testing.assert_allclose(gallery.images("a").truth, second, atol=0.51 / 255)
    with pytest.raises(KeyError):
        gallery.images("b")


# Figures


@pytest.fixture
def gallery(tmp_path):
    (tmp_path / "gallery").mkdir()
    kept = Gallery(tmp_path / "gallery")
    for name in ("first_$1", "second"):
        truth, one, two = RNG.random((3, 3, 10, 16), dtype=np.float32)
        kept.add(name, truth[:1], truth, np.ones((10, 16), bool), {"one": one, "two": two, "other": one})
    return kept


def test_figures_enlarge_pixels_by_an_integer_factor(tmp_path, gallery):
    path = tmp_path / "figure.png"
    write_figure(path, ["second", "first_$1"], ["two", "one"], gallery)
    with Image.open(path) as image:
        assert image.info["dpi"] == pytest.approx((300, 300), abs=1)
        page = np.asarray(image.convert("RGB"))
    places = []
    for name in ("second", "first_$1"):
        shown = gallery.images(name)
        nir = np.repeat(shown.nir, 3, axis=0)
        for image in (nir, shown.predicted["two"], shown.predicted["one"], shown.truth):
            pixels = np.rint(image * 255).astype(np.uint8).transpose(1, 2, 0)
            places.append(find(page, pixels.repeat(23, 0).repeat(23, 1)))
    rows, columns = np.array(places).reshape(2, 4, 2).transpose(2, 0, 1)
    assert (rows[0] < rows[1]).all()
    assert (np.diff(columns) > 16 * 23).all()
    # there is text above the images and to their left
    assert page[: rows[0, 0]].min() < 100
    assert page[:, : columns[0, 0]].min() < 100


def find(page, image):
    """Return the top left corner of an image in a page."""
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
def test_figures_are_reproducible(tmp_path, gallery, suffix):
    for place in "ab":
        write_figure(tmp_path / f"{place}.{suffix}", ["second"], ["one"], gallery)
    content = (tmp_path / f"a.{suffix}").read_bytes()
    assert content == (tmp_path / f"b.{suffix}").read_bytes()
    assert content[:5] in (b"\x89PNG\r", b"%PDF-", b"<?xml")


@pytest.mark.parametrize(
    ("name", "names", "labels", "message"),
    [
        ("f.jpg", ["second"], ["one"], r"\.png"),
        ("f.png", [], ["one"], "got none"),
        ("f.png", ["third"], ["one"], "third"),
        ("f.png", ["second"], ["three"], "one of the methods one, two, other, got three"),
        ("file/f.png", ["second"], ["one"], "cannot be written"),
    ],
)
def test_errors_leave_no_files(tmp_path, gallery, name, names, labels, message):
    (tmp_path / "file").touch()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(NircolorError, match=message):
        write_figure(tmp_path / name, names, labels, gallery)
    assert sorted(tmp_path.rglob("*")) == before
