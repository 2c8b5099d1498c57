"""Tests of device selection: a missing device is an error and is never replaced silently."""

import onnxruntime as ort
import pytest

from nircolor.errors import NircolorError
from nircolor.inference.engine import OnnxEngine, providers_for

_CPU, _CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


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
