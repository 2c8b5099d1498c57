"""Names of bands: wavelengths in texts, roles, and band names of known sensors."""

import time

import pytest

from nircolor.imagery.bands.sensors import (
    is_plain,
    role_of,
    sensor_wavelengths,
    wavelength_in,
    wavelengths_in,
)


@pytest.mark.parametrize(
    ("text", "nm"),
    [
        ("850nm", 850), ("NIR (850 Nanometers)", 850), ("0.85 um", 850), ("0.85 µm", 850), ("0.85μm", 850),
        ("8500 Å", 850), ("8500 Angstroms", 850), ("band 3: 850.5 nanometers", 850.5),
        ("wavelength=850.00 Nanometers", 850), ("B8, central wavelength 842 nm", 842),
        ("Band 8 - 842 nm", 842), ("NIR_850nm", 850), ("c:1/4 - NIR 850", 850), ("NIR850", 850),
        ("770-810 nm", 790), ("780nm - 900nm", 840), ("0.77 to 0.89 um", 830),
        ("850(+/-26)nm", 850), ("840 nm ± 20 nm", 840), ("850nm (40nm)", 850), ("10.9 microns", 10900),
    ],
)  # fmt: skip
def test_a_wavelength_in_a_text(text, nm):
    assert wavelength_in(text) == nm


@pytest.mark.parametrize(
    "text",
    [
        None, "", "850", "Band_850", "NIR", "NDVI 2020", "NIR 2020", "red 850", "560 nm and 850 nm", "40 nm",
        "720 nm long pass", ">850 nm", "IR cut 650 nm", "850LP", "FWHM 300 nm", "325 nm/pixel", "850 ms",
        "850 mm", "R660", "850 nmol", "9" * 400 + " nm",
    ],
)  # fmt: skip
def test_a_text_without_the_centre_of_a_band(text):
    assert wavelength_in(text) is None


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("nir", "nir"), ("NIR", "nir"), ("Near Infrared", "nir"),
        ("near-infrared (NIR)", "nir"),
        ("NIR2", "nir"),        ("nir08", "nir"), ("NearInfraRed", "nir"), ("Near Infra-Red", "nir"),
        ("reflectance_nir", "nir"),
        ("Band 4 - NIR", "nir"), ("Red", "red"), ("Green_i", "green"), ("RedEdge", "red edge"),
        ("Vegetation red edge 1", "red edge"), ("RE", "red edge"), ("Coastal Aerosol", "coastal"),
        ("SWIR1", "swir"), ("LWIR", "thermal"), ("Pan", "pan"),
        (None, None), ("", None), ("NIR/Red", None), ("Infrared", None), ("Band 1", None), ("Alfred", None),
    ],
)  # fmt: skip
def test_the_role_of_a_name(name, role):
    assert role_of(name) == role


def test_free_text_is_no_name():
    assert all(
        is_plain(text) for text in ("850nm", "NIR", "Channel 3, 850 nm", "Green", "Camera 2: Red Edge")
    )
    assert not any(is_plain(text) for text in ("Red River", "", "850", "Green Lake at dawn", "sample 850 nm"))


@pytest.mark.parametrize(
    ("names", "product", "nm"),
    [
        (["B07", "B08", "B09"], "", [783, 842, 945]),
        (["B08"], "b08.tif", [842]),
        (["B4", "B8", "B8A", "SCL"], "", [665, 842, 865, None]),
        (["B02", "B8A", "B12"], "", [490, 865, 2190]),
        (["B08_10m", "B8A_20m"], "", [842, 865]),
        (["B4", "B8"], "COPERNICUS/S2_SR", [665, 842]),
        (["B04", "B05"], "S2A_MSIL2A_20200701T101559_stack.tif", [665, 705]),
        (["B04", "B05"], "HLS.L30.T10SEG.2020001.v2.0.tif", [655, 865]),
        (["SR_B4", "SR_B5", "SR_B6"], "", [655, 865, 1609]),
        (["B4", "B5"], "LANDSAT_8", [655, 865]),
        (["B3", "B4"], "LANDSAT_5", [660, 835]),
        (["SR_B4"], "LE07_L2SP_193027_20020701_02_T1.tif", [835]),
        # either of several sensors, or of none
        (["B4", "B5"], "", [None, None]),
        (["B04", "B05"], "", [None, None]),
        (["SR_B4", "SR_B5"], "", [None, None]),
        (["B08"], "HLS of Landsat 8 and Sentinel-2", [None]),
        ([f"Band {i}" for i in range(1, 15)], "", [None] * 14),
        ([f"B{i:02}" for i in range(1, 99)], "", [None] * 98),
        (["8", "12"], "", [None, None]),
        # eight bands of PlanetScope; its four bands are of two generations
        (
            ["coastal_blue", "blue", "green_i", "green", "yellow", "red", "rededge", "nir"],
            "",
            [443, 490, 531, 565, 610, 665, 705, 865],
        ),
        (["blue", "green", "red", "nir"], "PSScene", [None] * 4),
        (["Blue", "Green", "Red", "NIR", "Red edge"], "MicaSense RedEdge-M", [475, 560, 668, 840, 717]),
        (["Blue", "Green", "Red", "NIR", "Red edge", "LWIR"], "Altum", [475, 560, 668, 842, 717, None]),
        (["Green", "Red", "RedEdge", "NIR"], "Parrot Sequoia", [550, 660, 735, 790]),
        (["Green", "Red", "RedEdge", "NIR"], "DJI Mavic 3M", [560, 650, 730, 860]),
        (["NIR"], "DJI FC6360", [840]),
        (["NIR", "NIR 2"], "DJI FC6360", [None, None]),
        (["NIR"], "DJI", [None]),
    ],
)
def test_bands_of_known_sensors(names, product, nm):
    assert list(sensor_wavelengths(names, product)) == nm


@pytest.mark.parametrize(
    "text", ["1" + " " * 100_000, "near " * 50_000, "1 - " * 50_000, "b08" + " " * 100_000]
)
def test_long_texts_take_no_time(text):
    start = time.process_time()
    assert (role_of(text), wavelength_in(text), is_plain(text)) == (None, None, False)
    assert sensor_wavelengths([text], text) == (None,) or text.startswith("b08")
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    ("name", "nm"),
    [
        ("band_945_nm", 945), ("Band 1 (945.0)", 945), ("945,0 nm", 945), ("0,945 µm", 945),
        ("945 nm (FWHM 20 nm)", 945), ("945 nm, 20 nm FWHM", 945), ("945 nm (bandwidth: 20 nm)", 945),
        ("9.45e2 nm", 945), ("NIR_945", 945), ("Band 945", None), ("FWHM 945 nm", None),
        ("Band 1 (2 of 945)", None),
    ],
)  # fmt: skip
def test_more_ways_to_write_a_wavelength(name, nm):
    assert wavelength_in(name) == nm


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["945", "842", "783"], [945, 842, 783]),
        (["R945", "R842.5"], [945, 842.5]),
        (["945"], [945]),
        (["2021", "2022"], [None, None]),
        (["400", "401", "402"], [None] * 3),
        (["945", "x"], [None, None]),
        (["1", "2"], [None, None]),
    ],
)
def test_numbers_alone_are_wavelengths_where_they_can_be_nothing_else(names, expected):
    assert wavelengths_in(names) == expected
