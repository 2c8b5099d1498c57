"""`convnext_unet`: receptive field, tiles against the whole image, and the start of training."""

import pytest
import torch

from nircolor.models.convnext_unet import ConvNextUNet
from tests.models.probes import assert_every_band_matters, measured_receptive_field_px


def network_with_output(**arguments) -> ConvNextUNet:
    torch.manual_seed(0)
    network = ConvNextUNet(**({"bands": 1, "widths": (4, 6, 8)} | arguments)).eval()
    for layer in (network.leave, network.linear):
        torch.nn.init.normal_(layer.weight, std=0.3)
    return network


@pytest.mark.parametrize("widths", [(4,), (4, 6), (4, 6, 8)])
def test_receptive_field_is_exact(widths):
    network = network_with_output(widths=widths)
    assert network.receptive_field_px == measured_receptive_field_px(
        network, height=-(-3 * network.receptive_field_px // 8) * 8
    )


@torch.no_grad()
def test_a_tile_equals_the_whole_image_beyond_the_receptive_field():
    network = network_with_output().double()
    whole = torch.rand(1, 1, 264, 296, dtype=torch.float64)
    tile = network(whole[..., 8:256, 24:280])
    edge = network.receptive_field_px
    expected = network(whole)[..., 8 + edge : 256 - edge, 24 + edge : 280 - edge]
    torch.testing.assert_close(tile[..., edge:-edge, edge:-edge], expected)


@torch.no_grad()
def test_a_uniform_image_stays_uniform_up_to_its_border():
    """Padding with zeros would change the border."""
    rgb = network_with_output(bands=2).double()(torch.full((1, 2, 48, 64), 0.3, dtype=torch.float64))
    cell = rgb[..., 16:18, 16:18]
    torch.testing.assert_close(rgb, cell.tile(1, 1, 24, 32))


@pytest.mark.parametrize("bands", [1, 3])
def test_every_band_matters(bands):
    assert_every_band_matters(network_with_output(bands=bands))


def test_training_reaches_every_weight():
    """Both last layers start at zero, so that the others have a gradient from the second step on."""
    torch.manual_seed(0)
    network = ConvNextUNet(bands=3, widths=(4, 6))
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    nir, target = torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16)
    for _ in range(2):
        optimizer.zero_grad()
        (network(nir) - target).square().mean().backward()
        optimizer.step()
    without_gradient = [name for name, p in network.named_parameters() if not p.grad.abs().sum() > 0]
    assert not without_gradient


@pytest.mark.parametrize("shape", [(1, 3, 60, 64), (1, 1, 64, 64), (3, 64, 64)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="nir: expected"):
        ConvNextUNet(bands=3)(torch.zeros(shape))
