"""Gray images beside colour images: values, georeference and validity as theirs; both appear or none."""

import os
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp
from rasterio.transform import Affine

from nircolor.errors import NircolorError
from nircolor.imagery import create_like, open_raster, together
from nircolor.imagery.output import placing
from tests.imagery.imagery_samples import load, names, noise, save, with_exif_orientation

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

GRAY, ALPHA = ColorInterp.gray, ColorInterp.alpha


def _write(source, *targets, overwrite=False, depth=None):
    """Write noise as the colour of an image, and its first channel as a gray image."""
    with open_raster(source) as raster:
        colour = noise(3, raster.height, raster.width, "float32", seed=3)
        writers = [
            create_like(raster, targets[0], overwrite=overwrite, depth=depth),
            create_like(raster, targets[1], overwrite=overwrite, depth=depth, gray_band="how sure"),
        ]
        valid = raster.read()[1]
        with together(*writers):
            writers[0].write(colour, valid)
            writers[1].write(colour[:1], valid)
            # neither appears before both are complete
            assert not any(Path(target).exists() for target in targets) or overwrite
    return colour


@pytest.mark.parametrize("side", [40, 1100])
@pytest.mark.parametrize("depth", [8, 16])
def test_a_gray_geotiff(tmp_path, side, depth):
    transform = Affine(10, 0, 500000, 0, -10, 4000000)
    path = save(tmp_path / "in.tif", noise(1, side, 50), crs="EPSG:32633", transform=transform)
    colour = _write(path, tmp_path / "a.tif", tmp_path / "b.tif", depth=depth)
    top = 2**depth - 1
    with rasterio.open(tmp_path / "a.tif") as one, rasterio.open(tmp_path / "b.tif") as other:
        np.testing.assert_array_equal(other.read(1), np.floor(colour[0] * np.float32(top) + np.float32(0.5)))
        assert (other.count, other.colorinterp, other.descriptions) == (1, (GRAY,), ("how sure",))
        assert (other.crs, other.transform, other.dtypes[0]) == (one.crs, transform, one.dtypes[0])
        # large ones are Cloud Optimized, as the colour image
        assert other.overviews(1) == one.overviews(1)
        assert bool(other.overviews(1)) is (side > 1024)


def test_nodata_as_in_the_colour_image(tmp_path):
    array = np.full((1, 6, 6), 0.5, np.float32)
    array[0, 2, 3] = -9999
    path = save(tmp_path / "in.tif", array, nodata=-9999)
    _write(path, tmp_path / "a.tif", tmp_path / "b.tif")
    _write(path, tmp_path / "a.png", tmp_path / "b.png")
    for name in ("a.tif", "b.tif", "a.png", "b.png"):
        with rasterio.open(tmp_path / name) as file:
            assert np.argwhere(file.dataset_mask() == 0).tolist() == [[2, 3]]
    with rasterio.open(tmp_path / "b.tif") as file:
        assert (file.count, file.nodata) == (1, 0)
    assert load(tmp_path / "b.png")[1]["colorinterp"] == (GRAY, ALPHA)


@pytest.mark.parametrize("name", ["b.png", "b.tif"])
def test_alpha_as_in_the_colour_image(tmp_path, name):
    array = noise(2, 8, 8)
    array[1] = 255
    array[1, 3] = 0
    path = save(tmp_path / "in.png", array, "PNG")
    colour = _write(path, tmp_path / f"a{name[1:]}", tmp_path / name)
    values, profile = load(tmp_path / name)
    assert profile["colorinterp"] == (GRAY, ALPHA)
    np.testing.assert_array_equal(values[1], array[1])
    expected = np.floor(colour[0] * np.float32(255) + np.float32(0.5))
    np.testing.assert_array_equal(values[0][values[1] > 0], expected[array[1] > 0])


def test_a_png_has_no_alpha_without_invalid_pixels(tmp_path):
    path = save(tmp_path / "in.tif", noise(1, 8, 8, "float32"))
    _write(path, tmp_path / "a.png", tmp_path / "b.png")
    assert load(tmp_path / "b.png")[1]["colorinterp"] == (GRAY,)


def test_a_png_states_its_description_and_is_upright_without_a_profile_of_colours(tmp_path):
    plain = save(tmp_path / "plain.jpg", noise(1, 8, 16), "JPEG").read_bytes()
    path = tmp_path / "in.jpg"
    path.write_bytes(with_exif_orientation(plain, 6))
    _write(path, tmp_path / "a.png", tmp_path / "b.png")
    assert load(tmp_path / "b.png")[0].shape == load(tmp_path / "a.png")[0][:1].shape == (1, 16, 8)
    with rasterio.open(tmp_path / "b.png") as file:
        assert file.tags()["Description"] == "how sure"
    assert b"iCCP" not in (tmp_path / "b.png").read_bytes()
    # a reader that applies the orientation must not turn it again
    with open_raster(tmp_path / "b.png") as raster:
        assert (raster.height, raster.width) == (16, 8)


def test_only_gray_is_written_to_a_gray_image(tmp_path):
    path = save(tmp_path / "in.tif", noise(1, 8, 8))
    with (
        open_raster(path) as raster,
        pytest.raises(ValueError, match=r"expected rgb \(1, 8, 8\)"),
        create_like(raster, tmp_path / "b.tif", gray_band="x") as writer,
    ):
        writer.write(np.zeros((3, 8, 8), np.float32))
    assert names(tmp_path) == ["in.tif"]


# --- together


@pytest.fixture
def source(tmp_path):
    return save(tmp_path / "in.png", noise(1, 9, 9), "PNG")


@pytest.mark.parametrize("which", [0, 1])
def test_none_is_written_where_one_exists(tmp_path, source, which):
    targets = tmp_path / "a.png", tmp_path / "b.png"
    targets[which].write_text("old")
    with pytest.raises(NircolorError, match=rf"{targets[which].name}: exists already.*--overwrite"):
        _write(source, *targets)
    assert names(tmp_path) == sorted(["in.png", targets[which].name])
    assert targets[which].read_text() == "old"
    _write(source, *targets, overwrite=True)
    assert [load(target)[0].shape[0] for target in targets] == [3, 1]


@pytest.mark.parametrize("which", [0, 1])
def test_none_appears_where_one_appeared_meanwhile(tmp_path, source, monkeypatch, which):
    targets = tmp_path / "a.png", tmp_path / "b.png"
    finish = placing.put

    def put(files):
        targets[which].write_text("somebody else's")
        # even where it appears after the check
        with monkeypatch.context() as patch:
            patch.setattr(placing, "check_free", lambda *_: None)
            finish(files)

    monkeypatch.setattr("nircolor.imagery.output.writer.put", put)
    with pytest.raises(NircolorError, match=rf"{targets[which].name}: exists already"):
        _write(source, *targets)
    assert names(tmp_path) == sorted(["in.png", targets[which].name])
    assert targets[which].read_text() == "somebody else's"


@pytest.mark.parametrize("existing", [(), ("a.png",), ("a.png", "b.png")])
@pytest.mark.parametrize("error", [PermissionError(1, "no"), KeyboardInterrupt()])
def test_what_was_replaced_is_restored_where_the_other_cannot_be(
    tmp_path, source, monkeypatch, existing, error
):
    for name in existing:
        (tmp_path / name).write_text(f"old {name}")
    replace = os.replace

    def fail(old, new):
        if Path(new).name == "b.png":
            raise error
        replace(old, new)

    monkeypatch.setattr(placing.os, "replace", fail)
    with pytest.raises((NircolorError, KeyboardInterrupt)):
        _write(source, tmp_path / "a.png", tmp_path / "b.png", overwrite=True)
    assert names(tmp_path) == sorted([*existing, "in.png"])
    for name in existing:
        assert (tmp_path / name).read_text() == f"old {name}"


@pytest.mark.parametrize("which", [0, 1])
def test_none_appears_where_one_is_incomplete(tmp_path, source, which):
    targets = tmp_path / "a.png", tmp_path / "b.png"
    with open_raster(source) as raster:
        writers = [create_like(raster, targets[0]), create_like(raster, targets[1], gray_band="x")]
        with pytest.raises(RuntimeError, match="not all"), together(*writers):
            writers[which].write(np.zeros((3 - 2 * which, 9, 9), np.float32))
    assert names(tmp_path) == ["in.png"]
