import numpy as np
import pytest

from nircolor.pairs.correlation import correlate, overlap_px, scaled, texture_of

RNG = np.random.default_rng(0)


def noise(*size):
    return RNG.normal(0, 1, size).astype(np.float32)


def slow_correlation(a, b):
    """Compute the best correlation and its shift from the definition, shift by shift."""
    best = (-2.0, (0, 0))
    least = [max(1, round(0.45 * min(s, t))) for s, t in zip(a.shape, b.shape, strict=True)]
    for dy in range(least[0] - a.shape[0], b.shape[0] - least[0] + 1):
        for dx in range(least[1] - a.shape[1], b.shape[1] - least[1] + 1):
            top, left = max(0, dy), max(0, dx)
            bottom, right = min(b.shape[0], dy + a.shape[0]), min(b.shape[1], dx + a.shape[1])
            part_b = b[top:bottom, left:right].astype(float)
            part_a = a[top - dy : bottom - dy, left - dx : right - dx].astype(float)
            floor = 0.1 * part_a.size
            energy = max((part_a**2).sum(), floor) * max((part_b**2).sum(), floor)
            best = max(best, ((part_a * part_b).sum() / energy**0.5, (dy, dx)))
    return best


@pytest.mark.parametrize(
    "sizes", [((9, 11), (9, 11)), ((7, 12), (13, 8)), ((14, 14), (6, 5)), ((1, 9), (5, 9))]
)
def test_correlation_matches_the_definition(sizes):
    images = [noise(*sizes[0]) for _ in range(3)]
    others = [noise(*sizes[1]), 0.1 * noise(*sizes[1]), noise(8, 8)]
    found = correlate(images, others)
    for i, a in enumerate(images):
        for j, b in enumerate(others):
            correlation, shift = slow_correlation(a, b)
            assert found.correlation[i, j] == pytest.approx(correlation, abs=1e-5)
            assert tuple(found.shifts_px[i, j]) == shift


def test_a_crop_is_found_at_its_position():
    whole = noise(40, 50)
    found = correlate([whole[7:27, 11:41], noise(20, 30)], [whole])
    assert found.correlation[0, 0] == pytest.approx(1, abs=1e-5)
    assert tuple(found.shifts_px[0, 0]) == (7, 11)
    assert found.correlation[1, 0] < 0.3
    assert found.runner_up[0, 0] < 0.3


def test_a_straight_edge_has_an_equally_good_runner_up():
    edge = np.zeros((40, 40), np.float32)
    edge[18:20], edge[20:22] = 1, -1
    found = correlate([edge], [np.roll(edge, 4, axis=0)])
    assert found.correlation[0, 0] == pytest.approx(1, abs=1e-5)
    assert found.runner_up[0, 0] == pytest.approx(1, abs=1e-5)


def test_results_keep_the_order_of_images_of_several_sizes():
    others = [noise(10 + k % 3, 12) for k in range(300)]
    found = correlate([others[k] for k in (0, 131, 299)], others)
    assert list(found.correlation.argmax(1)) == [0, 131, 299]


def test_texture_depends_on_detail_and_not_on_tone():
    gray = np.clip(0.5 + 0.15 * noise(64, 64).cumsum(0) / 4, 0.05, 1)
    same = [0.3 + 0.5 * gray, np.sqrt(gray)]
    found = correlate([texture_of(gray)], [texture_of(image.astype(np.float32)) for image in same])
    assert found.correlation.min() > 0.97
    assert not texture_of(np.full((32, 32), 0.4, np.float32)).any()
    ramp = np.linspace(0, 1, 64, dtype=np.float32) * np.ones((64, 1), np.float32)
    assert np.abs(texture_of(ramp)[12:-12, 12:-12]).max() < 0.2


def test_scaling():
    image = noise(40, 60)
    assert scaled(image, 1.0) is image
    assert scaled(image, 0.5).shape == (20, 30)
    assert scaled(np.full((40, 60), 0.3, np.float32), 0.3) == pytest.approx(0.3)


@pytest.mark.parametrize("shift", [(0, 0), (7, -3), (-4, 11), (-2, 0)])
def test_overlap_px_counts_shared_pixels(shift):
    first, second = np.zeros((60, 60), bool), np.zeros((60, 60), bool)
    second[20:50, 20:45] = True
    first[20 + shift[0] : 32 + shift[0], 20 + shift[1] : 38 + shift[1]] = True
    assert overlap_px((12, 18), (30, 25), shift) == (first & second).sum()
