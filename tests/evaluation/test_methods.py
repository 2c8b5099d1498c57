from dataclasses import replace

import numpy as np
import pytest

from nircolor.errors import NircolorError
from nircolor.evaluation.methods import open_methods
from nircolor.imagery import encode_srgb
from nircolor.inference import Colorizer, Reading
from nircolor.pairs import Pair
from nircolor.pairs.pair import PairImages, read_images
from tests.imagery.imagery_samples import load, save
from tests.tiny_models import per_pixel

RNG = np.random.default_rng(0)
ALL = np.ones((4, 6), bool)


def pairs(*names):
    return [Pair(name, f"{name}_nir.png", f"{name}_rgb.png") for name in names]


def image(path, value=None, bands=3, dtype="uint8", size=(4, 6)):
    path.parent.mkdir(parents=True, exist_ok=True)
    limits = np.iinfo(dtype)
    values = RNG.integers(0, limits.max, (bands, *size), dtype)
    if value is not None:
        values[:] = round(value * limits.max)
    return save(path, values, "GTiff" if path.suffix == ".tif" else "PNG")


def opened(text, known, device="cpu"):
    (one,) = open_methods([text], known, device)
    return one


def predict(one, pair, valid=ALL):
    nir = np.zeros((1, *valid.shape), np.float32)
    return one.predict(pair, PairImages(nir, valid, nir.repeat(3, 0), valid))


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("out/{}.png", "out"),
        ("out/{}_nir.png", "out"),
        ("out/{}_fake_B.tif", "out"),
        ("out/{}_fake_B.png", "out/*_fake_B.png"),
        ("out/sar_{}.png", "out/sar_*.png"),
    ],
)
def test_images_of_a_folder_are_matched_by_name(tmp_path, monkeypatch, file, text):
    monkeypatch.chdir(tmp_path)
    known = pairs("v_1", "v_10", "v_2")
    for value, pair in enumerate(known):
        image(tmp_path / file.format(pair.name), value / 5)
    one = opened(text, known)
    assert (one.label, one.kind, one.warnings) == ("out", "folder", ())
    for value, pair in enumerate(known):
        np.testing.assert_allclose(predict(one, pair), value / 5, atol=1e-6)


def test_images_of_several_scenes(tmp_path):
    known = pairs("urban/1", "field/1")
    image(tmp_path / "urban/1_rgb.png", 0.2)
    image(tmp_path / "field/1_rgb.png", 0.6)
    one = opened(str(tmp_path), known)
    assert predict(one, known[0]).max() < predict(one, known[1]).min()


def test_8_and_16_bits_have_the_same_scale(tmp_path):
    known = pairs("a", "b")
    image(tmp_path / "a.png", 0.4)
    image(tmp_path / "b.png", 0.4, dtype="uint16")
    one = opened(str(tmp_path), known)
    np.testing.assert_allclose(predict(one, known[0]), predict(one, known[1]), atol=1e-5)


def test_a_missing_image_is_named(tmp_path):
    image(tmp_path / "a_out.png")
    with pytest.raises(NircolorError, match="a colorized image for each pair, got none for b, c"):
        opened(str(tmp_path), pairs("a", "b", "c"))
    with pytest.raises(NircolorError, match="got none for a"):
        opened(f"{tmp_path}/*_fake.png", pairs("a"))


def test_images_without_pair_are_reported(tmp_path):
    for name in ("a", "b", "zebra"):
        image(tmp_path / f"{name}.png")
    (warning,) = opened(str(tmp_path), pairs("a", "b")).warnings
    assert warning.endswith("images that belong to no pair were ignored: zebra.png")


def test_two_images_per_pair_are_an_error(tmp_path):
    for name in ("a_fake_B", "a_real_B", "b_fake_B", "b_real_B"):
        image(tmp_path / f"{name}.png")
    with pytest.raises(NircolorError, match=r"one colorized image per pair.*'_fake_B' and in '_real_B'"):
        opened(str(tmp_path), pairs("a", "b"))
    assert opened(f"{tmp_path}/*_fake_B.png", pairs("a", "b")).kind == "folder"


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        ({"size": (5, 6)}, "expected 6 × 4 px as the pair a, got 6 × 5"),
        ({"bands": 1}, "expected an image of 3 bands"),
    ],
)
def test_images_of_another_size_or_without_colour_are_refused(tmp_path, made, reason):
    path = image(tmp_path / "a.png", **made)
    one = opened(str(tmp_path), pairs("a"))
    with pytest.raises(NircolorError, match=reason) as caught:
        predict(one, pairs("a")[0])
    assert str(path) in str(caught.value)


def test_transparent_pixels_are_an_error(tmp_path):
    values = RNG.integers(0, 255, (4, 4, 6), "uint8")
    values[3] = 255
    values[3, 0, :2] = 0
    save(tmp_path / "a.png", values, "PNG")
    one = opened(str(tmp_path), pairs("a"))
    with pytest.raises(
        NircolorError, match=r"a\.png: expected a colour for each valid pixel of a, got 2 px without"
    ):
        predict(one, pairs("a")[0])
    assert predict(one, pairs("a")[0], values[3] > 0).shape == (3, 4, 6)


def test_a_model_has_its_card_and_predicts_like_its_colorizer(tiny):
    path = tiny("per_pixel")
    one = opened(str(path), pairs("a"))
    colorizer = Colorizer(path)
    assert (one.label, one.kind, one.card, one.bands) == (
        "per_pixel", "model", colorizer.card, colorizer.card.bands,
    )  # fmt: skip
    nir = RNG.random((1, 20, 24), np.float32)
    valid = np.ones((20, 24), bool)
    predicted = one.predict(pairs("a")[0], PairImages(nir, valid, nir.repeat(3, 0), valid))
    np.testing.assert_array_equal(predicted, colorizer.colorize(nir))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_images_of_confidence_are_no_predictions(tmp_path, suffix):
    for name in ("a", "b"):
        image(tmp_path / f"{name}_colour{suffix}")
        image(tmp_path / f"{name}_colour_confidence{suffix}", bands=1)
    one = opened(str(tmp_path), pairs("a", "b"))
    assert one.warnings == ()
    for pair in pairs("a", "b"):
        assert predict(one, pair).shape == (3, 4, 6)


def test_labels(tiny, tmp_path):
    path, other = tiny("per_pixel"), tiny("box")
    runs = open_methods([f"ours={path}", f"ours={path}", str(other)], pairs("a"), "cpu")
    assert [one.label for one in runs] == ["ours", "ours", "box"]
    with pytest.raises(NircolorError, match="per_pixel: expected different names"):
        open_methods([str(path), str(path)], pairs("a"), "cpu")
    with pytest.raises(NircolorError, match="per_pixel: expected different names"):
        open_methods([f"per_pixel={other}", str(path)], pairs("a"), "cpu")
    image(tmp_path / "out/a.png")
    with pytest.raises(NircolorError, match="ours: expected runs of one method"):
        open_methods([f"ours={path}", f"ours={tmp_path / 'out'}"], pairs("a"), "cpu")
    # an existing folder with = in its name is not a label
    image(tmp_path / "a=b/a.png")
    assert opened(str(tmp_path / "a=b"), pairs("a")).label == "a=b"
    with pytest.raises(NircolorError, match="nothing: expected the path of a model file"):
        opened("x=nothing", pairs("a"))


def test_names_with_a_common_start_are_distinguished(tmp_path):
    image(tmp_path / "field_10.png")
    with pytest.raises(NircolorError, match="got none for field_1"):
        opened(str(tmp_path), pairs("field_1"))


def test_black_borders_of_predictions_are_colours(tmp_path):
    path = image(tmp_path / "a.png", 0.6, size=(60, 80))
    values = load(path)[0]
    values[:, :9], values[:, :, :7] = 0, 0
    save(path, values, "PNG")
    known = pairs("a")
    rgb = predict(opened(str(tmp_path), known), known[0], np.ones((60, 80), bool))
    np.testing.assert_allclose(rgb, values / 255, atol=1e-6)


def test_two_files_with_one_name_are_an_error(tmp_path):
    image(tmp_path / "a.png")
    image(tmp_path / "a.tif")
    with pytest.raises(NircolorError, match=r"one colorized image of a, got a\.png and a\.tif"):
        opened(str(tmp_path), pairs("a"))


def test_patterns_match_files_in_subfolders(tmp_path):
    image(tmp_path / "u/1_fake.png", 0.2)
    image(tmp_path / "v/1_fake.png", 0.6)
    known = pairs("u/1", "v/1")
    one = opened(f"{tmp_path}/*_fake.png", known)
    assert predict(one, known[0]).max() < predict(one, known[1]).min()


@pytest.mark.parametrize("with_mask", [False, True])
def test_models_get_the_valid_pixels_of_the_nir_file_only(tiny, tmp_path, with_mask):
    values = RNG.integers(1, 255, (1, 20, 24), "uint8")
    values[0, :, :6] = 0
    nir = save(tmp_path / "nir.tif", values, "GTiff", setup=lambda dataset: setattr(dataset, "nodata", 0))
    rgb = image(tmp_path / "rgb.png", size=(20, 24))
    mask = np.full((1, 20, 24), 255, "uint8")
    mask[0, 12:] = 0
    masked = save(tmp_path / "mask.png", mask, "PNG") if with_mask else None
    pair = Pair("a", nir, rgb, masked)
    path = tiny("position")
    (images,) = read_images(pair, [None])
    own = np.ones((20, 24), bool)
    own[:, :6] = False
    expected = Colorizer(path).colorize(images.nir, own)
    unfilled = np.where(own, images.nir, 0)
    assert np.abs(expected - Colorizer(path).colorize(unfilled)).max() > 0.01
    np.testing.assert_array_equal(opened(str(path), [pair]).predict(pair, images), expected)


def reflectance_pair(folder, dtype="uint16", **tags):
    """A pair whose NIR is a reflectance of 0.3 × 10000, of which the tags tell."""
    nir = np.full((1, 40, 40), 3000, dtype)
    path = save(folder / "p_nir.tif", nir, setup=lambda dataset: dataset.update_tags(**tags))
    return Pair("p", path, image(folder / "p_rgb.png", size=(40, 40)))


@pytest.mark.parametrize("scale", [None, 10000])
def test_reflectance_is_encoded_for_a_model_of_photographs(tmp_path, scale):
    """As when the file is colorized."""
    model = Colorizer(per_pixel(tmp_path / "m.onnx"))
    pair = reflectance_pair(tmp_path, QUANTIFICATION_VALUE="10000")
    model.colorize_file(pair.nir, tmp_path / "out.png", reading=Reading(scale=scale), depth=16)
    (images,) = read_images(replace(pair, nir_scale=scale), [None])
    (one,) = open_methods([model], [pair])
    np.testing.assert_allclose(one.predict(pair, images), load(tmp_path / "out.png")[0] / 65535, atol=1e-4)
    assert one.predict(pair, images)[0] == pytest.approx(float(encode_srgb(np.float32(0.3))))


@pytest.mark.filterwarnings("ignore:.*reads as very dark")
def test_a_model_of_reflectance_refuses_a_set_of_unknown_scale(tmp_path):
    model = Colorizer(per_pixel(tmp_path / "m.onnx", encoding="reflectance", white_reflectance=1.0))
    pair = reflectance_pair(tmp_path)
    (one,) = open_methods([model], [pair])
    with pytest.raises(NircolorError, match=r"expected reflectance for model per_pixel.*nir_scale .* 10000"):
        one.predict(pair, read_images(pair, [None])[0])
    (images,) = read_images(replace(pair, nir_scale=10000), [None])
    assert one.predict(pair, images)[0] == pytest.approx(0.3)
