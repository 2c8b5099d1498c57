"""`scene`: interpolation of the context, receptive field, and the influence of both inputs."""

import pytest
import torch
from torch.nn import functional as F

from nircolor.models.scene import Scene, sample_window


def small(**arguments) -> Scene:
    torch.manual_seed(0)
    network = Scene(**({"context_width": 6, "widths": (4, 6, 8), "context_px": 64} | arguments)).eval()
    torch.nn.init.normal_(network.leave.weight, std=0.3)
    return network


def context(edges=(0.0, 1.0, 0.0, 1.0), px=64, seed=0):
    view = torch.rand(1, 1, px, px, generator=torch.Generator().manual_seed(seed))
    return torch.cat([view, torch.tensor(edges)[None, :, None, None].expand(1, 4, px, px)], 1)


def test_a_window_over_the_whole_map_is_plain_interpolation():
    grid = torch.rand(2, 3, 8, 12, dtype=torch.float64)
    edges = torch.tensor([[0.0, 1.0, 0.0, 1.0]] * 2, dtype=torch.float64)
    expected = F.interpolate(grid, size=(40, 30), mode="bilinear", align_corners=False)
    torch.testing.assert_close(sample_window(grid, edges, (40, 30)), expected)


def test_a_window_is_a_part_of_the_whole_map():
    grid = torch.rand(1, 3, 8, 8, dtype=torch.float64)
    whole = sample_window(grid, torch.tensor([[0.0, 1.0, 0.0, 1.0]], dtype=torch.float64), (64, 32))
    part = sample_window(grid, torch.tensor([[0.25, 0.5, 0.5, 1.0]], dtype=torch.float64), (16, 16))
    torch.testing.assert_close(part, whole[:, :, 16:32, 16:])


def test_each_image_of_a_batch_has_its_own_window():
    grid = torch.rand(2, 1, 8, 8)
    edges = torch.tensor([[0.0, 0.5, 0.0, 0.5], [0.5, 1.0, 0.5, 1.0]])
    both = sample_window(grid, edges, (8, 8))
    for i in range(2):
        torch.testing.assert_close(both[i : i + 1], sample_window(grid[i : i + 1], edges[i : i + 1], (8, 8)))


@pytest.mark.parametrize("widths", [(4, 6), (4, 6, 8)])
def test_receptive_field_is_exact(widths):
    """At some pixel the gradient reaches `receptive_field_px` pixels, and nowhere further."""
    network = small(widths=widths).double().requires_grad_(False)
    side = 14 * network.multiple_of
    nir = torch.rand(1, 1, side, side, dtype=torch.float64, requires_grad=True)
    rgb = network(nir, context().double())
    furthest = 0
    for offset in range(network.multiple_of):
        pixel = side // 2 + offset
        (gradient,) = torch.autograd.grad(rgb[0, :, pixel, pixel].sum(), nir, retain_graph=True)
        rows = gradient[0, 0].abs().sum(1).nonzero()[:, 0]
        furthest = max(furthest, pixel - int(rows.min()), int(rows.max()) - pixel)
    assert furthest == network.receptive_field_px


def test_the_reduced_view_and_the_window_change_the_colours():
    network = small()
    nir = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        base = network(nir, context())
        assert not torch.allclose(base, network(nir, context(seed=1)), atol=1e-3)
        assert not torch.allclose(base, network(nir, context((0.5, 1.0, 0.0, 0.5))), atol=1e-4)


def test_untrained_the_output_is_the_gray_image():
    nir = torch.rand(1, 1, 32, 48)
    network = Scene(context_width=6, widths=(4, 6, 8), context_px=64).eval()
    torch.testing.assert_close(network(nir, context()), nir.expand(1, 3, 32, 48))


def test_parameters_of_the_model_that_ships():
    """The documentation and the model card state this number."""
    assert sum(p.numel() for p in Scene().parameters()) == 3_202_604


@pytest.mark.parametrize("shape", [(1, 5, 64, 32), (1, 4, 64, 64), (2, 5, 64, 64), (5, 64, 64)])
def test_a_context_of_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match=r"context: expected \(1, 5, 64, 64\), got"):
        small()(torch.zeros(1, 1, 32, 32), torch.zeros(shape))
