import numpy as np
import pytest

from nircolor.app.demo.landscape import Landscape, render_landscape


@pytest.fixture(scope="module")
def scene() -> Landscape:
    return render_landscape(384, 576)


def part(image: np.ndarray, top: float, bottom: float, left: float, right: float) -> np.ndarray:
    """Mean of each band over a part of the image, given in shares of its height and width."""
    height, width = image.shape[1:]
    window = image[:, int(top * height) : int(bottom * height), int(left * width) : int(right * width)]
    return window.mean(axis=(1, 2))


def test_the_default_has_the_size_of_a_photograph() -> None:
    scene = render_landscape()
    assert scene.nir.shape == (1, 768, 1152)
    assert scene.rgb.shape == (3, 768, 1152)


@pytest.mark.parametrize(
    ("height", "width"), [(1, 1), (1, 50), (50, 1), (7, 5), (2, 3), (101, 37), (33, 301)]
)
def test_any_size_is_rendered_within_range(height: int, width: int) -> None:
    scene = render_landscape(height, width)
    for image, bands in ((scene.nir, 1), (scene.rgb, 3)):
        assert image.shape == (bands, height, width)
        assert image.dtype == np.float32
        assert np.isfinite(image).all()
        assert image.min() >= 0
        assert image.max() <= 1


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (-1, 5)])
def test_no_size_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="at least 1 x 1"):
        render_landscape(*size)


def test_a_seed_fixes_every_pixel_and_another_changes_them() -> None:
    first, again, other = (
        render_landscape(60, 90, 3),
        render_landscape(60, 90, 3),
        render_landscape(60, 90, 4),
    )
    np.testing.assert_array_equal(first.rgb, again.rgb)
    np.testing.assert_array_equal(first.nir, again.nir)
    assert np.abs(first.rgb - other.rgb).mean() > 0.01


def test_the_meadow_is_green_and_shines_in_near_infrared(scene: Landscape) -> None:
    red, green, blue = part(scene.rgb, 0.75, 1, 0.65, 1)
    assert green > red > blue
    assert part(scene.nir, 0.75, 1, 0.65, 1)[0] > 1.4 * green


def test_the_lake_swallows_near_infrared(scene: Landscape) -> None:
    lake, meadow = part(scene.nir, 0.5, 0.58, 0.3, 0.5)[0], part(scene.nir, 0.75, 1, 0.65, 1)[0]
    assert lake < 0.6 * meadow
    assert lake < part(scene.rgb, 0.5, 0.58, 0.3, 0.5)[2]


def test_the_sky_is_blue_with_brighter_clouds(scene: Landscape) -> None:
    sky = scene.rgb[:, :60].reshape(3, -1)
    gray = scene.nir[0, :60].ravel()
    clear = sky[2] - sky[0] > 0.15
    assert 0.1 < clear.mean() < 0.9, "clouds and clear sky both show"
    assert (gray[clear] < sky[2, clear]).mean() > 0.99
    assert gray[~clear].mean() > gray[clear].mean() + 0.2


def test_texture_is_finer_with_distance(scene: Landscape) -> None:
    def fineness(top: float, bottom: float) -> float:
        height, width = scene.nir.shape[1:]
        grass = scene.nir[0, int(top * height) : int(bottom * height), int(0.6 * width) : int(0.83 * width)]
        # what changes from row to row, as a share of what changes over four rows
        return float(np.square(grass[1:] - grass[:-1]).mean() / np.square(grass[4:] - grass[:-4]).mean())

    assert fineness(0.62, 0.68) > 1.15 * fineness(0.9, 1.0)
