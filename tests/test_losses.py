"""Losses against direct formulas; invalid pixels must have no influence."""

import math
from itertools import product

import pytest
import torch

from nircolor.losses import (
    absolute_error,
    box_ssim_loss,
    content_ssim_loss,
    cross_branch_loss,
    edge_loss,
    edge_map,
    gradient_loss,
    log_squared_error,
    quantile_loss,
    rgb_to_gray,
    sobel,
    squared_error,
    ssim_loss,
    structure_loss,
)


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)
    predicted, target = (torch.rand(2, 3, 20, 17, generator=generator, dtype=torch.float64) for _ in range(2))
    valid = (torch.rand(2, 1, 20, 17, generator=generator) > 0.3).double()
    return predicted, target, valid


def mostly_valid():
    """A mask with a few invalid pixels, one of them at the border, and whole 3 × 3 windows between them."""
    valid = torch.ones(2, 1, 20, 17, dtype=torch.float64)
    valid[0, 0, 4:7, 9] = valid[0, 0, 0, 3] = valid[1, 0, 12, 5] = 0
    return valid


def sobel_by_hand(image, y, x):
    """Horizontal and vertical gradient at a pixel of (h, w), with the kernels written out."""
    h, w = image.shape
    right = down = 0.0
    for j, row in enumerate([(-1, 0, 1), (-2, 0, 2), (-1, 0, 1)]):
        for i, weight in enumerate(row):
            right += weight / 8 * image[min(max(y + j - 1, 0), h - 1), min(max(x + i - 1, 0), w - 1)].item()
            # the other kernel is this one's transpose
            down += weight / 8 * image[min(max(y + i - 1, 0), h - 1), min(max(x + j - 1, 0), w - 1)].item()
    return right, down


def whole_windows(valid):
    """Yield image, row and column of the pixels whose 3 × 3 window holds no invalid pixel."""
    n, _, h, w = valid.shape
    for k, y, x in product(range(n), range(h), range(w)):
        if valid[k, 0, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2].all():
            yield k, y, x


def test_errors_are_means_over_valid_values(batch):
    predicted, target, valid = batch
    chosen = (valid > 0).expand_as(target)
    difference = (predicted - target)[chosen]
    torch.testing.assert_close(squared_error(*batch), difference.square().mean())
    torch.testing.assert_close(absolute_error(*batch), difference.abs().mean())


def test_log_error_is_proportional_to_the_mean_psnr(batch):
    """Also where the squared error of one image is a hundred times that of the other."""
    predicted, target, valid = batch
    predicted = target + (predicted - target) * torch.tensor([1.0, 0.1]).view(2, 1, 1, 1)
    psnr_db = [
        -10 * torch.log10((p - t)[(v > 0).expand_as(t)].square().mean())
        for p, t, v in zip(predicted, target, valid, strict=True)
    ]
    loss = log_squared_error(predicted, target, valid, floor=0)
    torch.testing.assert_close(-10 / math.log(10) * loss, torch.stack(psnr_db).mean())


def test_log_error_of_equal_images_is_the_floor(batch):
    _, target, valid = batch
    assert log_squared_error(target, target, valid) == pytest.approx(math.log(1e-5))


@pytest.mark.parametrize(
    "loss",
    [
        squared_error,
        absolute_error,
        log_squared_error,
        ssim_loss,
        box_ssim_loss,
        content_ssim_loss,
        cross_branch_loss,
        structure_loss,
        edge_loss,
    ],
)
@pytest.mark.parametrize("spoilt", ["predicted", "target"])
def test_invalid_pixels_have_no_influence(batch, loss, spoilt):
    predicted, target, valid = batch
    if loss is structure_loss:
        predicted, target = predicted[:, :1], target[:, :1]
    if loss is cross_branch_loss:
        predicted = predicted[:, :1]
    if loss is edge_loss:
        predicted, valid = predicted[:, :1], mostly_valid()
    inputs = {"predicted": predicted, "target": target}
    expected = loss(*inputs.values(), valid)
    assert expected != 0
    inputs[spoilt] = torch.where(valid > 0, inputs[spoilt], torch.full_like(inputs[spoilt], 1e3))
    torch.testing.assert_close(loss(*inputs.values(), valid), expected)


def test_a_batch_without_valid_pixels_costs_nothing(batch):
    predicted, target, _ = batch
    nothing = torch.zeros(2, 1, 20, 17, dtype=torch.float64)
    for loss in (squared_error, absolute_error, ssim_loss, box_ssim_loss):
        predicted = predicted.detach().requires_grad_()
        value = loss(predicted, target, nothing)
        assert value == 0
        value.backward()
        assert (predicted.grad == 0).all()
    assert gradient_loss(target, predicted[:, :1], predicted[:, 1:2], nothing) == 0


@pytest.mark.parametrize(("loss", "smallest"), [(ssim_loss, 11), (box_ssim_loss, 9)])
def test_images_smaller_than_the_window_are_an_error(loss, smallest):
    """Sides of 6 to 10 px once gave a loss of 0, an SSIM of 1."""
    for side in range(1, smallest):
        image = torch.rand(1, 3, 16, side)
        with pytest.raises(ValueError, match=rf"expected sides of at least {smallest} px, got .*16, {side}"):
            loss(image, 1 - image, torch.ones(1, 1, 16, side))
    image = torch.rand(1, 3, 16, smallest)
    assert loss(image, 1 - image, torch.ones(1, 1, 16, smallest)) > 0.1


def test_box_ssim_of_partly_valid_windows(batch):
    """Means and variances are those of a window's valid pixels, and count by how many these are."""
    predicted, target, valid = batch
    values, weights = [], []
    for n, c, y, x in product(range(2), range(3), range(0, 12, 2), range(0, 9, 2)):
        inside = valid[n, 0, y : y + 9, x : x + 9] > 0
        p, t = (z[n, c, y : y + 9, x : x + 9][inside] for z in (predicted, target))
        covariance = ((p - p.mean()) * (t - t.mean())).mean()
        numerator = (2 * p.mean() * t.mean() + 1e-4) * (2 * covariance + 9e-4)
        spread = p.var(unbiased=False) + t.var(unbiased=False) + 9e-4
        values.append(numerator / ((p.mean() ** 2 + t.mean() ** 2 + 1e-4) * spread))
        weights.append(inside.double().mean())
    expected = 1 - (torch.stack(values) * torch.stack(weights)).sum() / torch.stack(weights).sum()
    torch.testing.assert_close(box_ssim_loss(predicted, target, valid), expected)


def test_box_ssim_against_its_formula_window_by_window(batch):
    predicted, target, _ = batch
    window, stride = 9, 2
    values = []
    for n in range(2):
        for c in range(3):
            for y in range(0, 20 - window + 1, stride):
                for x in range(0, 17 - window + 1, stride):
                    p, t = (z[n, c, y : y + window, x : x + window] for z in (predicted, target))
                    covariance = ((p - p.mean()) * (t - t.mean())).mean()
                    numerator = (2 * p.mean() * t.mean() + 1e-4) * (2 * covariance + 9e-4)
                    spread = p.var(unbiased=False) + t.var(unbiased=False) + 9e-4
                    values.append(numerator / ((p.mean() ** 2 + t.mean() ** 2 + 1e-4) * spread))
    loss = box_ssim_loss(predicted, target, torch.ones_like(target[:, :1]))
    torch.testing.assert_close(loss, 1 - torch.stack(values).mean())


def test_box_ssim_loss_of_an_image_with_itself_is_0(batch):
    _, target, valid = batch
    assert abs(box_ssim_loss(target, target, valid).item()) < 1e-9


@pytest.mark.parametrize("share_valid", [1.0, 0.7])
def test_ssim_loss_equals_the_metric(share_valid):
    pytest.importorskip("skimage")
    from nircolor.metrics import ssim

    generator = torch.Generator().manual_seed(2)
    target = torch.rand(1, 3, 24, 31, generator=generator)
    predicted = (target + 0.2 * torch.randn(1, 3, 24, 31, generator=generator)).clamp(0, 1)
    valid = torch.rand(1, 1, 24, 31, generator=generator) < share_valid
    expected = 1 - ssim(predicted[0].numpy(), target[0].numpy(), valid[0, 0].numpy())
    assert ssim_loss(predicted, target, valid.float()).item() == pytest.approx(expected, abs=1e-5)


def test_ssim_of_a_batch_is_the_mean_of_its_images(batch):
    predicted, target, _ = batch
    valid = torch.ones_like(target[:, :1])
    each = [ssim_loss(predicted[i : i + 1], target[i : i + 1], valid[i : i + 1]) for i in range(2)]
    torch.testing.assert_close(ssim_loss(predicted, target, valid), torch.stack(each).mean())


@pytest.mark.parametrize("level", [0.0, 0.4])
def test_ssim_loss_has_a_gradient_on_flat_images(level):
    textured = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(3))
    for target in (textured, torch.full_like(textured, 0.5)):
        flat = torch.full_like(textured, level, requires_grad=True)
        ssim_loss(flat, target, torch.ones_like(textured[:, :1])).backward()
        assert flat.grad.isfinite().all()
        assert flat.grad.abs().max() > 0


def test_gray_has_the_weights_of_rgb2gray():
    rgb = torch.tensor([[1.0, 0, 0, 1], [0, 1, 0, 1], [0, 0, 1, 1]])[None, :, None]
    torch.testing.assert_close(rgb_to_gray(rgb), torch.tensor([[[[0.2989, 0.5870, 0.1140, 0.9999]]]]))


def test_the_structure_terms_of_flat_images():
    """Without variance SSIM is (2ab + C₁) / (a² + b² + C₁); equations (1), (3), (5) are 0.1 · (1 − SSIM)."""
    a, b = 0.3, 0.2989 * 0.2 + 0.5870 * 0.9 + 0.1140 * 0.5
    expected = 0.1 * (1 - (2 * a * b + 1e-4) / (a**2 + b**2 + 1e-4))
    gray = torch.full((2, 1, 14, 15), a, dtype=torch.float64)
    rgb = torch.tensor([0.2, 0.9, 0.5], dtype=torch.float64)[:, None, None].expand(2, 3, 14, 15)
    valid = torch.ones_like(gray)
    assert cross_branch_loss(gray, rgb, valid).item() == pytest.approx(expected)
    assert structure_loss(gray, torch.full_like(gray, b), valid).item() == pytest.approx(expected)
    content = content_ssim_loss(gray.expand_as(rgb), torch.full_like(rgb, b), valid)
    assert content.item() == pytest.approx(expected)


def test_sobel_against_its_kernels(batch):
    images = batch[0][:, :2, :6, :5]
    gradients = sobel(images)
    assert gradients.shape == (2, 4, 6, 5)
    for n, c, y, x in product(range(2), range(2), range(6), range(5)):
        expected = sobel_by_hand(images[n, c], y, x)
        assert gradients[n, [c, 2 + c], y, x].tolist() == pytest.approx(expected)


def test_sobel_of_a_ramp_is_its_slope():
    y, x = torch.meshgrid(torch.arange(5.0), torch.arange(6.0), indexing="ij")
    inside = sobel((0.03 * x - 0.02 * y)[None, None])[0, :, 1:-1, 1:-1]
    torch.testing.assert_close(inside[0], torch.full((3, 4), 0.03))
    torch.testing.assert_close(inside[1], torch.full((3, 4), -0.02))


@pytest.mark.parametrize("per_band", [False, True])
def test_gradient_loss_pixel_by_pixel(batch, per_band):
    nir, other, _ = batch
    gray, scale_map, valid = other[:, :1], other[:, 1:2] - 0.5, mostly_valid()
    differences = []
    for n, y, x in whole_windows(valid):
        own = sobel_by_hand(gray[n, 0], y, x)
        bands = nir[n] if per_band else nir[n].mean(0, keepdim=True)
        for band in bands:
            for ours, theirs in zip(own, sobel_by_hand(band, y, x), strict=True):
                differences.append(abs(theirs - scale_map[n, 0, y, x].item() * ours))
    expected = sum(differences) / len(differences)
    loss = gradient_loss(nir, gray, scale_map, valid, per_band=per_band)
    assert loss.item() == pytest.approx(expected)
    # kernel_gain is a factor on the loss
    undivided = gradient_loss(nir, gray, scale_map, valid, per_band=per_band, kernel_gain=8.0)
    assert undivided.item() == pytest.approx(8 * expected)


def test_a_negative_scale_explains_opposite_gradients(batch):
    gray, valid = batch[0][:, :1], mostly_valid()
    assert gradient_loss(1 - gray, gray, -torch.ones_like(gray), valid).item() == pytest.approx(0)


@pytest.mark.parametrize("spoilt", range(3))
def test_gradients_that_touch_an_invalid_pixel_do_not_count(batch, spoilt):
    nir, other, _ = batch
    valid = mostly_valid()
    inputs = [nir, other[:, :1], other[:, 1:2]]
    expected = gradient_loss(*inputs, valid)
    inputs[spoilt] = torch.where(valid > 0, inputs[spoilt], torch.full_like(inputs[spoilt], 1e6))
    torch.testing.assert_close(gradient_loss(*inputs, valid), expected)


def test_edges_pixel_by_pixel(batch):
    predicted, target, valid = batch[0][:, :1], batch[1], mostly_valid()
    gray = 0.2989 * target[:, 0] + 0.5870 * target[:, 1] + 0.1140 * target[:, 2]
    errors = []
    for n, y, x in whole_windows(valid):
        right, down = sobel_by_hand(gray[n], y, x)
        length = (right**2 + down**2) ** 0.5
        assert edge_map(target)[n, 0, y, x].item() == pytest.approx(length)
        errors.append((predicted[n, 0, y, x].item() - length) ** 2)
    assert edge_loss(predicted, target, valid).item() == pytest.approx(sum(errors) / len(errors))


@pytest.mark.parametrize("quantile", [0.5, 0.9])
def test_the_quantile_loss_is_least_at_the_quantile_of_the_valid_pixels(quantile):
    error = torch.linspace(0, 1, 101, dtype=torch.float64).view(1, 1, 1, 101)
    valid = torch.ones_like(error)
    # as if the largest errors were masked
    spoilt = torch.cat([error, torch.full_like(error, 5.0)], 3)
    mask = torch.cat([valid, torch.zeros_like(valid)], 3)
    candidates = torch.linspace(0, 1, 51)
    losses = [quantile_loss(torch.full_like(spoilt, c.item()), spoilt, mask, quantile) for c in candidates]
    best = candidates[int(torch.stack(losses).argmin())]
    assert best == pytest.approx(quantile, abs=0.02)
