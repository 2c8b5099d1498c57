"""Faults of cameras: what each changes, and what it leaves alone."""

import numpy as np
import pytest
import torch

from nircolor.training.degradations import capture, coarsen, light_by_lamp, pad_black

NONE = {"haze": 0.0, "blur": 0.0, "noise": 0.0, "compression": 0.0}


def rng(seed=0):
    return np.random.default_rng(seed)


def planes(value=0.5):
    """NIR, red, green, blue, mask; the left half is invalid."""
    image = torch.full((5, 40, 60), value)
    image[4] = 1
    image[4, :, :30] = 0
    return image


def faults(seeds=range(30), **largest):
    """An NIR ramp, and what comes of it with each seed."""
    nir = torch.linspace(0, 1, 64).expand(1, 48, 64).contiguous()
    return nir, [capture(nir, rng(seed), **(NONE | largest)) for seed in seeds]


@pytest.mark.parametrize("seed", range(8))
def test_padding_is_black_and_valid_in_nir_and_colour_and_lies_at_a_side(seed):
    image = planes()
    padded = pad_black(image, rng(seed))
    black = padded[0] == 0
    assert 0 < black.float().mean() < 0.5
    assert (padded[:4, black] == 0).all()
    assert (padded[4, black] == 1).all()
    assert torch.equal(padded[:, ~black], image[:, ~black])
    sides = [black[0], black[-1], black[:, 0], black[:, -1]]
    assert any(side.any() for side in sides)
    assert not black[15:25, 25:35].any()


@pytest.mark.parametrize("seed", range(8))
def test_coarse_images_are_averages_in_nir_and_colour_alike(seed):
    rng = np.random.default_rng(seed)
    image = torch.rand(6, 32, 48, generator=torch.Generator().manual_seed(seed))
    image[1], image[-1] = image[3], 1
    coarse = coarsen(image, rng)
    assert coarse.shape == image.shape
    assert torch.equal(coarse[1], coarse[3])
    assert torch.allclose(coarse[-1], torch.ones(()))
    assert coarse.var((1, 2))[0] < 0.6 * image.var((1, 2))[0]
    assert torch.allclose(coarse.mean((1, 2)), image.mean((1, 2)), atol=0.05)


def test_some_coarse_images_are_even():
    image = torch.rand(5, 32, 32, generator=torch.Generator().manual_seed(0))
    even = [float(coarsen(image, np.random.default_rng(seed))[0].std()) < 1e-6 for seed in range(60)]
    assert 0 < sum(even) < 60


def test_a_lamp_darkens_nir_and_colour_alike_towards_the_corners():
    lit = light_by_lamp(planes(0.8), rng())
    assert torch.equal(lit[0], lit[1])
    assert torch.equal(lit[4], planes()[4])
    assert lit[0].max() == pytest.approx(0.8, abs=0.01)
    corners = lit[0][[0, 0, -1, -1], [0, -1, 0, -1]]
    assert (corners < 0.7).all()


def test_haze_only_reduces_the_contrast():
    _nir, captured = faults(haze=0.4)
    contrasts = [(c[..., -1] - c[..., 0]).mean().item() for c in captured]
    assert max(contrasts) == pytest.approx(1)
    assert min(contrasts) < 0.8
    assert all(c.diff(dim=2).min() >= 0 for c in captured)


def test_blur_keeps_the_mean_and_smooths():
    checker = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).repeat(24, 24)[None]
    captured = [capture(checker, rng(seed), **(NONE | {"blur": 1.5})) for seed in range(20)]
    spread = [c[:, 8:-8, 8:-8].std().item() for c in captured]
    assert all(c.mean() == pytest.approx(0.5, abs=0.01) for c in captured)
    assert max(spread) == pytest.approx(0.5, abs=0.01)
    assert min(spread) < 0.05


def test_noise_grows_with_the_signal():
    gray = torch.full((1, 100, 100), 0.1)
    bright = torch.full((1, 100, 100), 0.8)
    for seed in range(10):
        dark_noise, bright_noise = (
            (capture(x, rng(seed), **(NONE | {"noise": 0.02})) - x).std() for x in (gray, bright)
        )
        assert dark_noise < 0.03
        if dark_noise > 0:
            assert 1.3 < bright_noise / dark_noise < 1.9


def test_half_of_the_images_have_no_noise():
    nir, captured = faults(range(100), noise=0.05)
    assert 30 < sum(torch.equal(c, nir) for c in captured) < 70


def test_compression_changes_little_and_is_in_8_bits():
    nir, captured = faults(range(10), compression=1.0)
    for c in captured:
        assert 0 < (c - nir).abs().max() < 0.15
        torch.testing.assert_close(c * 255, (c * 255).round())


def test_the_same_seed_gives_the_same_image():
    everything = {"haze": 0.4, "blur": 1.0, "noise": 0.05, "compression": 0.5}
    _, first = faults(range(5), **everything)
    _, second = faults(range(5), **everything)
    assert all(map(torch.equal, first, second))
    assert all(c.min() >= 0 and c.max() <= 1 for c in first)
