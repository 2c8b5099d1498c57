"""Colour images are written with the values, georeference and depth expected, atomically."""
# ruff: noqa: PT012 - that the error passes through the writer's block is the point

import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.rpc import RPC
from rasterio.transform import Affine

from nircolor.errors import DiskFullError, NircolorError
from nircolor.imagery import create_like, open_raster
from nircolor.imagery.output.placing import system_error
from tests.imagery.imagery_samples import (
    load,
    names,
    noise,
    save,
    save_envi,
    tiff_bytes,
    write_noise_with_limit,
)

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

RGB = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)


@pytest.fixture
def source(tmp_path):
    return save(tmp_path / "in.png", noise(1, 70, 90), "PNG")


def _colour(height: int, width: int) -> np.ndarray:
    return noise(3, height, width, "float32", seed=7)


def _convert(source, target, rgb=None, valid=None, **options) -> np.ndarray:
    """Write `rgb` (random by default) with the grid of `source`; return it."""
    with open_raster(source) as raster, create_like(raster, target, **options) as writer:
        rgb = _colour(raster.height, raster.width) if rgb is None else rgb
        writer.write(rgb, raster.read()[1] if valid is None else valid)
    return rgb


@pytest.mark.parametrize("name", ["out.png", "out.tif", "out.TIFF"])
@pytest.mark.parametrize("depth", [8, 16])
def test_write_then_read(tmp_path, source, name, depth):
    rgb = _convert(source, tmp_path / "new" / "folder" / name, depth=depth)
    values, profile = load(tmp_path / "new" / "folder" / name)
    top = 2**depth - 1
    np.testing.assert_array_equal(values, np.floor(rgb * np.float32(top) + np.float32(0.5)))
    assert profile["dtype"] == f"uint{depth}"
    assert (profile["colorinterp"], profile["nodata"]) == (RGB, None)
    assert names(tmp_path / "new" / "folder") == [name]


@pytest.mark.parametrize("name", ["out.jpg", "out.JPEG"])
def test_jpeg(tmp_path, source, name):
    smooth = np.linspace(0, 1, 3 * 70 * 90).reshape(3, 70, 90).astype(np.float32)
    _convert(source, tmp_path / name, smooth)
    values, profile = load(tmp_path / name)
    assert (profile["driver"], profile["dtype"]) == ("JPEG", "uint8")
    assert np.abs(values / 255 - smooth).max() < 0.03
    with pytest.raises(NircolorError, match="JPEG holds 8 bits"):
        _convert(source, tmp_path / "b.jpg", depth=16)


@pytest.mark.parametrize(("dtype", "depth"), [("uint8", 8), ("uint16", 16), ("float32", 16)])
def test_the_default_depth_is_that_of_the_input(tmp_path, dtype, depth):
    path = save(tmp_path / "in.tif", noise(1, 9, 9, dtype))
    _convert(path, tmp_path / "out.tif")
    assert load(tmp_path / "out.tif")[1]["dtype"] == f"uint{depth}"
    _convert(path, tmp_path / "out.jpg")
    assert load(tmp_path / "out.jpg")[1]["dtype"] == "uint8"


@pytest.mark.parametrize("name", ["out.png", "out.tif"])
def test_windows_in_any_order(tmp_path, source, name):
    rgb, valid = _colour(70, 90), np.ones((70, 90), bool)
    windows = [(r, min(r + 33, 70), c, min(c + 41, 90)) for r in (33, 0, 66) for c in (82, 0, 41)]
    with open_raster(source) as raster, create_like(raster, tmp_path / name) as writer:
        for r0, r1, c0, c1 in windows:
            writer.write(rgb[:, r0:r1, c0:c1], valid[r0:r1, c0:c1], (r0, r1, c0, c1))
    np.testing.assert_array_equal(load(tmp_path / name)[0], np.floor(rgb * np.float32(255) + np.float32(0.5)))


def test_values_outside_the_range_are_clipped(tmp_path, source):
    rgb = np.zeros((3, 70, 90), np.float32)
    rgb[0], rgb[1, 0, 0], rgb[2] = 1.7, np.nan, -3
    _convert(source, tmp_path / "out.png", rgb)
    assert load(tmp_path / "out.png")[0][:, 0, 0].tolist() == [255, 0, 0]


def test_a_rotated_input_gives_an_upright_output(tmp_path):
    (tmp_path / "in.tif").write_bytes(tiff_bytes(noise(1, 4, 7)[0], orientation=6))
    rgb = _convert(tmp_path / "in.tif", tmp_path / "out.tif")
    assert rgb.shape == (3, 7, 4)
    with open_raster(tmp_path / "out.tif", bands_nm=[700, 800, 900]) as raster:
        np.testing.assert_allclose(raster.read()[0], rgb, atol=0.5 / 255 + 1e-6)


# --- georeference


def _geotiff(path, array=None, **options):
    options = {"crs": "EPSG:32633", "transform": Affine(10, 0, 500000, 0, -10, 4000000), **options}
    return save(path, noise(1, 30, 40, "uint16") if array is None else array, **options)


def test_a_geotiff_keeps_its_georeference(tmp_path):
    path = _geotiff(tmp_path / "in.tif", setup=lambda d: d.update_tags(AREA_OR_POINT="Point"))
    _convert(path, tmp_path / "out.tif")
    with rasterio.open(path) as before, rasterio.open(tmp_path / "out.tif") as after:
        assert (after.crs, after.transform, after.bounds) == (before.crs, before.transform, before.bounds)
        assert after.tags()["AREA_OR_POINT"] == "Point"
        assert (after.shape, after.colorinterp) == (before.shape, RGB)
        assert after.compression.name == "deflate"


def test_envi_keeps_its_georeference_as_geotiff(tmp_path):
    place = "{UTM, 1, 1, 500000, 4000000, 10, 10, 33, North, WGS-84}"
    header = save_envi(tmp_path, noise(1, 30, 40, "float32"), map_info=place)
    _convert(header, tmp_path / "out.tif")
    with rasterio.open(tmp_path / "out.tif") as after:
        assert after.transform == Affine(10, 0, 500000, 0, -10, 4000000)
        assert "33" in after.crs.to_string()


def test_ground_control_points_and_rpcs_are_kept(tmp_path):
    points = [GroundControlPoint(r, c, c * 2.0, r * 3.0, 0.0) for r in (0, 9) for c in (0, 9)]
    coefficients = dict.fromkeys(
        ["line_num_coeff", "line_den_coeff", "samp_num_coeff", "samp_den_coeff"], [0.5] * 20
    )
    places = ["height", "lat", "line", "long", "samp"]
    rpcs = RPC(**coefficients, **{f"{p}_off": 1.0 for p in places}, **{f"{p}_scale": 2.0 for p in places})

    def add(dataset):
        dataset.gcps = (points, CRS.from_epsg(4326))
        dataset.rpcs = rpcs

    path = save(tmp_path / "in.tif", noise(1, 10, 10), setup=add)
    _convert(path, tmp_path / "out.tif")
    with rasterio.open(tmp_path / "out.tif") as after:
        assert [(p.row, p.col, p.x, p.y) for p in after.gcps[0]] == [(p.row, p.col, p.x, p.y) for p in points]
        assert after.gcps[1].to_epsg() == 4326
        assert after.rpcs.line_num_coeff == rpcs.line_num_coeff


@pytest.mark.parametrize(("side", "tile"), [(40, None), (300, 256), (1030, 512)])
def test_tiles(tmp_path, side, tile):
    path = save(tmp_path / "in.tif", np.zeros((1, side, side), np.uint8))
    _convert(path, tmp_path / "out.tif")
    profile = load(tmp_path / "out.tif")[1]
    assert profile.get("tiled", False) == (tile is not None)
    assert tile is None or profile["blockxsize"] == profile["blockysize"] == tile


@pytest.mark.parametrize("name", ["out.png", "out.jpg"])
def test_no_side_files_from_a_georeferenced_input(tmp_path, name):
    path = _geotiff(tmp_path / "in.tif", nodata=0)
    _convert(path, tmp_path / name)
    assert names(tmp_path) == sorted(["in.tif", name])


# --- what is invalid


@pytest.mark.parametrize(
    ("nodata", "depth", "expected"),
    [
        (0, 8, 0),
        (255, 8, 255),
        (65535, 16, 65535),
        (7, 16, 7),
        (65535, 8, 0),
        (-9999, 16, 0),
        (np.nan, 16, 0),
        (1.5, 8, 0),
    ],
)
def test_nodata_is_kept_and_valid_black_is_not_nodata(tmp_path, nodata, depth, expected):
    array = np.full((1, 6, 6), 0.5, np.float32)
    array[0, 0] = nodata
    path = save(tmp_path / "in.tif", array, nodata=nodata)
    top = 2**depth - 1
    rgb = np.tile(np.float32([0, expected / top, 1])[:, None, None], (1, 6, 6))
    _convert(path, tmp_path / "out.tif", rgb, depth=depth)
    with rasterio.open(tmp_path / "out.tif") as after:
        assert after.nodata == expected
        values = after.read()
        assert (after.dataset_mask() > 0).tolist() == [[False] * 6] + [[True] * 6] * 5
        assert (after.read_masks()[:, 1:] > 0).all()
    assert (values[:, 0] == expected).all()
    assert np.abs(values[:, 1:] - rgb[:, 1:] * top).max() <= 1


def test_nodata_is_set_for_nan_only_where_needed(tmp_path):
    array = np.full((1, 6, 6), 0.5, np.float32)
    path = save(tmp_path / "sound.tif", array)
    _convert(path, tmp_path / "a.tif")
    assert load(tmp_path / "a.tif")[1]["nodata"] is None
    array[0, 2, 3] = np.nan
    path = save(tmp_path / "holes.tif", array)
    _convert(path, tmp_path / "b.tif", np.zeros((3, 6, 6), np.float32))
    with rasterio.open(tmp_path / "b.tif") as after:
        assert after.nodata == 0
        assert np.argwhere(after.dataset_mask() == 0).tolist() == [[2, 3]]


def test_png_is_transparent_where_the_input_is_invalid(tmp_path):
    array = np.full((1, 6, 6), 0.5, np.float32)
    path = save(tmp_path / "sound.tif", array)
    _convert(path, tmp_path / "a.png")
    assert load(tmp_path / "a.png")[0].shape[0] == 3
    array[0, 2, 3] = np.nan
    path = save(tmp_path / "holes.tif", array)
    _convert(path, tmp_path / "b.png")
    values = load(tmp_path / "b.png")[0]
    assert values.shape[0] == 4
    assert np.argwhere(values[3] == 0).tolist() == [[2, 3]]
    assert set(np.unique(values[3])) == {0, 65535}


@pytest.mark.parametrize("name", ["out.png", "out.tif"])
def test_alpha_is_kept(tmp_path, name):
    array = noise(2, 8, 8)
    array[1] = 255
    array[1, 3] = 0
    path = save(tmp_path / "in.png", array, "PNG")
    _convert(path, tmp_path / name)
    values, profile = load(tmp_path / name)
    assert profile["colorinterp"] == (*RGB, ColorInterp.alpha)
    np.testing.assert_array_equal(values[3], array[1])


def test_jpeg_is_black_where_the_input_is_invalid(tmp_path):
    array = np.full((1, 32, 32), 5, np.uint8)
    array[0, :16] = 0
    path = save(tmp_path / "in.tif", array, nodata=0)
    _convert(path, tmp_path / "out.jpg", np.ones((3, 32, 32), np.float32))
    values = load(tmp_path / "out.jpg")[0]
    assert values[:, :15].max() < 20
    assert values[:, 17:].min() > 235


# --- whole or not at all


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("name", ["out.png", "out.tif", "out.jpg"])
def test_nothing_is_left_after_an_interruption(tmp_path, source, error, name):
    before = names(tmp_path)
    with open_raster(source) as raster, pytest.raises(error), create_like(raster, tmp_path / name) as writer:
        writer.write(_colour(30, 90), None, (0, 30, 0, 90))
        raise error
    assert names(tmp_path) == before


def test_an_image_with_missing_windows_does_not_appear(tmp_path, source):
    with (
        open_raster(source) as raster,
        pytest.raises(RuntimeError, match="not all"),
        create_like(raster, tmp_path / "out.png") as writer,
    ):
        writer.write(_colour(30, 90), None, (0, 30, 0, 90))
    assert names(tmp_path) == ["in.png"]


def test_the_file_appears_only_at_the_end(tmp_path, source):
    with open_raster(source) as raster, create_like(raster, tmp_path / "out.png") as writer:
        writer.write(_colour(70, 90))
        assert not (tmp_path / "out.png").exists()
    assert (tmp_path / "out.png").exists()


def test_an_old_file_is_complete_until_it_is_replaced(tmp_path, source):
    target = tmp_path / "out.png"
    target.write_text("old")
    with pytest.raises(NircolorError, match=r"out\.png: exists already.*--overwrite"):
        _convert(source, target)
    with (
        open_raster(source) as raster,
        pytest.raises(ZeroDivisionError),
        create_like(raster, target, overwrite=True) as writer,
    ):
        writer.write(_colour(70, 90))
        raise ZeroDivisionError
    assert target.read_text() == "old"
    _convert(source, target, overwrite=True)
    assert load(target)[0].shape == (3, 70, 90)


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path, source):
    target = tmp_path / "out.png"
    with (
        open_raster(source) as raster,
        pytest.raises(NircolorError, match="exists already"),
        create_like(raster, target) as writer,
    ):
        writer.write(_colour(70, 90))
        target.write_text("somebody else's")
    assert target.read_text() == "somebody else's"
    assert names(tmp_path) == ["in.png", "out.png"]


@pytest.mark.parametrize("link", [None, "symlink_to", "hardlink_to"])
def test_the_input_is_never_overwritten(tmp_path, source, link):
    target = source
    if link is not None:
        target = tmp_path / "link.png"
        getattr(target, link)(source)
    before = source.read_bytes()
    for overwrite in (False, True):
        with pytest.raises(NircolorError, match="is the input itself"):
            _convert(source, target, overwrite=overwrite)
        assert source.read_bytes() == before
        assert os.path.lexists(target)


def test_impossible_output_paths(tmp_path, source):
    with pytest.raises(NircolorError, match=r"ends in \.png.*got 'out\.gif'"):
        _convert(source, tmp_path / "out.gif")
    with pytest.raises(NircolorError, match="8 or 16 bits, got 12"):
        _convert(source, tmp_path / "out.png", depth=12)
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(NircolorError, match="got a folder"):
        _convert(source, tmp_path / "folder.png", overwrite=True)
    (tmp_path / "file").touch()
    with pytest.raises(NircolorError, match=r"file/out\.png: cannot be written"):
        _convert(source, tmp_path / "file" / "out.png")


def test_a_read_only_folder(tmp_path, source, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    with pytest.raises(NircolorError, match=r"out\.png: cannot be written .Read-only file system."):
        _convert(source, tmp_path / "out.png")


def test_an_image_too_wide_for_jpeg(tmp_path):
    path = save(tmp_path / "in.png", np.zeros((1, 1, 70_000), np.uint8), "PNG")
    with pytest.raises(NircolorError, match="JPEG holds at most 65500"):
        _convert(path, tmp_path / "out.jpg")


@pytest.mark.parametrize("name", ["out.tif", "out.png", "out.jpg"])
@pytest.mark.parametrize("limit", [3_000, 60_000])
def test_a_full_disk(tmp_path, name, limit):
    """A file size limit replaces a full disk: writes beyond it fail in the same way."""
    save(tmp_path / "in.png", np.zeros((1, 300, 300), np.uint8), "PNG")
    done = write_noise_with_limit(tmp_path, "in.png", name, limit)
    assert done.returncode == 1, done.stderr
    assert done.stderr.splitlines()[-1].startswith(f"{name}: ")
    assert names(tmp_path) == ["in.png"]


@pytest.mark.usefixtures("source")
def test_ctrl_c_in_a_process(tmp_path):
    code = """
        import sys, time
        import numpy as np
        from nircolor.imagery import create_like, open_raster
        with open_raster("in.png") as raster, create_like(raster, "out.tif") as writer:
            writer.write(np.zeros((3, 10, 90), np.float32), None, (0, 10, 0, 90))
            print("writing", flush=True)
            time.sleep(60)
    """
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"writing\n"
    child.send_signal(signal.SIGINT)
    assert child.wait(30) != 0
    child.stdout.close()
    assert names(tmp_path) == ["in.png"]


def test_memory_does_not_grow_with_the_image(tmp_path):
    """3000 x 3000 x 3 values take 54 MB in 16 bits and 108 MB as float32."""
    path = save(tmp_path / "in.tif", np.zeros((1, 3000, 3000), np.uint16), compress="deflate")
    strip = np.zeros((3, 100, 3000), np.float32)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with open_raster(path) as raster, create_like(raster, tmp_path / "out.png") as writer:
        for row in range(0, 3000, 100):
            writer.write(strip, None, (row, row + 100, 0, 3000))
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 200
    shutil.rmtree(tmp_path)


def test_other_errors_of_the_system_are_not_those_of_a_full_disk(tmp_path):
    assert not isinstance(system_error(PermissionError(errno.EACCES, "no"), tmp_path), DiskFullError)
    full = system_error(OSError(errno.ENOSPC, "full"), tmp_path)
    assert isinstance(full, DiskFullError)
    assert str(full) == f"{tmp_path}: cannot be read or written (full)"
