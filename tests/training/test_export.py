"""Export of every architecture: the model file gives the colours of the network; errors leave no file."""

import json
import sys
from copy import deepcopy
from types import ModuleType

import numpy as np
import pytest
import torch

from nircolor.colour_grid import ColourGrid
from nircolor.errors import NircolorError
from nircolor.inference import Colorizer
from nircolor.modelfile import Size, read_card, read_safetensors
from nircolor.models import ARCHITECTURES, Network, load
from nircolor.models.nirgnn import NirGnn
from nircolor.training import costs
from nircolor.training import exporting as module
from nircolor.training.costs import multiply_adds_per_px
from nircolor.training.exporting import export
from nircolor.training.onnx_export import to_onnx
from tests.tiny_models import make_card
from tests.torch_models import arguments, bands, random_network, save_checkpoint

_FORMATS = [
    (name, suffix)
    for name, network in ARCHITECTURES.items()
    for suffix in (".onnx", ".safetensors")
    if suffix == ".safetensors" or network.engine == "onnxruntime"
]
_FORMATS += [("bounded", ".onnx"), ("bounded", ".safetensors")]
_graphs = {}


def _to_onnx(network, card):
    """Trace each architecture once, since this takes most of the time of these tests."""
    if card.architecture not in _graphs:
        _graphs[card.architecture] = to_onnx(network, card)
    return deepcopy(_graphs[card.architecture])


@pytest.fixture
def quick(monkeypatch):
    """Count multiply-adds on small tiles, and do not measure memory, which needs new processes."""
    monkeypatch.setattr(costs, "_COUNTED_PX", dict.fromkeys(("onnxruntime", "torch"), (32, 64)))
    monkeypatch.setattr(module, "bytes_per_px", lambda _path, _card: 123.0)
    monkeypatch.setattr(module, "to_onnx", _to_onnx)


def _checkpoint(folder, architecture="unet", **card):
    return save_checkpoint(folder / "a.ckpt", random_network(architecture), architecture, **card)


def _refused(folder, match, *args, **options):
    before = sorted(folder.iterdir())
    with pytest.raises(NircolorError, match=match) as caught:
        export(*args, **options)
    assert "\n" not in str(caught.value)
    assert sorted(folder.iterdir()) == before


def _network_colours(architecture, nir):
    """Compute the colours of a whole image, (bands, height, width), with the network itself."""
    network = random_network(architecture)
    inputs = [torch.from_numpy(nir)[None]]
    if network.context_px is not None:
        # the image has the size of the reduced view, so both are the same; the tile is the whole image
        edges = torch.tensor([0.0, 1, 0, 1])[None, :, None, None].expand(1, 4, *nir.shape[1:])
        inputs.append(torch.cat([inputs[0], edges], 1))
    with torch.no_grad():
        colours = network(*inputs)[0, :3].clamp(0, 1).numpy()
    if network.working_pixels is None:
        return colours
    grid = ColourGrid.fit(nir.mean(0), colours, np.ones(nir.shape[1:], bool))
    return grid.apply(nir.mean(0), (0, 0), nir.shape[1:]).clip(0, 1)


@pytest.mark.usefixtures("quick", "bounded_architecture")
@pytest.mark.parametrize(("architecture", "suffix"), _FORMATS)
def test_a_model_file_gives_the_network_s_colours(tmp_path, architecture, suffix):
    network = random_network(architecture)
    model = tmp_path / f"model{suffix}"
    done = export(_checkpoint(tmp_path, architecture), model)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.ckpt", model.name]
    assert done.rounding is None

    colorizer = Colorizer(model)
    card = colorizer.card
    assert card == done.card == read_card(model)
    assert (card.architecture, card.arguments) == (architecture, arguments(architecture))
    assert card.engine == ("onnxruntime" if suffix == ".onnx" else "torch")
    assert (card.bands, card.encoding, card.bytes_per_px) == (bands(network.bands), "reflectance", 123.0)
    assert (card.size.multiple_of, card.size.minimum) == (network.multiple_of, network.minimum_px)
    assert card.size.receptive_field_px == network.receptive_field_px
    assert card.multiply_adds_per_px > 1
    assert card.error_quantile == network.error_quantile

    side = network.context_px or 48
    rng = np.random.default_rng(1)
    whole = rng.random((network.bands, side, side), np.float32)
    np.testing.assert_allclose(colorizer.colorize(whole), _network_colours(architecture, whole), atol=1e-5)
    if network.context_px is not None:
        return
    odd = rng.random((network.bands, 53, 37), np.float32)
    m, low = network.multiple_of, network.minimum_px
    padding = [(0, -(-max(px, low) // m) * m - px) for px in odd.shape[1:]]
    expected = _network_colours(architecture, np.pad(odd, [(0, 0), *padding], mode="symmetric"))[:, :53, :37]
    np.testing.assert_allclose(colorizer.colorize(odd), expected, atol=1e-5)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("suffix", [".onnx", ".safetensors"])
def test_half_precision_halves_the_size_and_reports_the_change_of_colours(tmp_path, suffix):
    model = tmp_path / f"model{suffix}"
    rounding = export(_checkpoint(tmp_path), model, half=True).rounding
    assert 0 < rounding < 0.01
    nir = np.random.default_rng(1).random((3, 48, 64), np.float32)
    difference = np.abs(Colorizer(model).colorize(nir) - _network_colours("unet", nir)).max()
    assert 0 < difference < 4 * rounding
    single = 4 * sum(tensor.numel() for tensor in random_network("unet").state_dict().values())
    assert 0.5 < model.stat().st_size / single < 0.6


@pytest.mark.usefixtures("quick")
def test_half_precision_keeps_integer_tensors(tmp_path):
    network = random_network("sshape")
    counts = [tensor for tensor in network.state_dict().values() if not tensor.is_floating_point()]
    assert counts
    for count in counts:
        count.fill_(100_000)
    checkpoint = save_checkpoint(tmp_path / "a.ckpt", network, "sshape")
    export(checkpoint, tmp_path / "a.safetensors", half=True)
    tensors, _ = read_safetensors(tmp_path / "a.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {np.dtype(np.float16), np.dtype(np.int64)}
    assert {int(tensor) for tensor in tensors.values() if tensor.dtype == np.int64} == {100_000}


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_weights_beyond_the_range_of_half_precision_are_refused(tmp_path):
    network = random_network("unet")
    first = network.encoder.blocks[0][0]
    for tensor, factor in (
        (first.weight, 1e6),
        (first.bias, 1e6),
        (network.encoder.blocks[0][2].weight, 1e-6),
    ):
        tensor.data.mul_(factor)
    checkpoint = save_checkpoint(tmp_path / "a.ckpt", network, "unet")
    _refused(
        tmp_path,
        r"a\.safetensors: half precision changes the network's colours by .*--half",
        checkpoint,
        tmp_path / "a.safetensors",
        half=True,
    )


def test_onnx_files_of_networks_that_run_in_pytorch_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(ARCHITECTURES["unet"], "engine", "torch")
    model = tmp_path / "a.onnx"
    match = r"a\.onnx: expected a name that ends in \.safetensors, since unet runs in PyTorch"
    _refused(tmp_path, match, _checkpoint(tmp_path), model)


@pytest.mark.usefixtures("quick")
def test_scores_are_in_the_card(tmp_path):
    row = {"data": "d", "psnr_db": 16.5, "ssim": 0.5, "angular_error_deg": 6.0, "source": "results/x"}
    (tmp_path / "scores.json").write_text(json.dumps([row]))
    card = export(_checkpoint(tmp_path), tmp_path / "a.safetensors", scores=tmp_path / "scores.json").card
    assert [score.model_dump() for score in card.scores] == [row]


# --- cost


def test_the_card_has_memory_and_multiply_adds_per_pixel(tmp_path, monkeypatch):
    """Measured without patches: a U-Net holds several feature maps of full resolution at once.

    The processes that measure memory do not run the user's script, which may call `export` at its top level.
    """
    script = ModuleType("__main__")
    script.__file__ = str(tmp_path / "script.py")
    (tmp_path / "script.py").write_text("raise SystemExit('the script was run again')")
    monkeypatch.setitem(sys.modules, "__main__", script)
    card = export(_checkpoint(tmp_path), tmp_path / "a.safetensors").card
    assert 50 < card.bytes_per_px < 1000
    by_hand = 9 * (3 * 6 + 6 * 6)  # the first two convolutions
    assert by_hand < card.multiply_adds_per_px < 20 * by_hand


@pytest.mark.usefixtures("quick")
def test_multiply_adds_equal_a_count_by_hand(tmp_path):
    card = export(_checkpoint(tmp_path), tmp_path / "a.safetensors").card

    class Two(Network):
        def __init__(self):
            super().__init__()
            self.both = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.Conv2d(4, 3, 1))

        def forward(self, nir):
            return self.both(nir)

    assert multiply_adds_per_px(Two(), card) == 3 * 4 * 9 + 4 * 3


def test_multiply_adds_of_a_graph_network_do_not_depend_on_threads():
    """The counter misses operations on other threads and in machine code."""
    network = NirGnn(width=12, window_px=9).eval()
    card = make_card(
        size=Size(multiple_of=1, minimum=network.minimum_px, receptive_field_px=network.receptive_field_px)
    )
    before, counts = torch.get_num_threads(), set()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            counts.add(multiply_adds_per_px(network, card, sides_px=(32, 48)))
    finally:
        torch.set_num_threads(before)
    assert len(counts) == 1
    # 10 layers' products with Psi and Phi, and their 3 x 3 convolutions
    assert counts.pop() > 10 * (2 * 11 * 12**2 + 9 * 12**2) * 0.9


# --- refusals


def test_invalid_output_paths_are_refused(tmp_path):
    checkpoint = _checkpoint(tmp_path)
    for name in ("model", "model.pt", "model.safetensors.zip"):
        match = rf"{name}: expected a name that ends in \.onnx or \.safetensors"
        _refused(tmp_path, match, checkpoint, tmp_path / name)
    _refused(tmp_path, "expected an existing folder", checkpoint, tmp_path / "no" / "a.onnx")
    (tmp_path / "a.onnx").write_text("mine")
    _refused(tmp_path, r"a\.onnx: exists already.*--overwrite", checkpoint, tmp_path / "a.onnx")
    assert (tmp_path / "a.onnx").read_text() == "mine"


def _changed(path, change):
    content = torch.load(path, weights_only=True)
    change(content)
    torch.save(content, path)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda c: c.pop("hyper_parameters"), "expected a checkpoint .* without 'hyper_parameters'"),
        (lambda c: c.pop("state_dict"), "expected a checkpoint .* without 'state_dict'"),
        (lambda c: c["hyper_parameters"].pop("architecture"), "without 'architecture'"),
        (lambda c: c["hyper_parameters"].update(architecture="vgg"), "architecture vgg: expected one of"),
        (lambda c: c["hyper_parameters"].update(arguments={"depth": 2}), "cannot be built .*depth"),
        (lambda c: c["hyper_parameters"].update(arguments=None), "expected .* for unet, got"),
        (lambda c: c["hyper_parameters"].update(card=None), "card is not a valid card .name: Field req"),
        (lambda c: c["hyper_parameters"].update(card={"size": 3}), "card is not a valid card .*size"),
        (lambda c: c["hyper_parameters"]["card"].update(colour=3), "is not a valid card .colour: Extra"),
        (lambda c: c["hyper_parameters"]["card"]["bands"].pop(), "the network's 3 bands, got 2"),
        (lambda c: c["state_dict"].pop("network.decoder.leave.bias"), r"1 missing \(decoder\.leave\.bias\)"),
        (lambda c: c["state_dict"].update({"network.z": torch.zeros(1)}), r"1 unknown \(z\)"),
    ],
)
def test_incomplete_checkpoints_are_refused(tmp_path, change, match):
    checkpoint = _checkpoint(tmp_path)
    _changed(checkpoint, change)
    _refused(tmp_path, rf"a\.ckpt: .*{match}", checkpoint, tmp_path / "a.safetensors")


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x80\x02cos\nsystem\nq\x00."])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "a.ckpt").write_bytes(content)
    _refused(tmp_path, r"a\.ckpt: expected a checkpoint", tmp_path / "a.ckpt", tmp_path / "a.onnx")
    _refused(tmp_path, r"b\.ckpt: no such checkpoint", tmp_path / "b.ckpt", tmp_path / "a.onnx")


def test_a_checkpoint_is_not_executed(tmp_path):
    class Evil:
        def __reduce__(self):
            return (tmp_path / "evil").touch, ()

    torch.save({"hyper_parameters": Evil()}, tmp_path / "a.ckpt")
    _refused(
        tmp_path,
        "cannot be read as tensors and plain values",
        tmp_path / "a.ckpt",
        tmp_path / "a.safetensors",
    )
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("text", ["", "{}", '[{"data": 1}]'])
def test_invalid_scores_are_refused(tmp_path, text):
    (tmp_path / "s.json").write_text(text)
    for scores in ("s.json", "missing.json"):
        _refused(
            tmp_path,
            rf"{scores}: expected a JSON list of scores \(",
            tmp_path / "a.ckpt",
            tmp_path / "a.onnx",
            scores=tmp_path / scores,
        )


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, OSError(28, "No space left on device")])
def test_a_failed_export_leaves_no_files_and_keeps_the_old_model(tmp_path, monkeypatch, error):
    def fail(_path, _card):
        raise error

    monkeypatch.setattr(module, "bytes_per_px", fail)
    model = tmp_path / "a.safetensors"
    model.write_text("the old one")
    checkpoint = _checkpoint(tmp_path)
    with pytest.raises(error if isinstance(error, type) else OSError):
        export(checkpoint, model, overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.ckpt", "a.safetensors"]
    assert model.read_text() == "the old one"


def test_a_file_with_other_results_is_not_kept(tmp_path, monkeypatch):
    run_file = module.run_file
    monkeypatch.setattr(module, "run_file", lambda *args: run_file(*args) + np.float32(2e-4))
    match = r"a\.safetensors: the exported network differs from the trained one by 0\.0002"
    _refused(tmp_path, match, _checkpoint(tmp_path), tmp_path / "a.safetensors")


@pytest.mark.usefixtures("quick")
def test_the_bound_of_the_error_is_the_one_that_the_last_validation_fitted(tmp_path):
    network = random_network("scene")
    path = save_checkpoint(tmp_path / "a.ckpt", network, "scene")
    content = torch.load(path, weights_only=True)
    last = network.error_head()[-1]
    last.bias.data += 0.5
    torch.save(content | {"bound": network.error_head().state_dict()}, path)
    export(path, tmp_path / "a.safetensors")
    inputs = [torch.rand(1, 1, 32, 32), torch.rand(1, 5, network.context_px, network.context_px)]
    with torch.no_grad():
        torch.testing.assert_close(load(tmp_path / "a.safetensors")(*inputs), network(*inputs))
