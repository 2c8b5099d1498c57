"""`nirgnn`: published size, receptive field, and evaluation against training."""

import pytest
import torch

from nircolor.models.graph import edge_sums_cpu, knn
from nircolor.models.graph.graph_conv import GraphConv
from nircolor.models.nirgnn import NirGnn


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def small(**arguments) -> NirGnn:
    """Make a small network with messages as large as the outputs of convolutions."""
    network = NirGnn(**({"width": 6, "rank": 2, "neighbours": 4} | arguments))
    for layer in network.modules():
        if isinstance(layer, GraphConv):
            for head in (layer.psi, layer.phi, layer.omega):
                torch.nn.init.normal_(head.bias)
    return network


def parameters(**arguments):
    with torch.device("meta"):
        return sum(p.numel() for p in NirGnn(**arguments).parameters())


@pytest.mark.parametrize(
    ("batch_norm", "expected"),
    [("reference", 2_172_507), ("blocks", 2_173_101), ("everywhere", 2_173_893)],
)
def test_parameters(batch_norm, expected):
    assert parameters(batch_norm=batch_norm) == expected
    assert parameters(batch_norm=batch_norm, release_shifts=True) == expected


def test_the_defaults_are_those_of_the_paper():
    network = NirGnn()
    assert parameters() == sum(p.numel() for p in network.parameters()) == 2_173_101
    assert (network.receptive_field_px, network.minimum_px, network.engine) == (276, 5, "torch")
    circulant = [m for m in network.modules() if isinstance(m, GraphConv) and m.local.in_channels == 99]
    assert len(circulant) == 10
    assert all(layer.psi.shifts == (0, 33, 66) and layer.decay == 10 for layer in circulant)
    assert all(layer.phi.shifts == (0, 33, 66) for layer in circulant[:-1])
    assert network.last.phi.shifts == (0,)
    assert NirGnn(width=6, release_shifts=True).last.psi.shifts == (0, 4, 6)


@pytest.mark.parametrize(("bands", "side"), [(1, (9, 14)), (3, (12, 7))])
@torch.no_grad()
def test_every_band_matters_at_any_size(bands, side):
    network = small(bands=bands).eval()
    nir = torch.rand(2, bands, *side)
    rgb = network(nir)
    assert rgb.shape == (2, 3, *side)
    for band in range(bands):
        changed = nir.clone()
        changed[:, band] = changed[:, band].flip(-1)
        assert not torch.allclose(network(changed), rgb, atol=1e-3)


@torch.no_grad()
def test_the_network_adds_to_the_mean_of_the_bands():
    network = small(bands=2).eval()
    torch.nn.init.zeros_(network.last.local.weight)
    # with φ = 0 there are no messages
    torch.nn.init.zeros_(network.last.phi.weight)
    torch.nn.init.zeros_(network.last.phi.bias)
    nir = torch.rand(1, 2, 8, 8)
    torch.testing.assert_close(network(nir), nir.mean(1, keepdim=True).expand(1, 3, 8, 8))


@torch.no_grad()
def test_filters_are_mixed_by_alpha_and_beta():
    """With β = 0 the high-pass filter has no influence, with α = 1 nothing else has."""
    network, nir = small().eval(), torch.rand(1, 1, 8, 8)
    before = network(nir)
    torch.nn.init.zeros_(network.beta)
    without = network(nir)
    network.high_pass.layers[0].bias.add_(1)
    assert not torch.allclose(before, without, atol=1e-4)
    torch.testing.assert_close(network(nir), without)
    torch.nn.init.ones_(network.alpha)
    torch.testing.assert_close(network(nir), network(nir.flip(-1)) + nir - nir.flip(-1))


@torch.no_grad()
def test_low_pass_filters_add_to_their_input():
    network, nir = small().eval(), torch.rand(1, 1, 8, 8)
    before = network(nir)
    for low_pass in network.low_pass:
        torch.nn.init.zeros_(low_pass.norms[-1].weight)
    alone = network(nir)
    assert not torch.allclose(alone, before, atol=1e-3)
    # the filters return 0 now, and the rest of the network still changes the image
    assert (alone - nir).std((2, 3)).min() > 1e-4


@torch.no_grad()
def test_evaluation_equals_training_where_the_window_covers_the_patch():
    network, nir = small(), torch.rand(2, 1, 12, 12)
    network.train()
    in_training = network.connect(nir).neighbours
    assert torch.equal(network.eval().connect(nir).neighbours, in_training)
    narrow = small(window_px=9)
    assert torch.equal(narrow.train().connect(nir).neighbours, in_training)
    assert not torch.equal(narrow.eval().connect(nir).neighbours, in_training)


@torch.no_grad()
def test_a_similar_distant_pixel_changes_the_output():
    """At 24 px: inside the window, and outside the 23 px of a network of local layers."""
    network = small().eval()
    nir = torch.rand(1, 1, 8, 40) * 0.1
    nir[..., 3:6, 1:4] = 0.9
    nir[..., 3:6, 27:30] = 0.8
    other = nir.clone()
    other[..., 3:6, 27:30] = 0.9
    difference = (network(nir) - network(other)).abs().amax((0, 1, 2))
    assert difference[:4].max() > 1e-3


@torch.no_grad()
def test_nothing_beyond_the_receptive_field_changes_the_output():
    network = small(window_px=7).eval().double()
    assert network.receptive_field_px == 12 + 11 * 3
    nir = torch.rand(1, 1, 8, 60, dtype=torch.float64)
    changed = nir.clone()
    changed[..., 58:] = 1 - changed[..., 58:]
    columns = (network(nir) - network(changed)).abs().amax((0, 1, 2)).gt(1e-12).nonzero()
    # a local network would change from column 35 on
    assert 58 - network.receptive_field_px <= int(columns.min()) < 58 - 23


def test_a_constant_image_stays_finite_in_training():
    """All distances and all variances of batch normalization are 0."""
    network = small().train()
    rgb = network(torch.full((2, 1, 8, 8), 0.5))
    rgb.square().sum().backward()
    assert rgb.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_a_few_steps_fit_an_image():
    network = small(width=12, bn_momentum=0.1).train()
    nir = torch.rand(1, 1, 10, 10)
    rgb = torch.cat([nir, 1 - nir, nir.square()], 1)
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    errors = []
    for _ in range(40):
        optimizer.zero_grad()
        error = (network(nir) - rgb).square().mean()
        error.backward()
        optimizer.step()
        errors.append(error.item())
    assert errors[-1] < 0.1 * errors[0]


@torch.no_grad()
def test_blocks_change_nothing(monkeypatch):
    """An image in many blocks, some of them incomplete, against one block."""
    network, nir = small(window_px=9).eval().double(), torch.rand(1, 1, 22, 19, dtype=torch.float64)
    whole = network(nir)
    monkeypatch.setattr(knn, "_TILE_PX", 5)
    monkeypatch.setattr(edge_sums_cpu, "_STRIP_PX", 20)
    torch.testing.assert_close(network(nir), whole)


@torch.no_grad()
def test_the_smallest_image_runs_and_smaller_ones_are_refused():
    for arguments, smallest in (({}, 4), ({"neighbours": 8}, 5), ({"neighbours": 17}, 6)):
        network = small(**arguments)
        assert network.minimum_px == smallest
        for mode in (True, False):
            assert network.train(mode)(torch.rand(1, 1, smallest, smallest)).isfinite().all()
            with pytest.raises(ValueError, match="nir: expected"):
                network(torch.rand(1, 1, smallest, smallest - 1))


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ({"width": 98}, "width"),
        ({"window_px": 48}, "window_px"),
        ({"window_px": 5, "neighbours": 6}, "window_px"),
    ],
)
def test_impossible_arguments_are_refused(arguments, fault):
    with pytest.raises(ValueError, match=fault):
        NirGnn(**arguments)
