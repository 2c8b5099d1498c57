"""Small data sets in the layouts of the real ones, and the shipped recipes, reduced to train on them."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from nircolor.pairs.recipe import read_recipe
from tests.training.shipped_recipes import ARCHITECTURE_OF, REPOSITORY, TINY, write_image


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """Tiny networks are much faster on one thread, above all where other tests run beside these."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def data_root(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    rows = []
    for i in range(8):
        nir, rgb = rng.integers(0, 256, (1, 64, 64), np.uint8), rng.integers(0, 256, (3, 64, 64), np.uint8)
        write_image(root / f"vcip2020/NIR/field_{i}_nir.png", nir)
        write_image(root / f"vcip2020/RGB-Registered/field_{i}_rgb_reg.png", rgb)
        write_image(root / f"pseudo_nir/targets/vcip2020/field_{i}_nir.png", nir.repeat(3, 0))
        # two images of each place; some of the places are in the other set too
        rows.append(("vcip2020", f"field_{i}", i // 2, "train", 0))
    for i in range(3):
        nir = rng.integers(0, 256, (1, 70, 90), np.uint8)
        write_image(root / f"epfl/street/{i}_nir.png", nir)
        write_image(root / f"pseudo_nir/targets/epfl/street/{i}_nir.png", nir.repeat(3, 0))
        write_image(root / f"epfl/street/{i}_rgb.jpg", rng.integers(0, 256, (3, 70, 90), np.uint8))
        rows.append(("epfl", f"street/{i}", i, "train", 0))
    for i in range(3):
        rgb = rng.integers(0, 256, (3, 64, 64), np.uint8)
        write_image(root / f"photographs/coast/{i}.jpg", rgb)
        write_image(root / f"pseudo_nir/images/coast/{i}.png", rgb[:1])
    mask = np.full((1, 70, 90), 255, np.uint8)
    mask[:, :, :40] = 0
    write_image(root / "epfl/street/0_mask.png", mask)
    with (root / "scenes.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("dataset", "pair", "scene_group", "split", "flag"), *rows])
    with (REPOSITORY / "recipes/splits/sentinel2.csv").open(newline="") as file:
        names = [row["pair"] for row in csv.DictReader(file)]
    for name in names[:30]:
        bands = rng.integers(0, 6000, (7, 64, 64), np.uint16)
        write_image(root / f"sentinel2/{name}.tif", bands, (665, 560, 490, 783, 842, 865, 945))
    for i in range(6):
        # colour that can be learned: a fixed function of the brightness
        nir = np.repeat(np.repeat(rng.integers(20, 236, (1, 16, 20), np.uint8), 4, 1), 4, 2)
        write_image(root / f"pairs/nir/a{i}_nir.png", nir)
        write_image(root / f"pairs/rgb/a{i}_rgb.tif", np.concatenate([nir, nir // 2, 255 - nir]))
    for i in range(6):
        bands = rng.integers(0, 10_000, (3, 64, 64), np.uint16)
        write_image(root / f"captures/nir/still_{i}.tif", bands, (780, 850, 940), 1e-4)
        write_image(root / f"captures/camera_nir/still_{i}.tif", bands[:1], (775,), 1e-4)
        write_image(root / f"captures/rgb/still_{i}.png", (bands // 40).astype("uint8"))
    return root


@pytest.fixture
def small_recipe(data_root):
    """A shipped recipe with a tiny network and the small data sets, saving every second step."""

    def write(
        name: str, folder: Path, steps: int, model: dict | None = None, callbacks: list[dict] | None = None
    ) -> Path:
        recipe = read_recipe(REPOSITORY / "recipes" / f"{name}.yaml")
        arguments = recipe["model"]["init_args"]
        architecture = arguments.get("architecture", ARCHITECTURE_OF[recipe["model"]["class_path"]])
        arguments["arguments"] = (arguments.get("arguments") or {}) | TINY[architecture]
        arguments |= model or {}
        recipe["data"] |= {"batch_size": 2, "tile_px": 32, "val_fraction": 0.3}
        recipe["trainer"] |= {"max_steps": steps, "log_every_n_steps": 1, "accelerator": "cpu"}
        recipe["trainer"]["default_root_dir"] = str(folder)
        recipe["trainer"]["callbacks"] = callbacks or []
        recipe["trainer"]["val_check_interval"] = 3
        recipe["checkpoint"] = {"train_time_interval": None, "every_n_train_steps": 2}
        text = yaml.safe_dump(recipe).replace("data/", f"{data_root}/").replace("FILL IN", "tests")
        text = text.replace("recipes/splits", str(REPOSITORY / "recipes/splits"))
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "recipe.yaml"
        path.write_text(text)
        return path

    return write
