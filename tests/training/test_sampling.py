"""Samples: reproducible, what the engine would feed, and true to the photograph."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from nircolor.training.sampling import Augmentation, draw_sample, resize, to_photograph  # noqa: E402

PLAIN = Augmentation(smallest_area=1, aspect=0, zoom=(1, 1), gamma=0, exposure=0, noise=0)


@pytest.fixture
def photograph():
    """Red is the row, green the column, blue and NIR their mean: a pixel tells where it is from."""
    rows, columns = np.meshgrid(np.linspace(0, 1, 80), np.linspace(0, 1, 120), indexing="ij")
    rgb = np.stack([rows, columns, (rows + columns) / 2]).astype(np.float32)
    valid = np.ones((80, 120), bool)
    valid[:, :30] = False
    return to_photograph("ramp", rgb[2:], rgb, valid)


def draw(photograph, seed, augmentation=PLAIN):
    return draw_sample(photograph, np.random.default_rng(seed), augmentation, tile_px=32, context_px=64)


def test_the_same_seed_gives_the_same_sample(photograph):
    first, second = (draw(photograph, 5, Augmentation()) for _ in range(2))
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not torch.equal(first["nir"], draw(photograph, 6, Augmentation())["nir"])


def test_shapes_and_ranges(photograph):
    for seed in range(20):
        sample = draw(photograph, seed, Augmentation(noise=0.2))
        shapes = {key: tuple(value.shape) for key, value in sample.items()}
        assert shapes == {
            "nir": (1, 32, 32),
            "context": (5, 64, 64),
            "rgb": (3, 32, 32),
            "valid": (1, 32, 32),
        }
        assert all(value.min() >= 0 and value.max() <= 1 for value in sample.values())


def test_edges_say_where_the_tile_lies(photograph):
    """Colour encodes the place: the tile's mean colour must be that of the window the edges name."""
    for seed in range(20):
        sample = draw(photograph, seed)
        top, bottom, left, right = sample["context"][1:, 0, 0]
        flipped = bool(sample["rgb"][1, 0, 0] > sample["rgb"][1, 0, -1])
        center = (left + right) / 2
        assert sample["rgb"][0].mean() == pytest.approx(float(top + bottom) / 2, abs=0.01)
        assert sample["rgb"][1].mean() == pytest.approx(float(1 - center if flipped else center), abs=0.01)


def test_nir_colour_and_mask_stay_registered(photograph):
    for seed in range(20):
        sample = draw(photograph, seed, Augmentation(gamma=0, exposure=0, noise=0))
        torch.testing.assert_close(sample["nir"][0], sample["rgb"][2], rtol=0, atol=0.02)
        # the first quarter of the columns is masked out
        assert not sample["valid"][0][sample["rgb"][1] < 0.22].any()
        assert sample["valid"][0][sample["rgb"][1] > 0.28].all()


def test_exposure_and_gamma_change_the_input_alone(photograph):
    plain, changed = (draw(photograph, 3, a) for a in (PLAIN, Augmentation(1, 0, (1, 1), 0.3, 0.2, 0)))
    torch.testing.assert_close(plain["rgb"], changed["rgb"])
    assert not torch.allclose(plain["nir"], changed["nir"], atol=0.01)
    assert not torch.allclose(plain["context"][0], changed["context"][0], atol=0.01)


def test_photographs_smaller_than_a_tile_are_enlarged(photograph):
    small = to_photograph("small", *(x[..., :20, :20] for x in _arrays(photograph)))
    assert draw(small, 0)["rgb"].shape == (3, 32, 32)


def test_resize_averages_where_it_shrinks():
    checker = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).repeat(16, 16)[None]
    assert resize(checker, (4, 4)).sub(0.5).abs().max() < 0.02


def _arrays(photograph):
    pixels = photograph.pixels.numpy() / np.float32(255)
    return pixels[:1], pixels[1:4], pixels[4] > 0.5
