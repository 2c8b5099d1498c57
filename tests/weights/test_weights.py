"""Tests of the shipped models and of `find_model`."""

from pathlib import Path

import pytest

from nircolor import weights
from nircolor.errors import NircolorError
from nircolor.modelfile import read_card
from nircolor.weights import find_model, find_weights, shipped_models


def test_scene_is_at_most_16_mb():
    path = shipped_models()["scene"]
    assert find_model("scene") == path
    assert path.stat().st_size < 16_000_000


def test_every_card_has_name_licence_and_training_data():
    for name, path in shipped_models().items():
        card = read_card(path)
        assert card.name == name
        assert card.licence.weights
        assert card.licence.training_data


def test_scene_takes_one_broad_band():
    (band,) = read_card(find_model("scene")).bands
    assert band.is_broad


def test_a_path_stays_a_path(tmp_path):
    assert find_model(tmp_path / "own.onnx") == tmp_path / "own.onnx"
    assert find_model("models/scene.onnx").as_posix() == "models/scene.onnx"
    (tmp_path / "no_extension").touch()
    assert find_model(tmp_path / "no_extension") == tmp_path / "no_extension"


def test_the_file_for_pytorch_is_the_one_with_all_weights(tmp_path, monkeypatch):
    for name in ("one.onnx", "two.onnx", "two.safetensors"):
        (tmp_path / name).touch()
    monkeypatch.setattr(weights, "_FOLDER", tmp_path)
    assert sorted(shipped_models()) == ["one", "two"]
    assert [find_weights(name).name for name in ("one", "two")] == ["one.onnx", "two.safetensors"]
    assert find_model("two") == tmp_path / "two.onnx"
    # a path is the file that it names
    assert find_weights(tmp_path / "two.onnx") == tmp_path / "two.onnx"
    with pytest.raises(NircolorError, match="ships: one, two"):
        find_weights("three")


def test_an_unknown_name_lists_the_shipped_models_and_how_to_choose():
    expected = "expected the path of a model file or a model that ships: "
    with pytest.raises(NircolorError, match=rf"^auto: {expected}.*scene; .*`nircolor info FILE` shows which"):
        find_model("auto")
    with pytest.raises(NircolorError, match=rf"^Satelite: {expected}.*; did you mean satellite\?$"):
        find_model("Satelite")


def test_a_missing_file_with_the_name_of_a_shipped_model():
    with pytest.raises(NircolorError, match=r"^scene\.onnx: no such model file; did you mean scene\?$"):
        find_model("scene.onnx")
    # a path means this file alone
    assert find_model("runs/scene.onnx") == Path("runs/scene.onnx")


def test_a_name_is_not_looked_up_in_other_folders(tmp_path, monkeypatch):
    (tmp_path / "other.onnx").touch()
    monkeypatch.setattr(weights, "_FOLDER", tmp_path)
    assert list(shipped_models()) == ["other"]
    with pytest.raises(NircolorError, match="ships: other"):
        find_model("../other")


def test_a_damaged_install(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "_FOLDER", tmp_path)
    with pytest.raises(NircolorError, match="damaged install"):
        find_model("scene")
