"""`nircolor finetune`: the table, JSON, exit codes and messages."""

import json

import pytest

pytest.importorskip("torch", reason="needs the extra train")
pytest.importorskip("lightning", reason="needs the extra train")
pytest.importorskip("skimage", reason="needs the extra evaluate")
from tests.training import test_finetuning as parts

pairs, base, spoiled, _unmeasured = parts.pairs, parts.base, parts.spoiled, parts._unmeasured


def test_scores_and_a_damaged_pair(nircolor, tmp_path, base, pairs):
    (pairs / "nir/3.png").write_bytes(b"")
    done = nircolor("finetune", base, pairs, "-o", tmp_path / "mine.safetensors", "--steps", 40)
    assert done.code == 1
    lines = done.out.splitlines()
    assert lines[0] == "2 pairs held out (the last by name), small -> fine-tuned:"
    assert [line.split()[0] for line in lines[2:]] == ["6", "7", "mean"]
    assert "5 pairs, 40 steps of training -> " in done.err
    assert "1 failed:" in done.err
    assert "3.png: the file is empty" in done.err
    assert (tmp_path / "mine.safetensors").is_file()


def test_json(nircolor, tmp_path, base, pairs):
    output = tmp_path / "My Model.safetensors"
    done = nircolor("finetune", base, pairs, "-o", output, "--steps", 40, "--holdout", 3, "--json", "--quiet")
    assert (done.code, done.err) == (0, "")
    found = json.loads(done.out)
    assert (found["base"], found["model"], found["held_out_by"]) == ("small", "my-model", "name")
    assert [one["name"] for one in found["held_out"]] == ["5", "6", "7"]
    gains = [one["after"]["psnr_db"] - one["before"]["psnr_db"] for one in found["held_out"]]
    gain = found["after"]["psnr_db"] - found["before"]["psnr_db"]
    assert gain == pytest.approx(sum(gains) / 3)
    assert gain > 0.5


def test_a_model_that_is_not_better(nircolor, tmp_path, base, pairs, spoiled):
    spoiled()
    done = nircolor("finetune", base, pairs, "-o", tmp_path / "mine.safetensors", "--steps", 20)
    assert done.code == 2
    assert "mean  " in done.out
    (line,) = done.err.splitlines()
    assert "mine.safetensors: not written, since training did not help" in line


def test_refusals(nircolor, tmp_path, base, pairs):
    output = tmp_path / "mine.onnx"
    assert "no_such" in nircolor.refused("finetune", "no_such", pairs, "-o", output)
    assert "whole number of 2 or more" in nircolor.refused(
        "finetune", base, pairs, "-o", output, "--holdout", 1
    )
    assert "numbers separated by commas" in nircolor.refused(
        "finetune", base, pairs, "-o", output, "--bands", "red"
    )
    assert "nothing there" in nircolor.refused("finetune", base, tmp_path / "none", "-o", output)
    assert not output.exists()
