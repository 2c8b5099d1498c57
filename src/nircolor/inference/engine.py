"""A model file behind one call: a tile and its context in, colour out, by what the file asks for."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nircolor.arrays import Floats
from nircolor.errors import NircolorError
from nircolor.extras import require
from nircolor.inference.answer import answer, untold
from nircolor.inference.devices import Device, providers_for
from nircolor.inference.streaming import Engine
from nircolor.modelfile import Card, engine_for, open_session


def open_engine(path: Path, device: Device = "auto", jobs: int = 1) -> Engine:
    """Load a model file into the engine that runs it.

    Args:
        path: of the model file.
        device: where to run it; "auto" takes the best that the engine has.
        jobs: threads that will call the engine at once; they share the cores.

    Raises:
        NircolorError: not a model file, the device is not there, or PyTorch is needed and not installed.
    """
    if engine_for(path) == "onnxruntime":
        return OnnxEngine(path, device, jobs)
    require("torch", extra="train", what=f"{path}: a model that runs in PyTorch")
    # here, since it takes three seconds to import
    from nircolor.inference.torch_engine import TorchEngine

    return TorchEngine(path, device, jobs)


class OnnxEngine:
    """A model file in ONNX Runtime; see `open_engine`."""

    def __init__(self, path: Path, device: Device = "auto", jobs: int = 1) -> None:
        self._path = path
        self._session: Any
        self.card: Card
        providers = providers_for(device)
        # the helpers of a session are shared by all that call it, and each caller works too
        threads = 0 if jobs == 1 else max(1, (os.cpu_count() or 1) - jobs + 1)
        self._session, self.card = open_session(path, providers=providers, threads=threads)
        # onnxruntime goes on without a provider whose libraries do not load
        if device != "auto" and self._session.get_providers()[0] != providers[0]:
            raise NircolorError(
                f"--device {device}: onnxruntime knows it but cannot start it (driver, libraries)"
            )

    def run(self, nir: Floats, context: Floats | None, on_part: Callable[[float], None] = untold) -> Floats:
        """Colour one tile, see `Engine`; ``on_part`` is called once, at the end.

        Raises NircolorError and MemoryError like `answer`.
        """
        feeds = {"nir": nir[None]}
        if context is not None:
            feeds["context"] = context[None]
        rgb = answer(self._path, nir, lambda: self._session.run(None, feeds)[0][0])
        on_part(1)
        return rgb
