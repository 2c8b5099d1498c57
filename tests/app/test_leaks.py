import csv
import io
import json

import numpy as np
import pytest

from tests.imagery.imagery_samples import save

SIDE = 96


def texture(seed):
    rng = np.random.default_rng(seed)
    planes = sum(np.kron(rng.random((4, SIDE // c, SIDE // c)), np.ones((c, c))) for c in (1, 2, 4, 8, 16))
    return (255 * planes / planes.max()).astype("uint8")


def pair(folder, name, seed):
    for side, planes in (("nir", texture(seed)[:1]), ("rgb", texture(seed)[1:])):
        (folder / side).mkdir(parents=True, exist_ok=True)
        save(folder / side / f"{name}.png", planes, "PNG")


@pytest.fixture
def sets(tmp_path):
    for n in range(3):
        pair(tmp_path / "train", f"t{n}", n)
        pair(tmp_path / "test", f"v{n}", n + 2)
    return tmp_path


def rows(out):
    return list(csv.DictReader(io.StringIO(out)))


def test_shared_pairs_are_listed(nircolor, sets):
    done = nircolor("leaks", sets / "test", sets / "train")
    assert done.code == 1
    (leak,) = rows(done.out)
    assert set(leak) >= {"matches", "overlap_percent", "transform"}
    assert (leak["name"], leak["other"], leak["kind"]) == ("v0", "t2", "exact copy")
    assert "1 of 3 images" in done.err


def test_json(nircolor, sets):
    done = nircolor("leaks", sets / "test", sets / "train", "--json", "--quiet")
    assert (done.code, done.err) == (1, "")
    found = json.loads(done.out)
    assert (found["images"], found["training_images"]) == (3, 3)
    (leak,) = found["leaks"]
    assert (leak["name"], leak["other"], leak["kind"]) == ("v0", "t2", "exact copy")
    assert (leak["overlap_percent"], leak["transform"]) == (100, [1, 0, 0, 0, 1, 0])
    assert (found["unclear"], found["unreadable"], found["within"]) == ([], [], False)


def test_sets_without_shared_pairs(nircolor, sets):
    (sets / "train/nir/t2.png").unlink()
    (sets / "train/rgb/t2.png").unlink()
    done = nircolor("leaks", sets / "test", sets / "train")
    assert (done.code, done.out) == (0, "")
    assert json.loads(nircolor("leaks", sets / "test", sets / "train", "--json").out)["leaks"] == []
    assert "0 of 3 images" in done.err


@pytest.mark.parametrize("order", [1, -1])
def test_a_set_and_a_folder_of_single_images(nircolor, sets, order):
    words = [sets / "test", sets / "train/rgb"][::order]
    done = nircolor("leaks", *words)
    assert done.code == 1
    (leak,) = rows(done.out)
    assert {leak["name"], leak["other"]} == {"v0 (colour)", "t2.png"}


def test_an_incomplete_set_is_compared_image_by_image_with_a_note(nircolor, sets):
    (sets / "test/nir/v1.png").unlink()
    done = nircolor("leaks", sets / "test", sets / "train")
    assert {leak["name"] for leak in rows(done.out)} == {"nir/v0.png", "rgb/v0.png"}
    assert "compared as 5 single images" in done.err
    assert "colour without NIR: v1" in done.err


def test_missing_and_empty_sets_are_refused(nircolor, sets):
    assert "absent" in nircolor.refused("leaks", sets / "test", sets / "absent")
    (sets / "empty").mkdir()
    assert "empty" in nircolor.refused("leaks", sets / "empty", sets / "train")


def test_damaged_images_are_named_and_the_others_compared(nircolor, sets):
    path = sets / "test/nir/v1.png"
    path.write_bytes(path.read_bytes()[:-300])
    done = nircolor("leaks", sets / "test", sets / "train")
    assert done.code == 1
    assert [row["name"] for row in rows(done.out)] == ["v0"]
    assert f"not compared: {path}" in done.err
    assert "1 could not be read" in done.err


def test_a_page_shows_the_matches(nircolor, sets):
    page = sets / "pages/leaks.html"
    done = nircolor("leaks", sets / "test", sets / "train", "--html", page)
    assert done.code == 1
    text = page.read_text(encoding="utf-8")
    assert text.count("<img") == 2
    assert "exact copy of the NIR" in text
    assert "v0" in text
    assert "t2" in text
    assert list(page.parent.iterdir()) == [page]
    # an image is not replaced by mistake
    assert ".html" in nircolor.refused(
        "leaks", sets / "test", sets / "train", "--html", sets / "test/nir/v1.png"
    )


def test_a_set_with_itself(nircolor, sets):
    assert nircolor("leaks", sets / "test", sets / "test").code == 0
    save(sets / "test/rgb/v9.png", texture(2)[1:], "PNG")
    save(sets / "test/nir/v9.png", texture(2)[:1], "PNG")
    done = nircolor("leaks", sets / "test", sets / "test")
    assert [(row["name"], row["other"]) for row in rows(done.out)] == [("v0", "v9")]
