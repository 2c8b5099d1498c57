import doctest
import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nircolor import metrics
from nircolor.metrics import (
    angular_error_deg,
    angular_error_whole_image_rad,
    colourfulness_ratio,
    delta_e2000,
    gradient_energy_ratio,
    psnr,
    ssim,
)

PERFECT = {
    psnr: math.inf,
    ssim: 1.0,
    angular_error_deg: 0.0,
    angular_error_whole_image_rad: 0.0,
    delta_e2000: 0.0,
    gradient_energy_ratio: 1.0,
    colourfulness_ratio: 1.0,
}
METRICS = list(PERFECT)


def noisy_pair(height=17, width=20, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    target = rng.random((3, height, width))
    return np.clip(target + 0.2 * rng.standard_normal(target.shape), 0, 1).astype(dtype), target.astype(dtype)


def color_image(*rgb, side=11):
    return np.broadcast_to(np.array(rgb, float)[:, None, None], (3, side, side)).copy()


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


def slow_lab(rgb):
    """CIE L*a*b* of one sRGB colour under D65, 2° observer."""
    linear = np.array([v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in rgb])
    to_xyz = [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
    x, y, z = (
        t ** (1 / 3) if t > (6 / 29) ** 3 else t / (3 * (6 / 29) ** 2) + 4 / 29
        for t in to_xyz @ linear / [0.95047, 1, 1.08883]
    )
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def slow_delta_e2000(first, second):
    """Sharma, Wu and Dalal's equations 2 to 22, for two colours, angles in degrees."""
    (l1, a1, b1), (l2, a2, b2) = slow_lab(first), slow_lab(second)

    def root7(chroma):
        return math.sqrt(chroma**7 / (chroma**7 + 25**7))

    def sin(degrees):
        return math.sin(math.radians(degrees))

    def cos(degrees):
        return math.cos(math.radians(degrees))

    g = 0.5 * (1 - root7((math.hypot(a1, b1) + math.hypot(a2, b2)) / 2))
    a1, a2 = (1 + g) * a1, (1 + g) * a2
    c1, c2 = math.hypot(a1, b1), math.hypot(a2, b2)
    h1, h2 = (math.degrees(math.atan2(b, a)) % 360 for a, b in ((a1, b1), (a2, b2)))
    dh = h2 - h1
    if abs(dh) > 180:
        dh -= math.copysign(360, dh)
    mean_h = (h1 + h2) / 2
    if abs(h1 - h2) > 180:
        mean_h += 180 if h1 + h2 < 360 else -180
    mean_l, mean_c = (l1 + l2) / 2, (c1 + c2) / 2
    t = (
        1
        - 0.17 * cos(mean_h - 30)
        + 0.24 * cos(2 * mean_h)
        + 0.32 * cos(3 * mean_h + 6)
        - 0.20 * cos(4 * mean_h - 63)
    )
    lightness = (l2 - l1) / (1 + 0.015 * (mean_l - 50) ** 2 / math.sqrt(20 + (mean_l - 50) ** 2))
    chroma = (c2 - c1) / (1 + 0.045 * mean_c)
    hue = 2 * math.sqrt(c1 * c2) * sin(dh / 2) / (1 + 0.015 * mean_c * t)
    rotation = -sin(60 * math.exp(-(((mean_h - 275) / 25) ** 2))) * 2 * root7(mean_c)
    return math.sqrt(lightness**2 + chroma**2 + hue**2 + rotation * chroma * hue)


def slow_gradient_energy(image, valid):
    """Mean square of the Sobel gradients, pixel by pixel, without those that touch an invalid pixel."""
    gray = 0.2989 * image[0] + 0.5870 * image[1] + 0.1140 * image[2]
    sobel = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    height, width = gray.shape
    energies = [
        (sobel * gray[near]).sum() ** 2 + (sobel.T * gray[near]).sum() ** 2
        for y, x in product(range(1, height - 1), range(1, width - 1))
        if valid[near := (slice(y - 1, y + 2), slice(x - 1, x + 2))].all()
    ]
    return np.mean(energies)


def slow_colourfulness(pixels):
    """Hasler and Süsstrunk's M3 of a list of colours."""
    rg = np.array([r - g for r, g, _ in pixels])
    yb = np.array([0.5 * (r + g) - b for r, g, b in pixels])
    return math.sqrt(rg.var() + yb.var()) + 0.3 * math.sqrt(rg.mean() ** 2 + yb.mean() ** 2)


def test_psnr_matches_its_formula_over_all_channels():
    predicted, target = noisy_pair()
    assert psnr(predicted, target) == pytest.approx(-10 * math.log10(np.mean((predicted - target) ** 2)))


def test_ssim_matches_its_formula_window_by_window():
    predicted, target = noisy_pair()
    assert ssim(predicted, target) == pytest.approx(slow_ssim(predicted, target), abs=1e-9)


def test_angular_error_is_the_mean_angle_of_pixels():
    predicted, target = noisy_pair()
    angles = [
        math.degrees(math.acos(np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b)))
        for a, b in zip(predicted.reshape(3, -1).T, target.reshape(3, -1).T, strict=True)
    ]
    assert angular_error_deg(predicted, target) == pytest.approx(np.mean(angles))


def test_whole_image_angle_is_the_angle_of_the_flattened_images():
    a, b = noisy_pair()
    cosine = (a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b)
    assert angular_error_whole_image_rad(a, b) == pytest.approx(math.acos(cosine))


def test_colour_difference_matches_its_formula():
    # corners of the RGB cube include grays, and hues on both sides of 0°, the special cases of the mean hue
    corners = np.array(list(product((0.0, 0.04, 1.0), repeat=3)))
    a, b = (
        colors.reshape(-1, 3).T[:, :, None]
        for colors in (np.repeat(corners, 27, 0), np.tile(corners, (27, 1)))
    )
    expected = [slow_delta_e2000(x, y) for x, y in zip(a[:, :, 0].T, b[:, :, 0].T, strict=True)]
    for i in range(0, len(expected), 7):
        got = delta_e2000(a[:, i : i + 1], b[:, i : i + 1])
        assert got == pytest.approx(expected[i], abs=1e-3)
    assert delta_e2000(a, b) == pytest.approx(np.mean(expected), abs=1e-3)


def test_known_colour_differences():
    white, black, red, blue = (color_image(*c) for c in ((1, 1, 1), (0, 0, 0), (1, 0, 0), (0, 0, 1)))
    assert delta_e2000(black, white) == delta_e2000(white, black) == pytest.approx(100, abs=1e-3)
    # value of online calculators for #ff0000 and #0000ff
    assert delta_e2000(red, blue) == pytest.approx(52.88, abs=0.01)


def test_gradient_energy_matches_its_formula_pixel_by_pixel():
    predicted, target = noisy_pair()
    everywhere = np.ones(target.shape[1:], bool)
    valid = np.random.default_rng(1).random(target.shape[1:]) < 0.9
    for mask in (everywhere, valid):
        expected = slow_gradient_energy(predicted, mask) / slow_gradient_energy(target, mask)
        assert gradient_energy_ratio(predicted, target, mask) == pytest.approx(expected)
    assert gradient_energy_ratio(predicted, target) == gradient_energy_ratio(predicted, target, everywhere)


def test_scikit_image_computes_the_same_gradients():
    filters = pytest.importorskip("skimage.filters")
    predicted, target = (np.tensordot([0.2989, 0.5870, 0.1140], p, 1) for p in noisy_pair())
    energies = [
        (filters.sobel_h(gray) ** 2 + filters.sobel_v(gray) ** 2)[1:-1, 1:-1].mean()
        for gray in (predicted, target)
    ]
    assert gradient_energy_ratio(*noisy_pair()) == pytest.approx(energies[0] / energies[1])


def test_a_blurred_edge_has_less_energy():
    edge = np.zeros((3, 6, 8))
    edge[:, :, 4:] = 1
    blurred = edge.copy()
    blurred[:, :, 3:5] = [0.25, 0.75]
    # differences over two pixels: 1, 1 on the edge; blurred 0.25, 0.75, 0.75, 0.25
    assert gradient_energy_ratio(blurred, edge) == pytest.approx((2 * 0.75**2 + 2 * 0.25**2) / 2)
    assert gradient_energy_ratio(edge, blurred) > 1
    # horizontal and vertical edges count equally
    assert gradient_energy_ratio(edge.transpose(0, 2, 1), edge.transpose(0, 2, 1)) == 1


def test_the_edge_of_the_mask_adds_no_gradient():
    predicted, target = (0.5 + 0.5 * image for image in noisy_pair(30, 30))
    valid = np.zeros((30, 30), bool)
    valid[:, :13] = True
    expected = gradient_energy_ratio(predicted[:, :, :13], target[:, :, :13])
    assert gradient_energy_ratio(predicted, target, valid) == pytest.approx(expected)


def test_colourfulness_matches_its_formula():
    predicted, target = noisy_pair()
    valid = np.random.default_rng(1).random(target.shape[1:]) < 0.5
    expected = slow_colourfulness(predicted[:, valid].T) / slow_colourfulness(target[:, valid].T)
    assert colourfulness_ratio(predicted, target, valid) == pytest.approx(expected)
    # half red, half green: R - G = ±1, (R + G) / 2 - B = 0.5 throughout; one colour has no deviation
    halves = np.zeros((3, 2, 2))
    halves[0, 0] = halves[1, 1] = 1
    red = color_image(1, 0, 0, side=2)
    assert colourfulness_ratio(halves, red) == pytest.approx((1 + 0.3 * 0.5) / (0.3 * math.sqrt(1.25)))


@pytest.mark.parametrize("ratio", [gradient_energy_ratio, colourfulness_ratio])
def test_ratios_to_a_flat_gray_image(ratio):
    flat, dark = color_image(0.3, 0.3, 0.3), color_image(0.1, 0.1, 0.1)
    _, lively = noisy_pair(11, 11)
    assert ratio(flat, flat) == ratio(dark, flat) == 1
    assert ratio(lively, flat) == math.inf
    assert ratio(flat, lively) == 0


def test_torchmetrics_agrees():
    torch = pytest.importorskip("torch")
    functional = pytest.importorskip("torchmetrics.functional.image")
    predicted, target = noisy_pair(64, 48)
    a, b = torch.from_numpy(predicted)[None], torch.from_numpy(target)[None]
    expected = functional.peak_signal_noise_ratio(a, b, data_range=1.0).item()
    assert psnr(predicted, target) == pytest.approx(expected)
    # torchmetrics also averages over windows that extend past the border, which is continued by reflection
    _, similarity = functional.structural_similarity_index_measure(
        a, b, data_range=1.0, return_full_image=True
    )
    assert ssim(predicted, target) == pytest.approx(similarity[..., 5:-5, 5:-5].mean().item(), abs=1e-6)


def test_scikit_image_agrees():
    skimage = pytest.importorskip("skimage.metrics")
    predicted, target = noisy_pair(64, 48)
    expected = skimage.peak_signal_noise_ratio(target, predicted, data_range=1)
    assert psnr(predicted, target) == pytest.approx(expected)
    # scikit-image leaves out the same border; its window size follows from sigma
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1}
    expected = np.mean(
        [skimage.structural_similarity(a, b, **options) for a, b in zip(predicted, target, strict=True)]
    )
    assert ssim(predicted, target) == pytest.approx(expected)


# Properties


@pytest.mark.parametrize("metric", METRICS)
def test_single_precision_gives_the_same_scores(metric):
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


@pytest.mark.parametrize("metric", [m for m in METRICS if m is not ssim])
def test_masking_a_border_equals_cropping(metric):
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
def test_identical_images_are_perfect(image):
    # arccos would give 0.11° here, and NaN where the image is black
    for metric in METRICS:
        assert metric(image, image.copy()) == pytest.approx(PERFECT[metric], abs=1e-12)
    assert angular_error_deg(image, image) == 0.0
    assert angular_error_whole_image_rad(image, image) == 0.0


def test_angular_error_of_black_pixels():
    black, color = np.zeros((3, 2, 2)), np.full((3, 2, 2), 0.5)
    half = color.copy()
    half[:, 0] = 0
    assert angular_error_deg(black, black) == 0
    assert angular_error_deg(black, color) == angular_error_deg(color, black) == 90
    assert angular_error_deg(half, color) == 45
    assert angular_error_whole_image_rad(black, black) == 0
    assert angular_error_whole_image_rad(black, color) == pytest.approx(math.pi / 2)


def test_small_angles_are_accurate():
    # arccos of the float64 cosine is 0 for angles below 1e-8
    target = np.zeros((3, 2, 2))
    target[0] = 1
    predicted = target.copy()
    predicted[1] = 1e-10
    assert angular_error_deg(predicted, target) == pytest.approx(math.degrees(1e-10))
    assert angular_error_whole_image_rad(predicted, target) == pytest.approx(1e-10)


@given(st.floats(0.01, 1))
def test_angles_do_not_depend_on_brightness(factor):
    predicted, target = noisy_pair()
    assert angular_error_deg(factor * predicted, target) == pytest.approx(
        angular_error_deg(predicted, target)
    )


# Mistakes found in other implementations


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int64])
def test_integers_are_refused(metric, dtype):
    # in uint8, 0 - 1 is 255: the worst error for the smallest difference
    predicted, target = noisy_pair()
    with pytest.raises(ValueError, match=rf"floating point in \[0, 1\], got {np.dtype(dtype)}"):
        metric((255 * predicted).astype(dtype), target)
    with pytest.raises(ValueError, match="target"):
        metric(predicted, (255 * target).astype(dtype))


def test_ssim_range_is_not_guessed_from_the_data():
    # with a range guessed from dark images, C1 and C2 would be smaller and the score would change
    predicted, target = (0.1 * image for image in noisy_pair())
    assert ssim(predicted, target) == pytest.approx(slow_ssim(predicted, target), abs=1e-9)


def test_the_target_is_not_stretched():
    # a min-max stretch would make these two images equal
    target = 0.3 + 0.4 * noisy_pair()[1]
    stretched = (target - target.min()) / (target.max() - target.min())
    assert psnr(stretched, target) == pytest.approx(-10 * math.log10(np.mean((stretched - target) ** 2)))
    assert psnr(stretched, target) < 20


def test_red_is_the_first_channel():
    # with BGR input, red would be converted to Lab as blue
    dark_red, dark_blue = color_image(0.5, 0, 0), color_image(0, 0, 0.5)
    red, blue = color_image(1, 0, 0), color_image(0, 0, 1)
    assert delta_e2000(dark_red, red) == pytest.approx(slow_delta_e2000((0.5, 0, 0), (1, 0, 0)), abs=1e-3)
    assert delta_e2000(dark_blue, blue) == pytest.approx(slow_delta_e2000((0, 0, 0.5), (0, 0, 1)), abs=1e-3)
    assert abs(delta_e2000(dark_red, red) - delta_e2000(dark_blue, blue)) > 1
    # gray weights: mostly green
    edge = np.zeros((3, 11, 11))
    edge[:, 5:] = 1
    energies = [
        gradient_energy_ratio(np.where([[[i == k]] for i in range(3)], edge, 0), edge) for k in range(3)
    ]
    assert energies == pytest.approx([0.2989**2, 0.5870**2, 0.1140**2], rel=1e-3)


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
def test_invalid_images_are_refused(metric, spoil, message):
    predicted, target = noisy_pair()
    with pytest.raises(ValueError, match=message):
        metric(spoil(predicted), target)


@pytest.mark.parametrize("metric", METRICS)
def test_invalid_masks_are_refused(metric):
    predicted, target = noisy_pair()
    for valid, message in [
        (np.ones((17, 20)), "expected bool"),
        (np.ones((20, 17), bool), r"expected bool \(17, 20\)"),
        (np.zeros((17, 20), bool), "at least one valid pixel"),
    ]:
        with pytest.raises(ValueError, match=message):
            metric(predicted, target, valid)


def test_gradients_need_a_pixel_with_its_neighbours():
    for height in (1, 2):
        with pytest.raises(ValueError, match="8 valid neighbours, got none"):
            gradient_energy_ratio(*noisy_pair(height=height))
    valid = np.ones((17, 20), bool)
    valid[::2, ::2] = False
    with pytest.raises(ValueError, match="8 valid neighbours, got none"):
        gradient_energy_ratio(*noisy_pair(), valid)


def test_ssim_needs_a_whole_window():
    with pytest.raises(ValueError, match=r"at least 11 × 11 px, got \(3, 10, 20\)"):
        ssim(*noisy_pair(height=10))
    valid = np.zeros((17, 20), bool)
    valid[:5] = True
    with pytest.raises(ValueError, match="5 px from the border"):
        ssim(*noisy_pair(), valid)
