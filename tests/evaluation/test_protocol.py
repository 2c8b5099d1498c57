import numpy as np
import pytest

from nircolor.errors import NircolorError
from nircolor.evaluation.contestants import Contestant
from nircolor.evaluation.measures import score
from nircolor.evaluation.protocol import averaged, score_all
from nircolor.pairs import Pair, read_pair
from tests.evaluation.scored_pairs import RNG, SIZE, bands, gray, made_pair, truth_but
from tests.imagery.imagery_samples import save


def test_every_method_is_scored_on_every_pair_where_it_is_valid(tmp_path):
    mask = np.zeros(SIZE, bool)
    mask[:, 5:] = True
    pairs = [made_pair(tmp_path, "a", mask=mask), made_pair(tmp_path, "b")]
    spoiled = Contestant(
        "spoiled", "folder", "x",
        lambda pair, _nir, valid: np.where(valid, read_pair(pair)[1], 0.3),
    )  # fmt: skip
    scored = score_all([gray(), spoiled], pairs)
    assert [(row.name, row.method) for row in scored.rows] == [
        ("a", "gray"), ("a", "spoiled"), ("b", "gray"), ("b", "spoiled"),
    ]  # fmt: skip
    _, rgb, valid = read_pair(pairs[0])
    assert scored.rows[0].scores == score(np.full((3, *SIZE), 0.5), rgb, valid)
    assert scored.rows[1].scores.psnr_db == np.inf


def test_contestants_of_one_label_are_runs(tmp_path):
    scored = score_all([gray(value=0.4), gray(value=0.6), gray("other")], [made_pair(tmp_path, "a")])
    assert [(row.method, row.run) for row in scored.rows] == [("gray", 0), ("gray", 1), ("other", 0)]


def test_a_pair_that_fails_is_left_out_for_all_and_told(tmp_path):
    pairs = [made_pair(tmp_path, name) for name in "abc"]
    path = pairs[1].rgb
    path.write_bytes(path.read_bytes()[:-200])

    def refuse(pair, nir, _valid):
        if pair.name == "c":
            raise NircolorError("c.png: expected a image")
        return np.repeat(nir, 3, 0)

    scored = score_all([gray(), Contestant("refusing", "folder", "x", refuse)], pairs)
    assert {row.name for row in scored.rows} == {"a"}
    assert [line.split(":")[0] for line in scored.failures] == ["b", "c"]
    assert "b_rgb.png" in scored.failures[0]
    with pytest.raises(NircolorError, match="images that can be scored, got none: b: "):
        score_all([gray()], pairs[1:2])


def test_permuted_names_and_the_truth_itself_are_doubted(tmp_path):
    pairs = [
        made_pair(tmp_path, name, np.kron(RNG.integers(0, 255, (3, 4, 5)), np.ones((6, 6))).astype("uint8"))
        for name in "abcdef"
    ]
    following = dict(zip(pairs, [*pairs[1:], pairs[0]], strict=True))
    permuted = Contestant("permuted", "folder", "out/", lambda pair, *_: 0.9 * read_pair(following[pair])[1])
    truth, good = truth_but("truth", 0), truth_but("good", 0.05)
    doubts = score_all([truth, permuted, good, gray()], pairs).warnings
    assert len(doubts) == 2
    assert doubts[0].startswith("truth: 6 of 6 images equal the truth, a for one")
    assert doubts[1].startswith("out/: its images fit the truth")
    assert "are names permuted?" in doubts[1]
    # a baseline is what it is
    assert score_all([truth_but("b", 0, kind="baseline")], pairs).warnings == []


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


def test_scores_over_windows_forgive_a_shift_of_detail(tmp_path):
    pair = made_pair(tmp_path, "a")
    noisy = truth_but("noisy", RNG.normal(0, 0.1, (3, *SIZE)))
    sharp, coarse = (score_all([noisy], [pair], average_px=px).rows[0].scores.psnr_db for px in (1, 6))
    # of 36 means of independent errors
    assert coarse == pytest.approx(sharp + 10 * np.log10(36), abs=4)


def test_predictions_are_clipped_before_they_are_scored(tmp_path):
    pair = made_pair(tmp_path, "a", np.full((3, *SIZE), 255, "uint8"))
    glaring = Contestant("glaring", "model", "x", lambda *_: np.full((3, *SIZE), 1.7))
    assert score_all([glaring], [pair]).rows[0].scores.psnr_db == np.inf


def test_a_pixel_that_one_choice_of_bands_lacks_counts_for_none(tmp_path):
    def tell(dataset):
        dataset.nodata = 0
        for i, nm in enumerate((665, 560, 490, 783, 842), start=1):
            dataset.update_tags(i, ns="IMAGERY", CENTRAL_WAVELENGTH_UM=f"{nm / 1000}")

    values = RNG.integers(1, 10000, (5, *SIZE), "uint16")
    # no 783 nm in the upper half
    values[3, :12] = 0
    path = save(tmp_path / "a.tif", values, "GTiff", setup=tell)
    pair = Pair("a", path, path, rgb_nm=(665, 560, 490), nir_scale=10000, rgb_scale=10000)
    both = bands(783, 842)
    _, rgb, valid = read_pair(pair, both)
    assert not valid[:12].any()
    spoiled = np.where(valid, rgb, 0.5)
    contestants = [
        Contestant("one", "model", "x", lambda *_: spoiled, bands(842)),
        Contestant("two", "model", "y", lambda *_: spoiled, both),
    ]
    assert [row.scores.psnr_db for row in score_all(contestants, [pair]).rows] == [np.inf, np.inf]


def test_a_window_larger_than_the_image_is_an_error(tmp_path):
    with pytest.raises(NircolorError, match="a: expected valid windows of 100 × 100 px"):
        score_all([gray()], [made_pair(tmp_path, "a")], average_px=100)
