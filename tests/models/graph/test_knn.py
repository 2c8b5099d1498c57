"""Nearest neighbours: against a loop over all pairs, at borders, with ties, in windows and in blocks."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nircolor.models.graph import knn
from nircolor.models.graph.knn import nearest


@pytest.fixture(params=["numba", "pytorch"], autouse=True, scope="module")
def path(request):
    """Run every test with Numba's loops and without."""
    if request.param == "numba":
        if knn.knn_kernels is None:
            pytest.skip("Numba is not installed")
        yield
    else:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(knn, "knn_kernels", None)
            yield


def brute_force(features, k, window_px=None):
    """Find the neighbours (h, w, k) of one image (F, h, w) by measuring all pairs."""
    _, height, width = features.shape
    radius_px = max(height, width) if window_px is None else window_px // 2
    vectors = features.double().flatten(1).T
    result = torch.empty(height, width, k, dtype=torch.int64)
    for i in range(height * width):
        y, x = divmod(i, width)
        candidates = []
        for j in range(height * width):
            apart = max(abs(j // width - y), abs(j % width - x))
            if 1 < apart <= radius_px:
                candidates.append((float((vectors[j] - vectors[i]).square().sum()), j))
        result[y, x] = torch.tensor([j for _, j in sorted(candidates)[:k]])
    return result


def random_features(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@given(
    height=st.integers(5, 9),
    width=st.integers(5, 9),
    k=st.integers(1, 8),
    window_px=st.sampled_from([None, 7, 9]),
    levels=st.sampled_from([2, 3, None]),
    seed=st.integers(0, 99),
)
@settings(max_examples=25, deadline=None)
def test_against_a_loop_over_all_pairs(height, width, k, window_px, levels, seed):
    """With few levels of each feature most distances are tied."""
    features = random_features(2, 3, height, width, seed=seed)
    if levels is not None:
        features = torch.randint(levels, features.shape, generator=torch.Generator().manual_seed(seed)) * 0.37
    graph = nearest(features, k, window_px)
    for image, found in zip(features, graph.neighbours, strict=True):
        assert torch.equal(found, brute_force(image, k, window_px))


def test_in_a_constant_image_the_first_candidates_are_chosen():
    neighbours = nearest(torch.full((1, 4, 12, 12), 0.3), 3, window_px=7).neighbours[0]
    assert neighbours[0, 0].tolist() == [2, 3, 14]
    # the window of (6, 5) begins at row 3 and column 2
    assert neighbours[6, 5].tolist() == [3 * 12 + 2, 3 * 12 + 3, 3 * 12 + 4]


def test_small_differences_of_large_features_are_resolved():
    """‖a‖² + ‖b‖² − 2ab in float32 cancels them."""
    features = 100 + 0.001 * random_features(1, 3, 8, 8)
    assert torch.equal(nearest(features, 5).neighbours[0], brute_force(features[0], 5))


def test_a_window_that_covers_the_image_equals_a_full_search():
    features = random_features(2, 5, 20, 23)
    everything = nearest(features, 6).neighbours
    assert torch.equal(nearest(features, 6, window_px=45).neighbours, everything)
    assert not torch.equal(nearest(features, 6, window_px=43).neighbours, everything)


@pytest.mark.parametrize("window_px", [None, 9])
def test_blocks_change_nothing(monkeypatch, window_px):
    features = random_features(2, 4, 21, 18)
    expected = nearest(features, 8, window_px)
    for side, strip, candidates in ((1, 1, 1000), (5, 3, 40), (50, 60, 1), (50, 8, 1000)):
        monkeypatch.setattr(knn, "_BLOCK_PX", side)
        monkeypatch.setattr(knn, "_TILE_PX", side)
        monkeypatch.setattr(knn, "_STRIP_PX", strip)
        monkeypatch.setattr(knn, "_CANDIDATES", candidates)
        assert torch.equal(nearest(features, 8, window_px).neighbours, expected.neighbours)


@pytest.mark.parametrize("window_px", [None, 9])
def test_the_number_of_threads_does_not_change_the_graph(window_px):
    features = random_features(3, 4, 21, 18)
    before, graphs = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            graphs.append(nearest(features, 8, window_px).neighbours)
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(graph, graphs[0]) for graph in graphs)


@pytest.mark.parametrize(("height", "width"), [(5, 30), (30, 5), (13, 17)])
@pytest.mark.parametrize("k", [1, 17, 34])
def test_long_images_and_long_lists(height, width, k):
    features = random_features(1, 3, height, width)
    for window_px in (None, 15):
        assert torch.equal(
            nearest(features, k, window_px).neighbours[0], brute_force(features[0], k, window_px)
        )


def test_differences_below_the_precision_of_a_float32_product():
    """One half of the image is nearly constant, and far from the other half."""
    features = random_features(1, 3, 12, 14, seed=1)
    features[..., :7] = 5 + 1e-4 * features[..., :7]
    # pixels of the last columns have all their candidates at the same distance
    features[..., 12:] = 7
    for window_px in (None, 9):
        assert torch.equal(
            nearest(features, 8, window_px).neighbours[0], brute_force(features[0], 8, window_px)
        )


def test_the_bound_may_be_computed_in_float64(monkeypatch):
    features = random_features(2, 4, 12, 11)
    expected = nearest(features, 8).neighbours
    monkeypatch.setattr(knn, "_bound_dtype", lambda: torch.float64)
    assert torch.equal(nearest(features, 8).neighbours, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_features_are_not_modified(dtype):
    """Channels last needs no copy, so that in-place operations would show."""
    features = random_features(2, 4, 12, 11).to(dtype, memory_format=torch.channels_last)
    before = features.clone()
    nearest(features, 8)
    assert torch.equal(features, before)


def test_each_image_of_a_batch_has_its_own_graph():
    features = random_features(3, 4, 10, 9) * torch.tensor([1.0, 50.0, 0.02])[:, None, None, None]
    together = nearest(features, 8).neighbours
    for i in range(3):
        assert torch.equal(nearest(features[i : i + 1], 8).neighbours[0], together[i])


def test_autocast_changes_nothing_and_no_gradient_is_recorded():
    features = random_features(1, 6, 9, 9).requires_grad_()
    expected = nearest(features, 8).neighbours
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(nearest(features, 8).neighbours, expected)
    assert torch.equal(nearest(features.double(), 8).neighbours, expected)
    assert not expected.requires_grad


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("window_px", [None, 7])
def test_nan_and_infinity_give_indices_inside_the_image(value, window_px):
    everywhere = torch.full((1, 2, 6, 7), value)
    somewhere = random_features(1, 2, 6, 7)
    somewhere[0, 0, 2, 3] = value
    for features in (everywhere, somewhere):
        neighbours = nearest(features, 8, window_px).neighbours
        assert neighbours.min() >= 0
        assert neighbours.max() < 42


@pytest.mark.parametrize(
    ("height", "width", "k", "window_px"),
    # candidates: 25 − 9 in the middle of 5×5; in a window of 5, 9 − 4 in a corner, 9 − 6 in a narrow image
    [(5, 5, 16, None), (3, 7, 12, None), (9, 9, 5, 5), (9, 3, 3, 5)],
)
def test_fewer_candidates_than_neighbours_are_refused(height, width, k, window_px):
    features = random_features(1, 2, height, width)
    assert torch.equal(nearest(features, k, window_px).neighbours[0], brute_force(features[0], k, window_px))
    with pytest.raises(ValueError, match=f"expected {k + 1} candidates for every pixel, got {k} in"):
        nearest(features, k + 1, window_px)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU and Triton")
@pytest.mark.parametrize("window_px", [None, 25])
def test_gpu_finds_the_same_neighbours(window_px):
    features = random_features(2, 33, 42, 42)
    expected = nearest(features, 8, window_px)
    assert torch.equal(nearest(features.cuda(), 8, window_px).neighbours.cpu(), expected.neighbours)
