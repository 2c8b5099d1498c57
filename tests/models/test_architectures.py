"""`build`, and the arguments of every network: either they are refused, or the network runs."""

import re
from itertools import product

import pytest
import torch

from nircolor.errors import NircolorError
from nircolor.models import ARCHITECTURES, build, complete_arguments

# values in and out of range
_GRID = {
    "cnn": {
        "bands": [0, 2],
        "width": [-3, 0, 3, 4, 3.0],
        "batch_norm": ["reference", "blocks", "everywhere", "none", None],
        "bn_momentum": [0.0, 0.1, 1.5],
    },
    "convnext_unet": {
        "bands": [-1, 0, 1, 2, 1.5],
        "widths": [(), (0,), (1,), [1, 2], (2, 1, 3), (2, -1), (1.5,), "12", 4],
    },
    "nirgnn": {
        "bands": [0, 1],
        "width": [0, 3, 5],
        "rank": [0, 1, 2],
        "neighbours": [0, 1, 6],
        "decay": [-1.0, 0.0, 2.0, float("inf"), float("nan")],
        "batch_norm": ["everywhere", "all"],
        "release_shifts": [False, True],
        "window_px": [-1, 3, 5, 6, 7],
        "bn_momentum": [0.1, 2.0],
    },
    "scene": {
        "context_width": [0, 1],
        "widths": [(), (1,), (1, 2), (3, 0)],
        "grid_levels": [1, 2],
        "grid_channels": [0, 1],
        "context_px": [-32, 0, 32, 48],
        "dropout": [-0.1, 0.0, 0.5, 1.0],
    },
    "sshape": {"bands": [0, 1, 2], "width": [-1, 0, 1, 2, 1.5, None]},
    "structure_aware": {
        "bands": [0, 1],
        "width": [-2, 0, 1, 2, 3, 2.0],
        "dense": [True, False],
        "norm": ["none", "batch", "layer", None],
    },
    "unet": {"bands": [0, 1, "1"], "width": [0, 1, 3, 1.5], "norm": ["none", "batch", "instance"]},
}
_RUNNING = {
    "cnn": 3,
    "convnext_unet": 6,
    # 5 candidates are in the corner of a window of 5, and 12 in that of one of 7
    "nirgnn": 12,
    "scene": 4,
    "sshape": 4,
    "structure_aware": 10,
    "unet": 4,
}


def build_or_refuse(network_class, arguments):
    """Return the network, or None if a ValueError names one of the arguments."""
    try:
        return network_class(**arguments)
    except ValueError as error:
        if re.match(r"\w+", str(error))[0] in arguments:
            return None
        raise


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_network_that_is_built_runs(architecture):
    torch.manual_seed(0)
    network_class, grid = ARCHITECTURES[architecture], _GRID[architecture]
    assert grid.keys() == complete_arguments(architecture).keys()
    running = 0
    for values in product(*grid.values()):
        arguments = dict(zip(grid, values, strict=True))
        network = build_or_refuse(network_class, arguments)
        if network is None:
            continue
        side = -(-network.minimum_px // network.multiple_of) * network.multiple_of
        inputs = [torch.rand(1, network.bands, side, side)]
        if network.context_px is not None:
            inputs.append(torch.rand(1, network.bands + 4, network.context_px, network.context_px))
        with torch.no_grad():
            output = network.eval()(*inputs)
        channels = 3 if network.error_quantile is None else 4
        assert output.shape == (1, channels, side, side), arguments
        assert output.isfinite().all(), arguments
        running += 1
    assert running == _RUNNING[architecture]


def test_the_width_that_dense_blocks_cannot_halve_is_refused():
    with pytest.raises(NircolorError, match="structure_aware: width: expected a whole number of at least 2"):
        build("structure_aware", {"width": 1})


def test_an_unknown_architecture_is_refused():
    with pytest.raises(NircolorError, match="architecture resnet: expected one of cnn, convnext_unet, "):
        build("resnet")


def test_an_unknown_argument_is_refused():
    with pytest.raises(NircolorError, match=r"architecture unet: .*'depth'"):
        build("unet", {"depth": 3})
