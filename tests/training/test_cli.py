"""`nircolor train` on small networks: learning, output, resumed runs, errors."""

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
import yaml

from nircolor.errors import NircolorError, NircolorWarning
from nircolor.inference import Colorizer
from nircolor.metrics import psnr
from nircolor.modelfile import read_safetensors
from nircolor.training.cli import train_from_arguments as train
from nircolor.training.exporting import export
from tests.training.shipped_recipes import write_image


def weights(checkpoint: Path) -> dict[str, torch.Tensor]:
    """Read the averaged and the current weights, each with a prefix."""
    state = torch.load(checkpoint, weights_only=True)
    kinds = ("state_dict", "current_model_state")
    return {f"{kind}/{name}": value for kind in kinds for name, value in state[kind].items()}


def assert_same_weights(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    """Compare up to rounding, which depends on the memory layout of loaded tensors.

    Adam takes a full step also for a gradient near zero, whose sign rounding may change. Another batch or
    learning rate changes all weights by about 1e-4, ten times the allowed mean.
    """
    assert one.keys() == other.keys()
    for key in one:
        difference = (one[key].double() - other[key].double()).abs()
        assert difference.max() < 1e-4, key
        assert difference.mean() < 1e-5, key


def command(*arguments: str, timeout: float | None = None) -> subprocess.CompletedProcess:
    """Run the command in a new process that can import the modules of this folder."""
    return subprocess.run(
        [sys.executable, "-m", "nircolor", "train", *arguments],
        env=os.environ
        | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path]), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=timeout,
    )


# `scene` has dropout and a schedule, S-shape batch normalization and a second network
@pytest.mark.parametrize("name", ["scene", "sshape-3bands"])
def test_a_killed_run_resumes_to_the_same_weights(tmp_path, small_recipe, name):
    train(["--config", str(small_recipe(name, tmp_path / "whole", steps=7))])
    killer = {"class_path": "killer.KillAt", "init_args": {"step": 5}}
    process = command("--config", str(small_recipe(name, tmp_path / "cut", steps=7, callbacks=[killer])))
    assert process.returncode == -9, process.stderr
    last = tmp_path / "cut" / "checkpoints" / "last.ckpt"
    assert torch.load(last, weights_only=True)["global_step"] == 4

    train(["--config", str(small_recipe(name, tmp_path / "cut", steps=7))], resume=True)
    assert torch.load(last, weights_only=True)["global_step"] == 7
    assert_same_weights(weights(tmp_path / "whole" / "checkpoints" / "last.ckpt"), weights(last))


def test_a_run_cut_within_a_step_resumes_at_the_step(tmp_path, small_recipe):
    """Four batches per step; killed after ten, the last two belong to an incomplete step."""
    flags = ["--trainer.accumulate_grad_batches", "4", "--checkpoint.every_n_train_steps", "1"]
    train(["--config", str(small_recipe("unet-3bands", tmp_path / "whole", steps=4)), *flags])
    killer = {"class_path": "killer.KillAt", "init_args": {"batch": 10}}
    cut = small_recipe("unet-3bands", tmp_path / "cut", steps=4, callbacks=[killer])
    assert command("--config", str(cut), *flags).returncode == -9
    train(["--config", str(small_recipe("unet-3bands", tmp_path / "cut", steps=4)), *flags], resume=True)
    whole, resumed = (weights(tmp_path / run / "checkpoints" / "last.ckpt") for run in ("whole", "cut"))
    assert_same_weights(whole, resumed)


def test_an_extended_run_equals_one_of_that_length(tmp_path, small_recipe):
    """With a constant learning rate; current weights are kept, and buffers are not averaged."""
    train(["--config", str(small_recipe("sshape-3bands-small", tmp_path / "whole", steps=6))])
    train(["--config", str(small_recipe("sshape-3bands-small", tmp_path / "ended", steps=3))])
    with pytest.warns(NircolorWarning, match=r"max_steps is 6, but the run was planned with 3 steps .*final"):
        train(
            ["--config", str(small_recipe("sshape-3bands-small", tmp_path / "ended", steps=6))], resume=True
        )
    whole, ended = (weights(tmp_path / run / "checkpoints" / "last.ckpt") for run in ("whole", "ended"))
    assert_same_weights(whole, ended)
    statistics = [key.removeprefix("state_dict/") for key in whole if "running_var" in key]
    assert statistics
    for name in statistics:
        if f"current_model_state/{name}" in whole:
            assert torch.equal(whole[f"state_dict/{name}"], whole[f"current_model_state/{name}"])
    changed = [n for n in whole if n.startswith("state_dict/") and n.endswith("weight")]
    assert any(
        not torch.equal(whole[n], whole[n.replace("state_dict", "current_model_state")]) for n in changed
    )


def test_a_run_starts_from_a_model(tmp_path, small_recipe):
    """Also a task that starts from ImageNet weights; a resumed run continues from its checkpoint."""
    still = ["--model.init_args.learning_rate=0", "--model.init_args.encoder_learning_rate=0"]
    first = small_recipe("scene", tmp_path / "first", steps=2)
    train(["--config", str(first)])
    export(tmp_path / "first" / "checkpoints" / "last.ckpt", tmp_path / "first.safetensors")
    second = ["--config", str(small_recipe("scene", tmp_path / "second", steps=1)), *still]
    second += [f"--init_from={tmp_path / 'first.safetensors'}"]
    train(second)
    tensors, _ = read_safetensors(tmp_path / "first.safetensors")
    last = weights(tmp_path / "second" / "checkpoints" / "last.ckpt")
    compared = [name for name in tensors if name.endswith("weight")]
    assert any(name.startswith("encoder.") for name in compared)
    for kind in ("state_dict/network", "current_model_state/network"):
        for name in compared:
            np.testing.assert_array_equal(last[f"{kind}.{name}"], tensors[name])

    (tmp_path / "first.safetensors").unlink()
    train([*second, "--trainer.max_steps=1"], resume=True)
    with pytest.raises(NircolorError, match=r"first\.safetensors: no such model file"):
        train([*second, f"--trainer.default_root_dir={tmp_path / 'third'}"])


def test_a_run_is_not_resumed_with_another_network(tmp_path, small_recipe):
    train(["--config", str(small_recipe("unet-3bands", tmp_path, steps=1))])
    other = small_recipe("unet-3bands", tmp_path, steps=2, model={"arguments": {"bands": 3, "width": 6}})
    with pytest.raises(NircolorError, match=r"last[.]ckpt: expected a run of .*'width': 6.*got .*'width': 4"):
        train(["--config", str(other)], resume=True)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"learning_rat": 1}, "the recipe, model: Option 'learning_rat' is not accepted"),
        ({"learning_rate": "fast"}, "the recipe, model: .*fast"),
        ({"architecture": "unett"}, "architecture unett: expected one of cnn, convnext_unet, nirgnn"),
        ({"arguments": {"bands": 3, "widht": 4}}, "unexpected keyword argument 'widht'"),
        (
            {"card": {"name": "x"}},
            "the recipe: expected model.init_args.card to be a model card, got summary: Field required",
        ),
        (
            {"arguments": {"bands": 2, "width": 4}},
            "expected card.bands to list the network's 2 bands, got 3",
        ),
    ],
)
def test_a_mistake_in_the_recipe_is_one_line(tmp_path, small_recipe, model, message):
    recipe = small_recipe("unet-3bands", tmp_path / "run", steps=1, model=model)
    with pytest.raises(NircolorError, match=message) as caught:
        train(["--config", str(recipe)])
    assert "\n" not in str(caught.value)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["recipe.yaml"]


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("ContentTask", "ContentTrainin", "the recipe, model: there is no class ContentTrainin"),
        ("MultiBandFiles", "Files", "the recipe, data.sets: there is no class Files"),
        ("folder:", "foldr:", "the recipe, data.sets: Option 'foldr' is not accepted"),
        ("batch_size", "batches", "the recipe: Group 'data' does not accept option 'batches'"),
    ],
)
def test_a_mistyped_name_in_the_recipe_is_one_line(tmp_path, small_recipe, right, wrong, message):
    recipe = small_recipe("unet-3bands", tmp_path, steps=1)
    recipe.write_text(recipe.read_text().replace(right, wrong))
    with pytest.raises(NircolorError, match=message):
        train(["--config", str(recipe)])


def test_two_processes_train_as_one(tmp_path, small_recipe):
    """The same batch in two halves: same losses, same weights (U-Net has no batch normalization)."""
    runs = {}
    for name, flags in {"one": (), "two": ("--trainer.devices", "2", "--trainer.strategy", "ddp")}.items():
        recipe = small_recipe("unet-3bands", tmp_path / name, steps=4)
        log = ("--trainer.logger", "CSVLogger", "--trainer.logger.save_dir", str(tmp_path / name))
        process = command("--config", str(recipe), *flags, *log)
        assert process.returncode == 0, process.stderr
        with next((tmp_path / name).rglob("metrics.csv")).open(newline="") as file:
            rows = list(csv.DictReader(file))
        runs[name] = {column: [float(row[column]) for row in rows if row[column]] for column in rows[0]}
    assert len(runs["one"]["loss"]) == 4
    for column in ("loss", "val/psnr", "val/ssim"):
        assert runs["two"][column] == pytest.approx(runs["one"][column], rel=1e-4)
    one, two = (weights(tmp_path / name / "checkpoints" / "last.ckpt") for name in runs)
    for key in one:
        torch.testing.assert_close(two[key], one[key], rtol=0, atol=1e-4)


def test_from_two_folders_of_images_to_colour(tmp_path, small_recipe, data_root):
    """The template recipe `pairs` learns a simple colouring, and its model file applies it."""
    recipe = small_recipe("pairs", tmp_path, steps=200, model={"learning_rate": 2e-3})
    text = yaml.safe_load(recipe.read_text())
    text["trainer"]["val_check_interval"] = 60
    text["data"]["augmentation"] = {}
    text["model"]["init_args"]["arguments"]["width"] = 8
    recipe.write_text(yaml.safe_dump(text))
    train(["--config", str(recipe), "--ema.decay", "0.9"])
    model = tmp_path / "mine.onnx"
    export(tmp_path / "checkpoints" / "last.ckpt", model)
    output = tmp_path / "colour.png"
    Colorizer(model).colorize_file(data_root / "pairs/nir/a0_nir.png", output)
    with rasterio.open(output) as got, rasterio.open(data_root / "pairs/rgb/a0_rgb.tif") as true:
        predicted, target = (file.read() / np.float32(255) for file in (got, true))
    gray = np.repeat(target[:1], 3, 0)
    assert psnr(predicted, target) > max(20, psnr(gray, target) + 6)


def test_a_run_reports_progress_and_logs_curves_and_images(tmp_path, small_recipe):
    """One line at each validation, curves and images for TensorBoard, the recipe beside the checkpoints."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    process = command("--config", str(small_recipe("unet-3bands", tmp_path, steps=6)))
    assert process.returncode == 0, process.stderr
    assert re.search(r"\d+ training pairs, \d+ validation pairs", process.stderr)
    line = r"step {}/6  loss \d[.]\d+  val \d+[.]\d\d dB  \d+[.]\d images/s  \d+ min left"
    for step in (3, 6):
        assert re.search(line.format(step), process.stderr), process.stderr
    events = EventAccumulator(str(tmp_path)).Reload()
    assert {"loss", "val/psnr", "val/ssim"} <= set(events.Tags()["scalars"])
    tag = events.Tags()["images"][0]
    image = events.Images(tag)[-1]
    # NIR, predicted, true
    assert (image.width, image.height) == (3 * 64, 64)
    saved = yaml.safe_load((tmp_path / "config.yaml").read_text())
    assert saved["trainer"]["max_steps"] == 6


def test_an_interrupted_run_prints_how_to_continue(tmp_path, small_recipe):
    """After Ctrl-C the message is one line, and the last checkpoint is complete."""
    killer = {"class_path": "killer.KillAt", "init_args": {"step": 3, "gently": True}}
    process = command("--config", str(small_recipe("unet-3bands", tmp_path, steps=9, callbacks=[killer])))
    assert process.returncode == 130, process.stderr
    assert process.stderr.splitlines()[-1] == "interrupted; --resume continues from the last checkpoint"
    assert torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 2


def test_a_run_is_named_after_its_recipe(tmp_path, small_recipe, monkeypatch):
    recipe = small_recipe("unet-3bands", tmp_path, steps=1)
    text = yaml.safe_load(recipe.read_text())
    del text["trainer"]["default_root_dir"]
    (tmp_path / "my_rows.yaml").write_text(yaml.safe_dump(text))
    monkeypatch.chdir(tmp_path)
    train(["--config", "my_rows.yaml"])
    assert Path("runs/my_rows/checkpoints/last.ckpt").exists()


def test_a_run_does_not_overwrite_another(tmp_path, small_recipe):
    last = tmp_path / "checkpoints" / "last.ckpt"
    last.parent.mkdir()
    last.write_bytes(b"hours of work")
    with pytest.raises(NircolorError, match=r"last[.]ckpt: a run exists already.*--resume"):
        train(["--config", str(small_recipe("unet-3bands", tmp_path, steps=2))])
    assert last.read_bytes() == b"hours of work"


def test_a_nan_loss_stops_the_run_and_keeps_the_checkpoint(tmp_path, small_recipe):
    recipe = small_recipe("unet-3bands", tmp_path, steps=9, model={"learning_rate": 1e15})
    with pytest.raises(NircolorError, match=r"step \d: the loss is (nan|inf).*images: test_\d+, test_\d+"):
        train(["--config", str(recipe)])
    # the one of two steps earlier is still good
    last = tmp_path / "checkpoints" / "last.ckpt"
    if last.exists():
        assert all(torch.isfinite(value).all() for value in weights(last).values())


def test_a_nan_in_one_of_two_processes_stops_both(tmp_path, small_recipe):
    """No process waits for the other, and no checkpoint with spoiled weights is written."""
    spoil = {"class_path": "killer.SpoilBatch", "init_args": {"batch": 2, "rank": 1}}
    recipe = small_recipe("unet-3bands", tmp_path, steps=1000, callbacks=[spoil])
    flags = ("--trainer.devices", "2", "--trainer.strategy", "ddp", "--trainer.val_check_interval", "1000")
    process = command("--config", str(recipe), *flags, timeout=120)
    assert process.returncode != 0
    assert re.search(r"error: step 2: the loss is nan .*images: test_\d+\n", process.stderr), process.stderr
    assert "Traceback" not in process.stderr
    last = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["global_step"] == 2
    assert all(torch.isfinite(value).all() for value in last["state_dict"].values())


def test_a_run_without_an_end_is_refused(tmp_path, small_recipe):
    with pytest.raises(NircolorError, match=r"trainer[.]max_steps: expected a number of steps, got -1"):
        train(["--config", str(small_recipe("unet-3bands", tmp_path, steps=-1))])


def test_a_missing_recipe_is_reported():
    with pytest.raises(NircolorError, match="expected a recipe, --config"):
        train(["--trainer.max_steps", "5"])


def test_pairs_that_do_not_match_are_named(tmp_path, small_recipe):
    recipe = small_recipe("pairs", tmp_path, steps=2)
    text = yaml.safe_load(recipe.read_text())
    arguments = text["data"]["sets"][0]["init_args"]
    rng = np.random.default_rng(0)
    for side, names in {"nir": "ab", "rgb": "ac"}.items():
        for name in names:
            path = tmp_path / side / f"{name}_{side}.png"
            write_image(path, rng.integers(0, 256, (1 if side == "nir" else 3, 32, 32), np.uint8))
        arguments[side] = str(tmp_path / side)
    recipe.write_text(yaml.safe_dump(text))
    with pytest.raises(NircolorError, match=r"NIR without colour: b; colour without NIR: c"):
        train(["--config", str(recipe)])
    # the run's folder was not created
    assert {path.name for path in tmp_path.iterdir()} == {"recipe.yaml", "nir", "rgb"}


def test_a_missing_recipe_is_named(tmp_path):
    with pytest.raises(NircolorError, match=r"absent\.yaml: no such recipe; nircolor train --new"):
        train([f"--config={tmp_path / 'absent.yaml'}"])
