"""`BandsWriter`: values, wavelengths, validity and georeference come back from the file."""

import numpy as np
import pytest
import rasterio

from nircolor.errors import NircolorError
from nircolor.imagery import open_raster
from nircolor.imagery.output.bands_writer import BandsWriter, SpectralBand
from tests.imagery.envi_captures import flat, save_cube
from tests.imagery.imagery_samples import load, names, noise, save

_BANDS = [SpectralBand(783.4, 10), SpectralBand(850, 25.5), SpectralBand(1004.52, 5.5)]


def _write(raster, path, reflectance, valid=None, step=3):
    valid = np.ones(reflectance.shape[1:], bool) if valid is None else valid
    bands = _BANDS[: len(reflectance)]
    with BandsWriter(raster.grid, path, bands) as writer:
        for top in range(0, raster.height, step):
            stop = min(top + step, raster.height)
            writer.write(reflectance[:, top:stop], valid[top:stop], (top, stop, 0, raster.width))
    return path


@pytest.fixture
def raster(tmp_path):
    with open_raster(save(tmp_path / "source.tif", noise(1, 10, 7))) as opened:
        yield opened


def test_reflectance_and_wavelengths_come_back(tmp_path, raster):
    reflectance = noise(3, 10, 7, "float32")
    given = reflectance.copy()
    path = _write(raster, tmp_path / "b.tif", reflectance)
    np.testing.assert_array_equal(reflectance, given)
    with open_raster(path) as back:
        assert back.wavelengths_nm == (783.4, 850, 1004.52)
        assert (back.bands, back.full_scale, back.is_reflectance) == (3, 10000, True)
        assert not back.may_have_invalid
        values, valid = back.read()
        np.testing.assert_allclose(values, reflectance, atol=0.51e-4)
        assert valid.all()
        # a band alone, as a model of one band asks for it
        np.testing.assert_array_equal(back.read(bands=[2])[0][0], values[2])
    assert names(tmp_path) == ["b.tif", "source.tif"]


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_gdal_tags_state_the_same_wavelengths(tmp_path, raster):
    with rasterio.open(_write(raster, tmp_path / "b.tif", noise(3, 10, 7, "float32"))) as dataset:
        assert dataset.descriptions == ("783.4 nm", "850 nm", "1004.52 nm")
        imagery = [dataset.tags(i, ns="IMAGERY") for i in dataset.indexes]
        assert [float(tags["CENTRAL_WAVELENGTH_UM"]) for tags in imagery] == [0.7834, 0.85, 1.00452]
        assert [float(tags["FWHM_UM"]) for tags in imagery] == [0.01, 0.0255, 0.0055]
        assert dataset.scales == (1e-4,) * 3
        assert dataset.dtypes == ("uint16",) * 3


def test_brighter_than_white_is_kept_in_the_file(tmp_path, raster):
    reflectance = np.full((1, 10, 7), 0.5, np.float32)
    reflectance[0, 0, :4] = 1.2, 6.5, 7.5, -0.3
    path = _write(raster, tmp_path / "b.tif", reflectance)
    assert load(path)[0][0, 0].tolist() == [12000, 65000, 65534, 0, 5000, 5000, 5000]
    with open_raster(path) as back:
        values, valid = back.read()
    assert values[0, 0, :4].tolist() == [1, 1, 1, 0]
    assert valid.all()


def test_invalid_pixels_stay_invalid(tmp_path):
    array = np.full((1, 10, 7), 30, np.uint8)
    array[0, 2:5, 3] = 7
    reflectance = np.full((2, 10, 7), 6.6, np.float32)
    reflectance[:, array[0] == 7] = np.nan
    with open_raster(save(tmp_path / "source.tif", array, nodata=7)) as raster:
        path = _write(raster, tmp_path / "b.tif", reflectance, raster.read()[1])
    with open_raster(path) as back:
        values, valid = back.read()
    np.testing.assert_array_equal(valid, array[0] != 7)
    # what is far too bright is no nodata
    np.testing.assert_array_equal(values, np.broadcast_to(array != 7, (2, 10, 7)))


def test_the_georeference_is_kept(tmp_path):
    header = save_cube(
        tmp_path / "a.hdr",
        flat(30000, 6, 1, 5),
        map_info="{UTM, 1, 1, 500000, 5400000, 0.25, 0.25, 33, North, WGS-84}",
    )
    with open_raster(header) as raster:
        path = _write(raster, tmp_path / "b.tif", np.full((2, 6, 5), 0.1, np.float32))
        with open_raster(path) as back:
            assert back.is_georeferenced
            assert back.crs.to_epsg() == 32633
            assert back.transform == raster.transform == rasterio.Affine(0.25, 0, 500000, 0, -0.25, 5400000)
            assert (back.width, back.height) == (5, 6)


def test_windows_are_written_in_place(tmp_path, raster):
    reflectance = noise(2, 10, 7, "float32", seed=3)
    valid = np.ones((10, 7), bool)
    with BandsWriter(raster.grid, tmp_path / "b.tif", _BANDS[:2]) as writer:
        for row0, row1, col0, col1 in ((4, 10, 0, 7), (0, 4, 5, 7), (0, 4, 0, 5)):
            writer.write(
                reflectance[:, row0:row1, col0:col1],
                valid[row0:row1, col0:col1],
                (row0, row1, col0, col1),
            )
    with open_raster(tmp_path / "b.tif") as back:
        np.testing.assert_allclose(back.read()[0], reflectance, atol=0.51e-4)


def test_a_missing_folder_is_reported_in_one_line(tmp_path, raster):
    path = tmp_path / "none" / "b.tif"
    with pytest.raises(NircolorError, match=r"^[^\n]*b\.tif: cannot be written \([^\n]*$"):
        _write(raster, path, noise(1, 10, 7, "float32"))


def test_an_exception_in_the_block_is_not_hidden(tmp_path, raster):
    with (
        pytest.raises(ZeroDivisionError),
        BandsWriter(raster.grid, tmp_path / "b.tif", _BANDS[:1]),
    ):
        raise ZeroDivisionError
