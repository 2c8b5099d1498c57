"""Outputs state that their colours are estimated, and by which model; TIFFs may be cloud optimized."""

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.transform import from_origin

from nircolor import __version__
from nircolor.errors import NircolorError
from nircolor.imagery import create_like, open_raster, warn_of_losses
from tests.imagery.imagery_samples import noise, save

STATED = f"nircolor {__version__}, colours estimated by model scene"
RGB = np.full((3, 40, 30), 0.5, np.float32)


def colour(source, target, **options):
    with open_raster(source) as raster, create_like(raster, target, model="scene", **options) as writer:
        writer.write(np.broadcast_to(RGB[:, :1, :1], (3, raster.height, raster.width)))
        warn_of_losses(raster, writer.driver)
    return target


def geotiff(path, height=40, width=30):
    with rasterio.open(
        path, "w", driver="GTiff", height=height, width=width, count=1, dtype="uint8", crs="EPSG:32632",
        transform=from_origin(500_000, 5_000_000, 10, 10),
    ) as file:  # fmt: skip
        file.write(noise(1, height, width))
    return path


def layout(path):
    with rasterio.open(path) as file:
        return file.tags(ns="IMAGE_STRUCTURE").get("LAYOUT")


@pytest.mark.parametrize("cog", [None, True])
def test_a_tiff_names_the_model(tmp_path, cog):
    path = colour(geotiff(tmp_path / "a.tif"), tmp_path / "b.tif", cog=cog)
    with rasterio.open(path) as file:
        tags = file.tags()
        assert tags["TIFFTAG_SOFTWARE"] == STATED
        assert tags["NIRCOLOR_MODEL"] == "scene"
        assert "estimated" in tags["NIRCOLOR_COLOURS"]
        assert file.descriptions == ("red (estimated)", "green (estimated)", "blue (estimated)")
        assert [one.name for one in file.colorinterp] == ["red", "green", "blue"]


def test_png_and_jpeg_name_the_model(tmp_path):
    source = save(tmp_path / "a.png", noise(1, 40, 30), "PNG")
    with Image.open(colour(source, tmp_path / "b.png")) as image:
        assert image.info["Software"] == STATED
    with Image.open(colour(source, tmp_path / "b.jpg")) as image:
        assert image.getexif()[305] == STATED


def test_an_estimate_is_read_as_a_colour_photograph(tmp_path):
    source = geotiff(tmp_path / "a.tif")
    with open_raster(source) as raster, create_like(raster, tmp_path / "b.tif", model="scene") as writer:
        writer.write(np.stack([RGB[0], RGB[1] * 0.5, RGB[2] * 1.5]))
    with open_raster(tmp_path / "b.tif") as raster:
        assert raster.is_colour_photograph
        # a colour image made of it is not by that model
        assert not any(name.startswith("NIRCOLOR") for name in raster.grid.tags)


def test_cog_in_any_size_and_plain_tiff_in_any_size(tmp_path):
    small, large = geotiff(tmp_path / "s.tif"), geotiff(tmp_path / "l.tif", 1100, 60)
    assert layout(colour(small, tmp_path / "1.tif")) is None
    assert layout(colour(small, tmp_path / "2.tif", cog=True)) == "COG"
    assert layout(colour(large, tmp_path / "3.tif")) == "COG"
    assert layout(colour(large, tmp_path / "4.tif", cog=False)) is None


def test_a_cog_stays_one_without_the_exif_that_has_no_place(tmp_path):
    source = tmp_path / "drone.tif"
    exposure = Image.Exif().get_ifd(0x8769) | {0x829A: 0.01}
    Image.fromarray(noise(1, 40, 30)[0]).save(source, tiffinfo={0x8769: exposure})
    with pytest.warns(match="EXIF and XMP are left out"):
        path = colour(source, tmp_path / "b.tif", cog=True)
    assert layout(path) == "COG"
    assert b"KNOWN_INCOMPATIBLE_EDITION=NO" in path.read_bytes()[:1024]


def test_cog_is_refused_for_other_formats(tmp_path):
    source = save(tmp_path / "a.png", noise(1, 40, 30), "PNG")
    with pytest.raises(NircolorError, match=r"b\.png: --cog needs an output that ends in \.tif"):
        colour(source, tmp_path / "b.png", cog=True)


def test_creation_options_replace_the_usual_ones(tmp_path):
    source = geotiff(tmp_path / "a.tif", 300, 300)
    path = colour(source, tmp_path / "b.tif", creation_options={"COMPRESS": "lzw", "blockxsize": "64"})
    with rasterio.open(path) as file:
        assert (file.compression.name, file.block_shapes[0]) == ("lzw", (256, 64))
    path = colour(source, tmp_path / "c.tif", cog=True, creation_options={"compress": "zstd"})
    with rasterio.open(path) as file:
        assert file.compression.name == "zstd"
    with pytest.raises(NircolorError, match="expected a creation option of GTiff, got dtype"):
        colour(source, tmp_path / "d.tif", creation_options={"dtype": "float32"})
    assert not (tmp_path / "d.tif").exists()
