import doctest
import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nircolor import metrics
from nircolor.metrics import angular_error_deg, angular_error_whole_image_rad, psnr_db, ssim

METRICS = [psnr_db, ssim, angular_error_deg, angular_error_whole_image_rad]
PERFECT = {psnr_db: math.inf, ssim: 1.0, angular_error_deg: 0.0, angular_error_whole_image_rad: 0.0}


def noisy_pair(height=17, width=20, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    target = rng.random((3, height, width))
    return np.clip(target + 0.2 * rng.standard_normal(target.shape), 0, 1).astype(dtype), target.astype(dtype)


def test_examples_in_docstrings():
    assert doctest.testmod(metrics, extraglobs={"np": np}).failed == 0


# Slow direct formulas


def slow_ssim(predicted, target, valid=None):
    """Wang et al.'s formula, window by window."""
    offsets = np.arange(-5, 6)
    weights = np.exp(-(offsets[:, None] ** 2 + offsets[None] ** 2) / (2 * 1.5**2))
    weights /= weights.sum()
    _, height, width = target.shape
    values = []
    for channel, y, x in product(range(3), range(5, height - 5), range(5, width - 5)):
        if valid is not None and not valid[y, x]:
            continue
        a, b = (p[channel, y - 5 : y + 6, x - 5 : x + 6] for p in (predicted, target))
        mean_a, mean_b = (weights * a).sum(), (weights * b).sum()
        var_a, var_b = (weights * (a - mean_a) ** 2).sum(), (weights * (b - mean_b) ** 2).sum()
        covariance = (weights * (a - mean_a) * (b - mean_b)).sum()
        values.append(
            (2 * mean_a * mean_b + 0.01**2)
            * (2 * covariance + 0.03**2)
            / ((mean_a**2 + mean_b**2 + 0.01**2) * (var_a + var_b + 0.03**2))
        )
    return np.mean(values)


def test_psnr_is_its_formula_jointly_over_the_channels():
    predicted, target = noisy_pair()
    assert psnr_db(predicted, target) == pytest.approx(-10 * math.log10(np.mean((predicted - target) ** 2)))


def test_ssim_is_its_formula_window_by_window():
    predicted, target = noisy_pair()
    assert ssim(predicted, target) == pytest.approx(slow_ssim(predicted, target), abs=1e-9)


def test_angular_error_is_the_mean_angle_of_pixels():
    predicted, target = noisy_pair()
    angles = [
        math.degrees(math.acos(np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b)))
        for a, b in zip(predicted.reshape(3, -1).T, target.reshape(3, -1).T, strict=True)
    ]
    assert angular_error_deg(predicted, target) == pytest.approx(np.mean(angles))


def test_whole_image_angle_is_that_of_two_long_vectors():
    a, b = noisy_pair()
    cosine = (a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b)
    assert angular_error_whole_image_rad(a, b) == pytest.approx(math.acos(cosine))


def test_torchmetrics_agrees():
    torch = pytest.importorskip("torch")
    functional = pytest.importorskip("torchmetrics.functional.image")
    predicted, target = noisy_pair(64, 48)
    a, b = torch.from_numpy(predicted)[None], torch.from_numpy(target)[None]
    expected = functional.peak_signal_noise_ratio(a, b, data_range=1.0).item()
    assert psnr_db(predicted, target) == pytest.approx(expected)
    # torchmetrics also averages over windows that reach past the border, filled by reflection
    _, similarity = functional.structural_similarity_index_measure(
        a, b, data_range=1.0, return_full_image=True
    )
    assert ssim(predicted, target) == pytest.approx(similarity[..., 5:-5, 5:-5].mean().item(), abs=1e-6)


# Properties


@pytest.mark.parametrize("metric", METRICS)
def test_single_precision_scores_alike(metric):
    single = noisy_pair(dtype=np.float32)
    assert metric(*single) == pytest.approx(metric(*noisy_pair()), rel=1e-5)


@pytest.mark.parametrize("metric", METRICS)
def test_invalid_pixels_have_no_influence(metric):
    predicted, target = noisy_pair(30, 30)
    valid = np.ones((30, 30), bool)
    valid[:12] = valid[20, 20] = False
    expected = metric(predicted, target, valid)
    spoiled = predicted.copy()
    spoiled[:, ~valid] = np.nan
    assert metric(spoiled, target, valid) == expected
    assert metric(predicted, target) != expected
    assert metric(predicted, target, np.ones((30, 30), bool)) == metric(predicted, target)


@pytest.mark.parametrize("metric", [psnr_db, angular_error_deg, angular_error_whole_image_rad])
def test_a_mask_over_an_edge_is_a_crop(metric):
    predicted, target = noisy_pair(30, 30)
    valid = np.zeros((30, 30), bool)
    valid[12:] = True
    assert metric(predicted, target, valid) == pytest.approx(metric(predicted[:, 12:], target[:, 12:]))


def test_masked_ssim_is_over_windows_centred_on_valid_pixels():
    predicted, target = noisy_pair()
    valid = np.random.default_rng(1).random(target.shape[1:]) < 0.8
    expected = slow_ssim(predicted * valid, target * valid, valid)
    assert ssim(predicted, target, valid) == pytest.approx(expected, abs=1e-9)


@given(arrays(np.float64, (3, 11, 11), elements=st.floats(0, 1)))
def test_identical_pictures_are_perfect(picture):
    # a peer's arccos gives 0.11° here, and NaN where the picture is black
    for metric in METRICS:
        assert metric(picture, picture.copy()) == pytest.approx(PERFECT[metric], abs=1e-12)
    assert angular_error_deg(picture, picture) == 0.0
    assert angular_error_whole_image_rad(picture, picture) == 0.0


def test_angular_error_of_black_pixels():
    black, color = np.zeros((3, 2, 2)), np.full((3, 2, 2), 0.5)
    half = color.copy()
    half[:, 0] = 0
    assert angular_error_deg(black, black) == 0
    assert angular_error_deg(black, color) == angular_error_deg(color, black) == 90
    assert angular_error_deg(half, color) == 45
    assert angular_error_whole_image_rad(black, black) == 0
    assert angular_error_whole_image_rad(black, color) == pytest.approx(math.pi / 2)


def test_small_angles_are_not_lost():
    # arccos of the float64 cosine is 0 for angles below 1e-8
    target = np.zeros((3, 2, 2))
    target[0] = 1
    predicted = target.copy()
    predicted[1] = 1e-10
    assert angular_error_deg(predicted, target) == pytest.approx(math.degrees(1e-10))
    assert angular_error_whole_image_rad(predicted, target) == pytest.approx(1e-10)


@given(st.floats(0.01, 1))
def test_angles_do_not_see_brightness(factor):
    predicted, target = noisy_pair()
    assert angular_error_deg(factor * predicted, target) == pytest.approx(
        angular_error_deg(predicted, target)
    )


# The peers' bugs of the anchors


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int64])
def test_integers_are_refused_since_they_wrap(metric, dtype):
    # in uint8, 0 - 1 is 255: the worst error for the smallest difference
    predicted, target = noisy_pair()
    with pytest.raises(ValueError, match=rf"floating point in \[0, 1\], got {np.dtype(dtype)}"):
        metric((255 * predicted).astype(dtype), target)
    with pytest.raises(ValueError, match="target"):
        metric(predicted, (255 * target).astype(dtype))


def test_ssim_range_is_not_guessed_from_the_data():
    # guessed from a dim prediction's extremes, C1 and C2 shrink and the score changes
    predicted, target = (0.1 * picture for picture in noisy_pair())
    assert ssim(predicted, target) == pytest.approx(slow_ssim(predicted, target), abs=1e-9)


def test_the_target_is_not_stretched():
    # with a min-max stretch of both sides these two would be the same picture
    target = 0.3 + 0.4 * noisy_pair()[1]
    stretched = (target - target.min()) / (target.max() - target.min())
    assert psnr_db(stretched, target) == pytest.approx(-10 * math.log10(np.mean((stretched - target) ** 2)))
    assert psnr_db(stretched, target) < 20


# Input that cannot be scored


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda p: p[:, :-1], r"one shape, got \(3, 16, 20\) and \(3, 17, 20\)"),
        (lambda p: p[:2], r"\(3, height, width\), got \(2, 17, 20\)"),
        (lambda p: p.transpose(1, 2, 0), r"\(3, height, width\), got \(17, 20, 3\)"),
        (lambda p: p[:, :0], r"\(3, height, width\), got \(3, 0, 20\)"),
        (lambda p: 255 * p, r"predicted: expected values in \[0, 1\], got 0.0 to 255.0"),
        (lambda p: p - 0.5, r"predicted: expected values in \[0, 1\], got -0.5 to 0.5"),
        (lambda p: np.where(p == p.max(), np.nan, p), r"predicted: .*got nan to nan"),
        (lambda p: np.where(p == p.max(), np.inf, p), r"predicted: .*to inf"),
    ],
)
def test_what_cannot_be_scored_is_refused(metric, spoil, message):
    predicted, target = noisy_pair()
    with pytest.raises(ValueError, match=message):
        metric(spoil(predicted), target)


@pytest.mark.parametrize("metric", METRICS)
def test_a_mask_that_cannot_be_used_is_refused(metric):
    predicted, target = noisy_pair()
    for valid, message in [
        (np.ones((17, 20)), "expected bool"),
        (np.ones((20, 17), bool), r"expected bool \(17, 20\)"),
        (np.zeros((17, 20), bool), "at least one valid pixel"),
    ]:
        with pytest.raises(ValueError, match=message):
            metric(predicted, target, valid)


def test_ssim_needs_a_whole_window():
    with pytest.raises(ValueError, match=r"at least 11 × 11 px, got \(3, 10, 20\)"):
        ssim(*noisy_pair(height=10))
    valid = np.zeros((17, 20), bool)
    valid[:5] = True
    with pytest.raises(ValueError, match="5 px from the border"):
        ssim(*noisy_pair(), valid)
