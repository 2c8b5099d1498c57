"""The Python examples of docs/training.md run."""

import re

import pytest
import yaml

from nircolor.modelfile import read_card
from nircolor.training import exporting
from tests.training.shipped_recipes import REPOSITORY

# those that train: tests/test_docs.py runs the others
BLOCKS = re.findall(r"```python\n(.*?)```", (REPOSITORY / "docs/training.md").read_text(), re.DOTALL)
BLOCKS = [block for block in BLOCKS if '"mine.onnx"' in block]


@pytest.mark.parametrize("block", BLOCKS, ids=["recipe", "lightning"])
def test_an_example_runs(tmp_path, small_recipe, data_root, monkeypatch, block):
    recipe = yaml.safe_load(small_recipe("pairs", tmp_path, steps=2).read_text())
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(recipe))
    (tmp_path / "data").symlink_to(data_root)
    monkeypatch.chdir(tmp_path)
    # measuring memory starts new processes
    monkeypatch.setattr(exporting, "bytes_per_px", lambda _path, _card: 100.0)
    # only the size of the run is changed
    for long, short in {"3000": "2", "2000": "2", "250": "1", '"width": 16': '"width": 4'}.items():
        block = block.replace(long, short)
    block = block.replace("tile_px=128", "tile_px=32").replace("batch_size=8", "batch_size=2")
    exec(compile(block, "docs/training.md", "exec"), {})
    assert read_card(tmp_path / "mine.onnx").name == "mine"
