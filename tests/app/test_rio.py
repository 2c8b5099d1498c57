"""`rio nircolor`: the plugin of rasterio's command line."""

import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from rasterio.rio.main import main_group
from rasterio.transform import from_origin

from nircolor.inference import Colorizer, Reading
from tests.tiny_models import THREE, make_card, save_model

ROOT = Path(__file__).parents[2]
helper = pytest.importorskip("onnx", reason="tiny models are made with onnx").helper


@pytest.fixture(scope="module")
def plugin():
    stated = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    ((name, value),) = stated["project"]["entry-points"]["rasterio.rio_plugins"].items()
    main_group.add_command(EntryPoint(name, value, "rasterio.rio_plugins").load())
    return lambda *words: CliRunner().invoke(main_group, ["nircolor", *map(str, words)])


@pytest.fixture
def scene(tmp_path):
    values = np.random.default_rng(0).integers(0, 5000, (3, 60, 50)).astype(np.uint16)
    with rasterio.open(
        tmp_path / "scene.tif", "w", driver="GTiff", height=60, width=50, count=3, dtype="uint16",
        crs="EPSG:32632", transform=from_origin(500_000, 5_000_000, 10, 10),
    ) as file:  # fmt: skip
        file.write(values)
        for i, band in enumerate(THREE, 1):
            file.update_tags(i, wavelength=band.center_nm, wavelength_units="nm")
    node = helper.make_node("Identity", ["nir"], ["rgb"])
    return tmp_path / "scene.tif", save_model(tmp_path / "m.onnx", make_card("same", bands=THREE), [node])


def test_the_result_is_that_of_colorize(plugin, scene, tmp_path):
    path, model = scene
    result = plugin(path, tmp_path / "b.tif", "--model", model, "--scale", 5000, "--no-reflectance")
    assert result.exit_code == 0, result.output
    Colorizer(model).colorize_file(path, tmp_path / "c.tif", reading=Reading(scale=5000, reflectance=False))
    assert (tmp_path / "b.tif").read_bytes() == (tmp_path / "c.tif").read_bytes()


def test_overwrite_and_creation_options(plugin, scene, tmp_path):
    path, model = scene
    words = (path, tmp_path / "b.tif", "-m", model, "--scale", 5000, "--no-reflectance")
    assert plugin(*words).exit_code == 0
    again = plugin(*words)
    assert again.exit_code == 2
    assert again.output.startswith(f"Error: {tmp_path / 'b.tif'}: exists already")
    assert plugin(*words, "--overwrite", "--co", "COMPRESS=LZW", "--co", "tiled=yes").exit_code == 0
    with rasterio.open(tmp_path / "b.tif") as file:
        assert file.compression.name == "lzw"
    assert plugin(*words, "--overwrite", "-f", "COG").exit_code == 0
    with rasterio.open(tmp_path / "b.tif") as file:
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("b.tif", "--driver", "HFA"), "--format: expected GTiff, COG, PNG or JPEG, got HFA"),
        (("b.png", "--driver", "COG"), "b.png: expected a name that ends in .tif for --format COG"),
        (("b.tif", "--co", "compress=unknown"), "cannot be written"),
        (("b.tif", "--bands", "nm"), "--bands: expected"),
    ],
)
def test_mistakes_are_one_line(plugin, scene, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    result = plugin(scene[0], words[0], "-m", scene[1], "--scale", 5000, "--no-reflectance", *words[1:])
    assert result.exit_code == 2
    assert result.output.startswith("Error: ")
    assert message in result.output
    assert len(result.output.splitlines()) == 1
    assert not Path(words[0]).exists()
