"""Wavelengths and names of bands from the metadata of files, and the alpha channels that are none."""

import re
import struct

import numpy as np
import pytest
from rasterio.enums import ColorInterp

from nircolor.errors import NircolorError
from nircolor.imagery import open_raster
from nircolor.imagery.bands.band_info import from_tags
from nircolor.modelfile import match_bands
from tests.imagery.imagery_samples import noise, png_bytes, save, save_envi, save_tiff
from tests.tiny_models import BROAD, THREE

XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><r Camera:BandName="{}" Camera:CentralWavelength="{}"/></x:xmpmeta>'
)


def tagged(path, bands=1, *, descriptions=None, band_tags=None, xmp=None, imagery=None, colours=None, **tags):
    """Write a 16-bit TIFF of noise with these metadata."""
    if xmp:
        array = np.moveaxis(noise(bands, 12, 12, "uint16"), 0, 2)
        return save_tiff(path, (array, {262: 1, 700: xmp.encode(), **({270: tags["text"]} if tags else {})}))

    def setup(dataset):
        if descriptions:
            dataset.descriptions = descriptions
        for i, values in enumerate(band_tags or (), 1):
            dataset.update_tags(i, **values)
        for i, value in enumerate(imagery or (), 1):
            dataset.update_tags(i, ns="IMAGERY", CENTRAL_WAVELENGTH_UM=value)
        if colours:
            dataset.colorinterp = colours
        dataset.update_tags(**tags)

    return save(path, noise(bands, 12, 12, "uint16"), setup=setup, photometric="MINISBLACK")


@pytest.mark.parametrize(
    ("metadata", "nm"),
    [
        ({"descriptions": ("Red (660 Nanometers)", "NIR (850 Nanometers)")}, (660, 850)),
        ({"descriptions": ("560nm", "0.85 um")}, (560, 850)),
        ({"descriptions": ("B08", "B8A")}, (842, 865)),
        ({"descriptions": ("B4", "B5"), "SPACECRAFT_ID": "LANDSAT_8"}, (655, 865)),
        ({"band_tags": [{"wavelength": "660"}, {"wavelength": "0.85"}]}, (660, 850)),
        ({"band_tags": [{"center_wavelength": "0.66"}, {"center_wavelength": "0.85"}]}, (660, 850)),
        ({"band_tags": [{"CentralWavelength": "660 nm"}, {"eo_center_wavelength": "0.85"}]}, (660, 850)),
        ({"band_tags": [{"wavelength_nm": "660"}, {"wavelength_um": "0.85"}]}, (660, 850)),
        (
            {"band_tags": [{"WavelengthMin": "650", "WavelengthMax": "670"}, {"min_wavelength": "0.8",
             "max_wavelength": "0.9"}]},
            (660, 850),
        ),
        ({"band_tags": [{"bandname": "Red 660 nm"}, {"common_name": "nir"}]}, (660, None)),
        ({"wavelength": "{660, 850}", "wavelength_units": "Nanometers"}, (660, 850)),
        ({"wavelengths": "[0.66, 0.85]"}, (660, 850)),
        ({"Band_1": "660.0 Nanometers", "Band_2": "850.0 Nanometers"}, (660, 850)),
        ({"imagery": ("0.660", "0.850")}, (660, 850)),
        ({"wavelengths": "660 850"}, (660, 850)),
        ({"wavelengths": "660 nm; 850 nm"}, (660, 850)),
        ({"band_tags": [{"eo:center_wavelength": "0.66"}, {"eo:common_name": "nir"}]}, (660, None)),
        ({"band_tags": [{"wavelength_min_nm": "650", "wavelength_max_nm": "670"}]}, (660, None)),
        # a sensor is known from descriptions, whatever else names the bands; what the file states is better
        ({"descriptions": ("B08", "B8A"), "band_tags": [{"common_name": "nir"}] * 2}, (842, 865)),
        ({"descriptions": ("B08", "B8A"), "imagery": ("0.833", "0.864")}, (833, 864)),
        # a number of other bands, or none
        ({"wavelength": "{660, 850, 940}"}, (None, None)),
        ({"WavelengthMin": "400", "WavelengthMax": "900"}, (None, None)),
        ({"TIFFTAG_IMAGEDESCRIPTION": "850nm"}, (None, None)),
        ({"descriptions": ("B4", "B5")}, (None, None)),
    ],
)  # fmt: skip
def test_wavelengths_of_two_bands(tmp_path, metadata, nm):
    with open_raster(tagged(tmp_path / "a.tif", 2, **metadata), scale=65535) as raster:
        assert raster.wavelengths_nm == nm


@pytest.mark.parametrize(
    ("metadata", "nm", "name"),
    [
        ({"xmp": XMP.format("Green", 560)}, 560, "Green"),
        ({"xmp": XMP.format("NIR", "")}, None, "NIR"),
        ({"xmp": "<a><drone-dji:BandFreq>860(+/-26)nm</drone-dji:BandFreq></a>"}, 860, None),
        ({"xmp": '<a tiff:Make="MicaSense" tiff:Model="RedEdge-M" Camera:BandName="NIR"/>'}, 840, "NIR"),
        ({"TIFFTAG_IMAGEDESCRIPTION": "850nm"}, 850, "850nm"),
        ({"TIFFTAG_IMAGEDESCRIPTION": "Green"}, None, "Green"),
        ({"TIFFTAG_IMAGEDESCRIPTION": "Red River, 850 nm"}, None, None),
        ({"center_wavelength": "0.842"}, 842, None),
        ({"CENTRAL_WAVELENGTH_UM": "0.842"}, 842, None),
        ({"WavelengthMin": "780", "WavelengthMax": "900"}, 840, None),
        ({"colours": [ColorInterp.nir]}, None, "NIR"),
        # the more exact of two
        ({"xmp": XMP.format("NIR", 842), "text": "NIR 850 nm"}, 842, "NIR"),
    ],
)
def test_the_wavelength_of_one_band(tmp_path, metadata, nm, name):
    with open_raster(tagged(tmp_path / "a.tif", **metadata), scale=65535) as raster:
        assert (raster.wavelengths_nm, raster.names) == ((nm,), (name,))


def test_the_name_of_the_file_names_no_band(tmp_path):
    for name in ("IMG_0000_2.tif", "flight_GRE.TIF", "shot_NIR.tif", "B08.tif", "a_560nm.tif"):
        with open_raster(tagged(tmp_path / name), scale=65535) as raster:
            assert (raster.wavelengths_nm, raster.names) == ((None,), (None,))


@pytest.mark.parametrize(
    ("file", "nm", "name"),
    [
        ("LC09_L2SP_193027_20220701_20220703_02_T1_SR_B5.TIF", 865, "SR_B5"),
        ("LC08_L1TP_193027_20220701_20220703_02_RT_B4.tif", 655, "B4"),
        ("LT05_L2SP_193027_19980701_20200703_02_T1_SR_B4.TIF", 835, "SR_B4"),
        ("T32TMT_20220701T102041_B08_10m.tif", 842, "B08"),
        ("T32TMT_20220701T102041_B8A.tif", 865, "B8A"),
        ("HLS.L30.T10SEH.2020001T185749.v2.0.B05.tif", 865, "B05"),
        ("HLS.S30.T10SEH.2020001T185749.v2.0.B08.tif", 842, "B08"),
    ],
)
def test_the_name_of_a_file_of_a_satellite_product_names_its_band(tmp_path, file, nm, name):
    with open_raster(tagged(tmp_path / file), scale=65535) as raster:
        assert (raster.wavelengths_nm, raster.names) == ((nm,), (name,))
        assert raster.wavelength_sources == ("name of the file",)
    # what the file says itself counts first, and a file of several bands is not one of the product
    with open_raster(tagged(tmp_path / file, descriptions=["NIR 850 nm"]), scale=65535) as raster:
        assert raster.wavelengths_nm == (850,)
    with open_raster(tagged(tmp_path / file, 2), scale=65535) as raster:
        assert raster.wavelengths_nm == (None, None)


def test_bands_of_a_satellite_product_that_are_no_light_are_refused(tmp_path):
    for name in ("ST_B10", "QA_PIXEL"):
        path = tagged(tmp_path / f"LC09_L2SP_193027_20220701_20220703_02_T1_{name}.TIF")
        with open_raster(path, scale=65535) as raster, pytest.raises(NircolorError, match=name):
            match_bands(BROAD, raster.wavelengths_nm, "a", "scene", raster.names)


def test_xmp_of_several_bands(tmp_path):
    lists = ("<rdf:Seq>" + "".join(f"<rdf:li>{x}</rdf:li>" for x in values) + "</rdf:Seq>" for values in (
        ("Red", "Green", "NIR"), (660, 550, 850)))  # fmt: skip
    xmp = "<a><C:BandName>{}</C:BandName><C:CentralWavelength>{}</C:CentralWavelength></a>".format(*lists)
    with open_raster(tagged(tmp_path / "a.tif", 3, xmp=xmp), scale=65535) as raster:
        assert raster.wavelengths_nm == (660, 550, 850)
        assert raster.names == ("Red", "Green", "NIR")
    with open_raster(tagged(tmp_path / "b.tif", 2, xmp=xmp), scale=65535) as raster:
        assert raster.wavelengths_nm == (None, None)


def test_units_that_cannot_be_right_are_corrected():
    assert from_tags({"wavelength": "0.85", "wavelengthunits": "Nanometers"}) == 850
    assert from_tags({"wavelength": "850", "wavelengthunits": "Micrometers"}) == 850
    assert from_tags({"wavelength": "8500", "wavelengthunits": "Angstroms"}) == 850
    assert from_tags({"wavelength": "12", "wavelengthunits": "Index"}) is None
    assert from_tags({"wavelength": "50"}) is None


def test_the_user_overrides_the_file(tmp_path):
    path = tagged(tmp_path / "a.tif", xmp=XMP.format("Green", 560))
    with open_raster(path, bands_nm=[850], scale=65535) as raster:
        assert raster.wavelengths_nm == (850,)
    with open_raster(path, bands_nm={"nir": 1}, scale=65535) as raster:
        assert raster.wavelengths_nm == (None,)
        match_bands(BROAD, raster.wavelengths_nm, "a", "scene", raster.names)


@pytest.mark.parametrize("unit", ["Index", "Unknown", "Wavenumber"])
def test_band_numbers_in_an_envi_header_are_no_wavelengths(tmp_path, unit):
    header = save_envi(tmp_path, noise(3, 4, 4), wavelength="{1, 2, 3}", wavelength_units=unit)
    with open_raster(header) as raster:
        assert raster.wavelengths_nm == (None, None, None)


def test_the_sensor_in_an_envi_header(tmp_path):
    header = save_envi(tmp_path, noise(2, 4, 4), band_names="{B4, B5}", sensor_type="Landsat-8 OLI")
    with open_raster(header) as raster:
        assert raster.wavelengths_nm == (655, 865)


def test_bad_bands_have_no_name(tmp_path):
    header = save_envi(
        tmp_path, noise(2, 4, 4), wavelength="{800, 900}", band_names="{NIR, NIR}", bbl="{0, 1}"
    )
    with open_raster(header) as raster:
        assert raster.wavelengths_nm == (None, 900)
        assert match_bands(BROAD, raster.wavelengths_nm, "a", "scene", raster.names).tolist() == [[0, 1]]


# --- a fourth band that is no alpha channel


def matched(raster, bands=BROAD):
    return match_bands(bands, raster.wavelengths_nm, "a.tif", "model scene", raster.names)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_near_infrared_that_is_called_alpha_is_data(tmp_path, dtype):
    array = noise(4, 40, 50, dtype)
    path = save(
        tmp_path / "a.tif", array, photometric="RGB", alpha="UNSPECIFIED" if dtype != "uint8" else "YES"
    )
    with open_raster(path, scale=1 if dtype == "float32" else np.iinfo(dtype).max) as raster:
        assert (raster.bands, raster.has_alpha, raster.is_colour_photograph) == (4, False, False)
        with pytest.raises(NircolorError) as caught:
            matched(raster)
    assert "--bands nir=4" in str(caught.value)
    assert "--bands 660,560,480,842" in str(caught.value)


@pytest.mark.parametrize(("dtype", "opaque"), [("uint8", 255), ("uint16", 65535), ("uint16", 4095)])
@pytest.mark.parametrize("bands", [2, 4])
def test_alpha_that_looks_like_alpha_is_believed(tmp_path, dtype, opaque, bands):
    array = noise(bands, 60, 50, dtype)
    array[-1] = opaque
    array[-1, :9] = 0
    array[-1, 9] = opaque // 2  # a soft edge
    path = save(tmp_path / "a.tif", array, alpha="YES", photometric="RGB" if bands == 4 else "MINISBLACK")
    with pytest.warns() if bands == 4 else _nothing(), open_raster(path, scale=65535) as raster:
        assert (raster.bands, raster.has_alpha) == (bands - 1, True)
        assert raster.read()[1].mean() == 51 / 60


def test_two_bands_of_which_the_second_is_called_alpha(tmp_path):
    path = save(tmp_path / "a.tif", noise(2, 40, 50), alpha="YES", photometric="MINISBLACK")
    with open_raster(path) as raster:
        assert (raster.bands, raster.has_alpha) == (2, False)
    with open_raster(path, bands_nm=[850]) as raster:  # one wavelength: the other band has none
        assert (raster.bands, raster.has_alpha) == (1, True)


def test_alpha_of_a_large_image_is_sampled(tmp_path):
    array = np.full((2, 1300, 1100), 255, np.uint8)
    array[1, :, :20] = 0
    with open_raster(save(tmp_path / "a.tif", array, alpha="YES", photometric="MINISBLACK")) as raster:
        assert raster.has_alpha
    array[1] = noise(1, 1300, 1100)[0]
    with open_raster(save(tmp_path / "b.tif", array, alpha="YES", photometric="MINISBLACK")) as raster:
        assert not raster.has_alpha


def test_alpha_of_png_is_always_alpha(tmp_path):
    array = np.repeat(noise(1, 40, 50), 2, axis=0)
    with open_raster(save(tmp_path / "a.png", array, "PNG")) as raster:
        assert raster.has_alpha


def test_four_bands_that_claim_to_be_for_print(tmp_path):
    path = save(tmp_path / "a.tif", noise(4, 20, 20, "uint16"), photometric="CMYK")
    with pytest.raises(NircolorError, match=r"CMYK .* --bands"):
        open_raster(path)
    with open_raster(path, bands_nm=[660, 560, 480, 842]) as raster:
        assert matched(raster).tolist() == [[0, 0, 0, 1]]
    with open_raster(path, bands_nm={"nir": 4}) as raster:
        assert raster.bands == 1
    path = save(tmp_path / "b.tif", noise(4, 20, 20), photometric="CMYK")
    for bands in ({"nir": 4}, [660, 560, 480, 842]):
        with pytest.raises(NircolorError, match="got CMYK"):  # converted to colours when it is read
            open_raster(path, bands_nm=bands)


def test_a_near_infrared_band_among_colours(tmp_path):
    def setup(dataset):
        dataset.descriptions = ("Red", "Green", "NIR")

    path = save(tmp_path / "a.tif", noise(3, 20, 20), setup=setup)
    with open_raster(path) as raster:
        assert not raster.is_colour_photograph
        assert matched(raster).tolist() == [[0, 0, 1]]


def test_the_letters_of_naip(tmp_path):
    def setup(dataset):
        dataset.descriptions = ("R", "G", "B", "N")

    array = noise(4, 20, 20)
    with open_raster(save(tmp_path / "a.tif", array, setup=setup)) as raster:
        assert raster.names == ("R (red)", "G (green)", "B (blue)", "N (NIR)")
        assert matched(raster).tolist() == [[0, 0, 0, 1]]


def test_a_title_names_no_band(tmp_path):
    path = save(
        tmp_path / "a.png", noise(1, 20, 20), "PNG", setup=lambda file: file.update_tags(Title="Blue")
    )
    with open_raster(path) as raster:
        assert raster.names == (None,)


def test_a_band_that_gdal_calls_near_infrared(tmp_path):
    colours = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.nir]
    path = tagged(tmp_path / "a.tif", 4, colours=colours)
    with open_raster(path, scale=65535) as raster:
        assert matched(raster).tolist() == [[0, 0, 0, 1]]
        with pytest.raises(NircolorError, match=r"\(red, green, blue, NIR\)"):
            matched(raster, THREE)


def _nothing():
    from contextlib import nullcontext

    return nullcontext()


def test_xmp_of_jpeg_and_png(tmp_path):
    xmp = XMP.format("NIR", 850).encode()
    jpeg = save(tmp_path / "a.jpg", noise(1, 16, 16), "JPEG").read_bytes()
    block = b"http://ns.adobe.com/xap/1.0/\0" + xmp
    (tmp_path / "a.jpg").write_bytes(
        jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + jpeg[2:]
    )
    chunk = b"XML:com.adobe.xmp\0\0\0\0\0" + xmp
    (tmp_path / "a.png").write_bytes(png_bytes([bytes([7, 8, 9])], 3, 8, 0, (b"iTXt", chunk)))
    for name in ("a.jpg", "a.png"):
        with open_raster(tmp_path / name) as raster:
            assert (raster.wavelengths_nm, raster.names) == ((850,), ("NIR",))


def test_the_wavelength_of_a_camera_is_not_that_of_alpha(tmp_path):
    chunk = b"XML:com.adobe.xmp\0\0\0\0\0" + XMP.format("NIR", 850).encode()
    path = tmp_path / "a.png"
    path.write_bytes(png_bytes([bytes([7, 255, 8, 0])], 2, 8, 4, (b"iTXt", chunk)))
    with open_raster(path) as raster:
        assert (raster.wavelengths_nm, raster.has_alpha) == ((850,), True)


def test_a_palette_of_colours_has_no_bands_to_name(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png_bytes([bytes([0, 1])], 2, 8, 3, (b"PLTE", bytes([10, 20, 30, 40, 50, 60]))))
    with pytest.raises(NircolorError, match="got a palette of colours"):
        open_raster(path, bands_nm={"nir": 1})
    path.write_bytes(png_bytes([bytes([0, 1])], 2, 8, 3, (b"PLTE", bytes([10, 10, 10, 40, 40, 40]))))
    with open_raster(path, bands_nm={"nir": 1}) as raster:
        np.testing.assert_allclose(raster.read()[0][0, 0] * 255, [10, 40], atol=1e-4)


def test_gray_in_three_channels_of_one_wavelength(tmp_path):
    gray = np.repeat(noise(1, 16, 16), 3, axis=0)
    xmp = XMP.format("NIR", 850).encode()
    path = save_tiff(tmp_path / "a.tif", (np.moveaxis(gray, 0, 2), {700: xmp}))
    with open_raster(path) as raster:
        mixture = match_bands(BROAD, raster.wavelengths_nm, "a", "scene", raster.names)
        np.testing.assert_allclose(np.tensordot(mixture, raster.read()[0], 1)[0], gray[0] / 255, atol=1e-6)


def test_a_unit_of_temperature_or_the_name_of_the_file_tells_the_band(tmp_path):
    def set_unit(dataset):
        dataset.units, dataset.scales = ("K",), (0.1,)

    hot = save(tmp_path / "hot.tif", noise(1, 8, 8, "uint16"), setup=set_unit)
    green = save(
        tmp_path / "green.tif", noise(1, 8, 8), setup=lambda file: file.update_tags(BandName="Green")
    )
    for path, name in ((hot, "thermal (unit K)"), (green, "Green")):
        with open_raster(path, scale=100) as raster:
            assert raster.names == (name,)
            with pytest.raises(NircolorError, match=re.escape(name)):
                match_bands(BROAD, raster.wavelengths_nm, "a", "model a", raster.names)
        with open_raster(path, scale=100, bands_nm=[850]) as raster:
            match_bands(BROAD, raster.wavelengths_nm, "a", "model a", raster.names)


@pytest.mark.parametrize(
    ("unit", "value", "nm"),
    [("Wavenumber", 5000, 2000), ("cm-1", 12500, 800), ("GHz", 352697.0, 850.0), ("Index", 560, None)],
)
def test_wave_numbers_and_frequencies(tmp_path, unit, value, nm):
    path = save_envi(tmp_path, noise(1, 8, 8), wavelength=f"{{{value}}}", wavelength_units=unit)
    with open_raster(path) as raster:
        assert raster.wavelengths_nm == (None if nm is None else pytest.approx(nm, abs=0.01),)


def test_another_number_of_wavelengths_than_bands(tmp_path):
    path = save_envi(tmp_path, noise(1, 8, 8), wavelength="{850, 860}")
    with pytest.raises(NircolorError, match=r"got 2 for 1 band; name them with --bands$"):
        open_raster(path)
    with open_raster(path, bands_nm=[850]) as raster:
        assert raster.wavelengths_nm == (850,)


@pytest.mark.parametrize("text", ["0", "abc", "-1"])
def test_a_reflectance_scale_that_is_none(tmp_path, text):
    path = save_envi(tmp_path, noise(1, 8, 8), reflectance_scale_factor=text)
    with pytest.raises(NircolorError, match=r"expected a reflectance scale factor above 0 .* --scale$"):
        open_raster(path)
    open_raster(path, scale=255).close()
