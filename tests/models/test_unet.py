"""`unet`: published size, receptive field, tiles, normalization and initialization."""

import pytest
import torch
from torch.nn import functional as F

from nircolor.models.unet import UNet
from tests.models.probes import (
    assert_every_band_matters,
    measured_receptive_field_px,
    with_random_statistics,
    without_zeros,
)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize(("bands", "parameters"), [(1, 31_030_723), (3, 31_031_875)])
def test_parameters_are_the_published_31_million(bands, parameters):
    with torch.device("meta"):
        assert sum(p.numel() for p in UNet(bands).parameters()) == parameters


def test_batch_norm_replaces_the_biases_of_the_blocks_by_two_parameters_each():
    with torch.device("meta"):
        parameters = sum(p.numel() for p in UNet(norm="batch").parameters())
    # two convolutions of 64, 128, 256, 512 and 1024 channels, and on the way up of the first four
    assert parameters == 31_030_723 + 2 * (1984 + 960)


@torch.no_grad()
def test_batch_norm_follows_each_convolution_of_the_blocks():
    network, nir = with_random_statistics(UNet(width=4, norm="batch")).eval(), torch.rand(1, 1, 32, 32)
    block = network.encoder.blocks[0]
    h = nir
    for conv, norm in ((block[0], block[1]), (block[3], block[4])):
        h = F.conv2d(h, conv.weight, padding=1)
        h = F.batch_norm(h, norm.running_mean, norm.running_var, norm.weight, norm.bias).relu()
    torch.testing.assert_close(network.encoder(nir)[0], h)


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_receptive_field_is_exact(norm):
    network = UNet(width=2, norm=norm)
    assert network.receptive_field_px == measured_receptive_field_px(network, height=18 * 16) == 107


@torch.no_grad()
def test_a_tile_equals_the_whole_image_beyond_the_receptive_field():
    network = without_zeros(UNet(width=4)).double()
    whole = torch.rand(1, 1, 272, 304, dtype=torch.float64)
    tile = network(whole[..., 16:272, 32:288])
    edge = network.receptive_field_px
    expected = network(whole)[..., 16 + edge : 272 - edge, 32 + edge : 288 - edge]
    torch.testing.assert_close(tile[..., edge:-edge, edge:-edge], expected)


@pytest.mark.parametrize("bands", [1, 3, 5])
def test_every_band_matters(bands):
    assert_every_band_matters(UNet(bands, width=4))


@pytest.mark.parametrize(
    "shape", [(1, 1, 32, 40), (1, 1, 24, 32), (1, 1, 0, 16), (1, 3, 32, 32), (1, 32, 32)]
)
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="nir: expected"):
        UNet(width=4)(torch.zeros(shape))


@torch.no_grad()
def test_untrained_the_signal_reaches_the_bottom():
    """PyTorch's default initialization leaves a millionth of its power there."""
    nir = torch.rand(1, 1, 64, 64)
    bottom = UNet(width=16).encoder(nir)[-1]
    assert 0.1 < bottom.square().mean() / nir.square().mean() < 10


@torch.no_grad()
def test_untrained_the_output_is_zero():
    assert not UNet(width=4)(torch.rand(1, 1, 32, 32)).any()
