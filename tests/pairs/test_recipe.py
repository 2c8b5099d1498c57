"""Recipes that extend another recipe."""

import pytest

from nircolor.errors import NircolorError
from nircolor.pairs.recipe import read_recipe


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_mappings_are_merged_and_other_values_replaced(tmp_path):
    write(tmp_path / "base/first.yaml", "a: {x: 1, y: [1, 2], z: {p: 1, q: 2}}\nb: 3\n")
    write(tmp_path / "base/second.yaml", "base: first.yaml\na: {y: [3]}\nc: 4\n")
    recipe = write(tmp_path / "recipe.yaml", "base: base/second.yaml\na: {z: {q: 5}, x: null}\nb: {k: 6}\n")
    assert read_recipe(str(recipe)) == {
        "a": {"x": None, "y": [3], "z": {"p": 1, "q": 5}},
        "b": {"k": 6},
        "c": 4,
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("base: missing.yaml", r"recipe[.]yaml: base .*missing[.]yaml: expected a YAML file: .*No such file"),
        ("base: recipe.yaml", r"recipe[.]yaml: expected another recipe as its base, got itself"),
        ("base: [a.yaml]", r"recipe[.]yaml: base: expected the path of a recipe, got \['a[.]yaml'\]"),
        ("- 1", r"recipe[.]yaml: expected a mapping with .*, got list"),
    ],
)
def test_invalid_bases_are_refused(tmp_path, text, message):
    recipe = write(tmp_path / "recipe.yaml", text)
    with pytest.raises(NircolorError, match=message) as caught:
        read_recipe(recipe)
    assert "\n" not in str(caught.value)


def test_links_in_a_loop_and_deep_nesting(tmp_path):
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    with pytest.raises(NircolorError, match=r"loop[.]yaml: expected a YAML file: .*symbolic links"):
        read_recipe(tmp_path / "loop.yaml")
    recipe = write(tmp_path / "deep.yaml", "a: " + "[" * 20_000)
    with pytest.raises(NircolorError, match=r"deep[.]yaml: expected a YAML file: .*recursion"):
        read_recipe(recipe)
