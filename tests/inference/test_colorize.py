"""Tests of `colorize`: files, folders, arrays and PIL images by one function."""

import numpy as np
import pytest

from nircolor.errors import NircolorError
from nircolor.inference import Colorizer, colorize
from tests.imagery.imagery_samples import load, noise, save


@pytest.fixture
def folder(tmp_path):
    """A folder with two images and a damaged one."""
    (tmp_path / "in").mkdir()
    for name in ("a.png", "c.png"):
        save(tmp_path / "in" / name, noise(1, 20, 30), "PNG")
    (tmp_path / "in" / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n damaged")
    return tmp_path / "in"


@pytest.mark.parametrize("kind", [str, lambda path: path])
def test_a_file_is_written(folder, tiny, tmp_path, kind):
    output = tmp_path / "colour.png"
    (result,) = colorize(kind(folder / "a.png"), kind(output), model=tiny("per_pixel"))
    assert (result.job.output, result.error) == (output, None)
    np.testing.assert_array_equal(load(output)[0][0], load(folder / "a.png")[0][0])


def test_a_file_that_fails_raises(folder, tiny, tmp_path):
    with pytest.raises(NircolorError, match=r"b\.png"):
        colorize(folder / "b.png", tmp_path / "out", model=tiny("per_pixel"))
    with pytest.raises(NircolorError, match="no such file"):
        colorize(folder / "missing.png", tmp_path / "out", model=tiny("per_pixel"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("pattern", ["", "*"])
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_folder_or_pattern_returns_a_result_for_each_image(folder, tiny, tmp_path, jobs, pattern):
    results = colorize(f"{folder}/{pattern}", tmp_path / "out", model=tiny("per_pixel"), jobs=jobs)
    assert [result.job.path.name for result in results] == ["a.png", "b.png", "c.png"]
    assert [type(result.error) for result in results] == [type(None), NircolorError, type(None)]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "c.png"]


def test_a_folder_of_one_damaged_image_returns_its_error(folder, tiny, tmp_path):
    for name in ("a.png", "c.png"):
        (folder / name).unlink()
    for given in (folder, f"{folder}/*.png"):
        (result,) = colorize(given, tmp_path / "out", model=tiny("per_pixel"))
        assert isinstance(result.error, NircolorError)


def test_options_reach_the_reader_and_the_writer(tiny, tmp_path):
    array = noise(3, 20, 20, "uint16") // 16
    path = save(tmp_path / "a.tif", array)
    options = {"model": tiny("three_bands"), "bands_nm": (940, 780, 850), "scale": 4095}
    colorize(path, tmp_path / "b.png", depth=8, **options)
    np.testing.assert_allclose(load(tmp_path / "b.png")[0] / 255, array[[1, 2, 0]] / 4095, atol=0.003)
    with pytest.raises(NircolorError, match="replaced only with"):
        colorize(path, tmp_path / "b.png", **options)
    assert colorize(path, tmp_path / "b.png", skip_existing=True, **options)[0].skipped
    assert not colorize(path, tmp_path / "b.png", overwrite=True, **options)[0].skipped


def test_arrays_are_returned(tiny):
    nir = np.random.default_rng(0).random((1, 20, 30), np.float32)
    assert colorize(nir, model=tiny("per_pixel")).shape == (3, 20, 30)
    gray = np.full((20, 30), 1000, np.uint16)
    assert (colorize(gray, model=tiny("per_pixel"), scale=2000)[:, :, 0] == 32768).all()


def test_a_loaded_model_is_used_as_it_is(tiny, folder, tmp_path):
    colorizer = Colorizer(tiny("per_pixel"))
    gray = np.full((20, 30), 100, np.uint8)
    np.testing.assert_array_equal(colorize(gray, model=colorizer), colorizer.colorize(gray))
    (result,) = colorize(folder / "a.png", tmp_path / "b.png", model=colorizer)
    assert result.summary.bands == (1,)
    with pytest.raises(NircolorError, match="device, tile_px: only with a model's name or path"):
        colorize(gray, model=colorizer, tile_px=64)


def test_names_format_and_quality_of_outputs(tiny, folder, tmp_path):
    options = {"model": tiny("per_pixel"), "suffix": "_colour", "output_format": "jpg", "quality": 10}
    results = colorize(folder, folder, **options)
    assert [result.job.output.name for result in results] == [f"{name}_colour.jpg" for name in "abc"]
    small = (folder / "a_colour.jpg").stat().st_size
    colorize(folder / "a.png", tmp_path / "a.jpg", model=tiny("per_pixel"), quality=100)
    assert small < (tmp_path / "a.jpg").stat().st_size
    with pytest.raises(NircolorError, match="quality from 1 to 100, got 0"):
        colorize(folder / "a.png", tmp_path / "b.jpg", model=tiny("per_pixel"), quality=0)


def test_arguments_that_do_not_fit_the_input_are_refused(tmp_path):
    gray = np.zeros((20, 30), np.uint8)
    with pytest.raises(NircolorError, match="output: only for paths"):
        colorize(gray, tmp_path / "out.png")
    with pytest.raises(NircolorError, match="depth: only for paths"):
        colorize(gray, depth=16)
    with pytest.raises(NircolorError, match="suffix: only for paths"):
        colorize(gray, suffix="_colour")
    with pytest.raises(NircolorError, match=r"a\.png: expected an output file or folder, got none"):
        colorize(tmp_path / "a.png")
    with pytest.raises(NircolorError, match="expected a path, a NumPy array or a PIL image, got NoneType"):
        colorize(None)
    with pytest.raises(NircolorError, match="got list"):
        colorize([tmp_path / "a.png"], tmp_path / "out")
