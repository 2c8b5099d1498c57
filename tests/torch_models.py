"""Small networks of every architecture with random weights, as model files and as checkpoints."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from nircolor.modelfile import Band, Context, Size, write_safetensors
from nircolor.models import Network, build
from tests.tiny_models import make_card


class Bounded(Network):
    """A network whose fourth channel bounds the error of its colour."""

    receptive_field_px = 1
    error_quantile = 0.9

    def __init__(self, bands: int = 1) -> None:
        super().__init__()
        self.bands = bands
        self.conv = nn.Conv2d(bands, 4, 3, padding=1)

    def forward(self, nir: Tensor) -> Tensor:
        self.check(nir)
        return self.conv(nir)


_ARGUMENTS = {
    "scene": {"context_width": 4, "widths": [4, 6], "context_px": 32},
    "bounded": {"bands": 3},
    "convnext_unet": {"bands": 3, "widths": [4, 6]},
}


def arguments(architecture: str) -> dict[str, object]:
    """Of the constructor: three bands where the architecture takes more than one, and few channels."""
    return _ARGUMENTS.get(architecture, {"bands": 3, "width": 6})


def random_network(architecture: str) -> Network:
    """In eval mode, with all weights and statistics drawn, so that no layer is idle."""
    torch.manual_seed(0)
    network = build(architecture, arguments(architecture))
    for name, tensor in network.state_dict().items():
        if not tensor.is_floating_point():
            continue
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 2)
        elif not tensor.any() or name.endswith("running_mean"):
            # a decoder that starts at zero; drawn this large, it says enough to be rounded
            tensor.normal_(std=0.5 if name == "decoder.leave.weight" else 0.1)
    return network.eval()


def bands(count: int) -> tuple[Band, ...]:
    """Narrow ones, from 700 nm on."""
    return tuple(Band(center_nm=700 + 20 * i, fwhm_nm=10, tolerance_nm=5) for i in range(count))


def save_torch_model(
    path: Path, network: Network, architecture: str, change: Mapping[str, object] | None = None
) -> Path:
    """Write a network as ``.safetensors``; ``change`` goes over its card."""
    fields: dict[str, object] = {
        "bands": bands(network.bands),
        "architecture": architecture,
        "arguments": arguments(architecture),
        "engine": "torch",
        "size": Size(
            multiple_of=network.multiple_of,
            minimum=network.minimum_px,
            receptive_field_px=network.receptive_field_px,
            overlap_px=network.overlap_px,
        ),
        "context": None
        if network.context_px is None
        else Context(size_px=network.context_px, working_pixels=network.working_pixels),
        "error_quantile": network.error_quantile,
    }
    card = make_card("small", **(fields | dict(change or {})))
    write_safetensors({name: tensor.numpy() for name, tensor in network.state_dict().items()}, path, card)
    return path


def save_checkpoint(path: Path, network: Network, architecture: str, **card: object) -> Path:
    """What `nircolor train` leaves; ``card`` goes over what a recipe says."""
    licence = {"weights": "as you like", "training_data": "none"}
    said = {"name": "small", "summary": "for tests", "encoding": "reflectance", "licence": licence}
    said["bands"] = [band.model_dump() for band in bands(network.bands)]
    state = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    content = {
        "hyper_parameters": {
            "architecture": architecture,
            "arguments": arguments(architecture),
            "card": said | card,
            "learning_rate": 1e-3,
        },
        # what serves training alone, such as an edge network, lies beside
        "state_dict": state | {"edge.weight": torch.zeros(2)},
    }
    torch.save(content, path)
    return path
