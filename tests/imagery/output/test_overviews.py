"""Overviews of large GeoTIFFs: means of valid pixels, stored inside the file."""

from itertools import pairwise

import numpy as np
import pytest
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.rpc import RPC
from rasterio.transform import Affine

from nircolor.errors import NircolorError
from nircolor.imagery import create_like, open_raster
from nircolor.imagery.output.writer import check_complete
from tests.imagery.imagery_samples import names, noise, save, write_noise_with_limit

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

PLACE = {"crs": "EPSG:32633", "transform": Affine(10, 0, 500000, 0, -10, 4000000)}


def _coloured(folder, array, *, rgb=None, place=PLACE, **options):
    """Write `rgb` (random by default) with the grid of a file that holds `array`; return the path."""
    source, target = save(folder / "in.tif", array, **place, **options), folder / "out.tif"
    with open_raster(source) as raster, create_like(raster, target) as writer:
        rgb = noise(3, raster.height, raster.width, "float32") if rgb is None else rgb
        for row in range(0, raster.height, 500):
            window = (row, min(row + 500, raster.height), 0, raster.width)
            writer.write(rgb[:, slice(*window[:2])], raster.read(window)[1], window)
    return target


def _levels(path):
    """Yield values and mask of the image and of each overview."""
    with rasterio.open(path) as dataset:
        count = len(dataset.overviews(1))
        yield dataset.read(), dataset.dataset_mask() > 0
    for level in range(count):
        with rasterio.open(path, overview_level=level) as dataset:
            yield dataset.read(), dataset.dataset_mask() > 0


def _mean_of_fours(values, valid):
    """Return the mean of the valid pixels in each 2 x 2 block, NaN where none is valid."""
    fours = np.where(valid, values.astype(np.float64), np.nan)
    fours = fours.reshape(3, valid.shape[0] // 2, 2, valid.shape[1] // 2, 2).swapaxes(2, 3)
    total, count = np.nansum(fours, axis=(3, 4)), np.isfinite(fours).sum(axis=(3, 4))
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)


@pytest.mark.parametrize(
    ("shape", "sides"),
    [
        ((1030, 1030), [(515, 515), (257, 257)]),
        ((100, 2100), [(50, 1050), (25, 525), (12, 262)]),
        ((2500, 1), [(1250, 1), (625, 1), (312, 1)]),
    ],
)
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_overviews_halve_until_one_tile_holds_the_image(tmp_path, shape, sides, dtype):
    path = _coloured(tmp_path, np.zeros((1, *shape), dtype))
    with rasterio.open(path) as dataset:
        assert (dataset.count, dataset.dtypes[0], len(dataset.overviews(1))) == (3, dtype, len(sides))
    for level, side in enumerate(sides):
        with rasterio.open(path, overview_level=level) as overview:
            assert overview.shape == side
            assert overview.block_shapes == [(512, 512)] * 3
            assert overview.compression.name == "deflate"
    assert names(tmp_path) == ["in.tif", "out.tif"]


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_each_overview_is_the_mean_of_the_one_before(tmp_path, dtype):
    images = [values for values, _ in _levels(_coloured(tmp_path, np.zeros((1, 1024, 1600), dtype)))]
    assert len(images) == 3
    for finer, coarser in pairwise(images):
        everywhere = np.ones(finer.shape[1:], bool)
        assert np.abs(coarser - _mean_of_fours(finer, everywhere)).max() <= 0.5


@pytest.mark.parametrize("nodata", [0, 255, 100])
def test_nodata_is_left_out(tmp_path, nodata):
    array = np.full((1, 1200, 1200), 50, np.uint8)
    holes = np.random.default_rng(1).random((1200, 1200)) < 0.4
    holes[:600, :512] = True
    array[0, holes] = nodata
    (image, valid), (overview, overview_valid), *_ = _levels(_coloured(tmp_path, array, nodata=nodata))
    np.testing.assert_array_equal(valid, ~holes)
    expected = _mean_of_fours(image, valid)
    np.testing.assert_array_equal(overview_valid, np.isfinite(expected[0]))
    # a mean that comes out as the nodata value by chance is moved by one
    step = np.where(np.abs(expected - nodata) <= 0.5, 1.5, 0.5)
    assert (np.abs(overview - expected) <= step)[:, overview_valid].all()


def test_a_mean_equal_to_the_nodata_value_stays_valid(tmp_path):
    array = np.full((1, 1200, 1200), 50, np.uint8)
    array[0, :100] = 100
    rgb = np.full((3, 1200, 1200), 99 / 255, np.float32)
    rgb[:, :, ::2] = 101 / 255
    _, (overview, valid), *_ = _levels(_coloured(tmp_path, array, rgb=rgb, nodata=100))
    assert not valid[:50].any()
    assert valid[50:].all()
    assert np.abs(overview[:, 50:] - 100.0).max() <= 1


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_transparent_pixels_are_left_out(tmp_path, dtype):
    array = np.full((2, 1200, 1200), np.iinfo(dtype).max, dtype)
    array[1, :, :301] = 0
    path = _coloured(tmp_path, array, photometric="MINISBLACK", alpha="YES")
    (image, valid), (overview, overview_valid), *_ = _levels(path)
    assert (len(image), int(valid.sum())) == (4, 1200 * 899)
    expected = _mean_of_fours(image[:3], valid)
    np.testing.assert_array_equal(overview_valid, np.isfinite(expected[0]))
    assert np.abs(overview[:3] - expected)[:, overview_valid].max() <= 0.5
    assert not overview[3, :, :150].any()


def test_the_georeference_is_kept(tmp_path):
    path = _coloured(tmp_path, np.zeros((1, 1100, 600), np.uint8), nodata=9)
    with rasterio.open(path) as after, rasterio.open(path, overview_level=0) as overview:
        assert (after.crs.to_epsg(), after.transform, after.nodata) == (32633, PLACE["transform"], 9)
        assert overview.bounds == after.bounds

    def point(dataset):
        dataset.update_tags(AREA_OR_POINT="Point")

    path.unlink()
    path = _coloured(tmp_path, np.zeros((1, 1100, 600), np.uint8), setup=point)
    with rasterio.open(path) as after:
        assert (after.tags()["AREA_OR_POINT"], after.transform) == ("Point", PLACE["transform"])
        assert after.nodata is None


def test_ground_control_points_and_rpcs_are_kept(tmp_path):
    points = [GroundControlPoint(r, c, c * 2.0, r * 3.0, 0.0) for r in (0, 900) for c in (0, 900)]
    numbers = ["line_num_coeff", "line_den_coeff", "samp_num_coeff", "samp_den_coeff"]
    places = ["height", "lat", "line", "long", "samp"]
    rpcs = RPC(
        **dict.fromkeys(numbers, [0.5] * 20),
        **{f"{p}_off": 1.0 for p in places},
        **{f"{p}_scale": 2.0 for p in places},
    )

    def add(dataset):
        dataset.gcps = (points, CRS.from_epsg(4326))
        dataset.rpcs = rpcs

    path = _coloured(tmp_path, np.zeros((1, 1100, 1100), np.uint8), place={}, setup=add)
    with rasterio.open(path) as after:
        assert after.overviews(1)
        assert [(p.row, p.col, p.x, p.y) for p in after.gcps[0]] == [(p.row, p.col, p.x, p.y) for p in points]
        assert after.gcps[1].to_epsg() == 4326
        assert after.rpcs.samp_den_coeff == rpcs.samp_den_coeff


@pytest.mark.parametrize(
    ("side", "place"),
    [(1024, PLACE), pytest.param(1100, {}, id="1100-a photograph, whose pages they would be")],
)
def test_small_or_unreferenced_images_have_no_overviews(tmp_path, side, place):
    with rasterio.open(_coloured(tmp_path, np.zeros((1, side, 90), np.uint8), place=place)) as dataset:
        assert not dataset.overviews(1)


@pytest.mark.parametrize("gap", [True, False])
def test_a_missing_block_of_an_overview_is_found(tmp_path, gap):
    """A file with omitted empty blocks (sparse) has the same gaps as one cut off by a full disk."""
    path = save(tmp_path / "a.tif", np.zeros((1, 1100, 1100), np.uint8), tiled=True, compress="deflate")
    with rasterio.Env(SPARSE_OK_OVERVIEW="ON" if gap else "OFF"), rasterio.open(path, "r+") as dataset:
        dataset.build_overviews([2, 4], Resampling.average)
    if gap:
        with pytest.raises(NircolorError, match=r"out\.tif: could not be written in full"):
            check_complete(path, tmp_path / "out.tif")
    else:
        check_complete(path, tmp_path / "out.tif")


@pytest.mark.parametrize("limit", [1_000_000, 3_800_000, 4_500_000])
def test_a_full_disk(tmp_path, limit):
    """The image takes 3.6 MB, with its overviews 4.8 MB."""
    save(tmp_path / "in.tif", np.zeros((1, 1100, 1100), np.uint8), **PLACE)
    done = write_noise_with_limit(tmp_path, "in.tif", "out.tif", limit)
    assert done.returncode == 1, done.stderr
    assert done.stderr.splitlines()[-1].startswith("out.tif: ")
    assert names(tmp_path) == ["in.tif"]
