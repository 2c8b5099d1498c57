"""Tests of `Colorizer`: arrays, PIL images and files, whole or in tiles, and its error messages."""

from functools import cache

import numpy as np
import pytest
from onnx import helper

from nircolor.app.demo import read_images
from nircolor.errors import NircolorError, NircolorWarning
from nircolor.inference import Colorizer, Reading, colorize, colorizer, engine
from nircolor.modelfile import Size
from tests.imagery.imagery_samples import load, names, noise, save, save_envi
from tests.tiny_models import THREE, make_card, save_model

_CONCAT = helper.make_node("Concat", ["nir", "nir", "nir"], ["rgb"], axis=1)


def _noise(height, width, bands=1):
    return np.random.default_rng(0).random((bands, height, width), dtype=np.float32)


def _per_pixel(nir):
    return np.concatenate([nir, nir / 2, 1 - nir])


# --- arrays


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (37, 50), (64, 64)])
def test_a_float_array_is_colorized(tiny, dtype, shape):
    nir = _noise(*shape).astype(dtype)
    rgb = Colorizer(tiny("per_pixel"), tile_px=16).colorize(nir)
    assert rgb.dtype == np.float32
    np.testing.assert_allclose(rgb, _per_pixel(nir.astype(np.float32)), atol=1e-6)


def test_negative_values_are_clipped_and_infinite_ones_invalid(tiny):
    nir = np.array([[[-3.0, 1.0005, 0.5, np.inf]]])
    rgb = Colorizer(tiny("per_pixel")).colorize(nir)
    np.testing.assert_allclose(rgb[0, 0, :3], [0, 1, 0.5])
    assert np.isfinite(rgb).all()


def test_invalid_pixels_do_not_change_their_surroundings(tiny):
    nir = np.full((1, 40, 40), 0.5, np.float32)
    nir[0, 10:20, 10:20] = np.nan
    np.testing.assert_allclose(
        Colorizer(tiny("box"), tile_px=96).colorize(nir)[0, 5:35, 5:35], 0.5, atol=1e-6
    )
    valid = np.isfinite(nir[0])
    nir[0, ~valid] = 0
    for mask in (valid, valid.astype(np.uint8) * 2):
        rgb = Colorizer(tiny("box"), tile_px=96).colorize(nir, mask)
        np.testing.assert_allclose(rgb[0, 5:35, 5:35], 0.5, atol=1e-6)


@pytest.mark.parametrize("model", ["per_pixel", "position"])
def test_a_file_without_a_valid_pixel_is_colorized(tiny, tmp_path, model):
    path = save(tmp_path / "a.tif", np.full((1, 20, 30), np.nan, np.float32))
    Colorizer(tiny(model)).colorize_file(path, tmp_path / "b.tif")
    assert load(tmp_path / "b.tif")[0].shape == (3, 20, 30)


@pytest.mark.parametrize(
    ("nir", "match"),
    [
        (np.zeros((20, 30)), r"floats of shape \(1, height, width\), .* got \(20, 30\)"),
        (np.zeros((3, 20, 30)), r"got \(3, 20, 30\)"),
        (np.zeros((1, 0, 30)), r"got \(1, 0, 30\)"),
        (np.zeros((1, 20, 30), complex), "expected an array of floats, uint8 or uint16, got complex128"),
        (np.zeros((20, 30), np.int32), "got int32"),
        (np.zeros((20, 30), bool), "got bool"),
        (np.full((1, 20, 30), 1.5), r"values up to 1\.5; pass the value that means 1\.0 as scale"),
        (np.full((1, 20, 30), np.nan), "expected a valid pixel, got only NaN"),
        (np.zeros((1, 20, 30), np.uint8), r"got \(1, 20, 30\); arrays of shape \(bands, .* must be floats"),
        (np.zeros((20, 30, 2), np.uint8), r"expected 1 channel .* got \(20, 30, 2\); pass an alpha channel"),
        (np.zeros((20, 30, 4), np.uint8), r"got \(20, 30, 4\); pass an alpha channel as valid"),
        (np.zeros((0, 30), np.uint16), r"got \(0, 30\)"),
        (np.zeros(30, np.uint16), r"got \(30,\)"),
        ([[0.5]], "expected a NumPy array or a PIL image, got list"),
    ],
)
def test_other_arrays_are_refused(tiny, nir, match):
    with pytest.raises(NircolorError, match=match):
        Colorizer(tiny("per_pixel")).colorize(nir)


def test_masks_that_do_not_fit_are_refused(tiny):
    colorizer = Colorizer(tiny("per_pixel"))
    with pytest.raises(NircolorError, match="valid: expected the shape"):
        colorizer.colorize(np.zeros((1, 4, 5)), np.ones((5, 4), bool))
    with pytest.raises(NircolorError, match="expected a valid pixel"):
        colorizer.colorize(np.zeros((4, 5), np.uint8), np.zeros((4, 5), bool))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [None, 1, 3])
def test_integer_arrays_are_channels_last_and_keep_their_type(tiny, dtype, channels):
    top = np.iinfo(dtype).max
    gray = np.random.default_rng(0).integers(0, top, (37, 50), dtype, endpoint=True)
    image = gray if channels is None else np.repeat(gray[:, :, None], channels, axis=2)
    rgb = Colorizer(tiny("per_pixel")).colorize(image)
    assert (rgb.dtype, rgb.shape) == (dtype, (37, 50, 3))
    expected = np.moveaxis(_per_pixel(gray[None] / np.float32(top)), 0, 2)
    np.testing.assert_allclose(rgb / top, expected, atol=0.51 / top + 1e-6)


@pytest.mark.parametrize("saturation", [0, 0.5, 1.5])
def test_saturation_of_arrays_and_files(tmp_path, tiny, saturation):
    gray = noise(1, 33, 47)
    path = save(tmp_path / "a.png", gray, "PNG")
    colorizer = Colorizer(tiny("per_pixel"))
    colorizer.colorize_file(path, tmp_path / "b.png", saturation=saturation)
    plain = _per_pixel(gray.astype(np.float32) / 255)
    expected = np.clip(plain.mean(0) + saturation * (plain - plain.mean(0)), 0, 1)
    np.testing.assert_allclose(load(tmp_path / "b.png")[0] / 255, expected, atol=0.51 / 255)
    rgb = colorizer.colorize(gray[0], saturation=saturation)
    np.testing.assert_array_equal(np.moveaxis(rgb, 2, 0), load(tmp_path / "b.png")[0])


@pytest.mark.parametrize("saturation", [-0.1, 11, np.nan, np.inf])
def test_a_saturation_out_of_range_is_refused(tmp_path, tiny, saturation):
    match = r"^saturation: expected a number from 0 \(gray\) to 10, .* got "
    colorizer = Colorizer(tiny("per_pixel"))
    path = save(tmp_path / "a.png", noise(1, 9, 9), "PNG")
    with pytest.raises(NircolorError, match=match):
        colorizer.colorize(np.zeros((9, 9), np.uint8), saturation=saturation)
    with pytest.raises(NircolorError, match=match):
        colorizer.colorize_file(path, tmp_path / "b.png", saturation=saturation)
    with pytest.raises(NircolorError, match=match):
        colorize(tmp_path, tmp_path / "out", model=colorizer, saturation=saturation)
    assert names(tmp_path) == ["a.png"]


def test_an_integer_array_of_three_rows_and_columns_is_channels_last(tiny):
    image = np.arange(3 * 7 * 3, dtype=np.uint8).reshape(3, 7, 3)
    rgb = Colorizer(tiny("three_bands")).colorize(image)
    np.testing.assert_array_equal(rgb, image)


def test_an_array_gets_the_colours_of_its_file(tmp_path, tiny):
    gray = noise(1, 33, 47)
    path = save(tmp_path / "a.png", gray, "PNG")
    colorizer = Colorizer(tiny("box"))
    colorizer.colorize_file(path, tmp_path / "b.png")
    np.testing.assert_array_equal(np.moveaxis(load(tmp_path / "b.png")[0], 0, 2), colorizer.colorize(gray[0]))


def test_different_channels_are_averaged_with_a_warning(tiny):
    image = np.random.default_rng(0).integers(0, 255, (9, 8, 3), np.uint8)
    with pytest.warns(NircolorWarning, match="looks like a colour photograph"):
        rgb = Colorizer(tiny("per_pixel")).colorize(image)
    np.testing.assert_allclose(rgb[:, :, 0], image.mean(2), atol=0.51)


def test_scale_replaces_the_range_of_the_type(tiny):
    image = np.full((4, 5), 1000, np.uint16)
    colorizer = Colorizer(tiny("per_pixel"))
    with pytest.warns(NircolorWarning, match=r"16384 or more reads as very dark; .*scale=4095 .*1023 for 10"):
        colorizer.colorize(image)
    assert (colorizer.colorize(image, scale=2000)[:, :, 0] == 32768).all()
    assert (colorizer.colorize(image, scale=500)[:, :, 0] == 65535).all()
    np.testing.assert_allclose(colorizer.colorize(np.full((1, 4, 5), 50.0), scale=100)[0], 0.5)
    for scale in (0, -1, np.nan):
        with pytest.raises(NircolorError, match="image: expected a positive scale"):
            colorizer.colorize(image, scale=scale)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "LA", "RGBA", "I;16", "F"])
def test_a_pil_image_comes_back_as_one(tiny, mode):
    image_module = pytest.importorskip("PIL.Image")
    gray = np.random.default_rng(0).integers(0, 256, (20, 30), np.uint8)
    if mode == "1":
        gray = gray // 128 * 255
    image = image_module.fromarray(gray)
    if mode == "I;16":
        image = image_module.fromarray(gray.astype(np.uint16) * 257)
    elif mode == "F":
        image = image_module.fromarray(gray / np.float32(255))
    elif mode == "P":
        image.putpalette([level for i in range(256) for level in (i, i, i)])
    else:
        image = image.convert(mode)
    assert image.mode == mode
    result = Colorizer(tiny("per_pixel")).colorize(image)
    assert isinstance(result, image_module.Image)
    assert result.size == (30, 20)
    assert result.mode == ("RGBA" if mode in ("LA", "RGBA") else "RGB")
    np.testing.assert_array_equal(np.asarray(result)[:, :, 0], gray)
    np.testing.assert_array_equal(np.asarray(result)[:, :, 2], 255 - gray)


def test_transparent_pixels_of_a_pil_image_are_invalid_and_stay_transparent(tiny):
    image_module = pytest.importorskip("PIL.Image")
    planes = np.full((40, 40, 2), (128, 255), np.uint8)
    planes[10:20, 10:20] = 0
    result = np.asarray(Colorizer(tiny("box"), tile_px=96).colorize(image_module.fromarray(planes, "LA")))
    np.testing.assert_array_equal(result[:, :, 3], planes[:, :, 1])
    # no dark halo around the transparent pixels
    np.testing.assert_array_equal(result[5:35, 5:35, 0], 128)


def test_other_pil_images_are_refused(tiny):
    image_module = pytest.importorskip("PIL.Image")
    with pytest.raises(NircolorError, match=r"expected a PIL image of mode .* got CMYK"):
        Colorizer(tiny("per_pixel")).colorize(image_module.new("CMYK", (4, 5)))


# --- tiles


@pytest.mark.parametrize("tile_px", [72, 80, 104, 160])
@pytest.mark.parametrize("shape", [(150, 201), (73, 8), (1, 300)])
def test_tiled_equals_whole(tiny, shape, tile_px):
    nir = _noise(*shape)
    whole = Colorizer(tiny("box"), tile_px=1024).colorize(nir)
    tiled = Colorizer(tiny("box"), tile_px=tile_px).colorize(nir)
    np.testing.assert_allclose(tiled, whole, atol=1e-5)


@pytest.mark.parametrize("tile_px", [16, 20, 40, 44, 1024])
@pytest.mark.parametrize("shape", [(61, 83), (3, 90), (90, 1)])
def test_the_context_has_the_position_of_each_tile(tiny, shape, tile_px):
    height, width = shape
    nir = _noise(height, width)
    rgb = Colorizer(tiny("position"), tile_px=tile_px).colorize(nir)
    rows, columns = (np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width
    np.testing.assert_allclose(rgb[0], np.broadcast_to(rows[:, None], shape), atol=1e-5)
    np.testing.assert_allclose(rgb[1], np.broadcast_to(columns, shape), atol=1e-5)
    assert np.ptp(rgb[2]) < 1e-6
    assert rgb[2, 0, 0] == pytest.approx(nir.mean(), abs=0.02)


@cache
def _landscape():
    return read_images()[0][:, :600, :700]


def test_scene_tiled_equals_whole_within_half_an_8_bit_step():
    nir = _landscape()
    whole = Colorizer("scene", tile_px=1024).colorize(nir)
    tiled = Colorizer("scene", tile_px=256).colorize(nir)
    assert np.abs(tiled - whole).max() < 0.002
    assert np.isfinite(whole).all()


def test_scene_gives_colour():
    rgb = Colorizer("scene").colorize(_landscape()[:, ::4, ::4])
    assert np.ptp(rgb, axis=0).mean() > 0.02


def test_tile_size_is_chosen_by_free_memory_unless_given(tiny, monkeypatch):
    asked = []
    monkeypatch.setattr(colorizer, "tile_size_px", lambda _card, *rest: asked.append(rest) or 64)
    Colorizer(tiny("per_pixel"), jobs=3).colorize(_noise(10, 20))
    Colorizer(tiny("per_pixel"), tile_px=32, jobs=3).colorize(_noise(10, 20))
    assert asked == [(20, 3)]


@pytest.mark.parametrize("tile_px", [1, 5, 33])
def test_any_tile_size_is_rounded_to_the_network(tiny, tile_px):
    nir = _noise(50, 40)
    np.testing.assert_allclose(
        Colorizer(tiny("per_pixel"), tile_px=tile_px).colorize(nir), _per_pixel(nir), atol=1e-6
    )


# --- models that cannot


def test_unknown_and_missing_models(tmp_path):
    with pytest.raises(NircolorError, match=r"a model that ships: .*scene"):
        Colorizer("nothing")
    with pytest.raises(NircolorError, match="no such model file"):
        Colorizer(tmp_path / "missing.onnx")


def test_a_network_that_fails_on_a_tile_is_named(tmp_path):
    path = save_model(tmp_path / "fixed.onnx", make_card(), [_CONCAT], sides=(64, 64))
    with pytest.raises(NircolorError, match=r"fixed\.onnx: fails on a tile of \(1, 20, 20\)"):
        Colorizer(path).colorize(_noise(20, 20))


def test_a_network_with_another_output_shape_is_named(tmp_path):
    nodes = [helper.make_node("Concat", ["nir", "nir"], ["rgb"], axis=1)]
    path = save_model(tmp_path / "two.onnx", make_card(), nodes)
    with pytest.raises(
        NircolorError, match=r"two\.onnx: expected an output of shape \(3, 20, 20\).* got \(2, 20, 20\)"
    ):
        Colorizer(path).colorize(_noise(20, 20))


@pytest.mark.parametrize(
    "error", [MemoryError("no memory"), RuntimeError("Failed to allocate memory for ...")]
)
def test_out_of_memory_names_the_file_and_a_smaller_tile(tmp_path, tiny, monkeypatch, error):
    def fail(*_args):
        raise error

    one = Colorizer(tiny("per_pixel"), tile_px=512)
    monkeypatch.setattr(one._engine, "_session", type("Session", (), {"run": fail}))
    path = save(tmp_path / "a.tif", noise(1, 30, 30))
    with pytest.raises(NircolorError, match=rf"{path}: out of memory with tiles of 512 px.*--tile 256"):
        one.colorize_file(path, tmp_path / "out" / "a.tif")
    assert names(tmp_path / "out") == []


# --- files


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_file_gets_the_colours_of_the_array(tmp_path, tiny, dtype):
    array = noise(1, 70, 90, dtype)
    path = save(tmp_path / "a.tif", array)
    Colorizer(tiny("per_pixel"), tile_px=32).colorize_file(path, tmp_path / "b.tif")
    rgb, profile = load(tmp_path / "b.tif")
    assert profile["dtype"] == dtype
    top = np.iinfo(dtype).max
    np.testing.assert_allclose(rgb / top, _per_pixel(array / top), atol=0.51 / top + 1e-5)


def test_a_file_and_its_array_get_the_same_view(tmp_path, tiny):
    array = noise(1, 90, 130, "uint16")
    path = save(tmp_path / "a.tif", array)
    one = Colorizer(tiny("position"), tile_px=40)
    one.colorize_file(str(path), str(tmp_path / "b.tif"))
    np.testing.assert_allclose(
        load(tmp_path / "b.tif")[0] / 65535, one.colorize(array / np.float32(65535)), atol=2e-5
    )


def test_three_bands_are_found_by_wavelength(tmp_path, tiny):
    cube = _noise(12, 14, bands=5)
    header = save_envi(tmp_path, cube, wavelength="{650, 941, 778, 1100, 850}", wavelength_units="Nanometers")
    Colorizer(tiny("three_bands")).colorize_file(header, tmp_path / "b.tif", depth=16)
    np.testing.assert_allclose(load(tmp_path / "b.tif")[0] / 65535, cube[[2, 4, 1]], atol=1e-5)


def test_a_broad_model_averages_a_cube(tmp_path, tiny):
    cube = _noise(12, 14, bands=4)
    header = save_envi(tmp_path, cube, wavelength="{650, 750, 950, 1100}", wavelength_units="nm")
    Colorizer(tiny("per_pixel")).colorize_file(header, tmp_path / "b.tif", depth=16)
    np.testing.assert_allclose(load(tmp_path / "b.tif")[0][0] / 65535, cube[1:3].mean(0), atol=1e-5)


@pytest.mark.filterwarnings("ignore::nircolor.errors.NircolorWarning")
def test_a_colour_photograph_gives_the_mean_of_its_channels(tmp_path, tiny):
    array = noise(3, 12, 14)
    Colorizer(tiny("per_pixel")).colorize_file(save(tmp_path / "a.png", array, "PNG"), tmp_path / "b.tif")
    np.testing.assert_allclose(load(tmp_path / "b.tif")[0][0], array.mean(0), atol=0.51)


@pytest.mark.filterwarnings("ignore::nircolor.errors.NircolorWarning")
def test_reading_options_reach_the_reader(tmp_path, tiny):
    array = noise(3, 10, 12, "uint16") // 16
    path = save(tmp_path / "a.tif", array)
    one = Colorizer(tiny("three_bands"))
    one.colorize_file(path, tmp_path / "b.tif", reading=Reading(bands_nm=(940, 780, 850), scale=4095))
    np.testing.assert_allclose(load(tmp_path / "b.tif")[0] / 65535, array[[1, 2, 0]] / 4095, atol=1e-4)
    one.colorize_file(path, tmp_path / "c.tif", reading=Reading((940, 780, 850), stretch=(10, 90)))
    stretched = load(tmp_path / "c.tif")[0]
    assert 0.08 < (stretched == 0).mean() < 0.12
    assert 0.08 < (stretched == 65535).mean() < 0.12


def test_a_file_without_the_bands_writes_nothing(tmp_path, tiny):
    header = save_envi(tmp_path, _noise(8, 8, bands=2), wavelength="{650, 700}", wavelength_units="nm")
    with pytest.raises(
        NircolorError, match=r"cube\.hdr: expected a band at 780 .* got 2 bands at 650, 700 nm"
    ):
        Colorizer(tiny("three_bands")).colorize_file(header, tmp_path / "out" / "b.tif")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt])
def test_an_error_midway_leaves_no_output(tmp_path, tiny, kind):
    path = save(tmp_path / "a.tif", noise(1, 90, 90))
    seen = []

    def stop(done, total):
        seen.append(done)
        if done > 0.5 * total:
            raise kind

    with pytest.raises(kind):
        Colorizer(tiny("per_pixel"), tile_px=16).colorize_file(
            path, tmp_path / "out" / "a.tif", on_progress=stop
        )
    assert names(tmp_path / "out") == []


def test_progress_of_a_file_adds_up(tmp_path, tiny):
    seen = []
    one = Colorizer(tiny("per_pixel"), tile_px=32)
    path = save(tmp_path / "a.tif", noise(1, 90, 70))
    one.colorize_file(path, tmp_path / "b.tif", on_progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert seen[-1][0] == pytest.approx(90 * 70)
    assert {total for _, total in seen} == {90 * 70}


def test_jobs_share_the_cores(tiny, monkeypatch):
    taken = []
    open_session = engine.open_session

    def note(path, *, threads, **rest):
        taken.append(threads)
        return open_session(path, threads=threads, **rest)

    monkeypatch.setattr(engine, "open_session", note)
    monkeypatch.setattr(engine.os, "cpu_count", lambda: 8)
    for jobs in (1, 2, 100):
        Colorizer(tiny("per_pixel"), jobs=jobs)
    # ONNX Runtime adds threads - 1 helpers to its callers: 8 cores are busy each time, or as many as jobs
    assert taken == [0, 7, 1]


def test_tiles_are_at_least_as_long_as_the_minimum_of_the_network(tmp_path):
    """Two tiles of 24 px would cover 44 px, but the network needs 32 px."""
    card = make_card(bands=THREE, size=Size(multiple_of=4, minimum=32, receptive_field_px=4))
    path = save_model(tmp_path / "a.onnx", card, [helper.make_node("Identity", ["nir"], ["rgb"])])
    nir = _noise(44, 44, bands=3)
    one = Colorizer(path, tile_px=32)
    sizes = []
    run = one._engine.run
    one._engine.run = lambda tile, *rest: sizes.append(tile.shape) or run(tile, *rest)
    np.testing.assert_allclose(one.colorize(nir), nir, atol=1e-6)
    assert set(sizes) == {(3, 32, 32)}
