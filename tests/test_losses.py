"""Losses against direct formulas, and that what is invalid has no say."""

import pytest

torch = pytest.importorskip("torch")

from nircolor.losses import absolute_error, box_ssim_loss, squared_error  # noqa: E402


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)
    predicted, target = (torch.rand(2, 3, 20, 17, generator=generator, dtype=torch.float64) for _ in range(2))
    valid = (torch.rand(2, 1, 20, 17, generator=generator) > 0.3).double()
    return predicted, target, valid


def test_errors_are_means_over_valid_values(batch):
    predicted, target, valid = batch
    chosen = (valid > 0).expand_as(target)
    difference = (predicted - target)[chosen]
    torch.testing.assert_close(squared_error(*batch), difference.square().mean())
    torch.testing.assert_close(absolute_error(*batch), difference.abs().mean())


@pytest.mark.parametrize("loss", [squared_error, absolute_error])
def test_invalid_pixels_have_no_influence(batch, loss):
    predicted, target, valid = batch
    expected = loss(predicted, target, valid)
    spoilt = torch.where(valid > 0, target, torch.full_like(target, 1e6))
    torch.testing.assert_close(loss(predicted, spoilt, valid), expected)


def test_a_batch_without_valid_pixels_costs_nothing(batch):
    predicted, target, _ = batch
    nothing = torch.zeros(2, 1, 20, 17, dtype=torch.float64)
    for loss in (squared_error, absolute_error):
        assert loss(predicted, target, nothing) == 0


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


def test_box_ssim_of_a_picture_with_itself_is_no_loss(batch):
    _, target, valid = batch
    assert abs(box_ssim_loss(target, target, valid).item()) < 1e-9
