import numpy as np
import pytest

from nircolor.errors import NircolorError
from nircolor.evaluation.methods import MethodRun
from nircolor.evaluation.protocol import averaged, find_permutation, score_all, thumbnail
from nircolor.evaluation.scores import score
from nircolor.pairs import Pair, read_pair
from tests.evaluation.scored_pairs import RNG, SIZE, bands, gray, made_pair, truth_plus
from tests.imagery.imagery_samples import save


def test_every_method_is_scored_on_every_pair_where_it_is_valid(tmp_path):
    mask = np.zeros(SIZE, bool)
    mask[:, 5:] = True
    pairs = [made_pair(tmp_path, "a", mask=mask), made_pair(tmp_path, "b")]
    spoiled = MethodRun(
        "spoiled", "folder", "x",
        lambda _pair, images: np.where(images.valid, images.rgb, 0.3),
    )  # fmt: skip
    scored = score_all([gray(), spoiled], pairs)
    assert [(row.name, row.method) for row in scored.rows] == [
        ("a", "gray"), ("a", "spoiled"), ("b", "gray"), ("b", "spoiled"),
    ]  # fmt: skip
    _, rgb, valid = read_pair(pairs[0])
    assert scored.rows[0].scores == score(np.full((3, *SIZE), 0.5), rgb, valid)
    assert scored.rows[1].scores.psnr_db == np.inf


def test_methods_of_one_label_are_runs(tmp_path):
    scored = score_all([gray(value=0.4), gray(value=0.6), gray("other")], [made_pair(tmp_path, "a")])
    assert [(row.method, row.run) for row in scored.rows] == [("gray", 0), ("gray", 1), ("other", 0)]


def test_a_pair_that_fails_is_left_out_for_all_and_reported(tmp_path):
    pairs = [made_pair(tmp_path, name) for name in "abc"]
    path = pairs[1].rgb
    path.write_bytes(path.read_bytes()[:-200])

    def refuse(pair, images):
        if pair.name == "c":
            raise NircolorError("c.png: expected an image")
        return np.repeat(images.nir, 3, 0)

    scored = score_all([gray(), MethodRun("refusing", "folder", "x", refuse)], pairs)
    assert {row.name for row in scored.rows} == {"a"}
    assert [line.split(":")[0] for line in scored.failures] == ["b", "c"]
    assert "b_rgb.png" in scored.failures[0]
    with pytest.raises(NircolorError, match="images that can be scored, got none: b: "):
        score_all([gray()], pairs[1:2])


def test_permuted_names_and_true_images_give_warnings(tmp_path):
    pairs = [
        made_pair(tmp_path, name, np.kron(RNG.integers(0, 255, (3, 4, 5)), np.ones((6, 6))).astype("uint8"))
        for name in "abcdef"
    ]
    following = dict(zip(pairs, [*pairs[1:], pairs[0]], strict=True))
    permuted = MethodRun("permuted", "folder", "out/", lambda pair, *_: 0.9 * read_pair(following[pair])[1])
    truth, good = truth_plus("truth", 0), truth_plus("good", 0.05)
    warnings = score_all([truth, permuted, good, gray()], pairs).warnings
    assert len(warnings) == 2
    assert warnings[0].startswith("truth: 6 of 6 images equal the true images, for example a")
    assert warnings[1].startswith("out/: the images match the true images")
    assert "are names permuted?" in warnings[1]
    # baselines are not checked
    assert score_all([truth_plus("b", 0, kind="baseline")], pairs).warnings == []


def test_means_over_windows():
    image, valid = RNG.random((3, 12, 15)), np.ones((12, 15), bool)
    valid[4, 7] = False
    image[:, 4, 7] = np.nan
    means, inside = averaged(image, valid, 3)
    for y in range(12):
        for x in range(15):
            window = slice(max(y - 1, 0), y + 2), slice(max(x - 1, 0), x + 2)
            whole = 0 < y < 11 and 0 < x < 14 and valid[window].all()
            assert inside[y, x] == whole
            if whole:
                np.testing.assert_allclose(means[:, y, x], image[(slice(None), *window)].mean((1, 2)))
    assert averaged(image, valid, 1)[1] is valid


def test_scores_over_windows_average_independent_errors(tmp_path):
    pair = made_pair(tmp_path, "a")
    noisy = truth_plus("noisy", RNG.normal(0, 0.1, (3, *SIZE)))
    sharp, coarse = (score_all([noisy], [pair], average_px=px).rows[0].scores.psnr_db for px in (1, 6))
    # the mean of 36 independent errors has a 36th of their variance
    assert coarse == pytest.approx(sharp + 10 * np.log10(36), abs=4)


def test_predictions_are_clipped_before_they_are_scored(tmp_path):
    pair = made_pair(tmp_path, "a", np.full((3, *SIZE), 255, "uint8"))
    glaring = MethodRun("glaring", "model", "x", lambda *_: np.full((3, *SIZE), 1.7))
    assert score_all([glaring], [pair]).rows[0].scores.psnr_db == np.inf


def test_a_pixel_that_is_invalid_for_one_method_is_not_scored_for_any(tmp_path):
    def set_metadata(dataset):
        dataset.nodata = 0
        for i, nm in enumerate((665, 560, 490, 783, 842), start=1):
            dataset.update_tags(i, ns="IMAGERY", CENTRAL_WAVELENGTH_UM=f"{nm / 1000}")

    values = RNG.integers(1, 10000, (5, *SIZE), "uint16")
    # no 783 nm in the upper half
    values[3, :12] = 0
    path = save(tmp_path / "a.tif", values, "GTiff", setup=set_metadata)
    pair = Pair("a", path, path, rgb_nm=(665, 560, 490), nir_scale=10000, rgb_scale=10000)
    both = bands(783, 842)
    _, rgb, valid = read_pair(pair, both)
    assert not valid[:12].any()
    spoiled = np.where(valid, rgb, 0.5)
    methods = [
        MethodRun("one", "model", "x", lambda *_: spoiled, bands(842)),
        MethodRun("two", "model", "y", lambda *_: spoiled, both),
    ]
    assert [row.scores.psnr_db for row in score_all(methods, [pair]).rows] == [np.inf, np.inf]


def test_a_window_larger_than_the_image_is_an_error(tmp_path):
    with pytest.raises(NircolorError, match="a: expected valid windows of 100 × 100 px"):
        score_all([gray()], [made_pair(tmp_path, "a")], average_px=100)


# Permuted names

NAMES = [f"p{k}" for k in range(12)]
TRUTH = RNG.random((12, 768)).astype(np.float32)


def test_thumbnails_are_means_over_cells():
    image = RNG.random((3, 64, 48)).astype(np.float32)
    expected = image.reshape(3, 16, 4, 16, 3).mean((2, 4)).ravel()
    np.testing.assert_allclose(thumbnail(image, np.ones((64, 48), bool)), expected, rtol=1e-5)
    assert all(
        thumbnail(RNG.random((3, *size)), np.ones(size, bool)).shape == (768,)
        for size in ((17, 31), (5, 40), (1, 1))
    )


def test_find_permutation_detects_permuted_names():
    order = np.roll(np.arange(12), 1)
    predicted = TRUTH[order] + RNG.normal(0, 0.1, TRUTH.shape)
    found = find_permutation(NAMES, predicted, TRUTH)
    assert found is not None
    assert found.gain_db > 8
    assert NAMES.index(found.belongs_to) == order[NAMES.index(found.name)]


@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0])
def test_poor_predictions_under_their_own_names_are_not_flagged(strength):
    # from a single colour to the true images
    predicted = TRUTH.mean() + strength * (TRUTH - TRUTH.mean()) + RNG.normal(0, 0.05, TRUTH.shape)
    assert find_permutation(NAMES, predicted, TRUTH) is None


def test_a_single_image_is_not_flagged():
    assert find_permutation(["a"], TRUTH[:1], TRUTH[1:2]) is None
