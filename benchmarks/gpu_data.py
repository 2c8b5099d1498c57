"""Data of `gpu_training`: store pairs in a few small files, read them, and draw batches on a GPU."""

import io
import json
import lzma
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

# files that an archive is split into
FILES = 4
# part of the places of VCIP 2020 on which learning rates are compared, and the crops that are
HELD_BACK, CROP_PX = 0.13, 96
# stored values are reflectance × 10,000; in colour, 1.0 is a reflectance of 0.3
NIR_SCALE, RGB_SCALE = 10_000, 3_000
LARGEST_STEPS = 200_000


def pack_vcip2020(data: Path, output: Path) -> None:
    """Store all training pairs as WebP without loss, NIR beside colour, in `FILES` archives."""
    from PIL import Image

    from nircolor.pairs import Vcip, split_pairs

    pairs = Vcip(data, table=data.parent / "scenes.csv", dataset="vcip2020").pairs()
    held_back = [pair.name for pair in split_pairs(pairs, HELD_BACK)[1]]
    (output / "pairs.json").write_text(json.dumps({"val": held_back}))
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


def pack_sentinel2(recipe: Path, output: Path) -> None:
    """Store the patches of a recipe: differences of adjacent pixels, compressed, and names by split."""
    from nircolor.pairs.opened_set import open_set
    from nircolor.training.data import ImagePairs

    opened = [open_set(recipe, role) for role in ("training", "evaluated")]
    pairs, bands = [pair for one in opened for pair in one.pairs], opened[0].bands or ()
    images = ImagePairs(pairs, bands, "reflectance", in_memory=False)
    scales = torch.tensor([NIR_SCALE] * len(bands) + [RGB_SCALE] * 3)[:, None, None]
    planes = torch.stack([(image.as_float()[:-1] * scales).round().short() for image in images]).numpy()
    (output / "patches.xz").write_bytes(lzma.compress(_residual(planes).tobytes(), preset=6))
    splits = {pair.name: pair.split for pair in pairs}
    (output / "patches.json").write_text(json.dumps({"shape": planes.shape, "splits": splits}))
    print(f"{len(pairs)} patches")


def _residual(planes: Any) -> Any:
    """Subtract from each value the one to the left, or in the first column the one above; bytes by place."""
    residual = planes.copy()
    residual[..., 1:] -= planes[..., :-1]
    residual[..., 1:, 0] -= planes[..., :-1, 0]
    residual = (residual << 1) ^ (residual >> 15)
    return np.stack([(residual & 255).astype(np.uint8), (residual >> 8).astype(np.uint8)])


def _planes(residual: Any) -> Any:
    """Revert `_residual`."""
    low, high = residual.astype(np.uint16)
    folded = low | high << 8
    planes = (folded >> 1).astype(np.int16) ^ -(folded & 1).astype(np.int16)
    planes[..., 0] = planes[..., 0].cumsum(-1, dtype=np.int16)
    return planes.cumsum(-1, dtype=np.int16)


class Patches(NamedTuple):
    """Planes, NIR before colour, on the device.

    Attributes:
        train: (pairs, bands + 3, h, w), uint8 or int16.
        val: The same, for validation.
        test: The same, to be colorized.
        scales: (bands + 3, 1, 1), what 1.0 is stored as.
        names: Names of the test patches.
    """

    train: Tensor
    val: Tensor
    test: Tensor
    scales: Tensor
    names: Sequence[str] = ()


def load_vcip2020(folder: Path, device: torch.device, hold_back: bool = False) -> Patches:
    """Read packed pairs, all for training unless some are held back for validation."""
    from PIL import Image

    pairs = {}
    for path in sorted(folder.glob("pairs_*.npz")):
        with np.load(path) as archive:
            for name in {key.rpartition("/")[0] for key in archive.files}:
                nir, rgb = (
                    np.asarray(Image.open(io.BytesIO(archive[f"{name}/{key}"].tobytes())))
                    for key in ("nir", "rgb")
                )
                pairs[name] = np.concatenate([nir[..., :1], rgb], 2).transpose(2, 0, 1)
    if not pairs:
        raise SystemExit(f"{folder}: expected pairs_*.npz as `pack` writes them, found none")
    val = set(json.loads((folder / "pairs.json").read_text())["val"]) if hold_back else set()
    scales = torch.full((4, 1, 1), 255.0, device=device)
    train, held_back = (
        torch.from_numpy(np.stack([pairs[name] for name in sorted(names)])).to(device)
        if names
        else torch.empty(0, 4, CROP_PX, CROP_PX, device=device)
        for names in (pairs.keys() - val, val)
    )
    return Patches(train, held_back[..., :CROP_PX, :CROP_PX], held_back[:0], scales)


def load_sentinel2(folder: Path, device: torch.device) -> Patches:
    """Read packed patches."""
    about = json.loads((folder / "patches.json").read_text())
    raw = np.frombuffer(lzma.decompress((folder / "patches.xz").read_bytes()), np.uint8)
    planes = torch.from_numpy(_planes(raw.reshape(2, *about["shape"]))).to(device)
    splits = np.array(list(about["splits"].values()))
    train, val, test = (
        planes[torch.from_numpy(np.flatnonzero(splits == s)).to(device)] for s in ("train", "val", "test")
    )
    scales = torch.tensor([NIR_SCALE] * (len(planes[0]) - 3) + [RGB_SCALE] * 3, device=device)[:, None, None]
    names = [name for name, split in about["splits"].items() if split == "test"]
    return Patches(train, val, test, scales, names)


def unpack(archive: Path, output: Path) -> None:
    """Write colorized patches as PNG, in one folder for each row."""
    from PIL import Image

    with np.load(archive) as rows:
        for key in rows.files:
            row, _, name = key.rpartition("/")
            (output / row).mkdir(parents=True, exist_ok=True)
            Image.open(io.BytesIO(rows[key].tobytes())).save(output / row / f"{name}.png")


@dataclass
class Batches:
    """Random batches, the same for all rows; a batch is a function of seed and step alone.

    Args:
        patches: The data.
        size: Patches per batch.
        side_px: Side of the crops.
        turn: Mirror and rotate by multiples of 90°.
        seed: Seed of the batches.
    """

    patches: Patches
    size: int
    side_px: int
    turn: bool
    seed: int
    # of all steps: index of the patch, top, left and turn
    table: Tensor = field(init=False)
    turned: Tensor = field(init=False)

    def __post_init__(self) -> None:
        count, _, height, width = self.patches.train.shape
        generator, device = torch.Generator().manual_seed(self.seed), self.patches.train.device
        limits = count, height - self.side_px + 1, width - self.side_px + 1, 8 if self.turn else 1
        draws = [torch.randint(n, (LARGEST_STEPS, self.size), generator=generator) for n in limits]
        self.table = torch.stack(draws, 1).to(device)
        grid = torch.arange(self.side_px**2).view(self.side_px, self.side_px)
        self.turned = torch.stack([g.rot90(t) for g in (grid, grid.flip(1)) for t in range(4)]).to(device)

    def draw(self, step: Tensor) -> tuple[Tensor, Tensor]:
        """Draw the batch of a step (a tensor of one number): NIR and colour in [0, 1]."""
        index, top, left, turn = self.table[step].squeeze(0)
        pixel = self.turned[turn]
        rows, columns = pixel // self.side_px + top[:, None, None], pixel % self.side_px + left[:, None, None]
        planes = torch.arange(self.patches.train.shape[1], device=index.device)[None, :, None, None]
        values = self.patches.train[index[:, None, None, None], planes, rows[:, None], columns[:, None]]
        images = values.float() / self.patches.scales
        return images[:, :-3], images[:, -3:]
