import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from nircolor.errors import NircolorError, NircolorWarning
from nircolor.imagery import image_size, open_raster
from nircolor.modelfile import Band
from nircolor.pairs import MultiBandFiles, Pair, read_pair
from nircolor.pairs import pair as pair_module
from nircolor.pairs.pair import read_images
from tests.imagery.imagery_samples import save_envi
from tests.pairs.images import RNG, noise, write

BROAD = (Band(center_nm=850, fwhm_nm=250, tolerance_nm=125),)
THREE = tuple(Band(center_nm=nm, fwhm_nm=25, tolerance_nm=15) for nm in (780, 850, 940))


@pytest.fixture
def stored(tmp_path):
    """Write a pair of 5 × 7 px; return it with the stored NIR and colour values."""
    nir, rgb = noise(1, 5, 7), noise(3, 5, 7)
    return Pair("p", write(tmp_path / "nir.png", nir), write(tmp_path / "rgb.png", rgb)), nir, rgb


def test_8_bit_values_are_divided_by_255(stored):
    pair, stored_nir, stored_rgb = stored
    nir, rgb, valid = read_pair(pair)
    assert nir.dtype == rgb.dtype == np.float32
    assert_array_equal(nir, stored_nir / np.float32(255))
    assert_array_equal(np.rint(255 * rgb), stored_rgb)
    assert_array_equal(valid, np.ones((5, 7), bool))


def test_16_bit_values_are_divided_by_65535(stored, tmp_path):
    pair, _, _ = stored
    deep = noise(1, 5, 7, dtype="uint16")
    nir, _, _ = read_pair(Pair("p", write(tmp_path / "deep.png", deep), pair.rgb))
    assert_array_equal(nir, deep / np.float32(65535))


def test_three_equal_channels_are_one_nir_band(stored, tmp_path):
    pair, stored_nir, _ = stored
    tripled = write(tmp_path / "tripled.png", np.repeat(stored_nir, 3, axis=0))
    for bands in (None, BROAD):
        assert_array_equal(read_pair(Pair("p", tripled, pair.rgb), bands)[0], read_pair(pair)[0])


def test_a_colour_image_without_colour_keeps_three_bands(stored, tmp_path):
    pair, stored_nir, _ = stored
    fog = write(tmp_path / "fog.png", np.repeat(stored_nir, 3, axis=0))
    assert read_pair(Pair("p", pair.nir, fog))[1].shape == (3, 5, 7)


def test_colour_as_nir_and_gray_as_colour_are_refused(stored):
    pair, _, _ = stored
    with (
        pytest.warns(NircolorWarning, match="not near-infrared"),
        pytest.raises(NircolorError, match=r"rgb\.png: expected 1 band, got 3"),
    ):
        read_pair(Pair("p", pair.rgb, pair.rgb))
    with pytest.raises(NircolorError, match=r"expected an image of 3 bands as colour: .*nir\.png"):
        read_pair(Pair("p", pair.nir, pair.nir))


def test_valid_combines_mask_and_alpha(stored, tmp_path):
    pair, _, stored_rgb = stored
    mask = 255 * RNG.integers(0, 2, (1, 5, 7), np.uint8)
    alpha = 255 * RNG.integers(0, 2, (1, 5, 7), np.uint8)
    cut_out = write(tmp_path / "alpha.png", np.concatenate([stored_rgb, alpha]))
    masked = Pair("p", pair.nir, cut_out, write(tmp_path / "mask.png", mask))
    _, rgb, valid = read_pair(masked)
    assert rgb.shape == (3, 5, 7)
    assert_array_equal(valid, (mask[0] == 255) & (alpha[0] == 255))


def test_different_sizes_are_an_error_that_names_both_files(stored, tmp_path):
    pair, _, _ = stored
    other = write(tmp_path / "other.png", noise(3, 4, 7))
    with pytest.raises(NircolorError, match=r"other\.png: expected 7 × 5 px as .*nir\.png, got 7 × 4"):
        read_pair(Pair("p", pair.nir, other))
    with pytest.raises(NircolorError, match=r"other\.png"):
        read_pair(Pair("p", pair.nir, pair.rgb, mask=write(other, noise(1, 4, 7))))


def test_an_unreadable_file_is_an_error_that_names_it(stored, tmp_path):
    pair, _, _ = stored
    text = tmp_path / "text.png"
    text.write_text("not an image")
    for path in (text, tmp_path / "absent.png"):
        for bands in (None, BROAD):
            with pytest.raises(NircolorError, match=path.name):
                read_pair(Pair("p", path, pair.rgb), bands)
        with pytest.raises(NircolorError, match=path.name):
            image_size(path)


# Bands and scales


@settings(max_examples=25, deadline=None)
@given(st.permutations([490, 560, 665, 705, 780, 850, 940]), st.sampled_from(["uint8", "uint16"]))
def test_bands_are_selected_by_wavelength_in_any_order(tmp_path_factory, order, dtype):
    planes = {nm: noise(5, 7, dtype=dtype) for nm in order}
    folder = tmp_path_factory.mktemp("cubes")
    write(folder / "a.tif", np.stack([planes[nm] for nm in order]), order)
    (pair,) = MultiBandFiles(folder).pairs()
    nir, rgb, valid = read_pair(pair, THREE)
    top = np.float32(np.iinfo(dtype).max)
    assert_array_equal(nir, np.stack([planes[nm] for nm in (780, 850, 940)]) / top)
    assert_array_equal(rgb, np.stack([planes[nm] for nm in (665, 560, 490)]) / top)
    assert valid.all()


def test_colour_bands_are_the_nearest_within_30_nm(tmp_path):
    cube = noise(5, 4, 4)
    write(tmp_path / "a.tif", cube, (480, 635, 645, 590, 850))
    (pair,) = MultiBandFiles(tmp_path).pairs()
    assert_array_equal(read_pair(pair, BROAD)[1], cube[[2, 3, 0]] / np.float32(255))
    (far,) = MultiBandFiles(tmp_path, rgb_nm=(700, 560, 490)).pairs()
    with pytest.raises(
        NircolorError, match=r"a\.tif: expected a band at 700 ± 30 nm for the colour of a, got"
    ):
        read_pair(far, BROAD)


def test_a_broad_band_is_a_mean_and_a_missing_band_is_an_error(tmp_path):
    cube = noise(5, 4, 4)
    write(tmp_path / "a.tif", cube, (665, 560, 490, 780, 940))
    (pair,) = MultiBandFiles(tmp_path).pairs()
    assert_allclose(read_pair(pair, BROAD)[0][0], cube[3:].mean(0) / 255, rtol=1e-5)
    with pytest.raises(
        NircolorError, match=r"a\.tif: expected a band at 850 ± 15 nm for the NIR of a, got 5 bands"
    ):
        read_pair(pair, THREE)
    with pytest.raises(NircolorError, match=r"a\.tif: expected 1 band, got 5"):
        read_pair(pair)


def test_a_band_that_is_called_near_infrared(stored, tmp_path):
    pair, _, _ = stored
    array = noise(4, 5, 7)
    header = save_envi(tmp_path, array, band_names="{Red, Green, NIR, Blue}")
    assert_array_equal(read_pair(Pair("p", header, pair.rgb), BROAD)[0], array[2:3] / np.float32(255))


def test_an_envi_cube(tmp_path):
    cube = noise(6, 4, 5, dtype="uint16")
    save_envi(tmp_path, cube, wavelength="{940, 850, 780, 490, 560, 665}", wavelength_units="Nanometers")
    (pair,) = MultiBandFiles(tmp_path, nir_scale=65535, rgb_scale=65535).pairs()
    nir, rgb, _ = read_pair(pair, THREE)
    assert pair.name == "cube"
    assert_array_equal(nir, cube[2::-1] / np.float32(65535))
    assert_array_equal(rgb, cube[:2:-1] / np.float32(65535))


def test_nir_and_colour_have_separate_scales_and_are_clipped(tmp_path):
    cube = np.array([3000, 1500, 0, 0, 5000, 12000], "uint16").reshape(6, 1, 1).repeat(4, 2)
    write(tmp_path / "a.tif", cube, (665, 560, 490, 780, 850, 940))
    (pair,) = MultiBandFiles(tmp_path, nir_scale=10000, rgb_scale=3000).pairs()
    nir, rgb, _ = read_pair(pair, THREE)
    assert nir[:, 0, 0].tolist() == [0, 0.5, 1]
    assert rgb[:, 0, 0].tolist() == [1, 0.5, 0]
    (bright,) = MultiBandFiles(tmp_path, nir_scale=10000, rgb_scale=1000).pairs()
    assert read_pair(bright, THREE)[1][:, 0, 0].tolist() == [1, 1, 0]


def test_a_reflectance_becomes_white_where_the_file_states_reflectance(tmp_path):
    cube = np.array([2500, 1900, 1000, 2000, 3000, 4000], "uint16").reshape(6, 1, 1).repeat(4, 2)
    nm = (665, 560, 490, 780, 850, 940)
    write(tmp_path / "with" / "a.tif", cube, nm, scale=0.0001, offset=-0.1)
    (pair,) = MultiBandFiles(tmp_path / "with", rgb_white=0.12).pairs()
    nir, rgb, _ = read_pair(pair, THREE)
    assert rgb[:, 0, 0] == pytest.approx([1, 0.75, 0])
    assert nir[:, 0, 0] == pytest.approx([0.1, 0.2, 0.3])
    # a scale that the user gives is that of reflectance
    write(tmp_path / "without" / "a.tif", cube, nm)
    (scaled,) = MultiBandFiles(tmp_path / "without", nir_scale=10000, rgb_scale=10000, rgb_white=0.2).pairs()
    assert read_pair(scaled, THREE)[1][:, 0, 0] == pytest.approx([1, 0.95, 0.5])
    # 8-bit values are no reflectance, whatever the set says
    photograph = write(tmp_path / "photograph" / "a.tif", noise(6, 4, 4), nm)
    (plain,) = MultiBandFiles(photograph.parent, rgb_white=0.2).pairs()
    assert_array_equal(read_pair(plain, THREE)[1], read_pair(replace(plain, rgb_white=None), THREE)[1])
    with pytest.raises(ValueError, match="rgb_white: expected a reflectance above 0, at most 1, got 3000"):
        MultiBandFiles(tmp_path, rgb_white=3000)


def test_scales_apply_to_images_without_wavelengths(tmp_path):
    nir, rgb = (
        write(tmp_path / "n.tif", noise(1, 4, 4, dtype="uint16") // 16),
        noise(3, 4, 4, dtype="uint16") // 64,
    )
    pair = Pair("p", nir, write(tmp_path / "c.tif", rgb), nir_scale=4095, rgb_scale=1023)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_pair(pair)
        got_nir, got_rgb, _ = read_pair(pair, BROAD)
        assert image_size(pair.nir) == (4, 4)
    assert got_nir.max() > 0.5
    assert_array_equal(got_rgb, rgb / np.float32(1023))


def test_dark_values_warn_only_without_a_scale(tmp_path):
    write(tmp_path / "a.tif", noise(4, 4, 4, dtype="uint16") // 16, (665, 560, 490, 850))
    (pair,) = MultiBandFiles(tmp_path).pairs()
    with pytest.warns(NircolorWarning, match="reads as very dark"):
        read_pair(pair, BROAD)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # only reading the pixels warns
        image_size(pair.nir)
        (scaled,) = MultiBandFiles(tmp_path, nir_scale=4095, rgb_scale=4095).pairs()
        read_pair(scaled, BROAD)


@pytest.mark.parametrize("name", ["three.png", "three.tif"])
def test_three_channels_without_wavelengths_are_the_three_bands_in_order(stored, tmp_path, name):
    pair, stored_nir, _ = stored
    three = noise(3, 5, 7)
    # three equal channels must not be merged into one gray band
    for bands in (three, np.repeat(stored_nir, 3, axis=0)):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            nir, _, _ = read_pair(Pair("p", write(tmp_path / name, bands), pair.rgb), THREE)
        assert_array_equal(nir, bands / np.float32(255))


def test_without_wavelengths_the_number_of_bands_must_match(stored, tmp_path):
    pair, _, _ = stored
    with pytest.raises(
        NircolorError, match=r"nir\.png: expected 3 bands \(780 nm; .*\) for the NIR of p, got 1 band without"
    ):
        read_pair(pair, THREE)
    with pytest.raises(
        NircolorError, match=r"rgb\.png: expected 1 band \(850 nm.*\) for the NIR of p, got 3 bands without"
    ):
        read_pair(Pair("p", pair.rgb, pair.rgb), BROAD)
    two = Pair("p", write(tmp_path / "two.tif", noise(2, 5, 7)), pair.rgb)
    with pytest.raises(NircolorError, match=r"two\.tif: expected 3 bands .* 2 band"):
        read_pair(two, THREE)


def test_validity_depends_only_on_the_bands_that_are_read(tmp_path):
    cube = noise(5, 4, 4).astype("float32") / 255
    cube[0, 0, 0] = cube[1, 1, 1] = cube[4, 2, 2] = np.nan
    write(tmp_path / "a.tif", cube, (665, 560, 490, 700, 850))
    (pair,) = MultiBandFiles(tmp_path).pairs()
    nir, rgb, valid = read_pair(pair, BROAD)
    assert np.argwhere(~valid).tolist() == [[0, 0], [1, 1], [2, 2]]
    # filled with the mean over the valid NIR pixels
    assert_allclose(nir[0, 2, 2], np.nanmean(cube[4]), rtol=1e-5)
    assert not rgb[:, 0, 0].any()
    cube[3] = np.nan
    write(tmp_path / "a.tif", cube, (665, 560, 490, 700, 850))
    assert_array_equal(read_pair(pair, BROAD)[2], valid)


def test_size_is_height_and_width(stored, tmp_path):
    pair, _, _ = stored
    assert image_size(pair.nir) == (5, 7)
    save_envi(tmp_path, noise(2, 3, 9), "wide")
    assert image_size(tmp_path / "wide.hdr") == (3, 9)


@pytest.mark.parametrize(("value", "message"), [(1, "got no value above 1"), (0, "expected a valid pixel")])
def test_masks_without_valid_pixels_are_refused(stored, tmp_path, value, message):
    """Otherwise, training with a mask of 0 and 1 would silently ignore all pixels."""
    pair, _, _ = stored
    mask = np.full((1, *image_size(pair.nir)), value, np.uint8)
    masked = replace(pair, mask=write(tmp_path / "mask.png", mask))
    with pytest.raises(NircolorError, match=message):
        read_pair(masked)


# Opens of files


@pytest.fixture
def opens(monkeypatch):
    """Names of the files that `open_raster` has opened."""
    names = []

    def counted(path, **options):
        names.append(Path(path).name)
        return open_raster(path, **options)

    monkeypatch.setattr(pair_module, "open_raster", counted)
    return names


def test_a_file_of_nir_and_colour_is_opened_once(tmp_path, opens):
    write(tmp_path / "a.tif", noise(6, 4, 4), (665, 560, 490, 780, 850, 940))
    (pair,) = MultiBandFiles(tmp_path).pairs()
    read_pair(pair, THREE)
    assert opens == ["a.tif"]
    one, three = read_images(pair, [BROAD, THREE])
    assert opens == ["a.tif"] * 2
    for images, bands in ((one, BROAD), (three, THREE)):
        for got, expected in zip((images.nir, images.rgb, images.valid), read_pair(pair, bands), strict=True):
            assert_array_equal(got, expected)


def test_each_file_of_a_pair_is_opened_once(stored, tmp_path, opens):
    pair, _, _ = stored
    masked = replace(pair, mask=write(tmp_path / "mask.png", np.full((1, 5, 7), 255, np.uint8)))
    read_images(masked, [None, BROAD])
    assert sorted(opens) == ["mask.png", "nir.png", "rgb.png"]


def test_black_borders_of_registration_are_invalid_and_masks_give_no_warning(tmp_path):
    inside = np.zeros((60, 80), bool)
    inside[5:, 7:-9] = True
    nir, rgb = np.maximum(noise(1, 60, 80), 1) * inside, np.maximum(noise(3, 60, 80), 1)
    mask = np.zeros((1, 60, 80), np.uint8)
    mask[:, :50, 10:70] = 255
    pair = Pair("p", write(tmp_path / "nir.png", nir), write(tmp_path / "rgb.png", rgb))
    with pytest.warns(NircolorWarning, match=r"nir\.png: black padding"):
        filled, _, valid = read_pair(pair)
    assert_array_equal(valid, inside)
    assert filled[:, ~inside].std() < 1e-6
    masked = replace(pair, mask=write(tmp_path / "mask.png", mask))
    with pytest.warns(NircolorWarning) as record:
        assert_array_equal(read_pair(masked)[2], inside & (mask[0] > 0))
    assert len(record) == 1
