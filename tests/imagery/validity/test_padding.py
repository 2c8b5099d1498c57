"""Black padding: recognized by straight edges, and not in dark skies, shadows and objects."""

import warnings
from pathlib import Path

import numpy as np
import pytest

from nircolor.errors import NircolorWarning
from nircolor.imagery import create_like, open_raster
from nircolor.imagery.validity import padding
from tests.imagery.imagery_samples import load, noise, save, tiff_bytes

_EPFL = Path(__file__).parents[4] / "shared/data/epfl"


def _scene(height=240, width=320, seed=0):
    """Smooth content from 0.1 to 1, with some fine grain."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    waves = np.sin(x / 17 + rng.random()) + np.sin(y / 23) + np.sin((x + y) / 41)
    return (0.55 + 0.12 * waves + 0.05 * rng.random((height, width))).astype(np.float32)


def _frame(height, width, degrees, share=0.85, shift=(0, 0)):
    """(h, w): coverage of pixels by a rotated frame, between 0 and 1 along its edges."""
    y, x = np.mgrid[0:height, 0:width]
    angle = np.radians(degrees)
    x, y = x - width / 2 + 0.5 - shift[1], y - height / 2 + 0.5 - shift[0]
    across, down = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    inside = np.minimum(share * width / 2 - np.abs(across), share * height / 2 - np.abs(down))
    return np.clip(inside + 0.5, 0, 1)


def _skyline(height=240, width=320, seed=0, roughness=3.0):
    """Row at which the ground begins in each column: a random walk."""
    steps = np.random.default_rng(seed).normal(0, roughness, width)
    walk = np.cumsum(steps)
    return height / 3 + walk - walk.mean()


def _valid(path, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NircolorWarning)
        with open_raster(path, **options) as raster:
            return raster.read()[1]


def _opened(path):
    with pytest.warns(NircolorWarning, match="black padding"):
        return open_raster(path)


def _save(path, values, dtype="uint8", bands=1, driver="GTiff", **options):
    top = 1 if dtype == "float32" else np.iinfo(dtype).max
    array = np.repeat((values * top)[None], bands, axis=0) * np.linspace(1, 0.7, bands)[:, None, None]
    array = array if dtype == "float32" else np.rint(array)
    return save(path, array.astype(dtype), driver, **options)


# --- what is padding


@pytest.mark.parametrize("degrees", [0.0, 0.6, 5, -12, 30, 45, 80])
@pytest.mark.parametrize(("dtype", "bands"), [("uint8", 1), ("uint16", 4), ("float32", 1)])
def test_a_rotated_frame(tmp_path, degrees, dtype, bands):
    inside = _frame(240, 320, degrees)
    values = _scene() * (inside >= 0.5)
    path = _save(tmp_path / "a.tif", values, dtype, bands, photometric="MINISBLACK")
    np.testing.assert_array_equal(_valid(path), values > 0)


@pytest.mark.parametrize("degrees", [1, 7, -20])
def test_soft_edges_of_an_interpolated_frame(tmp_path, degrees):
    inside = _frame(240, 320, degrees, shift=(9, -14))
    valid = _valid(_save(tmp_path / "a.png", _scene() * inside, driver="PNG"))
    assert not valid[inside == 0].any()
    assert valid[inside > 0.1].all()


@pytest.mark.parametrize(
    "borders",
    [
        (20, 0, 30, 0),
        (0, 12, 0, 9),
        (4, 4, 4, 4),
        (30, 30, 0, 0),
        (0, 0, 25, 25),
        (0, 0, 0, 20),
    ],
)
def test_bars(tmp_path, borders):
    top, bottom, left, right = borders
    inside = np.zeros((240, 320), bool)
    inside[top : 240 - bottom, left : 320 - right] = True
    np.testing.assert_array_equal(_valid(_save(tmp_path / "a.tif", _scene() * inside)), inside)


@pytest.mark.parametrize("borders", [(0, 0, 30, 0), (8, 0, 0, 12)])
def test_some_pixels_beside_the_edges_are_black_too(tmp_path, borders):
    top, bottom, left, right = borders
    inside = np.zeros((240, 320), bool)
    inside[top : 240 - bottom, left : 320 - right] = True
    values = noise(1, 240, 320)[0] * inside
    valid = _valid(save(tmp_path / "a.tif", values[None]))
    assert not valid[~inside].any()
    assert valid[inside].mean() > 0.9999


def test_black_objects_inside_stay_valid(tmp_path):
    inside = _frame(240, 320, 8) >= 0.5
    values = _scene() * inside
    values[100:130, 90:140], values[60:62] = 0, values[60:62] * (np.arange(320) % 3 > 0)
    valid = _valid(_save(tmp_path / "a.tif", values))
    assert valid[100:130, 90:140].all()
    assert not valid[~inside].any()


@pytest.mark.parametrize("quality", [85, 95])
def test_padding_that_jpeg_has_blurred(tmp_path, quality):
    inside = _frame(240, 320, 6) >= 0.5
    path = _save(tmp_path / "b.jpg", (0.3 + 0.6 * _scene()) * inside, driver="JPEG", quality=quality)
    valid = _valid(path)
    assert valid[inside].mean() > 0.999
    assert (~valid[~inside]).mean() > 0.95


def test_a_large_image_is_looked_at_in_steps(tmp_path, monkeypatch):
    inside = _frame(480, 640, 11) >= 0.5
    values = _scene(480, 640) * inside
    path = _save(tmp_path / "a.tif", values, tiled=True, blockxsize=128, blockysize=64)
    monkeypatch.setattr(padding, "_LONGEST_PX", 130)
    valid = _valid(path)
    assert valid[inside].all()
    assert valid[~inside].mean() < 1e-3


def test_windows_agree_with_the_whole(tmp_path):
    path = _save(tmp_path / "a.tif", _scene() * (_frame(240, 320, 9) >= 0.5))
    whole = _valid(path)
    with _opened(path) as raster:
        assert raster.may_have_invalid
        for window in ((0, 50, 0, 320), (100, 240, 200, 320), (30, 31, 5, 6), (200, 240, 0, 100)):
            row0, row1, col0, col1 = window
            np.testing.assert_array_equal(raster.read(window)[1], whole[row0:row1, col0:col1])
        values, valid = raster.read(out_shape=(24, 32))
        assert not valid[0, 0]
        # means of valid pixels alone
        assert values[0][valid].min() > 0.2


@pytest.mark.parametrize("orientation", [3, 6])
def test_rotated_upright(tmp_path, orientation):
    values = np.rint(_scene(160, 200) * (_frame(160, 200, 9, shift=(12, 5)) >= 0.5) * 255)
    path = tmp_path / "a.tif"
    path.write_bytes(tiff_bytes(values, orientation))
    upright = np.rot90(values, 2 if orientation == 3 else -1)
    np.testing.assert_array_equal(_valid(path), upright > 0)


# --- what is not


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("roughness", [0.3, 1.5, 6])
def test_a_black_sky_over_a_skyline(tmp_path, seed, roughness):
    rows = np.arange(240)[:, None]
    values = _scene() * (rows > _skyline(seed=seed, roughness=roughness))
    assert _valid(_save(tmp_path / "a.png", values, driver="PNG")).all()


@pytest.mark.parametrize("slope", [0, 0.02, -0.3])
@pytest.mark.parametrize("flip", [False, True])
def test_a_single_straight_edge_may_be_a_horizon(tmp_path, slope, flip):
    rows, cols = np.mgrid[0:240, 0:320]
    values = _scene() * (rows > 90 + slope * cols)
    if flip and slope:
        values = values[::-1]
    assert _valid(_save(tmp_path / "a.png", values, driver="PNG")).all()


@pytest.mark.parametrize(
    "kind", ["black", "disc", "gable", "valley", "vignette", "night", "thin", "corner", "noise"]
)
def test_other_dark_images(tmp_path, kind):
    rows, cols = np.mgrid[0:240, 0:320]
    distance = np.hypot(rows - 120, cols - 160)
    rng = np.random.default_rng(0)
    values = {
        "black": np.zeros((240, 320)),
        "disc": _scene() * (distance < 110),
        "gable": _scene() * (rows > 60 + 0.4 * np.abs(cols - 150)),
        "valley": _scene() * (rows < 200 - 0.6 * np.abs(cols - 150)),
        "vignette": np.clip(_scene() * (1 - distance / 150), 0, 1),
        "night": np.exp(-(distance**2) / 300),
        "thin": _scene() * (rows > 0) * (cols > 0),
        "corner": _scene() * (rows + cols > 9),
        # a sensor's noise around its black level
        "noise": np.where(_frame(240, 320, 8) >= 0.5, _scene(), (rng.random((240, 320)) > 0.8) / 255),
    }[kind]
    assert _valid(_save(tmp_path / "a.png", values, driver="PNG")).all()


@pytest.mark.parametrize(
    "zero",
    [
        lambda y, x: (y < 60) | (x < 60) | (x > 190),  # a skyscraper
        lambda y, x: (y < 60) | (x < 60),  # a tower
        lambda y, x: y < 20 + abs(x - 128),  # a gable roof of 90 degrees
        lambda y, x: y + 0 * x > 200,  # calm water
        lambda y, x: y + 0 * x > 235,
        lambda y, x: abs(y - 110) + abs(x - 110) > 10,  # a lit window at night, and a tilted camera
        lambda y, x: (y < 60 + x / 40) | (x < 60 - y / 40) | (x > 190 - y / 40),  # a camera that was tilted
    ],
)
def test_buildings_against_a_black_sky_and_black_water(tmp_path, zero):
    rows, cols = np.mgrid[0:256, 0:256]
    values = _scene(256, 256) * ~zero(rows, cols)
    assert _valid(_save(tmp_path / "a.png", values, driver="PNG")).all()


@pytest.mark.parametrize("white", [False, True])
def test_other_values_than_zero(tmp_path, white):
    values = np.where(_frame(240, 320, 8) >= 0.5, _scene(), 1 if white else 3 / 255)
    assert _valid(_save(tmp_path / "a.png", values, driver="PNG")).all()


def test_what_the_file_or_the_user_says_comes_first(tmp_path):
    inside = _frame(240, 320, 8) >= 0.5
    path = _save(tmp_path / "a.tif", _scene() * inside)
    assert _valid(path, nodata="none").all()
    assert not _valid(path, nodata=0)[~inside].any()
    assert _valid(path, nodata=255).sum() == (load(path)[0] != 255).sum()
    assert _valid(_save(tmp_path / "b.tif", _scene() * inside, nodata=255)).all()
    opaque = np.stack([np.rint(_scene() * inside * 255), np.full((240, 320), 255)]).astype(np.uint8)
    assert _valid(save(tmp_path / "c.png", opaque, "PNG")).all()


# --- outputs


def _written(path, output):
    with _opened(path) as raster:
        valid = raster.read()[1]
        with create_like(raster, output) as writer:
            writer.write(np.full((3, *valid.shape), 0.004, np.float32), valid)
    return load(output)


@pytest.mark.parametrize("name", ["b.png", "b.jpg", "b.tif"])
def test_in_photographs_black_stays_black_without_alpha(tmp_path, name):
    inside = _frame(240, 320, 8) >= 0.5
    path = _save(tmp_path / "a.png", _scene() * inside, driver="PNG")
    rgb, profile = _written(path, tmp_path / name)
    assert rgb.shape == (3, 240, 320)
    assert profile["nodata"] is None
    assert not rgb[:, ~inside].any() or name == "b.jpg"
    assert rgb[:, inside].max() == 1


def test_in_maps_padding_is_nodata(tmp_path):
    inside = _frame(240, 320, 8) >= 0.5
    place = {"crs": "EPSG:32632", "transform": (10.0, 0, 500_000, 0, -10, 5_000_000)}
    path = _save(tmp_path / "a.tif", _scene() * inside, "uint16", **place)
    rgb, profile = _written(path, tmp_path / "b.tif")
    assert profile["nodata"] == 0
    np.testing.assert_array_equal((rgb > 0).all(axis=0), inside)
    assert _written(path, tmp_path / "b.png")[0].shape == (4, 240, 320)


def test_the_warning_names_share_and_option(tmp_path):
    inside = _frame(240, 320, 8) >= 0.5
    path = _save(tmp_path / "a.png", _scene() * inside, driver="PNG")
    with pytest.warns(NircolorWarning) as record:
        open_raster(path).close()
    share = f"{1 - inside.mean():.0%}"
    assert [str(warning.message) for warning in record] == [
        f"{path}: black padding (zeros beyond straight edges, {share} of the area) is taken as invalid; "
        "it stays black, --nodata none colorizes it"
    ]


# --- real images


@pytest.mark.skipif(not _EPFL.is_dir(), reason="needs the RGB-NIR Scene set in shared/data")
def test_registered_photographs():
    """Every sixth image: most of the padding that the set's masks show is found, and nothing else."""
    found = padded = 0
    for path in sorted(_EPFL.glob("*/*_nir.png"))[::6]:
        mask = path.with_name(path.name.replace("_nir", "_mask"))
        invalid = ~_valid(path)
        expected = load(mask)[0][0] != 255 if mask.exists() else np.zeros_like(invalid)
        assert not (invalid & ~expected).any(), path
        padded += expected.any()
        found += invalid.sum() > 0.9 * expected.sum() > 0
    assert padded > 10
    assert found >= 0.9 * padded
