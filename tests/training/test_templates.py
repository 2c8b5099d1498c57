"""Tests of `nircolor train --new`, and of the placeholders of its recipes."""

import subprocess
import sys

import pytest
import yaml

from nircolor.errors import NircolorError, NircolorWarning
from nircolor.modelfile import read_card
from nircolor.training.cli import train_from_arguments as train
from nircolor.training.exporting import export
from nircolor.training.templates import TEMPLATES, placeholders, write_template
from tests.app.command_line import CommandLine
from tests.training.shipped_recipes import REPOSITORY


@pytest.fixture
def nircolor(capsys, monkeypatch):
    return CommandLine(capsys, monkeypatch)


@pytest.mark.parametrize("like", TEMPLATES)
def test_a_template_is_written_with_its_comments(nircolor, tmp_path, like):
    path = tmp_path / "my field.yaml"
    done = nircolor("train", "--new", path, "--like", like)
    assert (done.code, done.err) == (0, "")
    assert f"nircolor train --config '{path}'" in done.out
    text = path.read_text()
    assert text.startswith("# Template for ")
    card = yaml.safe_load(text)["model"]["init_args"]["card"]
    assert card["name"] == "my-field"
    assert placeholders(card) == ["summary", "licence.weights", "licence.training_data"]
    # as in the repository, but for the name
    original = (REPOSITORY / "recipes" / f"{like}.yaml").read_text()
    changed = [
        pair for pair in zip(text.splitlines(), original.splitlines(), strict=True) if len(set(pair)) > 1
    ]
    assert [one.strip() for one, _ in changed] == ["name: my-field"]


def test_pairs_is_the_default(nircolor, tmp_path):
    assert nircolor("train", "--new", tmp_path / "a.yaml").code == 0
    assert "architecture: unet" in (tmp_path / "a.yaml").read_text()


def test_a_recipe_is_never_replaced(nircolor, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("mine")
    assert nircolor.refused("train", "--new", path) == f"{path}: exists already; choose another name"
    assert path.read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "like", "reason"),
    [
        ("a.txt", "pairs", "ends in .yaml"),
        ("absent/a.yaml", "pairs", "cannot be written"),
        (
            "a.yaml",
            "unet",
            "--like: expected one of pairs, pairs-scene, captures, captures-camera, got 'unet'",
        ),
    ],
)
def test_impossible_recipes(tmp_path, name, like, reason):
    with pytest.raises(NircolorError, match=reason):
        write_template(tmp_path / name, like)
    assert list(tmp_path.iterdir()) == []


def test_a_recipe_is_written_without_pytorch(tmp_path):
    code = (
        "import sys; sys.modules['torch'] = sys.modules['lightning'] = sys.modules['yaml'] = None\n"
        "from nircolor.__main__ import main; main()"
    )
    words = ["train", "--new", str(tmp_path / "a.yaml")]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_help_names_lightnings_options_without_loading_it():
    code = (
        "import sys; sys.modules['torch'] = sys.modules['lightning'] = None\n"
        "from nircolor.__main__ import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "train", "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "--help-all" in done.stdout


def test_placeholders_are_said_at_the_start_and_refused_at_export(tmp_path, small_recipe):
    path = small_recipe("pairs", tmp_path / "run", steps=1)
    filled, texts = path.read_text(), ("tests (what its images show)", "tests (who may use the weights)")
    path.write_text(filled.replace(texts[0], "FILL IN (it)").replace(texts[1], "FILL IN (them)"))
    with pytest.warns(
        NircolorWarning, match=r"placeholders in licence\.weights, summary, which `nircolor exp"
    ):
        last = train(["--config", str(path)])
    model = tmp_path / "a.safetensors"
    with pytest.raises(
        NircolorError, match=r"last\.ckpt: expected your own texts in the card's licence\.weights, summ"
    ):
        export(last, model)
    with pytest.raises(NircolorError, match=r"recipe\.yaml: expected your own texts"):
        export(last, model, recipe=path)
    assert not model.exists()
    path.write_text(filled)
    export(last, model, recipe=path)
    assert read_card(model).summary == texts[0]
    path.write_text("a: 1")
    with pytest.raises(NircolorError, match=r"expected a recipe with model\.init_args\.card"):
        export(last, model, recipe=path, overwrite=True)


def test_options_of_a_training_are_refused_with_new(nircolor, tmp_path):
    for words in (["--config", "run1.yaml"], ["--resume"], ["--trainer.max_steps", "5"]):
        assert nircolor.refused("train", "--new", tmp_path / "a.yaml", *words).startswith("--new: expected ")
    assert not (tmp_path / "a.yaml").exists()
