"""Every georeference that GDAL reads from a TIFF is kept, also in a Cloud Optimized GeoTIFF."""

import warnings

import pytest
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.rpc import RPC
from rasterio.transform import Affine

from nircolor.errors import NircolorWarning
from tests.imagery.imagery_samples import colour, noise, save, save_envi

UTM = CRS.from_epsg(32632)
COMPOUND = CRS.from_string("EPSG:32632+5773")
LOCAL = CRS.from_wkt('LOCAL_CS["site",UNIT["metre",1]]')
NORTH_UP = Affine(10, 0, 5e5, 0, -10, 5e6)
POINTS = [
    GroundControlPoint(row, col, 10 + col / 1000, 50 - row / 1000, 5.0)
    for row, col in ((0, 0), (0, 20), (30, 0), (9, 9))
]
RPCS = RPC(10, 20, 50, 1, [1.0] + [0.0] * 19, [0.5] * 20, 5, 6, 8, 2, [1.0] + [0.0] * 19, [0.25] * 20, 7, 7)


def points(crs):
    return lambda dataset: setattr(dataset, "gcps", (POINTS, crs or CRS()))


def rpcs(dataset):
    dataset.rpcs = RPCS


def pixel_is_point(dataset):
    dataset.update_tags(AREA_OR_POINT="Point")


CASES = {
    "north up": ({"crs": UTM, "transform": NORTH_UP}, None),
    "south up": ({"crs": UTM, "transform": Affine(10, 0, 5e5, 0, 10, 5e6)}, None),
    "rotated": ({"crs": UTM, "transform": Affine(7, 7, 5e5, 7, -7, 5e6)}, None),
    "pixel is point": ({"crs": UTM, "transform": NORTH_UP}, pixel_is_point),
    "vertical": ({"crs": COMPOUND, "transform": NORTH_UP}, None),
    "local": ({"crs": LOCAL, "transform": NORTH_UP}, None),
    "geographic": ({"crs": CRS.from_epsg(4326), "transform": Affine(1e-5, 0, 7, 0, -1e-5, 46)}, None),
    "no transform": ({"crs": UTM}, None),
    "no CRS": ({"transform": NORTH_UP}, None),
    "points": ({}, points(UTM)),
    "points without CRS": ({}, points(None)),
    "RPCs": ({}, rpcs),
    "RPCs and transform": ({"crs": UTM, "transform": NORTH_UP}, rpcs),
    "none": ({}, None),
}


def facts(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with rasterio.open(path) as dataset:
            gcps, crs = dataset.gcps
            return {
                "crs": dataset.crs and dataset.crs.to_wkt(),
                "transform": dataset.transform,
                "points": [(p.row, p.col, p.x, p.y, p.z) for p in gcps],
                "points' crs": crs and crs.to_wkt(),
                "rpcs": dataset.rpcs and dataset.rpcs.to_gdal(),
                "point": dataset.tags().get("AREA_OR_POINT"),
            }


@pytest.mark.parametrize("height", [40, 1100])
@pytest.mark.parametrize("name", CASES)
def test_a_tiff_keeps_its_georeference(tmp_path, name, height):
    place, setup = CASES[name]
    source = save(tmp_path / "in.tif", noise(1, height, 30), setup=setup, **place)
    with warnings.catch_warnings():
        warnings.simplefilter("error", NircolorWarning)
        out = colour(source, tmp_path / "out.tif")
    before, after = facts(source), facts(out)
    if name == "none":
        before["point"] = after["point"]
    assert after == before


@pytest.mark.parametrize("target", ["out.png", "out.jpg"])
def test_a_format_that_holds_no_georeference_is_a_warning(tmp_path, target):
    source = save(tmp_path / "in.tif", noise(1, 20, 30), crs=UTM, transform=NORTH_UP)
    with pytest.warns(
        NircolorWarning, match=r"georeference does not fit into (PNG|JPEG); .*--format tif"
    ) as caught:
        colour(source, tmp_path / target)
    assert len(caught) == 1


def test_a_png_with_a_world_file_can_become_a_geotiff(tmp_path):
    source = save(tmp_path / "in.png", noise(1, 20, 30), "PNG")
    (tmp_path / "in.pgw").write_text("10\n0\n0\n-10\n500005\n4999995\n")
    (tmp_path / "in.prj").write_text(UTM.to_wkt())
    after = facts(colour(source, tmp_path / "out.tif"))
    assert (after["transform"], CRS.from_wkt(after["crs"])) == (NORTH_UP, UTM)


@pytest.mark.parametrize("rotation", ["", ", rotation=30"])
def test_map_info_of_envi(tmp_path, rotation):
    info = f"{{UTM, 1, 1, 500000, 5000000, 10, 10, 32, North, WGS-84{rotation}}}"
    source = save_envi(tmp_path, noise(1, 20, 30), map_info=info)
    after = facts(colour(source, tmp_path / "out.tif"))
    with rasterio.open(tmp_path / "cube.raw") as dataset:
        assert after["transform"].almost_equals(dataset.transform)
    assert CRS.from_wkt(after["crs"]).to_epsg() == 32632


def test_damaged_rpcs_are_a_warning(tmp_path):
    source = save(tmp_path / "in.tif", noise(1, 20, 30))
    (tmp_path / "in.tif.aux.xml").write_text(
        '<PAMDataset><Metadata domain="RPC"><MDI key="LINE_OFF">x</MDI></Metadata></PAMDataset>'
    )
    with pytest.warns(NircolorWarning, match="RPCs are damaged"):
        colour(source, tmp_path / "out.tif")
