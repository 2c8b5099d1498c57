"""The bound of the error, fitted on validation images."""

import torch
from torch import nn

from nircolor.training.bounds import calibration_factor, fit_bound, sample_cells


def head() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Conv2d(8, 4, 1))


def samples(images=12, cells=300):
    """Images whose errors grow with their second feature, of 0 to 1 at a mean of 100."""
    generator = torch.Generator().manual_seed(1)
    for _ in range(images):
        features = torch.rand(cells, 3, generator=generator) + torch.tensor([0.0, 100.0, -5.0])
        size = 0.05 + 0.3 * (features[:, 1:2] - 100)
        yield features, size * torch.rand(cells, 4, generator=generator)


def test_the_bound_holds_on_other_images_and_follows_the_errors():
    found = list(samples(24))
    fitted = fit_bound(head(), found[:12], 0.9)
    features, errors = (torch.cat(tensors) for tensors in zip(*found[12:], strict=True))
    bounds = fitted(features[:, :, None, None])[:, :, 0, 0].exp()
    small = bounds < bounds.median()
    for group in (small, ~small):
        assert 0.87 < (errors[group] < bounds[group]).float().mean() < 0.97
    assert errors[small].mean() < 0.6 * errors[~small].mean()


def test_the_head_that_is_given_stays_as_it_is():
    given = head()
    before = [p.clone() for p in given.parameters()]
    fit_bound(given, list(samples(2)), 0.9)
    assert all(torch.equal(a, b) for a, b in zip(before, given.parameters(), strict=True))


def test_cells_with_invalid_pixels_are_left_out():
    features = torch.arange(12.0).view(1, 1, 3, 4)
    errors = features.repeat(1, 4, 1, 1) / 100
    valid = torch.ones(1, 4, 3, 4)
    valid[0, 2, 1, 1] = 0
    chosen, of_them = sample_cells(features, errors, valid)
    assert chosen[:, 0].tolist() == [i for i in range(12) if i != 5]
    torch.testing.assert_close(of_them, chosen.repeat(1, 4) / 100)


def test_the_factor_suits_small_and_large_bounds():
    """Bounds that are wrong by a factor that depends on their size: every group must hold."""
    generator = torch.Generator().manual_seed(0)
    bounds = torch.rand(20_000, generator=generator) * 0.3 + 0.01
    errors = bounds * torch.rand(20_000, generator=generator) * (1 + bounds)
    factor = calibration_factor(bounds, errors, 0.9)
    for low, high in [(0, 0.05), (0.05, 0.15), (0.15, 0.4)]:
        group = (bounds >= low) & (bounds < high)
        assert (errors[group] <= bounds[group] * factor).float().mean() > 0.89
    assert 0.9 * 1.25 < factor < 0.9 * 1.31
