"""Raw captures with dark and white references are read as reflectance."""

import warnings

import numpy as np
import pytest

from nircolor.errors import NircolorError
from nircolor.imagery import find_images, open_raster
from nircolor.imagery.cube import Cube
from nircolor.imagery.reduction import AreaMean
from nircolor.imagery.values.calibration import References, find_references, load_calibration
from nircolor.inference import Colorizer
from tests.imagery.envi_captures import Sensor, flat, random_scene, save_cube, save_references
from tests.imagery.imagery_samples import load, noise, save, save_envi


@pytest.fixture(autouse=True)
def _warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def _capture(folder, dark=100, white=2100, raw=1100, *, dtype="u2", samples=40, bands=1):
    """Write a capture and references of one value each; return the header."""
    header = save_cube(folder / "a.hdr", flat(raw, bands=bands, samples=samples, dtype=dtype))
    save_references(
        header,
        flat(dark, bands=bands, samples=samples, dtype=dtype),
        flat(white, bands=bands, samples=samples, dtype=dtype),
    )
    return header


# --- what reflectance is


@pytest.mark.parametrize(("tint", "white_tint"), [(1.0, 1.0), (1.5, 0.5), (0.25, 1.0)])
@pytest.mark.parametrize("storage", [("bil", "<"), ("bsq", ">"), ("bip", "<")])
def test_reflectance_whatever_the_exposures(tmp_path, tint, white_tint, storage):
    sensor, scene = Sensor(), random_scene()
    interleave, order = storage
    header = sensor.save(
        tmp_path / "a.hdr", scene, tint=tint, white_tint=white_tint, interleave=interleave, order=order
    )
    with open_raster(header) as raster:
        values, valid = raster.read()
        assert raster.is_reflectance
        assert raster.scale_rule == "reflectance: by DARKREF_a.hdr and WHITEREF_a.hdr"
        black, white = raster.black_white
    assert values.dtype == np.float32
    assert valid.all()
    # half a count of the capture's, and half a one of the white's
    signal = sensor.signal * tint
    bound = 0.5 / signal + 0.5 / (sensor.signal * white_tint) + 1e-6
    assert (np.abs(values - scene.transpose(1, 0, 2)) <= bound[:, None]).all()
    np.testing.assert_allclose(black, sensor.dark)
    np.testing.assert_allclose(white, sensor.dark + signal, atol=0.5 * tint / white_tint + 1e-3)


def test_exposures_count_only_where_both_are_known(tmp_path):
    header = save_cube(tmp_path / "a.hdr", flat(1100, samples=40), tint=4)
    save_references(header, flat(100, samples=40), flat(2100, samples=40))
    with open_raster(header) as raster:
        np.testing.assert_allclose(raster.read()[0], 0.5)


def test_the_white_reference_may_have_its_own_dark_reference(tmp_path):
    sensor, scene = Sensor(), random_scene()
    header = sensor.save(tmp_path / "a.hdr", scene, tint=1.5, white_tint=0.5, white_dark=sensor.dark + 150)
    with open_raster(header) as raster:
        assert np.abs(raster.read()[0] - scene.transpose(1, 0, 2)).max() > 0.05
    save_cube(tmp_path / "WHITEDARKREF_a.hdr", (sensor.dark + 150)[None].astype("u2"))
    with open_raster(header) as raster:
        np.testing.assert_allclose(raster.read()[0], scene.transpose(1, 0, 2), atol=2e-3)
        # it is the capture's own dark that is taken from the capture
        np.testing.assert_allclose(raster.black_white[0], sensor.dark)


@pytest.mark.parametrize("dtype", ["u2", "i2", "i4", "f4", "f8"])
def test_exact_values_and_clipping(tmp_path, dtype):
    raw = np.array([0, 100, 600, 1100, 2100, 4095], dtype)
    header = save_cube(tmp_path / "a.hdr", np.tile(raw, (3, 2, 10)))
    save_references(header, flat(100, 5, 2, 60, dtype), flat(2100, 5, 2, 60, dtype))
    for path in (header, tmp_path / "a.raw"):
        with open_raster(path) as raster:
            values, valid = raster.read()
            assert raster.full_scale == 2100
        assert values.dtype == np.float32
        np.testing.assert_allclose(values, np.tile([0, 0, 0.25, 0.5, 1, 1], (2, 3, 10)), atol=1e-6)
        assert valid.all()


def test_floating_point_needs_no_counts(tmp_path):
    header = _capture(tmp_path, dark=0.001, white=0.201, raw=0.101, dtype="f4")
    with open_raster(header) as raster:
        np.testing.assert_allclose(raster.read()[0], 0.5, rtol=1e-5)


def test_a_faint_capture_of_a_good_white_reference_is_read(tmp_path):
    header = save_cube(tmp_path / "a.hdr", flat(101, samples=40), tint=0.001)
    save_references(header, flat(100, samples=40), flat(2100, samples=40), white_tint=2)
    with open_raster(header) as raster:
        assert raster.read()[0].tolist() == [[[1.0] * 40] * 2]  # white is one count: what there is


def test_windows_are_parts_of_the_whole(tmp_path):
    header = Sensor().save(tmp_path / "a.hdr", random_scene())
    with open_raster(header) as raster:
        whole, _ = raster.read()
        for row0, row1, col0, col1 in ((0, 9, 0, 24), (2, 5, 7, 11), (8, 9, 23, 24)):
            part, valid = raster.read((row0, row1, col0, col1), [2, 0])
            np.testing.assert_array_equal(part, whole[[2, 0], row0:row1, col0:col1])
            assert valid.shape == part.shape[1:]


@pytest.mark.parametrize("out_shape", [(3, 8), (4, 5), (1, 1), (20, 30)])
def test_a_reduced_view_is_the_mean_of_reflectances(tmp_path, out_shape, monkeypatch):
    monkeypatch.setattr("nircolor.imagery.raster._STRIP_VALUES", 100)
    header = Sensor().save(tmp_path / "a.hdr", random_scene())
    with open_raster(header) as raster:
        whole, valid = raster.read()
        for window in ((0, 9, 0, 24), (1, 9, 6, 20)):
            row0, row1, col0, col1 = window
            mean = AreaMean(3, (row1 - row0, col1 - col0), out_shape)
            mean.add(0, whole[:, row0:row1, col0:col1], valid[row0:row1, col0:col1])
            np.testing.assert_allclose(
                raster.read(window, out_shape=out_shape)[0], mean.result()[0], atol=1e-6
            )


@pytest.mark.parametrize("how", [{"scale": 4095}, {"stretch": (0, 100)}])
def test_scale_and_stretch_replace_the_references(tmp_path, how):
    header = _capture(tmp_path)
    save_cube(header, np.arange(1000, 1080, dtype="u2").reshape(2, 1, 40))
    # nor need the references be of any use then
    (tmp_path / "WHITEREF_a.hdr").unlink()
    with open_raster(header, **how) as raster:
        assert raster.calibration is None
        assert not raster.is_reflectance
        black, white = (0, 4095) if "scale" in how else (1000, 1079)
        wanted = (np.arange(1000, 1080).reshape(1, 2, 40) - black) / (white - black)
        np.testing.assert_allclose(raster.read()[0], wanted, atol=1e-3)


# --- which references


def test_a_capture_without_references_is_scaled_by_the_rule(tmp_path):
    header = save_cube(tmp_path / "a.hdr", flat(60000))
    save_references(tmp_path / "b.hdr", flat(100), flat(2100))
    assert find_references(header) is None
    with open_raster(header) as raster:
        assert raster.calibration is None
        np.testing.assert_allclose(raster.read()[0], 60000 / 65535, rtol=1e-6)


@pytest.mark.parametrize(
    ("capture", "dark", "white"),
    [
        ("a.hdr", "DARKREF_a.hdr", "WHITEREF_a.hdr"),
        ("a.HDR", "darkref_A.hdr", "WhiteRef_a.HDR"),
        ("a.raw.hdr", "DARKREF_a.hdr", "WHITEREF_a.raw.hdr"),
        ("scan 1.5.hdr", "DARKREF_scan 1.5.hdr", "WHITEREF_scan 1.5.hdr"),
    ],
)
def test_references_are_found_by_name(tmp_path, capture, dark, white):
    for name in (capture, dark, white):
        (tmp_path / name).touch()
    assert find_references(tmp_path / capture) == References(tmp_path / dark, tmp_path / white)
    assert find_references(tmp_path / dark) is None


@pytest.mark.parametrize("missing", ["DARKREF_a.hdr", "WHITEREF_a.hdr"])
def test_one_reference_alone_is_refused(tmp_path, missing):
    header = _capture(tmp_path)
    (tmp_path / missing).unlink()
    save_cube(tmp_path / "WHITEDARKREF_a.hdr", flat(100))
    with pytest.raises(NircolorError, match=rf"a\.hdr: expected a dark and a white .* found no {missing}$"):
        open_raster(header)


@pytest.mark.parametrize("prefix", ["DARKREF_", "WHITEREF_", "WHITEDARKREF_"])
@pytest.mark.parametrize(("bands", "samples"), [(2, 40), (1, 39), (40, 1)])
def test_references_of_another_size_are_refused(tmp_path, prefix, bands, samples):
    header = _capture(tmp_path)
    path = save_cube(tmp_path / f"{prefix}a.hdr", flat(100, 2, bands, samples))
    with pytest.raises(
        NircolorError,
        match=rf"^{path}: expected 1 bands of 40 samples as {header}, got {bands} of {samples}$",
    ):
        open_raster(header)


def test_damaged_references_are_named(tmp_path):
    header = _capture(tmp_path)
    data = tmp_path / "WHITEREF_a.raw"
    data.write_bytes(data.read_bytes()[:-1])
    with pytest.raises(NircolorError, match=r"WHITEREF_a\.hdr: the data file WHITEREF_a\.raw is cut off"):
        open_raster(header)
    data.unlink()
    with pytest.raises(NircolorError, match=r"WHITEREF_a\.hdr: expected the ENVI data file"):
        open_raster(header)


def test_references_are_not_listed_as_images(tmp_path):
    header = _capture(tmp_path / "x")
    save_cube(header.with_name("WHITEDARKREF_a.hdr"), flat(100))
    save_cube(header.with_name("b.hdr"), flat(1))
    save(header.with_name("whiteref_a.png"), noise(1, 4, 4), "PNG")
    assert [path.name for path in find_images(tmp_path, recursive=True)] == ["a.hdr", "b.hdr"]
    # one that is named is an image like any other
    with open_raster(header.with_name("DARKREF_a.hdr"), scale=200) as raster:
        np.testing.assert_allclose(raster.read()[0], 0.5)


# --- references that say nothing


@pytest.mark.parametrize(
    ("dtype", "limit"), [("u1", 255), ("u2", 4095), ("u2", 16383), ("u2", 65535), ("i2", 32767)]
)
def test_a_saturated_white_reference_is_refused(tmp_path, dtype, limit):
    white = flat(limit - 1, 3, 2, 200, dtype)
    header = save_cube(tmp_path / "a.hdr", flat(50, 3, 2, 200, dtype))
    # two of 200 pixels, in one line each, are forgiven, three are not
    white[0, 1, 7] = white[2, 1, 100] = limit
    save_references(header, flat(10, 3, 2, 200, dtype), white)
    with open_raster(header) as raster:
        raster.read()
        assert raster.calibration.saturated.tolist() == [0, 0.01]
    white[1, 1, 150] = limit
    save_references(header, flat(10, 3, 2, 200, dtype), white)
    with (
        open_raster(header) as raster,
        pytest.raises(
            NircolorError, match=rf"WHITEREF_a\.hdr: the white .* saturated, at {limit}, in 2% .* of band 2,"
        ),
    ):
        raster.read()


@pytest.mark.parametrize(("dark", "white"), [(2100, 100), (100, 100)])
def test_a_white_reference_that_is_not_above_the_dark_one_is_refused(tmp_path, dark, white):
    with (
        open_raster(_capture(tmp_path, dark, white)) as raster,
        pytest.raises(
            NircolorError,
            match=r"WHITEREF_a\.hdr: the white reference is not above the dark one in 100% .* band 1, which",
        ),
    ):
        raster.read()


def test_only_bands_that_are_read_must_have_references(tmp_path):
    header = save_cube(tmp_path / "a.hdr", flat(1100, bands=3, samples=40))
    white = flat(2100, bands=3, samples=40)
    white[:, 1] = 90
    save_references(header, flat(100, bands=3, samples=40), white)
    with open_raster(header) as raster:
        np.testing.assert_allclose(raster.read(bands=[2, 0])[0], 0.5)
        for out_shape in (None, (1, 5)):
            with pytest.raises(NircolorError, match="of band 2, which is needed"):
                raster.read(bands=[0, 1], out_shape=out_shape)


@pytest.mark.parametrize(
    ("dead", "donors"),
    [([0], [1]), ([39], [38]), ([20], [19]), ([9, 10, 11], [8, 8, 12]), ([5, 30], [4, 29])],
)
def test_dead_pixels_get_the_values_of_their_neighbours(tmp_path, dead, donors):
    sensor, scene = Sensor(bands=2, samples=80), random_scene(bands=2, samples=80)
    raw = sensor.shot(scene)
    dark, white = sensor.shot(0 * scene), sensor.shot(np.ones_like(scene))
    for cube in (raw, dark, white):
        cube[:, 1, dead] = 3000
    header = save_cube(tmp_path / "a.hdr", raw.astype("u2"))
    save_references(header, dark.astype("u2"), white.astype("u2"))
    truth = scene.transpose(1, 0, 2).copy()
    truth[1][:, dead] = truth[1][:, donors]
    with open_raster(header) as raster:
        whole, valid = raster.read()
        np.testing.assert_allclose(whole, truth, atol=5e-4)
        np.testing.assert_array_equal(whole[1][:, dead], whole[1][:, donors])
        assert valid.all()
        # of its own column alone
        for column in dead:
            part, _ = raster.read((1, 4, column, column + 1))
            np.testing.assert_array_equal(part, whole[:, 1:4, column : column + 1])
        assert raster.calibration.dead.tolist() == [0, len(dead) / 80]


@pytest.mark.parametrize(
    ("dtype", "bad", "fields"), [("f4", np.nan, {}), ("u2", 0, {"data_ignore_value": 0})]
)
def test_dead_pixels_with_an_invalid_neighbour_are_invalid(tmp_path, dtype, bad, fields):
    raw, white = flat(1100, 2, 2, 40, dtype), flat(2100, 2, 2, 40, dtype)
    raw[0, :, 3] = bad
    white[:, 1, 4] = 100
    header = save_cube(tmp_path / "a.hdr", raw, **fields)
    save_references(header, flat(100, 2, 2, 40, dtype), white)
    invalid = np.zeros((2, 40), bool)
    invalid[0, 3:5] = True
    with open_raster(header) as raster:
        values, valid = raster.read()
        np.testing.assert_array_equal(valid, ~invalid)
        np.testing.assert_allclose(values, np.broadcast_to(np.where(invalid, 0, 0.5), (2, 2, 40)), rtol=1e-6)
        assert raster.read((0, 2, 4, 5))[1].tolist() == [[False], [True]]
        # in the other band the pixel is alive
        assert raster.read((0, 2, 4, 5), [0])[1].all()


def test_gain_and_offset_give_the_same_reflectance(tmp_path):
    """As in `spectral.synthesis`, which does not clip."""
    sensor, scene = Sensor(samples=40), 1.4 * random_scene(samples=40) - 0.02
    header = sensor.save(tmp_path / "a.hdr", scene)
    calibration = load_calibration(Cube(header), find_references(header))
    gain, offset = calibration.gain_and_offset([2, 1])
    raw = Cube(header).read(0, 9).transpose(1, 0, 2)[[2, 1]]
    np.testing.assert_allclose(
        raw * gain[:, None] - offset[:, None], scene.transpose(1, 0, 2)[[2, 1]], atol=1e-3
    )


# --- bands that the header calls bad


def test_bad_bands_have_no_wavelength(tmp_path):
    header = save_envi(tmp_path, noise(3, 4, 4), wavelength="{780, 850.5, 940}", bbl="{1, 0,\n 1.0}")
    with open_raster(header) as raster:
        assert raster.wavelengths_nm == (780, None, 940)
    with open_raster(header, bands_nm=[1, 2, 3] @ np.eye(3) * 300) as raster:
        assert raster.wavelengths_nm == (300, 600, 900)


def test_a_model_is_never_matched_to_a_bad_band(tmp_path, tiny):
    array = np.stack([np.full((8, 8), value, np.uint8) for value in (51, 102, 153, 204)])
    header = save_envi(tmp_path, array, wavelength="{780, 850, 851, 940}", bbl="{1, 0, 1, 1}")
    Colorizer(tiny("three_bands")).colorize_file(header, tmp_path / "a.png")
    assert load(tmp_path / "a.png")[0][:, 4, 4].tolist() == [51, 153, 204]


@pytest.mark.parametrize("bbl", ["{1, 0}", "{1, 1, 1, 1}", "1"])
def test_a_bad_bands_list_of_another_length_is_refused(tmp_path, bbl):
    header = save_envi(tmp_path, noise(3, 4, 4), wavelength="{780, 850, 940}", bbl=bbl)
    with pytest.raises(NircolorError, match=r"cube\.hdr: expected a bad-bands list \(bbl\) of 3 bands, got"):
        open_raster(header)
