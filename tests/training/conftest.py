"""A small set in the layout of the real ones, and a recipe that trains on it in seconds."""

import csv
from pathlib import Path

import numpy as np
import pytest
import rasterio
import yaml

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

RECIPE = Path(__file__).parents[2] / "recipes" / "scene.yaml"


def write_picture(path: Path, bands: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    driver = "JPEG" if path.suffix == ".jpg" else "PNG"
    profile = {"driver": driver, "count": len(bands), "dtype": "uint8"}
    with rasterio.open(path, "w", height=bands.shape[1], width=bands.shape[2], **profile) as file:
        file.write(bands)


@pytest.fixture(scope="session")
def data_root(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    rows = []
    for i in range(8):
        nir, rgb = rng.integers(0, 256, (1, 64, 64), np.uint8), rng.integers(0, 256, (3, 64, 64), np.uint8)
        write_picture(root / f"vcip2020/NIR/field_{i}_nir.png", nir)
        write_picture(root / f"vcip2020/RGB-Registered/field_{i}_rgb_reg.png", rgb)
        # two pictures of each place, and some of these places in the other set too
        rows.append(("vcip2020", f"field_{i}", i // 2, "train", 0))
    for i in range(3):
        write_picture(root / f"epfl/street/{i}_nir.png", rng.integers(0, 256, (1, 70, 90), np.uint8))
        write_picture(root / f"epfl/street/{i}_rgb.jpg", rng.integers(0, 256, (3, 70, 90), np.uint8))
        rows.append(("epfl", f"street/{i}", i, "train", 0))
    mask = np.full((1, 70, 90), 255, np.uint8)
    mask[:, :, :40] = 0
    write_picture(root / "epfl/street/0_mask.png", mask)
    with (root / "scenes.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("dataset", "pair", "scene_group", "split", "flag"), *rows])
    return root


@pytest.fixture
def small_recipe(data_root):
    """The recipe that ships, with a small network on the small set, saving every second step in a folder."""

    def write(folder: Path, steps: int, callbacks: list[dict] | None = None) -> Path:
        recipe = yaml.safe_load(RECIPE.read_text())
        recipe["model"]["init_args"] |= {
            "network": {"context_width": 4, "widths": [4, 6], "context_px": 32},
            "warmup_steps": 2,
        }
        recipe["data"]["init_args"] |= {
            "root": str(data_root),
            "batch_size": 2,
            "tile_px": 32,
            "dev_fraction": 0.3,
        }
        trainer = recipe["trainer"]
        trainer |= {"max_steps": steps, "val_check_interval": 3, "log_every_n_steps": 1, "accelerator": "cpu"}
        trainer["default_root_dir"] = trainer["logger"]["init_args"]["save_dir"] = str(folder)
        saver = trainer["callbacks"][1]["init_args"]
        del saver["train_time_interval"]
        saver |= {"dirpath": str(folder / "checkpoints"), "every_n_train_steps": 2}
        trainer["callbacks"] += callbacks or []
        path = folder / "recipe.yaml"
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(recipe))
        return path

    return write
