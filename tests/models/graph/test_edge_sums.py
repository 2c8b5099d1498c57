"""Fast sums over edges against the formula: outputs, gradients, pieces, threads, missing packages."""

import shutil
import warnings
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nircolor.errors import NircolorWarning
from nircolor.models.graph import edge_sums, edge_sums_cpu
from nircolor.models.graph.edge_sums import in_blocks, sum_edges
from nircolor.models.graph.edges import direct, factored
from nircolor.models.graph.graph_conv import GraphConv
from nircolor.models.graph.knn import Graph, nearest
from tests.models.probes import assert_same_gradients, relative_difference, with_biases


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def by_formula(h, graph, net):
    return in_blocks(h, graph, net, direct)


def plain(h, graph, net):
    return in_blocks(h, graph, net, factored)


def random_graph(images, height, width, k, radius_px):
    """Draw neighbours within the radius; a pixel may be its own neighbour, or one twice."""
    shape = (images, height, width, k)
    rows = torch.arange(height)[:, None, None] + torch.randint(-radius_px, radius_px + 1, shape)
    columns = torch.arange(width)[:, None] + torch.randint(-radius_px, radius_px + 1, shape)
    return Graph(rows.clamp(0, height - 1) * width + columns.clamp(0, width - 1), radius_px)


def outcome(form, layer, h, graph):
    """Compute the sums, and the gradients of the features and of all weights."""
    h = h.detach().requires_grad_()
    leaves = {"h": h, **dict(layer.named_parameters())}
    # H^L and b are not part of the sum over edges
    del leaves["local.weight"], leaves["bias"]
    sums = form(h, graph, layer.edge_network())
    weights = torch.linspace(-1, 1, sums.numel(), dtype=torch.float64).view_as(sums).to(sums.dtype)
    gradients = torch.autograd.grad((sums * weights).sum(), list(leaves.values()))
    return sums.detach(), dict(zip(leaves, gradients, strict=True))


@given(
    thirds=st.integers(1, 6),
    fan_out=st.sampled_from([None, 1, 3, 20]),
    rank=st.integers(1, 5),
    k=st.integers(1, 9),
    size=st.tuples(st.integers(1, 2), st.integers(3, 13), st.integers(3, 13)),
    radius_px=st.integers(1, 6),
    strip_px=st.sampled_from([1, 7, 512]),
    dense=st.booleans(),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_machine_code_equals_the_formula_with_gradients(
    thirds, fan_out, rank, k, size, radius_px, strip_px, dense, dtype, seed
):
    """For all sizes of the strips that an image is split into."""
    torch.manual_seed(seed)
    width = 3 * thirds
    shifts = (0,) if dense else (0, thirds, 2 * thirds)
    layer = with_biases(
        GraphConv(width, fan_out or width, rank, 10.0, shifts, (0,) if fan_out else shifts).to(dtype)
    )
    images, height, width_px = size
    h = torch.randn(images, width, height, width_px, dtype=dtype)
    graph = random_graph(images, height, width_px, k, radius_px)
    expected, expected_gradients = outcome(by_formula, layer, h, graph)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(edge_sums_cpu, "_STRIP_PX", strip_px)
        got, gradients = outcome(edge_sums_cpu.sum_edges, layer, h, graph)
    tolerance = 1e-5 if dtype == torch.float32 else 1e-12
    assert relative_difference(got, expected) < tolerance
    # in float32 rounding can change the sign of a LeakyReLU argument near 0, and its gradient with it
    if dtype == torch.float64:
        assert_same_gradients(gradients, expected_gradients, tolerance)


@pytest.mark.parametrize("form", [edge_sums_cpu.sum_edges, plain])
@pytest.mark.parametrize("window_px", [None, 9])
def test_with_the_neighbours_and_widths_of_the_network(form, window_px):
    layer = with_biases(GraphConv(99, 99, 11, 10.0, (0, 33, 66), (0, 33, 66)))
    h = torch.randn(2, 99, 14, 13)
    graph = nearest(h, 8, window_px)
    expected, expected_gradients = outcome(by_formula, layer, h, graph)
    got, gradients = outcome(form, layer, h, graph)
    assert relative_difference(got, expected) < 1e-5
    assert_same_gradients(gradients, expected_gradients, 1e-5)


def test_blocks_change_neither_outputs_nor_gradients(monkeypatch):
    layer = with_biases(GraphConv(6, 6, 3, 10.0, (0, 2, 4), (0, 2, 4)).double())
    h = torch.randn(2, 6, 13, 11, dtype=torch.float64)
    graph = random_graph(2, 13, 11, 8, 4)
    whole, gradients = outcome(plain, layer, h, graph)
    monkeypatch.setattr(edge_sums, "_BLOCK_PX", 4)
    in_parts, gradients_in_parts = outcome(plain, layer, h, graph)
    assert relative_difference(in_parts, whole) < 1e-12
    assert_same_gradients(gradients_in_parts, gradients, 1e-12)


@pytest.mark.parametrize("window_px", [None, 9])
def test_the_number_of_threads_does_not_change_the_result(window_px):
    layer = with_biases(GraphConv(6, 6, 3, 10.0, (0, 2, 4), (0, 2, 4)))
    h = torch.randn(3, 6, 24, 15)
    graph = nearest(h, 8, window_px)
    threads = torch.get_num_threads()
    outcomes = []
    try:
        for number in (1, 3):
            torch.set_num_threads(number)
            sums, gradients = outcome(sum_edges, layer, h, graph)
            outcomes.append([sums, *gradients.values()])
    finally:
        torch.set_num_threads(threads)
    for one, other in zip(*outcomes, strict=True):
        assert torch.equal(one, other)


def test_autocast_does_not_change_the_sums():
    """Features may be in half precision; sums are computed in float32."""
    layer = with_biases(GraphConv(12, 12, 3, 10.0, (0, 4, 8), (0, 4, 8)))
    h = torch.randn(2, 12, 9, 9).bfloat16().float()
    graph = nearest(h, 8)
    expected, expected_gradients = outcome(by_formula, layer, h, graph)
    with torch.autocast("cpu", torch.bfloat16):
        got, gradients = outcome(sum_edges, layer, h, graph)
        of_half = sum_edges(h.bfloat16(), graph, layer.edge_network())
    assert got.dtype == torch.float32
    assert relative_difference(got, expected) < 1e-5
    assert relative_difference(of_half, expected) < 1e-5
    assert_same_gradients(gradients, expected_gradients, 1e-5)


def test_gradients_in_mixed_precision_are_close():
    layer = with_biases(GraphConv(12, 12, 3, 10.0, (0, 4, 8), (0, 4, 8)))
    h = torch.randn(2, 12, 9, 9, requires_grad=True)
    graph = nearest(h, 8)

    def gradients():
        return torch.autograd.grad(layer(h, graph).float().square().sum(), [h, *layer.parameters()])

    expected = gradients()
    with torch.autocast("cpu", torch.bfloat16):
        rounded = gradients()
    for got, exact in zip(rounded, expected, strict=True):
        assert (got - exact).norm() < 0.05 * exact.norm()


def test_inference_tensors_are_supported():
    layer, h = GraphConv(6, 6, 3, 10.0), torch.randn(2, 6, 9, 9)
    with torch.inference_mode():
        h = h.clone()
        graph = nearest(h, 8)
        expected = (layer.local(h) + by_formula(h, graph, layer.edge_network())) / 2
        assert relative_difference(layer(h, graph), expected) < 1e-5


def test_without_numba_the_result_is_the_same_with_one_warning(monkeypatch):
    monkeypatch.setattr(edge_sums, "_sum_on_cpu", None)
    edge_sums._warn_once.cache_clear()
    layer, h = with_biases(GraphConv(6, 6, 3, 10.0)), torch.randn(2, 6, 9, 9)
    graph = nearest(h, 8)
    with pytest.warns(NircolorWarning, match=r"Numba cannot be used.*several times as long"):
        slow, gradients = outcome(sum_edges, layer, h, graph)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        outcome(sum_edges, layer, h, graph)
    fast, expected = outcome(edge_sums_cpu.sum_edges, layer, h, graph)
    assert relative_difference(slow, fast) < 1e-5
    assert_same_gradients(gradients, expected, 1e-5)


def test_nan_spreads_along_its_edges_only():
    layer = with_biases(GraphConv(6, 6, 3, 10.0))
    h = torch.randn(1, 6, 9, 9)
    graph = random_graph(1, 9, 9, 4, 3)
    h[0, 2, 4, 4] = torch.nan
    touched = (graph.neighbours == 4 * 9 + 4).any(3)
    touched[0, 4, 4] = True
    assert torch.equal(sum_edges(h, graph, layer.edge_network()).isnan().any(1), touched)


@pytest.mark.skipif(shutil.which("g++") is None, reason="PyTorch's compiler needs a C++ compiler here")
def test_the_compiled_form_for_gpus_equals_the_formula(monkeypatch):
    """Compiled for this CPU in one graph."""
    edge_sums.compiled.cache_clear()
    monkeypatch.setattr(torch, "compile", partial(torch.compile, fullgraph=True))
    layer, h = with_biases(GraphConv(6, 6, 3, 10.0, (0, 2, 4), (0, 2, 4))), torch.randn(2, 6, 9, 9)
    graph = nearest(h, 8)
    try:
        got, gradients = outcome(lambda *a: in_blocks(*a, edge_sums.compiled(h.device)), layer, h, graph)
    finally:
        edge_sums.compiled.cache_clear()
    expected, expected_gradients = outcome(by_formula, layer, h, graph)
    assert relative_difference(got, expected) < 1e-5
    assert_same_gradients(gradients, expected_gradients, 1e-5)


def test_without_a_compiler_gpus_run_the_uncompiled_form_with_a_warning(monkeypatch):
    def fail(_):
        raise RuntimeError("Failed to find C compiler.\nPlease specify one")

    edge_sums.compiled.cache_clear()
    edge_sums._warn_once.cache_clear()
    monkeypatch.setattr(torch, "compile", lambda _: fail)
    with pytest.warns(NircolorWarning, match=r"\(Failed to find C compiler.\): graph convolutions take"):
        assert edge_sums.compiled(torch.device("cpu")) is factored
    edge_sums.compiled.cache_clear()
