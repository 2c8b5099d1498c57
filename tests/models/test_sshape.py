"""`sshape`: published size, receptive field, and an edge network that learns edges."""

import pytest
import torch
from torch.nn import functional as F

from nircolor.losses import edge_loss, edge_map
from nircolor.models.sshape import EdgeNet, SShape
from tests.models.probes import assert_every_band_matters, measured_receptive_field_px


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize(("bands", "parameters"), [(1, 13_390_339), (3, 13_391_491)])
def test_parameters_are_the_published_13_million_without_the_edge_network(bands, parameters):
    with torch.device("meta"):
        assert sum(p.numel() for p in SShape(bands).parameters()) == parameters


def test_receptive_field_is_exact():
    assert SShape.receptive_field_px == measured_receptive_field_px(SShape(width=2), height=20 * 16)


@pytest.mark.parametrize("bands", [1, 3, 5])
def test_every_band_matters(bands):
    assert_every_band_matters(SShape(bands, width=4))


@pytest.mark.parametrize("shape", [(1, 1, 32, 40), (1, 3, 32, 32)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="nir: expected"):
        SShape(width=4)(torch.zeros(shape))


def test_the_edge_network_learns_edges_from_the_colour_error():
    truth = F.interpolate(torch.rand(4, 3, 5, 7), size=(22, 30))
    error = 0.5 - truth
    valid = torch.ones(4, 1, 22, 30)
    network = EdgeNet(width=16)
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    for _ in range(150):
        optimizer.zero_grad()
        edge_loss(network(error), truth, valid).backward()
        optimizer.step()
    assert edge_loss(network(error), truth, valid) < 0.2 * edge_map(truth).var()
