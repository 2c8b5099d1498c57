"""Train NIR-GNN and its CNN at full width on one GPU, for as many steps as the time allows.

    python benchmarks/gpu_training.py pack data/vcip2020 -o packed/
    python benchmarks/gpu_training.py train packed/ --minutes 7 -o trained/

`pack` stores the training pairs of VCIP 2020 without loss in a few small files. `train` needs only PyTorch,
Pillow and the networks of this package. It compares the gradients of a graph convolution with those of the
direct formula in float32 and bfloat16, times a step of each network, and trains both for the number of steps
that fits. The setting is the paper's (P2, section IV): batches of 10 patches of 42 × 42, squared error, Adam,
learning rate 1e-4 to 1e-5 in an exponential decay over the run, no augmentation, no averaged weights. Output:
weights (`.pt`), loss curves (CSV) and a summary (JSON).
"""

import argparse
import csv
import io
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from nircolor.models import Network, build

PATCHES, PATCH_PX = 10, 42
FIRST_RATE, LAST_RATE = 1e-4, 1e-5
# share of the time that is kept for loading, saving and noise
RESERVE = 0.08
TIMED_STEPS = 30
LOGGED_EVERY = 100
FILES = 4
ARGUMENTS: dict[str, dict[str, Any]] = {"nirgnn": {}, "cnn": {"width": 129}}
# in fewer steps, the slow running statistics of the paper's code still depend on their initial values
FEW_STEPS, FAST_MOMENTUM = 20_000, 0.1


def main() -> None:
    """Run one of the two commands."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name, data in (("pack", "folder of VCIP 2020"), ("train", "folder of packed pairs")):
        command = commands.add_parser(name)
        command.add_argument("data", type=Path, help=data)
        command.add_argument("-o", "--output", type=Path, required=True)
    commands.choices["train"].add_argument(
        "--minutes", type=float, default=7, help="for both networks together"
    )
    commands.choices["train"].add_argument("--device", default="cuda")
    commands.choices["train"].add_argument("--steps", type=int, help="instead of --minutes")
    commands.choices["train"].add_argument("--width", type=int, help="smaller networks, for a trial on a CPU")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    if arguments.command == "pack":
        pack(arguments.data, arguments.output)
    else:
        pairs = load(arguments.data, torch.device(arguments.device))
        train_both(pairs, arguments.output, arguments.minutes, arguments.steps, arguments.width)


def pack(data: Path, output: Path) -> None:
    """Store all training pairs as WebP without loss, NIR beside colour, in `FILES` archives."""
    from PIL import Image

    names = sorted(path.name.removesuffix("_nir.png") for path in (data / "NIR").glob("*_nir.png"))
    for part in range(FILES):
        encoded = {}
        for name in names[part::FILES]:
            nir = Image.open(data / "NIR" / f"{name}_nir.png").convert("RGB")
            rgb = Image.open(data / "RGB-Registered" / f"{name}_rgb_reg.png").convert("RGB")
            for key, image in (("nir", nir), ("rgb", rgb)):
                stream = io.BytesIO()
                image.save(stream, "WEBP", lossless=True, quality=100, method=3)
                encoded[f"{name}/{key}"] = np.frombuffer(stream.getvalue(), np.uint8)
        np.savez(output / f"pairs_{part}.npz", **encoded)  # type: ignore[arg-type]
    print(f"{len(names)} pairs")


def load(folder: Path, device: torch.device) -> Tensor:
    """Read all packed pairs: (pairs, 4, h, w) uint8, NIR, red, green and blue."""
    from PIL import Image

    pairs = []
    for path in sorted(folder.glob("pairs_*.npz")):
        with np.load(path) as archive:
            for name in sorted({key.rpartition("/")[0] for key in archive.files}):
                nir, rgb = (
                    np.asarray(Image.open(io.BytesIO(archive[f"{name}/{key}"].tobytes())))
                    for key in ("nir", "rgb")
                )
                pairs.append(np.concatenate([nir[..., :1], rgb], 2).transpose(2, 0, 1))
    if not pairs:
        raise SystemExit(f"{folder}: expected pairs_*.npz as `pack` writes them, found none")
    return torch.from_numpy(np.stack(pairs)).to(device)


def draw(pairs: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw random patches: NIR (N, 1, h, w) and colour (N, 3, h, w) in [0, 1]."""
    count, _, height, width = pairs.shape
    indices = torch.randint(count, (PATCHES,), generator=generator)
    tops = torch.randint(height - PATCH_PX + 1, (PATCHES,), generator=generator)
    lefts = torch.randint(width - PATCH_PX + 1, (PATCHES,), generator=generator)
    patches = [
        pairs[i, :, top : top + PATCH_PX, left : left + PATCH_PX]
        for i, top, left in zip(indices.tolist(), tops.tolist(), lefts.tolist(), strict=True)
    ]
    batch = torch.stack(patches).float() / 255
    return batch[:, :1], batch[:, 1:]


class Trainer:
    """A network with its optimizer; the learning rate is a function of the step alone."""

    def __init__(self, network: Network, pairs: Tensor, seed: int = 0) -> None:
        self.network = network.to(pairs.device).train()
        self.optimizer = torch.optim.Adam(network.parameters(), FIRST_RATE)
        self.pairs, self.generator = pairs, torch.Generator().manual_seed(seed)

    def step(self, done: float) -> Tensor:
        """Take one step at ``done`` (0 to 1) of the run; return the loss, still on the device."""
        for group in self.optimizer.param_groups:
            group["lr"] = FIRST_RATE * (LAST_RATE / FIRST_RATE) ** done
        nir, rgb = draw(self.pairs, self.generator)
        self.optimizer.zero_grad(set_to_none=True)
        loss = F.mse_loss(self.network(nir), rgb)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return loss.detach()


def train_both(pairs: Tensor, output: Path, minutes: float, steps: int | None, width: int | None) -> None:
    """Train both networks for the same number of steps and write the results."""
    start = time.perf_counter()
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    arguments = {name: {} if width else dict(given) for name, given in ARGUMENTS.items()}
    if width:
        arguments = {name: {"width": width} for name in ARGUMENTS}
    summary: dict[str, Any] = {"device": device_name(pairs.device), "torch": torch.__version__}
    summary["gradients"] = gradient_errors(pairs.device)
    print(json.dumps(summary, indent=1), flush=True)
    seconds = {name: seconds_per_step(build(name, given), pairs) for name, given in arguments.items()}
    summary["ms_per_step"] = {name: 1e3 * value for name, value in seconds.items()}
    print(summary["ms_per_step"], flush=True)
    if steps is None:
        left = minutes * 60 * (1 - RESERVE) - (time.perf_counter() - start)
        steps = max(1, int(left / sum(seconds.values())))
    summary["steps"] = steps
    if steps < FEW_STEPS:
        for given in arguments.values():
            given["bn_momentum"] = FAST_MOMENTUM
    for name, given in arguments.items():
        torch.manual_seed(0)
        network = build(name, given)
        began = time.perf_counter()
        curve = train(Trainer(network, pairs), steps)
        summary[name] = {
            "arguments": given,
            "parameters": sum(p.numel() for p in network.parameters()),
            "seconds": time.perf_counter() - began,
            "last_loss": curve[-1][1],
        }
        torch.save({"arguments": given, "weights": network.cpu().state_dict()}, output / f"{name}.pt")
        with (output / f"{name}_loss.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("step", "loss"), *curve])
        (output / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
        print(name, summary[name], flush=True)


def train(trainer: Trainer, steps: int) -> list[tuple[int, float]]:
    """Train for a number of steps; return (step, mean loss since the row before)."""
    curve: list[tuple[int, float]] = []
    losses: list[Tensor] = []
    for step in range(steps):
        losses.append(trainer.step(step / steps))
        if (step + 1) % LOGGED_EVERY == 0 or step + 1 == steps:
            curve.append((step + 1, float(torch.stack(losses).mean())))
            losses = []
    return curve


def seconds_per_step(network: Network, pairs: Tensor) -> float:
    """Return the median duration of a step, without the first steps, which compile and warm up."""
    trainer, times = Trainer(network, pairs), []
    for step in range(TIMED_STEPS + 10):
        begun = time.perf_counter()
        float(trainer.step(0))
        if step >= 10:
            times.append(time.perf_counter() - begun)
    return statistics.median(times)


def gradient_errors(device: torch.device) -> dict[str, float]:
    """Compute the largest error of a graph convolution's gradients in float32 and under bfloat16 autocast.

    Relative, for each tensor, to the largest gradient of the direct formula in float64.
    """
    from nircolor.models.graph import GraphConv, nearest
    from nircolor.models.graph.edge_sums import in_blocks
    from nircolor.models.graph.edges import direct

    torch.manual_seed(0)
    layer = GraphConv(33, 33, 5, 10.0).to(device)
    h = torch.randn(2, 33, 24, 24, device=device)
    graph, weights = nearest(h, 8), torch.randn(2, 33, 24, 24, device=device)

    def gradients(dtype: torch.dtype, autocast: bool, formula: bool) -> list[Tensor]:
        converted = layer.to(dtype)
        features = h.to(dtype).requires_grad_()
        with torch.autocast(device.type, torch.bfloat16, enabled=autocast):
            if formula:
                sums = in_blocks(features, graph, converted.edge_network(), direct)
                out = (converted.local(features) + sums) / 2 + converted.bias[:, None, None]
            else:
                out = converted(features, graph)
            loss = (out.to(weights.dtype) * weights).sum()
        return [g.double() for g in torch.autograd.grad(loss, [features, *converted.parameters()])]

    exact = gradients(torch.float64, False, True)
    errors = {}
    for name, autocast in (("float32", False), ("bfloat16", True)):
        got = gradients(torch.float32, autocast, False)
        errors[name] = max(
            float((a - b).abs().max() / b.abs().max()) for a, b in zip(got, exact, strict=True)
        )
    return errors


def device_name(device: torch.device) -> str:
    """Return the name of the GPU, or the device's type."""
    return torch.cuda.get_device_name() if device.type == "cuda" else device.type


if __name__ == "__main__":
    main()
