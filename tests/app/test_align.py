import json

import pytest

pytest.importorskip("cv2", reason="needs the extra align")
from tests.pairs.alignment.scenes import save, scene


@pytest.fixture
def box(tmp_path):
    for seed, name in enumerate("ab"):
        nir, colour = scene(seed)
        save(tmp_path / "box" / f"{name}_nir.png", nir)
        save(tmp_path / "box" / f"{name}_rgb.png", colour if name == "a" else scene(99)[1])
    return tmp_path


def test_a_batch_with_a_failure(nircolor, box):
    done = nircolor("align", box / "box", box / "box", "-o", box / "pairs")
    assert done.code == 1
    assert "a: 0.0" in done.err
    assert "1 pair -> " in done.err
    assert "b_rgb.png: cannot be aligned with" in done.err
    assert sorted(one.name for one in (box / "pairs/nir").iterdir()) == ["a.png"]


def test_json_and_a_single_failure(nircolor, box):
    pair = [box / "box/a_nir.png", box / "box/a_rgb.png"]
    done = nircolor("align", *pair, "-o", box / "pairs", "--json", "--quiet")
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out)[0]["residual_px"] < 0.5
    done = nircolor("align", pair[0], box / "box/b_rgb.png", "-o", box / "other")
    assert done.code == 2
    assert done.err.count("\n") <= 2
    assert "cannot be aligned" in done.err
