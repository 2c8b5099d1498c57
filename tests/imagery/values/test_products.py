"""Reflectance scales that metadata states: Sentinel-2, Landsat, ENVI, GDAL, CF conventions."""

import warnings

import numpy as np
import pytest

from nircolor.errors import NircolorWarning
from nircolor.imagery import open_raster
from nircolor.imagery.metadata.product_files import tags_beside
from tests.imagery.imagery_samples import noise, save, save_envi

LANDSAT = "LC08_L2SP_192028_20210715_20210721_02_T1_"
MTL = """GROUP = LANDSAT_METADATA_FILE
  GROUP = LEVEL2_SURFACE_REFLECTANCE_PARAMETERS
    REFLECTANCE_MULT_BAND_4 = 2.75e-05
    REFLECTANCE_MULT_BAND_5 = 2.75e-05
    REFLECTANCE_ADD_BAND_4 = -0.2
    REFLECTANCE_ADD_BAND_5 = -0.2
  END_GROUP = LEVEL2_SURFACE_REFLECTANCE_PARAMETERS
  GROUP = LEVEL1_RADIOMETRIC_RESCALING
    REFLECTANCE_MULT_BAND_4 = 2.0000E-05
    REFLECTANCE_MULT_BAND_5 = 4.0000E-05
    REFLECTANCE_ADD_BAND_4 = -0.1
    REFLECTANCE_ADD_BAND_5 = -0.3
  END_GROUP = LEVEL1_RADIOMETRIC_RESCALING
END_GROUP = LANDSAT_METADATA_FILE
"""


@pytest.fixture(autouse=True)
def _warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def reflectance(path):
    """Return the first pixel, and check that it is reflectance by the metadata."""
    with open_raster(path) as raster:
        assert raster.is_reflectance is True
        assert raster.values.scale.source == "metadata"
        assert "reflectance" in raster.scale_rule
        return raster.read()[0][:, 0, 0].tolist()


def tagged(path, value=6000, bands=1, descriptions=None, band_tags=None, **tags):
    def setup(dataset):
        dataset.update_tags(**tags)
        if descriptions:
            dataset.descriptions = descriptions
        for index, own in enumerate(band_tags or (), 1):
            dataset.update_tags(index, **own)

    return save(path, np.full((bands, 4, 5), value, np.uint16), setup=setup)


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"BOA_QUANTIFICATION_VALUE": "10000"}, 0.6),
        ({"QUANTIFICATION_VALUE": "10000", "BOA_ADD_OFFSET": "-1000"}, 0.5),
        ({"QUANTIFICATION_VALUE": "10000", "RADIO_ADD_OFFSET": "-1000"}, 0.5),
        ({"BOA_QUANTIFICATION_VALUE": "10000", "BOA_ADD_OFFSET_VALUES_LIST": "-1000 -1000 -1000"}, 0.5),
        ({"BOA_QUANTIFICATION_VALUE": "10000", "BOA_ADD_OFFSET_8": "-2000", "BOA_ADD_OFFSET_7": "0"}, 0.4),
        ({"REFLECTANCE_SCALE_FACTOR": "20000"}, 0.3),
        ({"scale_factor": "0.0001", "add_offset": "0"}, 0.6),
        ({"scale_factor": "0.0001", "add_offset": "-0.1"}, 0.5),
        ({"REFLECTANCE_MULT_BAND_5": "1e-4", "REFLECTANCE_ADD_BAND_5": "-0.2"}, 0.4),
    ],
)
def test_tags(tmp_path, tags, expected):
    path = tagged(tmp_path / "a.tif", descriptions=("B08",), **tags)
    assert reflectance(path) == pytest.approx([expected])


def test_an_offset_of_each_band(tmp_path):
    path = tagged(
        tmp_path / "a.tif",
        bands=2,
        band_tags=({"BOA_ADD_OFFSET": "-1000"}, {"BOA_ADD_OFFSET": "0"}),
        QUANTIFICATION_VALUE="10000",
    )
    assert reflectance(path) == pytest.approx([0.5, 0.6])


def test_landsat_factors_of_each_band(tmp_path):
    path = tagged(
        tmp_path / "a.tif",
        bands=2,
        descriptions=("SR_B4", "SR_B5"),
        REFLECTANCE_MULT_BAND_4="1e-4",
        REFLECTANCE_MULT_BAND_5="5e-5",
        REFLECTANCE_ADD_BAND_4="0",
        REFLECTANCE_ADD_BAND_5="0",
    )
    assert reflectance(path) == pytest.approx([0.6, 0.3])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (f"{LANDSAT}SR_B5.TIF", 20000 * 2.75e-5 - 0.2),
        (f"{LANDSAT.replace('L2SP', 'L1TP')}B5.TIF", 20000 * 4e-5 - 0.3),
        (f"{LANDSAT.replace('L2SP', 'L1TP')}B4.TIF", 20000 * 2e-5 - 0.1),
    ],
)
def test_the_metadata_file_of_landsat_is_read(tmp_path, name, expected):
    path = tagged(tmp_path / name, 20000)
    stem = name.split("_T1_")[0]
    (tmp_path / f"{stem}_T1_MTL.txt").write_text(MTL)
    assert reflectance(path) == pytest.approx([expected], rel=1e-5)


@pytest.mark.parametrize(
    "text", ["", "GROUP", "GROUP = LEVEL1_RADIOMETRIC_RESCALING\nREFLECTANCE_MULT_BAND_5 = x"]
)
def test_a_metadata_file_that_says_nothing_is_none(tmp_path, text):
    path = tagged(tmp_path / f"{LANDSAT}SR_B5.TIF", 20000)
    (tmp_path / f"{LANDSAT}MTL.txt").write_text(text)
    with pytest.warns(NircolorWarning, match="Landsat"), open_raster(path) as raster:
        assert raster.is_reflectance is None


def test_envi_gains_of_reflectance(tmp_path):
    header = save_envi(
        tmp_path,
        np.full((2, 4, 5), 6000, np.uint16),
        data_reflectance_gain_values="{0.0001, 0.00005}",
        data_reflectance_offset_values="{-0.1, 0}",
    )
    assert reflectance(header) == pytest.approx([0.5, 0.3])


@pytest.mark.parametrize("factor", ["1", "1.0"])
def test_a_factor_of_one_is_ignored(tmp_path, factor):
    header = save_envi(tmp_path, noise(1, 4, 5, "uint16"), reflectance_scale_factor=factor)
    with open_raster(header) as raster:
        assert (raster.full_scale, raster.is_reflectance) == (65535, None)


@pytest.mark.parametrize(
    ("unit", "is_reflectance"), [("reflectance", True), ("K", None), ("W/m2/sr/um", None)]
)
def test_a_band_scale_to_another_quantity_is_not_reflectance(tmp_path, unit, is_reflectance):
    def setup(dataset):
        dataset.scales, dataset.units = (0.0001,), (unit,)

    with open_raster(save(tmp_path / "a.tif", noise(1, 4, 5, "uint16"), setup=setup)) as raster:
        assert raster.is_reflectance is is_reflectance


@pytest.mark.parametrize(
    ("units", "dtype", "value", "expected"),
    [
        ("Reflectance", "float32", 0.25, 0.25),
        ("Reflectance (%)", "float32", 25, 0.25),
        ("percent reflectance", "uint8", 25, 0.25),
        ("Reflectance x 10000", "int16", 2500, 0.25),
    ],
)
def test_units_of_reflectance(tmp_path, units, dtype, value, expected):
    header = save_envi(tmp_path, np.full((1, 4, 5), value, dtype), data_units=units)
    assert reflectance(header) == pytest.approx([expected])


@pytest.mark.parametrize(("units", "dtype"), [("Reflectance", "uint16"), ("W/m2/sr/um", "float32")])
def test_units_that_state_no_scale(tmp_path, units, dtype):
    with open_raster(save_envi(tmp_path, noise(1, 4, 5, dtype), data_units=units)) as raster:
        assert raster.is_reflectance is None


@pytest.mark.parametrize(
    ("scale", "offset"),
    [(0.00341802, 149.0), (1e-4, -273.15), (1e-320, 0), (1e-4, 2)],
)
def test_the_scale_of_a_temperature_is_not_reflectance(tmp_path, scale, offset):
    def setup(dataset):
        dataset.scales, dataset.offsets = (scale,), (offset,)

    with open_raster(save(tmp_path / "a.tif", noise(1, 4, 5, "uint16"), setup=setup)) as raster:
        assert (raster.full_scale, raster.is_reflectance) == (65535, None)


MTD = """<n1:Level-2A_User_Product xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/User_Product_Level-2A.xsd">
  <QUANTIFICATION_VALUES_LIST>
    <AOT_QUANTIFICATION_VALUE unit="none">1000.0</AOT_QUANTIFICATION_VALUE>
    <BOA_QUANTIFICATION_VALUE unit="none">10000</BOA_QUANTIFICATION_VALUE>
  </QUANTIFICATION_VALUES_LIST>
  <BOA_ADD_OFFSET_VALUES_LIST>
    <BOA_ADD_OFFSET band_id="7">-1000</BOA_ADD_OFFSET>
    <BOA_ADD_OFFSET band_id="8">-2000</BOA_ADD_OFFSET>
  </BOA_ADD_OFFSET_VALUES_LIST>
</n1:Level-2A_User_Product>
"""


@pytest.mark.parametrize(
    ("text", "band", "expected"),
    [
        (MTD, "B08", 0.5),
        (MTD, "B8A", 0.4),
        (MTD, "B04", 0.6),
        ('<a><QUANTIFICATION_VALUE unit="none">20000</QUANTIFICATION_VALUE></a>', "B08", 0.3),
    ],
)
def test_the_metadata_file_of_sentinel_2_is_read(tmp_path, text, band, expected):
    folder = tmp_path / "S2A_MSIL2A.SAFE/GRANULE/L2A_T32TPS/IMG_DATA/R10m"
    folder.mkdir(parents=True)
    (tmp_path / "S2A_MSIL2A.SAFE/MTD_MSIL2A.xml").write_text(text)
    path = tagged(folder / f"T32TPS_20220601T102031_{band}_10m.tif")
    assert reflectance(path) == pytest.approx([expected])
    # of a file with another name, nothing is searched for
    with open_raster(path.rename(folder / "other.tif"), scale=10000) as raster:
        assert raster.is_reflectance is None


def test_tags_come_before_the_file_beside(tmp_path):
    path = tagged(tmp_path / f"{LANDSAT}SR_B5.TIF", 20000, BOA_QUANTIFICATION_VALUE="40000")
    (tmp_path / f"{LANDSAT}MTL.txt").write_text(MTL)
    assert reflectance(path) == pytest.approx([0.5])


@pytest.mark.parametrize("tier", ["T1", "T2", "RT"])
def test_every_tier_of_landsat(tmp_path, tier):
    name = LANDSAT.replace("_T1_", f"_{tier}_")
    (tmp_path / f"{name}MTL.txt").write_text(MTL)
    assert reflectance(tagged(tmp_path / f"{name}SR_B4.TIF", 20000)) == pytest.approx([0.35])


def test_a_metadata_file_that_links_out_of_the_folder_is_not_read(tmp_path):
    name, folder = f"{LANDSAT}MTL.txt", tmp_path / "product"
    folder.mkdir()
    (tmp_path / name).write_text(MTL)
    (folder / name).symlink_to(tmp_path / name)
    assert tags_beside(folder / f"{LANDSAT}SR_B5.TIF")[0] == {}
    assert tags_beside(tmp_path / f"{LANDSAT}SR_B5.TIF")[0]


def test_a_folder_of_links_to_a_product(tmp_path):
    product, links = tmp_path / "product", tmp_path / "links"
    product.mkdir(), links.mkdir()
    for name, text in ((f"{LANDSAT}MTL.txt", MTL), (f"{LANDSAT}SR_B5.TIF", "")):
        (product / name).write_text(text)
        (links / name).symlink_to(product / name)
    assert tags_beside(links / f"{LANDSAT}SR_B5.TIF")[0]


@pytest.mark.parametrize("band", ["B13", "B00", "B0A"])
def test_a_band_that_sentinel_2_lacks_has_no_offset(tmp_path, band):
    (tmp_path / "MTD_MSIL2A.xml").write_text(
        '<BOA_QUANTIFICATION_VALUE unit="none">10000</BOA_QUANTIFICATION_VALUE>'
    )
    tags, _ = tags_beside(tmp_path / f"T32TLQ_20230101T103321_{band}_10m.jp2")
    assert tags == {"quantification_value": "10000"}
