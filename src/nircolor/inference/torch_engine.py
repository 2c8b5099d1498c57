"""A model file in PyTorch, for networks that ONNX Runtime cannot run; the one file here to import torch."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import torch

from nircolor.arrays import Floats
from nircolor.errors import NircolorError, first_line
from nircolor.inference.answer import answer, untold
from nircolor.inference.devices import Device
from nircolor.models.loading import load_network


class TorchEngine:
    """A model file in PyTorch; see `inference.engine.open_engine`.

    With several jobs, PyTorch's number of threads is set for the whole process: it has no other.
    """

    def __init__(self, path: Path, device: Device = "auto", jobs: int = 1) -> None:
        self._path = path
        self._device = _torch_device(path, device)
        network, self.card = load_network(path)
        try:
            self._network = network.to(self._device)
        # PyTorch knows the GPU, but its driver fails or its memory is full
        except RuntimeError as error:
            raise NircolorError(
                f"--device {device}: PyTorch cannot start it ({first_line(error)})"
            ) from error
        if jobs > 1:
            # unlike ONNX Runtime's, each caller's helpers are its own
            torch.set_num_threads(max(1, (os.cpu_count() or 1) // jobs))

        convolutions = [module for module in self._network.modules() if isinstance(module, torch.nn.Conv2d)]
        for convolution in convolutions:
            convolution.register_forward_hook(self._convolved)
        self._share = 1 / max(1, len(convolutions))
        # callers of several threads share the network
        self._caller = threading.local()

    def run(self, nir: Floats, context: Floats | None, on_part: Callable[[float], None] = untold) -> Floats:
        """Colour one tile, see `Engine`; ``on_part`` is called after each convolution.

        A megapixel through graph convolutions takes minutes: long without a sign, and long until Ctrl-C.

        Raises NircolorError and MemoryError like `answer`, and what ``on_part`` raises.
        """
        self._caller.on_part, self._caller.untold = on_part, 1.0
        rgb = answer(self._path, nir, lambda: self._forward(nir, context))
        # convolutions that only training needs
        on_part(self._caller.untold)
        return rgb

    def _convolved(self, *_: object) -> None:
        share = min(self._share, self._caller.untold)
        self._caller.untold -= share
        self._caller.on_part(share)

    # inference mode belongs to a thread, and several call
    @torch.inference_mode()
    def _forward(self, nir: Floats, context: Floats | None) -> Floats:
        inputs = [nir] if context is None else [nir, context]
        batch = [torch.from_numpy(array)[None].to(self._device) for array in inputs]
        rgb: Floats = self._network(*batch)[0].cpu().numpy()
        return rgb


def _torch_device(path: Path, device: Device) -> torch.device:
    if device not in ("auto", "cpu", "cuda"):
        raise NircolorError(f"--device {device}: {path} runs in PyTorch, on cpu or cuda")
    has_cuda = torch.cuda.is_available()
    if device == "cuda" and not has_cuda:
        raise NircolorError(
            f"--device cuda: this PyTorch ({torch.__version__}) runs on cpu only "
            "(no GPU, no driver, or a build without CUDA: https://pytorch.org/get-started)"
        )
    return torch.device("cuda" if has_cuda and device != "cpu" else "cpu")
