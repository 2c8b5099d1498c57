"""What the tests of several networks measure in the same way."""

import io

import onnxruntime
import torch


@torch.no_grad()
def awake(network):
    """The network without a tensor that is all zero: last layers may start so, and then say nothing."""
    for parameter in network.parameters():
        if not parameter.any():
            parameter.normal_(std=0.3)
    return network


@torch.no_grad()
def reached_px(network, height):
    """Furthest pixel whose answer an impulse in the middle changes, wherever in a cell the impulse lies.

    With positive weights nothing cancels and nothing is rectified away; without biases all else is black, so
    the impulse is the maximum of whatever it is pooled with.
    """
    network = awake(network).double().eval()
    for name, parameter in network.named_parameters():
        parameter.zero_() if name.endswith("bias") else parameter.abs_()
    places = torch.arange(network.multiple_of)
    rows = height // 2 + places
    nir = torch.zeros(len(places), network.bands, height, network.minimum_px, dtype=torch.float64)
    nir[places, :, rows] = 1
    image, row = (network(nir).amax((1, 3)) > 0).nonzero(as_tuple=True)
    return int((row - rows[image]).abs().max())


def exported_answer(network, nir):
    """What ONNX Runtime computes from ``nir`` with a graph that was traced at another size."""
    multiple = network.multiple_of
    rows, columns = (torch.export.Dim(side, min=1, max=4096) for side in ("rows", "columns"))
    program = torch.onnx.export(
        network,
        (torch.rand(1, network.bands, 8 * multiple, 10 * multiple),),
        input_names=["nir"],
        output_names=["rgb"],
        dynamo=True,
        dynamic_shapes=({2: multiple * rows, 3: multiple * columns},),
        opset_version=18,
        verbose=False,
    )
    graph = io.BytesIO()
    program.save(graph)
    session = onnxruntime.InferenceSession(graph.getvalue(), providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {"nir": nir.numpy()})[0])


@torch.no_grad()
def assert_every_band_has_a_say(network) -> None:
    """Colour has the image's shape, and mirroring any one band changes it."""
    nir = torch.rand(2, network.bands, 32, 48)
    rgb = awake(network)(nir)
    assert rgb.shape == (2, 3, 32, 48)
    for band in range(network.bands):
        changed = nir.clone()
        changed[:, band] = changed[:, band].flip(-1)
        assert not torch.allclose(network(changed), rgb, atol=1e-3)


def with_biases(layer):
    """Biases begin at 0, which would hide their terms."""
    for name, parameter in layer.named_parameters():
        if "bias" in name:
            torch.nn.init.normal_(parameter)
    return layer


def far(got, expected):
    """Difference as a share of the largest value."""
    return ((got - expected).abs().max() / expected.abs().max()).item()


def assert_same_gradients(got, expected, tolerance):
    """Gradients by name, of a graph convolution's parameters and whatever else.

    A bias's gradient alone can be a sum that cancels, of which float32 leaves few digits in any form: so it
    is looked at together with its weight's.
    """
    assert got.keys() == expected.keys()
    assert all(gradient.any() for gradient in expected.values())
    for part in {name.split(".")[0] for name in got}:
        names = [name for name in got if name.split(".")[0] == part]
        together = [torch.cat([g[name].flatten() for name in names]) for g in (got, expected)]
        assert far(*together) < tolerance, part
