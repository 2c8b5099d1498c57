"""`DataArray.nircolor`: the colours of the file, also in chunks of Dask."""

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from nircolor.errors import NircolorError
from nircolor.inference import Colorizer, Reading
from tests.tiny_models import box, per_pixel, position

rioxarray = pytest.importorskip("rioxarray", reason="needs the extra xarray")
pytest.importorskip("dask.array", reason="needs the extra xarray")
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


@pytest.fixture(autouse=True)
def _accessor():
    import nircolor.xarray  # noqa: F401


def scene(path, count=1, height=200, width=300, nodata=None, dtype="uint16", names=(), top=10_000):
    values = np.random.default_rng(0).integers(1, top, (count, height, width)).astype(dtype)
    if nodata is not None:
        values[:, 20:60, 100:170] = nodata
    with rasterio.open(
        path, "w", driver="GTiff", height=height, width=width, count=count, dtype=dtype, crs="EPSG:32632",
        transform=from_origin(500_000, 5_000_000, 10, 10), nodata=nodata,
    ) as file:  # fmt: skip
        file.write(values)
        if names:
            file.descriptions = names
    return path


def of_file(path, model, target, **reading):
    Colorizer(model).colorize_file(path, target, reading=Reading(**reading))
    with rasterio.open(target) as file:
        return file.read(), file.nodata, file.crs, file.transform


@pytest.mark.parametrize("chunks", [None, {"x": -1, "y": -1}])
@pytest.mark.parametrize("nodata", [None, 0, 65535])
def test_colours_of_the_file(tmp_path, chunks, nodata):
    path, model = scene(tmp_path / "a.tif", nodata=nodata), per_pixel(tmp_path / "m.onnx")
    raster = rioxarray.open_rasterio(path, chunks=chunks)
    colours = raster.nircolor.colorize(model, scale=10_000)
    assert (colours.chunks is None) == (chunks is None)
    values, expected_nodata, crs, transform = of_file(path, model, tmp_path / "b.tif", scale=10_000)
    np.testing.assert_array_equal(colours.values, values)
    assert (colours.dtype, colours.rio.nodata) == (np.uint16, expected_nodata)
    assert (colours.rio.crs, colours.rio.transform()) == (crs, transform)
    np.testing.assert_array_equal(colours.x, raster.x)
    assert colours.attrs["NIRCOLOR_MODEL"] == "per_pixel"
    colours.rio.to_raster(tmp_path / "c.tif")
    with rasterio.open(tmp_path / "c.tif") as file:
        np.testing.assert_array_equal(file.read(), values)
        assert file.tags()["NIRCOLOR_COLOURS"].startswith("estimated")
        assert file.descriptions[0] == "red (estimated)"


def test_masked_floats_are_nan_where_invalid(tmp_path):
    path, model = scene(tmp_path / "a.tif", nodata=0), per_pixel(tmp_path / "m.onnx")
    colours = rioxarray.open_rasterio(path, masked=True).nircolor.colorize(model, scale=10_000)
    values, *_ = of_file(path, model, tmp_path / "b.tif", scale=10_000)
    assert colours.dtype == np.float32
    invalid = np.isnan(colours.values)
    np.testing.assert_array_equal(invalid, values == 0)
    assert invalid[:, 20:60, 100:170].all()
    np.testing.assert_allclose(colours.values[~invalid] * 65535, values[~invalid], atol=1.01)


@pytest.mark.parametrize("chunk", [(64, 96), (37, 300), (200, 51)])
def test_chunks_leave_no_seams(tmp_path, chunk):
    """The box sees 4 px around a pixel; its overlap is 32 px."""
    path, model = scene(tmp_path / "a.tif", nodata=0), box(tmp_path / "m.onnx")
    whole = rioxarray.open_rasterio(path).nircolor.colorize(model, scale=10_000)
    chunked = rioxarray.open_rasterio(path, chunks={"y": chunk[0], "x": chunk[1]})
    colours = chunked.nircolor.colorize(model, scale=10_000)
    assert colours.data.chunksize == (3, *chunk)
    difference = np.abs(colours.values.astype(int) - whole.values)
    assert difference.max() <= 2


def test_chunks_know_the_whole_image_and_their_place_in_it(tmp_path):
    """`position` returns the edges of its tile: those of chunks with their surroundings."""
    path, model = scene(tmp_path / "a.tif"), position(tmp_path / "m.onnx")
    chunked = rioxarray.open_rasterio(path, chunks={"y": 100, "x": 150}, masked=True)
    colours = chunked.nircolor.colorize(model, scale=10_000).values
    assert not np.allclose(colours[:, 0, 0], colours[:, -1, -1])


@pytest.mark.parametrize("chunk", [(70, 300), (33, 41)])
def test_chunks_of_colours_from_a_reduced_size_are_those_of_the_whole(tmp_path, chunk):
    path, model = scene(tmp_path / "a.tif", nodata=0), position(tmp_path / "m.onnx", working_pixels=4096)
    whole = rioxarray.open_rasterio(path).nircolor.colorize(model, scale=10_000)
    chunked = rioxarray.open_rasterio(path, chunks={"y": chunk[0], "x": chunk[1]})
    colours = chunked.nircolor.colorize(model, scale=10_000)
    assert np.abs(colours.values.astype(int) - whole.values).max() <= 1
    np.testing.assert_array_equal(whole.values, of_file(path, model, tmp_path / "b.tif", scale=10_000)[0])


def test_nothing_is_computed_before_it_is_asked_for(tmp_path):
    path, model = scene(tmp_path / "a.tif"), per_pixel(tmp_path / "m.onnx")
    raster = rioxarray.open_rasterio(path, chunks={"y": 50, "x": 50})

    def fail(_block):
        raise AssertionError("computed")

    lazy = raster.copy(data=raster.data.map_blocks(fail, dtype=raster.dtype, meta=raster.data._meta))
    lazy.nircolor.colorize(model, scale=10_000)
    # one chunk needs its neighbours alone
    corner = raster.nircolor.colorize(model, scale=10_000)[:, :50, :50]
    assert corner.compute().shape == (3, 50, 50)


def test_bands_by_name_by_number_and_by_coordinate(tmp_path):
    path = scene(tmp_path / "a.tif", 3, names=("B04", "B08", "B8A"), top=5000)
    model = per_pixel(tmp_path / "m.onnx")
    values, *_ = of_file(path, model, tmp_path / "b.tif", bands_nm={850: 2}, scale=10_000)
    raster = rioxarray.open_rasterio(path)
    numbered = raster.nircolor.colorize(model, bands_nm={850: 2}, scale=10_000)
    np.testing.assert_array_equal(numbered.values, values)
    raster.attrs.pop("long_name")
    by_coordinate = raster.assign_coords(wavelength=("band", [0.665, 0.85, 1.6]))
    by_coordinate = by_coordinate.nircolor.colorize(model, scale=10_000)
    np.testing.assert_array_equal(by_coordinate.values, values)
    with pytest.raises(NircolorError, match="got 3 bands without wavelengths"):
        raster.nircolor.colorize(model, scale=10_000)


def test_units_are_never_guessed(tmp_path):
    path, model = scene(tmp_path / "a.tif"), per_pixel(tmp_path / "m.onnx", encoding="reflectance")
    raster = rioxarray.open_rasterio(path)
    with pytest.raises(NircolorError, match=r"values of unknown scale; give --scale 10000"):
        raster.nircolor.colorize(model)
    # arithmetic drops what the file says
    with pytest.raises(NircolorError, match=r"pass the value that means 1\.0 as scale"):
        (raster * 1.0).nircolor.colorize(model)
    raster.attrs["scale_factor"] = 0.0001
    stated = raster.nircolor.colorize(model)
    np.testing.assert_array_equal(
        stated.values, raster.drop_attrs().nircolor.colorize(model, scale=1e4).values
    )
