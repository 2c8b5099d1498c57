"""One image out of many files: Sentinel-2, Landsat, sets of cameras and lists of bands."""

import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from rasterio.transform import Affine

from nircolor.errors import NircolorError, NircolorWarning
from nircolor.imagery import image_size, list_folder, open_raster, stack_path
from tests.imagery.imagery_samples import noise, save
from tests.imagery.stacks.products import SCENE, camera_band, georeferenced, landsat, micasense, safe, xmp


def band_file(product: Path, name: str) -> Path:
    return next(product.rglob(f"*_{name}*.jp2"))


@pytest.fixture(scope="module")
def product(tmp_path_factory):
    """A Sentinel-2 product of level 2A whose bands have reflectances of their own."""
    return safe(tmp_path_factory.mktemp("s2"), values={"B07": 0.3, "B08": 0.4, "B09": 0.5})


def read(path):
    with open_raster(path) as raster:
        values, valid = raster.read()
        return raster, values.reshape(len(values), -1).mean(axis=1), valid


def test_a_sentinel2_product_is_one_image_on_the_10_m_grid(product):
    raster, means, valid = read(product)
    assert (raster.width, raster.height, raster.bands) == (120, 120, 12)
    assert raster.transform == Affine(10, 0, 399960, 0, -10, 5300040)
    assert raster.crs.to_epsg() == 32632
    found = dict(zip(raster.names, zip(raster.wavelengths_nm, means, strict=True), strict=True))
    assert found["B07"] == (782.8, pytest.approx(0.3, abs=1e-4))
    # the centres of the product, not the nominal 842 nm
    assert found["B08"] == (832.8, pytest.approx(0.4, abs=1e-4))
    assert found["B09"] == (945.1, pytest.approx(0.5, abs=1e-4))
    assert found["B8A"] == (864.7, pytest.approx(0.1, abs=1e-4))
    assert raster.is_reflectance
    assert valid.all()
    assert image_size(product) == (120, 120)


@pytest.mark.parametrize(("level", "offset"), [("1C", -1000), ("1C", None), ("2A", None), ("2A", -500)])
def test_the_radiometric_offset_comes_from_the_metadata(tmp_path, level, offset):
    product = safe(tmp_path, level, offset=offset, bands=("B07", "B08", "B09"), values={"B08": 0.25})
    raster, means, _ = read(product)
    assert means == pytest.approx([0.1, 0.25, 0.1], abs=1e-4)
    assert raster.black_white[0][:, 0].tolist() == [-(offset or 0)] * 3


def test_nodata_is_0_in_all_resolutions(product, tmp_path):
    copy = tmp_path / product.name
    shutil.copytree(product, copy)
    pixels = np.full((1, 60, 60), 4000, np.uint16)
    pixels[:, :10] = 0
    save(
        band_file(copy, "B07_20m"), pixels, "JP2OpenJPEG", QUALITY=100, REVERSIBLE="YES", **georeferenced(20)
    )
    with open_raster(copy) as raster:
        used = [raster.names.index(name) for name in ("B07", "B08")]
        values, valid = raster.read(None, used)
        assert raster.nodata == 0
    assert not valid[:20].any()
    assert valid[20:].all()
    # invalid neighbours have no weight
    assert values[0, 20:] == pytest.approx(0.3, abs=1e-4)


def test_windows_and_reduced_views_agree_with_the_whole(tmp_path):
    fine = save(tmp_path / "fine.tif", noise(1, 60, 90, "uint16", 1), **georeferenced(10))
    coarse = save(tmp_path / "coarse.tif", noise(1, 30, 45, "uint16", 2), **georeferenced(20))
    coarser = save(tmp_path / "coarser.tif", noise(1, 10, 15, "uint16", 3), **georeferenced(60))
    with open_raster(f"{coarse}@783,{fine}@842,{coarser}@945") as raster:
        assert (raster.height, raster.width) == (60, 90)
        whole, _ = raster.read()
        for window in ((0, 7, 0, 90), (7, 8, 3, 4), (13, 60, 41, 90)):
            row0, row1, col0, col1 = window
            part, _ = raster.read(window)
            np.testing.assert_allclose(part, whole[:, row0:row1, col0:col1], atol=1e-6)
        view, _ = raster.read(None, [0, 1, 2], (30, 45))
        np.testing.assert_allclose(view, whole.reshape(3, 30, 2, 45, 2).mean(axis=(2, 4)), atol=1e-5)
    with open_raster(fine) as alone, open_raster(coarse) as source:
        np.testing.assert_array_equal(whole[1], alone.read()[0][0])
        own = source.read()[0][0]
    # bilinear: three quarters of the nearest pixel and a quarter of its neighbour, along each axis
    expected = 0.75 * (0.75 * own[5, 7] + 0.25 * own[5, 8]) + 0.25 * (0.75 * own[4, 7] + 0.25 * own[4, 8])
    assert whole[0, 10, 15] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("metadata", ["txt", "json", "xml"])
@pytest.mark.parametrize(
    ("scene", "bands"),
    [("LC09_L2SP_193027_20220701_20220703_02_T1", 7), ("LC08_L1TP_193027_20200701_20200708_02_T1", 8),
     ("LE07_L2SP_193027_20020701_20200708_02_T2", 6)],
)  # fmt: skip
def test_a_landsat_scene_has_the_scale_of_its_metadata(tmp_path, metadata, scene, bands):
    raster, means, _ = read(landsat(tmp_path, metadata, scene))
    assert raster.bands == bands
    # without the panchromatic and thermal bands
    assert (raster.width, raster.transform.a) == (30, 30)
    numbers = [int(name.rpartition("B")[2]) for name in raster.names]
    assert means == pytest.approx([0.05 * number for number in numbers], abs=1e-4)
    assert raster.wavelengths_nm[numbers.index(4)] == (835 if scene.startswith("LE07") else 655)
    assert raster.is_reflectance


def test_reflectance_of_landsat_level_1_is_corrected_for_the_height_of_the_sun(tmp_path):
    scene = landsat(tmp_path, scene="LC08_L1TP_193027_20200701_20200708_02_T1", sun_elevation=30)
    raster, means, _ = read(scene)
    # the sine of 30 degrees is a half
    assert means == pytest.approx([0.1 * number for number in (1, 2, 3, 4, 5, 6, 7, 9)], abs=1e-4)
    assert "SUN_ELEVATION" in raster.scale_rule
    _, means, _ = read(scene / f"{scene.name}_B5.TIF")
    assert means == pytest.approx([0.5], abs=1e-4)
    # surface reflectance is corrected already
    surface = landsat(tmp_path, sun_elevation=30)
    assert read(surface)[1] == pytest.approx([0.05 * number for number in range(1, 8)], abs=1e-4)
    # a thermal band has a temperature
    with open_raster(scene / f"{scene.name}_B10.TIF", scale=65535) as raster:
        assert raster.is_reflectance is None


def test_metadata_of_another_landsat_scene_is_refused(tmp_path):
    scene = landsat(tmp_path)
    metadata = scene / f"{scene.name}_MTL.txt"
    other = scene.name.replace("193027", "193028")
    text = metadata.read_text()
    for name, is_right in ((scene.name, True), (other, False)):
        start = f'GROUP = PRODUCT_CONTENTS\n    LANDSAT_PRODUCT_ID = "{name}"'
        metadata.write_text(text.replace("GROUP = PRODUCT_CONTENTS", start, 1))
        for path in (scene, scene / f"{scene.name}_SR_B4.TIF"):
            if is_right:
                assert read(path)[0].is_reflectance
            else:
                assert f"expected the metadata of {scene.name}, got that of {other}" in refused(path)


def test_everything_with_the_name_of_a_landsat_scene_belongs_to_it(tmp_path):
    scene = landsat(tmp_path / "downloaded")
    save(scene / f"{scene.name}_thumb_large.jpeg", noise(3, 30, 30), "JPEG")
    loose = scene.rename(tmp_path / "loose")
    photograph = save(loose / "ground.jpg", noise(3, 30, 30), "JPEG")
    assert list_folder(loose).images == [loose / scene.name, photograph]


def test_a_set_of_a_camera_has_the_wavelengths_of_its_xmp(tmp_path):
    raster, means, _ = read(micasense(tmp_path))
    assert raster.wavelengths_nm == (475, 560, 668, 840, 717)
    assert means == pytest.approx([(10000 + 5000 * i) / 65535 for i in range(1, 6)], abs=1e-4)
    assert not raster.is_registered


def test_thermal_and_panchromatic_bands_are_left_out(tmp_path):
    path = micasense(tmp_path)
    camera_band(tmp_path / "IMG_0001_6.tif", xmp(634.5, "Panchro", "0001"), shape=(96, 128))
    camera_band(tmp_path / "IMG_0001_7.tif", xmp(11000, "LWIR", "0001"), shape=(12, 16))
    assert read(path)[0].bands == 5
    assert list_folder(tmp_path).images == [path]


@pytest.mark.parametrize(
    ("names", "path"),
    [({"DJI_0010_MS_NIR.TIF": 860, "DJI_0010_MS_RE.TIF": 730, "DJI_0010_MS_R.TIF": 650}, "DJI_0010"),
     ({"DJI_20230601101010_0003_MS_G.TIF": 560, "DJI_20230601101010_0003_MS_NIR.TIF": 860},
      "DJI_20230601101010_0003"),
     ({"DJI_0011.TIF": 450, "DJI_0013.TIF": 650, "DJI_0015.TIF": 840}, "DJI_0010"),
     ({"IMG_160521_144600_0000_NIR.TIF": 790, "IMG_160521_144600_0000_RED.TIF": 660},
      "IMG_160521_144600_0000")],
)  # fmt: skip
def test_sets_of_other_cameras(tmp_path, names, path):
    for name, nm in names.items():
        camera_band(tmp_path / name, xmp(nm))
    assert list_folder(tmp_path).images == [tmp_path / path]
    assert sorted(read(tmp_path / path)[0].wavelengths_nm) == sorted(names.values())


def test_a_folder_of_products_and_sets_is_a_batch_of_them(tmp_path, product):
    shutil.copytree(product, tmp_path / product.name)
    scene = landsat(tmp_path)
    flight = [micasense(tmp_path / "flight", number) for number in ("0001", "0002")]
    photograph = save(tmp_path / "flight" / "IMG_0001_1.png", noise(1, 8, 8))
    single = camera_band(tmp_path / "flight" / "IMG_0003_4.tif", xmp(840))
    # names like those of a set, without bands in their XMP
    plain = [save(tmp_path / "plain" / f"IMG_0001_{i}.tif", noise(1, 8, 8)) for i in (1, 2)] if (
        tmp_path / "plain").mkdir() is None else []  # fmt: skip
    images = list_folder(tmp_path, recursive=True).images
    assert images == sorted([tmp_path / product.name, scene, *flight, photograph, single, *plain])
    assert list_folder(tmp_path).images == sorted([tmp_path / product.name, scene])
    # scenes in one folder
    loose = tmp_path / "loose"
    loose.mkdir()
    for file in scene.iterdir():
        shutil.copy(file, loose)
    assert list_folder(loose).images == [loose / scene.name]
    assert read(loose / scene.name)[0].bands == 7


def test_metadata_files_name_their_product(tmp_path, product):
    scene = landsat(tmp_path)
    assert stack_path(product / "MTD_MSIL2A.xml") == product
    assert stack_path(scene / f"{scene.name}_MTL.txt") == scene / scene.name
    assert read(scene / f"{scene.name}_MTL.txt")[0].bands == 7


def test_listed_bands_take_the_wavelengths_given(tmp_path):
    files = [save(tmp_path / f"b{i},@1.tif", noise(1, 8, 9, seed=i)) for i in range(2)]
    with open_raster(f"{files[0]}@783,{files[1]}@842.5nm") as raster:
        assert raster.wavelengths_nm == (783, 842.5)
        assert raster.files == tuple(files)
    # a file of this name is a file
    odd = save(tmp_path / "night@850", noise(1, 8, 9))
    with open_raster(odd) as raster:
        assert raster.wavelengths_nm == (None,)


def test_a_wavelength_that_the_file_contradicts_is_used_with_a_warning(tmp_path):
    red, nir = (camera_band(tmp_path / f"{name}.tif", xmp(nm)) for name, nm in (("a", 668), ("b", 840)))
    with pytest.warns(NircolorWarning, match=r"a\.tif: is taken as 842 nm, as given, but states 668 nm"):
        raster = open_raster(f"{red}@842,{nir}@783.5")
    assert raster.wavelengths_nm == (842, 783.5)
    raster.close()


def test_options_apply_to_all_bands(tmp_path):
    files = [save(tmp_path / f"{i}.tif", np.full((1, 8, 9), 1000 * i, np.uint16)) for i in (1, 2)]
    path = f"{files[0]}@783,{files[1]}@842"
    with open_raster(path, scale=10000, offset=-0.05, reflectance=True) as raster:
        assert raster.read()[0][:, 0, 0] == pytest.approx([0.05, 0.15])
    with open_raster(path, bands_nm={"nir": 2}, scale=2000) as raster:
        assert (raster.bands, raster.read()[0].max()) == (1, 1)
    with open_raster(path, bands_nm=[850, 945]) as raster:
        assert raster.wavelengths_nm == (850, 945)
    with open_raster(path, stretch=(0, 100)) as raster:
        assert raster.read()[0][:, 0, 0] == pytest.approx([0, 1], abs=1e-5)
        assert [side.tolist() for side in raster.black_white] == [
            [pytest.approx([1000])] * 2,
            [pytest.approx([2000])] * 2,
        ]
    with open_raster(path, nodata=1000) as raster:
        assert not raster.read()[1].any()


def refused(path) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NircolorWarning)
        with pytest.raises(NircolorError) as caught:
            open_raster(path)
    return str(caught.value)


def test_bands_of_another_size_or_place_are_refused(tmp_path):
    a = save(tmp_path / "a.tif", noise(1, 30, 30), **georeferenced(10))
    far = save(tmp_path / "far.tif", noise(1, 30, 30), **georeferenced(10, left=500000))
    larger = save(tmp_path / "larger.tif", noise(1, 30, 40), **georeferenced(10))
    other = georeferenced(10) | {"crs": "EPSG:32633"}
    zone = save(tmp_path / "zone.tif", noise(1, 30, 30), **other)
    plain = save(tmp_path / "plain.tif", noise(1, 15, 15))
    several = save(tmp_path / "several.tif", noise(2, 30, 30), **georeferenced(10))
    wide = save(tmp_path / "wide.tif", noise(1, 30, 30, "uint16"), **georeferenced(10))
    for second, text in (
        (far, "expected the area of a.tif (x 399960 to 400260"),
        (larger, "expected the area of a.tif"),
        (zone, "(EPSG:32632), got EPSG:32633"),
        (plain, "15 × 15"),
        (several, "expected one band in each file"),
        (wide, "give the scale of all with --scale"),
        (tmp_path / "none.tif", "none.tif: no such file"),
    ):
        assert text in refused(f"{a}@783,{second}@842")
    assert "expected one file for each wavelength" in refused(f"{a}@783,{far}@783")
    assert "got 12" in refused(f"{a}@12,{far}@783")
    # same size without a georeference in one: the same pixels
    same = save(tmp_path / "same.tif", noise(1, 30, 30))
    with open_raster(f"{same}@783,{a}@842") as raster:
        assert raster.crs.to_epsg() == 32632


def test_a_transform_without_a_crs_places_the_bands(tmp_path):
    def file(name: str, side: int, metres: float, left: float = 399960) -> Path:
        transform = georeferenced(metres, left)["transform"]
        return save(tmp_path / f"{name}.tif", noise(1, side, side, seed=side), transform=transform)

    a, far, coarse = file("a", 30, 10), file("far", 30, 10, 500000), file("coarse", 15, 20)
    placed = save(tmp_path / "crs.tif", noise(1, 30, 30), **georeferenced(10))
    for first in (a, placed):
        assert f"expected the area of {first.name}" in refused(f"{first}@783,{far}@842")
        with open_raster(f"{first}@783,{coarse}@842") as raster:
            assert (raster.height, raster.width) == (30, 30)
            # the mean of the four nearest pixels, by their areas
            with open_raster(coarse) as own:
                corner = own.read()[0][0, :2, :2]
            assert raster.read()[0][1, 1, 1] == pytest.approx(
                (9 * corner[0, 0] + 3 * corner[0, 1] + 3 * corner[1, 0] + corner[1, 1]) / 16, abs=1e-6
            )


def test_units_and_repeated_files_of_lists(tmp_path):
    a, b = (save(tmp_path / f"{name}.tif", noise(1, 8, 9, seed=i)) for i, name in enumerate("ab"))
    for unit in ("um", "µm", "UM"):
        with open_raster(f"{a}@0.783{unit},{b}@842nm") as raster:
            assert raster.wavelengths_nm == (783, 842)
    assert "(such as 850), got 0.783; " in refused(f"{a}@0.783,{b}@0.842")
    again = tmp_path / ".." / tmp_path.name / "a.tif"
    assert "expected one file for each wavelength" in refused(f"{a}@783,{again}@842")


def test_half_a_product_says_what_is_missing(product, tmp_path):
    copy = tmp_path / product.name
    shutil.copytree(product, copy)
    for file in copy.rglob("*_B09_*.jp2"):
        file.unlink()
    band_file(copy, "B08_10m").write_bytes(b"")
    with pytest.warns(NircolorWarning, match=r"2 bands of 12 missing or damaged: B09 .*the file is empty"):
        raster = open_raster(copy)
    assert "B08" not in raster.names
    assert len(raster.missing) == 2
    raster.close()
    (copy / "MTD_MSIL2A.xml").write_text("<n1:Level-2A_User_Product")
    assert "MTD_MSIL2A.xml: expected the metadata" in refused(copy)
    (copy / "MTD_MSIL2A.xml").unlink()
    assert "expected MTD_MSIL2A.xml or MTD_MSIL1C.xml" in refused(copy)
    (copy / "MTD_MSIL2A.xml").write_text("<a/>")
    shutil.rmtree(copy / "GRANULE")
    assert "expected the bands of a Sentinel-2 product" in refused(copy)


def test_several_granules_are_refused(product, tmp_path):
    copy = tmp_path / product.name
    shutil.copytree(product, copy)
    granule = next((copy / "GRANULE").iterdir())
    shutil.copytree(granule, granule.with_name("L2A_T32TNT_A036680_20220701T102404"))
    other = granule.with_name("L2A_T32TNT_A036680_20220701T102404")
    assert f"expected a product of one granule, got 2; name one of them: {granule}" in refused(copy)
    # a granule has a value of its own
    pixels = np.full((1, 120, 120), 3500, np.uint16)
    save(next(other.rglob("*_B08_10m.jp2")), pixels, "JP2OpenJPEG", QUALITY=100, REVERSIBLE="YES",
         **georeferenced(10))  # fmt: skip
    for name in (other, other / "IMG_DATA" / "R10m"):
        raster, means, _ = read(name)
        assert raster.path == other
        assert means[raster.names.index("B08")] == pytest.approx(0.25, abs=1e-4)
        assert raster.missing == ()


@pytest.mark.parametrize("part", ["GRANULE", "GRANULE/*", "GRANULE/*/IMG_DATA", "GRANULE/*/IMG_DATA/R60m",
                                  "GRANULE/*/MTD_TL.xml"])  # fmt: skip
def test_a_part_of_a_product_names_it(product, part):
    next(product.glob("GRANULE/*")).joinpath("MTD_TL.xml").write_text("<n1:Level-2A_Tile_ID/>")
    (path,) = product.glob(part)
    assert stack_path(path) == product
    assert list_folder(path if path.is_dir() else path.parent).images == [product]
    assert image_size(path) == (120, 120)


def test_file_names_of_level_2a_before_2018(tmp_path):
    product = safe(tmp_path, offset=None, bands=("B07", "B08", "B09"), values={"B08": 0.4})
    for file in list(product.rglob("*.jp2")):
        file.rename(file.with_name(f"L2A_{file.name}"))
    metadata = product / "MTD_MSIL2A.xml"
    text = metadata.read_text().replace("BOA_QUANT", "L2A_BOA_QUANT").replace(SCENE, f"L2A_{SCENE}")
    metadata.write_text(text)
    raster, means, _ = read(product)
    assert means == pytest.approx([0.1, 0.4, 0.1], abs=1e-4)
    assert raster.is_reflectance
    assert raster.missing == ()


@pytest.mark.parametrize(
    ("name", "packet", "text"),
    [("IMG_0001_4.tif", xmp(475.5, "NIR", "0001"), "states 475.5 nm, which contradicts BandName NIR"),
     ("IMG_0001_4.tif", xmp(None, "NIR", "0001"), "expected the wavelength of the band in its XMP"),
     ("IMG_0001_4.tif", xmp("broad", "NIR", "0001"), "expected the wavelength of the band in its XMP"),
     ("IMG_0001_4.tif", xmp(717, None, "0001"), "IMG_0001_4.tif and IMG_0001_5.tif states 717 nm"),
     ("IMG_0001_4.tif", xmp(840, "NIR", "0002"), "states different ones"),
     ("DJI_0010_MS_NIR.TIF", xmp(650), "which contradicts nir in its name")],
)  # fmt: skip
def test_xmp_that_contradicts_the_files_is_refused(tmp_path, name, packet, text):
    path = micasense(tmp_path)
    camera_band(tmp_path / "DJI_0010_MS_R.TIF", xmp(660))
    camera_band(tmp_path / name, packet)
    assert text in refused(path if name.startswith("IMG") else tmp_path / "DJI_0010")


def test_a_damaged_file_of_a_set_is_named_as_such(tmp_path):
    path = micasense(tmp_path)
    damaged = tmp_path / "IMG_0001_1.tif"
    content = damaged.read_bytes()
    for kept, text in ((0, "the file is empty"), (300, "the image is damaged or cut off")):
        damaged.write_bytes(content[:kept])
        # the others state that it is a set
        assert list_folder(tmp_path).images == [path]
        assert f"IMG_0001_1.tif: {text}" in refused(path)


def test_wavelengths_as_fractions(tmp_path):
    for band, nm in ((1, "475/1"), (4, "8400/10")):
        camera_band(tmp_path / f"IMG_0007_{band}.tif", xmp(nm))
    assert read(tmp_path / "IMG_0007")[0].wavelengths_nm == (475, 840)


@pytest.mark.parametrize(("tags", "named"), [({50714: [4800] * 4}, None), ({}, "BlackLevel"),
                                             ({}, "BlackCurrent")])  # fmt: skip
def test_counts_of_a_camera_are_linear_from_its_black_level(tmp_path, tags, named):
    packet = xmp(840, "NIR")
    if named is not None:
        level = (
            f"<drone-dji:{named} xmlns:drone-dji='http://www.dji.com/drone-dji/1.0/'>4800</drone-dji:{named}>"
        )
        packet = packet.replace(b"<Camera:BandName>", level.encode() + b"<Camera:BandName>")
    path = camera_band(tmp_path / "IMG_0001_4.tif", packet, 4800 + 12147, tags=tags)
    camera_band(
        tmp_path / "IMG_0001_3.tif", packet.replace(b"840", b"668").replace(b"NIR", b"Red"), tags=tags
    )
    for name in (path, tmp_path / "IMG_0001"):
        with open_raster(name, encoding="gamma") as raster:
            # 12147 of 60735 counts above black
            assert raster.read()[0].max(axis=(1, 2))[-1] == pytest.approx(0.2, abs=1e-5)
            assert raster.values.is_encoded_for("gamma")
            assert not raster.values.is_encoded_for("reflectance")
            assert "got counts of a camera" in raster.values.error("reflectance", "model a")
            assert raster.values.error("gamma", "model a") is None
    with open_raster(path, scale=65535) as raster:
        assert raster.read()[0].max() == pytest.approx((4800 + 12147) / 65535, abs=1e-5)
        assert not raster.values.is_encoded_for("gamma")
    with open_raster(path, reflectance=False) as raster:
        assert not raster.values.is_encoded_for("gamma")
    with pytest.raises(NircolorError, match="give it beside --reflectance"):
        open_raster(path, reflectance=True)


def test_integers_of_stated_wavelengths_are_doubted_for_a_model_of_photographs(tmp_path):
    path = camera_band(tmp_path / "IMG_0001_4.tif", xmp(840, "NIR"), 40000)
    with pytest.warns(NircolorWarning, match="uint16 of stated wavelengths is taken as encoded like a photo"):
        open_raster(path, encoding="gamma").close()
    with warnings.catch_warnings():
        warnings.simplefilter("error", NircolorWarning)
        open_raster(path, encoding="gamma", reflectance=False).close()
        open_raster(path, encoding="gamma", scale=50000, reflectance=True).close()


def test_black_levels_that_are_none(tmp_path):
    for tags in ({50714: [0]}, {50714: [60000]}, {50714: [4800], 50717: [70000]}):
        path = camera_band(tmp_path / "IMG_0001_4.tif", xmp(840, "NIR"), tags=tags)
        with open_raster(path) as raster:
            assert raster.values.scale.source == "type"


def test_bands_of_a_set_of_another_size_are_refused(tmp_path):
    path = micasense(tmp_path)
    camera_band(tmp_path / "IMG_0001_4.tif", xmp(840, "NIR", "0001"), shape=(24, 32))
    assert "IMG_0001_4.tif: expected 64 × 48 px as IMG_0001_1.tif, got 32 × 24" in refused(path)
