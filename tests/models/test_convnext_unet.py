"""`convnext_unet`: its stated reach, tile against whole, and what it starts from."""

import pytest
import torch

from nircolor.models.convnext_unet import ConvNextUNet
from tests.models.probes import assert_every_band_has_a_say, exported_answer, reached_px


def awake(**arguments) -> ConvNextUNet:
    torch.manual_seed(0)
    network = ConvNextUNet(**({"bands": 1, "widths": (4, 6, 8)} | arguments)).eval()
    for layer in (network.leave, network.linear):
        torch.nn.init.normal_(layer.weight, std=0.3)
    return network


@pytest.mark.parametrize("widths", [(4,), (4, 6), (4, 6, 8)])
def test_reach_is_exact(widths):
    network = awake(widths=widths)
    assert network.receptive_field_px == reached_px(
        network, height=-(-3 * network.receptive_field_px // 8) * 8
    )


@torch.no_grad()
def test_a_tile_answers_as_the_whole_image_does_beyond_its_reach():
    network = awake().double()
    whole = torch.rand(1, 1, 264, 296, dtype=torch.float64)
    tile = network(whole[..., 8:256, 24:280])
    edge = network.receptive_field_px
    expected = network(whole)[..., 8 + edge : 256 - edge, 24 + edge : 280 - edge]
    torch.testing.assert_close(tile[..., edge:-edge, edge:-edge], expected)


@torch.no_grad()
def test_an_even_image_stays_even_up_to_its_border():
    """Zeros beyond the border would show: what is learnt on small images must hold inside large ones."""
    rgb = awake(bands=2).double()(torch.full((1, 2, 48, 64), 0.3, dtype=torch.float64))
    cell = rgb[..., 16:18, 16:18]
    torch.testing.assert_close(rgb, cell.tile(1, 1, 24, 32))


@pytest.mark.parametrize("bands", [1, 3])
def test_every_band_has_a_say(bands):
    assert_every_band_has_a_say(awake(bands=bands))


def test_training_from_nothing_moves_every_weight():
    """Both last layers start at zero: two steps, and no part of the network is without a gradient."""
    torch.manual_seed(0)
    network = ConvNextUNet(bands=3, widths=(4, 6))
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    nir, target = torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16)
    for _ in range(2):
        optimizer.zero_grad()
        (network(nir) - target).square().mean().backward()
        optimizer.step()
    still = [name for name, p in network.named_parameters() if not p.grad.abs().sum() > 0]
    assert not still


@pytest.mark.parametrize("shape", [(1, 3, 60, 64), (1, 1, 64, 64), (3, 64, 64)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="nir: expected"):
        ConvNextUNet(bands=3)(torch.zeros(shape))


@torch.no_grad()
def test_exported_it_answers_the_same():
    network = awake(bands=3)
    nir = torch.rand(1, 3, 40, 56)
    torch.testing.assert_close(exported_answer(network, nir), network(nir), atol=1e-4, rtol=1e-4)
