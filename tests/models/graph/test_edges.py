"""Sum over edges: the printed formula for one edge, and the factored form against the formula."""

from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nircolor.models.graph import edges
from nircolor.models.graph.edges import EdgeNetwork, at_once, direct, factored, piecewise
from nircolor.models.graph.graph_conv import GraphConv
from tests.models.probes import assert_same_gradients, relative_difference, with_biases


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@given(
    thirds=st.integers(1, 4),
    fan_out=st.sampled_from([None, 3]),
    rank=st.integers(1, 5),
    k=st.integers(1, 8),
    pixels=st.integers(1, 40),
    dense=st.booleans(),
    products=st.sampled_from([piecewise, at_once]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    seed=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_the_factored_form_equals_the_formula_with_gradients(
    thirds, fan_out, rank, k, pixels, dense, products, dtype, seed
):
    torch.manual_seed(seed)
    width = 3 * thirds
    shifts = (0,) if dense else (0, thirds, 2 * thirds)
    layer = with_biases(
        GraphConv(width, fan_out or width, rank, 10.0, shifts, (0,) if fan_out else shifts).to(dtype)
    )
    sources = torch.randn(50, width, dtype=dtype, requires_grad=True)
    centres = torch.randn(pixels, width, dtype=dtype, requires_grad=True)
    neighbours = torch.randint(50, (pixels, k))
    leaves = {"sources": sources, "centres": centres, **dict(layer.named_parameters())}
    # H^L and b are not part of the sum over edges
    del leaves["local.weight"], leaves["bias"]
    weight = torch.randn(pixels, fan_out or width, dtype=dtype)

    outputs, gradients = [], []
    for form in (direct, partial(factored, products=products)):
        outputs.append(form(centres, sources, neighbours, layer.edge_network()))
        of_leaves = torch.autograd.grad((outputs[-1] * weight).sum(), list(leaves.values()))
        gradients.append(dict(zip(leaves, of_leaves, strict=True)))
    tolerance = 1e-5 if dtype == torch.float32 else 1e-12
    assert relative_difference(outputs[1], outputs[0]) < tolerance
    assert_same_gradients(gradients[1], gradients[0], tolerance)


def test_direct_is_equation_1_for_one_edge():
    """Computed by hand for F = 1, r = 1, h_i = 1, h_j = 3."""
    net = EdgeNetwork(
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


def test_pieces_change_nothing(monkeypatch):
    """The edges of a block are processed in pieces that fit the cache."""
    centres, sources = torch.randn(33, 6), torch.randn(20, 6)
    neighbours = torch.randint(20, (33, 8))
    layer = with_biases(GraphConv(6, 6, 3, 10.0))

    def outcome():
        out = factored(centres, sources, neighbours, layer.edge_network())
        return out, *torch.autograd.grad(out.square().sum(), [layer.psi.weight, layer.hidden.weight])

    whole, calls = outcome(), []

    def one_by_one(_, *pixel_tensors):
        calls.append(True)
        return zip(*(t.split(1) for t in pixel_tensors), strict=True)

    monkeypatch.setattr(edges, "_pieces", one_by_one)
    for got, expected in zip(outcome(), whole, strict=True):
        torch.testing.assert_close(got, expected)
    assert len(calls) == 2
