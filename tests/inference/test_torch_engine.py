"""Tests of models in PyTorch: colours of the network at any size, devices and error messages."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch

from nircolor import extras
from nircolor.errors import NircolorError
from nircolor.inference import Colorizer, colorize_all, plan
from nircolor.inference.engine import open_engine
from nircolor.modelfile import CardMetadata, Context, Size, read_card, read_safetensors, write_safetensors
from nircolor.models.nirgnn import NirGnn
from nircolor.parallel import Cancelled
from tests.imagery.imagery_samples import load, noise, save, save_envi
from tests.torch_models import bands, random_network, save_torch_model


@pytest.fixture(scope="module")
def unet(tmp_path_factory):
    return save_torch_model(
        tmp_path_factory.mktemp("torch") / "unet.safetensors", random_network("unet"), "unet"
    )


@pytest.fixture
def threads():
    """Restore PyTorch's number of threads, which is global to the process."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def _noise(count, height, width):
    return np.random.default_rng(0).random((count, height, width), np.float32)


def _refused(path, match):
    with pytest.raises(NircolorError, match=match) as caught:
        Colorizer(path)
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    assert "\n" not in line


# --- colour


def test_the_colours_equal_the_output_of_the_network(unet):
    nir = _noise(3, 48, 64)
    with torch.no_grad():
        expected = random_network("unet")(torch.from_numpy(nir)[None])[0].clamp(0, 1).numpy()
    np.testing.assert_allclose(Colorizer(unet).colorize(nir), expected, atol=1e-6)


def test_a_network_in_memory_gives_the_colours_of_its_file(unet):
    network = random_network("unet").train()
    one = Colorizer.from_network(network, read_card(unet), tile_px=64)
    nir = _noise(3, 100, 90)
    expected = Colorizer(unet, tile_px=64).colorize(nir)
    np.testing.assert_allclose(one.colorize(nir), expected, atol=1e-6)
    # the original is neither changed nor shared
    assert network.training
    for parameter in network.parameters():
        torch.nn.init.zeros_(parameter)
    np.testing.assert_allclose(one.colorize(nir), expected, atol=1e-6)


def test_any_module_can_be_colorized_with(unet):
    class Rotate(torch.nn.Module):
        def forward(self, nir):
            return nir.flip(1)

    one = Colorizer.from_network(Rotate(), read_card(unet))
    nir = _noise(3, 40, 50)
    np.testing.assert_allclose(one.colorize(nir), nir[::-1], atol=1e-6)
    assert repr(one) == f"Colorizer('{read_card(unet).name}')"


@pytest.mark.parametrize("architecture", ["unet", "scene"])
def test_a_network_in_memory_needs_only_the_metadata_of_a_card(tmp_path, architecture):
    network = random_network(architecture)
    path = save_torch_model(tmp_path / "a.safetensors", network, architecture)
    card = read_card(path)
    metadata = CardMetadata(**{name: getattr(card, name) for name in CardMetadata.model_fields})
    one = Colorizer.from_network(network, metadata)
    assert (one.card.size, one.card.context) == (card.size, card.context)
    nir = _noise(len(card.bands), 40, 50)
    np.testing.assert_allclose(one.colorize(nir), Colorizer(path).colorize(nir), atol=1e-6)
    with pytest.raises(
        NircolorError, match=r"Identity: expected a nircolor\.models\.Network or a complete Card"
    ):
        Colorizer.from_network(torch.nn.Identity(), metadata)


@pytest.mark.usefixtures("bounded_architecture")
def test_a_network_in_memory_states_that_it_bounds_its_errors(tmp_path):
    network = random_network("bounded")
    path = save_torch_model(tmp_path / "a.safetensors", network, "bounded")
    card = read_card(path)
    assert (card.error_quantile, card.channels) == (0.9, 4)
    metadata = CardMetadata(**{name: getattr(card, name) for name in CardMetadata.model_fields})
    one = Colorizer.from_network(network, metadata)
    assert one.card.error_quantile == 0.9
    nir = _noise(3, 40, 50)
    with torch.no_grad():
        expected = network(torch.from_numpy(nir)[None])[0].numpy()
    np.testing.assert_allclose(one.colorize(nir), expected[:3].clip(0, 1), atol=1e-6)
    np.testing.assert_allclose(open_engine(path).run(nir, None), expected, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (37, 16), (301, 217)])
def test_any_size_is_colorized(unet, shape):
    for tile_px in (None, 1):
        rgb = Colorizer(unet, tile_px=tile_px).colorize(_noise(3, *shape))
        assert (rgb.shape, rgb.dtype) == ((3, *shape), np.float32)
        assert np.isfinite(rgb).all()


def test_a_network_with_a_context(tmp_path):
    network = random_network("scene")
    path = save_torch_model(tmp_path / "scene.safetensors", network, "scene")
    engine = open_engine(path)
    nir, context = _noise(1, 32, 48), _noise(5, 32, 32)
    with torch.no_grad():
        expected = network(torch.from_numpy(nir)[None], torch.from_numpy(context)[None])[0].numpy()
    np.testing.assert_allclose(engine.run(nir, context), expected, atol=1e-6)
    assert engine.card == read_card(path)


def test_half_precision_is_computed_with_as_single(tmp_path, unet):
    tensors, card = read_safetensors(unet)
    path = tmp_path / "half.safetensors"
    write_safetensors({name: tensor.astype(np.float16) for name, tensor in tensors.items()}, path, card)
    rgb = Colorizer(path).colorize(_noise(3, 32, 32))
    assert rgb.dtype == np.float32
    np.testing.assert_allclose(rgb, Colorizer(unet).colorize(_noise(3, 32, 32)), atol=0.01)


@pytest.mark.usefixtures("threads")
def test_a_folder_with_several_jobs(tmp_path, unet):
    wavelengths = "{" + ", ".join(f"{band.center_nm:g}" for band in bands(3)) + "}"
    for i in range(4):
        (tmp_path / "in").mkdir(exist_ok=True)
        save_envi(tmp_path / "in", noise(3, 40, 50, seed=i), f"{i}", wavelength=wavelengths)
    jobs = plan([str(tmp_path / "in")], tmp_path / "out")
    assert len(jobs) == 4
    results = list(colorize_all(Colorizer(unet, jobs=2), jobs, parallel=2))
    assert [result.error for result in results] == [None] * 4
    for i in range(4):
        array = noise(3, 40, 50, seed=i)
        expected = Colorizer(unet).colorize(array / np.float32(255))
        np.testing.assert_allclose(load(tmp_path / "out" / f"{i}.tif")[0] / 255, expected, atol=0.51 / 255)


# --- cores and devices


@pytest.mark.usefixtures("threads")
def test_jobs_share_the_cores(unet, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    torch.set_num_threads(5)
    seen = []

    def look():
        seen.append(torch.get_num_threads())

    for jobs in (1, 2, 100):
        open_engine(unet, jobs=jobs)
        worker = threading.Thread(target=look)
        worker.start()
        worker.join()
    # a single job keeps PyTorch's own setting
    assert seen == [5, 3, 1]


@pytest.mark.parametrize("device", ["coreml", "openvino"])
def test_devices_without_pytorch_support(unet, device):
    with pytest.raises(NircolorError, match=rf"--device {device}: {unet} runs in PyTorch, on cpu or cuda"):
        Colorizer(unet, device=device)


def test_a_missing_gpu_is_an_error_unless_auto(unet, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(NircolorError, match=r"--device cuda: this PyTorch \(.*\) runs on cpu only"):
        Colorizer(unet, device="cuda")
    for device in ("auto", "cpu"):
        assert open_engine(unet, device)._device.type == "cpu"


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_a_gpu_that_does_not_start_is_an_error(unet, monkeypatch, device):
    def fail(*_args):
        raise RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be ...")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.nn.Module, "to", fail)
    with pytest.raises(NircolorError, match=rf"--device {device}: PyTorch .* \(CUDA error: out of memory\)$"):
        Colorizer(unet, device=device)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu(unet):
    nir = _noise(3, 48, 64)
    got = Colorizer(unet, device="cuda").colorize(nir)
    np.testing.assert_allclose(got, Colorizer(unet, device="cpu").colorize(nir), atol=5e-3)


# --- memory and refusals


@pytest.mark.filterwarnings("ignore::nircolor.errors.NircolorWarning")
@pytest.mark.parametrize(
    "error",
    [
        MemoryError("no memory"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_out_of_memory_names_the_file_and_a_smaller_tile(tmp_path, unet, monkeypatch, error):
    def fail(*_args):
        raise error

    one = Colorizer(unet, tile_px=512)
    monkeypatch.setattr(one._engine, "_network", fail)
    path = save(tmp_path / "a.tif", noise(3, 30, 30))
    with pytest.raises(NircolorError, match=rf"{path}: out of memory with tiles of 512 px.*--tile 256"):
        one.colorize_file(path, tmp_path / "b.tif")
    assert not (tmp_path / "b.tif").exists()


# the second has convolutions that only training needs
@pytest.mark.parametrize("architecture", ["nirgnn", "structure_aware"])
def test_progress_of_a_tile_grows_to_one_and_can_stop_it(tmp_path, architecture):
    """Two threads share the network; each gets the progress of its own tile."""
    network = random_network(architecture)
    engine = open_engine(save_torch_model(tmp_path / "n.safetensors", network, architecture))
    heard = {16: [], 32: []}

    def call(side, seen):
        engine.run(_noise(3, side, side), None, lambda done, total: seen.append((done, total)))

    callers = [threading.Thread(target=call, args=each) for each in heard.items()]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    for seen in heard.values():
        assert len(seen) > 10
        assert seen == sorted(seen)
        assert seen[-1] == pytest.approx((1.0, 1.0))

    def leave(_done, _total):
        raise Cancelled

    with pytest.raises(Cancelled):
        engine.run(_noise(3, 16, 16), None, leave)


def test_a_tile_that_the_network_refuses_is_a_one_line_error(unet):
    with pytest.raises(NircolorError, match=rf"{unet}: fails on a tile of \(3, 17, 16\) \(nir: expected"):
        open_engine(unet).run(_noise(3, 17, 16), None)


def _rewritten(unet, path, edit):
    tensors, card = read_safetensors(unet)
    edit(tensors)
    write_safetensors(tensors, path, card)
    return path


def test_weights_that_do_not_fit_the_network(tmp_path, unet):
    names = sorted(read_safetensors(unet)[0])
    path = tmp_path / "a.safetensors"
    _refused(
        _rewritten(unet, path, lambda tensors: tensors.pop(names[0])),
        rf"expected the weights of unet, got 1 missing \({names[0]}\)$",
    )
    _refused(_rewritten(unet, path, dict.clear), rf"got {len(names)} missing \({names[0]}, …\)$")
    _refused(
        _rewritten(unet, path, lambda tensors: tensors.update(zzz=np.zeros(2, np.float32))),
        r"got 1 unknown \(zzz\)$",
    )
    _refused(
        _rewritten(unet, path, lambda tensors: tensors.update({names[0]: np.zeros((2, 5), np.float32)})),
        rf"expected {names[0]} of float32 \(\d+,\) for unet, got float32 \(2, 5\)$",
    )
    _refused(
        _rewritten(unet, path, lambda tensors: tensors.update({names[0]: tensors[names[0]].astype(int)})),
        rf"expected {names[0]} of float32 .* got int64",
    )


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"architecture": "vgg"}, "its network cannot be built .architecture vgg: expected one of "),
        ({"arguments": {"depth": 3}}, "cannot be built .architecture unet: .*depth"),
        ({"arguments": {"bands": 3, "width": -4}}, "cannot be built"),
        ({"arguments": {"bands": 3, "width": "wide"}}, "cannot be built"),
        ({"arguments": {"bands": 3, "width": 1 << 40}}, "cannot be built"),
        (
            {"arguments": {"bands": 3, "width": 4}},
            r"expected encoder.* of float32 \(4, 3, 3, 3\) for unet, got float32 \(6, 3, 3, 3\)",
        ),
        (
            {"bands": bands(4)},
            "expected a network with 4 bands and no context, as in its card, got 3 bands and no context",
        ),
        (
            {"context": Context(size_px=32)},
            "expected a network with 3 bands and a context of 32 px, as in its card, got 3 bands and no c",
        ),
    ],
)
def test_a_card_that_does_not_fit_the_network(tmp_path, change, match):
    path = save_torch_model(tmp_path / "a.safetensors", random_network("unet"), "unet", change)
    _refused(path, match)


def test_damaged_files_are_refused(tmp_path, unet):
    path = tmp_path / "a.safetensors"
    _refused(path, "no such model file")
    path.write_bytes(unet.read_bytes()[:-5])
    _refused(path, "cannot be loaded")


# --- what is loaded


def test_without_pytorch_the_error_names_the_install(unet, monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda _package: None)
    _refused(unet, r"runs in PyTorch needs more than the base install: .*\[train\]'")


def test_models_in_onnx_runtime_load_no_pytorch():
    code = (
        "import sys, numpy as np; from nircolor.inference import Colorizer\n"
        "Colorizer('scene').colorize(np.zeros((1, 16, 16), np.float32))\n"
        "assert not {'torch', 'lightning', 'safetensors'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@torch.no_grad()
def test_tiled_equals_whole_for_a_graph_network(tmp_path):
    """A distant pixel can change the choice of neighbours, so its influence does not fade with distance."""
    torch.manual_seed(0)
    network = NirGnn(width=12, rank=4, neighbours=4, window_px=7, bn_momentum=0.3).train()
    for _ in range(10):
        network(torch.rand(4, 1, 24, 24))
    network.eval()
    # the learned residual varies as much as the image
    nir = _noise(1, 48, 150)
    network.last.local.weight *= 0.3 / (network(torch.from_numpy(nir)[None]) - torch.from_numpy(nir)).std()
    change = {
        "arguments": {"width": 12, "rank": 4, "neighbours": 4, "window_px": 7, "bn_momentum": 0.3},
        "bands": bands(1),
    }

    def colorized(tile_px, **size):
        fields = change | {"size": Size(multiple_of=1, minimum=5, **size)}
        path = save_torch_model(tmp_path / "n.safetensors", network, "nirgnn", fields)
        return Colorizer(path, tile_px=tile_px).colorize(nir)

    assert network.overlap_px == 90
    enough = {"receptive_field_px": 45, "overlap_px": 90}
    whole = colorized(256, **enough)
    assert np.abs(colorized(145, **enough) - whole).max() < 5e-4
    # a smaller overlap makes a visible difference
    assert np.abs(colorized(145, receptive_field_px=30) - whole).max() > 2e-3
