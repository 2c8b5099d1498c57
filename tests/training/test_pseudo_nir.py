"""The script that estimates the NIR image of colour photographs, on the small data sets."""

from importlib.util import module_from_spec, spec_from_file_location

import rasterio

from nircolor.pairs import Folders
from tests.training.shipped_recipes import REPOSITORY


def test_each_photograph_gets_a_gray_image_of_its_size_and_name(
    tmp_path, data_root, small_recipe, monkeypatch
):
    spec = spec_from_file_location("pseudo_nir", REPOSITORY / "recipes" / "pseudo_nir.py")
    script = module_from_spec(spec)
    spec.loader.exec_module(script)
    monkeypatch.setattr(script, "DATA", data_root)
    monkeypatch.setattr(script, "OUTPUT", tmp_path / "pseudo_nir")
    monkeypatch.setattr(script, "RECIPE", small_recipe("pseudo-nir", tmp_path / "run", steps=1))
    script.main()
    pairs = Folders(tmp_path / "pseudo_nir/images", data_root / "photographs").pairs()
    assert [pair.name for pair in pairs] == ["coast/0", "coast/1", "coast/2"]
    for pair in pairs:
        with rasterio.open(pair.nir) as file:
            red, green, blue = file.read()
        assert red.shape == (64, 64)
        assert (red == green).all()
        assert (green == blue).all()
    targets = sorted((tmp_path / "pseudo_nir/targets/vcip2020").iterdir())
    assert len(targets) == 8
    with rasterio.open(targets[0]) as file, rasterio.open(data_root / "vcip2020/NIR/field_0_nir.png") as nir:
        assert (file.read() == nir.read()).all()
