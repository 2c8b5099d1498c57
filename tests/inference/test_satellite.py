"""Tests of the satellite models: tiles without seams, and georeferenced output."""

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from nircolor.imagery import open_raster
from nircolor.inference import Colorizer, Reading
from nircolor.modelfile import read_card
from nircolor.simulation import WAVELENGTHS_NM, material_reflectance
from nircolor.weights import find_model

BANDS_NM = (783, 842, 945)


def fields(height, width):
    """Reflectance (3, h, w) of fields of different materials with some noise, each a block of 30 px."""
    rng = np.random.default_rng(0)
    materials = ("meadow", "soil", "broadleaf", "dry grass", "water", "rock")
    values = np.stack([np.interp(BANDS_NM, WAVELENGTHS_NM, material_reflectance(name)) for name in materials])
    which = rng.integers(len(materials), size=(height // 30 + 1, width // 30 + 1))
    image = values[which].repeat(30, 0).repeat(30, 1)[:height, :width].transpose(2, 0, 1)
    return (image * rng.uniform(0.9, 1.1, image.shape)).astype(np.float32)


@pytest.mark.parametrize("name", ["satellite", "satellite-1band"])
def test_tiles_leave_no_seams(name):
    nir = fields(700, 800)[1 if name == "satellite-1band" else slice(None)].reshape(-1, 700, 800)
    model = Colorizer(name, tile_px=1024)
    assert model.card.size.receptive_field_px > 90
    whole = model.colorize(nir)
    tiled = Colorizer(name, tile_px=416).colorize(nir)
    # half an 8-bit step
    assert np.abs(tiled - whole).max() < 0.002


def test_vegetation_is_greener_than_soil_and_water():
    """For uniform fields: plants are green, soil is brown, water is dark."""
    colour = {}
    for name in ("meadow", "broadleaf", "dry grass", "soil", "water"):
        values = np.interp(BANDS_NM, WAVELENGTHS_NM, material_reflectance(name)).astype(np.float32)
        colour[name] = Colorizer("satellite").colorize(
            np.full((3, 64, 64), 1, np.float32) * values[:, None, None]
        )
    red, green, blue = colour["soil"].mean((1, 2))
    assert red > green > blue
    for plant in ("meadow", "broadleaf", "dry grass"):
        red, green, blue = colour[plant].mean((1, 2))
        assert green > max(red, blue)
    assert colour["water"].mean() < 0.5 * colour["soil"].mean()


def test_a_geotiff_with_extra_bands_keeps_its_georeferencing(tmp_path):
    """The model's bands by wavelength, whatever their order; colour without alpha, with overviews."""
    nir = fields(1100, 1200)
    stored = np.concatenate([nir[[2]], np.zeros((1, 1100, 1200)), nir[:2]]) * 10_000
    path, place = tmp_path / "tile.tif", from_origin(500_000, 5_000_000, 10, 10)
    with rasterio.open(
        path, "w", driver="GTiff", height=1100, width=1200, count=4, dtype="uint16", crs="EPSG:32632",
        transform=place,
    ) as file:  # fmt: skip
        file.write(stored.astype(np.uint16))
        for i, nm in enumerate((945, 1610, 783, 842), 1):
            file.update_tags(i, wavelength=nm, wavelength_units="nm")
    model = Colorizer("satellite")
    model.colorize_file(path, tmp_path / "colour.tif", reading=Reading(scale=10_000), depth=8)
    with rasterio.open(tmp_path / "colour.tif") as file:
        assert (file.count, file.crs.to_epsg(), file.transform) == (3, 32632, place)
        assert [colour.name for colour in file.colorinterp] == ["red", "green", "blue"]
        assert file.nodata is None
        assert file.overviews(1)
        written = file.read() / 255
    with open_raster(path, scale=10_000) as raster:
        read, _ = raster.read(None, [2, 3, 0])
    np.testing.assert_allclose(written, model.colorize(read), atol=0.5 / 255 + 1e-3)


@pytest.mark.parametrize("name", ["satellite", "satellite-1band"])
def test_the_card_states_encoding_and_white_reflectance(name):
    path = find_model(name)
    assert path.stat().st_size < 16_000_000
    card = read_card(path)
    assert card.encoding == "reflectance"
    assert card.white_reflectance == 0.3
    assert [band.center_nm for band in card.bands] == ([842] if "1" in name else [783, 842, 945])
