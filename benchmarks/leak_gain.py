"""Measure how far leaked photographs raise a score: train one network with and without them.

    python benchmarks/leak_gain.py --data data/vcip2020 -o results/leak_gain

The training pairs of the protocol (docs/protocol/vcip2020.csv) show no place of the evaluated ones. Further
runs add the evaluated photographs themselves, squashed as in the training folder of a published method: to
0.36 to 0.66 of their width and 0.53 to 1.0 of their height. All runs have the same network, steps, batches
and seed; the share of leaked images among the samples differs. The images are halved in size, so that one CPU
core trains a network in minutes. The report has one row per share.
"""

import argparse
import csv
import sys
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from skimage.io import imread, imsave
from skimage.transform import resize

import nircolor
from nircolor import losses, models
from nircolor.modelfile import Band, CardMetadata, Licence
from nircolor.pairs import Pair, read_pair
from nircolor.pairs.layouts import Folders, Vcip
from nircolor.training.sampling import Augmentation, ImagePair, draw_sample

TABLE = Path(__file__).parents[1] / "docs/protocol/vcip2020.csv"
# scales of the photographs in the training folder of SF-GPT, relative to the pairs of VCIP 2020
WIDTHS, HEIGHTS = (0.36, 0.66), (0.53, 1.0)
BATCH, TILE_PX, LEARNING_RATE = 8, 64, 2e-3
CARD = CardMetadata(
    name="leak-gain",
    summary="photographs in one broad near-infrared band, halved in size",
    bands=(Band(center_nm=850, fwhm_nm=250, tolerance_nm=125),),
    encoding="gamma",
    licence=Licence(weights="not for use", training_data="VCIP 2020 NIR colorization challenge"),
)


def main() -> None:
    """Train each network, evaluate all and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="VCIP 2020 in the challenge's layout")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the report")
    parser.add_argument(
        "--shares", type=float, nargs="+", default=[0.0, 0.08], help="shares of leaked images among samples"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--steps", type=int, default=1500)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with TemporaryDirectory() as folder:
        write_images(arguments.data, Path(folder))
        training, leaked = (read_images(Path(folder) / name) for name in ("train", "leaked"))
        shares, seeds = (" ".join(map(str, one)) for one in (arguments.shares, arguments.seeds))
        methods: dict[str, list[nircolor.Colorizer]] = {}
        for seed, share in product(arguments.seeds, arguments.shares):
            network = trained(training, leaked, share, seed, arguments.steps)
            methods.setdefault(label(share), []).append(
                nircolor.Colorizer.from_network(network, CARD, device="cpu")
            )
            # after each network, so that a run may be stopped early
            evaluation = nircolor.evaluate(
                methods,
                Folders(*sides(Path(folder) / "test"), table=TABLE),
                output=arguments.output,
                images=0,
                overwrite=True,
                command=f"python benchmarks/leak_gain.py --data {arguments.data} -o {arguments.output} "
                f"--steps {arguments.steps} --shares {shares} --seeds {seeds}",
            )
    print(evaluation)


def label(share: float) -> str:
    """Return the label of the runs with this share in the tables."""
    return f"{share:.0%} of samples leaked" if share else "no leak"


def write_images(data: Path, folder: Path) -> None:
    """Write the pairs of the protocol's splits: ``train``, ``test``, and ``leaked``, squashed from test."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        splits = {row["pair"]: row["split"] for row in csv.DictReader(file)}
    rng = np.random.default_rng(0)
    for pair in [*Vcip(data, "train").pairs(), *Vcip(data, "validation").pairs()]:
        split = splits[pair.name]
        if split in ("train", "val"):
            write_pair(pair, folder / "train", 0.5, 0.5)
        elif split == "test":
            write_pair(pair, folder / "test", 0.5, 0.5)
            write_pair(pair, folder / "leaked", 0.5 * rng.uniform(*HEIGHTS), 0.5 * rng.uniform(*WIDTHS))


def write_pair(pair: Pair, folder: Path, height: float, width: float) -> None:
    """Write a pair, scaled by ``height`` and ``width``, in 8 bits."""
    for source, target in zip((pair.nir, pair.rgb), sides(folder), strict=True):
        image = imread(source)
        shape = (round(image.shape[0] * height), round(image.shape[1] * width), *image.shape[2:])
        target.mkdir(parents=True, exist_ok=True)
        scaled = resize(image, shape, anti_aliasing=True)  # type: ignore[no-untyped-call]
        imsave(target / f"{pair.name}.png", np.rint(scaled * 255).astype(np.uint8), check_contrast=False)


def sides(folder: Path) -> tuple[Path, Path]:
    """Return the folders of the NIR and of the colour images."""
    return folder / "nir", folder / "rgb"


def read_images(folder: Path) -> list[ImagePair]:
    """Read all pairs of a folder."""
    return [
        ImagePair.from_arrays(pair.name, *read_pair(pair, CARD.bands))
        for pair in Folders(*sides(folder)).pairs()
    ]


def trained(
    training: Sequence[ImagePair], leaked: Sequence[ImagePair], share: float, seed: int, steps: int
) -> models.Network:
    """Train a small U-Net by its squared error, with averaged weights.

    Sample ``i`` of a seed takes the same random numbers for every share.
    """
    torch.manual_seed(seed)
    network = models.build("unet", {"bands": 1, "width": 12, "norm": "batch"})
    average = torch.optim.swa_utils.get_ema_multi_avg_fn(0.99)  # type: ignore[no-untyped-call]
    averaged = torch.optim.swa_utils.AveragedModel(network, multi_avg_fn=average, use_buffers=True)
    optimizer = torch.optim.Adam(network.parameters(), LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step in range(steps):
        samples = []
        for index in range(step * BATCH, (step + 1) * BATCH):
            rng = np.random.default_rng([seed, index])
            pairs = leaked if rng.random() < share else training
            samples.append(draw_sample(pairs[int(rng.random() * len(pairs))], rng, Augmentation(), TILE_PX))
        nir, rgb, valid = (
            torch.stack([torch.as_tensor(one[key]) for one in samples]) for key in ("nir", "rgb", "valid")
        )
        loss = losses.squared_error(network(nir), rgb, valid)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        averaged.update_parameters(network)
        if (step + 1) % 100 == 0:
            print(f"{label(share)}, seed {seed}: step {step + 1}, loss {loss.item():.4f}", file=sys.stderr)
    network.load_state_dict(averaged.module.state_dict())
    return network.eval()


if __name__ == "__main__":
    main()
