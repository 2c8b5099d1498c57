"""Camera raw files, as DNGs in their real layout, that LibRaw develops."""

import re
import sys
import warnings

import numpy as np
import pytest

from nircolor import extras
from nircolor.errors import ColourPhotographError, NircolorError, NircolorWarning
from nircolor.imagery import encode_srgb, image_size, open_raster
from nircolor.imagery.files import camera_raw
from tests.imagery.camera_raw_samples import (
    BGGR,
    BLACK,
    RGGB,
    WHITE,
    X_TRANS,
    cr3_bytes,
    mosaic,
    raf_bytes,
    save_dng,
    value,
)
from tests.imagery.imagery_samples import noise, save

rawpy = pytest.importorskip("rawpy", reason="the extra raw")

H, W = 48, 64


def smooth(*levels: float, height: int = H, width: int = W) -> np.ndarray:
    """Return linear colours (channels, h, w): a pattern of waves, of another brightness in each channel."""
    y, x = np.mgrid[:height, :width]
    waves = 0.6 + 0.2 * np.sin(x / 9) + 0.2 * np.cos(y / 7)
    return np.stack([level * waves for level in levels])


def photograph(linear, exposure: float = 0.0) -> np.ndarray:
    """Return what a linear value becomes: brightened such that 0.127 is 0.18, and encoded by sRGB."""
    gain = 1.5 * 2**exposure
    return encode_srgb(np.asarray(gain * linear / (1 + (gain - 1) * np.asarray(linear)), np.float32))


def read(path, **options):
    """Read an image, and its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", NircolorWarning)
        with open_raster(path, **options) as raster:
            values, valid = raster.read()
            assert valid.all()
            return values, raster, [str(one.message) for one in caught]


def test_metered_gray_is_that_of_a_jpeg():
    assert photograph(0.127)[()] == pytest.approx(encode_srgb(np.float32(0.18))[()], abs=0.003)
    assert photograph(1.0)[()] == pytest.approx(1)


@pytest.mark.parametrize("lossless", [False, True])
@pytest.mark.parametrize("pattern", [RGGB, BGGR])
def test_the_mean_of_a_converted_camera(tmp_path, pattern, lossless):
    """Through a filter for 720 nm, red is brightest: its level is that of the result."""
    colours = smooth(0.5, 0.3, 0.25)
    path = save_dng(tmp_path / "a.dng", mosaic(colours, pattern), pattern=pattern, lossless=lossless)
    values, raster, messages = read(path, converted=True)
    assert (raster.bands, raster.dtype, raster.depth, raster.driver) == (1, np.uint16, 16, "CameraRaw")
    assert messages == []
    np.testing.assert_allclose(values[0, 4:-4, 4:-4], photograph(colours[0])[4:-4, 4:-4], atol=0.006)


def test_near_infrared_is_recognized_and_offered(tmp_path):
    path = save_dng(tmp_path / "a.dng", mosaic(smooth(0.5, 0.3, 0.25)))
    values, raster, messages = read(path)
    assert raster.is_colour_photograph
    assert [re.sub(r".*a\.dng", "", one) for one in messages] == [
        ": looks like the camera raw of a converted camera; --from converted reads the mean of its channels "
        "as near-infrared"
    ]
    # the channels of the sensor at one level, neither its white balance nor its colours of visible light
    for band in values:
        np.testing.assert_allclose(band[4:-4, 4:-4], photograph(smooth(0.5)[0])[4:-4, 4:-4], atol=0.01)
    with pytest.raises(ColourPhotographError):
        open_raster(path, refuse_colour=True)


def test_a_photograph_has_the_colours_of_the_camera(tmp_path):
    """Daylight on an unconverted sensor: red and blue are weak, the white balance makes gray of it."""
    light = np.array([0.5, 1, 0.7])[:, None, None]
    colours = smooth(0.6, 0.4, 0.2)
    path = save_dng(tmp_path / "a.dng", mosaic(colours * light), neutral=tuple(light.ravel()))
    values, raster, messages = read(path)
    assert raster.is_colour_photograph
    assert len(messages) == 1
    assert "looks like a colour photograph, not near-infrared" in messages[0]
    # gray of the sensor, 0.5 in red, is white: twice the level, as in the camera
    np.testing.assert_allclose(values[:, 4:-4, 4:-4], photograph(colours)[:, 4:-4, 4:-4], atol=0.015)


def test_a_named_band_is_a_channel_of_the_sensor(tmp_path):
    colours = smooth(0.5, 0.3, 0.25)
    colours[2] = colours[2, ::-1]
    path = save_dng(tmp_path / "a.dng", mosaic(colours))
    values, raster, messages = read(path, bands_nm={"nir": 3})
    assert (raster.bands, messages) == (1, [])
    level = colours[0].mean() / colours[2].mean()
    np.testing.assert_allclose(values[0, 4:-4, 4:-4], photograph(level * colours[2])[4:-4, 4:-4], atol=0.01)
    with pytest.raises(NircolorError, match="either --from converted or --bands"):
        open_raster(path, bands_nm={"nir": 3}, converted=True)


def test_a_monochrome_sensor_is_one_band(tmp_path):
    gray = smooth(0.8)[0]
    samples = np.rint(BLACK + gray * (WHITE - BLACK)).astype(np.uint16)
    for preview in (True, False):
        path = save_dng(tmp_path / "a.dng", samples, pattern=None, preview=preview)
        for options in ({}, {"converted": True}):
            values, raster, messages = read(path, **options)
            assert (raster.bands, messages) == (1, [])
            np.testing.assert_allclose(values[0], photograph(gray), atol=1e-3)


def test_linear_colours_without_a_mosaic(tmp_path):
    colours = smooth(0.5, 0.3, 0.25)
    samples = np.rint(BLACK + colours * (WHITE - BLACK)).astype(np.uint16).transpose(1, 2, 0)
    values, _, _ = read(save_dng(tmp_path / "a.dng", samples, pattern=None), converted=True)
    np.testing.assert_allclose(values[0], photograph(colours[0]), atol=2e-3)


@pytest.mark.parametrize("side", [96, 600])
def test_the_mosaic_of_fujifilm(tmp_path, side):
    """LibRaw's interpolation has tiles of 512 px."""
    colours = smooth(0.5, 0.3, 0.25, height=side, width=side)
    path = save_dng(tmp_path / "a.dng", mosaic(colours, X_TRANS), pattern=X_TRANS)
    values, _, _ = read(path, converted=True)
    np.testing.assert_allclose(values[0, 8:-8, 8:-8], photograph(colours[0])[8:-8, 8:-8], atol=0.02)


def test_black_levels_of_each_colour(tmp_path):
    colours = smooth(0.4, 0.4, 0.4)
    samples = mosaic(colours).astype(int)
    levels = np.array([[500, 520], [530, 508]])
    samples += np.tile(levels, (H // 2, W // 2)) - BLACK
    path = save_dng(tmp_path / "a.dng", samples.astype(np.uint16), black=tuple(levels.ravel()))
    values, _, _ = read(path, converted=True)
    np.testing.assert_allclose(values[0, 4:-4, 4:-4], photograph(colours[0])[4:-4, 4:-4], atol=0.006)


def test_clipped_and_black_pixels(tmp_path):
    colours = smooth(0.5, 0.3, 0.25, width=160)
    colours[:, :, 120:] *= 10  # clips red everywhere
    samples = mosaic(np.minimum(colours, 1))
    samples[:, :24] = 400  # below the black level
    values, _, _ = read(save_dng(tmp_path / "a.dng", samples), converted=True)
    assert (values[0, :, :20] == 0).all()
    assert values[0, :, 124:].min() > 0.99
    np.testing.assert_allclose(values[0, 4:-4, 28:116], photograph(colours[0])[4:-4, 28:116], atol=0.006)


def test_orientation_and_the_shown_area(tmp_path):
    samples = mosaic(smooth(0.4, 0.4, 0.4))
    samples[:8], samples[:, :4] = BLACK, BLACK
    whole = save_dng(tmp_path / "whole.dng", samples)
    options = {"active": (8, 4, H, W), "crop": (2, 6, 40, 30), "orientation": 6}
    path = save_dng(tmp_path / "a.dng", samples, **options)
    assert image_size(whole) == (H, W)
    assert image_size(path) == (40, 30)
    upright, raster, _ = read(path, converted=True)
    assert raster.orientation == 6
    # clockwise by a quarter; the area begins 6 rows and 2 columns inside of the active one
    expected = np.rot90(read(whole, converted=True)[0][0, 14:44, 6:46], -1)
    np.testing.assert_allclose(upright[0], expected, atol=2e-3)


def test_a_dng_states_how_much_it_is_underexposed(tmp_path):
    colours = smooth(0.2, 0.2, 0.2)
    for exposure in (2.0, -0.5):
        path = save_dng(tmp_path / "a.dng", mosaic(colours), more={50730: value(10, exposure)})
        values, _, _ = read(path, converted=True)
        expected = photograph(colours[0], exposure)
        np.testing.assert_allclose(values[0, 4:-4, 4:-4], expected[4:-4, 4:-4], atol=0.006)


def test_hot_pixels_are_repaired_and_points_of_light_are_not(tmp_path):
    clean = mosaic(smooth(0.1, 0.1, 0.1))
    hot = clean.copy()
    hot[20, 30] = hot[33, 41] = WHITE
    expected, _, _ = read(save_dng(tmp_path / "clean.dng", clean), converted=True)
    values, _, _ = read(save_dng(tmp_path / "hot.dng", hot), converted=True)
    np.testing.assert_allclose(values, expected, atol=0.02)
    hot[18:23, 28:33] = WHITE
    values, _, _ = read(save_dng(tmp_path / "light.dng", hot), converted=True)
    assert values[0, 20, 30] == 1


def test_dark_images_keep_their_brightness(tmp_path):
    """The scale does not depend on the content, nor is black taken for padding."""
    values, raster, messages = read(
        save_dng(tmp_path / "a.dng", mosaic(smooth(0.01, 0.01, 0.01))), converted=True
    )
    assert messages == []
    assert raster.scale_rule == "camera raw, developed like a photograph: the white level maps to 1"
    np.testing.assert_allclose(values[0, 4:-4, 4:-4], photograph(smooth(0.01)[0])[4:-4, 4:-4], atol=0.006)
    black = np.full((H, W), BLACK, np.uint16)
    values, _, messages = read(save_dng(tmp_path / "black.dng", black), converted=True)
    assert (values == 0).all()
    assert messages == []


def test_no_reflectance(tmp_path):
    path = save_dng(tmp_path / "a.dng", mosaic(smooth(0.5, 0.3, 0.25)))
    with pytest.raises(NircolorError, match="expected no --reflectance for camera raw"):
        open_raster(path, scale=10_000, reflectance=True, converted=True)
    with open_raster(path, converted=True) as raster:
        assert raster.values.error("gamma", "model scene") is None
        assert "expected reflectance for model satellite, got camera raw" in raster.values.error(
            "reflectance", "model satellite"
        )


@pytest.mark.parametrize("lossless", [False, True])
@pytest.mark.parametrize("share", [0.1, 0.3, 0.6, 0.99])
def test_files_that_are_cut_off(tmp_path, share, lossless):
    path = save_dng(tmp_path / "a.dng", mosaic(smooth(0.5, 0.3, 0.25)), lossless=lossless)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(NircolorError, match=r"a\.dng: .*(damaged|cut off)"):
        open_raster(path)


@pytest.mark.parametrize("fill", [0, 3000])
def test_rows_without_data(tmp_path, fill):
    samples = mosaic(smooth(0.5, 0.3, 0.25))
    samples[40:] = fill
    with pytest.raises(NircolorError, match=r"damaged or cut off \(its last row is empty\)"):
        open_raster(save_dng(tmp_path / "a.dng", samples))


def test_an_incomplete_download(tmp_path):
    """The rest is zeros, which LibRaw decodes without an error, to one value."""
    path = save_dng(tmp_path / "a.dng", mosaic(smooth(0.5, 0.3, 0.25)), lossless=True)
    content = path.read_bytes()
    middle = (4096 + len(content)) // 2
    path.write_bytes(content[:middle] + bytes(len(content) - middle))
    with pytest.raises(NircolorError, match="damaged or cut off"):
        open_raster(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.cr3", cr3_bytes()),
        ("a.raf", raf_bytes()),
        ("a.cr3", b"\0\0\0\x18ftypcrx " + bytes(100)),
        ("a.raf", b"FUJIFILMCCD-RAW 0201" + bytes(300)),
        ("a.rw2", b"IIU\0" + bytes(100)),
        ("a.orf", b"IIRO" + bytes(100)),
        ("a.x3f", b"FOVb" + bytes(300)),
        ("renamed.jpg", b"FUJIFILMCCD-RAW 0201" + bytes(300)),
        ("a.tif", b"II*\0\x10\0\0\0CR\x02\0" + bytes(100)),
    ],
)
def test_what_libraw_does_not_read(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(NircolorError) as caught:
        open_raster(tmp_path / name)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / name}: ")
    assert "\n" not in message
    assert "expected camera raw that LibRaw" in message or "damaged or cut off" in message


def test_cut_off_containers(tmp_path):
    (tmp_path / "a.cr3").write_bytes(cr3_bytes()[:-10])
    with pytest.raises(NircolorError, match="damaged or cut off"):
        open_raster(tmp_path / "a.cr3")


def test_other_images_with_the_name_of_camera_raw(tmp_path):
    """The content decides: LibRaw would take the gray values of a TIFF for a mosaic."""
    for driver, name in (("GTiff", "a.NEF"), ("JPEG", "a.cr2"), ("PNG", "a.dng")):
        path = save(tmp_path / "image", noise(1, 20, 30), driver).rename(tmp_path / name)
        with open_raster(path) as raster:
            assert (raster.driver, raster.bands) == (driver, 1)


def test_without_rawpy(tmp_path, monkeypatch):
    path = save_dng(tmp_path / "a.dng", mosaic(smooth(0.5, 0.3, 0.25)))
    monkeypatch.setattr(extras, "find_spec", lambda _package: None)
    monkeypatch.setitem(sys.modules, "rawpy", None)
    with pytest.raises(
        NircolorError, match=r"a\.dng: a camera raw file needs more .*: pip install .*\[raw\]"
    ):
        open_raster(path)


def test_the_limits_are_checked_before_it_is_developed(tmp_path, monkeypatch):
    path = save_dng(tmp_path / "a.dng", mosaic(smooth(0.5, 0.3, 0.25)))
    monkeypatch.setattr(camera_raw, "_postprocessed", None)
    with pytest.raises(NircolorError, match=r"at most 3071 pixels \(--max-pixels\), got 3072"):
        open_raster(path, max_pixels=H * W - 1)
    monkeypatch.setattr(camera_raw, "available_bytes", lambda: H * W * 10)
    with pytest.raises(NircolorError, match=r"developing 64 x 48 pixels takes .* of memory, of which"):
        open_raster(path)
