"""Many captures to one set: the manifest, repetition, interruption, failures."""

import json
import shutil
import threading

import numpy as np
import pytest

from nircolor.errors import NircolorError
from nircolor.pairs import read_pair
from nircolor.pairs.opened import open_set
from nircolor.spectral import synthesis as module
from nircolor.spectral.capture import find_captures
from nircolor.spectral.dataset import synthesize_all
from nircolor.spectral.response import read_response
from nircolor.spectral.synthesis import Synthesis


@pytest.fixture
def captures(tmp_path, record):
    for number in range(3):
        scene = np.random.default_rng(number).uniform(0.1, 0.9, (1, 12, 20)).repeat(112, 0)
        record(tmp_path / "captures" / f"scene_{number}", scene, name=f"id_{number}")
    return find_captures([tmp_path / "captures"])


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def run(captures, folder, synthesis=None, **options):
    return {
        made.capture.name: made
        for made in synthesize_all(captures, synthesis or Synthesis(), folder, **options)
    }


def test_a_set_that_training_and_evaluation_read(tmp_path, captures):
    made = run(captures, tmp_path / "set")
    assert sorted(made) == ["scene_0", "scene_1", "scene_2"]
    opened = open_set(str(tmp_path / "set"), "training")
    assert [pair.name for pair in opened.pairs] == sorted(made)
    from nircolor.modelfile import Band

    bands = [Band(center_nm=nm, fwhm_nm=10, tolerance_nm=5) for nm in (780, 940)]
    nir, rgb, valid = read_pair(opened.pairs[1], bands)
    expected = np.random.default_rng(1).uniform(0.1, 0.9, (12, 20))
    np.testing.assert_allclose(nir, np.stack([expected] * 2), atol=0.01)
    assert rgb.shape == (3, 12, 20)
    assert valid.all()


def test_the_manifest_says_what_came_from_where(tmp_path, captures):
    run(captures, tmp_path / "set")
    manifest = json.loads((tmp_path / "set/manifest.json").read_text())
    assert [band["center_nm"] for band in manifest["settings"]["bands"]] == [780, 850, 940]
    record = manifest["pairs"]["scene_1"]
    assert record["capture"] == "id_1.hdr"
    assert record["files"].keys() == {"nir/scene_1.tif", "rgb/scene_1.png"}
    assert record["source"].keys() == {"header", "dark", "dark_header", "white", "white_header"}
    assert record["versions"].keys() >= {"nircolor", "numpy", "colour-science"}
    assert str(tmp_path) not in (tmp_path / "set/manifest.json").read_text()


def test_again_and_elsewhere_the_files_are_identical(tmp_path, captures):
    run(captures, tmp_path / "a")
    before = contents(tmp_path / "a")
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "a").rglob("*.*g")}
    again = run(captures, tmp_path / "a")
    assert all(made.skipped for made in again.values())
    assert contents(tmp_path / "a") == before
    assert times == {path: path.stat().st_mtime_ns for path in times}
    # in another order, several at once
    run(captures[::-1], tmp_path / "b", parallel=3)
    assert contents(tmp_path / "b") == before


def test_what_was_touched_is_made_again(tmp_path, captures):
    run(captures, tmp_path / "set")
    before = contents(tmp_path / "set")
    (tmp_path / "set/rgb/scene_0.png").write_bytes(b"damaged")
    (tmp_path / "set/nir/scene_2.tif").unlink()
    made = run(captures, tmp_path / "set")
    assert [made[name].skipped for name in sorted(made)] == [False, True, False]
    assert contents(tmp_path / "set") == before


def test_a_capture_that_changed_is_made_again(tmp_path, captures, record):
    run(captures, tmp_path / "set")
    shutil.rmtree(tmp_path / "captures/scene_1")
    record(tmp_path / "captures/scene_1", np.full((112, 9, 20), 0.3), name="id_1")
    made = run(find_captures([tmp_path / "captures"]), tmp_path / "set")
    assert [made[name].skipped for name in sorted(made)] == [True, False, True]


@pytest.mark.parametrize("what", ["samples", "exposure of white"])
def test_a_change_that_leaves_every_size_as_it_is_shows(tmp_path, captures, what):
    run(captures, tmp_path / "set")
    header = captures[1].header
    if what == "samples":
        raw = header.with_suffix(".raw")
        raw.write_bytes(raw.read_bytes()[::-1])
    else:
        white = header.with_name(f"WHITEREF_{header.name}")
        white.write_text(white.read_text().replace("tint = 8.0", "tint = 9.0"))
    made = run(captures, tmp_path / "set")
    assert [made[name].skipped for name in sorted(made)] == [True, False, True]
    run(captures, tmp_path / "fresh")
    assert contents(tmp_path / "set") == contents(tmp_path / "fresh")


def test_a_run_that_was_killed_before_it_listed_its_pair_goes_on(tmp_path, captures):
    run(captures, tmp_path / "set")
    before = contents(tmp_path / "set")
    manifest = tmp_path / "set/manifest.json"
    content = json.loads(manifest.read_text())
    del content["pairs"]["scene_1"]
    manifest.write_text(json.dumps(content))
    assert run(captures, tmp_path / "set")["scene_1"].error is None
    assert contents(tmp_path / "set") == before


@pytest.mark.usefixtures("captures")
def test_a_folder_without_a_capture_costs_the_others_nothing(tmp_path):
    (tmp_path / "captures/aborted/capture").mkdir(parents=True)
    made = run(find_captures([tmp_path / "captures"]), tmp_path / "set")
    assert "expected one capture's header, got none" in str(made["aborted"].error)
    assert [made[name].error for name in sorted(made)[1:]] == [None] * 3


def test_an_interrupted_run_goes_on(tmp_path, captures, monkeypatch):
    monkeypatch.setattr(module, "_BLOCK_BYTES", 1)
    running = synthesize_all(captures, Synthesis(), tmp_path / "set")
    first = next(running)
    running.close()
    finished = contents(tmp_path / "set")
    # the next may have been done meanwhile; nothing of a half is left
    names = set(json.loads(finished["manifest.json"])["pairs"])
    assert first.capture.name in names
    assert finished.keys() == {"manifest.json"} | {f"nir/{n}.tif" for n in names} | {
        f"rgb/{n}.png" for n in names
    }
    run(captures, tmp_path / "set")
    run(captures, tmp_path / "at once")
    assert contents(tmp_path / "set") == contents(tmp_path / "at once")


def test_leaving_ends_the_captures_at_work(tmp_path, captures, monkeypatch):
    monkeypatch.setattr(module, "_BLOCK_BYTES", 1)
    begun, go_on = threading.Event(), threading.Event()
    lines = dict.fromkeys(("scene_0", "scene_1", "scene_2"), 0)

    def progress(capture, done, _total):
        lines[capture.name] += done
        if capture.name == "scene_1":
            begun.set()
            go_on.wait(10)

    # the next is begun when it is asked for: both at once, then
    running = synthesize_all(captures, Synthesis(), tmp_path / "set", parallel=2, on_progress=progress)
    next(running)
    begun.wait(10)
    threading.Timer(0.2, go_on.set).start()
    running.close()
    assert lines["scene_0"] == 12
    assert 0 < lines["scene_1"] < 12
    assert "nir/scene_1.tif" not in contents(tmp_path / "set")


def test_a_failed_capture_leaves_nothing_and_costs_the_others_nothing(tmp_path, captures):
    raw = captures[1].header.with_suffix(".raw")
    raw.write_bytes(raw.read_bytes()[:-1000])
    made = run(captures, tmp_path / "set")
    assert isinstance(made["scene_1"].error, NircolorError)
    assert "cut off" in str(made["scene_1"].error)
    assert contents(tmp_path / "set").keys() == {
        "manifest.json",
        *(f"{kind}" for n in (0, 2) for kind in (f"nir/scene_{n}.tif", f"rgb/scene_{n}.png")),
    }


def test_other_settings_want_another_folder(tmp_path, captures):
    run(captures, tmp_path / "set")
    before = contents(tmp_path / "set")
    with pytest.raises(NircolorError, match="made with other settings"):
        run(captures, tmp_path / "set", Synthesis(bands_nm=(780, 850)))
    assert contents(tmp_path / "set") == before
    made = run(captures[:1], tmp_path / "set", Synthesis(bands_nm=(780, 850)), overwrite=True)
    assert made["scene_0"].error is None
    # the others, of three bands, are no part of the set any more
    assert contents(tmp_path / "set").keys() == {"manifest.json", "nir/scene_0.tif", "rgb/scene_0.png"}


def test_another_grid_of_a_response_is_another_setting(tmp_path, captures):
    curves = np.array([[1.0, 2, 3, 2, 1]] * 3).T
    (tmp_path / "camera.csv").write_text("".join(f"{a},{b},{c}\n" for a, b, c in curves))
    responses = [read_response(tmp_path / "camera.csv", (first, first + 300, 75)) for first in (390, 400)]
    run(captures[:1], tmp_path / "set", Synthesis(response=responses[0]))
    assert run(captures[:1], tmp_path / "set", Synthesis(response=responses[0]))["scene_0"].skipped
    with pytest.raises(NircolorError, match="made with other settings"):
        run(captures[:1], tmp_path / "set", Synthesis(response=responses[1]))


def test_nothing_outside_of_the_set_goes_by_a_manifests_word(tmp_path, captures):
    run(captures[:1], tmp_path / "set")
    (tmp_path / "mine.png").write_bytes(b"mine")
    manifest = tmp_path / "set/manifest.json"
    content = json.loads(manifest.read_text())
    record = content["pairs"]["scene_0"] | {"files": {"../mine.png": "0"}}
    content["pairs"] = {"scene_0": record, "../../mine": record}
    manifest.write_text(json.dumps(content))
    run(captures[:1], tmp_path / "set", Synthesis(bands_nm=(780,)), overwrite=True)
    assert (tmp_path / "mine.png").read_bytes() == b"mine"


def test_files_of_others_are_not_replaced(tmp_path, captures):
    (tmp_path / "set/nir").mkdir(parents=True)
    (tmp_path / "set/nir/scene_0.tif").write_bytes(b"mine")
    made = run(captures, tmp_path / "set")
    assert "exists already" in str(made["scene_0"].error)
    assert made["scene_1"].error is None
    assert (tmp_path / "set/nir/scene_0.tif").read_bytes() == b"mine"
    assert run(captures, tmp_path / "set", overwrite=True)["scene_0"].error is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"settings": 1, "pairs": 2}'])
def test_a_manifest_of_somebody_else_is_told(tmp_path, captures, text):
    (tmp_path / "set").mkdir()
    (tmp_path / "set/manifest.json").write_text(text)
    with pytest.raises(NircolorError, match=r"manifest\.json: expected the manifest"):
        run(captures, tmp_path / "set")
