"""EXIF, GPS, date, XMP, ICC and tags go from an image to its colour image, in every pair of formats."""

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import rasterio

from nircolor import __version__
from nircolor.errors import NircolorWarning
from nircolor.imagery import open_raster
from nircolor.imagery.files.tiff import TagValue, TiffTags
from nircolor.imagery.grid import Georeference, Grid
from nircolor.imagery.metadata.carried import adapted_xmp, is_srgb, kept_tags, read_metadata
from nircolor.imagery.metadata.exif import Exif, adapted, exif_block, parse_exif
from nircolor.imagery.metadata.safe_xml import parse_xml
from nircolor.imagery.output.metadata_writer import embed
from tests.imagery.imagery_samples import colour, noise, png_bytes, save, save_envi

PIL = pytest.importorskip("PIL", reason="Pillow writes and reads the metadata; it comes with matplotlib")
from PIL import Image, ImageCms  # noqa: E402

H, W = 40, 56
DATE, MAKE = "2024:05:01 10:00:00", "NIR Cameras"
ENDINGS = {"JPEG": "jpg", "PNG": "png", "TIFF": "tif", "WEBP": "webp"}
GPS = {1: "N", 2: (46.0, 31.0, 12.5), 3: "E", 4: (6.0, 34.0, 1.25), 5: b"\0", 6: 372.5}
XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""'
    ' xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:Camera="http://pix4d.com/camera/1.0/"'
    ' xmlns:dji="http://www.dji.com/drone-dji/1.0/" tiff:Orientation="6" dji:GimbalYawDegree="+12.50">'
    "<tiff:ImageWidth>40</tiff:ImageWidth><Camera:CentralWavelength>850</Camera:CentralWavelength>"
    "<Camera:Yaw>12.5</Camera:Yaw></rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end='w'?>"
)


def exif(orientation: int = 1) -> Image.Exif:
    made = Image.Exif()
    made[274], made[306], made[271], made[305] = orientation, DATE, MAKE, "Firmware 1"
    made[282], made[315] = 72.0, "Ä. Nonymous"
    photo = made.get_ifd(34665)
    photo[36867], photo[33434], photo[40962], photo[40963] = DATE, 0.004, 9999, 9999
    photo[40961] = 65535
    made.get_ifd(34853).update(GPS)
    return made


def write(folder: Path, kind: str, orientation: int = 1, **options) -> Path:
    """Write a gray image (3 equal channels for WebP) with Pillow."""
    path = folder / f"in.{ENDINGS[kind]}"
    image = Image.fromarray(noise(1, H, W)[0] // 2)
    image = image.convert("RGB") if kind == "WEBP" else image
    if kind == "TIFF":
        options["tiffinfo"] = tags = dict(exif(orientation))
        tags |= {34665: exif().get_ifd(34665), 34853: exif().get_ifd(34853)}
    else:
        options["exif"] = exif(orientation)
    image.save(path, kind, lossless=True, **options)
    return path


@pytest.mark.parametrize("target", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("source", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_exif_with_gps_is_carried_over(tmp_path, source, target):
    path = write(tmp_path, source, 6)
    out = colour(path, tmp_path / f"out.{ENDINGS[target]}")
    with Image.open(out) as image:
        image.load()
        assert image.size == (H, W)
        got = image.getexif()
        photo, gps = got.get_ifd(34665), got.get_ifd(34853)
    assert got[274] == 1
    assert (got[306], got[271], got[305]) == (DATE, MAKE, f"nircolor {__version__}")
    assert (photo[36867], float(photo[33434]), photo[40961]) == (DATE, 0.004, 1)
    assert (photo[40962], photo[40963]) == (H, W)  # turned
    assert {tag: gps[tag] for tag in GPS} == GPS
    # and what was written is read back
    with open_raster(out) as raster:
        assert (raster.height, raster.width) == (W, H)
        again = raster.grid.metadata
        assert again.problems == ()
        assert again.exif is not None
        assert 36867 in again.exif.photo


@pytest.mark.parametrize("target", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("source", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_xmp_is_carried_over_and_corrected(tmp_path, source, target):
    path = write(tmp_path, source)
    if source == "PNG":
        text = b"XML:com.adobe.xmp\0\0\0\0\0" + XMP.encode()
        raw = path.read_bytes()
        chunk = struct.pack(">I", len(text)) + b"iTXt" + text
        path.write_bytes(raw[:-12] + chunk + struct.pack(">I", zlib.crc32(chunk[4:])) + raw[-12:])
    elif source == "TIFF":
        image = Image.fromarray(noise(1, H, W)[0])
        image.save(path, "TIFF", tiffinfo={700: XMP.encode(), 274: 1})
    else:
        write(tmp_path, source, xmp=XMP.encode())
    out = colour(path, tmp_path / f"out.{ENDINGS[target]}")
    with Image.open(out) as image:
        image.load()
        xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or image.tag_v2[700]
    text = xmp if isinstance(xmp, str) else xmp.decode()
    assert 'tiff:Orientation="1"' in text
    assert "GimbalYawDegree" in text
    assert "<Camera:Yaw>12.5</Camera:Yaw>" in text
    assert f"<tiff:ImageWidth>{W}</tiff:ImageWidth>" in text
    assert "CentralWavelength" not in text
    parse_xml(text)


@pytest.mark.parametrize("target", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("source", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_a_profile_of_srgb_is_carried_over(tmp_path, source, target):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = tmp_path / f"in.{ENDINGS[source]}"
    Image.fromarray(noise(1, H, W)[0]).convert("RGB").save(path, source, icc_profile=profile)
    with Image.open(colour(path, tmp_path / f"out.{ENDINGS[target]}")) as image:
        image.load()
        assert image.info["icc_profile"] == profile


def test_other_profiles_are_left_out():
    assert is_srgb(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for other in (
        ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes(),
        ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes(),
        b"",
        b"x" * 500,
    ):
        assert not is_srgb(other)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert not is_srgb(srgb.replace(srgb[16:20], b"GRAY"))
    place = srgb.index(b"para")
    assert not is_srgb(srgb[: place + 12] + struct.pack(">i", -(1 << 31)) + srgb[place + 16 :])
    place = srgb.index(b"rXYZ", 132)
    offset = struct.unpack(">I", srgb[place + 4 : place + 8])[0]
    wide = srgb[: offset + 8] + struct.pack(">3i", 45000, 20000, 900) + srgb[offset + 20 :]
    assert not is_srgb(wide)


def test_a_thumbnail_is_dropped_and_the_cameras_own_data_kept_in_place(tmp_path):
    order = "<"
    note = b"NIKON\0" + bytes(range(40))
    block = exif_block(
        Exif(order, {271: TagValue(2, 4, b"NIR\0")}, {37500: TagValue(7, len(note), note)}, maker_note_at=100)
    )
    at = struct.unpack("<I", block[4:8])[0]
    # a second directory with a thumbnail, as cameras append it
    thumbnail = b"\xff\xd8thumbnail\xff\xd9"
    entries = struct.unpack("<H", block[at : at + 2])[0]
    link = at + 2 + 12 * entries
    block = block[:link] + struct.pack("<I", len(block)) + block[link + 4 :]
    block += (
        struct.pack("<HHHIIHHIII", 2, 513, 4, 1, len(block) + 30, 514, 4, 1, len(thumbnail), 0) + thumbnail
    )
    jpeg = save(tmp_path / "in.jpg", noise(1, H, W), "JPEG").read_bytes()
    (tmp_path / "in.jpg").write_bytes(
        jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 8) + b"Exif\0\0" + block + jpeg[2:]
    )
    raw = colour(tmp_path / "in.jpg", tmp_path / "out.jpg").read_bytes()
    assert b"thumbnail" not in raw
    start = raw.index(b"Exif\0\0") + 6
    assert raw[start + 100 : start + 100 + len(note)] == note
    assert parse_exif(raw[start:]).photo[37500].raw == note
    # in a TIFF its offsets would be wrong
    assert note not in colour(tmp_path / "in.jpg", tmp_path / "out.tif").read_bytes()


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_block_is_read_back_in_both_byte_orders(order):
    rational = struct.pack(order + "6I", 46, 1, 31, 1, 25, 2)
    made = Exif(
        order,
        {306: TagValue(2, 20, DATE.encode() + b"\0"), 271: TagValue(2, 2, b"A\0")},
        {
            33434: TagValue(5, 1, struct.pack(order + "2I", 1, 250)),
            34855: TagValue(3, 1, struct.pack(order + "H", 100)),
        },
        {2: TagValue(5, 3, rational)},
        {1: TagValue(2, 4, b"R98\0")},
    )
    got = parse_exif(exif_block(made))
    assert got == made
    upright = adapted(got, 30, 20, "x", is_rotated=False)
    assert struct.unpack(order + "H", upright.main[274].raw) == (1,)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_damaged_exif_never_fails_an_image(tmp_path, kind):
    path = write(tmp_path, kind)
    whole = path.read_bytes()
    start = whole.find(b"Exif\0\0") if kind == "JPEG" else whole.find(b"eXIf" if kind == "PNG" else b"EXIF")
    rng = np.random.default_rng(0)
    pixels = noise(1, H, W)[0] // 2
    for _ in range(20):
        raw = bytearray(whole)
        if kind == "TIFF":  # only where the EXIF directories are: GDAL must go on reading the rest
            reader = TiffTags(io.BytesIO(whole))
            main = reader.entries(reader.first)[0]
            at = struct.unpack("<I", main[34665].raw)[0]
            places = at + rng.integers(0, 60, 3)
        else:
            places = start + 8 + rng.integers(0, 200, 4)
        raw[places[0]], raw[places[1]], raw[places[2]] = rng.integers(0, 256, 3)
        if kind == "PNG":
            length = struct.unpack(">I", whole[start - 4 : start])[0]
            end = start + 4 + length
            raw[end : end + 4] = struct.pack(">I", zlib.crc32(bytes(raw[start:end])))
        path.write_bytes(raw)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NircolorWarning)
            out = colour(path, tmp_path / "out.png")
        with Image.open(out) as image:
            assert sorted(image.size) == [H, W]
            if kind != "JPEG" and image.size == (W, H):
                assert {*np.asarray(image)[..., 0].ravel()} == {*pixels.ravel()}
        out.unlink()


def test_damaged_exif_is_one_warning(tmp_path):
    jpeg = save(tmp_path / "in.jpg", noise(1, H, W), "JPEG").read_bytes()
    block = b"Exif\0\0II*\0\x08\0\0\0\xff\xff"
    (tmp_path / "in.jpg").write_bytes(
        jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + jpeg[2:]
    )
    with pytest.warns(NircolorWarning, match="EXIF is damaged") as caught:
        colour(tmp_path / "in.jpg", tmp_path / "out.jpg")
    assert len(caught) == 1


def test_exif_that_does_not_fit_into_a_jpeg_is_named(tmp_path):
    path = tmp_path / "in.tif"
    Image.fromarray(noise(1, H, W)[0]).save(path, tiffinfo={270: "x" * 70_000})
    with pytest.warns(NircolorWarning, match=r"EXIF of 70\d\d\d bytes does not fit into a JPEG"):
        colour(path, tmp_path / "out.jpg")
    assert b"x" * 70_000 in colour(path, tmp_path / "out.tif").read_bytes()


def test_tags_of_a_geotiff_go_to_the_geotiff_without_those_of_its_values(tmp_path):
    tags = {
        "TIFFTAG_DATETIME": DATE,
        "MISSION": "A & B",
        "TIFFTAG_ARTIST": "me",
        "QUANTIFICATION_VALUE": "10000",
    }
    tags |= {"TIFFTAG_IMAGEDESCRIPTION": "ImageJ=1.53\nimages=1", "STATISTICS_MEAN": "5", "ns": "x"}
    place = {"crs": "EPSG:32632", "transform": rasterio.Affine(10, 0, 5e5, 0, -10, 5e6)}
    path = save(
        tmp_path / "in.tif",
        noise(1, 1100, 30),
        setup=lambda d: [d.update_tags(**{k: v}) for k, v in tags.items() if k != "ns"],
        **place,
    )
    with rasterio.open(colour(path, tmp_path / "out.tif")) as out:
        got = out.tags()
        assert out.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
    assert got["TIFFTAG_SOFTWARE"] == f"nircolor {__version__}"
    assert {name for name in tags if name in got} == {"TIFFTAG_DATETIME", "MISSION", "TIFFTAG_ARTIST"}
    assert got["MISSION"] == "A & B"


def test_exif_of_a_large_georeferenced_tiff_keeps_its_overviews(tmp_path):
    path = save(tmp_path / "plain.tif", noise(1, 1100, 1200))
    with Image.open(path) as image:
        image.save(tmp_path / "in.tif", tiffinfo={34665: exif().get_ifd(34665)})
    (tmp_path / "in.tfw").write_text("10\n0\n0\n-10\n500005\n4999995\n")
    out = colour(tmp_path / "in.tif", tmp_path / "out.tif")
    with rasterio.open(out) as dataset:
        assert dataset.overviews(1)
        assert dataset.transform == rasterio.Affine(10, 0, 5e5, 0, -10, 5e6)
        values = dataset.read()
    with Image.open(out) as image:
        assert image.getexif().get_ifd(34665)[36867] == DATE
        assert np.array_equal(np.asarray(image)[..., 0], values[0])
    assert b"KNOWN_INCOMPATIBLE_EDITION=YES\n" in out.read_bytes()[:1024]


def test_xmp_properties_of_lists_and_utf_16_are_kept():
    packet = (
        '<x:x xmlns:x="a" xmlns:t="b"><t:Orientation>8</t:Orientation><t:Names><x:li>é</x:li></t:Names></x:x>'
    )
    declared = '<?xml version="1.0" encoding="UTF-16"?>' + packet
    for raw in (packet.encode(), packet.encode("utf-16"), declared.encode("utf-16"), declared.encode()):
        text = adapted_xmp(raw, 5, 6).decode()
        assert "<t:Orientation>1</t:Orientation>" in text
        assert "<x:li>é</x:li>" in text


def test_date_and_sensor_of_an_envi_header(tmp_path):
    fields = {"acquisition_time": "2024-05-01T10:00:00Z", "description": "{a scene}", "sensor_type": "FX10"}
    source = save_envi(tmp_path, noise(1, H, W), wavelength="{850}", **fields)
    with rasterio.open(colour(source, tmp_path / "out.tif")) as out:
        expected = {**fields, "description": "a scene", "TIFFTAG_SOFTWARE": f"nircolor {__version__}"}
        assert out.tags() == expected


def test_an_image_without_metadata_gets_none_but_the_software(tmp_path):
    path = save(tmp_path / "in.png", noise(1, H, W), "PNG")
    with Image.open(colour(path, tmp_path / "out.png")) as image:
        assert image.info == {"Software": f"nircolor {__version__}"}
    with Image.open(colour(path, tmp_path / "out.jpg")) as image:
        assert dict(image.getexif()) == {274: 1, 305: f"nircolor {__version__}"}
    with Image.open(colour(path, tmp_path / "out.tif")) as image:
        assert image.tag_v2[305] == f"nircolor {__version__}"


def test_texts_of_a_png_are_carried_over(tmp_path):
    texts = {"Creation Time": "2024", "Author": "Ä", "Unknown": "x"}
    path = tmp_path / "in.png"
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    for name, text in texts.items():
        info.add_itxt(name, text)
    Image.fromarray(noise(1, H, W)[0]).save(path, pnginfo=info)
    with Image.open(colour(path, tmp_path / "out.png")) as image:
        assert image.info["Creation Time"] == "2024"


def test_xmp_that_is_nested_deeply_is_left_out(tmp_path):
    deep = "<a>" * 3000 + "</a>" * 3000
    path = write(tmp_path, "JPEG", xmp=deep.encode())
    with pytest.warns(NircolorWarning, match="XMP is not carried over"):
        colour(path, tmp_path / "out.png")


@pytest.mark.parametrize("compressed", [False, True])
def test_exif_that_imagemagick_wrote_as_text_of_a_png(tmp_path, compressed):
    block = b"Exif\0\0" + exif_block(Exif("<", {271: TagValue(2, 4, b"NIR\0")}))
    digits = block.hex()
    text = f"\nexif\n{len(block):8}\n{digits[:72]}\n{digits[72:]}\n".encode()
    content = b"Raw profile type exif\0" + (b"\0" + zlib.compress(text) if compressed else text)
    rows = [row.tobytes() for row in noise(1, H, W)[0]]
    (tmp_path / "in.png").write_bytes(png_bytes(rows, W, 8, 0, (b"zTXt" if compressed else b"tEXt", content)))
    with Image.open(colour(tmp_path / "in.png", tmp_path / "out.png")) as image:
        assert image.getexif()[271] == "NIR"
    with rasterio.open(colour(tmp_path / "in.png", tmp_path / "out.tif")) as out:
        assert not [name for name in out.tags() if name.startswith("Raw")]


KEPT = ("MISSION_ID", "Administrator", "CLOUD_COVERAGE", "acquisition time", "Sensor")
DROPPED = (
    "Band_1",
    "DATA_TYPE",
    "STATISTICS_MINIMUM",
    "wavelength_units",
    "Sun gain",
    "bands",
    "max",
    "EXIF_Make",
)


@pytest.mark.parametrize("name", [*KEPT, *DROPPED])
def test_tags_about_values_and_bands_are_told_from_others(name):
    assert bool(kept_tags({name: "1"}, {})) == (name in KEPT)


@pytest.mark.parametrize("options", [{"BIGTIFF": "YES"}, {"ENDIANNESS": "BIG"}, {"TILED": "YES"}])
def test_exif_is_added_to_every_kind_of_tiff(tmp_path, options):
    pixels = noise(3, 300, 400)
    place = {"crs": "EPSG:32632", "transform": rasterio.Affine(10, 0, 5e5, 0, -10, 5e6)}
    path = save(tmp_path / "a.tif", pixels, setup=lambda d: d.update_tags(x="y"), **place, **options)
    metadata = read_metadata(write(tmp_path, "JPEG"), "JPEG")
    nowhere = Georeference(None, rasterio.Affine.identity())
    grid = Grid(400, 300, np.dtype("uint8"), nowhere, None, False, False, False, metadata)
    assert embed(path, "GTiff", grid) == []
    with rasterio.open(path) as dataset:
        assert np.array_equal(dataset.read(), pixels)
        assert dataset.crs.to_epsg() == 32632
        assert dataset.tags()["x"] == "y"
    again = read_metadata(path, "GTiff")
    assert again.exif is not None
    assert again.exif.gps.keys() == GPS.keys()
    assert again.problems == ()


def test_tags_with_names_of_rasterios_arguments_are_left_out():
    assert kept_tags({"bidx": "1", "ns": "x", "MISSION": "a"}, {}) == {"MISSION": "a"}
