"""Colours from a reference: known scenes with an object that only one of the images has."""

import warnings

import numpy as np
import pytest

pytest.importorskip("cv2", reason="needs the extra align")
import cv2

from nircolor.errors import NircolorError, NircolorWarning
from nircolor.imagery import open_raster
from nircolor.inference import Colorizer, Reference, colorize
from tests.imagery.imagery_samples import noise, save
from tests.pairs.alignment.scenes import HEIGHT, WIDTH, scene, warped

# an object of the daytime, and one of the night
_GHOST, _NEW = np.s_[50:110, 60:130], np.s_[160:220, 220:290]


@pytest.fixture(scope="module")
def colorizer(tiny):
    return Colorizer(tiny("per_pixel"))


@pytest.fixture(scope="module")
def view(tmp_path_factory):
    """NIR image with an object, the true colours without it, and a moved reference with another object."""
    nir, colour = scene(5)
    nir = cv2.GaussianBlur(nir, (0, 0), 0.7)
    seen, day = nir.copy(), colour.copy()
    day[_GHOST] = (250, 20, 20)
    seen[_NEW] = 250
    moved, _ = warped(day, degrees=1.5, zoom=0.95, shift=(0.02, -0.01))
    path = tmp_path_factory.mktemp("reference") / "day.png"
    save(path, moved.transpose(2, 0, 1), "PNG")
    return seen, colour, path


def error(image, truth, where=np.s_[:, :]):
    return float(np.abs(image.astype(float) - truth)[where].mean())


def test_colours_come_from_the_reference_where_the_scene_matches(colorizer, view):
    nir, truth, path = view
    without, with_it = colorizer.colorize(nir), colorizer.colorize(nir, reference=path)
    same = np.ones(nir.shape, bool)
    same[_GHOST] = same[_NEW] = False
    same[:20] = same[-20:] = same[:, :20] = same[:, -20:] = False
    assert error(with_it, truth, same) < 0.35 * error(without, truth, same)
    assert error(with_it, truth, same) < 25


def test_no_ghost_of_the_daytime_and_no_loss_of_what_is_new(colorizer, view):
    nir, _, path = view
    output = colorizer.colorize(nir, reference=path).astype(float)
    inner = (np.s_[60:100, 70:120], np.s_[170:210, 230:280])
    # the ghost is pure red, by 230; in this scene NIR and colour are unrelated, which hides changes
    assert (output[inner[0]][..., 0] - output[inner[0]][..., 1:].max(-1)).mean() < 110
    # an even object stays even, apart from what lies beneath it in the reference
    day = Reference(path)._colour
    assert output[inner[1]].std((0, 1)).mean() < 0.5 * day[inner[1]].std((0, 1)).mean()


@pytest.mark.parametrize("tile_px", [64, 1000])
def test_files_tiles_and_arrays_agree(tiny, view, tmp_path, tile_px):
    nir, _, path = view
    save(tmp_path / "night.png", nir[None], "PNG")
    (result,) = colorize(
        tmp_path / "night.png",
        tmp_path / "colour.png",
        model=tiny("per_pixel"),
        tile_px=tile_px,
        reference=path,
    )
    assert result.error is None
    with open_raster(tmp_path / "colour.png", bands_nm=(620, 550, 460)) as raster:
        written = raster.read()[0].transpose(1, 2, 0) * 255
    expected = Colorizer(tiny("per_pixel")).colorize(nir, reference=Reference(path))
    np.testing.assert_allclose(written, expected, atol=1)


def test_size_of_the_reference_and_of_the_image_do_not_matter(colorizer, view, tmp_path):
    nir, truth, path = view
    # larger than what is registered, and a smaller reference
    large = cv2.resize(nir, (4 * WIDTH, 4 * HEIGHT), interpolation=cv2.INTER_CUBIC)
    day = cv2.imread(str(path))
    cv2.imwrite(str(tmp_path / "small.png"), cv2.resize(day, None, fx=1.5, fy=1.5))
    output = colorizer.colorize(large, reference=tmp_path / "small.png")
    assert output.shape == (*large.shape, 3)
    small = cv2.resize(output, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    same = np.zeros(nir.shape, bool)
    same[120:150, 40:-40] = True
    assert error(small, truth, same) < 0.4 * error(colorizer.colorize(nir), truth, same)


def test_another_view_is_ignored_with_one_warning(colorizer, view, tmp_path):
    nir = view[0]
    other = save(tmp_path / "other.png", scene(77)[1].transpose(2, 0, 1), "PNG")
    save(tmp_path / "night.png", nir[None], "PNG")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        colorizer.colorize_file(tmp_path / "night.png", tmp_path / "out.png", reference=other)
    (found,) = [one.message for one in caught if isinstance(one.message, NircolorWarning)]
    assert f"{other} cannot be matched" in str(found)
    assert str(found).startswith(str(tmp_path / "night.png"))
    colorizer.colorize_file(tmp_path / "night.png", tmp_path / "without.png")
    assert (tmp_path / "out.png").read_bytes() == (tmp_path / "without.png").read_bytes()


def test_a_flat_image_is_ignored_too(colorizer, view):
    flat = np.full((60, 80), 100, np.uint8)
    with pytest.warns(NircolorWarning, match="cannot be matched"):
        output = colorizer.colorize(flat, reference=view[2])
    np.testing.assert_array_equal(output, colorizer.colorize(flat))


def test_unusable_references(tmp_path, view):
    gray = save(tmp_path / "gray.png", noise(1, 40, 40), "PNG")
    with pytest.raises(NircolorError, match=r"gray\.png: --reference expects a colour image, got a gray one"):
        Reference(gray)
    tinted = np.uint8(noise(1, 40, 40) * np.array([0.9, 0.5, 0.6])[:, None, None])
    for name, driver in (("tint.png", "PNG"), ("tint.tif", "GTiff")):
        save(tmp_path / name, tinted, driver)
        with pytest.raises(NircolorError, match="expected a colour image, got shades of one colour"):
            Reference(tmp_path / name)
    bands = save(tmp_path / "five.tif", noise(5, 40, 40))
    with pytest.raises(NircolorError, match=r"five\.tif: --reference expects the 3 bands .* got 5"):
        Reference(bands)
    whole = view[2].read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(NircolorError, match=r"cut\.png: .*(damaged|cut off)"):
        Reference(tmp_path / "cut.png")
    with pytest.raises(NircolorError, match=r"none\.png: no such file"):
        Reference(tmp_path / "none.png")


def test_saturation_applies_to_the_result(colorizer, view):
    nir, _, path = view
    gray = colorizer.colorize(nir, reference=path, saturation=0).astype(int)
    assert (gray.max(-1) - gray.min(-1)).max() <= 1


def test_not_with_confidence(tiny, view):
    with pytest.raises(NircolorError, match="--reference or --confidence"):
        Colorizer(tiny("bounded")).colorize(view[0], reference=view[2], confidence=True)
