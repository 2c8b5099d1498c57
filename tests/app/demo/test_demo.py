"""Tests of `nircolor demo`: the content of its images, and the page."""

import numpy as np
import pytest

from nircolor.app.demo import read_images, run
from nircolor.errors import NircolorError


@pytest.fixture(scope="module")
def nir() -> np.ndarray:
    return read_images()[0]


@pytest.fixture(scope="module")
def rgb() -> np.ndarray:
    return read_images()[1]


def part(image: np.ndarray, top: float, bottom: float, left: float, right: float) -> np.ndarray:
    """Return the mean of each band over a rectangle given in fractions of height and width."""
    height, width = image.shape[1:]
    window = image[:, int(top * height) : int(bottom * height), int(left * width) : int(right * width)]
    return window.mean(axis=(1, 2))


def test_both_images_have_the_same_size(nir: np.ndarray, rgb: np.ndarray) -> None:
    assert nir.shape == (1, 768, 1152)
    assert rgb.shape == (3, 768, 1152)


def test_the_meadow_is_green_and_bright_in_nir(nir: np.ndarray, rgb: np.ndarray) -> None:
    red, green, blue = part(rgb, 0.75, 1, 0.65, 1)
    assert green > red > blue
    assert part(nir, 0.75, 1, 0.65, 1)[0] > 1.4 * green


def test_the_lake_is_dark_in_nir(nir: np.ndarray, rgb: np.ndarray) -> None:
    lake, meadow = part(nir, 0.5, 0.58, 0.3, 0.5)[0], part(nir, 0.75, 1, 0.65, 1)[0]
    assert lake < 0.6 * meadow
    assert lake < part(rgb, 0.5, 0.58, 0.3, 0.5)[2]


def test_the_sky_is_blue_with_brighter_clouds(nir: np.ndarray, rgb: np.ndarray) -> None:
    sky = rgb[:, :120].reshape(3, -1)
    gray = nir[0, :120].ravel()
    clear = sky[2] - sky[0] > 0.15
    assert 0.1 < clear.mean() < 0.9
    assert (gray[clear] < sky[2, clear]).mean() > 0.99
    assert gray[~clear].mean() > gray[clear].mean() + 0.2


def test_the_command_writes_a_page_with_three_images(tmp_path) -> None:
    page = run(tmp_path / "new" / "folder", "scene")
    assert page == tmp_path / "new" / "folder" / "index.html"
    text = page.read_text(encoding="utf-8")
    assert text.count("data:image/jpeg;base64,") == 3
    assert "Simulated, not a photograph" in text
    assert "Model scene" in text


def test_a_model_for_several_bands_is_refused(tmp_path) -> None:
    with pytest.raises(NircolorError, match="model satellite: expected a model for one band, got one for 3"):
        run(tmp_path, "satellite")
    assert not list(tmp_path.iterdir())


def test_an_output_folder_that_cannot_be_created_is_reported(tmp_path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NircolorError, match=r"file/index\.html: cannot be written .*file is not a folder"):
        run(tmp_path / "file", "scene")
