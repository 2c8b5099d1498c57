"""Measurements that the tests of several networks share."""

import torch


@torch.no_grad()
def without_zeros(network):
    """Replace parameters that are all zero by random ones: zero last layers would hide the rest."""
    for parameter in network.parameters():
        if not parameter.any():
            parameter.normal_(std=0.3)
    return network


@torch.no_grad()
def measured_receptive_field_px(network, height):
    """Measure how far an impulse in the middle changes the output, at all positions in a cell.

    With positive weights nothing cancels and no ReLU is closed; without biases all else is black, so the
    impulse is the maximum wherever it is pooled.
    """
    network = without_zeros(network).double().eval()
    for name, parameter in network.named_parameters():
        parameter.zero_() if name.endswith("bias") else parameter.abs_()
    places = torch.arange(network.multiple_of)
    rows = height // 2 + places
    nir = torch.zeros(len(places), network.bands, height, network.minimum_px, dtype=torch.float64)
    nir[places, :, rows] = 1
    changed = network(nir) != network(torch.zeros_like(nir))
    image, row = changed.amax((1, 3)).nonzero(as_tuple=True)
    return int((row - rows[image]).abs().max())


@torch.no_grad()
def assert_every_band_matters(network, height=32, width=48) -> None:
    """Check the output's shape, and that mirroring any one band changes the output."""
    nir = torch.rand(2, network.bands, height, width)
    rgb = without_zeros(network)(nir)
    assert rgb.shape == (2, 3, height, width)
    for band in range(network.bands):
        changed = nir.clone()
        changed[:, band] = changed[:, band].flip(-1)
        assert not torch.allclose(network(changed), rgb, atol=1e-3)


@torch.no_grad()
def with_random_statistics(network):
    """Replace weights, biases and statistics of batch norms, which start as identities, by random ones."""
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.running_mean.normal_(std=0.1)
            layer.running_var.uniform_(0.5, 2)
            layer.weight.uniform_(0.5, 2)
            layer.bias.normal_(std=0.1)
    return network


def with_biases(layer):
    """Replace all biases by random ones: they start at 0, which would hide their terms."""
    for name, parameter in layer.named_parameters():
        if "bias" in name:
            torch.nn.init.normal_(parameter)
    return layer


def relative_difference(got, expected):
    """Return the largest difference, relative to the largest expected value."""
    return ((got - expected).abs().max() / expected.abs().max()).item()


def assert_same_gradients(got, expected, tolerance):
    """Compare gradients by name, each bias together with its weight.

    The gradient of a bias alone can be a sum that cancels, of which float32 keeps few digits in any form.
    """
    assert got.keys() == expected.keys()
    assert all(gradient.any() for gradient in expected.values())
    for part in {name.split(".")[0] for name in got}:
        names = [name for name in got if name.split(".")[0] == part]
        together = [torch.cat([g[name].flatten() for name in names]) for g in (got, expected)]
        assert relative_difference(*together) < tolerance, part
