from pathlib import Path

import pytest

from nircolor.errors import NircolorError
from nircolor.pairs import scene_pairs, vcip_pairs

DATA = Path(__file__).parents[3] / "shared/data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"no real pairs at {DATA}")


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_vcip_pairs_by_name_whatever_the_listing_order(tmp_path, monkeypatch):
    touch(tmp_path, *(f"NIR/{n}_nir.png" for n in ("b_2", "a_1", "b_10")))
    touch(tmp_path, *(f"RGB-Registered/{n}_rgb_reg.png" for n in ("b_10", "b_2", "a_1")))
    listing = Path.iterdir
    for order in (sorted, lambda paths: sorted(paths, reverse=True)):
        monkeypatch.setattr(Path, "iterdir", lambda self, order=order: iter(order(listing(self))))
        pairs = vcip_pairs(tmp_path)
        assert [pair.name for pair in pairs] == ["a_1", "b_10", "b_2"]
        for pair in pairs:
            assert pair.nir == tmp_path / f"NIR/{pair.name}_nir.png"
            assert pair.rgb == tmp_path / f"RGB-Registered/{pair.name}_rgb_reg.png"
            assert pair.mask is None


def test_validation_folder_holds_both_sides(tmp_path):
    touch(tmp_path, "Validation/validation_3_nir.png", "Validation/validation_3_rgb_reg.png")
    (pair,) = vcip_pairs(tmp_path, "validation")
    assert (pair.name, pair.nir.name, pair.rgb.name) == (
        "validation_3",
        "validation_3_nir.png",
        "validation_3_rgb_reg.png",
    )


def test_every_leftover_is_listed(tmp_path):
    touch(tmp_path, "NIR/a_nir.png", "NIR/b_nir.png", "NIR/c_nir.png")
    touch(tmp_path, "RGB-Registered/a_rgb_reg.png", "RGB-Registered/d_rgb_reg.png")
    with pytest.raises(NircolorError, match=r"NIR without colour: b, c; colour without NIR: d$"):
        vcip_pairs(tmp_path)


def test_scene_pairs_and_their_masks(tmp_path):
    touch(tmp_path, "urban/01_nir.png", "urban/01_rgb.jpg", "urban/01_mask.png")
    # the same id in another scene is another pair; macOS's shadow files are none
    touch(tmp_path, "field/01_nir.png", "field/01_rgb.jpg", "field/._01_nir.png", "README.md")
    field, urban = scene_pairs(tmp_path)
    assert (field.name, field.mask) == ("field/01", None)
    assert (urban.name, urban.mask) == ("urban/01", tmp_path / "urban/01_mask.png")
    assert urban.rgb == tmp_path / "urban/01_rgb.jpg"


def test_a_mask_without_its_pair_is_an_error(tmp_path):
    touch(tmp_path, "urban/01_nir.png", "urban/01_rgb.jpg", "urban/10_mask.png")
    with pytest.raises(NircolorError, match="mask without pair: urban/10"):
        scene_pairs(tmp_path)


@pytest.mark.parametrize("read", [vcip_pairs, scene_pairs])
def test_nothing_there_is_an_error(tmp_path, read):
    with pytest.raises(NircolorError, match="none"):
        read(tmp_path)
    with pytest.raises(NircolorError, match="absent"):
        read(tmp_path / "absent")


def test_an_unknown_split_is_refused(tmp_path):
    with pytest.raises(ValueError, match="'test'"):
        vcip_pairs(tmp_path, "test")  # type: ignore[arg-type]


@needs_data
def test_real_sets_are_whole():
    assert len(vcip_pairs(DATA / "vcip2020")) == 372
    assert len(vcip_pairs(DATA / "vcip2020", "validation")) == 18
    assert len(scene_pairs(DATA / "epfl")) == 153
