"""Graph convolution: its two terms, circulant heads, initialization."""

import pytest
import torch
from torch.nn import functional as F

from nircolor.models.graph.edges import direct
from nircolor.models.graph.graph_conv import GraphConv, Head, LocalConv
from nircolor.models.graph.knn import nearest
from tests.models.probes import with_biases


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("shifts", [(0, 4, 8), (0, 8, 12), (0,)])
def test_a_circulant_head_concatenates_three_shifts(shifts):
    head = Head(12, 12, 5, shifts)
    z = torch.randn(7, 12)
    side_by_side = torch.cat([torch.roll(z, shift, 1) @ head.weight for shift in shifts], 1)
    torch.testing.assert_close(torch.einsum("pf,fto->pto", z, head.dense()), side_by_side.view(7, 5, 12))


def test_circulant_heads_have_a_third_of_the_weights():
    dense, circulant, released = (Head(12, 12, 5, shifts) for shifts in ((0,), (0, 4, 8), (0, 8, 12)))
    assert dense.weight.numel() == 3 * circulant.weight.numel() == 3 * released.weight.numel()

    def thirds(head):
        return head.dense().flatten(1).chunk(3, 1)

    assert torch.equal(thirds(released)[0], thirds(released)[2])
    assert not torch.equal(thirds(circulant)[0], thirds(circulant)[2])


def test_the_layer_is_the_mean_of_the_convolution_and_the_formula():
    layer = with_biases(GraphConv(6, 4, 3, 10.0).double())
    h = torch.randn(2, 6, 9, 7, dtype=torch.float64)
    graph = nearest(h, 5, window_px=9)
    convolved = F.conv2d(F.pad(h, (1, 1, 1, 1), mode="reflect"), layer.local.weight)
    for image in range(2):
        pixels = h[image].flatten(1).T
        neighbours = graph.neighbours[image].flatten(0, 1)
        sums = direct(pixels, pixels, neighbours, layer.edge_network()).T.view(4, 9, 7)
        expected = (convolved[image] + sums) / 2 + layer.bias[:, None, None]
        torch.testing.assert_close(layer(h, graph)[image], expected)


def test_initialisation():
    layer = GraphConv(96, 96, 16, 10.0, (0, 32, 64), (0, 32, 64))
    for part, deviation in (
        (layer.psi, 1 / 96),
        (layer.phi, 1 / 96),
        (layer.omega, 1 / 4),
        (layer.hidden, (2 / 192) ** 0.5),
        (layer.local, (2 / (9 * 192)) ** 0.5),
    ):
        assert part.weight.std().item() == pytest.approx(deviation, rel=0.1)
    for name, parameter in layer.named_parameters():
        assert "bias" not in name or not parameter.any()


def test_the_local_convolution_mirrors_at_borders():
    layer = LocalConv(1, 1)
    torch.nn.init.ones_(layer.weight)
    h = torch.arange(12.0).view(1, 1, 3, 4)
    # rows 1, 0, 1 and columns 1, 0, 1
    assert layer(h)[0, 0, 0, 0].item() == 2 * (5 + 4 + 5) + 1 + 0 + 1
