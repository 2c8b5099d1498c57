"""Data sets made from captures: manifest, repeated and interrupted runs, failures, arguments."""

import errno
import json
import shutil
import threading

import numpy as np
import pytest

from nircolor.errors import DiskFullError, NircolorError, NircolorWarning
from nircolor.modelfile import Band
from nircolor.pairs import open_set, read_pair
from nircolor.spectral import find_captures, read_response, synthesize
from nircolor.spectral.dataset import _Manifest, _synthesize_each
from nircolor.spectral.synthesis import SynthesisSettings

FILES = [
    f"{kind}/scene_{number}.{ext}" for kind, ext in (("nir", "tif"), ("rgb", "png")) for number in range(3)
]


@pytest.fixture
def captures(tmp_path, record):
    """Write three captures and return their folder."""
    for number in range(3):
        scene = np.random.default_rng(number).uniform(0.1, 0.9, (1, 12, 20)).repeat(112, 0)
        record(tmp_path / "captures" / f"scene_{number}", scene, name=f"id_{number}")
    return tmp_path / "captures"


def header(captures, number):
    return captures / f"scene_{number}/capture/id_{number}.hdr"


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_training_and_evaluation_can_read_the_data_set(tmp_path, captures):
    results = synthesize(captures, tmp_path / "set")
    assert [result.capture.name for result in results] == ["scene_0", "scene_1", "scene_2"]
    assert all(result.error is None and not result.skipped for result in results)
    opened = open_set(str(tmp_path / "set"), "training")
    assert [pair.name for pair in opened.pairs] == ["scene_0", "scene_1", "scene_2"]
    bands = [Band(center_nm=nm, fwhm_nm=10, tolerance_nm=5) for nm in (780, 940)]
    nir, rgb, valid = read_pair(opened.pairs[1], bands)
    expected = np.random.default_rng(1).uniform(0.1, 0.9, (12, 20))
    np.testing.assert_allclose(nir, np.stack([expected] * 2), atol=0.01)
    assert rgb.shape == (3, 12, 20)
    assert valid.all()


def test_results_name_the_files(tmp_path, captures):
    for result in synthesize(captures, tmp_path / "set"):
        name = result.capture.name
        assert result.files == (tmp_path / f"set/nir/{name}.tif", tmp_path / f"set/rgb/{name}.png")
        assert all(path.is_file() for path in result.files)
        assert (result.record["lines"], result.record["samples"]) == (12, 20)


@pytest.mark.parametrize(
    "kind", [str, lambda path: path, lambda path: [str(path)], lambda path: iter([path])]
)
def test_paths_may_be_strings_and_one_or_several(tmp_path, captures, kind):
    output = str(tmp_path / "set")
    (result,) = synthesize(kind(captures / "scene_1"), output, dark=None)
    assert result.capture.name == "scene_1"
    assert (tmp_path / "set/nir/scene_1.tif").is_file()


def test_the_manifest_lists_sources_and_files(tmp_path, captures):
    synthesize(captures, tmp_path / "set")
    manifest = json.loads((tmp_path / "set/manifest.json").read_text())
    assert [band["center_nm"] for band in manifest["settings"]["bands"]] == [780, 850, 940]
    record = manifest["pairs"]["scene_1"]
    assert record["capture"] == "id_1.hdr"
    assert record["files"].keys() == {"nir/scene_1.tif", "rgb/scene_1.png"}
    assert record["source"].keys() == {"header", "dark", "dark_header", "white", "white_header"}
    assert record["versions"].keys() >= {"nircolor", "numpy", "colour-science"}
    assert str(tmp_path) not in (tmp_path / "set/manifest.json").read_text()


def test_progress_counts_captures(tmp_path, captures):
    calls = []
    synthesize(
        captures, tmp_path / "set", jobs=2, on_progress=lambda done, total: calls.append((done, total))
    )
    assert calls == sorted(calls)
    assert {total for _, total in calls} == {3}
    assert calls[-1] == (3, 3)
    calls.clear()
    synthesize(captures, tmp_path / "set", on_progress=lambda done, total: calls.append((done, total)))
    assert calls == [(1, 3), (2, 3), (3, 3)]


def test_a_repeated_run_skips_all_pairs(tmp_path, captures):
    synthesize(captures, tmp_path / "a")
    before = contents(tmp_path / "a")
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "a").rglob("*.*")}
    again = synthesize(captures, tmp_path / "a")
    assert all(result.skipped and len(result.files) == 2 for result in again)
    assert contents(tmp_path / "a") == before
    assert times == {path: path.stat().st_mtime_ns for path in times}


def test_files_do_not_depend_on_order_and_jobs(tmp_path, captures):
    synthesize(captures, tmp_path / "a")
    synthesize([header(captures, number).parents[1] for number in (2, 0, 1)], tmp_path / "b", jobs=3)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_damaged_and_missing_files_are_made_again(tmp_path, captures):
    synthesize(captures, tmp_path / "set")
    before = contents(tmp_path / "set")
    (tmp_path / "set/rgb/scene_0.png").write_bytes(b"damaged")
    (tmp_path / "set/nir/scene_2.tif").unlink()
    results = synthesize(captures, tmp_path / "set")
    assert [result.skipped for result in results] == [False, True, False]
    assert contents(tmp_path / "set") == before


def test_a_changed_capture_is_made_again(tmp_path, captures, record):
    synthesize(captures, tmp_path / "set")
    shutil.rmtree(captures / "scene_1")
    record(captures / "scene_1", np.full((112, 9, 20), 0.3), name="id_1")
    results = synthesize(captures, tmp_path / "set")
    assert [result.skipped for result in results] == [True, False, True]


@pytest.mark.filterwarnings("ignore:.*of the pixels are")
@pytest.mark.parametrize("changed", ["samples", "exposure of white"])
def test_changes_that_keep_all_sizes_are_noticed(tmp_path, captures, changed):
    synthesize(captures, tmp_path / "set")
    if changed == "samples":
        raw = header(captures, 1).with_suffix(".raw")
        raw.write_bytes(raw.read_bytes()[::-1])
    else:
        white = header(captures, 1).with_name("WHITEREF_id_1.hdr")
        white.write_text(white.read_text().replace("tint = 8.0", "tint = 9.0"))
    results = synthesize(captures, tmp_path / "set")
    assert [result.skipped for result in results] == [True, False, True]
    synthesize(captures, tmp_path / "fresh")
    assert contents(tmp_path / "set") == contents(tmp_path / "fresh")


def test_files_that_a_killed_run_did_not_list_are_accepted(tmp_path, captures):
    synthesize(captures, tmp_path / "set")
    before = contents(tmp_path / "set")
    manifest = tmp_path / "set/manifest.json"
    content = json.loads(manifest.read_text())
    del content["pairs"]["scene_1"]
    manifest.write_text(json.dumps(content))
    assert synthesize(captures, tmp_path / "set")[1].error is None
    assert contents(tmp_path / "set") == before


def test_an_interrupted_run_can_be_continued(tmp_path, captures):
    def interrupt_second(done, _total):
        if done > 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        synthesize(captures, tmp_path / "set", on_progress=interrupt_second)
    # the second capture was interrupted before its files were complete
    assert contents(tmp_path / "set").keys() == {"manifest.json", "nir/scene_0.tif", "rgb/scene_0.png"}
    results = synthesize(captures, tmp_path / "set")
    assert [result.skipped for result in results] == [True, False, False]
    synthesize(captures, tmp_path / "at once")
    assert contents(tmp_path / "set") == contents(tmp_path / "at once")


def test_two_runs_into_one_folder_list_all_pairs(tmp_path, captures):
    def other_run(done, _total):
        if not (tmp_path / "set" / "manifest.json").exists() and done > 0:
            synthesize(sorted(captures.iterdir())[1:], tmp_path / "set")

    synthesize(sorted(captures.iterdir())[:1], tmp_path / "set", on_progress=other_run)
    manifest = json.loads((tmp_path / "set" / "manifest.json").read_text())
    assert len(manifest["pairs"]) == len(list(captures.iterdir()))
    assert not list((tmp_path / "set").glob(".*"))


def test_stopping_early_interrupts_running_captures(tmp_path, captures):
    settings = SynthesisSettings(block_bytes=1)  # one line per block
    started, may_continue = threading.Event(), threading.Event()
    shares = dict.fromkeys(("scene_0", "scene_1", "scene_2"), 0.0)

    def report(capture, share):
        shares[capture.name] = share
        if capture.name == "scene_1":
            started.set()
            may_continue.wait(10)

    running = _synthesize_each(find_captures([captures]), settings, tmp_path / "set", 2, False, report)
    next(running)
    started.wait(10)
    threading.Timer(0.2, may_continue.set).start()
    running.close()
    assert shares["scene_0"] == 1
    assert 0 < shares["scene_1"] < 1
    assert "nir/scene_1.tif" not in contents(tmp_path / "set")


def test_a_failed_capture_leaves_no_files_and_does_not_stop_the_others(tmp_path, captures):
    raw = header(captures, 1).with_suffix(".raw")
    raw.write_bytes(raw.read_bytes()[:-1000])
    results = synthesize(captures, tmp_path / "set")
    assert [result.error is None for result in results] == [True, False, True]
    assert isinstance(results[1].error, NircolorError)
    assert "cut off" in str(results[1].error)
    assert (results[1].files, results[1].record) == ((), None)
    assert contents(tmp_path / "set").keys() == {"manifest.json", *(f for f in FILES if "scene_1" not in f)}
    with pytest.raises(NircolorError, match="cut off"):
        synthesize(header(captures, 1), tmp_path / "other")


def test_a_full_disk_ends_a_run(tmp_path, captures, monkeypatch):
    def fill(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(_Manifest, "add", fill)
    with pytest.raises(DiskFullError, match="No space left"):
        synthesize(captures, tmp_path / "out", bands_nm=(850,))


def test_a_folder_without_a_capture_does_not_stop_the_others(tmp_path, captures):
    (captures / "aborted/capture").mkdir(parents=True)
    results = synthesize(captures, tmp_path / "set")
    assert "expected the header of one capture, got none" in str(results[0].error)
    assert [result.error for result in results[1:]] == [None] * 3


def test_other_settings_need_another_folder_or_overwrite(tmp_path, captures):
    synthesize(captures, tmp_path / "set")
    before = contents(tmp_path / "set")
    with pytest.raises(NircolorError, match="made with other settings"):
        synthesize(captures, tmp_path / "set", bands_nm=(780, 850))
    assert contents(tmp_path / "set") == before
    synthesize(captures / "scene_0", tmp_path / "set", bands_nm=(780, 850), overwrite=True)
    # the pairs with three bands are removed
    assert contents(tmp_path / "set").keys() == {"manifest.json", "nir/scene_0.tif", "rgb/scene_0.png"}


def test_another_grid_of_a_response_is_another_setting(tmp_path, captures):
    curves = np.array([[1.0, 2, 3, 2, 1]] * 3).T
    path = tmp_path / "camera.csv"
    path.write_text("".join(f"{a},{b},{c}\n" for a, b, c in curves))
    capture, output = captures / "scene_0", tmp_path / "set"
    synthesize(capture, output, response=path, response_nm=(390, 690, 75))
    (again,) = synthesize(capture, output, response=read_response(path, (390, 690, 75)))
    assert again.skipped
    with pytest.raises(NircolorError, match="made with other settings"):
        synthesize(capture, output, response=path, response_nm=(400, 700, 75))


def test_a_manifest_of_version_0_1_is_read(tmp_path, captures):
    synthesize(captures, tmp_path / "set")
    manifest = tmp_path / "set/manifest.json"
    manifest.write_text(manifest.read_text().replace('"band_shape"', '"lines"'))
    assert all(result.skipped for result in synthesize(captures, tmp_path / "set"))


def test_a_manifest_cannot_remove_files_outside_of_the_data_set(tmp_path, captures):
    capture = captures / "scene_0"
    synthesize(capture, tmp_path / "set")
    (tmp_path / "mine.png").write_bytes(b"mine")
    manifest = tmp_path / "set/manifest.json"
    content = json.loads(manifest.read_text())
    record = content["pairs"]["scene_0"] | {"files": {"../mine.png": "0"}}
    content["pairs"] = {"scene_0": record, "../../mine": record}
    manifest.write_text(json.dumps(content))
    synthesize(capture, tmp_path / "set", bands_nm=(780,), overwrite=True)
    assert (tmp_path / "mine.png").read_bytes() == b"mine"


def test_files_of_the_user_are_not_replaced(tmp_path, captures):
    (tmp_path / "set/nir").mkdir(parents=True)
    (tmp_path / "set/nir/scene_0.tif").write_bytes(b"mine")
    results = synthesize(captures, tmp_path / "set")
    assert "exists already" in str(results[0].error)
    assert results[1].error is None
    assert (tmp_path / "set/nir/scene_0.tif").read_bytes() == b"mine"
    assert synthesize(captures, tmp_path / "set", overwrite=True)[0].error is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"settings": 1, "pairs": 2}',
        '{"settings": {}, "pairs": {"scene_0": "text"}}',
        '{"settings": {}, "pairs": {"scene_0": {"files": {}}}}',
        "[" * 20_000,
    ],
)
def test_other_json_files_are_not_accepted_as_a_manifest(tmp_path, captures, text):
    (tmp_path / "set").mkdir()
    (tmp_path / "set/manifest.json").write_text(text)
    with pytest.raises(NircolorError, match=r"manifest\.json: expected the manifest"):
        synthesize(captures, tmp_path / "set")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bands_nm": ()}, "--bands: expected different wavelengths from 300 to 2600 nm, got none"),
        ({"bands_nm": (780, 780)}, "expected different wavelengths .* got 780, 780"),
        ({"bands_nm": (0.78,)}, "expected different wavelengths .* got 0.78"),
        ({"dark": "dark.hdr"}, "--dark and --white: expected both or neither, got one"),
        (
            {"dark": "dark.hdr", "white": "white.hdr", "scale": 10_000},
            "--scale: expected either raw captures",
        ),
        ({"response_nm": (400, 700, 10)}, "--response-nm: expected --response with a CSV file"),
    ],
)
def test_invalid_arguments_are_refused(tmp_path, captures, options, message):
    with pytest.raises(NircolorError, match=message):
        synthesize(captures, tmp_path / "set", **options)
    assert not (tmp_path / "set").exists()


@pytest.mark.filterwarnings("ignore:.*outside of the colours")
def test_many_clipped_pixels_cause_a_warning(tmp_path, captures):
    white = header(captures, 0).with_name("WHITEREF_id_0.hdr")
    white.write_text(white.read_text().replace("tint = 8.0", "tint = 80.0"))
    with pytest.warns(
        NircolorWarning, match=r"id_0\.hdr: \d+% of the pixels are brighter than white in the near"
    ):
        synthesize(captures / "scene_0", tmp_path / "set")


def test_a_manifest_makes_no_other_files_be_read(tmp_path, captures):
    synthesize(captures, tmp_path / "set")
    manifest = tmp_path / "set/manifest.json"
    content = json.loads(manifest.read_text())
    content["pairs"]["scene_1"]["files"]["/dev/zero"] = "0"
    manifest.write_text(json.dumps(content))
    results = synthesize(captures, tmp_path / "set")
    assert [result.skipped for result in results if result.capture.name == "scene_1"] == [False]
    assert all(result.error is None for result in results)
