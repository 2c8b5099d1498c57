"""PyTorch engine, for networks that ONNX Runtime cannot run and networks in memory.

This is the only module of the package that imports torch.
"""

import copy
import os
import threading
from pathlib import Path
from typing import Self

import torch
from torch import nn

from nircolor.arrays import Floats
from nircolor.errors import NircolorError, first_line
from nircolor.inference.engine import Device, run_checked
from nircolor.modelfile import Card
from nircolor.models.loading import load_network
from nircolor.parallel import Progress


class TorchEngine:
    """A network in PyTorch; see `engine.Engine`.

    With several jobs, the number of PyTorch's threads is changed for the whole process: it is a global
    setting.

    Args:
        network: From (1, bands, h, w), and the context where the card asks for one, to the output that
            `engine.Engine.run` describes. It is moved to the device and set to eval mode.
        card: Its card.
        device: "auto", "cpu" or "cuda".
        jobs: Number of threads that will call the engine at the same time.
        name: Name or path of the model, for messages.

    Raises:
        NircolorError: The device is not available.
    """

    def __init__(self, network: nn.Module, card: Card, device: Device, jobs: int, name: Path | str) -> None:
        self.card, self._name = card, name
        self._device = _torch_device(name, device)
        try:
            self._network = network.eval().to(self._device)
        # the GPU is visible, but its driver fails or its memory is full
        except RuntimeError as error:
            raise NircolorError(
                f"--device {device}: PyTorch cannot start it ({first_line(error)})"
            ) from error
        if jobs > 1:
            # unlike in ONNX Runtime, each caller has threads of its own
            torch.set_num_threads(max(1, (os.cpu_count() or 1) // jobs))

        convolutions = [module for module in self._network.modules() if isinstance(module, nn.Conv2d)]
        for convolution in convolutions:
            convolution.register_forward_hook(self._count_convolution)
        self._step = 1 / max(1, len(convolutions))
        # several threads may run the network at the same time, each on its own tile
        self._caller = threading.local()

    @classmethod
    def from_file(cls, path: Path, device: Device = "auto", jobs: int = 1) -> Self:
        """Load a ``.safetensors`` model file. Arguments and errors as in `engine.open_engine`."""
        _torch_device(path, device)
        return cls(*load_network(path), device, jobs, path)

    @classmethod
    def from_network(cls, network: nn.Module, card: Card, device: Device = "auto", jobs: int = 1) -> Self:
        """Run a copy of a network, so that training or changing the original does not affect it."""
        return cls(copy.deepcopy(network), card, device, jobs, card.name)

    def run(self, nir: Floats, context: Floats | None, on_progress: Progress | None = None) -> Floats:
        """Colorize one tile; see `engine.Engine.run`.

        Reports progress after each convolution, because a megapixel through graph convolutions takes
        minutes. An exception of ``on_progress`` stops the run.
        """
        self._caller.on_progress, self._caller.done = on_progress, 0.0
        output = run_checked(self._name, self.card, nir, lambda: self._forward(nir, context))
        if on_progress is not None and self._caller.done < 1:
            # convolutions that are used in training only
            on_progress(1.0, 1.0)
        return output

    def _count_convolution(self, *_: object) -> None:
        caller = self._caller
        caller.done = min(1.0, caller.done + self._step)
        if caller.on_progress is not None:
            caller.on_progress(caller.done, 1.0)

    # inference mode is set per thread, and several threads call
    @torch.inference_mode()
    def _forward(self, nir: Floats, context: Floats | None) -> Floats:
        inputs = [nir] if context is None else [nir, context]
        batch = [torch.from_numpy(array)[None].to(self._device) for array in inputs]
        output: Floats = self._network(*batch)[0].float().cpu().numpy()
        return output


def _torch_device(name: Path | str, device: Device) -> torch.device:
    if device not in ("auto", "cpu", "cuda"):
        raise NircolorError(f"--device {device}: {name} runs in PyTorch, on cpu or cuda")
    has_cuda = torch.cuda.is_available()
    if device == "cuda" and not has_cuda:
        raise NircolorError(
            f"--device cuda: this PyTorch ({torch.__version__}) runs on cpu only "
            "(no GPU, no driver, or a build without CUDA: https://pytorch.org/get-started)"
        )
    return torch.device("cuda" if has_cuda and device != "cpu" else "cpu")
