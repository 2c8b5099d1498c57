"""Training samples: reproducible, in the form of the inputs at run time, aligned with the pair."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from nircolor.training.sampling import Augmentation, ImagePair, draw_sample, resize

PLAIN = Augmentation()
STRONG = Augmentation(
    smallest_area=0.45,
    aspect=0.25,
    zoom=(0.35, 1.5),
    gamma=0.25,
    exposure=0.15,
    haze=0.3,
    blur=1.0,
    noise=0.06,
    compression=0.15,
    lamp=0.1,
    padding=0.1,
)
# of these, what changes the place of pixels
MOVED = Augmentation(smallest_area=0.45, aspect=0.25, zoom=(0.35, 1.5))


@pytest.fixture
def pair():
    """Red is the row, green the column, blue and NIR their mean: the colour of a pixel gives its position."""
    rows, columns = np.meshgrid(np.linspace(0, 1, 80), np.linspace(0, 1, 120), indexing="ij")
    rgb = np.stack([rows, columns, (rows + columns) / 2]).astype(np.float32)
    valid = np.ones((80, 120), bool)
    valid[:, :30] = False
    return ImagePair.from_arrays("ramp", rgb[2:], rgb, valid)


def draw(pair, seed, augmentation=PLAIN):
    return draw_sample(pair, np.random.default_rng(seed), augmentation, tile_px=32, context_px=64)


def test_the_same_seed_gives_the_same_sample(pair):
    first, second = (draw(pair, 5, STRONG) for _ in range(2))
    assert first.pop("name") == second.pop("name") == "ramp"
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not torch.equal(first["nir"], draw(pair, 6, STRONG)["nir"])


def test_shapes_and_ranges(pair):
    for seed in range(20):
        sample = draw(pair, seed, replace(STRONG, noise=0.2))
        del sample["name"]
        shapes = {key: tuple(value.shape) for key, value in sample.items()}
        assert shapes == {
            "nir": (1, 32, 32),
            "context": (5, 64, 64),
            "rgb": (3, 32, 32),
            "valid": (1, 32, 32),
        }
        assert all(value.min() >= 0 and value.max() <= 1 for value in sample.values())


def test_edges_give_the_position_of_the_tile(pair):
    """Colour encodes the position: the tile's mean colour must be that of the window between the edges."""
    for seed in range(20):
        sample = draw(pair, seed)
        top, bottom, left, right = sample["context"][1:, 0, 0]
        flipped = bool(sample["rgb"][1, 0, 0] > sample["rgb"][1, 0, -1])
        center = (left + right) / 2
        assert sample["rgb"][0].mean() == pytest.approx(float(top + bottom) / 2, abs=0.01)
        assert sample["rgb"][1].mean() == pytest.approx(float(1 - center if flipped else center), abs=0.01)


def test_nir_colour_and_mask_stay_registered(pair):
    for seed in range(20):
        sample = draw(pair, seed, MOVED)
        torch.testing.assert_close(sample["nir"][0], sample["rgb"][2], rtol=0, atol=0.02)
        # the first quarter of the columns is masked out
        assert not sample["valid"][0][sample["rgb"][1] < 0.22].any()
        assert sample["valid"][0][sample["rgb"][1] > 0.28].all()


def test_exposure_and_gamma_change_the_input_alone(pair):
    plain, changed = (draw(pair, 3, a) for a in (PLAIN, Augmentation(gamma=0.3, exposure=0.2)))
    torch.testing.assert_close(plain["rgb"], changed["rgb"])
    assert not torch.allclose(plain["nir"], changed["nir"], atol=0.01)
    assert not torch.allclose(plain["context"][0], changed["context"][0], atol=0.01)


def test_padding_is_black_in_the_tile_the_colour_and_the_view(pair):
    bright = ImagePair("bright", pair.pixels.float().clamp(min=0.2))
    in_view = 0
    for seed in range(20):
        sample = draw(bright, seed, Augmentation(padding=1.0))
        black = sample["nir"][0] == 0
        assert (sample["rgb"][:, black] == 0).all()
        assert sample["valid"][0, black].all()
        in_view += bool((sample["context"][0] == 0).any())
    assert in_view > 10


def test_noise_of_a_tile_is_in_the_view_of_its_image_too(pair):
    noisy = 0
    for seed in range(10):
        plain, drawn = (draw(pair, seed, a) for a in (PLAIN, Augmentation(noise=0.3)))
        in_tile = (drawn["nir"] - plain["nir"]).std() > 0.01
        assert in_tile == ((drawn["context"][0] - plain["context"][0]).std() > 0.005)
        noisy += bool(in_tile)
    assert 2 <= noisy <= 8


def test_no_sample_is_degraded_where_none_is_to_be(pair):
    for seed in range(10):
        plain, drawn = (draw(pair, seed, a) for a in (PLAIN, Augmentation(noise=0.3, degraded=0)))
        torch.testing.assert_close(drawn["nir"], plain["nir"])


def test_images_smaller_than_a_tile_are_enlarged(pair):
    small = ImagePair.from_arrays("small", *(x[..., :20, :20] for x in _arrays(pair)))
    assert draw(small, 0)["rgb"].shape == (3, 32, 32)


def test_resize_averages_where_it_shrinks():
    checker = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).repeat(16, 16)[None]
    assert resize(checker, (4, 4)).sub(0.5).abs().max() < 0.02


def _arrays(pair):
    pixels = pair.pixels.numpy() / np.float32(255)
    return pixels[:1], pixels[1:4], pixels[4] > 0.5


def test_several_bands_and_no_view(pair):
    nir, rgb, valid = _arrays(pair)
    three = ImagePair.from_arrays("three", np.concatenate([rgb[:2], nir]), rgb, valid)
    sample = draw_sample(three, np.random.default_rng(0), STRONG, tile_px=32)
    assert "context" not in sample
    assert sample["nir"].shape == (3, 32, 32)
    plain = draw_sample(three, np.random.default_rng(0), PLAIN, tile_px=32)
    torch.testing.assert_close(plain["nir"][:2], plain["rgb"][:2])


def test_rotation_and_flip_give_all_eight_orientations(pair):
    """Red grows downwards and green to the right in the pair."""
    directions = set()
    for seed in range(80):
        rgb = draw(pair, seed, Augmentation(rotate90=True))["rgb"]
        steps = torch.stack([rgb[:2, -1, 0] - rgb[:2, 0, 0], rgb[:2, 0, -1] - rgb[:2, 0, 0]])
        directions.add(tuple(steps.sign().flatten().tolist()))
    assert len(directions) == 8


def test_8_bit_images_are_kept_as_bytes_and_others_exactly():
    rng = np.random.default_rng(0)
    valid = np.ones((5, 5), bool)
    bytes_ = rng.integers(0, 256, (4, 5, 5)).astype(np.float32) / 255
    assert ImagePair.from_arrays("a", bytes_[:1], bytes_[1:], valid).pixels.dtype == torch.uint8
    fine = rng.random((4, 5, 5), np.float32)
    for planes in (bytes_, fine):
        floats = ImagePair.from_arrays("a", planes[:1], planes[1:], valid).as_float()
        torch.testing.assert_close(floats[:4], torch.from_numpy(planes), rtol=0, atol=1e-7)
        assert (floats[4] == 1).all()
