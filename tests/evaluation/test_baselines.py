from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from nircolor.evaluation.baselines import (
    NirCopied,
    distinct_bands,
    fitted_baselines,
    linear_ridge,
    mean_color,
    ridge_features,
    transfer_matrix,
)
from nircolor.evaluation.protocol import score_all
from nircolor.evaluation.scores import Row, by_method, score
from nircolor.pairs import Vcip, read_pair
from nircolor.pairs.pair import read_images
from tests.evaluation.scored_pairs import SIZE, bands, gray, made_pair, many_bands

DATA = Path(__file__).parents[3] / "shared/data"
RNG = np.random.default_rng(0)


def training(count=3, height=20, width=24):
    nir = RNG.random((count, 1, height, width))
    rgb = np.clip(nir * [[[0.2]], [[0.5]], [[0.9]]] + 0.1 * RNG.random((count, 3, height, width)), 0, 1)
    return list(zip(nir, rgb, RNG.random((count, height, width)) < 0.7, strict=True))


def slow_blur(plane, sigma):
    """Compute the Gaussian mean around each pixel; the image is continued by reflection."""
    radius = int(4 * sigma + 0.5)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    weights /= weights.sum()
    for axis in (0, 1):
        padding = [(0, 0), (0, 0)]
        padding[axis] = (radius, radius)
        padded = np.pad(plane, padding, mode="symmetric")
        size = plane.shape[axis]
        plane = sum(w * padded.take(range(k, k + size), axis) for k, w in enumerate(weights))
    return plane


def test_the_36_features_match_their_definition():
    nir = RNG.random((1, 12, 30))
    n = nir[0]
    y, x = np.mgrid[0:12, 0:30] / 12
    expected = [np.ones_like(n), y, y * y, x, x * x, n, n * n, n**0.5]
    for sigma in (1, 2, 4, 8, 16, 32):
        g = slow_blur(n, sigma)
        expected += [g, g * g, abs(n - g), slow_blur((n - g) ** 2, sigma)]
    m = np.full_like(n, n.sum() / n.size)
    d = np.sqrt(((n - m) ** 2).mean()) * np.ones_like(n)
    expected += [m, d, y * m, y * n]
    assert len(expected) == 36
    assert_allclose(ridge_features(nir), expected, atol=1e-12)


def test_ridge_is_regularised_least_squares_over_the_valid_pixels():
    pairs = training()
    features = np.concatenate([ridge_features(nir)[:, valid].T for nir, _, valid in pairs])
    colors = np.concatenate([rgb[:, valid].T for _, rgb, valid in pairs])
    # ridge as plain least squares: 36 more equations sqrt(1e-3) · w = 0
    expected, *_ = np.linalg.lstsq(
        np.concatenate([features, np.sqrt(1e-3) * np.eye(36)]), np.concatenate([colors, np.zeros((36, 3))])
    )
    ridge = linear_ridge().fit(iter(pairs))
    nir = pairs[0][0]
    predicted = ridge.predict(nir)
    assert_allclose(
        predicted, np.clip(np.einsum("fc,fhw->chw", expected, ridge_features(nir)), 0, 1), atol=1e-5
    )


def test_colours_of_invalid_pixels_are_ignored():
    pairs = training()
    spoiled = [(nir, np.where(valid, rgb, np.nan), valid) for nir, rgb, valid in pairs]
    assert_array_equal(linear_ridge().fit(spoiled).weights, linear_ridge().fit(pairs).weights)
    assert_array_equal(mean_color().fit(spoiled).weights, mean_color().fit(pairs).weights)


def test_ridge_recovers_a_linear_map_of_its_features():
    pairs = [
        (nir, np.concatenate([nir**2, 0.3 + 0.2 * nir, np.sqrt(nir)]), valid)
        for nir, _, valid in training(height=80, width=90)
    ]
    nir = RNG.random((1, 33, 21))
    predicted = linear_ridge().fit(pairs).predict(nir)
    assert_allclose(predicted, np.concatenate([nir**2, 0.3 + 0.2 * nir, np.sqrt(nir)]), atol=2e-3)


def test_the_mean_colour_is_over_pixels_and_not_over_images():
    small, large = np.full((3, 1, 2), 0.9), np.full((3, 2, 4), 0.1)
    large[2] = 0.4
    fitted = mean_color().fit(
        [(small[:1], small, np.array([[True, False]])), (large[:1], large, np.ones((2, 4), bool))]
    )
    predicted = fitted.predict(np.zeros((1, 5, 6)))
    assert predicted.shape == (3, 5, 6)
    expected = (np.array([0.9, 0.9, 0.9]) + 8 * np.array([0.1, 0.1, 0.4])) / 9
    assert_allclose(predicted[:, 3, 4], expected, rtol=1e-6)


def test_predictions_are_images_in_the_unit_range():
    pairs = training()
    # far from the training data, where a linear map leaves [0, 1]
    nir = np.zeros((1, 64, 64), np.float32)
    nir[0, 30:, 30:] = 1
    for method in (NirCopied(), mean_color().fit(pairs), linear_ridge().fit(pairs)):
        predicted = method.predict(nir)
        assert predicted.shape == (3, 64, 64)
        assert predicted.dtype == np.float32
        assert predicted.min() >= 0
        assert predicted.max() <= 1
    assert_array_equal(NirCopied().predict(nir), np.concatenate([nir] * 3))


@pytest.mark.parametrize(
    "nir", [np.zeros((4, 4)), np.zeros((1, 0, 4)), np.full((1, 4, 4), 1.5), np.zeros((1, 4, 4), np.uint8)]
)
def test_invalid_nir_arrays_are_refused(nir):
    with pytest.raises(ValueError, match="nir: expected"):
        NirCopied().predict(nir)
    with pytest.raises(ValueError, match="nir: expected"):
        ridge_features(nir)


@pytest.mark.parametrize("method", [mean_color, transfer_matrix, linear_ridge])
def test_fitting_without_valid_pixels_is_an_error(method):
    nir, rgb, _ = training()[0]
    for nothing in ([], [(nir, rgb, np.zeros((20, 24), bool))]):
        with pytest.raises(ValueError, match="valid pixels, got none"):
            method().fit(nothing)


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no real pairs at {DATA}")
def test_real_scores():
    pairs = Vcip(DATA / "vcip2020").pairs()
    methods = {
        "copied": NirCopied(),
        "mean": mean_color().fit(map(read_pair, pairs)),
        # fitted on a tenth of the pairs to save time; fitted on all, as in results/scene: 14.12
        "ridge": linear_ridge().fit(map(read_pair, pairs[::10])),
    }
    rows = []
    for pair in Vcip(DATA / "vcip2020", "validation").pairs():
        nir, rgb, valid = read_pair(pair)
        rows += [Row(pair.name, name, 0, score(m.predict(nir), rgb, valid)) for name, m in methods.items()]
    means = {name: [np.mean(v) for v in columns.values()][:3] for name, columns in by_method(rows).items()}
    # computed with other code, whose angular error has 1e-6 in a denominator, a difference of 0.003°
    assert_allclose(means["copied"], [11.62, 0.510, 7.16], atol=0.01)
    assert_allclose(means["mean"], [12.67, 0.382, 7.01], atol=0.01)
    assert_allclose(means["ridge"], [14.12, 0.517, 6.43], atol=0.3)


# Fitting in an evaluation


def test_baselines_are_fitted_on_training(tmp_path):
    training = [made_pair(tmp_path, "t", np.full((3, *SIZE), 200, "uint8"))]
    pairs = [made_pair(tmp_path, "a", np.full((3, *SIZE), 10, "uint8"))]
    fitted = fitted_baselines(pairs, training, [None])
    assert [one.label for one in fitted] == ["NIR copied", "mean colour", "transfer matrix", "linear ridge"]
    (images,) = read_images(pairs[0], [None])
    np.testing.assert_allclose(fitted[1].predict(pairs[0], images), 200 / 255, atol=1e-6)


def test_without_training_each_image_is_colorized_after_fitting_on_other_places(tmp_path):
    levels = {"a": 10, "b": 100, "c": 250}
    groups = {"a": "hill", "b": "hill", "c": None}
    pairs = [
        made_pair(tmp_path, n, np.full((3, *SIZE), v, "uint8"), group=groups[n]) for n, v in levels.items()
    ]
    mean = fitted_baselines(pairs, [], [None])[1]
    for pair, expected in zip(pairs, (250, 250, 55), strict=True):
        (images,) = read_images(pair, [None])
        np.testing.assert_allclose(mean.predict(pair, images), expected / 255, atol=1e-6)
    assert "other places" in mean.origin
    # with a single place, there is nothing to fit on
    assert [one.label for one in fitted_baselines(pairs[:2], [], [None])] == ["NIR copied"]


def test_baselines_for_every_choice_of_bands(tmp_path):
    pairs = [many_bands(tmp_path, name) for name in "abc"]
    one, three = bands(842), bands(783, 842, 945)
    methods = [gray("one", bands=one), gray("three", bands=three), gray("again", bands=one), gray("any")]
    choices = distinct_bands(methods, None, pairs)
    assert choices == [one, three]
    fitted = fitted_baselines(pairs, pairs, choices)
    assert [b.label for b in fitted] == [
        "NIR copied, 842 nm", "mean colour", "transfer matrix, 842 nm", "linear ridge, 842 nm",
        "NIR copied, 783/842/945 nm", "transfer matrix, 783/842/945 nm", "linear ridge, 783/842/945 nm",
    ]  # fmt: skip
    scored = score_all([*fitted, *methods], pairs, set_bands=three)
    scores = by_method(scored.rows)
    assert max(scores["transfer matrix, 842 nm"]["psnr_db"]) < 25
    assert min(scores["transfer matrix, 783/842/945 nm"]["psnr_db"]) > 70


def test_the_baseline_given_gray_uses_the_gray_image(tmp_path):
    """The colour of these pairs is one tint of varying brightness, independent of their NIR."""
    light = np.random.default_rng(0).integers(0, 256, (3, 1, *SIZE))
    tint = np.array([1.0, 0.8, 0.5])[:, None, None]
    pairs = [
        made_pair(tmp_path, name, np.rint(tint * plane).astype("uint8"))
        for name, plane in zip("abc", light, strict=True)
    ]
    fitted = fitted_baselines(pairs, [], [None], given_gray=True)
    assert [one.label for one in fitted][-1] == "transfer matrix given gray"
    scores = by_method(score_all(fitted, pairs).rows)
    assert max(scores["transfer matrix"]["psnr_db"]) < 25
    assert min(scores["transfer matrix given gray"]["psnr_db"]) > 40


def test_bands_of_files_without_wavelengths_are_one_choice(tmp_path):
    pair = made_pair(tmp_path, "a")
    assert distinct_bands([gray(bands=bands(850)), gray(bands=bands(900))], None, [pair]) == [bands(850)]
    assert distinct_bands([gray()], None, [pair]) == [None]
