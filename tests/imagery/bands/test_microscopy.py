"""Stacks of ImageJ, OME and tifffile: channels with wavelengths are bands, slices and times are not."""

import json
import struct

import numpy as np
import pytest

from nircolor.errors import NircolorError
from nircolor.imagery import open_raster
from tests.imagery.imagery_samples import noise, save_tiff


def imagej_labels(labels, order):
    """Return the tags in which ImageJ stores the labels of slices."""
    texts = [label.encode("utf-16-le" if order == "<" else "utf-16-be") for label in labels]
    info = b"x\0" if order == "<" else b"\0x"
    header = struct.pack(order + "IIIII", 0x494A494A, int.from_bytes(b"info", "big"), 1,
                         int.from_bytes(b"labl", "big"), len(texts))  # fmt: skip
    return {50838: [len(header), len(info), *map(len, texts)], 50839: header + info + b"".join(texts)}


def stack(path, description, pages=3, labels=None, order="<"):
    array = noise(pages, 10, 12)
    tags = {270: description} | (imagej_labels(labels, order) if labels else {})
    return save_tiff(path, *((page, {} if i else tags) for i, page in enumerate(array)), order=order), array


def ome(channels, size_z=1, size_c=3, more=""):
    body = "".join(f'<Channel ID="Channel:0:{i}" {text}/>' for i, text in enumerate(channels))
    return (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="i">'
        f'<Pixels DimensionOrder="XYCZT" ID="Pixels:0" SizeC="{size_c}" SizeT="1" SizeX="12" SizeY="10" '
        f'SizeZ="{size_z}" Type="uint8">{body}{more}</Pixels></Image></OME>'
    )


HYPERSTACK = "ImageJ=1.53t\nimages=3\nchannels=3\nhyperstack=true\nmode=grayscale\n"


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    "labels",
    [
        ("c:1/3 - 660 nm", "c:2/3 - 850 nm", "c:3/3 - 940 nm"),
        ("660nm.tif", "850nm.tif", "NIR 940.tif"),
    ],
)
def test_labels_of_imagej(tmp_path, labels, order):
    path, array = stack(tmp_path / "a.tif", HYPERSTACK, labels=labels, order=order)
    with open_raster(path) as raster:
        assert raster.wavelengths_nm == (660, 850, 940)
        np.testing.assert_allclose(raster.read()[0], array / 255, atol=1e-7)


@pytest.mark.parametrize(
    ("description", "labels", "match"),
    [
        (HYPERSTACK, None, r"ImageJ: channels 3\); if they are bands"),
        ("ImageJ=1.53t\nimages=3\nslices=3\n", None, r"ImageJ: slices 3\)"),
        (
            "ImageJ=1.53t\nimages=3\nframes=3\n",
            ("red cells 1", "red cells 2", "red cells 3"),
            r"frames 3\); if",
        ),
        (HYPERSTACK, ("DAPI", "GFP", "Cy5"), r"channels 3\) called DAPI, GFP, Cy5; if"),
    ],
)
def test_stacks_without_wavelengths_are_refused(tmp_path, description, labels, match):
    path, array = stack(tmp_path / "a.tif", description, labels=labels)
    with pytest.raises(NircolorError, match=match):
        open_raster(path)
    with open_raster(path, bands_nm=[660, 850, 940]) as raster:
        np.testing.assert_allclose(raster.read()[0], array / 255, atol=1e-7)


@pytest.mark.parametrize(
    "channels",
    [
        [f'Name="x" EmissionWavelength="{nm}"' for nm in (660, 850, 940)],
        [f'EmissionWavelength="{nm}" EmissionWavelengthUnit="µm"' for nm in (0.66, 0.85, 0.94)],
        [f'Name="{nm} nm"' for nm in (660, 850, 940)],
    ],
)
def test_channels_of_ome(tmp_path, channels):
    array = noise(3, 10, 12)
    text = ome(channels).encode() + b"\0"
    tags = {270: text.decode().rstrip("\0")}
    path = save_tiff(tmp_path / "a.ome.tif", (array[0], tags), (array[1], {}), (array[2], {}))
    with open_raster(path) as raster:
        assert raster.wavelengths_nm == (660, 850, 940)
        np.testing.assert_allclose(raster.read()[0], array / 255, atol=1e-7)


def test_one_channel_of_ome_is_believed(tmp_path):
    text = ome(['EmissionWavelength="560"'], size_c=1)
    with open_raster(save_tiff(tmp_path / "a.tif", (noise(1, 10, 12)[0], {270: text}))) as raster:
        assert raster.wavelengths_nm == (560,)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (
            ome(['Name="DAPI"', 'Name="GFP"', 'Name="x"']),
            r"OME-TIFF: C 3, Z 1, T 1\) called DAPI, GFP, x; if",
        ),
        (ome(['EmissionWavelength="850"'], size_z=3, size_c=1), r"C 1, Z 3, T 1\); if"),
        (
            ome(
                [f'EmissionWavelength="{nm}"' for nm in (660, 850, 940)],
                more='<TiffData IFD="0" FirstC="2"/>',
            ),
            r"C 3, Z 1, T 1\); if",
        ),
        ('<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "1">]><OME><Image/></OME>', r"OME-TIFF\); if"),
        ("<OME><Image", r"OME-TIFF\); if"),
    ],
)
def test_other_dimensions_of_ome_are_refused(tmp_path, text, match):
    path, _ = stack(tmp_path / "a.tif", text)
    with pytest.raises(NircolorError, match=match):
        open_raster(path)


@pytest.mark.parametrize(
    "tags",
    [
        {270: "ImageJ=1.53t\nimages=40\nslices=40\n"},
        {270: json.dumps({"shape": [40, 10, 12]})},
        {33629: [1] * 240},
    ],
)
def test_planes_without_a_page_of_their_own_are_refused(tmp_path, tags):
    path = save_tiff(tmp_path / "a.tif", (noise(1, 10, 12)[0], tags))
    with open_raster(path) as raster:  # a text that was copied from another file
        assert raster.bands == 1
    path.write_bytes(path.read_bytes() + bytes(39 * 120))
    with pytest.raises(NircolorError, match=r"expected a page for each of 40 planes .* got 1; save them"):
        open_raster(path, bands_nm=[850])


@pytest.mark.parametrize(
    "text",
    [
        '{"shape": [10, 12]}',
        '{"shape": 1}',
        '{"shape": [[1]]}',
        '{"shape": [1e999]}',
        '{"shape": ' + "[" * 5000,
    ],
)
def test_a_single_image_of_tifffile(tmp_path, text):
    with open_raster(save_tiff(tmp_path / "a.tif", (noise(1, 10, 12)[0], {270: text}))) as raster:
        assert raster.bands == 1


def test_stacks_that_tifffile_writes(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    array = noise(3, 10, 12, "uint16")
    path = tmp_path / "a.tif"
    labels = ["660 nm", "850 nm", "940 nm"]
    tifffile.imwrite(path, array, imagej=True, metadata={"axes": "CYX", "Labels": labels})
    with open_raster(path, scale=65535) as raster:
        assert raster.wavelengths_nm == (660, 850, 940)
    channel = {"Name": labels, "EmissionWavelength": [660, 850, 940]}
    tifffile.imwrite(tmp_path / "b.ome.tif", array, metadata={"axes": "CYX", "Channel": channel})
    with open_raster(tmp_path / "b.ome.tif", scale=65535) as raster:
        assert raster.wavelengths_nm == (660, 850, 940)
        np.testing.assert_allclose(raster.read()[0], array / 65535, atol=1e-6)
    tifffile.imwrite(tmp_path / "c.tif", array, photometric="minisblack")
    with pytest.raises(NircolorError, match="got 3 pages of 12 x 10 pixels"):
        open_raster(tmp_path / "c.tif")
    tifffile.imwrite(tmp_path / "d.tif", array, imagej=True, truncate=True)
    with pytest.raises(NircolorError, match="a page for each of 3 planes"):
        open_raster(tmp_path / "d.tif")


@pytest.mark.parametrize(
    "tags", [{50838: [], 50839: b"x"}, {50838: [1 << 31, 9], 50839: b"IJIJ"}, {50838: b"abc", 50839: b""}]
)
def test_damaged_labels_of_imagej_are_left_out(tmp_path, tags):
    path = save_tiff(tmp_path / "a.tif", (noise(1, 10, 12)[0], {270: "ImageJ=1.53t\nimages=1\n"} | tags))
    with open_raster(path) as raster:
        assert raster.names == (None,)
