"""Commands on products, sets and lists of bands."""

import json
import shutil

import numpy as np
import pytest

from nircolor.imagery import open_raster
from tests.imagery.imagery_samples import load, names, noise, save
from tests.imagery.stacks.products import georeferenced, landsat, micasense, safe


@pytest.fixture(scope="module")
def product(tmp_path_factory):
    """A Sentinel-2 product with the bands that the model satellite needs, and one that it does not."""
    return safe(tmp_path_factory.mktemp("s2"), bands=("B07", "B08", "B09", "B04"))


def test_a_sentinel2_product_is_colorized(nircolor, product, tmp_path):
    assert nircolor("colorize", product, "-o", tmp_path, "-m", "satellite").code == 0
    pixels, profile = load(tmp_path / f"{product.stem}.tif")
    assert pixels.shape == (3, 120, 120)
    assert profile["dtype"] == "uint16"
    assert profile["transform"].a == 10
    assert profile["crs"].to_epsg() == 32632
    assert nircolor("colorize", product, "-o", tmp_path, "-m", "satellite", "--skip-existing").code == 0


@pytest.mark.parametrize("given", [".", "MTD_MSIL2A.xml", "GRANULE/.."])
def test_the_folder_in_which_the_command_runs_is_a_product(nircolor, product, tmp_path, monkeypatch, given):
    monkeypatch.chdir(product)
    assert nircolor("colorize", given, "-o", tmp_path, "-m", "satellite").code == 0
    assert names(tmp_path) == [f"{product.stem}.tif"]


def test_a_product_is_what_a_file_of_its_bands_is(nircolor, product, tmp_path):
    with open_raster(product) as raster:
        used = [raster.names.index(name) for name in ("B07", "B08", "B09")]
        values, _ = raster.read(None, used)
    save(tmp_path / "same.tif", values, **georeferenced(10))
    common = ("-m", "satellite", "--depth", "16")
    nircolor("colorize", tmp_path / "same.tif", "-o", tmp_path / "a.tif", "--bands", "783,842,945", *common)
    nircolor("colorize", product, "-o", tmp_path / "b.tif", *common)
    a, b = load(tmp_path / "a.tif")[0], load(tmp_path / "b.tif")[0]
    assert np.abs(a.astype(int) - b).max() <= 2


def test_a_folder_is_a_batch_of_products_and_sets(nircolor, product, tmp_path):
    shutil.copytree(product, tmp_path / "in" / product.name)
    landsat(tmp_path / "in")
    micasense(tmp_path / "in")
    # nothing of this scene fits the model
    broken = shutil.copytree(product, tmp_path / "in" / product.name.replace("T32TMT", "T32TNT"))
    next(broken.rglob("*_B09_60m.jp2")).unlink()
    outcome = nircolor("colorize", tmp_path / "in", "-o", tmp_path / "out", "-m", "satellite")
    assert outcome.code == 1
    assert names(tmp_path / "out") == [f"{product.stem}.tif"]
    assert "expected a band at 945 ± 15 nm for model satellite" in outcome.err
    assert "missing or damaged: B09 (GRANULE/" in outcome.err
    assert nircolor("colorize", tmp_path / "in" / "IMG_0001", "-o", tmp_path / "out").code == 0
    assert "IMG_0001.tif" in names(tmp_path / "out")


def test_a_list_of_bands_is_one_image(nircolor, tmp_path):
    files = [
        save(tmp_path / f"b{i}.tif", noise(1, 40, 40, "uint16", i), **georeferenced(10)) for i in (7, 8, 9)
    ]
    bands = [f"{file}@{nm}" for file, nm in zip(files, (783, 842, 945), strict=True)]
    options = ("-m", "satellite", "--scale", "65535")
    assert nircolor("colorize", *bands, "-o", tmp_path / "out.tif", *options).code == 0
    assert nircolor("colorize", ",".join(bands), "-o", tmp_path / "again.tif", *options).code == 0
    assert np.array_equal(load(tmp_path / "out.tif")[0], load(tmp_path / "again.tif")[0])
    # no input is replaced
    for file in files:
        error = nircolor.refused("colorize", *bands, "-o", file, *options, "--overwrite")
        assert "is the input itself" in error
    content = json.loads(nircolor("info", *bands, "--scale", "65535", "--reflectance", "--json").out)
    assert [band["wavelength_nm"] for band in content["bands"]] == [783, 842, 945]
    assert content["recommended"]["model"] == "satellite"
    # without wavelengths they are images of their own
    assert nircolor("info", files[0], files[1]).out.startswith("2 images ")


def test_info_describes_a_product(nircolor, product):
    content = json.loads(nircolor("info", product, "--json").out)
    assert content["format"] == "Sentinel-2 L2A"
    assert content["reflectance"] is True
    assert content["recommended"]["model"] == "satellite"


def test_bands_of_several_lenses_are_used_with_a_warning(nircolor, tmp_path):
    path = micasense(tmp_path)
    bands = ("--bands", "475,560,783,842,945", "--scale", "65535")
    outcome = nircolor("colorize", path, "-o", tmp_path / "a.tif", "-m", "satellite", *bands)
    assert "the bands are not aligned" in outcome.err
    # one lens is enough for this model, also where two bands lie in its range: the nearest to 850 nm
    outcome = nircolor("colorize", path, "-o", tmp_path / "b.tif", "-m", "scene", *bands, "--json")
    assert json.loads(outcome.out)[0]["bands"] == [4]
    assert "aligned" not in outcome.err


def test_a_product_is_evaluated(nircolor, tmp_path):
    for tile in ("T32TMT", "T32TNT"):
        product = safe(tmp_path / tile, bands=("B02", "B03", "B04", "B07", "B08", "B09"))
        product.rename(tmp_path / product.name.replace("T32TMT", tile))
        (tmp_path / tile).rmdir()
    outcome = nircolor("evaluate", "satellite", "--data", tmp_path, "-o", tmp_path / "report")
    assert outcome.code == 0, outcome.err
    one = next(tmp_path.glob("*.SAFE"))
    assert nircolor("evaluate", "satellite", "--data", one, "-o", tmp_path / "one").code == 0
    assert "All 2 images" in outcome.out


@pytest.mark.parametrize("name", ["scene", "per_pixel"])
def test_a_model_of_photographs_on_a_satellite_product_is_doubted(nircolor, product, tmp_path, tiny, name):
    model = name if name == "scene" else tiny(name)
    done = nircolor("colorize", product, "-o", tmp_path, "-m", model)
    assert done.code == 0
    assert f"Sentinel-2 reflectance × 10000, but model {name} is for photographs" in done.err
    done = nircolor("colorize", product, "-o", tmp_path / "b", "-m", "satellite")
    assert (done.code, "for photographs" in done.err) == (0, False)


def test_info_of_a_product_that_no_model_is_for_says_so(nircolor, tmp_path):
    done = nircolor("info", landsat(tmp_path), "--json")
    content = json.loads(done.out)
    assert content["recommended"] is None
    reasons = {model["name"]: model["reason"] for model in content["models"]}
    assert reasons["scene"] == "is for photographs, and its colours of land from above are wrong"
    assert "expected a band at 842 ± 15 nm" in reasons["satellite-1band"]
    assert "no model that ships is for these bands of Landsat Collection 2 surface reflectance" in done.err
    assert "`nircolor train` makes one" in done.err
