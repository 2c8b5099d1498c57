import numpy as np

from nircolor.evaluation.fitting import distinct_bands, fitted_baselines
from nircolor.evaluation.protocol import score_all
from nircolor.evaluation.scorecard import by_method
from nircolor.pairs import read_pair
from tests.evaluation.scored_pairs import SIZE, bands, gray, made_pair, many_bands, silent


def test_baselines_learn_from_training(tmp_path):
    training = [made_pair(tmp_path, "t", np.full((3, *SIZE), 200, "uint8"))]
    pairs = [made_pair(tmp_path, "a", np.full((3, *SIZE), 10, "uint8"))]
    fitted = fitted_baselines(pairs, training, [None], silent)
    assert [one.label for one in fitted] == ["NIR copied", "mean colour", "transfer matrix", "linear ridge"]
    nir, _, valid = read_pair(pairs[0])
    np.testing.assert_allclose(fitted[1].predict(pairs[0], nir, valid), 200 / 255, atol=1e-6)


def test_without_training_each_image_is_coloured_by_what_other_places_teach(tmp_path):
    levels = {"a": 10, "b": 100, "c": 250}
    groups = {"a": "hill", "b": "hill", "c": None}
    pairs = [
        made_pair(tmp_path, n, np.full((3, *SIZE), v, "uint8"), group=groups[n]) for n, v in levels.items()
    ]
    mean = fitted_baselines(pairs, [], [None], silent)[1]
    for pair, expected in zip(pairs, (250, 250, 55), strict=True):
        nir, _, valid = read_pair(pair)
        np.testing.assert_allclose(mean.predict(pair, nir, valid), expected / 255, atol=1e-6)
    assert "other places" in mean.origin
    # nobody teaches the only place
    assert [one.label for one in fitted_baselines(pairs[:2], [], [None], silent)] == ["NIR copied"]


def test_baselines_for_every_choice_of_bands(tmp_path):
    pairs = [many_bands(tmp_path, name) for name in "abc"]
    one, three = bands(842), bands(783, 842, 945)
    contestants = [gray("one", bands=one), gray("three", bands=three), gray("again", bands=one), gray("any")]
    choices = distinct_bands(contestants, None, pairs)
    assert choices == [one, three]
    fitted = fitted_baselines(pairs, pairs, choices, silent)
    assert [b.label for b in fitted] == [
        "NIR copied, 842 nm", "mean colour", "transfer matrix, 842 nm", "linear ridge, 842 nm",
        "NIR copied, 783/842/945 nm", "transfer matrix, 783/842/945 nm", "linear ridge, 783/842/945 nm",
    ]  # fmt: skip
    scored = score_all([*fitted, *contestants], pairs, of_set=three)
    scores = by_method(scored.rows)
    assert max(scores["transfer matrix, 842 nm"]["psnr_db"]) < 25
    assert min(scores["transfer matrix, 783/842/945 nm"]["psnr_db"]) > 70


def test_given_gray_it_is_as_good_as_the_gray_tells(tmp_path):
    """Colour is one tint in more or less light here, of which the NIR of these pairs knows nothing."""
    light = np.random.default_rng(0).integers(0, 256, (3, 1, *SIZE))
    tint = np.array([1.0, 0.8, 0.5])[:, None, None]
    pairs = [
        made_pair(tmp_path, name, np.rint(tint * plane).astype("uint8"))
        for name, plane in zip("abc", light, strict=True)
    ]
    fitted = fitted_baselines(pairs, [], [None], silent, given_gray=True)
    assert [one.label for one in fitted][-1] == "transfer matrix given gray"
    scores = by_method(score_all(fitted, pairs).rows)
    assert max(scores["transfer matrix"]["psnr_db"]) < 25
    assert min(scores["transfer matrix given gray"]["psnr_db"]) > 40


def test_bands_of_files_that_state_no_wavelength_are_one_choice(tmp_path):
    pair = made_pair(tmp_path, "a")
    assert distinct_bands([gray(bands=bands(850)), gray(bands=bands(900))], None, [pair]) == [bands(850)]
    assert distinct_bands([gray()], None, [pair]) == [None]
