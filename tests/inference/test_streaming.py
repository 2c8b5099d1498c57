"""Tests of `colorize_strips`: the result does not depend on tiles, and each row is read once, in order."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from nircolor.inference.sources import ArraySource
from nircolor.inference.streaming import colorize_strip, colorize_strips, triangle_filter, whole_part
from nircolor.modelfile import Context, Size
from tests.tiny_models import make_card


class _Engine:
    """Returns (n, n/2, 1 - n) and records the tiles and contexts."""

    def __init__(self, multiple_of=4, minimum=8, receptive_field_px=6, side=None, working_pixels=None):
        size = Size(multiple_of=multiple_of, minimum=minimum, receptive_field_px=receptive_field_px)
        context = None if side is None else Context(size_px=side, working_pixels=working_pixels)
        self.card = make_card(size=size, context=context)
        self.tiles, self.contexts = [], []

    def run(self, nir, context, on_progress):
        on_progress(0.25, 1.0)
        on_progress(1.0, 1.0)
        assert nir.dtype == np.float32
        assert nir.flags.c_contiguous
        assert np.isfinite(nir).all()
        size = self.card.size
        assert all(px % size.multiple_of == 0 and px >= size.minimum for px in nir.shape[1:])
        self.tiles.append(nir)
        self.contexts.append(context)
        return np.concatenate([nir, nir / 2, 1 - nir])


class _Source:
    """An array that records which rows and views are read."""

    def __init__(self, nir, valid=None):
        self._array = ArraySource(nir, valid)
        self.height, self.width = nir.shape[1:]
        self.may_have_invalid = self._array.may_have_invalid
        self.asked, self.views = [], []

    def rows(self, start, stop):
        self.asked.append((start, stop))
        return self._array.rows(start, stop)

    def reduced(self, height, width):
        self.views.append((height, width))
        return self._array.reduced(height, width)


def _colorize(engine, source, tile_px, on_progress=None):
    rgb, valid, row = [], [], 0
    for top, part, part_valid in colorize_strips(engine, source, tile_px, on_progress):
        assert top == row
        assert part_valid.shape == part.shape[1:]
        rgb.append(part.copy())
        valid.append(part_valid.copy())
        row += part.shape[1]
    return np.concatenate(rgb, 1), np.concatenate(valid)


def _noise(height, width, bands=1):
    return np.random.default_rng(0).random((bands, height, width), dtype=np.float32)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 150), st.integers(1, 150), st.sampled_from([1, 4, 16]), st.integers(0, 20),
    st.integers(1, 40), st.integers(0, 60),
)  # fmt: skip
def test_the_result_does_not_depend_on_the_tiles(height, width, multiple, reach, minimum, more):
    engine = _Engine(multiple, minimum, reach)
    nir = _noise(height, width)
    source = _Source(nir)
    smallest = -(-max(reach + 2 * multiple, minimum) // multiple) * multiple
    rgb, valid = _colorize(engine, source, smallest + more)
    np.testing.assert_allclose(rgb, np.concatenate([nir, nir / 2, 1 - nir]), atol=1e-5)
    assert valid.all()
    # in order, each row once
    assert source.asked[0][0] == 0
    assert source.asked[-1][1] == height
    assert all(a[1] == b[0] for a, b in zip(source.asked, source.asked[1:], strict=False))
    assert all(start < stop for start, stop in source.asked)
    assert len({tile.shape for tile in engine.tiles}) == 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 77), (77, 1), (3000, 1), (1, 3000), (9, 8)])
def test_extreme_shapes(shape):
    nir = _noise(*shape)
    rgb, _ = _colorize(_Engine(multiple_of=16, minimum=32, receptive_field_px=20), _Source(nir), 80)
    np.testing.assert_allclose(rgb[0], nir[0], atol=1e-5)


def test_padding_mirrors_the_image():
    engine = _Engine()
    nir = _noise(6, 5)
    _colorize(engine, _Source(nir), 64)
    expected = np.pad(nir, ((0, 0), (0, 2), (0, 3)), mode="symmetric")
    np.testing.assert_array_equal(engine.tiles[0], expected)


def test_progress_grows_to_the_number_of_pixels():
    seen = []
    _colorize(_Engine(), _Source(_noise(70, 50)), 24, lambda done, total: seen.append((done, total)))
    assert {total for _, total in seen} == {3500}
    done = [done for done, _ in seen]
    assert done == sorted(done)
    assert done[-1] == pytest.approx(3500)
    assert len(seen) > 4


def test_colour_is_clipped():
    engine = _Engine()
    engine.run = lambda nir, *_: np.concatenate([nir - 2, nir + 2, nir])
    rgb, _ = _colorize(engine, _Source(_noise(20, 20)), 16)
    assert rgb[0].max() == 0
    assert rgb[1].min() == 1


def test_invalid_pixels_become_the_mean_and_the_mask_is_returned():
    engine = _Engine(side=8)
    nir = np.full((1, 60, 50), 0.75, np.float32)
    valid = np.ones((60, 50), bool)
    valid[10:30, 5:40] = False
    nir[:, ~valid] = 0
    rgb, carried = _colorize(engine, _Source(nir, valid), 24)
    np.testing.assert_array_equal(carried, valid)
    # no black anywhere: not in a tile, not in the view
    np.testing.assert_allclose(rgb[0], 0.75, atol=1e-5)
    np.testing.assert_allclose(engine.contexts[0][0], 0.75, atol=1e-5)


@settings(deadline=None, max_examples=20)
@given(st.floats(0, 10), st.integers(20, 60), st.booleans())
def test_saturation_is_a_factor_on_the_distance_from_gray_before_clipping(saturation, tile_px, with_error):
    engine = _Engine()
    # colours beyond [0, 1], which come back into it when they are made paler
    engine.run = lambda nir, *_: np.concatenate([2 * nir - 0.5, nir / 2, 1 - nir, nir / 4])
    nir = _noise(50, 40)
    output = np.concatenate(
        [
            part.copy()
            for _, part, _ in colorize_strips(
                engine, _Source(nir), tile_px, saturation=saturation, with_error=with_error
            )
        ],
        axis=1,
    )
    rgb = engine.run(nir)[:3]
    gray = rgb.mean(0)
    np.testing.assert_allclose(output[:3], np.clip(gray + saturation * (rgb - gray), 0, 1), atol=1e-5)
    if with_error:
        np.testing.assert_allclose(output[3], nir[0] / 4, atol=1e-6)


def test_the_bound_of_the_error_is_blended_as_colour_is():
    engine = _Engine(receptive_field_px=20)
    engine.run = lambda nir, *_: np.concatenate([nir, nir / 2, 1 - nir, nir / 4])
    nir = _noise(90, 70)
    bound, row = np.empty((90, 70), np.float32), 0
    for top, part, _ in colorize_strips(engine, _Source(nir), 48, with_error=True):
        assert part.shape == (4, *part.shape[1:])
        bound[top : top + part.shape[1]] = part[3]
        row = top + part.shape[1]
    assert row == 90
    np.testing.assert_allclose(bound, nir[0] / 4, atol=1e-6)
    # without it, colour alone
    rgb, _ = _colorize(engine, _Source(nir), 48)
    np.testing.assert_allclose(rgb, np.concatenate([nir, nir / 2, 1 - nir]), atol=1e-6)


def test_no_valid_pixel():
    nir = np.full((1, 30, 30), np.nan, np.float32)
    rgb, valid = _colorize(_Engine(side=8), _Source(nir), 16)
    assert np.isfinite(rgb).all()
    assert not valid.any()


def test_bands_are_filled_each_with_its_own_mean():
    engine = _Engine()
    engine.card = make_card(bands=engine.card.bands * 2)
    engine.run = lambda nir, *_: np.concatenate([nir, nir[:1]])
    nir = np.stack([np.full((20, 20), 0.2), np.full((20, 20), 0.8)]).astype(np.float32)
    nir[:, 3:6] = np.nan
    rgb, _ = _colorize(engine, _Source(nir), 16)
    np.testing.assert_allclose(rgb[0], 0.2, atol=1e-6)
    np.testing.assert_allclose(rgb[1], 0.8, atol=1e-6)


def test_every_tile_gets_the_same_view_of_the_whole_and_its_own_edges():
    engine = _Engine(side=8)
    source = _Source(_noise(50, 90))
    _colorize(engine, source, 24)
    assert source.views == [(32, 32)]
    views = np.stack([context[0] for context in engine.contexts])
    assert (views == views[0]).all()
    for context in engine.contexts:
        assert context.shape == (5, 8, 8)
        assert context.dtype == np.float32
        assert (context[1:] == context[1:, :1, :1]).all()
    first, last = engine.contexts[0][1:, 0, 0], engine.contexts[-1][1:, 0, 0]
    rows, columns = engine.tiles[0].shape[1:]
    np.testing.assert_allclose(first, [0, rows / 50, 0, columns / 90], rtol=1e-6)
    # the last tile reaches into the padding: 52 rows and 92 columns
    np.testing.assert_allclose(last, [(52 - rows) / 50, 52 / 50, (92 - columns) / 90, 92 / 90], rtol=1e-6)


def test_a_large_image_is_colorized_at_a_reduced_size():
    # smooth, so that the reduced image has the same values
    nir = np.linspace(0, 1, 640, dtype=np.float32) * np.ones((1, 300, 1), np.float32)
    engine, source = _Engine(side=8, working_pixels=4096), _Source(nir)
    rgb, valid = _colorize(engine, source, 64)
    assert valid.all()
    assert source.views == [(43, 93)]
    assert sum(tile.size for tile in engine.tiles) < 3 * 4096
    np.testing.assert_allclose(rgb, np.concatenate([nir, nir / 2, 1 - nir]), atol=0.04)
    assert source.asked == [(0, 256), (256, 300)]


def test_an_image_without_a_reduction_goes_through_the_grid_too():
    nir = _noise(30, 40)
    rgb, _ = _colorize(_Engine(side=8, working_pixels=4096), _Source(nir), 64)
    np.testing.assert_allclose(rgb, np.concatenate([nir, nir / 2, 1 - nir]), atol=0.03)


def test_windows_of_a_large_image_have_its_colours():
    nir = _noise(300, 500)
    nir[0, 40:90, 100:200] = np.nan
    engine = _Engine(side=8, working_pixels=4096)
    whole, _ = _colorize(engine, _Source(nir), 64)
    part = whole_part(engine, ArraySource(nir), 64)
    window = ArraySource(nir[:, 20:290, 70:450])
    strips = colorize_strips(engine, window, 64, part=replace(part, top=20, left=70))
    colours = np.concatenate([strip for _, strip, _ in strips], axis=1)
    np.testing.assert_array_equal(colours, whole[:, 20:290, 70:450])
    with pytest.raises(ValueError, match="without working_pixels"):
        colorize_strip(engine, window, 64, 0, part)


def test_progress_covers_the_reduced_image_and_the_full_one():
    calls = []
    _colorize(_Engine(side=8, working_pixels=4096), _Source(_noise(600, 500)), 64, lambda *c: calls.append(c))
    done = [part for part, _ in calls]
    assert done == sorted(done)
    assert {total for _, total in calls} == {300_000}
    assert len([part for part in done if part < 150_000]) > 2
    assert done[-1] == 300_000


def test_a_thin_image_takes_little_memory():
    nir = np.full((1, 3, 100_000), 0.5, np.float32)
    engine, source = _Engine(side=352, working_pixels=200_000), ArraySource(nir)
    tracemalloc.start()
    part = whole_part(engine, source, 4096)
    taken = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert part.colours is not None
    assert taken < 200 << 20


def test_memory_does_not_grow_with_the_height():
    class Endless:
        width = 256
        may_have_invalid = False

        def __init__(self, height):
            self.height = height

        def rows(self, start, stop):
            return np.full((1, stop - start, self.width), 0.5, np.float32), np.ones(
                (stop - start, self.width), bool
            )

        def reduced(self, height, width):
            return np.full((1, height, width), 0.5, np.float32), np.ones((height, width), bool)

    class Forgetful(_Engine):
        def run(self, nir, _context, _on_progress):
            return np.concatenate([nir, nir, nir])

    def peak(height):
        tracemalloc.start()
        for _ in colorize_strips(Forgetful(), Endless(height), 64):
            pass
        taken = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return taken

    peak(128)
    short, tall = peak(512), peak(8192)
    assert tall < 1.5 * short
    assert short < 45 * 256 * 64


@pytest.mark.parametrize(("length", "wanted"), [(1, 8), (5, 8), (8, 8), (37, 16), (256, 64), (1000, 256)])
def test_triangle_filter_equals_the_resize_of_training(length, wanted):
    values = torch.rand(1, 1, length, 3, generator=torch.Generator().manual_seed(0))
    expected = F.interpolate(values, (wanted, 3), mode="bilinear", antialias=True)
    got = triangle_filter(length, wanted) @ values[0, 0].numpy()
    np.testing.assert_allclose(got, expected[0, 0].numpy(), atol=1e-5)


def test_array_view_is_the_area_mean_of_valid_pixels():
    nir = _noise(600, 12)
    nir[0, :100] = np.nan
    mean, valid = ArraySource(nir).reduced(6, 3)
    assert not valid[0].any()
    assert valid[1:].all()
    blocks = nir[0].reshape(6, 100, 3, 4).mean((1, 3))
    np.testing.assert_allclose(mean[0, 1:], blocks[1:], atol=1e-5)
