"""Where networks run: ONNX Runtime's execution providers by the names users know."""

from typing import Literal

from nircolor.errors import NircolorError

Device = Literal["auto", "cpu", "cuda", "coreml", "openvino"]

# in the order of preference
_PROVIDERS = {
    "cuda": ("CUDAExecutionProvider", "pip install onnxruntime-gpu"),
    "coreml": ("CoreMLExecutionProvider", "it comes with onnxruntime on macOS"),
    "openvino": ("OpenVINOExecutionProvider", "pip install onnxruntime-openvino"),
    "cpu": ("CPUExecutionProvider", "it comes with onnxruntime"),
}


def providers_for(device: Device) -> list[str]:
    """ONNX Runtime's providers for a device, the CPU always last.

    Raises:
        NircolorError: the installed onnxruntime cannot run there.
    """
    import onnxruntime as ort

    available = ort.get_available_providers()
    wanted = list(_PROVIDERS) if device == "auto" else [device]
    providers = [_PROVIDERS[name][0] for name in wanted if _PROVIDERS[name][0] in available]
    if not providers:
        here = ", ".join(name for name, (provider, _) in _PROVIDERS.items() if provider in available)
        raise NircolorError(
            f"--device {device}: this onnxruntime runs on {here} only ({_PROVIDERS[device][1]})"
        )
    return [*providers, *(["CPUExecutionProvider"] if "CPUExecutionProvider" not in providers else [])]
