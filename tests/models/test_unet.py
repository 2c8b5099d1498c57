"""`unet`: its published size, its stated reach, and a signal that gets through before training."""

import pytest
import torch

from nircolor.models.unet import UNet
from tests.models.probes import assert_every_band_has_a_say, awake, exported_answer, reached_px


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize(("bands", "parameters"), [(1, 31_030_723), (3, 31_031_875)])
def test_parameters_are_the_published_31_million(bands, parameters):
    with torch.device("meta"):
        assert sum(p.numel() for p in UNet(bands).parameters()) == parameters


def test_reach_is_exact():
    assert UNet.receptive_field_px == reached_px(UNet(width=2), height=18 * 16)


@torch.no_grad()
def test_a_tile_answers_as_the_whole_image_does_beyond_its_reach():
    network = awake(UNet(width=4)).double()
    whole = torch.rand(1, 1, 272, 304, dtype=torch.float64)
    tile = network(whole[..., 16:272, 32:288])
    edge = network.receptive_field_px
    expected = network(whole)[..., 16 + edge : 272 - edge, 32 + edge : 288 - edge]
    torch.testing.assert_close(tile[..., edge:-edge, edge:-edge], expected)


@pytest.mark.parametrize("bands", [1, 3, 5])
def test_every_band_has_a_say(bands):
    assert_every_band_has_a_say(UNet(bands, width=4))


@pytest.mark.parametrize(
    "shape", [(1, 1, 32, 40), (1, 1, 24, 32), (1, 1, 0, 16), (1, 3, 32, 32), (1, 32, 32)]
)
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="nir: expected"):
        UNet(width=4)(torch.zeros(shape))


@torch.no_grad()
def test_untrained_the_signal_reaches_the_bottom():
    """With PyTorch's own initialisation it arrives there with a millionth of its power."""
    nir = torch.rand(1, 1, 64, 64)
    bottom = UNet(width=16).encoder(nir)[-1]
    assert 0.1 < bottom.square().mean() / nir.square().mean() < 10


@torch.no_grad()
def test_untrained_it_answers_nothing_rather_than_noise():
    assert not UNet(width=4)(torch.rand(1, 1, 32, 32)).any()


@torch.no_grad()
def test_exported_it_answers_the_same_at_other_sizes():
    network = awake(UNet(bands=2, width=2)).eval()
    nir = torch.rand(1, 2, 48, 80)
    torch.testing.assert_close(exported_answer(network, nir), network(nir), atol=1e-5, rtol=1e-4)
