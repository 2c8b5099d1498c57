"""Tests of the commands with a model that runs in PyTorch: export, info, colorize; warnings of train."""

import re
import warnings

import numpy as np
import pytest
import torch

from nircolor import extras
from nircolor.errors import NircolorWarning
from nircolor.inference import Colorizer
from nircolor.training import cli, exporting
from tests.imagery.imagery_samples import load, noise, save_envi
from tests.torch_models import bands, random_network, save_checkpoint


@pytest.fixture
def model(nircolor, tmp_path, monkeypatch):
    """A model file exported from a checkpoint, without the slow measurement of memory."""
    monkeypatch.setattr(exporting, "bytes_per_px", lambda _path, _card: 500.0)
    checkpoint = save_checkpoint(tmp_path / "a.ckpt", random_network("unet"), "unet")
    path = tmp_path / "model.safetensors"
    outcome = nircolor("export", checkpoint, "-o", path, "--half")
    assert outcome.code == 0, outcome
    expected = r": small, 0\.\d MB, half precision changes colours by up to 0\.00\d\n"
    assert re.fullmatch(re.escape(str(path)) + expected, outcome.out)
    return path


def test_colorize_a_folder_with_two_jobs(nircolor, tmp_path, model):
    (tmp_path / "in").mkdir()
    wavelengths = "{" + ", ".join(f"{band.center_nm:g}" for band in bands(3)) + "}"
    for i in range(3):
        save_envi(tmp_path / "in", noise(3, 45, 50, seed=i), f"{i}", wavelength=wavelengths)
    threads = torch.get_num_threads()
    outcome = nircolor(
        "colorize", tmp_path / "in", "-o", tmp_path / "out", "-m", model, "--jobs", 2, "--scale", 255
    )
    torch.set_num_threads(threads)
    assert outcome.code == 0, outcome
    assert "3 images" in outcome.err
    for i in range(3):
        expected = Colorizer(model).colorize(noise(3, 45, 50, seed=i) / np.float32(255))
        got = load(tmp_path / "out" / f"{i}.tif")[0] / 255
        np.testing.assert_allclose(got, expected, atol=0.51 / 255)


def test_info_shows_the_engine(nircolor, model):
    outcome = nircolor("info", model)
    assert outcome.code == 0
    assert "small: for tests" in outcome.out
    assert "3 bands (700 nm; 720 nm; 740 nm)" in outcome.out
    assert "runs in torch" in outcome.out


@pytest.mark.parametrize("words", [["info"], ["colorize", "a.png", "-o", "out", "-m"]])
def test_a_base_install_reports_the_install_command(nircolor, tmp_path, monkeypatch, model, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").touch()
    monkeypatch.setattr(extras, "find_spec", lambda _package: None)
    line = nircolor.refused(*words, model)
    assert line.startswith(f"{model}: ")
    assert " needs more than the base install: " in line
    assert line.endswith("[train]'")


@pytest.mark.parametrize("name", ["missing.safetensors", "text.safetensors"])
def test_invalid_model_files(nircolor, tmp_path, name):
    if name.startswith("text"):
        (tmp_path / name).write_text("Dear Sir or Madam")
    line = nircolor.refused("info", tmp_path / name)
    assert line.startswith(f"{tmp_path / name}: ")


def test_training_prints_warnings_in_one_line(nircolor, monkeypatch):
    def run(*_, **__):
        warnings.warn("a.ckpt: planned with 2 steps", NircolorWarning, stacklevel=1)
        warnings.warn("from another library", UserWarning, stacklevel=1)

    monkeypatch.setattr(cli, "train_from_arguments", run)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        # what Python itself does; pytest records warnings instead
        monkeypatch.setattr(warnings, "showwarning", lambda message, *_: print(f"other: {message}"))
        outcome = nircolor("train", "--config", "a.yaml")
    assert outcome.err == "warning: a.ckpt: planned with 2 steps\n"
    assert outcome.out == "other: from another library\n"
