"""TIFFs of several pages: bands, previews, and stacks that are neither."""

import struct
import time
import warnings

import numpy as np
import pytest
import rasterio

from nircolor.errors import NircolorError, NircolorWarning
from nircolor.imagery import image_size, open_raster
from nircolor.imagery.bands.pages import _OPEN_PAGES, PagedDataset, find_pages
from tests.imagery.imagery_samples import noise, save, save_tiff

WAVELENGTHS = (660, 740, 850, 940)


@pytest.fixture(autouse=True)
def _warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def four(tmp_path, *texts, name="a.tif", **options):
    """Four 8-bit pages with these descriptions; returns the path and the array."""
    array = noise(4, 20, 30)
    described = [{270: text} for text in texts] or [{}] * 4
    return save_tiff(tmp_path / name, *zip(array, described, strict=True), **options), array


def find_bands(path):
    """What is known of the pages."""
    with rasterio.Env():
        dataset = PagedDataset(path, path, find_pages(path, path))
        try:
            return dataset.known_bands(None)
        finally:
            dataset.close()


def check_bands(path, array, *, wavelengths=WAVELENGTHS, **options):
    with open_raster(path, **options) as raster:
        assert raster.wavelengths_nm == wavelengths
        np.testing.assert_allclose(raster.read()[0], array / 255, atol=1e-7)
        part, valid = raster.read((3, 9, 5, 11), bands=[1, 0])
        np.testing.assert_allclose(part, array[[1, 0], 3:9, 5:11] / 255, atol=1e-7)
        assert valid.all()


# --- pages that are bands


@pytest.mark.parametrize("order", ["<", ">"])
def test_pages_that_state_wavelengths_are_bands(tmp_path, order):
    path, array = four(tmp_path, *(f"{nm}nm" for nm in WAVELENGTHS), order=order)
    check_bands(path, array)


@pytest.mark.parametrize(
    ("texts", "nm"),
    [
        (("B04", "B06", "B08", "B09"), (665, 740, 842, 945)),
        (("Red", "Red Edge", "NIR", "NIR 940 nm"), (None, None, None, 940)),
    ],
)
def test_pages_with_names_are_bands(tmp_path, texts, nm):
    path, array = four(tmp_path, *texts)
    with open_raster(path) as raster:
        assert raster.wavelengths_nm == nm
        assert raster.names == texts
        np.testing.assert_allclose(raster.read()[0], array / 255, atol=1e-7)


def test_wavelengths_in_page_names_and_xmp(tmp_path):
    array = noise(2, 20, 30)
    xmp = b'<x><r Camera:BandName="NIR" Camera:CentralWavelength="840"/></x>'
    path = save_tiff(tmp_path / "a.tif", (array[0], {285: "660 nm"}), (array[1], {700: xmp}))
    check_bands(path, array, wavelengths=(660, 840))
    first, second = find_bands(path)
    assert (first.source, second.source) == ("name of the band", "XMP")


def test_the_user_names_the_pages(tmp_path):
    path, array = four(tmp_path)
    check_bands(path, array, bands_nm=WAVELENGTHS)
    check_bands(path, array, bands_nm={850: 3}, wavelengths=(None, None, 850, None))
    with open_raster(path, bands_nm={"nir": 3}) as raster:
        np.testing.assert_allclose(raster.read()[0], array[2:3] / 255, atol=1e-7)
    with pytest.raises(NircolorError, match="2 wavelengths were given, but the image has 4 bands"):
        open_raster(path, bands_nm=[850, 940])
    with pytest.raises(NircolorError, match="band 5 was given"):
        open_raster(path, bands_nm={"nir": 5})


def test_names_of_the_path_are_no_part_of_gdals_syntax(tmp_path):
    folder = tmp_path / "GTIFF_DIR:1:x, a?b#c"
    folder.mkdir()
    path, array = four(folder, name="off:8:é 1.tif")
    check_bands(path, array, bands_nm=WAVELENGTHS)


@pytest.mark.parametrize("bigtiff", ["NO", "YES"])
def test_pages_that_gdal_writes(tmp_path, bigtiff):
    array = noise(2, 20, 30, "uint16")
    path = tmp_path / "a.tif"
    for i, nm in enumerate((660, 850)):
        save(
            path, array[i : i + 1], append_subdataset=i > 0, bigtiff=bigtiff, crs="EPSG:32632", nodata=7,
            setup=lambda dataset, nm=nm: dataset.update_tags(1, wavelength=str(nm)),
        )  # fmt: skip
    with open_raster(path, scale=65535) as raster:
        assert raster.wavelengths_nm == (660, 850)
        assert (raster.crs.to_epsg(), raster.nodata) == (32632, 7)
        np.testing.assert_allclose(raster.read()[0], array / 65535, atol=1e-6)


def test_nodata_alpha_and_masks_of_pages(tmp_path):
    array = noise(2, 20, 30, "float32")
    array[1, 3, 4] = np.nan
    path = save_tiff(
        tmp_path / "a.tif",
        *((page, {339: 3, 270: f"{nm} nm"}) for page, nm in zip(array, (740, 850), strict=True)),
    )
    with open_raster(path, scale=1) as raster:
        assert raster.may_have_invalid
        assert (~raster.read()[1]).sum() == 1
        assert raster.read(bands=[0])[1].all()


def test_pages_of_several_samples(tmp_path):
    rgb, nir = np.moveaxis(noise(3, 20, 30), 0, 2), noise(1, 20, 30)[0]
    path = save_tiff(tmp_path / "a.tif", (rgb, {}), (nir, {}))
    with open_raster(path, bands_nm={"nir": 4}) as raster:
        np.testing.assert_allclose(raster.read()[0], nir[None] / 255, atol=1e-7)
    with pytest.raises(NircolorError, match=r"got 2 pages of 30 x 20 pixels; .* each of the 4"):
        open_raster(path)


def test_few_pages_stay_open(tmp_path):
    array = noise(3 * _OPEN_PAGES, 4, 5)
    path = save_tiff(tmp_path / "a.tif", *((page, {270: f"{700 + i} nm"}) for i, page in enumerate(array)))
    with open_raster(path) as raster:
        opened = raster._stored._dataset._opened
        for bands in (range(len(array)), [40, 3, 20], range(len(array) - 1, -1, -1)):
            np.testing.assert_allclose(raster.read(bands=bands)[0], array[list(bands)] / 255, atol=1e-7)
            assert len(opened) <= _OPEN_PAGES
    assert not opened


# --- pages that may be something else


@pytest.mark.parametrize(
    "texts", [(), ("slice 1", "slice 2", "slice 3", "slice 4"), ("NIR", "", "660nm", "x")]
)
def test_pages_that_nothing_names_are_refused(tmp_path, texts):
    path, _ = four(tmp_path, *texts)
    with pytest.raises(NircolorError) as caught:
        open_raster(path)
    line = str(caught.value)
    assert line.startswith(
        f"{path}: expected one image or bands with wavelengths, got 4 pages of 30 x 20 pixels"
    )
    assert "--bands 780,850,…" in line
    assert "--bands nir=1" in line
    assert image_size(path) == (20, 30)


def test_pages_of_several_types_are_refused(tmp_path):
    path = save_tiff(tmp_path / "a.tif", (noise(1, 9, 9)[0], {}), (noise(1, 9, 9, "uint16")[0], {}))
    with pytest.raises(NircolorError, match="pages of one type, got uint8 and uint16"):
        open_raster(path, bands_nm=[850, 940])


def test_pages_that_claim_thousands_of_bands_are_refused_at_once(tmp_path):
    array = noise(1, 9, 9)[0]
    path = save_tiff(tmp_path / "a.tif", (array, {277: 60_000}), (array, {}))
    start = time.process_time()
    with pytest.raises(NircolorError, match="at most 4096 bands"):
        open_raster(path)
    assert time.process_time() - start < 5


# --- previews


@pytest.mark.parametrize("marked", [True, False])
@pytest.mark.parametrize("preview_first", [True, False])
def test_a_preview_is_left_out(tmp_path, marked, preview_first):
    image, preview = noise(1, 60, 80)[0], noise(1, 15, 20)[0]
    pages = [(preview, {254: 1} if marked else {}), (image, {})]
    path = save_tiff(tmp_path / "a.tif", *(pages if preview_first else pages[::-1]))
    with open_raster(path) as raster:
        np.testing.assert_allclose(raster.read()[0], image[None] / 255, atol=1e-7)
    assert image_size(path) == (60, 80)


def test_the_full_image_below_a_preview(tmp_path):
    image, preview = noise(1, 60, 80)[0], noise(1, 15, 20)[0]
    tags = {254: 0, 274: 3}
    path = save_tiff(tmp_path / "a.tif", (preview, {254: 1}), sub_pages=((image, tags),))
    with open_raster(path) as raster:
        np.testing.assert_allclose(raster.read()[0], image[None, ::-1, ::-1] / 255, atol=1e-7)


def test_bands_with_previews(tmp_path):
    array = noise(2, 60, 80)
    preview = (noise(1, 15, 20)[0], {254: 1})
    path = save_tiff(
        tmp_path / "a.tif", (array[0], {270: "740nm"}), preview, (array[1], {270: "850nm"}), preview
    )
    check_bands(path, array, wavelengths=(740, 850))


def test_a_colour_preview_before_a_gray_image(tmp_path):
    image, preview = noise(1, 60, 80, "uint16")[0], np.moveaxis(noise(3, 15, 20), 0, 2)
    with open_raster(save_tiff(tmp_path / "a.tif", (preview, {254: 1}), (image, {})), scale=65535) as raster:
        assert (raster.bands, raster.dtype) == (1, np.uint16)


def test_overviews_and_masks_are_no_pages(tmp_path):
    array = noise(1, 600, 700)

    def finish(dataset):
        dataset.build_overviews([2, 4])

    path = save(tmp_path / "a.tif", array, setup=finish, tiled=True)
    with open_raster(path) as raster:
        assert (raster.height, raster.width, raster.bands) == (600, 700, 1)


def test_smaller_pages_of_another_shape_are_left_out_with_a_warning(tmp_path):
    image, label = noise(1, 60, 80)[0], noise(1, 30, 30)[0]
    path = save_tiff(tmp_path / "a.tif", (image, {}), (label, {}))
    with pytest.warns(NircolorWarning, match="2 pages, of which those of 30 x 30 pixels are left out"):
        raster = open_raster(path)
    with raster:
        np.testing.assert_allclose(raster.read()[0], image[None] / 255, atol=1e-7)
    path = save_tiff(tmp_path / "b.tif", (label, {}), (image, {}))
    with pytest.raises(NircolorError, match="got 2 pages of 30 x 30, 80 x 60 pixels"):
        open_raster(path)


# --- damaged and hostile files


def test_a_wrong_link_behind_a_single_page_is_ignored(tmp_path):
    array = noise(1, 20, 30)[0]
    path = save_tiff(tmp_path / "a.tif", (array, {}))
    data = bytearray(path.read_bytes())
    data[-4:] = struct.pack("<I", 1 << 30)
    path.write_bytes(data)
    with open_raster(path) as raster:
        np.testing.assert_allclose(raster.read()[0], array[None] / 255, atol=1e-7)


def test_a_file_that_is_cut_off_between_pages_is_damaged(tmp_path):
    path, _ = four(tmp_path, *(f"{nm}nm" for nm in WAVELENGTHS))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 3 // 4 - 60])
    with pytest.raises(NircolorError, match="damaged or cut off"):
        open_raster(path)


def test_pages_in_a_circle_come_once(tmp_path):
    path, array = four(tmp_path, *(f"{nm}nm" for nm in WAVELENGTHS))
    data = bytearray(path.read_bytes())
    data[-4:] = data[4:8]
    path.write_bytes(data)
    check_bands(path, array)


def test_sub_pages_in_the_header_of_the_file(tmp_path):
    array = noise(1, 20, 30)[0]
    for value in ([0, 8, 1 << 31], b"\x08\x08\x08", [8] * 5000):
        with open_raster(save_tiff(tmp_path / "a.tif", (array, {330: value}))) as raster:
            np.testing.assert_allclose(raster.read()[0], array[None] / 255, atol=1e-7)
