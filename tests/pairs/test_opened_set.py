from pathlib import Path

import pytest

from nircolor.errors import NircolorError
from nircolor.pairs import Folders, MultiBandFiles, Vcip, open_set
from tests.pairs.images import noise, touch, write

SENTINEL_NM = (665, 560, 490, 783, 842)


def vcip(root: Path) -> Path:
    touch(root, *(f"NIR/{n}_nir.png" for n in "ab"), *(f"RGB-Registered/{n}_rgb_reg.png" for n in "ab"))
    touch(root, "Validation/v_nir.png", "Validation/v_rgb_reg.png")
    return root


def test_the_role_selects_the_split_of_vcip(tmp_path):
    root = str(vcip(tmp_path))
    assert open_set(root, "evaluated").pairs == Vcip(root, "validation").pairs()
    assert open_set(root, "training").pairs == Vcip(root).pairs()
    assert open_set(root, "evaluated", split="train").pairs == Vcip(root).pairs()
    assert "2 training pairs" in open_set(root, "training").title
    with pytest.raises(NircolorError, match="pairs of the split test, got splits: validation"):
        open_set(root, "evaluated", split="test")


@pytest.mark.parametrize(
    ("nir", "rgb"),
    [("x_nir.png", "x_rgb.jpg"), ("s/x_nir.png", "s/x_rgb_reg.png"), ("x_NIR.tif", "x_RGB.tif")],
)
def test_one_folder_with_nir_and_colour(tmp_path, nir, rgb):
    touch(tmp_path, nir, rgb)
    (pair,) = open_set(str(tmp_path), "evaluated").pairs
    assert (pair.name, pair.nir, pair.rgb) == (nir[:-8], tmp_path / nir, tmp_path / rgb)


def test_a_mask_beside_its_pair(tmp_path):
    touch(tmp_path, "x_nir.png", "x_rgb.jpg", "x_mask.png", "y_nir.png", "y_rgb.jpg")
    assert [pair.mask for pair in open_set(str(tmp_path), "training").pairs] == [
        tmp_path / "x_mask.png",
        None,
    ]


@pytest.mark.parametrize(("nir", "rgb"), [("x", "x"), ("x_nir", "x"), ("x_nir", "x_rgb"), ("x", "x_rgb_reg")])
def test_two_folders(tmp_path, nir, rgb):
    touch(tmp_path, f"NIR/{nir}.png", f"RGB/{rgb}.png", "mask/x.png")
    (pair,) = open_set(str(tmp_path), "evaluated").pairs
    assert (pair.name, pair.mask) == ("x", tmp_path / "mask/x.png")
    (named,) = open_set(f"{tmp_path / 'NIR'},{tmp_path / 'RGB'}", "evaluated").pairs
    assert (named.nir, named.rgb, named.mask) == (pair.nir, pair.rgb, None)


def test_an_unmatched_file_is_an_error(tmp_path):
    touch(tmp_path, "nir/x.png", "nir/y.png", "rgb/x.png")
    with pytest.raises(NircolorError, match="NIR without colour: y"):
        open_set(str(tmp_path), "evaluated")


def test_multi_band_files(tmp_path, recwarn):
    write(tmp_path / "a.tif", noise(5, 4, 4, dtype="uint16") // 100, SENTINEL_NM)
    assert open_set(str(tmp_path), "evaluated").pairs == MultiBandFiles(tmp_path).pairs()
    assert not recwarn.list


def test_a_recipe_with_sets_splits_and_bands(tmp_path):
    touch(tmp_path, *(f"{side}/{name}.png" for side in ("nir", "rgb") for name in "abcd"))
    (tmp_path / "splits.csv").write_text("pair,split\na,train\nb,val\nc,test\nd,other\n")
    sets = f"""sets:
    - class_path: nircolor.pairs.Folders
      init_args: {{ nir: {tmp_path}/nir, rgb: {tmp_path}/rgb, table: {tmp_path}/splits.csv, nir_scale: 4095 }}
"""
    recipe, alone = tmp_path / "recipe.yaml", tmp_path / "sets.yml"
    recipe.write_text(
        f"data:\n  {sets}model:\n  init_args:\n    card:\n      bands:\n"
        "        - { center_nm: 850, fwhm_nm: 40, tolerance_nm: 20 }\n"
    )
    alone.write_text(sets.replace("    ", "  "))
    for path in (recipe, alone):
        splits = {
            "evaluated": ["c"],
            "training": ["a", "b"],
        }
        for role, names in splits.items():
            assert [pair.name for pair in open_set(str(path), role).pairs] == names
        assert [pair.name for pair in open_set(str(path), "evaluated", split="other").pairs] == ["d"]
    assert open_set(str(recipe), "evaluated").bands[0].center_nm == 850
    assert open_set(str(alone), "evaluated").bands is None
    assert open_set(str(recipe), "training").pairs[0].nir_scale == 4095
    with pytest.raises(NircolorError, match="split test2, got splits: other, test, train, val"):
        open_set(str(recipe), "evaluated", split="test2")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("sets: 3", "expected sets as in a recipe"),
        ("[", "expected a YAML file"),
        ("sets: [{class_path: os.system, init_args: {command: ls}}]", "a class_path of Folders.*got system"),
        ("sets: [{class_path: Folders, init_args: {nir: a, rbg: b}}]", "Folders: missing .*'rgb'"),
        ("sets: [{class_path: Folders, init_args: {nir: a, rgb: b, sacle: 1}}]", "Folders: .*'sacle'"),
        (
            "bands: [{center_nm: -3}]\nsets: [{class_path: Vcip, init_args: {root: a}}]",
            "expected bands as a card has them",
        ),
    ],
)
def test_recipes_without_usable_sets_are_refused(tmp_path, text, reason):
    path = tmp_path / "sets.yaml"
    path.write_text(text)
    with pytest.raises(NircolorError, match=rf"sets\.yaml: .*{reason}"):
        open_set(str(path), "evaluated")


def split_folder(root: Path, splits: str) -> Path:
    """Create a folder of pairs a, b, c, … and a table with one split per pair."""
    names = "abcdefgh"[: len(splits.split(","))]
    touch(root, *(f"{side}/{name}.png" for side in ("nir", "rgb") for name in names))
    rows = [f"{name},{split}" for name, split in zip(names, splits.split(","), strict=True)]
    (root / "splits.csv").write_text("\n".join(["pair,split", *rows]) + "\n")
    return root


@pytest.mark.parametrize("splits", ["train,train,val", "train,validation", "val,,"])
def test_training_and_validation_pairs_are_not_evaluated_together(tmp_path, splits):
    root = split_folder(tmp_path, splits)
    with pytest.raises(NircolorError, match=r"pairs of one split, got .*; choose one with --split"):
        open_set(root, "evaluated", table=root / "splits.csv")
    split = splits.split(",")[0]
    opened = open_set(root, "evaluated", table=root / "splits.csv", split=split)
    assert {pair.split for pair in opened.pairs} == {split}
    assert f" {split} pair" in opened.title


@pytest.mark.parametrize(
    ("splits", "title"),
    [
        ("train,test,val,test", "2 test pairs"),
        ("b,a,c", "3 a and b and c pairs"),
        ("b,,a", "3 a and b and unassigned pairs"),
        (",,", "3 pairs"),
        ("train,train", "2 train pairs"),
    ],
)
def test_the_title_states_the_split(tmp_path, splits, title):
    root = split_folder(tmp_path, splits)
    assert open_set(root, "evaluated", table=root / "splits.csv").title == f"{root}, {title}"


def test_a_set_may_be_an_object_or_a_path(tmp_path):
    touch(tmp_path, "nir/x.png", "rgb/x.png")
    paired = Folders(tmp_path / "nir", tmp_path / "rgb")
    assert open_set(paired).pairs == open_set(tmp_path).pairs == paired.pairs()
    assert open_set(paired).title == "Folders, 1 pair"


def test_sources_that_are_no_set_are_refused(tmp_path):
    for text in (str(tmp_path), str(tmp_path / "absent"), "a,b,c"):
        with pytest.raises(NircolorError, match="expected a folder in VCIP's layout"):
            open_set(text, "evaluated")
    with pytest.raises(NircolorError, match="absent: expected a folder of images"):
        open_set(f"{tmp_path},{tmp_path}/absent", "evaluated")
    write(tmp_path / "a.png", noise(1, 4, 4))
    with pytest.raises(NircolorError, match="got 1 images of another kind"):
        open_set(str(tmp_path), "evaluated")


def test_groups_come_from_the_table(tmp_path):
    touch(tmp_path / "set", "nir/x.png", "rgb/x.png")
    table = tmp_path / "table.csv"
    table.write_text("pair,group\nx,hill\n")
    (pair,) = open_set(str(tmp_path / "set"), "evaluated", table=table).pairs
    assert pair.group == "hill"
