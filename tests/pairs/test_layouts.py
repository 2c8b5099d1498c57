from pathlib import Path

import numpy as np
import pytest

from nircolor.errors import NircolorError
from nircolor.imagery import image_size
from nircolor.modelfile import Band
from nircolor.pairs import Folders, MultiBandFiles, Pair, PairedSet, Scenes, Vcip, read_pair
from tests.pairs.images import touch

DATA = Path(__file__).parents[3] / "shared/data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"no real pairs at {DATA}")


def names(paired: PairedSet) -> list[str]:
    return [pair.name for pair in paired.pairs()]


# VCIP 2020 and RGB-NIR Scene


def test_vcip_pairs_by_name_and_not_by_listing_order(tmp_path, monkeypatch):
    touch(tmp_path, *(f"NIR/{n}_nir.png" for n in ("b_2", "a_1", "b_10")))
    touch(tmp_path, *(f"RGB-Registered/{n}_rgb_reg.png" for n in ("b_10", "b_2", "a_1")))
    listing = Path.iterdir
    for order in (sorted, lambda paths: sorted(paths, reverse=True)):
        monkeypatch.setattr(Path, "iterdir", lambda self, order=order: iter(order(listing(self))))
        pairs = Vcip(tmp_path).pairs()
        assert [pair.name for pair in pairs] == ["a_1", "b_10", "b_2"]
        for pair in pairs:
            assert pair.nir == tmp_path / f"NIR/{pair.name}_nir.png"
            assert pair.rgb == tmp_path / f"RGB-Registered/{pair.name}_rgb_reg.png"
            assert (pair.mask, pair.split) == (None, "train")


def test_the_validation_folder_holds_nir_and_colour(tmp_path):
    touch(tmp_path, "Validation/validation_3_nir.png", "Validation/validation_3_rgb_reg.png")
    (pair,) = Vcip(tmp_path, "validation").pairs()
    assert (pair.name, pair.nir.name, pair.rgb.name, pair.split) == (
        "validation_3",
        "validation_3_nir.png",
        "validation_3_rgb_reg.png",
        "validation",
    )


def test_every_unmatched_file_is_listed(tmp_path):
    touch(tmp_path, "NIR/a_nir.png", "NIR/b_nir.png", "NIR/c_nir.png")
    touch(tmp_path, "RGB-Registered/a_rgb_reg.png", "RGB-Registered/d_rgb_reg.png")
    with pytest.raises(NircolorError, match=r"NIR without colour: b, c; colour without NIR: d$"):
        Vcip(tmp_path).pairs()


def test_scene_pairs_and_their_masks(tmp_path):
    touch(tmp_path, "urban/01_nir.png", "urban/01_rgb.jpg", "urban/01_mask.png")
    # the same id in another scene is another pair; files of macOS that start with ._ are ignored
    touch(tmp_path, "field/01_nir.png", "field/01_rgb.jpg", "field/._01_nir.png", "README.md")
    field, urban = Scenes(tmp_path).pairs()
    assert (field.name, field.mask) == ("field/01", None)
    assert (urban.name, urban.mask) == ("urban/01", tmp_path / "urban/01_mask.png")
    assert urban.rgb == tmp_path / "urban/01_rgb.jpg"


def test_a_mask_without_its_pair_is_an_error(tmp_path):
    touch(tmp_path, "urban/01_nir.png", "urban/01_rgb.jpg", "urban/10_mask.png")
    with pytest.raises(NircolorError, match="mask without pair: urban/10"):
        Scenes(tmp_path).pairs()


@pytest.mark.parametrize("layout", [Vcip, Scenes, MultiBandFiles, lambda root: Folders(root, root / "rgb")])
def test_an_empty_or_missing_folder_is_an_error(tmp_path, layout):
    with pytest.raises(NircolorError, match=r"expected .* found none"):
        layout(tmp_path).pairs()
    with pytest.raises(NircolorError, match="absent"):
        layout(tmp_path / "absent").pairs()


def test_an_unknown_split_is_refused(tmp_path):
    with pytest.raises(ValueError, match="'test'"):
        Vcip(tmp_path, "test")  # type: ignore[arg-type]


# Folders


def test_folders_match_by_path_and_stem_in_any_format(tmp_path):
    touch(tmp_path / "near", "b.tif", "day/2/a.png", "c.d.hdr", ".hidden/x.png", "day/.y.png", "notes.txt")
    touch(tmp_path / "colour", "day/2/a.JPG", "b.png", "c.d.tiff", "b.xml")
    paired = Folders(tmp_path / "near", tmp_path / "colour", nir_scale=10000, rgb_scale=3000)
    assert names(paired) == ["b", "c.d", "day/2/a"]
    assert paired.pairs()[2] == Pair(
        "day/2/a",
        tmp_path / "near/day/2/a.png",
        tmp_path / "colour/day/2/a.JPG",
        nir_scale=10000,
        rgb_scale=3000,
    )


def test_suffixes_are_stripped_and_only_files_with_them_count(tmp_path):
    touch(tmp_path / "near", "a_nir.png", "b_nir.png", "b_depth.png", "nir_a.png")
    touch(tmp_path / "colour", "a_vis.jpg", "b_vis.png")
    touch(tmp_path / "masks", "b-m.tif")
    folders = (tmp_path / "near", tmp_path / "colour", tmp_path / "masks")
    a, b = Folders(*folders, nir_suffix="_nir", rgb_suffix="_vis", mask_suffix="-m").pairs()
    assert (a.name, a.nir.name, a.rgb.name, a.mask) == ("a", "a_nir.png", "a_vis.jpg", None)
    assert (b.name, b.mask) == ("b", tmp_path / "masks/b-m.tif")


def test_one_folder_may_hold_nir_colour_and_masks(tmp_path):
    touch(tmp_path, "a.png", "a_rgb.png", "a_rgb_mask.png", "b.png", "b_rgb.png")
    sides = {"nir": tmp_path, "rgb": tmp_path, "mask": tmp_path}
    a, b = Folders(**sides, rgb_suffix="_rgb", mask_suffix="_rgb_mask").pairs()
    assert (a.nir.name, a.rgb.name, a.mask.name) == ("a.png", "a_rgb.png", "a_rgb_mask.png")
    assert b.mask is None


def test_suffixes_apply_to_their_own_folder_only(tmp_path):
    touch(tmp_path, "near/a_vis.png", "colour/a_vis_vis.png")
    assert names(Folders(tmp_path / "near", tmp_path / "colour", rgb_suffix="_vis")) == ["a_vis"]


def test_a_suffix_may_include_a_folder(tmp_path):
    touch(tmp_path, "urban_03/nir.png", "urban_03/rgb.jpg", "urban_04/nir.png", "urban_04/rgb.jpg")
    assert names(Folders(tmp_path, tmp_path, nir_suffix="/nir", rgb_suffix="/rgb")) == [
        "urban_03",
        "urban_04",
    ]


def test_unmatched_files_are_named_with_both_folders(tmp_path):
    touch(tmp_path / "near", "a.png", "x/b.png")
    touch(tmp_path / "colour", "a.png", "b.png")
    with pytest.raises(
        NircolorError, match=r"near and .*colour: .*NIR without colour: x/b; colour without NIR: b$"
    ):
        Folders(tmp_path / "near", tmp_path / "colour").pairs()


def test_many_unmatched_files_are_counted(tmp_path):
    touch(tmp_path / "near", *(f"{i:03}.png" for i in range(100)))
    touch(tmp_path / "colour", "000.png")
    with pytest.raises(NircolorError, match=r"NIR without colour: 001, 002, .*008, … \(99 in all\)$"):
        Folders(tmp_path / "near", tmp_path / "colour").pairs()


def test_two_files_of_one_name_are_an_error(tmp_path):
    touch(tmp_path / "near", "a.png", "a.tif")
    touch(tmp_path / "colour", "a.png")
    with pytest.raises(NircolorError, match=r"a\.tif: expected one image named a, got a\.png too"):
        Folders(tmp_path / "near", tmp_path / "colour").pairs()
    with pytest.raises(NircolorError, match="one image named a"):
        MultiBandFiles(tmp_path / "near").pairs()


def test_ambiguous_suffixes_are_refused(tmp_path):
    with pytest.raises(NircolorError, match="different suffixes for NIR, colour and mask files"):
        Folders(tmp_path, str(tmp_path))
    with pytest.raises(NircolorError, match="different suffixes for NIR, colour and mask files"):
        Folders(tmp_path, tmp_path / "rgb", tmp_path / "rgb")
    with pytest.raises(NircolorError, match="_mask: expected the folder of the masks in `mask`"):
        Folders(tmp_path, tmp_path / "rgb", mask_suffix="_mask")


# MultiBandFiles


def test_a_multi_band_file_is_nir_and_colour(tmp_path):
    touch(tmp_path, "b.hdr", "north/a.tif", ".c.tif")
    b, a = MultiBandFiles(tmp_path, nir_scale=10000, rgb_scale=3000).pairs()
    assert b.name == "b"
    path = tmp_path / "north/a.tif"
    assert a == Pair("north/a", path, path, rgb_nm=(665, 560, 490), nir_scale=10000, rgb_scale=3000)


# Recipes


def test_recipes_build_sets(tmp_path):
    jsonargparse = pytest.importorskip("jsonargparse")
    parser = jsonargparse.ArgumentParser()
    parser.add_argument("--sets", type=list[PairedSet])
    touch(tmp_path, "a_nir.png", "a_rgb.png", "cubes/b.tif")
    (tmp_path / "table.csv").write_text("pair,group\na,7\n")
    folders = {
        "nir": str(tmp_path),
        "rgb": str(tmp_path),
        "nir_suffix": "_nir",
        "rgb_suffix": "_rgb",
        "rgb_nm": [650, 550, 450],
        "table": str(tmp_path / "table.csv"),
    }
    recipe = [
        {"class_path": "nircolor.pairs.Folders", "init_args": folders},
        {"class_path": "nircolor.pairs.MultiBandFiles", "init_args": {"folder": str(tmp_path / "cubes")}},
        {"class_path": "nircolor.pairs.Vcip", "init_args": {"root": str(tmp_path), "split": "validation"}},
        {"class_path": "nircolor.pairs.Scenes", "init_args": {"root": str(tmp_path), "drop_flagged": True}},
    ]
    # renamed in jsonargparse 4.49
    instantiate = getattr(parser, "instantiate", None) or parser.instantiate_classes
    sets = instantiate(parser.parse_object({"sets": recipe})).sets
    assert [type(paired) for paired in sets] == [Folders, MultiBandFiles, Vcip, Scenes]
    (pair,) = sets[0].pairs()
    assert (pair.name, pair.group, pair.rgb_nm) == ("a", "7", (650, 550, 450))
    assert names(sets[1]) == ["b"]


# Real sets


@needs_data
def test_real_sets_are_complete():
    table = DATA / "scenes.csv"
    assert len(Vcip(DATA / "vcip2020", table=table).pairs()) == 372
    assert len(Vcip(DATA / "vcip2020", "validation").pairs()) == 18
    assert len(Vcip(DATA / "vcip2020", "validation", table=table, drop_flagged=True).pairs()) == 14
    assert len(Scenes(DATA / "epfl").pairs()) == 153
    assert len(Scenes(DATA / "epfl", table=table, drop_flagged=True).pairs()) == 146


@needs_data
def test_real_reflectances(recwarn):
    pairs = MultiBandFiles(DATA / "sentinel2", nir_scale=10000, rgb_scale=3000).pairs()
    assert len(pairs) == 1800
    assert {image_size(pair.nir) for pair in pairs[::60]} == {(64, 64)}
    bands = [Band(center_nm=nm, fwhm_nm=25, tolerance_nm=15) for nm in (783, 842, 945)]
    images = [read_pair(pair, bands) for pair in pairs[::60]]
    assert all(nir.shape == rgb.shape == (3, 64, 64) and valid.all() for nir, rgb, valid in images)
    # land reflects about 25% in the NIR, and a third of that in the visible range
    assert 0.2 < np.mean([nir for nir, _, _ in images]) < 0.4
    assert 0.1 < np.mean([rgb for _, rgb, _ in images]) < 0.3
    assert not [str(warning.message) for warning in recwarn]
