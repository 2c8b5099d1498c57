"""Tests of device selection: a missing device is an error and is never replaced silently."""

import numpy as np
import onnxruntime as ort
import pytest

from nircolor.errors import NircolorError
from nircolor.inference.engine import OnnxEngine, providers_for, run_checked
from tests.tiny_models import bounded, make_card, per_pixel

_CPU, _CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


def test_the_channels_of_the_output_are_those_of_the_card(tmp_path):
    nir = np.full((1, 8, 8), 0.5, np.float32)
    output = OnnxEngine(bounded(tmp_path / "a.onnx")).run(nir, None)
    np.testing.assert_allclose(output[:, 0, 0], [0.5, 0.25, 0.5, 0.125])
    assert OnnxEngine(per_pixel(tmp_path / "b.onnx")).run(nir, None).shape == (3, 8, 8)
    # a card that claims a bound, and one that does not know of it
    per_pixel(tmp_path / "c.onnx", error_quantile=0.9)
    with pytest.raises(NircolorError, match=r"expected .* \(4, 8, 8\) from the network, got \(3, 8, 8\)"):
        OnnxEngine(tmp_path / "c.onnx").run(nir, None)
    card = make_card()
    with pytest.raises(NircolorError, match=r"expected .* \(3, 8, 8\) from the network, got \(4, 8, 8\)"):
        run_checked("tiny", card, nir, lambda: output)


def _available(monkeypatch, *providers):
    monkeypatch.setattr(ort, "get_available_providers", lambda: list(providers))


def test_auto_takes_the_available_devices_in_order(monkeypatch):
    _available(monkeypatch, "AzureExecutionProvider", _CPU)
    assert providers_for("auto") == [_CPU]
    _available(monkeypatch, _CPU, "OpenVINOExecutionProvider", _CUDA)
    assert providers_for("auto") == [_CUDA, "OpenVINOExecutionProvider", _CPU]


def test_a_named_device_falls_back_to_the_cpu_per_operator(monkeypatch):
    _available(monkeypatch, _CUDA, _CPU)
    assert providers_for("cuda") == [_CUDA, _CPU]
    assert providers_for("cpu") == [_CPU]


def test_a_missing_device_names_the_install(monkeypatch):
    _available(monkeypatch, _CPU)
    with pytest.raises(
        NircolorError, match=r"--device cuda: .* runs on cpu only \(pip install onnxruntime-gpu\)"
    ):
        providers_for("cuda")


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_device_that_does_not_start_is_an_error(monkeypatch, tiny):
    _available(monkeypatch, _CUDA, _CPU)
    with pytest.raises(NircolorError, match=r"--device cuda: .*cannot start"):
        OnnxEngine(tiny("per_pixel"), "cuda")
    OnnxEngine(tiny("per_pixel"), "auto")
