"""`structure_aware`: published sizes, receptive field, and the inputs and gradients of its branches."""

import pytest
import torch

from nircolor.losses import gradient_loss
from nircolor.models.structure_aware import StructureAware
from tests.models.probes import assert_every_band_matters, measured_receptive_field_px, without_zeros


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def count(*modules):
    return sum(p.numel() for module in modules for p in module.parameters())


@pytest.mark.parametrize(
    ("dense", "one_branch", "two_branches"),
    [(True, 56_304_963, 77_720_708), (False, 31_031_875, 43_220_420)],
)
def test_parameters_are_the_published_numbers(dense, one_branch, two_branches):
    """56.3 M, with the second decoder 77.7 M; without dense blocks one branch is a plain U-Net."""
    with torch.device("meta"):
        network = StructureAware(dense=dense)
    assert count(network.encoder, network.rgb) == one_branch
    assert count(network.encoder, network.rgb, network.gray) == two_branches
    assert count(network) == two_branches + 38_721


@pytest.mark.parametrize(("dense", "convolutions"), [(True, 3), (False, 2)])
def test_batch_norm_replaces_the_biases_of_the_blocks_by_two_parameters_each(dense, convolutions):
    """A dense block has four convolutions of half its channels and one of all."""
    with torch.device("meta"):
        plain, normalized = (StructureAware(dense=dense, norm=norm) for norm in ("none", "batch"))
    assert count(normalized.encoder) == count(plain.encoder) + convolutions * 1984
    for decoder in ("rgb", "gray"):
        parameters = [count(getattr(network, decoder)) for network in (plain, normalized)]
        assert parameters[1] == parameters[0] + convolutions * 960
    assert count(normalized.scale_map) == count(plain.scale_map) == 38_721


@pytest.mark.parametrize(("dense", "norm"), [(True, "none"), (False, "none"), (True, "batch")])
def test_receptive_field_is_exact(dense, norm):
    network = StructureAware(width=2, dense=dense, norm=norm)
    assert network.receptive_field_px == measured_receptive_field_px(network, height=28 * 16)


@pytest.mark.parametrize("bands", [1, 3, 5])
def test_every_band_matters(bands):
    assert_every_band_matters(StructureAware(bands, width=4))


@pytest.mark.parametrize("shape", [(1, 3, 32, 40), (1, 1, 32, 32)])
def test_other_shapes_are_refused(shape):
    network = StructureAware(width=4)
    for call in (network, network.branches):
        with pytest.raises(ValueError, match="nir: expected"):
            call(torch.zeros(shape))


@pytest.mark.parametrize("dense", [True, False])
@torch.no_grad()
def test_the_output_is_the_rgb_branch(dense):
    network = without_zeros(StructureAware(width=4, dense=dense))
    nir = torch.rand(2, 3, 32, 16)
    branches = network.branches(nir)
    torch.testing.assert_close(network(nir), branches.rgb, rtol=0, atol=0)
    assert branches.gray.shape == branches.scale_map.shape == (2, 1, 32, 16)


@torch.no_grad()
def test_the_scale_map_has_both_signs_and_depends_on_the_gradient_of_gray_only():
    network = without_zeros(StructureAware(width=8))
    nir = torch.rand(1, 3, 32, 32)
    before = network.branches(nir)
    assert before.scale_map.min() < 0 < before.scale_map.max()
    network.gray.leave.bias += 0.3
    after = network.branches(nir)
    torch.testing.assert_close(after.gray, before.gray + 0.3)
    torch.testing.assert_close(after.scale_map, before.scale_map, rtol=1e-4, atol=1e-5)


def test_the_gradient_loss_trains_all_but_the_rgb_branch():
    network = without_zeros(StructureAware(width=4))
    nir = torch.rand(2, 3, 32, 32)
    branches = network.branches(nir)
    gradient_loss(nir, branches.gray, branches.scale_map, torch.ones(2, 1, 32, 32)).backward()
    for part in (network.encoder, network.gray, network.scale_map):
        # a shift of gray changes no gradient of the image
        trained = [p for p in part.parameters() if p is not network.gray.leave.bias]
        assert all(p.grad.abs().max() > 0 for p in trained)
    assert all(p.grad is None for p in network.rgb.parameters())
