"""The graph convolution: the fast form against the formula of the paper, heads, blocks."""

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from nircolor.models import graph_conv  # noqa: E402
from nircolor.models.graph_conv import GraphConv, Head, LocalConv, direct, factored  # noqa: E402
from nircolor.models.knn import nearest  # noqa: E402


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def trained(layer):
    """Initial biases are 0 and would hide their terms."""
    for name, parameter in layer.named_parameters():
        if "bias" in name:
            torch.nn.init.normal_(parameter)
    return layer


def far(got, expected):
    """Difference as a share of the largest value."""
    return ((got - expected).abs().max() / expected.abs().max()).item()


@given(
    thirds=st.integers(1, 4),
    fan_out=st.sampled_from([None, 3]),
    rank=st.integers(1, 5),
    k=st.integers(1, 8),
    pixels=st.integers(1, 40),
    dense=st.booleans(),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    seed=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_factored_is_the_formula_and_so_are_its_gradients(
    thirds, fan_out, rank, k, pixels, dense, dtype, seed
):
    torch.manual_seed(seed)
    width = 3 * thirds
    shifts = (0,) if dense else (0, thirds, 2 * thirds)
    layer = trained(
        GraphConv(width, fan_out or width, rank, 10.0, shifts, (0,) if fan_out else shifts).to(dtype)
    )
    sources = torch.randn(50, width, dtype=dtype, requires_grad=True)
    centres = torch.randn(pixels, width, dtype=dtype, requires_grad=True)
    neighbours = torch.randint(50, (pixels, k))
    leaves = {"sources": sources, "centres": centres, **dict(layer.named_parameters())}
    # H^L and b are added elsewhere
    del leaves["local.weight"], leaves["bias"]
    weight = torch.randn(pixels, fan_out or width, dtype=dtype)

    outputs, gradients = [], []
    for form in (direct, factored):
        outputs.append(form(centres, sources, neighbours, layer.edge_network()))
        gradients.append(torch.autograd.grad((outputs[-1] * weight).sum(), list(leaves.values())))
    tolerance = 1e-5 if dtype == torch.float32 else 1e-12
    assert far(outputs[1], outputs[0]) < tolerance
    right, fast = (dict(zip(leaves, g, strict=True)) for g in gradients)
    assert all(gradient.any() for gradient in right.values())
    for part in ("sources", "centres", "hidden", "psi", "phi", "omega"):
        # a bias's gradient alone can be a sum that cancels, of which float32 leaves few digits in either form
        together = [torch.cat([g[n].flatten() for n in leaves if n.startswith(part)]) for g in (fast, right)]
        assert far(*together) < tolerance, part


def test_direct_is_equation_1_for_one_edge():
    """With numbers small enough to follow: F = 1, r = 1, h_i = 1, h_j = 3."""
    net = graph_conv.EdgeNetwork(
        hidden=torch.tensor([[-1.0]]),
        hidden_bias=torch.tensor([0.5]),
        psi=torch.tensor([[[2.0]]]),
        psi_bias=torch.tensor([[0.1]]),
        phi=torch.tensor([[[-3.0]]]),
        phi_bias=torch.tensor([[0.2]]),
        omega=torch.tensor([[5.0]]),
        omega_bias=torch.tensor([0.4]),
        decay=10.0,
    )
    got = direct(torch.tensor([[1.0]]), torch.tensor([[7.0], [3.0]]), torch.tensor([[1]]), net)
    # d = 2, so z = LeakyReLU(−2 + 0.5) = −0.3
    z = -0.3
    expected = 2.718281828 ** (-4 / 10) * (5 * z + 0.4) * (-3 * z + 0.2) * (2 * z + 0.1) * 3
    assert float(got) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("shifts", [(0, 4, 8), (0, 8, 12), (0,)])
def test_circulant_head_is_three_shifts_side_by_side(shifts):
    head = Head(12, 12, 5, shifts)
    z = torch.randn(7, 12)
    side_by_side = torch.cat([torch.roll(z, shift, 1) @ head.weight for shift in shifts], 1)
    torch.testing.assert_close(torch.einsum("pf,fto->pto", z, head.dense()), side_by_side.view(7, 5, 12))


def test_circulant_heads_store_a_third_and_repeat_only_as_released():
    dense, circulant, released = (Head(12, 12, 5, shifts) for shifts in ((0,), (0, 4, 8), (0, 8, 12)))
    assert dense.weight.numel() == 3 * circulant.weight.numel() == 3 * released.weight.numel()

    def thirds(head):
        return head.dense().flatten(1).chunk(3, 1)

    assert torch.equal(thirds(released)[0], thirds(released)[2])
    assert not torch.equal(thirds(circulant)[0], thirds(circulant)[2])


def test_layer_is_the_mean_of_the_convolution_and_the_formula():
    layer = trained(GraphConv(6, 4, 3, 10.0).double())
    h = torch.randn(2, 6, 9, 7, dtype=torch.float64)
    graph = nearest(h, 5, window_px=9)
    convolved = F.conv2d(F.pad(h, (1, 1, 1, 1), mode="reflect"), layer.local.weight)
    for picture in range(2):
        pixels = h[picture].flatten(1).T
        neighbours = graph.neighbours[picture].flatten(0, 1)
        sums = direct(pixels, pixels, neighbours, layer.edge_network()).T.view(4, 9, 7)
        expected = (convolved[picture] + sums) / 2 + layer.bias[:, None, None]
        torch.testing.assert_close(layer(h, graph)[picture], expected)


@pytest.mark.parametrize("window_px", [None, 9])
def test_blocks_change_neither_outputs_nor_gradients(monkeypatch, window_px):
    layer = trained(GraphConv(6, 6, 3, 10.0, (0, 2, 4), (0, 2, 4)).double())
    h = torch.randn(2, 6, 13, 11, dtype=torch.float64, requires_grad=True)
    graph = nearest(h, 8, window_px)

    def outcome():
        out = layer(h, graph)
        return out, *torch.autograd.grad(out.square().sum(), [h, *layer.parameters()])

    whole = outcome()
    monkeypatch.setattr(graph_conv, "_BLOCK_PX", 4)
    for got, expected in zip(outcome(), whole, strict=True):
        torch.testing.assert_close(got, expected)


def test_mixed_precision_gives_about_the_same():
    layer = trained(GraphConv(12, 12, 3, 10.0, (0, 4, 8), (0, 4, 8)))
    h = torch.randn(2, 12, 9, 9, requires_grad=True)
    graph = nearest(h, 8)

    def outcome():
        out = layer(h, graph)
        return out, *torch.autograd.grad(out.float().square().sum(), [h, *layer.parameters()])

    expected = outcome()
    with torch.autocast("cpu", torch.bfloat16):
        rounded = outcome()
    for got, exact in zip(rounded, expected, strict=True):
        assert (got - exact).norm() < 0.05 * exact.norm()


def test_pieces_change_nothing(monkeypatch):
    """Of the edges of a block, a cache's worth at a time."""
    centres, sources = torch.randn(33, 6), torch.randn(20, 6)
    neighbours = torch.randint(20, (33, 8))
    layer = trained(GraphConv(6, 6, 3, 10.0))

    def outcome():
        out = factored(centres, sources, neighbours, layer.edge_network())
        return out, *torch.autograd.grad(out.square().sum(), [layer.psi.weight, layer.hidden.weight])

    whole, asked = outcome(), []

    def one_by_one(_, *of_pixels):
        asked.append(True)
        return zip(*(t.split(1) for t in of_pixels), strict=True)

    monkeypatch.setattr(graph_conv, "_pieces", one_by_one)
    for got, expected in zip(outcome(), whole, strict=True):
        torch.testing.assert_close(got, expected)
    assert len(asked) == 2


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


def test_local_convolution_mirrors_at_borders():
    layer = LocalConv(1, 1)
    torch.nn.init.ones_(layer.weight)
    h = torch.arange(12.0).view(1, 1, 3, 4)
    # rows 1, 0, 1 and columns 1, 0, 1
    assert layer(h)[0, 0, 0, 0].item() == 2 * (5 + 4 + 5) + 1 + 0 + 1
