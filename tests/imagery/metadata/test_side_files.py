"""Files beside an image are read as GDAL reads them, by nircolor's own parsers."""

import time
import warnings
from contextlib import closing

import numpy as np
import pytest
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.rpc import RPC
from rasterio.transform import Affine

from nircolor.errors import NircolorWarning
from nircolor.imagery import open_raster
from nircolor.imagery.gdal import gdal_for, open_dataset
from nircolor.imagery.metadata.side_files import DatasetWithSideFiles
from tests.imagery.imagery_samples import noise, save

SIZE = (12, 14)
UTM33 = CRS.from_epsg(32633)
PLACE = {"crs": "EPSG:32632", "transform": Affine(10, 0, 5e5, 0, -10, 5e6)}
ROTATED = Affine(1.5, 0.5, 100, 0.5, -1.5, 200)
RPCS = RPC(10, 20, 50, 1, [1.0] + [0.0] * 19, [0.5] * 20, 5, 6, 8, 2, [1.0] + [0.0] * 19, [0.25] * 20, 7, 7)


def pam(path, content):
    path.with_name(f"{path.name}.aux.xml").write_text(f"<PAMDataset>{content}</PAMDataset>")
    return path


def quoted(crs):
    return crs.to_wkt().replace('"', "&quot;")


def ours(path, driver="GTiff"):
    with gdal_for(path, "cannot be opened"):
        return closing(DatasetWithSideFiles(open_dataset(path, driver=driver), path))


def gdals(path):
    return rasterio.open(path)  # with GDAL's own search for side files


def facts(dataset):
    points, crs = dataset.gcps
    return {
        "crs": dataset.crs, "transform": dataset.transform,
        "gcps": [p.asdict() for p in points], "gcps_crs": crs,
        "nodata": dataset.nodatavals, "scales": dataset.scales, "offsets": dataset.offsets,
        "descriptions": dataset.descriptions, "roles": dataset.colorinterp, "flags": dataset.mask_flag_enums,
        "tags": dataset.tags(), "band": dataset.tags(1), "imagery": dataset.tags(1, ns="IMAGERY"),
        "rpcs": dataset.rpcs and dataset.rpcs.to_gdal(),
    }  # fmt: skip


EVERYTHING = f"""
<SRS dataAxisToSRSAxisMapping="1,2">{quoted(UTM33)}</SRS>
<GeoTransform> 100, 2, 0.5, 200, 0.5, -2</GeoTransform>
<Metadata><MDI key="AREA_OR_POINT">Point</MDI><MDI key="mission">Ä &amp; B</MDI></Metadata>
<PAMRasterBand band="1"><Description>NIR</Description><NoDataValue>7</NoDataValue><Scale>0.5</Scale>
<ColorInterp>Undefined</ColorInterp><Offset>-3</Offset><Metadata><MDI key="x">pam</MDI></Metadata>
<Metadata domain="IMAGERY"><MDI key="CENTRAL_WAVELENGTH_UM">0.85</MDI></Metadata></PAMRasterBand>"""


@pytest.mark.parametrize("content", [EVERYTHING, ""])
@pytest.mark.parametrize("driver", ["GTiff", "PNG", "JPEG", "BMP"])
@pytest.mark.parametrize("stated", [False, True])
def test_aux_xml_is_read_as_gdal_reads_it(tmp_path, driver, stated, content):
    def state(dataset):
        dataset.update_tags(mission="internal", other="internal")
        dataset.set_band_description(1, "internal")

    place = PLACE | {"nodata": 9} if stated and driver == "GTiff" else {}
    image = save(tmp_path / "a.bin", noise(1, *SIZE), driver, setup=state if place else None, **place)
    pam(image, content)
    with ours(image, driver) as mine, gdals(image) as theirs:
        assert facts(mine) == facts(theirs)
        assert mine.problems == []


def test_aux_xml_with_points_and_rpcs(tmp_path):
    points = [
        GroundControlPoint(1, 2, 10.5, 50.5, 3, id="a", info=""),
        GroundControlPoint(9, 3, 10.6, 50, 4, id="b", info=""),
    ]
    image = save(tmp_path / "a.png", noise(1, *SIZE), "PNG")
    with rasterio.Env(GDAL_PAM_ENABLED="YES"), rasterio.open(image, "r+") as dataset:
        dataset.gcps = (points, UTM33)
        dataset.rpcs = RPCS
    with ours(image, "PNG") as mine, gdals(image) as theirs:
        assert facts(mine) == facts(theirs)
        assert len(mine.gcps[0]) == 2
        assert mine.rpcs == RPCS
    with open_raster(image) as raster:
        assert raster.georeference.rpcs == RPCS
        assert raster.georeference.gcps_crs == UTM33


def test_aux_xml_of_floats_with_nan_as_nodata(tmp_path):
    image = save(tmp_path / "a.tif", noise(1, *SIZE, "float32"), **PLACE)
    pam(image, '<PAMRasterBand band="1"><NoDataValue>nan</NoDataValue></PAMRasterBand>')
    with ours(image) as mine, gdals(image) as theirs:
        assert str(mine.nodatavals) == str(theirs.nodatavals) == "(nan,)"


def test_nodata_of_aux_xml_marks_invalid_pixels(tmp_path):
    pixels = noise(1, *SIZE)
    image = save(tmp_path / "a.tif", pixels, **PLACE)
    value = int(pixels[0, 3, 4])
    pam(
        image, f'<PAMRasterBand band="1"><NoDataValue le_hex_equiv="00">{value}</NoDataValue></PAMRasterBand>'
    )
    with open_raster(image) as raster:
        assert np.array_equal(raster.read()[1], pixels[0] != value)
        assert raster.nodata == value


@pytest.mark.parametrize(
    "content",
    [
        "<PAMDataset><GeoTransform>1,2</GeoTransform></PAMDataset>",
        '<PAMDataset><PAMRasterBand band="1"><NoDataValue>x</NoDataValue></PAMRasterBand></PAMDataset>',
        "<PAMDataset>",
        '<!DOCTYPE a [<!ENTITY b SYSTEM "/etc/hostname">]><PAMDataset><SRS>&b;</SRS></PAMDataset>',
        "<VRTDataset/>",
        "",
        "\0" * 50,
        " " * (5 << 20),
    ],
)
def test_damaged_aux_xml_is_a_warning(tmp_path, content):
    pixels = noise(1, *SIZE)
    image = save(tmp_path / "a.tif", pixels, **PLACE)
    (tmp_path / "a.tif.aux.xml").write_text(content)
    with pytest.warns(NircolorWarning, match=r"a\.tif\.aux\.xml beside it is not read \(.+\)$"):
        raster = open_raster(image)
    with raster:
        assert np.array_equal(np.rint(raster.read()[0] * 255), pixels)
        assert raster.crs == CRS.from_epsg(32632)


@pytest.mark.parametrize(
    ("text", "epsg"),
    [("EPSG:32633", 32633), ("epsg:4326", 4326), ("urn:ogc:def:crs:EPSG::32633", 32633), ("EPSG:1", None),
     ("no crs", None), ("/vsicurl/http://127.0.0.1/a", None)],
)  # fmt: skip
def test_coordinate_reference_systems_by_code_in_aux_xml(tmp_path, text, epsg):
    image = save(tmp_path / "a.tif", noise(1, *SIZE))
    place = "<GeoTransform>5e5,10,0,5e6,0,-10</GeoTransform>"
    band = '<PAMRasterBand band="1"><NoDataValue>3</NoDataValue></PAMRasterBand>'
    (tmp_path / "a.tif.aux.xml").write_text(f"<PAMDataset><SRS>{text}</SRS>{place}{band}</PAMDataset>")
    with warnings.catch_warnings(record=True) as caught, open_raster(image) as raster:
        assert raster.crs == (None if epsg is None else CRS.from_epsg(epsg))
        assert raster.grid.nodata == 3
        assert raster.transform.c == 5e5
    problems = [str(warning.message) for warning in caught]
    assert len(problems) == (epsg is None)
    assert all("a.tif.aux.xml beside it: its coordinate reference system is not read" in p for p in problems)


@pytest.mark.parametrize("name", ["a.tfw", "a.TFW", "a.tifw", "a.wld"])
@pytest.mark.parametrize("stated", [False, True])
def test_world_file_of_a_tiff(tmp_path, name, stated):
    image = save(tmp_path / "a.tif", noise(1, *SIZE), **PLACE if stated else {})
    numbers = (ROTATED.a, ROTATED.d, ROTATED.b, ROTATED.e, 101.0, 199.5)
    (tmp_path / name).write_text("\r\n".join(map(str, numbers)))
    with ours(image) as mine, gdals(image) as theirs:
        assert mine.transform == theirs.transform
        assert mine.transform.almost_equals(PLACE["transform"] if stated else ROTATED)


@pytest.mark.parametrize(
    ("driver", "ending", "name"),
    [
        ("PNG", "png", "a.pgw"),
        ("JPEG", "jpg", "a.jgw"),
        ("JPEG", "jpeg", "a.wld"),
        ("JPEG", "JPG", "a.jpgw"),
        ("BMP", "bmp", "a.bpw"),
    ],
)
def test_world_file_and_projection_of_other_formats(tmp_path, driver, ending, name):
    image = save(tmp_path / f"a.{ending}", noise(1, *SIZE), driver)
    (tmp_path / name).write_text("2\n0\n0\n-2\n101\n199\n")
    (tmp_path / "a.prj").write_text(UTM33.to_wkt(version="WKT1_ESRI"))
    with open_raster(image) as raster:
        assert raster.transform == Affine(2, 0, 100, 0, -2, 200)
        assert raster.crs.to_epsg() == 32633
    with gdals(image) as theirs:
        assert theirs.transform == Affine(2, 0, 100, 0, -2, 200)


@pytest.mark.parametrize(
    "content", ["1 2 3", "a b c d e f", "0 0 0 0 0 0", "1e999 0 0 1 0 0", "nan 0 0 1 0 0"]
)
def test_damaged_world_file_is_a_warning(tmp_path, content):
    image = save(tmp_path / "a.png", noise(1, *SIZE), "PNG")
    (tmp_path / "a.pgw").write_text(content)
    with pytest.warns(NircolorWarning, match=r"a\.pgw beside it"), open_raster(image) as raster:
        assert not raster.is_georeferenced


def test_a_projection_without_a_world_file_is_of_something_else(tmp_path):
    image = save(tmp_path / "a.png", noise(1, *SIZE), "PNG")
    (tmp_path / "a.prj").write_text(UTM33.to_wkt())
    with open_raster(image) as raster:
        assert not raster.is_georeferenced


@pytest.mark.parametrize("driver", ["GTiff", "PNG", "JPEG"])
def test_mask_that_gdal_wrote_beside_an_image(tmp_path, driver):
    masked = save(tmp_path / "masked.tif", noise(1, *SIZE))
    valid = noise(1, *SIZE)[0] > 100
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(masked, "r+") as dataset:
        dataset.write_mask(valid)
    image = save(tmp_path / "a.bin", noise(1, *SIZE), driver)
    (tmp_path / "masked.tif.msk").rename(tmp_path / "a.bin.msk")
    with open_raster(image) as raster:
        assert raster.has_mask
        assert np.array_equal(raster.read()[1], valid)


def test_mask_of_another_size_is_a_warning(tmp_path):
    image = save(tmp_path / "a.tif", noise(1, *SIZE))
    save(tmp_path / "a.tif.msk", noise(1, 5, 6))
    with (
        pytest.warns(NircolorWarning, match=r"a\.tif\.msk beside it is not read .*14 x 12"),
        open_raster(image) as raster,
    ):
        assert raster.read()[1].all()


def test_rpcs_beside_an_image(tmp_path):
    items = RPCS.to_gdal()
    text = "".join(
        "".join(f"{name}_{i}: {number}\n" for i, number in enumerate(value.split(), 1))
        if "COEFF" in name
        else f"{name}: {value} pixels\n"
        for name, value in items.items()
    )
    (tmp_path / "a_RPC.TXT").write_text(text)
    image = save(tmp_path / "a.tif", noise(1, *SIZE))
    with ours(image) as mine, gdals(image) as theirs:
        assert mine.rpcs == theirs.rpcs == RPCS


def test_rpb_beside_an_image(tmp_path):
    names = {"OFF": "Offset", "SCALE": "Scale", "NUM_COEFF": "NumCoef", "DEN_COEFF": "DenCoef"}

    def line(name, value):
        kind, _, rest = name.partition("_")
        key = kind.lower() + names[rest]
        if "COEFF" in name:
            return f"    {key} = (\n" + ",\n".join(value.split()) + ");\n"
        return f"    {key} = {value};\n"

    body = "".join(line(*item) for item in RPCS.to_gdal().items())
    (tmp_path / "a.RPB").write_text(
        'satId = "QB02";\nbandId = "P";\nSpecId = "RPC00B";\nBEGIN_GROUP = IMAGE\n    errBias = 1;\n'
        f"    errRand = 0.5;\n{body}END_GROUP = IMAGE\nEND;\n"
    )
    image = save(tmp_path / "a.tif", noise(1, *SIZE))
    with ours(image) as mine, gdals(image) as theirs:
        expected = theirs.rpcs
        assert mine.rpcs.line_num_coeff == expected.line_num_coeff == RPCS.line_num_coeff
        assert mine.rpcs.to_gdal() == expected.to_gdal()


def test_mapinfo_georeference_is_named(tmp_path):
    image = save(tmp_path / "a.png", noise(1, *SIZE), "PNG")
    (tmp_path / "a.tab").write_text('!table\n!version 300\nDefinition Table\n File "a.png"\n Type "RASTER"\n')
    with pytest.warns(NircolorWarning, match=r"a\.tab beside it is not read"), open_raster(image):
        pass


def test_no_side_file_no_warning(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with open_raster(save(tmp_path / "a.tif", noise(1, *SIZE), **PLACE)) as raster:
            assert raster.crs == CRS.from_epsg(32632)


def test_a_side_file_may_be_a_link_within_the_folder_of_the_image(tmp_path):
    inside, outside, farm = (tmp_path / name for name in ("inside", "outside", "farm"))
    for folder in (inside, outside, farm):
        folder.mkdir()
    image = save(inside / "a.png", noise(1, *SIZE), "PNG")
    (outside / "a.pgw").write_text("2\n0\n0\n-2\n101\n199\n")
    (inside / "a.pgw").symlink_to(outside / "a.pgw")
    with open_raster(image) as raster:
        assert not raster.is_georeferenced
    # links to an image and its side file together
    save(outside / "a.png", noise(1, *SIZE), "PNG")
    for name in ("a.png", "a.pgw"):
        (farm / name).symlink_to(outside / name)
    with open_raster(farm / "a.png") as raster:
        assert raster.is_georeferenced


@pytest.mark.parametrize("name", ["a.RPB", "a_RPC.TXT"])
@pytest.mark.parametrize("unit", ["\n", " ", "a", "a = (", "a:\n"])
def test_long_files_of_rpcs_take_no_time(tmp_path, name, unit):
    save(tmp_path / "a.tif", noise(1, 8, 8))
    (tmp_path / name).write_text(unit * 100_000)
    start = time.process_time()
    with pytest.warns(NircolorWarning), open_raster(tmp_path / "a.tif"):
        pass
    assert time.process_time() - start < 2
