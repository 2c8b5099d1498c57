"""Models loaded into PyTorch give the results of ONNX Runtime and can be trained; other files are refused."""

import shutil

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from nircolor import models, weights
from nircolor.errors import NircolorError
from nircolor.modelfile import Size, open_session, read_card, write_safetensors
from nircolor.models.loading import initialize
from nircolor.training.onnx_export import to_onnx, write_onnx
from nircolor.weights import find_model, shipped_models
from tests.models.probes import with_random_statistics, without_zeros
from tests.tiny_models import make_card
from tests.torch_models import bands


def random_inputs(card, side_px=96):
    """Make inputs for a network as the engines do."""
    rng = np.random.default_rng(0)
    inputs = {"nir": rng.random((2, len(card.bands), side_px, side_px + 32), np.float32)}
    if card.context is not None:
        size_px = card.context.size_px
        context = rng.random((2, len(card.bands) + 4, size_px, size_px), np.float32)
        # the tile's edges in the whole image
        context[:, len(card.bands) :] = np.float32([0.2, 0.7, 0.1, 0.9])[:, None, None]
        inputs["context"] = context
    return inputs


def outputs(path, network):
    """Compute colours with ONNX Runtime and with the network from the same inputs."""
    session, card = open_session(path)
    inputs = random_inputs(card)
    with torch.inference_mode():
        rgb = network(*map(torch.from_numpy, inputs.values()))
    return session.run(None, inputs)[0], rgb.numpy()


@pytest.fixture(scope="module")
def satellite():
    """The graph of a shipped model, to be edited."""
    return onnx.load(shipped_models()["satellite"]).SerializeToString()


def edited(satellite, path, edit):
    graph = onnx.ModelProto.FromString(satellite)
    edit({tensor.name: tensor for tensor in graph.graph.initializer}, graph)
    onnx.save(graph, path)
    return path


@pytest.mark.parametrize("name", shipped_models())
def test_shipped_models_compute_the_same_in_pytorch(name):
    network = models.load(shipped_models()[name])
    assert not network.training
    assert all(tensor.dtype == torch.float32 for tensor in network.parameters())
    expected, rgb = outputs(shipped_models()[name], network)
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(rgb, expected, rtol=0, atol=1e-4)


def batch_norms(network):
    return [layer for layer in network.modules() if isinstance(layer, torch.nn.BatchNorm2d)]


def export_onnx(path, network, architecture, arguments):
    """Write a network as `nircolor export` does."""
    size = Size(
        multiple_of=network.multiple_of,
        minimum=network.minimum_px,
        receptive_field_px=network.receptive_field_px,
    )
    fields = {"bands": bands(network.bands), "architecture": architecture, "arguments": arguments}
    card = make_card("small", **fields, size=size, context=None)
    write_onnx(to_onnx(network, card), path, card)
    return path


@pytest.mark.parametrize(
    ("architecture", "arguments"),
    [("unet", {"bands": 2, "width": 2, "norm": "batch"}), ("sshape", {"bands": 1, "width": 2})],
)
def test_an_exported_network_computes_the_same_after_loading(tmp_path, architecture, arguments):
    torch.manual_seed(0)
    network = with_random_statistics(without_zeros(models.build(architecture, arguments))).eval()
    path = export_onnx(tmp_path / "small.onnx", network, architecture, arguments)
    expected, rgb = outputs(path, network)
    np.testing.assert_allclose(rgb, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    loaded = models.load(path)
    np.testing.assert_allclose(outputs(path, loaded)[1], expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    # all are folded, and stay as they are in training
    assert len(batch_norms(loaded)) == len(batch_norms(network)) > 0
    assert not any(norm.training for norm in batch_norms(loaded.train()))


# half precision rounds other numbers in each form of a shipped model
_MEAN_DIFFERENCE, _LARGEST_DIFFERENCE = 0.5 / 255, 0.02


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A network with batch normalization, in both forms."""
    folder, arguments = tmp_path_factory.mktemp("pair"), {"bands": 1, "width": 2}
    torch.manual_seed(0)
    network = with_random_statistics(without_zeros(models.build("sshape", arguments))).eval()
    path = export_onnx(folder / "small.onnx", network, "sshape", arguments)
    card = read_card(path).model_copy(update={"engine": "torch"})
    tensors = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    write_safetensors(tensors, path.with_suffix(".safetensors"), card)
    return path


def test_both_forms_of_a_model_compute_the_same(pair):
    shipped = [path for path in shipped_models().values() if path.with_suffix(".safetensors").exists()]
    for path in (pair, *shipped):
        full = path.with_suffix(".safetensors")
        one, other = read_card(path), read_card(full)
        own = {"engine", "bytes_per_px", "scores", "multiply_adds_per_px"}
        assert one.model_dump(exclude=own) == other.model_dump(exclude=own)
        expected, rgb = outputs(path, models.load(full))
        assert np.abs(expected).max() > 0.1
        difference = np.abs(rgb - expected)
        assert difference.mean() < _MEAN_DIFFERENCE, path
        assert difference.max() < (1e-4 if path is pair else _LARGEST_DIFFERENCE), path


def test_a_shipped_model_is_loaded_with_the_statistics_of_batch_normalization(pair, tmp_path, monkeypatch):
    shutil.copy(pair, tmp_path)
    monkeypatch.setattr(weights, "_FOLDER", tmp_path)
    folded = [norm.running_var for norm in batch_norms(models.load("small"))]
    assert any((variance == 1).all() for variance in folded)
    shutil.copy(pair.with_suffix(".safetensors"), tmp_path)
    network = models.load("small").train()
    assert all(norm.training for norm in batch_norms(network))
    assert not any((norm.running_var == 1).all() for norm in batch_norms(network))


def test_a_network_starts_from_the_weights_of_a_model(pair, tmp_path, monkeypatch):
    full = pair.with_suffix(".safetensors")
    network = models.build("sshape", {"bands": 1, "width": 2})
    initialize(network, "sshape", full)
    for name, tensor in models.load(full).state_dict().items():
        assert torch.equal(network.state_dict()[name], tensor)
    with pytest.raises(
        NircolorError, match=r"small\.safetensors: expected a model of architecture unet, got s"
    ):
        initialize(network, "unet", full)
    other = models.build("sshape", {"bands": 1, "width": 4})
    with pytest.raises(NircolorError, match=r"small\.safetensors: expected .* of float32 .*, got float32"):
        initialize(other, "sshape", full)
    shutil.copy(pair, tmp_path)
    monkeypatch.setattr(weights, "_FOLDER", tmp_path)
    with pytest.raises(NircolorError, match=r"small\.onnx: expected a \.safetensors model file to continue"):
        initialize(network, "sshape", "small")


def test_training_branches_are_not_in_an_onnx_file(tmp_path):
    """With batch normalization in dense blocks, the exported output is the network's."""
    torch.manual_seed(0)
    arguments = {"bands": 3, "width": 2, "norm": "batch"}
    network = with_random_statistics(without_zeros(models.build("structure_aware", arguments))).eval()
    path = export_onnx(tmp_path / "small.onnx", network, "structure_aware", arguments)
    expected, rgb = outputs(path, network)
    np.testing.assert_allclose(rgb, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    with pytest.raises(NircolorError, match=r"missing \(gray\..*load the \.safetensors file"):
        models.load(path)


def test_a_path_may_be_text_or_a_path_object():
    path = shipped_models()["satellite-1band"]
    loaded = [models.load(path).state_dict(), models.load(str(path)).state_dict()]
    assert all(torch.equal(loaded[0][name], loaded[1][name]) for name in loaded[0])


def test_training_a_loaded_network_starts_from_its_colours():
    """Statistics of a batch would change the colours at once where statistics are not in the file."""
    network, nir = models.load(shipped_models()["satellite"]), torch.rand(2, 3, 32, 32)
    target = network(nir).detach()
    network.train()
    # its statistics are in the file, and so follow the batch
    network.standardise.eval()
    loss = (network(nir) - target).abs().max()
    assert loss < 1e-6
    (network(nir) - target - 1).square().mean().backward()
    assert all(p.grad is not None and p.grad.any() for p in network.parameters())


def test_a_loaded_network_can_be_saved_and_built_again():
    network = models.load("satellite")
    again = models.build("convnext_unet", {"bands": 3, "widths": [32, 64, 96]}).eval()
    again.load_state_dict(network.state_dict())
    nir = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(again(nir), network(nir))


def test_an_unknown_name_is_refused():
    with pytest.raises(NircolorError, match="scenery: expected the path of a model file or a model that"):
        models.load("scenery")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(NircolorError, match="no such model file"):
        models.load(tmp_path / "none.onnx")


def test_a_file_without_a_weight_is_refused(satellite, tmp_path):
    def rename(initializers, graph):
        initializers["linear.weight"].name = "constant"
        for node in graph.graph.node:
            node.input[:] = ["constant" if name == "linear.weight" else name for name in node.input]

    path = edited(satellite, tmp_path / "renamed.onnx", rename)
    with pytest.raises(NircolorError, match=r"renamed.onnx: .*got 1 missing \(linear.weight\).*safetensors"):
        models.load(path)


def test_a_file_with_another_weight_is_refused(satellite, tmp_path):
    def add(_, graph):
        graph.graph.initializer.append(numpy_helper.from_array(np.zeros(3, np.float32), "extra.weight"))

    with pytest.raises(NircolorError, match=r"1 unknown \(extra.weight\)"):
        models.load(edited(satellite, tmp_path / "extra.onnx", add))


def test_a_file_whose_card_names_other_arguments_is_refused(satellite, tmp_path):
    def widen(_, graph):
        for entry in graph.metadata_props:
            entry.value = entry.value.replace("[32,64,96]", "[32,64,160]")

    with pytest.raises(NircolorError, match=r"expected down\.1\.0\.weight of float32 \(160, .*got .*\(96,"):
        models.load(edited(satellite, tmp_path / "wide.onnx", widen))


def test_the_card_tells_how_many_pixels_a_network_colorizes(tmp_path):
    shipped = find_model("scene").read_bytes()
    assert models.load("scene").working_pixels == 200_000

    def limit(_, graph):
        for entry in graph.metadata_props:
            entry.value = entry.value.replace('"working_pixels":200000', '"working_pixels":50000')

    assert models.load(edited(shipped, tmp_path / "a.onnx", limit)).working_pixels == 50_000


def test_weights_in_another_file_are_refused(satellite, tmp_path):
    graph = onnx.ModelProto.FromString(satellite)
    path = tmp_path / "external.onnx"
    onnx.save(graph, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    with pytest.raises(NircolorError, match=r"external\.onnx"):
        models.load(path)
