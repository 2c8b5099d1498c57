"""`scene`: interpolation of the context, receptive field, and the influence of both inputs."""

import pytest
import torch
from torch.nn import functional as F

from nircolor.models.scene import Scene, sample_window, slice_grid
from tests.models.probes import measured_receptive_field_px


def small(**arguments) -> Scene:
    torch.manual_seed(0)
    network = Scene(**({"context_width": 6, "widths": (4, 6, 8), "context_px": 64} | arguments)).eval()
    for layer in (network.leave, network.grid):
        torch.nn.init.normal_(layer.weight, std=0.3)
    return network


def random_grid(levels=5):
    return torch.rand(2, levels, 3, 8, 6, generator=torch.Generator().manual_seed(0))


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


@pytest.mark.parametrize("level", range(5))
def test_a_guide_at_a_level_chooses_it(level):
    grid = random_grid()
    guide = torch.full((2, 1, 8, 6), level / 4)
    torch.testing.assert_close(slice_grid(grid, guide), grid[:, level])


def test_between_levels_the_grid_is_interpolated_and_beyond_them_clipped():
    grid = random_grid()
    between = slice_grid(grid, torch.full((2, 1, 8, 6), 0.3))
    torch.testing.assert_close(between, 0.8 * grid[:, 1] + 0.2 * grid[:, 2])
    torch.testing.assert_close(slice_grid(grid, torch.full((2, 1, 8, 6), 1.7)), grid[:, 4])
    torch.testing.assert_close(slice_grid(grid, torch.full((2, 1, 8, 6), -0.2)), grid[:, 0])


def test_the_context_has_the_edges_of_the_guide():
    """Within one cell of the grid, two regions of different brightness have different features."""
    grid = torch.arange(5.0).view(1, 5, 1, 1, 1).expand(1, 5, 1, 4, 8)
    guide = torch.tensor([0.0, 1.0]).repeat_interleave(4).expand(1, 1, 4, 8)
    torch.testing.assert_close(slice_grid(grid, guide), 4 * guide)


def test_the_bound_is_positive_and_is_not_trained_with_the_colour():
    network = small()
    output = network(torch.rand(1, 1, 32, 32), context())
    assert output.shape == (1, 4, 32, 32)
    assert (output[:, 3] > 0).all()
    assert not any(p.requires_grad for p in network.error_head().parameters())


def test_the_bound_never_exceeds_the_largest_possible_error():
    network = small()
    with torch.no_grad():
        network.error_head()[-1].bias.fill_(1000)  # the exponential of it is infinite
        assert (network(torch.rand(1, 1, 32, 32), context())[:, 3] == 1).all()


class OfTile(torch.nn.Module):
    """The network as a function of the tile alone, within one image."""

    def __init__(self, network):
        super().__init__()
        self.network, self.context = network, context().double()
        self.bands, self.multiple_of = network.bands, network.multiple_of
        self.minimum_px = network.minimum_px

    def forward(self, nir):
        return self.network(nir, self.context.expand(len(nir), -1, -1, -1))


@pytest.mark.parametrize("widths", [(4,), (4, 6), (4, 6, 8)])
def test_receptive_field_is_exact(widths):
    network = small(widths=widths)
    multiple = network.multiple_of
    height = -(-3 * network.receptive_field_px // multiple) * multiple
    assert network.receptive_field_px == measured_receptive_field_px(OfTile(network), height)


def test_the_reduced_view_and_the_window_change_the_colours():
    network = small()
    nir = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        base = network(nir, context())
        assert not torch.allclose(base, network(nir, context(seed=1)), atol=1e-4)
        assert not torch.allclose(base, network(nir, context((0.5, 1.0, 0.0, 0.5))), atol=1e-5)


def test_untrained_the_output_is_the_gray_image():
    nir = torch.rand(1, 1, 32, 48)
    network = Scene(context_width=6, widths=(4, 6, 8), context_px=64).eval()
    torch.testing.assert_close(network(nir, context())[:, :3], nir.expand(1, 3, 32, 48))


def test_parameters_of_the_model_that_ships():
    """The documentation and the model card state this number."""
    assert sum(p.numel() for p in Scene().parameters()) == 3_357_441


@pytest.mark.parametrize("shape", [(1, 5, 64, 32), (1, 4, 64, 64), (2, 5, 64, 64), (5, 64, 64)])
def test_a_context_of_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match=r"context: expected \(1, 5, 64, 64\), got"):
        small()(torch.zeros(1, 1, 32, 32), torch.zeros(shape))
