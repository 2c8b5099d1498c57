"""Engines: run a model on one tile, in ONNX Runtime or in PyTorch."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from nircolor.arrays import Floats
from nircolor.errors import NircolorError
from nircolor.extras import require
from nircolor.modelfile import Card, engine_for, open_session, read_card
from nircolor.modelfile.files import onnx_reason
from nircolor.parallel import Progress

Device = Literal["auto", "cpu", "cuda", "coreml", "openvino"]

# execution providers of ONNX Runtime in order of preference, and how to install each
_PROVIDERS = {
    "cuda": ("CUDAExecutionProvider", "pip install onnxruntime-gpu"),
    "coreml": ("CoreMLExecutionProvider", "part of onnxruntime on macOS"),
    "openvino": ("OpenVINOExecutionProvider", "pip install onnxruntime-openvino"),
    "cpu": ("CPUExecutionProvider", "part of onnxruntime"),
}


class Engine(Protocol):
    """A model that is ready to run on tiles; see `OnnxEngine` and `torch_engine.TorchEngine`."""

    @property
    def card(self) -> Card:
        """The model's card."""
        ...

    def run(self, nir: Floats, context: Floats | None, on_progress: Progress | None = None) -> Floats:
        """Colorize one tile.

        Args:
            nir: (bands, h, w) in [0, 1], of a size that ``card.size`` allows.
            context: (bands + 4, s, s) as described by `modelfile.Context`, None for models without it.
            on_progress: Called with the finished fraction of the tile and 1.0, at least once at the end.

        Returns:
            (3, h, w) float32, not clipped; (4, h, w) for a card with an ``error_quantile``.

        Raises:
            NircolorError: The model does not run on this tile.
            MemoryError: The tile does not fit in memory.
        """
        ...


def open_engine(path: Path, device: Device = "auto", jobs: int = 1) -> Engine:
    """Load a model file into the engine that runs it.

    Args:
        path: Model file.
        device: Where to run it; "auto" takes the best device available.
        jobs: Number of threads that will call the engine at the same time; they share the CPU cores.

    Raises:
        NircolorError: Not a model file, the device is not available, or PyTorch is needed and not installed.
    """
    if engine_for(path) == "onnxruntime":
        return OnnxEngine(path, device, jobs)
    require("torch", extra="train", what=f"{path}: a model that runs in PyTorch")
    # a damaged file is refused before PyTorch is imported, which takes seconds
    read_card(path)
    from nircolor.inference.torch_engine import TorchEngine

    return TorchEngine.from_file(path, device, jobs)


class OnnxEngine:
    """A model file in ONNX Runtime. Arguments and errors as in `open_engine`."""

    def __init__(self, path: Path, device: Device = "auto", jobs: int = 1) -> None:
        self._path = path
        self._session: Any
        self.card: Card
        providers = providers_for(device)
        # the threads of a session are shared by all callers, and each caller's own thread computes too
        threads = 0 if jobs == 1 else max(1, (os.cpu_count() or 1) - jobs + 1)
        self._session, self.card = open_session(path, providers=providers, threads=threads)
        # onnxruntime silently drops a provider whose libraries fail to load
        if device != "auto" and self._session.get_providers()[0] != providers[0]:
            raise NircolorError(
                f"--device {device}: this onnxruntime supports it but cannot start it (driver, libraries)"
            )

    def run(self, nir: Floats, context: Floats | None, on_progress: Progress | None = None) -> Floats:
        """Colorize one tile; see `Engine.run`. Reports progress once, at the end."""
        feeds = {"nir": nir[None]}
        if context is not None:
            feeds["context"] = context[None]
        output = run_checked(self._path, self.card, nir, lambda: self._session.run(None, feeds)[0][0])
        if on_progress is not None:
            on_progress(1.0, 1.0)
        return output


def providers_for(device: Device) -> list[str]:
    """List ONNX Runtime's execution providers for a device, with the CPU last.

    Raises:
        NircolorError: The installed onnxruntime does not support the device.
    """
    import onnxruntime as ort

    available = ort.get_available_providers()
    wanted = list(_PROVIDERS) if device == "auto" else [device]
    unknown = set(wanted) - set(_PROVIDERS)
    if unknown:
        raise NircolorError(f"--device {device}: expected auto, {', '.join(_PROVIDERS)}")
    providers = [_PROVIDERS[name][0] for name in wanted if _PROVIDERS[name][0] in available]
    if not providers:
        here = ", ".join(name for name, (provider, _) in _PROVIDERS.items() if provider in available)
        raise NircolorError(
            f"--device {device}: this onnxruntime runs on {here} only ({_PROVIDERS[device][1]})"
        )
    return [*providers, *(["CPUExecutionProvider"] if "CPUExecutionProvider" not in providers else [])]


def run_checked(model: Path | str, card: Card, nir: Floats, run: Callable[[], Floats]) -> Floats:
    """Run a model on one tile, translate its errors and check the shape of its output.

    Args:
        model: Path or name of the model, for messages.
        card: Its card.
        nir: The tile (bands, h, w).
        run: Runs the model on the tile.

    Returns:
        (3 or 4, h, w) float32, see `Engine.run`.

    Raises:
        NircolorError: The model fails on the tile or returns another shape.
        MemoryError: The tile does not fit in memory.
    """
    try:
        output = run()
    except MemoryError:
        raise
    # the engines' exceptions have no common base class other than Exception
    except Exception as error:
        reason = onnx_reason(error)
        if "alloc" in reason or "out of memory" in reason:
            raise MemoryError(reason) from error
        raise NircolorError(f"{model}: fails on a tile of {nir.shape} ({reason})") from error
    shape = (card.channels, *nir.shape[1:])
    if output.shape != shape:
        raise NircolorError(
            f"{model}: expected an output of shape {shape} from the network, got {output.shape}"
        )
    if not np.isfinite(output).all():
        raise NircolorError(f"{model}: expected numbers from the network, got NaN or infinity")
    return output
