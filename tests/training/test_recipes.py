"""Every shipped recipe trains, and its network can be built at full size."""

from copy import deepcopy
from pathlib import Path

import pytest
import torch
import yaml

from nircolor.errors import NircolorError
from nircolor.modelfile import Card, Size
from nircolor.models import build
from nircolor.pairs.recipe import read_recipe
from nircolor.training.cli import train_from_arguments as train
from tests.training.shipped_recipes import ARCHITECTURE_OF, RECIPES

NAMES = [path.stem for path in RECIPES]
BY_NAME = {path.stem: read_recipe(path) for path in RECIPES}


def arguments(name: str) -> dict:
    return BY_NAME[name]["model"]["init_args"]


def architecture(name: str) -> str:
    return arguments(name).get("architecture", ARCHITECTURE_OF[BY_NAME[name]["model"]["class_path"]])


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_trains(tmp_path, small_recipe, name):
    train(["--config", str(small_recipe(name, tmp_path, steps=1))])
    checkpoint = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["hyper_parameters"]["architecture"] == architecture(name)


@pytest.mark.parametrize("name", NAMES)
def test_the_network_at_full_size_matches_the_card(name):
    with torch.device("meta"):
        network = build(architecture(name), arguments(name).get("arguments"))
    data = BY_NAME[name]["data"]
    assert data["tile_px"] % network.multiple_of == 0
    card = Card(
        **arguments(name)["card"],
        architecture=architecture(name),
        arguments={},
        size=Size(
            multiple_of=network.multiple_of,
            minimum=network.minimum_px,
            receptive_field_px=network.receptive_field_px,
        ),
        bytes_per_px=1,
        multiply_adds_per_px=1,
    )
    assert len(card.bands) == network.bands
    assert card.name == ("mine" if name.startswith("pairs") else name)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("nirgnn", 2_173_101),
        ("cnn", 2_165_917),
        ("unet-1band", 31_030_723),
        ("sshape-1band", 13_390_339),
        # two branches and the scale map
        ("structure_aware-3bands", 77_720_708 + 38_721),
    ],
)
def test_recipes_of_the_papers_have_the_published_networks(name, parameters):
    with torch.device("meta"):
        network = build(architecture(name), arguments(name).get("arguments"))
    assert sum(p.numel() for p in network.parameters()) == parameters


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith("-small")])
def test_a_small_version_differs_only_in_its_budget(name):
    """Same data, task and bands as the full recipe."""
    row = name.removesuffix("-small")
    full, small = BY_NAME[row.split("-no_")[0]], BY_NAME[name]
    for recipe in (full, small):
        assert recipe["model"]["class_path"] == full["model"]["class_path"]
    assert architecture(name) == architecture(row.split("-no_")[0])
    for key in ("bands", "encoding", "licence"):
        assert full["model"]["init_args"]["card"][key] == small["model"]["init_args"]["card"][key]
    paths = [
        {key: value for key, value in paired["init_args"].items() if key not in ("table", "dataset")}
        for recipe in (full, small)
        for paired in recipe["data"]["sets"]
    ]
    assert paths[0] == paths[1]
    assert small["trainer"]["max_steps"] < full["trainer"]["max_steps"] / 10


def test_the_satellite_recipes_differ_only_in_bands_levels_and_even_images():
    three, one = (deepcopy(BY_NAME[name]) for name in ("satellite", "satellite-1band"))
    for recipe in (three, one):
        for key in ("name", "summary", "bands"):
            del recipe["model"]["init_args"]["card"][key]
        assert recipe["model"]["init_args"].pop("arguments").keys() == {"bands", "widths"}
        del recipe["data"]["augmentation"]["coarse"]
    assert three == one


def test_rows_of_one_table_have_one_budget():
    for ending in ("1band", "3bands", "1band-small", "3bands-small"):
        rows = [BY_NAME[f"{network}-{ending}"] for network in ("unet", "sshape", "structure_aware")]
        for row in rows[1:]:
            assert row["data"] == rows[0]["data"]
            assert row["trainer"] == rows[0]["trainer"]
            assert row["ema"] == rows[0]["ema"]


PRINTED = [
    name
    for name in NAMES
    if name.startswith(("nirgnn", "cnn", "unet", "sshape", "structure_aware")) and not name.endswith("-small")
]


@pytest.mark.parametrize("name", PRINTED)
def test_rows_as_printed_have_no_averaged_weights_and_no_flips(name):
    assert BY_NAME[name]["ema"] == {"decay": 0}
    assert BY_NAME[name]["data"]["augmentation"] == {"flip": False}


def test_the_command_reads_a_recipe_with_a_base(tmp_path, small_recipe, monkeypatch):
    """Merged, found relative to the file, and the run is named after the recipe."""
    recipe = small_recipe("unet-3bands", tmp_path / "lib", steps=1)
    content = yaml.safe_load(recipe.read_text())
    del content["trainer"]["default_root_dir"]
    recipe.write_text(yaml.safe_dump(content))
    mine = tmp_path / "mine.yaml"
    mine.write_text("base: lib/recipe.yaml\nmodel: {init_args: {card: {name: mine}, learning_rate: 3e-4}}\n")
    monkeypatch.chdir(tmp_path)
    last = train(["--config=mine.yaml", "--ema.decay", "null"])
    assert last.relative_to(tmp_path) == Path("runs/mine/checkpoints/last.ckpt")
    config = yaml.safe_load(Path("runs/mine/config.yaml").read_text())
    assert config["model"]["init_args"]["learning_rate"] == 3e-4
    assert config["model"]["class_path"].endswith("ContentTask")
    last = torch.load("runs/mine/checkpoints/last.ckpt", weights_only=True)
    assert last["hyper_parameters"]["card"]["name"] == "mine"
    assert last["hyper_parameters"]["card"]["encoding"] == "reflectance"
    # without averaging, the saved weights are the current ones
    for key, value in last["current_model_state"].items():
        assert torch.equal(last["state_dict"][key], value)


@pytest.mark.parametrize("decay", ["1", "-0.5"])
def test_an_invalid_decay_is_refused(tmp_path, small_recipe, decay):
    with pytest.raises(NircolorError, match=r"ema[.]decay: expected a number from 0 to less than 1"):
        train(["--config", str(small_recipe("unet-3bands", tmp_path, steps=1)), "--ema.decay", decay])
